"""The source of spikes: facts of all rows, batches of the train split, sessions that come later."""

import numpy as np
import pytest

from neurojax.data import batching
from neurojax.data.batching import Planner, gather
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.sources import spikes
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from tests import configs_for_tests

CONFIG = configs_for_tests.batching_config(sessions_per_batch=2, trials_per_batch=4, bucket_units=8)
SPLIT = np.asarray([TRAIN, TRAIN, TRAIN, VALIDATION, VALIDATION, TEST, TRAIN])


def make(name, num_units, seed, split=SPLIT):
    """Ragged trials of 3 to 6 bins."""
    rng = np.random.default_rng([seed, num_units])
    offsets = np.concatenate([[0], np.cumsum(rng.integers(3, 7, len(split)))])
    counts = rng.poisson(1.0, (offsets[-1], num_units))
    return from_counts(counts, bin_size_s=0.02, session_id=name, trial_offsets=offsets, split=split)


SESSIONS = [make(name, units, number) for number, (name, units) in enumerate(zip("abcd", (5, 7, 12, 6), strict=True))]


def equal(one, other) -> bool:
    pairs = [(left[name], right[name]) for left, right in zip(one, other, strict=True) for name in left]
    return [set(part) for part in one] == [set(part) for part in other] and all(np.array_equal(*pair) for pair in pairs)


def test_facts_are_sizes_of_all_rows_and_means_of_the_train_split():
    source = spikes.open_source(SESSIONS, CONFIG, 0)
    facts = source.facts
    assert facts.units_per_session == (5, 7, 12, 6) and facts.bin_size_s == 0.02
    assert facts.num_bins == max(session.trial_num_bins.max() for session in SESSIONS)
    assert (facts.num_channels, facts.num_classes) == (0, 0)
    assert facts.mean_counts.dtype == np.float32
    rows = np.split(facts.mean_counts, np.cumsum(facts.units_per_session)[:-1])
    for session, found in zip(SESSIONS, rows, strict=True):
        starts, lengths = session.trial_start_bin, session.trial_num_bins
        train = np.concatenate(
            [session.counts[starts[t] : starts[t] + lengths[t]] for t in np.flatnonzero(session.split == TRAIN)]
        )
        expected = (train.sum(0) + 1) / (len(train) + 1)  # one spike more, so that a silent unit has a logarithm
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_unit_that_never_fires_in_training_has_a_positive_mean():
    silent = make("silent", 4, 9)
    counts = np.asarray(silent.counts).copy()
    counts[:, 2] = 0
    silent = from_counts(
        counts, bin_size_s=0.02, session_id="silent", split=SPLIT,
        trial_offsets=np.append(silent.trial_start_bin, len(counts)),
    )  # fmt: skip
    assert 0 < spikes.open_source([silent], CONFIG, 0).facts.mean_counts[2] < 0.1


def test_batches_are_those_of_the_planner_whatever_was_asked_before():
    source, other = (spikes.open_source(SESSIONS, CONFIG, 3) for _ in range(2))
    planner, layout = Planner(SESSIONS, CONFIG, 3), source.layout
    asked = {index: source.batch(index) for index in (5, 0, 2)}
    for index in range(6):
        expected = gather(SESSIONS, layout, planner.plan(index))
        assert equal(other.batch(index), expected)
        assert index not in asked or equal(asked[index], expected)
        names = [SESSIONS[row].session_id for row in expected.groups["session_row"]]
        assert source.session_names(index) == names
        for row, trials in zip(expected.groups["session_row"], expected.trials["trial_id"], strict=True):
            assert np.all(SESSIONS[row].split[trials] == TRAIN)
    shapes = {other.batch(index).trials["counts"].shape for index in range(12)}
    assert shapes == set(source.shapes()) and len(shapes) == 2
    assert not equal(source.batch(0), spikes.open_source(SESSIONS, CONFIG, 4).batch(0))


def test_processes_gather_their_own_trials_of_each_group():
    source = spikes.open_source(SESSIONS, CONFIG, 0)
    whole = source.batch(1)
    halves = [
        source.batch(1, lambda num_trials, k=k: slice(k * num_trials // 2, (k + 1) * num_trials // 2)) for k in (0, 1)
    ]
    for name, array in whole.trials.items():
        np.testing.assert_array_equal(np.concatenate([half.trials[name] for half in halves], axis=1), array)
    for half in halves:
        assert equal(({}, half.groups), ({}, whole.groups))


def test_the_largest_batch_has_the_shape_of_most_entries():
    source = spikes.open_source(SESSIONS, CONFIG, 0)
    largest = max(source.shapes(), key=np.prod)
    assert source.largest_batch().trials["counts"].shape == largest
    assert {np.prod(shape) for shape in source.shapes()} != {np.prod(largest)}


def test_validation_batches_hold_each_sessions_validation_trials_padded_by_trials_without_a_bin():
    without = make("none", 3, 8, split=np.full(7, TRAIN))
    source = spikes.open_source([*SESSIONS, without], CONFIG, 0)
    batches = source.validation_batches()
    assert [batch.groups["session_row"].tolist() for batch in batches] == [[0], [1], [2], [3]]
    for session, batch in zip(SESSIONS, batches, strict=True):
        assert batch.trials["trial_id"][0].tolist() == [3, 4, 4, 4]
        valid = batch.trials["bin_valid"][0].sum(-1)
        assert valid.tolist() == [*session.trial_num_bins[[3, 4]], 0, 0]


def test_sessions_that_join_a_run_are_drawn_alone_until_a_step_and_rows_are_the_runs():
    """Sessions a and b are known; the table has a row set of each of the four."""
    table = batching.session_table(SESSIONS)
    source = spikes.open_source(SESSIONS, CONFIG, 0, table, new_until=(2, 10))
    drawn = [set(source.plan(index).session.tolist()) for index in range(40)]
    assert set.union(*drawn[:10]) == {2, 3} and set.union(*drawn[10:]) == {0, 1, 2, 3}
    later = spikes.open_source(SESSIONS[2:], CONFIG, 0, table)
    assert later.facts.units_per_session == (5, 7, 12, 6) and later.layout.session_row.tolist() == [2, 3]
    assert np.all(later.facts.mean_counts[:12] == 1)  # of sessions that are not at hand
    np.testing.assert_array_equal(later.facts.mean_counts[12:], source.facts.mean_counts[12:])


def test_plans_are_those_of_new_sessions_up_to_the_step_and_of_all_from_there():
    source = spikes.open_source(SESSIONS, CONFIG, 0, None, new_until=(2, 7))
    new, every = Planner(SESSIONS, CONFIG, 0, only=np.arange(4) >= 2), Planner(SESSIONS, CONFIG, 0)
    for index in range(14):
        expected, found = (new if index < 7 else every).plan(index), source.plan(index)
        assert found.width == expected.width
        np.testing.assert_array_equal(found.session, expected.session)
        np.testing.assert_array_equal(found.trial, expected.trial)
    assert not np.array_equal(new.plan(6).trial, every.plan(6).trial)
    shapes = {
        (groups, trials, source.facts.num_bins, units)
        for planner in (new, every)
        for groups, trials, units in planner.shapes()
    }
    assert set(source.shapes()) == shapes and len(source.shapes()) == len(shapes)


def test_data_without_a_training_trial_are_refused():
    with pytest.raises(InputError, match="no session has a training trial"):
        spikes.open_source([make("test", 4, 0, split=np.full(7, TEST))], CONFIG, 0)
