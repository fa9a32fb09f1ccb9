"""Two probes become one session: every unit keeps its spikes, and what one probe lacks is unobserved, not silent."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.data.join import DISAGREE, joined
from neurojax.data.join_plan import NOT_EVERYWHERE
from neurojax.data.real_values import from_values
from neurojax.data.session import SpikeTimes
from neurojax.data.store.session_format import open_session, write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError

NAMES = ["imec0", "imec1"]


def part(starts, seed, units=3, bins=10, **fields):
    """Trials of ten bins of 20 ms at `starts`, seconds."""
    starts = np.asarray(starts, float)
    rng = np.random.default_rng(seed)
    fields = {"session_id": "day1", "info": {"split_source": "random"}} | fields
    return from_counts(rng.poisson(0.7, (len(starts), bins, units)), bin_size_s=0.02, trial_start_s=starts, **fields)


def of_trial(session, start_s):
    """Counts and observed entries, [bins, N], of the trial at a time."""
    trial = np.flatnonzero(np.abs(session.trial_start_s - start_s) < 0.01)
    return session.gather_trials(trial)[0][0], session.entry_valid(trial)[0]


def test_units_of_both_stand_side_by_side():
    one = part(range(8), 0, region=["CA1"] * 3, unit_metadata={"depth_um": [1.0, 2, 3]})
    two = part(range(8), 1, units=2, region=["LP"] * 2)
    both = joined([one, two], NAMES, "units")
    assert both.unit_id.tolist() == ["imec0:0", "imec0:1", "imec0:2", "imec1:0", "imec1:1"]
    assert both.region.tolist() == ["CA1"] * 3 + ["LP"] * 2 and both.validity is None
    np.testing.assert_array_equal(both.counts, np.concatenate([one.counts, two.counts], 1))
    np.testing.assert_array_equal(both.unit_metadata["depth_um"], [1, 2, 3, np.nan, np.nan])
    np.testing.assert_array_equal(both.split, one.split)
    assert not both.info["findings"] and both.info["joined"]["imec1"]["num_units"] == 2


def test_a_trial_of_one_part_alone_is_unobserved_in_the_other_and_told(tmp_path):
    one, two = part(range(6), 0), part([1, 2, 3, 4, 5, 6, 7], 1)
    both = joined([one, two], NAMES, "units")
    assert both.trial_start_s.tolist() == list(range(8)) and both.info["findings"] == {NOT_EVERYWHERE: 3}
    for start, seen in ((0, [1, 1, 1, 0, 0, 0]), (3, [1] * 6), (7, [0, 0, 0, 1, 1, 1])):
        counts, valid = of_trial(both, start)
        np.testing.assert_array_equal(valid, np.broadcast_to(np.array(seen, bool), (10, 6)))
        for session, columns in ((one, slice(0, 3)), (two, slice(3, 6))):
            if seen[columns.start]:
                np.testing.assert_array_equal(counts[:, columns], of_trial(session, start)[0])
    assert np.bincount(both.split, minlength=3).tolist() == [5, 1, 2]  # drawn anew for eight trials
    write_session(both, tmp_path)
    back = open_session(tmp_path / "day1")
    np.testing.assert_array_equal(back.entry_valid(np.arange(8)), both.entry_valid(np.arange(8)))


def test_observed_time_of_each_part_is_kept():
    seen = np.ones((8, 10, 3), bool)
    seen[2, 4:, 1] = False
    both = joined([part(range(8), 0), part(range(8), 1, observed=seen)], NAMES, "units")
    entries = both.entry_valid(np.arange(8))
    assert entries[..., :3].all()
    np.testing.assert_array_equal(entries[..., 3:], seen)


def test_conditions_and_behaviour_are_one_where_parts_agree():
    speed = np.arange(80.0).reshape(8, 10, 1)
    half = speed.copy()
    half[:4] = np.nan
    one = part(range(8), 0, conditions={"side": list("LRLRLRLR"), "dose": range(8)}, behaviour={"speed": half})
    two = part(
        range(8), 1, conditions={"side": list("LRLRLRLR"), "dose": [9] * 8, "late": [1] * 8},
        behaviour={"speed": speed, "pupil": speed},
    )  # fmt: skip
    both = joined([one, two], NAMES, "units")
    assert sorted(both.conditions) == ["dose", "dose_imec1", "late", "side"]
    assert both.conditions["dose"].tolist() == list(range(8)) and both.conditions["dose_imec1"].tolist() == [9] * 8
    np.testing.assert_array_equal(both.behaviour["speed"][:, 0], np.arange(80))  # the second knows what the first lacks
    assert both.behaviour_valid["speed"].all() and sorted(both.behaviour) == ["pupil", "speed"]
    assert both.info["findings"] == {DISAGREE: 1}


def test_a_condition_of_a_trial_that_the_part_lacks_is_unknown():
    one = part(range(6), 0, conditions={"side": ["L"] * 6, "dose": [1] * 6, "hit": np.ones(6, bool)})
    both = joined([one, part(range(7), 1)], NAMES, "units")
    assert both.conditions["side"].tolist() == ["L"] * 6 + [""]
    for name in ("dose", "hit"):
        np.testing.assert_array_equal(both.conditions[name], [1.0] * 6 + [np.nan])


def test_numbers_of_the_parts_are_summed_and_sources_kept():
    one = part(range(8), 0, info={"units_dropped": {"labelled noise": 2}, "source": {"folder": "a"}, "species": None})
    two = part(
        range(8), 1, info={"units_dropped": {"labelled noise": 3}, "species": "mouse", "trials_dropped": {"x": 1}}
    )
    both = joined([one, two], NAMES, "units")
    assert both.info["units_dropped"] == {"labelled noise": 5} and both.info["species"] == "mouse"
    assert both.info["trials_dropped"] == {"imec1: x": 1} and both.info["joined"]["imec0"]["source"] == {"folder": "a"}


def test_spike_times_beside_the_counts_stay_in_order():
    times = [np.array([0.1, 0.4]), np.array([0.2, 0.3])]
    parts = [
        part(range(8), seed).with_fields(spikes=SpikeTimes(own, np.array([2, 0], np.int32)))
        for seed, own in enumerate(times)
    ]
    spikes = joined(parts, NAMES, "units").spikes
    assert spikes.time_s.tolist() == [0.1, 0.2, 0.3, 0.4] and spikes.unit_index.tolist() == [2, 5, 3, 0]
    assert joined([parts[0], part(range(8), 1)], NAMES, "units").spikes is None


def test_trials_of_recordings_without_a_clock_are_the_same_in_order():
    both = joined([part([0.0] * 8, 0), part([0.0] * 8, 1)], NAMES, "units")
    assert both.num_trials == 8 and both.validity is None
    with pytest.raises(InputError, match="begin together"):
        joined([part([0.0] * 8, 0), part([0.0] * 7, 1)], NAMES, "units")


@pytest.mark.parametrize(
    ("second", "names", "match"),
    [
        (lambda: part(np.arange(8) + 0.1, 1), NAMES, "no trial is in two"),
        (lambda: part([0, 1, 2.1, 3], 1), NAMES, "shares time"),
        (lambda: part(range(8), 1, bins=5), NAMES, "5 bins in imec1 and 10 in imec0"),
        (lambda: part(range(8), 1, info={"subject_id": "M2"}), NAMES, "M1, M2"),
        (lambda: dataclasses.replace(part(range(8), 1), bin_size_s=0.01), NAMES, "--bin_ms"),
        (lambda: part(range(8), 1), ["a", "a"], "names of their own"),
        (lambda: part(range(8), 1), ["a"], "1 names for 2 sessions"),
        (lambda: part(range(8), 1, split=[1, 0, 2] + [0] * 5, info={"split_source": "file"}), NAMES, "--split"),
    ],
)
def test_what_does_not_belong_together_is_refused(second, names, match):
    one = part(range(8), 0, info={"subject_id": "M1", "split_source": "random"})
    with pytest.raises(InputError, match=match) as caught:
        joined([one, second()], names, "units")
    assert "\n" not in str(caught.value)


def test_a_part_of_real_values_is_refused():
    emg = from_values(
        np.zeros((100, 2), np.float32), sampling_hz=50.0, unit="uV", session_id="e", split=0,
        trial_start_bin=np.arange(8) * 10, trial_num_bins=10,
    )  # fmt: skip
    with pytest.raises(InputError, match="imec1 holds real values"):
        joined([part(range(8), 0), emg], NAMES, "units")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sets(st.integers(0, 11), min_size=4), min_size=2, max_size=4), st.integers(0, 99))
def test_every_spike_of_every_part_is_in_the_joined_session(present, seed):
    """Any trials in any part: entries of the joined session are those of the parts, no more and no fewer."""
    rng = np.random.default_rng(seed)
    names = [f"p{number}" for number in range(len(present))]
    # a probe's clock may be off by less than half a bin
    parts = [part(np.array(sorted(own)) + rng.uniform(0, 0.004), n) for n, own in enumerate(present)]
    if not any(a & b for i, a in enumerate(present) for b in present[:i]):
        with pytest.raises(InputError, match="no trial"):
            joined(parts, names, "units")
        return
    both = joined(parts, names, "units")
    assert both.num_trials == len(set().union(*present))
    assert both.counts.sum() == sum(int(own.counts.sum()) for own in parts)
    for start in set().union(*present):
        counts, valid = of_trial(both, start + 0.002)
        for number, (own, session) in enumerate(zip(present, parts, strict=True)):
            columns = slice(3 * number, 3 * number + 3)
            assert valid[:, columns].all() == valid[:, columns].any() == (start in own)
            if start in own:
                np.testing.assert_array_equal(counts[:, columns], of_trial(session, start + 0.002)[0])


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(3)), st.integers(0, 99))
def test_the_order_of_the_parts_changes_the_order_of_units_alone(order, seed):
    rng = np.random.default_rng(seed)
    parts = [part(sorted(rng.choice(12, 8, replace=False)), n) for n in range(3)]
    names = ["a", "b", "c"]
    one, other = joined(parts, names, "units"), joined([parts[i] for i in order], [names[i] for i in order], "units")
    row = [other.unit_id.tolist().index(unit) for unit in one.unit_id]
    np.testing.assert_array_equal(one.trial_start_s, other.trial_start_s)
    np.testing.assert_array_equal(one.counts, other.counts[:, row])
    trials = np.arange(one.num_trials)
    np.testing.assert_array_equal(one.entry_valid(trials), other.entry_valid(trials)[..., row])
