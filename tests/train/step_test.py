"""A step learns, repeats bit for bit, and leaves the state alone when its numbers are not finite."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import masking, metrics, unit_sums
from neurojax.data.batching import Layout, Planner, gather
from neurojax.models import ndt, stitcher
from neurojax.train import first_rows, loop
from neurojax.train.step import Freeze, train_step, validation_sums
from neurojax.types import VALIDATION

step = jax.jit(train_step, static_argnames="recipe")  # not donated: states are compared


def start(recipe, dataset):
    layout = Layout.of(dataset.sessions)
    state = jax.jit(functools.partial(loop._initial_state, recipe, layout.num_units))(first_rows.train_means(dataset))
    return state, layout


def run(recipe, dataset, batches, num_steps, first=None):
    state, layout = start(recipe, dataset)
    planner = Planner(dataset.sessions, batches, recipe.seed)
    history = []
    for index in range(num_steps):
        batch = gather(dataset.sessions, layout, planner.plan(index))
        state, sums = step(state, batch, recipe)
        history.append(sums)
    return state, jax.device_get(history), batch


def test_a_hundred_steps_beat_the_mean_rate_on_validation_trials_and_repeat_bit_for_bit(
    recipe, dataset, batches, equal_trees
):
    state, history, _ = run(recipe, dataset, batches, recipe.num_steps)
    layout = Layout.of(dataset.sessions)
    planner = Planner(dataset.sessions, batches, 0, split=VALIDATION)
    null = np.log(first_rows.train_means(dataset))
    score = jax.jit(functools.partial(validation_sums, recipe=recipe))
    untrained, _ = start(recipe, dataset)

    def bits_per_spike(state, scheme):
        sums, null_rates = zip(
            *(
                score(state.params, state.tables, null, gather(dataset.sessions, layout, planner.plan(i)), i, scheme)
                for i in range(4)
            ),
            strict=True,
        )
        null_rates = np.concatenate(null_rates)
        return unit_sums.host_scores(unit_sums.joined(sums), null_rates, null_rates)["bps_pooled_train_null"]

    assert bits_per_spike(state, masking.NEURON) > 0.3
    assert bits_per_spike(state, masking.INTER_REGION) > 0.25
    assert abs(bits_per_spike(untrained, masking.NEURON)) < 1e-5  # it starts at the null

    assert int(state.step) == recipe.num_steps and int(state.skipped) == 0
    again, repeated, _ = run(recipe, dataset, batches, 10)
    equal_trees(repeated, history[:10])
    loss = np.asarray([sums["loss"] for sums in history])
    assert loss[-20:].mean() < loss[:20].mean() - 0.02


def test_validation_sums_on_the_device_score_as_the_host_does(recipe, dataset, batches):
    """Rates of the same masks fetched and scored in float64: the scores agree to 1e-5."""
    state, layout = start(recipe, dataset)
    batch = gather(dataset.sessions, layout, Planner(dataset.sessions, batches, 0, split=VALIDATION).plan(1))
    tables = state.tables | {"read_out_bias": state.tables["read_out_bias"] + 0.2}  # not the null itself
    null = np.log(first_rows.train_means(dataset))
    sums, null_rates = jax.jit(functools.partial(validation_sums, recipe=recipe))(
        state.params, tables, null, batch, 1, masking.INTRA_REGION
    )
    ours = unit_sums.host_scores(sums, null_rates, null_rates)

    schemes = np.full(batch.trial_id.shape, masking.INTRA_REGION, np.int32)
    key = jax.random.fold_in(jax.random.key(recipe.seed + 1), 1)
    masks = masking.draw_masks(key, batch, schemes, recipe.masking)
    log_rates = ndt.log_rates(state.params, stitcher.gather_rows(tables, batch), batch, masks, schemes, recipe.model)
    groups = len(batch.session_id)
    flat = [
        np.concatenate([np.asarray(entries)[group] for group in range(groups)], axis=-1)
        for entries in (np.exp(np.asarray(log_rates, np.float64)), batch.counts, masks.target())
    ]
    theirs = metrics.poisson_scores(metrics.poisson_sums(*flat[:2], np.asarray(null_rates), flat[2]))
    for name in ("bps_pooled_train_null", "bps_unit_mean_train_null", "bps_pooled", "d2_pooled"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5, err_msg=name)
    assert abs(ours["bps_pooled_train_null"]) > 0.01


def test_sums_are_the_losses_parts(recipe, dataset, batches):
    _, history, batch = run(recipe, dataset, batches, 1)
    sums = history[0]
    np.testing.assert_allclose(sums["loss"], sums["nll_sum"] / sums["entries"], rtol=1e-5)
    valid = batch.unit_valid.sum(1) * batch.bin_valid.sum((1, 2))
    assert 0 < sums["entries"] < valid.sum()
    assert sums["gradient_norm"] > 0 and sums["skipped"] == 0
    expected = recipe.optimizer.learning_rate / recipe.optimizer.initial_divisor
    np.testing.assert_allclose(sums["learning_rate"], expected, rtol=1e-5)


@pytest.mark.parametrize("poisoned", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_counters_only(poisoned, recipe, dataset, batches, equal_trees):
    healthy, layout = start(recipe, dataset)
    batch = gather(dataset.sessions, layout, Planner(dataset.sessions, batches, 0).plan(0))
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
        ("masks", masking.MaskingConfig(("neuron",)), 0.0, (0, 1)),
        ("dropout", masking.MaskingConfig(("neuron",), **EVERYTHING), 0.3, (0,)),
        ("schemes", masking.MaskingConfig(("neuron", "temporal"), **EVERYTHING), 0.0, (0,)),  # told apart by prompts
    ],
)
def test_every_step_and_every_seed_draws_anew(drawn, hidden, dropout, seeds, recipe, dataset, batches):
    """One state and one batch: losses of different steps and seeds differ by the one thing that is drawn here."""
    model = dataclasses.replace(recipe.model, dropout=dropout, dropout_embed=dropout)
    state, layout = start(recipe, dataset)
    batch = gather(dataset.sessions, layout, Planner(dataset.sessions, batches, 0).plan(0))

    @jax.jit
    def losses(state, batch):
        def loss_at(step, seed):
            drawn_here = dataclasses.replace(recipe, seed=seed, model=model, masking=hidden)
            return train_step(state._replace(step=step), batch, drawn_here)[1]["loss"]

        return [jax.vmap(functools.partial(loss_at, seed=seed))(jnp.arange(5)) for seed in seeds]

    found = np.concatenate(losses(with_read_out(state), batch))
    assert len(np.unique(found)) == len(found) == 5 * len(seeds), drawn


def test_a_run_frozen_until_a_step_trains_everything_at_that_step(recipe, dataset, batches):
    """Sessions 0 and 1 are known: before the step their rows and the shared parameters rest, at it all move."""
    layout = Layout.of(dataset.sessions)
    known_units = int(layout.num_units[:2].sum())
    recipe = dataclasses.replace(recipe, freeze=Freeze(until_step=2, unit_rows=known_units, session_rows=2))
    state = jax.device_get(with_read_out(start(recipe, dataset)[0]))
    planner = Planner(dataset.sessions, batches, 0)
    plan = next(plan for plan in map(planner.plan, range(20)) if 2 in plan.session)  # a known session and the new one
    batch = gather(dataset.sessions, layout, plan)
    for number in (1, 2):
        after, sums = jax.device_get(step(state._replace(step=np.int32(number)), batch, recipe))
        assert sums["skipped"] == 0
        pairs = zip(jax.tree.leaves(after.params), jax.tree.leaves(state.params), strict=True)
        assert all(np.array_equal(*pair) != (number == 2) for pair in pairs)
        for name, known in (("read_out", known_units), ("session_token", 2)):
            moved = (after.tables[name] != state.tables[name]).any(-1)
            assert moved[:known].any() == (number == 2) and moved[known:].any(), (number, name)
