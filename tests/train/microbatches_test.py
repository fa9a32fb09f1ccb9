"""A batch computed in parts is the batch, on any mesh, and no part moves between devices."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import losses, masking
from neurojax.data.batching import BatchingConfig, Layout, Planner, gather
from neurojax.errors import InputError
from neurojax.train import first_rows, loop, microbatches, sharding
from neurojax.train.step import train_step

BATCHES = BatchingConfig(sessions_per_batch=2, trials_per_batch=32, bucket_units=32)
RULES = ((r"(tables|row_moments).*(read_in|read_out)$", ("model",)), (r"kernel$", (None, "data")))


@pytest.fixture
def without_dropout(recipe):
    """Adam's first step follows a gradient's sign; an epsilon of the gradient's size keeps rounding what it is."""
    model = dataclasses.replace(recipe.model, dropout=0.0, dropout_embed=0.0)
    return dataclasses.replace(recipe, model=model, optimizer=dataclasses.replace(recipe.optimizer, epsilon=1e-2))


@pytest.fixture
def batch(dataset):
    return gather(dataset.sessions, Layout.of(dataset.sessions), Planner(dataset.sessions, BATCHES, 0).plan(0))


def compiled_step(recipe, dataset, batch, parts, mesh, rules=()):
    """(compiled step, state, batch), the latter two placed on a mesh."""
    layout = Layout.of(dataset.sessions)
    abstract = loop.abstract_state(recipe, layout.num_units, mesh, rules)
    places = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    init = functools.partial(loop._initial_state, recipe, layout.num_units)
    state = jax.device_put(jax.device_get(jax.jit(init)(first_rows.train_means(dataset))), places)
    batch = sharding.place_batch(mesh, batch, batch.trial_id.shape[1])
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


def test_losses_and_gradients_of_parts_add_up():
    """The reductions of the step on a small Poisson regression of 2 x 8 trials."""
    rng = np.random.default_rng(0)
    counts, target_mask = rng.poisson(1.0, (2, 8, 5, 3)).astype(np.float32), rng.random((2, 8, 5, 3)) < 0.5
    log_rates = rng.standard_normal(3).astype(np.float32)
    for reduction in (("mean", 0.5), ("mean", 0.0), ("sum", 0.0)):
        total = losses.trial_weights(target_mask.sum((-2, -1)).astype(np.float32), *reduction)[1]

        def loss_of(log_rates, trials, key, reduction=reduction, total=total):
            counts, target_mask = trials
            nll = losses.poisson_nll(jnp.broadcast_to(log_rates[None, None, None], counts.shape), counts)
            nll_sum, entries = losses.masked_sums(nll, target_mask)
            return losses.reduce_loss(nll_sum, entries, *reduction, total), entries.sum()

        def added_up(log_rates, parts, loss_of=loss_of):
            return microbatches.value_and_grad(loss_of, log_rates, (counts, target_mask), jax.random.key(0), parts)

        one, four = jax.jit(lambda log_rates: (added_up(log_rates, 1), added_up(log_rates, 4)))(log_rates)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), four, one)
        assert one[0][1] == target_mask.sum() and np.all(np.abs(one[1]) > 1e-3)


def test_targets_of_a_trial_are_counted_without_writing_them_out(recipe, batch):
    key, scheme = jax.random.key(1), jnp.arange(32).reshape(2, 16) % 5

    @jax.jit
    def counted(key):
        masks = masking.draw_masks(key, batch, scheme, recipe.masking)
        return masks.num_targets(), masks.target().sum((-2, -1))

    np.testing.assert_array_equal(*counted(key))


@pytest.mark.slow
@pytest.mark.parametrize("loss", [("mean", 0.5), ("sum", 0.0)])
def test_parts_add_up_to_the_step_of_the_whole_batch(loss, without_dropout, dataset, batch):
    recipe = dataclasses.replace(without_dropout, loss_reduction=loss[0], loss_size_power=loss[1])
    mesh, results = sharding.make_mesh(1, 1), []
    for parts in (1, 4):
        step, state, placed = compiled_step(recipe, dataset, batch, parts, mesh)
        results.append(step(state, placed))
    assert results[0][1]["gradient_norm"] > 0.01
    assert_same_step(results[1], results[0])


@pytest.mark.slow
def test_parts_add_up_on_every_mesh_and_stay_on_their_devices(without_dropout, dataset, batch):
    step, state, placed = compiled_step(without_dropout, dataset, batch, 1, sharding.make_mesh(1, 1))
    whole = step(state, placed)
    for shape, rules in (((8, 1), ()), ((4, 2), RULES), ((2, 4), RULES)):
        step, state, placed = compiled_step(without_dropout, dataset, batch, 2, sharding.make_mesh(*shape), rules)
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


def test_every_part_draws_its_own_dropout():
    """The parts' draws are summed; where all are the same, the sum's square is four times that of the squares."""

    def loss_of(weight, trials, key):
        drawn = jax.random.uniform(key, (50,))
        return weight * drawn.sum(), (drawn, jnp.square(drawn))

    trials = np.zeros((2, 8))
    (_, (once, squares)), _ = jax.jit(lambda key: microbatches.value_and_grad(loss_of, jnp.float32(1), trials, key, 4))(
        jax.random.key(0)
    )
    assert np.all(np.square(once) < 3.999 * squares)
