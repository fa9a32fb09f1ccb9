"""What was not observed enters no model and no loss, and a mask that hides nothing changes nothing."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import heads
from neurojax.batch import entry_valid
from neurojax.data import batching
from neurojax.data.batching import Layout
from neurojax.data.session import TRAIN
from neurojax.data.store.sessions import from_counts
from neurojax.facts import Facts
from neurojax.models import stitcher
from neurojax.models.interface import Weights, gather_rows
from neurojax.train import settings
from neurojax.train.state import abstract_weights
from tests.configs_test import CONFIGS, load

# A student's batches come with questions: its loss without answers is that of MtM, see objectives/distil.
# The temporal baseline is the model and objective of MtM, which draws its scheme among others. Nodes of joint are
# known bin by bin, see tests/objectives/joint_test.py.
OTHERS = ("emg", "eeg", "mindeye", "twin", "causal_lm", "student", "temporal", "joint")
SPIKES = [path for path in CONFIGS if path.stem not in OTHERS]


def make_batch(share):
    """(batch of 6 trials with entries observed by chance, facts)."""
    rng = np.random.default_rng(3)
    counts = rng.poisson(0.7, (6, 10, 8)).astype(float)
    counts[rng.random(counts.shape) > share] = np.nan
    counts[:, 0, 0] = 1.0
    session = from_counts(
        counts, bin_size_s=0.02, session_id="day", split=np.full(6, TRAIN), region=np.repeat(["CA1", "LP"], 4)
    )
    layout = Layout.of([session])
    batch = batching.session_batch(session, layout, np.arange(6), 8)
    return jax.tree.map(jnp.asarray, batch), Facts(10, 0.02, (8,), np.full(8, 0.7, np.float32))


@functools.cache
def program_of(path):
    """Batch -> (loss, gradient with respect to all weights) under a config, without dropout; compiled once."""
    _, facts = make_batch(1.0)
    declared = load(path, "improved")
    model, objective = settings.model_of(declared), settings.objective_of(declared)
    rng = np.random.default_rng(0)
    shapes = abstract_weights(model, facts)
    drawn = jax.tree.map(lambda leaf: (0.2 * rng.standard_normal(leaf.shape)).astype(np.float32), shapes)

    def loss(weights, batch):
        params, tables = weights
        query = objective.module.draw(jax.random.key(0), batch, jnp.int32(0), objective.config)
        rows = gather_rows(tables, model.module.tables(model.config), batch)
        apply = functools.partial(model.module.apply, config=model.config, train=False)
        arguments = (heads.named("poisson"), Weights(params, rows), batch, query, jnp.int32(9), None)
        return objective.module.loss(apply, *arguments, objective.config).loss()

    return functools.partial(jax.jit(jax.value_and_grad(loss)), drawn)


@pytest.mark.parametrize("path", SPIKES, ids=lambda path: path.stem)
def test_what_was_not_observed_changes_neither_loss_nor_gradient(path):
    batch, _ = make_batch(0.6)
    unseen = ~entry_valid(batch)
    assert unseen.any()
    other = batch.with_trials(counts=jnp.where(unseen, 7, batch.trials["counts"]).astype(jnp.uint8))
    ours, theirs = program_of(path)(batch), program_of(path)(other)
    for mine, yours in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(mine, yours)


@pytest.mark.parametrize("path", SPIKES, ids=lambda path: path.stem)
def test_a_mask_that_hides_nothing_gives_the_loss_without_one(path):
    batch, _ = make_batch(1.0)
    assert "entry_valid" not in batch.trials
    whole = jnp.ones(batch.trials["counts"].shape, bool)
    loss, gradient = program_of(path)(batch)
    masked, masked_gradient = program_of(path)(batch.with_trials(entry_valid=whole))
    np.testing.assert_allclose(masked, loss, rtol=2e-6)
    for mine, yours in zip(jax.tree.leaves(gradient), jax.tree.leaves(masked_gradient), strict=True):
        np.testing.assert_allclose(yours, mine, rtol=2e-4, atol=2e-6)


def test_a_bin_in_which_half_the_units_were_watched_is_inferred_from_these():
    """The matrix of each bin is that of its own visible units, as a pass over these units has it."""
    rng = np.random.default_rng(0)
    rows = {
        "read_in": rng.standard_normal((1, 8, 3)).astype(np.float32),
        "read_in_bias": np.zeros((1, 3), np.float32),
    }
    rates, counts = np.full((1, 8), 0.5, np.float32), rng.standard_normal((1, 2, 4, 8)).astype(np.float32)
    visible = rng.random((1, 2, 4, 8)) < 0.6
    latents = jax.jit(stitcher.read_in)(rows, np.where(visible, counts, 0))
    posterior = jax.jit(stitcher.posterior)
    found = posterior(rows, latents, visible, rates, 0.3)
    latents = np.asarray(latents)
    for trial, time in np.ndindex(2, 4):
        units = visible[:, trial : trial + 1, time]
        alone = posterior(rows, latents[:, trial : trial + 1, time : time + 1], units, rates, 0.3)
        np.testing.assert_allclose(found[0, trial, time], alone[0, 0, 0], rtol=1e-4, atol=1e-5)


def test_the_loss_counts_observed_entries_alone():
    batch, facts = make_batch(0.5)
    declared = load(next(path for path in SPIKES if path.stem == "mtm"), "improved")
    objective = settings.objective_of(declared)
    draw = jax.jit(functools.partial(objective.module.draw, config=objective.config))
    query = draw(jax.random.key(0), batch, jnp.int32(0))
    asked = objective.module.asked(query, batch)
    np.testing.assert_array_equal(asked, query.target() & batch.trials["entry_valid"])
    assert dataclasses.is_dataclass(objective.config) and facts.num_bins == 10
