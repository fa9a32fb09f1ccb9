"""A batch computed in parts is the batch, on any mesh, and no part moves between devices."""

import dataclasses
import functools
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import heads, schemes
from neurojax.batch import Batch
from neurojax.data.sources import spikes
from neurojax.errors import InputError
from neurojax.models.interface import Outputs, Weights
from neurojax.objectives import interface, mtm
from neurojax.objectives.interface import LossSums, Query
from neurojax.train import loop, microbatches, sharding
from neurojax.train.step import train_step
from tests import configs_for_tests
from tests.configs_for_tests import first_state, mtm_config

BATCHES = configs_for_tests.batching_config(sessions_per_batch=2, trials_per_batch=32, bucket_units=32)
RULES = ((r"(tables|row_moments).*(read_in|read_out)$", ("model",)), (r"kernel$", (None, "data")))


@pytest.fixture
def without_dropout(recipe):
    """Adam's first step follows a gradient's sign; an epsilon of the gradient's size keeps rounding what it is."""
    config = dataclasses.replace(recipe.model.config, dropout=0.0, dropout_embed=0.0)
    optimizer = dataclasses.replace(recipe.optimizer, epsilon=1e-2)
    return dataclasses.replace(recipe, model=recipe.model._replace(config=config), optimizer=optimizer)


@pytest.fixture
def source(dataset):
    return spikes.open_source(dataset.sessions, BATCHES, 0)


@pytest.fixture
def batch(source):
    return source.batch(0)


def compiled_step(recipe, source, batch, parts, mesh, rules=()):
    """(compiled step, state, batch), the latter two placed on a mesh."""
    abstract = loop.abstract_state(recipe, source.facts, mesh, rules)
    places = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    state = jax.device_put(jax.device_get(first_state(recipe, source)), places)
    batch = sharding.place_batch(mesh, batch, batch.trials["trial_id"].shape[1])
    step = jax.jit(functools.partial(train_step, recipe=recipe, parts=parts), out_shardings=(places, None))
    return step.lower(state, batch).compile(), state, batch


def assert_same_step(found, expected):
    """States and sums to 2e-6 of the largest entry of each array."""
    for (path, leaf), (_, other) in zip(
        jax.tree.leaves_with_path(jax.device_get(found)),
        jax.tree.leaves_with_path(jax.device_get(expected)),
        strict=True,
    ):
        scale = np.max(np.abs(other), initial=0)
        np.testing.assert_allclose(leaf, other, rtol=0, atol=2e-6 * scale, err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize("options", [("mean", 0.5), ("mean", 0.0), ("sum", 0.0)])
def test_losses_and_gradients_of_parts_add_up(options):
    """The objective of the step on a small Poisson regression of 2 x 8 trials: one, two and four parts."""
    rng = np.random.default_rng(0)
    counts, asked = rng.poisson(1.0, (2, 8, 5, 3)).astype(np.uint8), rng.random((2, 8, 5)) < 0.5
    asked[0, 0] = False  # a trial without a target
    asked[:, ::2, 3:] = False  # parts of unequal numbers of entries
    config, head = mtm_config(reduction=options[0], size_power=options[1]), heads.named("poisson")
    query = Query(
        hidden_units=np.zeros((2, 8, 3), bool),
        hidden_bins=asked,
        scheme=np.full((2, 8), schemes.TEMPORAL, np.int32),
        target_units=np.ones((2, 8, 3), bool),
        target_bins=asked,
    )
    trials = ({"counts": counts, "bin_valid": np.ones((2, 8, 5), bool)}, query)

    def apply(weights, inputs, key):
        return Outputs(jnp.broadcast_to(weights.params[None, None, None], inputs.counts.shape))

    def sums_of(log_rates, part, buffers, key):
        return mtm.loss(apply, head, Weights(log_rates, {}), Batch(part[0], {}), part[1], 0, key, config)

    def added_up(log_rates, parts):
        key = jax.random.key(0)
        loss, sums, _, gradients = microbatches.gradients_of_parts(sums_of, log_rates, trials, {}, key, parts)
        return loss, sums, gradients

    log_rates = rng.standard_normal(3).astype(np.float32)
    program = jax.jit(lambda log_rates: [added_up(log_rates, parts) for parts in (1, 2, 4)])
    one, *several = program(log_rates)
    for parts in several:
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), parts, one)
        if options[0] == "mean":  # nats per entry and their gradient, all of about one
            for found, expected in ((parts[0], one[0]), (parts[2], one[2])):
                np.testing.assert_allclose(found, expected, rtol=0, atol=3e-7)
    assert one[1]["entries"] == 3 * asked.sum() and np.all(np.abs(one[2]) > 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [("mean", 0.5), ("sum", 0.0)])
def test_parts_add_up_to_the_step_of_the_whole_batch(loss, without_dropout, source, batch):
    """One, two and four parts: the state to 2e-6, a loss in nats per entry to 3e-7."""
    config = dataclasses.replace(without_dropout.objective.config, reduction=loss[0], size_power=loss[1])
    objective = without_dropout.objective._replace(config=config)
    recipe = dataclasses.replace(without_dropout, objective=objective)
    mesh, results = sharding.make_mesh(1, 1), []
    for parts in (1, 2, 4):
        step, state, placed = compiled_step(recipe, source, batch, parts, mesh)
        results.append(step(state, placed))
    assert results[0][1]["gradient_norm"] > 0.01
    for result in results[1:]:
        assert_same_step(result, results[0])
        if loss[0] == "mean":
            np.testing.assert_allclose(result[1]["loss"], results[0][1]["loss"], rtol=0, atol=3e-7)


@pytest.mark.slow
def test_parts_add_up_on_every_mesh_and_stay_on_their_devices(without_dropout, source, batch):
    step, state, placed = compiled_step(without_dropout, source, batch, 1, sharding.make_mesh(1, 1))
    whole = step(state, placed)
    for shape, rules in (((8, 1), ()), ((4, 2), RULES), ((2, 4), RULES)):
        step, state, placed = compiled_step(without_dropout, source, batch, 2, sharding.make_mesh(*shape), rules)
        assert_same_step(step(state, placed), whole)
        if not rules:  # the state is on every device and trials stay where they are: only sums travel
            moving = r"\b(all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("
            assert re.findall(moving, step.as_text()) == []


def test_every_part_takes_each_devices_own_trials():
    trials = np.arange(2 * 16 * 3).reshape(2, 16, 3)
    parts = np.asarray(microbatches.split(trials, 4))
    assert parts.shape == (4, 2, 4, 3)
    for device in range(4):  # a device of four holds trials 4 d .. 4 d + 3 of each group, and one of each part
        own = trials[:, 4 * device : 4 * device + 4]
        np.testing.assert_array_equal(np.moveaxis(parts[:, :, device], 0, 1), own)


@pytest.mark.parametrize(
    "parts, shapes, devices, message",
    [
        (3, [(1, 9, 8), (2, 8, 8)], 1, "train.microbatches=3, but a batch has 8 trials of each of 2 sessions; choose"),
        (4, [(2, 16, 8)], 8, "of which each of 8 devices holds 2; choose a divisor"),
        (0, [(1, 4, 8)], 1, "train.microbatches=0"),
    ],
)
def test_parts_that_are_not_equal_are_refused(parts, shapes, devices, message):
    with pytest.raises(InputError, match=message):
        microbatches.require_even(parts, shapes, devices)


def test_parts_that_are_equal_pass():
    microbatches.require_even(2, [(2, 16, 8), (1, 32, 24)], 8)
    microbatches.require_even(3, [(2, 6, 8)], 4)  # six trials on four devices: every device holds them all


def test_an_objective_whose_trials_are_coupled_is_not_computed_in_parts(monkeypatch, recipe):
    microbatches.require_even(2, [(2, 16, 8)], 8, recipe.objective)
    coupled = types.SimpleNamespace(SPLITS_INTO_PARTS=False)
    monkeypatch.setattr(interface, "named", lambda name: coupled)
    with pytest.raises(InputError, match="train.microbatches=2, but objective mtm compares the trials of a batch"):
        microbatches.require_even(2, [(2, 16, 8)], 8, recipe.objective)
    microbatches.require_even(1, [(2, 16, 8)], 8, recipe.objective)


def test_every_part_draws_its_own_dropout():
    """The parts' draws are summed; where all are the same, the sum's square is four times that of the squares."""

    def sums_of(weight, trials, buffers, key):
        drawn = jax.random.uniform(key, (50,))
        return LossSums(weight * drawn.sum(), None, {"drawn": drawn, "squares": jnp.square(drawn)}, buffers)

    trials = np.zeros((2, 8))
    drawn = jax.jit(lambda key: microbatches.gradients_of_parts(sums_of, jnp.float32(1), trials, {}, key, 4)[1])
    found = drawn(jax.random.key(0))
    assert np.all(np.square(found["drawn"]) < 3.999 * found["squares"])


def test_buffers_go_from_each_part_to_the_next():
    """In the order of the parts, and not added up as sums are."""

    def sums_of(weight, trials, buffers, key):
        last = 10 * buffers["last"] + trials.max()
        return LossSums(weight * trials.sum(), jnp.float32(trials.size), {}, {"last": last})

    trials = jnp.asarray([[1.0, 2.0, 3.0, 4.0]])
    parts = jax.jit(
        lambda buffers: microbatches.gradients_of_parts(sums_of, jnp.float32(1), trials, buffers, jax.random.key(0), 4)
    )
    loss, _, buffers, gradient = parts({"last": jnp.float32(7)})
    assert buffers["last"] == 71234 and loss == gradient == 2.5
