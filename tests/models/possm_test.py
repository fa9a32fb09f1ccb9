"""POSSM-style: a chunk is read by itself, bins read the chunks they may, and hidden chunks are not silent ones."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.models import possm, poyo
from neurojax.models.interface import Weights, gather_rows
from neurojax.objectives import mtm
from neurojax.schemes import CAUSAL, NEURON, TEMPORAL
from neurojax.train import state
from tests import configs_for_tests
from tests.configs_for_tests import mtm_config
from tests.models.ndt_test import FACTS, B, G, N, T, make_batch, nothing_hidden

CONFIG = configs_for_tests.tokens_config(
    "possm", read_in_width=6, width=8, num_heads=2, num_layers=1, mlp_width=8, state_width=3, event_share=1.0
)


@pytest.fixture(scope="module")
def weights():
    rng, shapes = np.random.default_rng(0), state.abstract_weights(configs_for_tests.model_of(CONFIG), FACTS)
    params, tables = jax.tree.map(lambda leaf: (0.4 * rng.standard_normal(leaf.shape)).astype(np.float32), shapes)
    return Weights(jax.device_put(params), gather_rows(jax.device_put(tables), possm.tables(CONFIG), make_batch()))


@pytest.fixture(scope="module")
def states(weights):
    """(counts, query, bin_valid) -> states [G, b, T, D] of the shared part."""

    @jax.jit
    def found(counts, query, bin_valid):
        inputs = mtm.inputs(make_batch().with_trials(counts=counts), query, mtm_config())
        inputs = inputs._replace(bin_valid=bin_valid)
        return possm.bin_states(weights, inputs, CONFIG, False, None)

    return found


WHOLE = np.ones((G, B, T), bool)


def test_a_chunk_is_read_from_its_own_events_in_any_order(weights):
    counts = make_batch().trials["counts"]
    rows = weights.rows
    units = poyo.embeddings(rows["read_in"])
    inputs = mtm.inputs(make_batch(), nothing_hidden(NEURON), mtm_config())
    expected, in_a_bin = poyo.expected_of(rows, units, inputs)

    @jax.jit
    def read(events):
        given = {"params": weights.params["read"]}
        return possm.ReadChunks(CONFIG).apply(given, units, events, (expected, jnp.log(in_a_bin)), False)

    events = jax.jit(lambda counts: poyo.events_of(counts, np.full(G, N), CONFIG))(counts)
    plain = np.asarray(read(events))  # [B, chunks, D]
    per_chunk = CONFIG.most_events(N)
    order = np.random.default_rng(0).permutation(per_chunk)
    shuffled = np.concatenate([per_chunk * chunk + order for chunk in range(T // 2)])
    np.testing.assert_allclose(read(jax.tree.map(lambda leaf: leaf[..., shuffled], events)), plain, atol=1e-5)
    other = jax.jit(lambda counts: poyo.events_of(counts, np.full(G, N), CONFIG))(
        np.where((np.arange(T) // 2 == 1)[:, None], 3 - np.minimum(counts, 3), counts)
    )
    moved = np.abs(np.asarray(read(other)) - plain).max((0, 2))
    assert moved[1] > 1e-3 and not moved[[0, 2, 3]].any()
    later = poyo.Events(events.time_bins + 2.0, events.unit, events.weight)  # by a whole chunk
    np.testing.assert_allclose(read(later), plain, atol=1e-5)
    within = poyo.Events(events.time_bins + np.float32(0.3), events.unit, events.weight)
    assert np.abs(np.asarray(read(within)) - plain).max() > 1e-3


def test_a_bin_reads_the_chunks_around_it_or_the_last_ones_that_have_ended():
    config = dataclasses.replace(CONFIG, answer_steps=3)
    queries = jnp.arange(10) + 0.5
    found = np.asarray(possm.readable(5, queries, np.array([True, False]), config))  # [2, bins, chunks]
    # chunks end after bins 2, 4, 6, 8, 10
    past = [[], [0], [0], [0, 1], [0, 1], [0, 1, 2], [0, 1, 2], [1, 2, 3], [1, 2, 3], [2, 3, 4]]
    assert [np.flatnonzero(row).tolist() for row in found[0]] == past
    around = [[0, 1], [0, 1], [0, 1, 2], [0, 1, 2], [1, 2, 3], [1, 2, 3], [2, 3, 4], [2, 3, 4], [3, 4], [3, 4]]
    assert [np.flatnonzero(row).tolist() for row in found[1]] == around


def test_a_hidden_chunk_is_not_a_silent_one(states):
    counts = make_batch().trials["counts"]
    silent = np.where((np.arange(T) // 2 == 1)[:, None], 0, counts)
    query = nothing_hidden(TEMPORAL)
    hidden = query._replace(hidden_bins=np.broadcast_to(np.arange(T) // 2 == 1, (G, B, T)))
    seen, unseen = states(silent, query, WHOLE), states(silent, hidden, WHOLE)
    assert np.abs(np.asarray(seen) - unseen).max((0, 1, 3)).min() > 1e-4  # every bin reads or recalls it
    np.testing.assert_array_equal(states(counts, hidden, WHOLE), unseen)


def test_a_short_trial_is_read_as_if_nothing_came_after_it(states):
    """Of chunks that are whole, within the trial; counts after its end are zeros, as batches have them."""
    short = np.broadcast_to(np.arange(T) < 4, (G, B, T))
    counts = make_batch().trials["counts"]
    ended = np.where(short[..., None], counts, 0)
    for scheme in (NEURON, CAUSAL):
        query = nothing_hidden(scheme)
        found = np.asarray(states(ended, query, short))[:, :, :4]
        whole = np.asarray(states(counts, query, WHOLE))[:, :, :4]
        longer = np.asarray(states(ended, query, WHOLE))[:, :, :4]
        assert np.allclose(found, whole, atol=1e-5) == (scheme == CAUSAL)
        assert np.allclose(found, longer, atol=1e-5) == (scheme == CAUSAL)  # silence is no end


def test_settings_out_of_range_are_refused():
    with pytest.raises(InputError, match="model.answer_steps=0"):
        dataclasses.replace(CONFIG, answer_steps=0)
    with pytest.raises(InputError, match="model.width=6 is not a multiple of twice model.num_heads=2"):
        dataclasses.replace(CONFIG, width=6)
