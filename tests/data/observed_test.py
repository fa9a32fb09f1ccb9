"""Observed time: intervals and arrays are the same thing, and a batch holds what was watched."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.data import batching, observed
from neurojax.data.batching import Layout, Plan
from neurojax.data.session import TEST, TRAIN
from neurojax.data.store.kept_trials import kept_trials
from neurojax.data.store.session_format import open_session, write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.train import placement


def masked_session(seed=0, share=0.7, session_id="day", num_units=6, trials=12):
    """(session, counts with NaN where not observed [trials, T, N])."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.8, (trials, 9, num_units)).astype(float)
    counts[rng.random(counts.shape) > share] = np.nan
    counts[1, 6:] = np.nan  # a shorter trial
    counts[:, 0, 0] = 1.0  # no trial is unobserved
    split = np.where(np.arange(trials) % 4 == 3, TEST, TRAIN)
    return from_counts(counts, bin_size_s=0.02, session_id=session_id, split=split), counts


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 40), st.integers(1, 80), st.floats(0.0, 1.0), st.integers(1, 12))
def test_intervals_and_entries_are_the_same(seed, total_bins, num_units, share, length):
    rng = np.random.default_rng(seed)
    entries = np.repeat(rng.random((total_bins, num_units)) < share, 1 + seed % 3, axis=0)
    found = observed.intervals_of(entries)
    assert (found is None) == bool(entries.all())
    if found is None:
        return
    np.testing.assert_array_equal(observed.entries_of(found, *entries.shape), entries)
    # trials anywhere, longer than what is padded to never, shorter often
    starts = rng.integers(0, len(entries), 5)
    lengths = np.minimum(rng.integers(1, length + 1, 5), len(entries) - starts)
    looked_up = observed.Index(found, *entries.shape).entries(starts, lengths, length)
    for number, (start, stop) in enumerate(zip(starts, starts + lengths, strict=True)):
        np.testing.assert_array_equal(looked_up[number, : stop - start], entries[start:stop])
        assert not looked_up[number, stop - start :].any()


def test_nan_is_not_observed_and_a_nan_tail_is_a_shorter_trial():
    session, counts = masked_session()
    assert session.trial_num_bins.tolist() == [9, 6, *[9] * 10]
    valid = session.entry_valid(np.arange(12))
    np.testing.assert_array_equal(valid, ~np.isnan(counts))
    gathered, _ = session.gather_trials(np.arange(12))
    np.testing.assert_array_equal(gathered, np.nan_to_num(counts))
    train = counts[session.trials_of(TRAIN)]
    np.testing.assert_allclose(session.mean_counts(), np.nanmean(train, axis=(0, 1)))


def test_spikes_where_nobody_watched_are_dropped_and_counted():
    counts = np.ones((4, 5, 2), int)
    seen = np.ones((4, 5), bool)
    seen[2, :2] = False
    session = from_counts(counts, bin_size_s=0.02, session_id="day", split=[0, 0, 1, 2], observed=seen)
    assert session.info["spikes_dropped"] == {"outside of the observed time": 4}
    assert session.counts.sum() == 36 and session.mean_counts().tolist() == [1.0, 1.0]


@pytest.mark.parametrize("wrong", [np.ones(3, bool), np.full((4, 5, 2), 2), np.zeros((4, 5), bool)])
def test_an_observed_that_does_not_fit_is_one_line(wrong):
    with pytest.raises(InputError, match="observed is"):
        from_counts(np.ones((4, 5, 2), int), bin_size_s=0.02, session_id="day", observed=wrong)


def test_it_survives_the_disk_and_the_loss_of_trials(tmp_path):
    session, counts = masked_session()
    back = open_session(write_session(session, tmp_path), verify="full")
    np.testing.assert_array_equal(back.entry_valid(np.arange(12)), ~np.isnan(counts))
    keep = np.arange(12) % 3 != 1
    fewer = kept_trials(back, keep, "of a test")
    np.testing.assert_array_equal(fewer.entry_valid(np.arange(8)), ~np.isnan(counts[keep]))


def test_batches_say_what_was_observed_and_the_device_gathers_the_same():
    sessions = [masked_session(0)[0], masked_session(1, 1.0, "whole", num_units=4)[0]]
    layout = Layout.of(sessions)
    plan = Plan(np.array([0, 1], np.int32), np.array([[0, 1, 5], [2, 1, 1]], np.int32), 8)
    batch = batching.gather(sessions, layout, plan)
    for group, session in enumerate(sessions):
        expected = session.entry_valid(plan.trial[group], layout.num_bins)
        found = batch.trials["entry_valid"][group]
        np.testing.assert_array_equal(found[..., : session.num_units], expected)
        assert not found[..., session.num_units :].any()
    assert not batch.trials["counts"][~batch.trials["entry_valid"]].any()
    resident = placement.place(sessions, layout)
    made = placement.gather_indices(sessions, layout, resident, plan)
    on_device = jax.jit(lambda made, chunks: placement.gather_on_device(chunks, layout.num_bins, *made))
    found = on_device(made, resident.chunks)
    assert found.trials.keys() == batch.trials.keys()
    for name, array in batch.trials.items():
        np.testing.assert_array_equal(found.trials[name], array, err_msg=name)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 4), st.integers(1, 12), st.integers(1, 70))
def test_patterns_of_watched_units_are_counted_and_shown(seed, number, num_bins, num_units):
    """Bins that nobody watched have none; a bin of each pattern stands for all bins that have it."""
    rng = np.random.default_rng(seed)
    trials = 5
    patterns = rng.random((trials, number, num_units)) < rng.choice([0.0, 0.5, 0.9])
    which = rng.integers(0, number, (trials, num_bins))
    entries = np.take_along_axis(patterns, which[..., None], axis=1)  # [trials, T, N]
    flat = entries.reshape(-1, num_units)
    intervals = observed.intervals_of(flat)
    if intervals is None:
        return
    starts, lengths = np.arange(trials) * num_bins, np.full(trials, num_bins)
    different = [len({row.tobytes() for row in own if row.any()}) for own in entries]
    index = observed.Index(intervals, *flat.shape)
    assert index.most_patterns(starts, lengths, 100) == max(1, *different)
    if max(different) > 1:
        assert 1 < index.most_patterns(starts, lengths, 1) <= max(different)
    shown = observed.pattern_bins(entries[None], max(1, *different))
    assert shown.shape == (1, trials, max(1, *different)) and shown.dtype == np.int32
    for own, bins in zip(entries, shown[0], strict=True):
        assert {row.tobytes() for row in own[bins] if row.any()} == {row.tobytes() for row in own if row.any()}


def test_batches_show_patterns_where_trials_have_few():
    """A probe that dies between trials leaves one a trial; entries at random leave too many to sort."""
    seen = np.ones((12, 9, 6), bool)
    seen[6:, :, :3] = False  # a probe that dies between two trials
    seen[2, 3:5] = False  # nobody watched for a while
    facts = {"bin_size_s": 0.02, "session_id": "day", "split": np.full(12, TRAIN)}

    def batch_of(seen):
        session = from_counts(np.ones((12, 9, 6), int), observed=seen, **facts)
        layout = Layout.of([session])
        return layout.num_patterns, batching.session_batch(session, layout, np.arange(12), 8)

    number, batch = batch_of(seen)
    assert number == 1 and batch.trials["pattern_bin"].shape == (1, 12, 1)
    within = seen.copy()
    within[8, 4:, 3] = False
    number, batch = batch_of(within)
    assert number == 2 and batch.trials["pattern_bin"][0, 8].tolist() == [0, 4]
    number, batch = batch_of(np.random.default_rng(0).random(seen.shape) < 0.7)
    assert number is None and "pattern_bin" not in batch.trials and "entry_valid" in batch.trials


def test_a_dataset_observed_throughout_has_no_mask():
    session = from_counts(np.ones((4, 5, 2), int), bin_size_s=0.02, session_id="day", observed=np.ones((4, 5), bool))
    layout = Layout.of([session])
    assert session.validity is None and layout.all_observed and layout.num_patterns is None
    assert "entry_valid" not in batching.session_batch(session, layout, np.arange(4), 4).trials


def test_a_population_that_falls_silent_was_not_recorded():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 600, 30_000))
    times = times[(times < 200) | (times > 260)]
    gap, *_ = observed.gaps_of(observed.heard(times, 20))[1:-1]
    assert abs(gap[0] - 200) < 0.5 and abs(gap[1] - 260) < 0.5
    ends = observed.heard(times, 20)[[0, -1], [0, 1]]
    assert -5 < ends[0] < 0 and 600 < ends[1] < 605
    assert np.isinf(observed.heard(times, 3)).all()  # three units may all be silent
    slow = np.sort(rng.uniform(0, 600, 300))
    assert len(observed.heard(slow, 20)) == 1  # gaps of seconds are nothing at half a spike a second
    bins = observed.inside_bins(observed.heard(times, 20), np.array([190.0, 255.0]), np.array([10, 3]), 2.0)
    assert bins.tolist() == [True] * 5 + [False] * 8  # the last bin begins a second before the end of the gap


def test_a_bin_counts_as_observed_when_next_to_nothing_of_it_sticks_out():
    watched = observed.merged(np.array([[0.0, 1.0], [1.0, 2.0], [np.nan, np.nan], [9.0, 8.0]]))
    assert watched.tolist() == [[0.0, 2.0]]
    bins = observed.inside_bins(watched, np.array([-0.0005, 1.91, 1.05]), np.array([1, 3, 10]), 0.1)
    assert bins.tolist() == [True, False, False, False, *[True] * 9, False]


@pytest.mark.parametrize("open_end", [np.inf, np.nan])
def test_intervals_may_be_open_at_their_ends(open_end):
    """Bad from here to the end: the commonest way to say that a probe was lost."""
    rows = np.array([[150.0, open_end], [-open_end, 50.0], [np.nan, np.nan]])
    assert observed.merged(rows).tolist() == [[-np.inf, 50.0], [150.0, np.inf]]
    assert observed.gaps_of(rows).tolist() == [[50.0, 150.0]]
    assert observed.gaps_of(np.array([[-np.inf, np.inf]])).shape == (0, 2)
    bins = observed.inside_bins(observed.merged(rows), np.array([0.0]), np.array([20]), 10.0)
    assert bins.tolist() == [True] * 5 + [False] * 10 + [True] * 5
