"""A step learns, repeats bit for bit, and leaves the state alone when its numbers are not finite."""

import dataclasses
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import heads, schemes
from neurojax.data.batching import Planner, gather
from neurojax.data.session import VALIDATION
from neurojax.models import interface, ndt, stitcher
from neurojax.models.interface import Outputs, Weights, gather_rows
from neurojax.objectives import mtm
from neurojax.scores import metrics
from neurojax.train.step import Freeze, train_step
from neurojax.train.validation import _sums
from tests.configs_for_tests import first_state, mtm_config, objective_of

step = jax.jit(train_step, static_argnames="recipe")  # not donated: states are compared


def run(recipe, source, num_steps):
    state, history = first_state(recipe, source), []
    for index in range(num_steps):
        batch = source.batch(index)
        state, sums = step(state, batch, recipe)
        history.append(sums)
    return state, jax.device_get(history), batch


def scorer(recipe, source):
    """(state, batch, number of the batch, question) -> the head's sums."""
    null = np.log(source.facts.mean_counts)
    sums = jax.jit(functools.partial(_sums, recipe=recipe))
    return lambda state, *asked: sums(state.params, state.tables, state.buffers, null, *asked)


def validation_batch(source, batches, index):
    plan = Planner(source.sessions, batches, 0, split=VALIDATION).plan(index)
    return gather(source.sessions, source.layout, plan)


def test_a_hundred_steps_beat_the_mean_rate_on_validation_trials_and_repeat_bit_for_bit(
    recipe, source, batches, equal_trees
):
    state, history, _ = run(recipe, source, recipe.num_steps)
    score, untrained = scorer(recipe, source), first_state(recipe, source)

    def bits_per_spike(state, scheme):
        parts = [score(state, validation_batch(source, batches, i), i, scheme) for i in range(4)]
        return heads.named("poisson").scores(parts)["bps_pooled"]

    assert bits_per_spike(state, schemes.NEURON) > 0.3
    assert bits_per_spike(state, schemes.INTER_REGION) > 0.25
    assert abs(bits_per_spike(untrained, schemes.NEURON)) < 1e-5  # it starts at the null

    assert int(state.step) == recipe.num_steps and int(state.skipped) == 0
    _, repeated, _ = run(recipe, source, 10)
    equal_trees(repeated, history[:10])
    loss = np.asarray([sums["loss"] for sums in history])
    assert loss[-20:].mean() < loss[:20].mean() - 0.02


def test_validation_sums_on_the_device_score_as_the_host_does(recipe, source, batches):
    """Rates of the same query fetched and scored in float64: the scores agree to 1e-5."""
    state, batch = first_state(recipe, source), validation_batch(source, batches, 1)
    tables = state.tables | {"read_out_bias": state.tables["read_out_bias"] + 0.2}  # not the null itself
    score = scorer(recipe, source)
    sums, null_rates = score(state._replace(tables=tables), batch, 1, schemes.INTRA_REGION)
    ours = heads.named("poisson").scores([jax.device_get((sums, null_rates))])

    scheme = np.full(batch.trials["trial_id"].shape, schemes.INTRA_REGION, np.int32)
    key = jax.random.fold_in(jax.random.key(recipe.seed + 1), 1)
    config = recipe.objective.config

    @jax.jit
    def predicted(params, tables, batch, key):
        query = mtm.draw_query(key, batch, scheme, config)
        weights = Weights(params, gather_rows(tables, stitcher.tables(recipe.model.config), batch))
        inputs = mtm.inputs(batch, query, config)
        return query, ndt.apply(weights, inputs, recipe.model.config, train=False).natural

    query, log_rates = predicted(state.params, tables, batch, key)
    groups = len(batch.groups["session_row"])
    flat = [
        np.concatenate([np.asarray(entries)[group] for group in range(groups)], axis=-1)
        for entries in (np.exp(np.asarray(log_rates, np.float64)), batch.trials["counts"], query.target())
    ]
    theirs = metrics.poisson_scores(metrics.poisson_sums(*flat[:2], np.asarray(null_rates), flat[2]))
    for name in ("bps_pooled", "bps_unit_mean"):
        np.testing.assert_allclose(ours[name], theirs[f"{name}_train_null"], rtol=1e-5, atol=1e-5, err_msg=name)
    assert abs(ours["bps_pooled"]) > 0.01


def test_sums_are_the_losses_parts(recipe, source):
    _, history, batch = run(recipe, source, 1)
    sums = history[0]
    np.testing.assert_allclose(sums["loss"], sums["nll_sum"] / sums["entries"], rtol=1e-5)
    valid = batch.groups["unit_valid"].sum(1) * batch.trials["bin_valid"].sum((1, 2))
    assert 0 < sums["entries"] < valid.sum()
    assert sums["gradient_norm"] > 0 and sums["skipped"] == 0
    expected = recipe.optimizer.learning_rate / recipe.optimizer.initial_divisor
    np.testing.assert_allclose(sums["learning_rate"], expected, rtol=1e-5)


@pytest.mark.parametrize("poisoned", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_counters_only(poisoned, recipe, source, equal_trees):
    healthy, batch = first_state(recipe, source), source.batch(0)
    if poisoned == "loss":
        params = healthy.params | {"prompts": np.full_like(healthy.params["prompts"], np.nan)}
        state = healthy._replace(params=params)
    else:  # the loss is near e**50, the squared norm of its gradient is out of range
        tables = healthy.tables | {"read_out_bias": healthy.tables["read_out_bias"] + np.float32(50)}
        state = healthy._replace(tables=tables)
    state = jax.device_get(state)
    after, sums = jax.device_get(step(state, batch, recipe))
    assert np.isfinite(sums["loss"]) == (poisoned == "gradient") and not np.isfinite(sums["gradient_norm"])
    assert sums["skipped"] == 1 and sums["skipped_in_a_row"] == 1
    assert (after.step, after.skipped, after.skipped_in_a_row) == (1, 1, 1)
    counters = {"step": 0, "skipped": 0, "skipped_in_a_row": 0}
    equal_trees(after._replace(**counters), state._replace(**counters))
    again, _ = jax.device_get(step(after, batch, recipe))
    assert (again.step, again.skipped, again.skipped_in_a_row) == (2, 2, 2)
    recovered, _ = jax.device_get(step(after._replace(params=healthy.params, tables=healthy.tables), batch, recipe))
    assert (recovered.step, recovered.skipped, recovered.skipped_in_a_row) == (2, 1, 0)


def with_read_out(state):
    """The state, whose log-rates depend on what the model sees: a read-out starts at zero."""
    table = np.asarray(state.tables["read_out"])
    return state._replace(
        tables=state.tables | {"read_out": np.random.default_rng(0).normal(0, 0.3, table.shape).astype(np.float32)}
    )


EVERYTHING = {"neuron_ratio": 1.0, "temporal_ratio": 1.0}  # hidden, whatever is drawn


@pytest.mark.parametrize(
    "drawn, hidden, dropout, seeds",
    [
        ("masks", {"schemes": "neuron"}, 0.0, (0, 1)),
        ("dropout", {"schemes": "neuron"} | EVERYTHING, 0.3, (0,)),
        ("schemes", {"schemes": "neuron,temporal"} | EVERYTHING, 0.0, (0,)),  # told apart by prompts
    ],
)
def test_every_step_and_every_seed_draws_anew(drawn, hidden, dropout, seeds, recipe, source):
    """One state and one batch: losses of different steps and seeds differ by the one thing that is drawn here."""
    model = dataclasses.replace(recipe.model.config, dropout=dropout, dropout_embed=dropout)
    objective = objective_of(mtm_config(**hidden))
    drawn_here = dataclasses.replace(recipe, model=recipe.model._replace(config=model), objective=objective)

    @jax.jit
    def losses(state, batch):
        def loss_at(step, seed):
            return train_step(state._replace(step=step, seed=seed), batch, drawn_here)[1]["loss"]

        return [jax.vmap(functools.partial(loss_at, seed=jnp.uint32(seed)))(jnp.arange(5)) for seed in seeds]

    found = np.concatenate(losses(with_read_out(first_state(recipe, source)), source.batch(0)))
    assert len(np.unique(found)) == len(found) == 5 * len(seeds), drawn


def test_buffers_are_handed_on_and_stay_where_a_step_is_not_finite(recipe, source, monkeypatch):
    """A model that counts its batches: once for every part, and not in a step that is skipped."""

    def apply(weights, inputs, config, *, train, key=None):
        bias = weights.rows["read_out_bias"][:, None, None] + weights.params["prompts"].sum()
        log_rates = jnp.broadcast_to(bias, inputs.counts.shape)
        return Outputs(log_rates, buffers={"batches": weights.buffers["batches"] + 1})

    counting = types.SimpleNamespace(tables=ndt.tables, init=ndt.init, apply=apply)
    monkeypatch.setattr(interface, "named", lambda name: counting)
    batch = source.batch(0)
    state = first_state(recipe, source)._replace(buffers={"batches": jnp.zeros(())})
    poisoned = state.params | {"prompts": np.full_like(state.params["prompts"], np.nan)}
    for parts in (1, 2):
        counted = jax.jit(functools.partial(train_step, recipe=recipe, parts=parts))
        assert counted(state, batch)[0].buffers["batches"] == parts
        assert counted(state._replace(params=poisoned), batch)[0].buffers["batches"] == 0


def test_a_run_frozen_until_a_step_trains_everything_at_that_step(recipe, source):
    """Sessions 0 and 1 are known: before the step their rows and the shared parameters rest, at it all move."""
    known_units = int(source.layout.num_units[:2].sum())
    recipe = dataclasses.replace(recipe, freeze=Freeze(until_step=2, unit_rows=known_units, session_rows=2))
    state = jax.device_get(with_read_out(first_state(recipe, source)))
    index = next(i for i in range(20) if 2 in source.plan(i).session)  # a known session and the new one
    batch = source.batch(index)
    for number in (1, 2):
        after, sums = jax.device_get(step(state._replace(step=np.int32(number)), batch, recipe))
        assert sums["skipped"] == 0
        pairs = zip(jax.tree.leaves(after.params), jax.tree.leaves(state.params), strict=True)
        assert all(np.array_equal(*pair) != (number == 2) for pair in pairs)
        for name, known in (("read_out", known_units), ("session_token", 2)):
            moved = (after.tables[name] != state.tables[name]).any(-1)
            assert moved[:known].any() == (number == 2) and moved[known:].any(), (number, name)
