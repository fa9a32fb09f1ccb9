"""Batches gathered on the device are the host's, bit for bit."""

import re
import types

import jax
import numpy as np
import pytest

from neurojax.data import batching
from neurojax.data.batching import Layout, Planner
from neurojax.data.session import TRAIN
from neurojax.data.sources import spikes
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.train import dispatch, placement, sharding
from tests.configs_for_tests import batching_config, loop_config

SIZES = (5, 7, 12, 6)


def make_sessions(largest_count):
    """Ragged trials of 3 to 6 bins."""
    sessions = []
    for number, num_units in enumerate(SIZES):
        rng = np.random.default_rng(number)
        offsets = np.concatenate([[0], np.cumsum(rng.integers(3, 7, 8))])
        counts = rng.integers(0, largest_count + 1, (offsets[-1], num_units))
        session = from_counts(
            counts, bin_size_s=0.02, session_id=f"s{number}", trial_offsets=offsets, split=np.full(8, TRAIN),
            region=rng.choice(["CA1", "root"], num_units),
        )  # fmt: skip
        sessions.append(session)
    return sessions


@pytest.mark.parametrize("largest_count, dtype", [(9, np.uint8), (999, np.uint16)])
@pytest.mark.parametrize("max_chunk, chunks", [(placement.MAX_CHUNK, 1), (500, 3), (700, 2)])
def test_device_batches_are_the_hosts_bit_for_bit(largest_count, dtype, max_chunk, chunks):
    sessions = make_sessions(largest_count)
    layout = Layout.of(sessions)
    planner = Planner(sessions, batching_config(sessions_per_batch=2, trials_per_batch=4, bucket_units=8), 0)
    resident = placement.place(sessions, layout, max_chunk)
    assert len(resident.chunks) == chunks and all(chunk.size <= max_chunk for chunk in resident.chunks)
    assert {chunk.dtype for chunk in resident.chunks} == {np.dtype(dtype)}
    on_device = jax.jit(lambda made, chunks: placement.gather_on_device(chunks, layout.num_bins, *made))
    seen = set()
    for index in range(8):
        plan = planner.plan(index)
        seen |= set(plan.session.tolist())
        expected = batching.gather(sessions, layout, plan)
        found = on_device(placement.gather_indices(sessions, layout, resident, plan), resident.chunks)
        for ours, theirs in ((found.trials, expected.trials), (found.groups, expected.groups)):
            assert set(ours) == set(theirs)
            for name, array in theirs.items():
                assert ours[name].dtype == array.dtype, name
                np.testing.assert_array_equal(ours[name], array, err_msg=name)
    assert seen == {0, 1, 2, 3}


def test_each_device_gathers_its_own_trials():
    """Of eight devices, without a word between them; what they hold together is the host's batch."""
    sessions = make_sessions(9)
    config = batching_config(sessions_per_batch=2, trials_per_batch=16, bucket_units=8)
    source = spikes.open_source(sessions, config, 0)
    feed = dispatch.feed_of(source, loop_config(placement="device"), sharding.make_mesh(8, 1))
    placed = feed.place(feed.make(0))
    gather = jax.jit(feed.unpack).lower(placed, feed.resident).compile()
    counts = gather(placed, feed.resident).trials["counts"]
    assert {shard.data.shape[1] for shard in counts.addressable_shards} == {1}
    np.testing.assert_array_equal(counts, source.batch(0).trials["counts"])
    text = gather.as_text()
    assert "gather(" in text and not re.search(r"all-gather|all-reduce|all-to-all|collective-permute", text)


def test_a_session_larger_than_a_chunk_is_refused():
    sessions = make_sessions(9)
    with pytest.raises(InputError, match=r"session s2 has \d+ entries, at most 400 fit .*data.placement=host"):
        placement.place(sessions, Layout.of(sessions), max_chunk=400)


def test_only_spike_counts_are_held_on_the_device():
    source = types.SimpleNamespace(trials_per_batch=8)  # of another kind of data: no layout of units
    with pytest.raises(InputError, match="holds spike counts only; set data.placement=host"):
        dispatch.feed_of(source, loop_config(placement="device"), sharding.make_mesh(8, 1))
