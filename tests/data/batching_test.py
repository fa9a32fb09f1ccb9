"""Batch i is a function of (seed, i): its sessions, its trials, its shapes, its bytes."""

import dataclasses
import hashlib
import math

import numpy as np
import pytest

from neurojax.data import pipeline
from neurojax.data.batching import (
    BatchingConfig,
    Layout,
    Plan,
    Planner,
    gather,
    padded_width,
    session_table,
)
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from tests.configs_for_tests import batching_config

CONFIG = batching_config(sessions_per_batch=2, trials_per_batch=4, bucket_units=8)


def make(name, num_units, num_trials=9, seed=0, **fields):
    """Ragged trials of 3 to 6 bins; the first 2 of 3 trials train."""
    rng = np.random.default_rng([seed, num_units])
    offsets = np.concatenate([[0], np.cumsum(rng.integers(3, 7, num_trials))])
    split = np.resize([TRAIN, TRAIN, TEST], num_trials)
    split[-1] = VALIDATION
    counts = rng.poisson(1.0, (offsets[-1], num_units))
    region = rng.choice(["CA1", "LP", "root", "VISp"], num_units)
    fields = {"split": split, "region": region} | fields
    return from_counts(counts, bin_size_s=0.02, session_id=name, trial_offsets=offsets, **fields)


SESSIONS = [make("a", 5), make("b", 7), make("c", 12), make("d", 6), make("e", 16)]


def equal(one: Plan, other: Plan) -> bool:
    return one.width == other.width and all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


def test_a_plan_depends_on_seed_and_index_alone():
    forward = [Planner(SESSIONS, CONFIG, 3).plan(i) for i in range(6)]
    planner = Planner(SESSIONS, CONFIG, 3)
    backward = {i: planner.plan(i) for i in reversed(range(6))}
    assert all(equal(plan, backward[i]) for i, plan in enumerate(forward))
    assert len({plan.trial.tobytes() for plan in forward}) > 3
    assert not all(equal(plan, Planner(SESSIONS, CONFIG, 4).plan(i)) for i, plan in enumerate(forward))


def test_sessions_are_distinct_of_one_bucket_and_trials_are_distinct_train_trials():
    planner = Planner(SESSIONS, CONFIG, 0)
    assert planner.shapes() == [(2, 2, 8), (2, 2, 16)]
    for plan in map(planner.plan, range(40)):
        assert len(set(plan.session)) == 2
        assert {padded_width(SESSIONS[session].num_units, 8) for session in plan.session} == {plan.width}
        for session, trials in zip(plan.session, plan.trial, strict=True):
            assert len(set(trials)) == len(trials)
            assert np.all(SESSIONS[session].split[trials] == TRAIN)


def test_another_split_and_sessions_that_lack_it():
    only_test = make("only_test", 4, split=np.full(9, TEST))
    validation = Planner([*SESSIONS, only_test], CONFIG, 0, split=VALIDATION)
    for plan in map(validation.plan, range(10)):
        assert 5 not in plan.session  # it has none
        for session, trials in zip(plan.session, plan.trial, strict=True):
            assert np.all(SESSIONS[session].split[trials] == VALIDATION)
    with pytest.raises(InputError, match="no session has a training trial"):
        Planner([only_test], CONFIG, 0)


def test_fewer_trials_than_a_share_repeat_and_fewer_sessions_than_groups_share_the_batch():
    lonely = make("lonely", 4, num_trials=4)  # two train trials
    config = dataclasses.replace(CONFIG, sessions_per_batch=4, trials_per_batch=6)
    assert Planner([lonely], config, 0).plan(0).trial.shape == (1, 6)
    three = [make(name, 4) for name in "abc"]
    assert Planner(three, config, 0).shapes() == [(3, 2, 8)]
    four = [make(name, 4) for name in "abcd"]
    assert Planner(four, config, 0).shapes() == [(3, 2, 8)]  # 4 does not divide 6


@pytest.mark.parametrize("temperature", [1.0, 2.0, 1e6])
def test_sessions_are_drawn_by_trials_to_the_power_of_one_over_temperature(temperature):
    sizes = np.asarray([40, 10, 90])
    sessions = [
        make(f"s{index}", units, num_trials=trials, split=np.full(trials, TRAIN))
        for index, (trials, units) in enumerate(zip(sizes, (4, 4, 12), strict=True))  # two buckets
    ]
    config = batching_config(sessions_per_batch=1, trials_per_batch=1, bucket_units=8, session_temperature=temperature)
    planner = Planner(sessions, config, 0)
    draws = 2000
    drawn = np.bincount([int(planner.plan(i).session[0]) for i in range(draws)], minlength=3) / draws
    expected = sizes ** (1 / temperature) / (sizes ** (1 / temperature)).sum()
    assert np.all(np.abs(drawn - expected) < 4 * np.sqrt(expected * (1 - expected) / draws))


def test_every_train_trial_is_drawn_equally_often():
    session = make("a", 4, num_trials=8, split=np.full(8, TRAIN))
    config = batching_config(trials_per_batch=2, bucket_units=8)
    planner = Planner([session], config, 0)
    drawn = np.bincount(np.concatenate([planner.plan(i).trial[0] for i in range(1000)]), minlength=8)
    assert np.all(np.abs(drawn - 250) < 4 * math.sqrt(250))


def test_gathered_batches_have_the_announced_shapes_and_the_recordings_counts():
    layout, planner = Layout.of(SESSIONS), Planner(SESSIONS, CONFIG, 0)
    assert layout.num_bins == 6 and layout.total_units == 46
    seen = set()
    for plan in map(planner.plan, range(10)):
        batch = gather(SESSIONS, layout, plan)
        groups, share, num_bins, width = batch.trials["counts"].shape
        seen.add((groups, share, width))
        assert num_bins == 6 and batch.trials["counts"].dtype == np.uint8
        assert batch.trials["bin_valid"].shape == (groups, share, 6) and batch.groups["unit_valid"].shape == (
            groups,
            width,
        )
        for group, (number, trials) in enumerate(zip(plan.session, plan.trial, strict=True)):
            session = SESSIONS[number]
            counts, valid = session.gather_trials(trials, 6)
            np.testing.assert_array_equal(batch.trials["counts"][group, :, :, : session.num_units], counts)
            np.testing.assert_array_equal(batch.trials["bin_valid"][group], valid)
            assert not batch.trials["counts"][group, :, :, session.num_units :].any()
            np.testing.assert_array_equal(batch.groups["unit_valid"][group], np.arange(width) < session.num_units)
            labels = [
                layout.regions[i] if i >= 0 else "root" for i in batch.groups["region_id"][group, : session.num_units]
            ]
            assert labels == session.region.tolist()
            assert np.all(batch.groups["region_id"][group, session.num_units :] == -1)
        np.testing.assert_array_equal(batch.trials["trial_id"], plan.trial)
        np.testing.assert_array_equal(batch.groups["session_row"], plan.session)
    assert seen == set(planner.shapes())


def test_units_own_rows_and_padding_points_past_the_end():
    layout = Layout.of(SESSIONS)
    plans = [Plan(np.asarray([number], np.int32), np.zeros((1, 1), np.int32), 16) for number in range(5)]
    batches = [gather(SESSIONS, layout, plan) for plan in plans]
    rows = [batch.groups["unit_row"][0, : session.num_units] for batch, session in zip(batches, SESSIONS, strict=True)]
    assert np.concatenate(rows).tolist() == list(range(46))  # each row has one owner
    for batch, session in zip(batches, SESSIONS, strict=True):
        assert np.all(batch.groups["unit_row"][0, session.num_units :] == 46)


def test_counts_of_two_dtypes_share_the_wider_one():
    wide = from_counts(np.full((6, 4, 5), 300), bin_size_s=0.02, session_id="wide")
    assert Layout.of([SESSIONS[0], wide]).counts_dtype == np.uint16


def test_rows_are_found_by_name_in_the_runs_table():
    table = session_table(SESSIONS)
    layout = Layout.of([SESSIONS[3], SESSIONS[1]], table)
    assert layout.first_row.tolist() == [24, 5] and layout.session_row.tolist() == [3, 1]
    assert layout.total_units == 46 and layout.num_units.tolist() == [6, 7]
    batch = gather([SESSIONS[3], SESSIONS[1]], layout, Plan(np.asarray([0, 1]), np.zeros((2, 1), int), 8))
    assert batch.groups["session_row"].tolist() == [3, 1]
    assert batch.groups["unit_row"][0].tolist() == [*range(24, 30), 46, 46]


def test_sessions_the_run_does_not_know_are_refused():
    table = session_table(SESSIONS[:2])
    with pytest.raises(InputError, match="session d is not among the 2 the run was trained on; .*fine-tune"):
        Layout.of([SESSIONS[0], SESSIONS[3]], table)
    renamed = dataclasses.replace(SESSIONS[0], unit_id=SESSIONS[0].unit_id[::-1])
    with pytest.raises(InputError, match="session a has other units than the one of that name"):
        Layout.of([renamed], table)


@pytest.mark.parametrize("name", ["sessions_per_batch", "trials_per_batch", "bucket_units", "session_temperature"])
def test_sizes_that_make_no_sense_are_refused(name):
    with pytest.raises(InputError, match=f"data.{name}=0; expected a positive number"):
        batching_config(**{name: 0})


@pytest.mark.parametrize("num_threads", [0, 1, 2])
def test_a_stream_is_in_order_from_its_start(num_threads):
    made = pipeline.stream(lambda index: np.full(2, index), 5, 25, num_threads=num_threads)
    assert [int(batch[0]) for batch in made] == list(range(5, 25))
    assert list(pipeline.stream(lambda index: index, 7, 7, num_threads=num_threads)) == []


@pytest.mark.parametrize("num_threads", [0, 1])
@pytest.mark.parametrize("lost", [3, 4])  # the last of a run, and the first of the next
def test_what_a_stream_cannot_make_surfaces_where_it_is_read(num_threads, lost):
    def make_batch(index):
        if index == lost:
            raise InputError("session a is gone")
        return index

    batches = pipeline.stream(make_batch, 0, 10, num_threads=num_threads)
    assert [next(batches) for _ in range(lost)] == list(range(lost))
    with pytest.raises(InputError, match="session a is gone"):
        next(batches)


def test_a_seed_stored_long_ago_gives_the_batches_it_gave():
    """Ragged sessions of several sizes, one to three of them a batch; resumed runs depend on it."""
    digest = hashlib.sha256()
    for groups, trials, bucket_units, temperature in (
        (1, 5, 8, 1.0),
        (2, 8, 8, 1.0),
        (3, 12, 16, 2.0),
        (3, 6, 16, 0.5),
    ):
        config = BatchingConfig(groups, trials, bucket_units, temperature)
        for plan in map(Planner(SESSIONS, config, 7).plan, range(20)):
            batch = gather(SESSIONS, Layout.of(SESSIONS), plan)
            trials = [batch.trials[name] for name in ("counts", "bin_valid", "trial_id")]
            sessions = [batch.groups[name] for name in ("unit_valid", "region_id", "unit_row", "session_row")]
            for array in (*plan[:2], *trials[:2], *sessions, trials[2]):  # the order of the first digest
                digest.update(np.ascontiguousarray(array).tobytes())
    assert digest.hexdigest() == "ece50bb1d04cfc9853a90d6699ed6983a484df9d55b3d85b94c0ad88251be6e9"


def test_as_many_trials_as_a_share_are_each_drawn_once():
    session = make("a", 4, num_trials=6, split=np.full(6, TRAIN))
    planner = Planner([session], batching_config(trials_per_batch=6, bucket_units=8), 0)
    plans = [planner.plan(index).trial[0] for index in range(10)]
    assert all(sorted(trials) == list(range(6)) for trials in plans)
    assert len({trials.tobytes() for trials in plans}) > 5


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_plans_are_those_of_numpys_own_choice(groups):
    """Sessions of most trials are drawn twice first: such a draw is made again, from what is left."""
    sessions = [make(name, 6, num_trials=3 + 40 * (name == "a")) for name in "abcd"]
    config = batching_config(sessions_per_batch=groups, trials_per_batch=4, bucket_units=8)
    planner = Planner([*sessions, SESSIONS[2]], config, 5)
    trials = [session.trials_of(TRAIN) for session in [*sessions, SESSIONS[2]]]
    sizes = np.asarray([len(own) for own in trials], float)
    for index in range(60):
        rng = np.random.Generator(np.random.Philox(key=[5, index]))
        buckets = [np.arange(4), np.array([4])]
        weight = [sizes[bucket].sum() for bucket in buckets]
        members = buckets[rng.choice(2, p=np.asarray(weight) / np.sum(weight))]
        shared = min(groups, len(members))
        chosen = rng.choice(members, shared, replace=False, p=sizes[members] / sizes[members].sum())
        plan = planner.plan(index)
        np.testing.assert_array_equal(plan.session, chosen)
        for group, session in enumerate(chosen):
            own, share = trials[session], 4 // shared
            expected = own[rng.choice(len(own), share, replace=len(own) < share)]
            np.testing.assert_array_equal(plan.trial[group], expected)


@pytest.mark.parametrize("temperature", [0.005, 0.01])
def test_chances_beyond_floating_point_are_refused(temperature):
    """One session twice in a batch would lose one of its two updates."""
    sessions = [make("a", 5, 40), make("b", 5, 20), make("c", 5, 60)]
    config = batching_config(
        sessions_per_batch=3, trials_per_batch=3, bucket_units=8, session_temperature=temperature * 0.5
    )
    with pytest.raises(InputError, match="session_temperature"):
        Planner(sessions, config, 0)
