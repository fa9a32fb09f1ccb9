"""Blocks of one recording as one session: trials one after another, units by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.data.join import joined
from neurojax.data.join_plan import NOT_IN_ALL, SHIFTED, how_to_join
from neurojax.data.observed import ObservedIntervals, entries_of
from neurojax.data.session import SpikeTimes
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError


def block(units, start_s=0.0, trials=6, bins=5, seed=0, **fields):
    counts = np.random.default_rng(seed).poisson(1.0, (trials, bins, len(units)))
    times = start_s + np.arange(trials) * 1.0
    return from_counts(counts, bin_size_s=0.02, session_id="s", unit_id=list(units), trial_start_s=times, **fields)


def test_units_are_matched_by_name_whatever_their_order():
    one, other = block("abc"), block("cbd", 50.0, trials=4, bins=7, seed=1)
    made = joined([one, other], ["x", "y"], "time")
    assert made.unit_id.tolist() == list("abcd") and made.trial_num_bins.tolist() == [5] * 6 + [7] * 4
    np.testing.assert_array_equal(made.counts[:30, :3], one.counts)
    np.testing.assert_array_equal(made.counts[30:, [2, 1, 3]], other.counts)
    assert not made.counts[:30, 3].any() and not made.counts[30:, 0].any()
    observed = entries_of(made.validity, 58, 4)
    expected = np.ones((58, 4), bool)
    expected[:30, 3], expected[30:, 0] = False, False
    np.testing.assert_array_equal(observed, expected)
    assert made.info["findings"] == {NOT_IN_ALL: 2} and made.trial_start_s.tolist()[6:] == [50, 51, 52, 53]
    assert made.split.tolist() == [*one.split, *other.split]


def test_equal_units_are_observed_throughout():
    made = joined([block("abc"), block("abc", 50.0)], ["x", "y"], "time")
    assert made.validity is None and made.num_trials == 12 and not made.info["findings"]


def test_what_a_block_did_not_observe_stays_unobserved():
    counts = np.random.default_rng(0).poisson(1.0, (6, 5, 3))
    observed = np.ones((6, 5, 3), bool)
    observed[2, 1:3, 1] = False
    one = from_counts(counts, bin_size_s=0.02, session_id="s", unit_id=list("abc"), observed=observed)
    made = joined([block("bca", 50.0), one], ["x", "y"], "time")
    assert "y" in made.conditions["block"][0]  # the clock says which came first
    entries = entries_of(made.validity, 60, 3)
    assert (~entries).sum() == 2 and not entries[11:13, 0].any()


def test_blocks_that_each_begin_at_zero_lie_one_after_another():
    one, other, third = block("ab"), block("ab", seed=1), block("ab", 100.0, seed=2)
    made = joined([one, other, third], ["x", "y", "z"], "time")
    stops = made.trial_start_s + made.trial_num_bins * 0.02
    assert (made.trial_start_s[1:] >= stops[:-1] - 1e-9).all() and made.info["findings"][SHIFTED] == 1
    shifts = [made.info["joined"][name]["clock_shift_s"] for name in "xyz"]
    assert shifts == [0.0, 7.0, 0.0] and made.trial_start_s[12] == 100.0


def test_columns_that_a_block_lacks_are_missing_there():
    one = block("ab", conditions={"choice": np.arange(6), "side": np.array(["L"] * 6)}, behaviour={"x": np.ones(30)})
    other = block(
        "ab", 50.0, conditions={"choice": np.arange(6) / 2}, behaviour={"x": np.zeros((30, 2)), "y": np.ones(30)}
    )
    made = joined([one, other], ["p", "q"], "time")
    assert made.conditions["choice"].tolist() == [0, 1, 2, 3, 4, 5, 0, 0.5, 1, 1.5, 2, 2.5]
    assert made.conditions["side"].tolist() == ["L"] * 6 + [""] * 6
    assert made.conditions["block"].tolist() == ["p"] * 6 + ["q"] * 6
    assert set(made.behaviour) == {"x", "x_q", "y"}
    assert made.behaviour_valid["x"].tolist() == [True] * 30 + [False] * 30
    assert made.behaviour_valid["x_q"].tolist() == [False] * 30 + [True] * 30 == made.behaviour_valid["y"].tolist()


def test_a_block_without_any_column_joins_those_that_have_some():
    one = block("ab", conditions={"dose": np.arange(6)}, behaviour={"x": np.ones(30)})
    made = joined([block("ab", 50.0), one], ["p", "q"], "time")
    np.testing.assert_array_equal(made.conditions["dose"], [0, 1, 2, 3, 4, 5, *[np.nan] * 6])
    assert made.behaviour_valid["x"].tolist() == [True] * 30 + [False] * 30


def test_the_first_region_that_is_known_is_taken():
    one, other = block("abc", region=["CA1", "", "LP"]), block("dcb", 50.0, region=["VISp", "", "DG"])
    made = joined([one, other], ["x", "y"], "time")
    assert dict(zip(made.unit_id.tolist(), made.region.tolist(), strict=True)) == {
        "a": "CA1", "b": "DG", "c": "LP", "d": "VISp"
    }  # fmt: skip


def test_numbers_of_units_and_spike_times_follow():
    kept = SpikeTimes(np.array([0.01, 0.02]), np.array([0, 1], np.int32))
    one = block("ab", unit_metadata={"depth_um": np.array([1.0, 2.0])}).with_fields(spikes=kept)
    other = block("bc", unit_metadata={"depth_um": np.array([9.0, 3.0])}, seed=1).with_fields(spikes=kept)
    made = joined([one, other], ["x", "y"], "time")
    assert made.unit_metadata["depth_um"].tolist() == [1.0, 2.0, 3.0]
    assert made.spikes.unit_index.tolist() == [0, 1, 1, 2] and made.spikes.time_s[2] == pytest.approx(7.01)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_count_of_every_block_is_found_again(data):
    names = [data.draw(st.permutations("abcdef")) for _ in range(data.draw(st.integers(2, 4)))]
    parts = [
        block(own[: data.draw(st.integers(4, 6))], data.draw(st.sampled_from([0.0, 30.0, 90.0])), seed=n, trials=5 + n)
        for n, own in enumerate(names)
    ]
    labels = [f"p{n}" for n in range(len(parts))]
    made = joined(parts, labels, "time")
    entries = made.entry_valid(np.arange(made.num_trials))
    counts, _ = made.gather_trials(np.arange(made.num_trials))
    for part, label in zip(parts, labels, strict=True):
        trials = np.flatnonzero(made.conditions["block"] == label)
        own = [made.unit_id.tolist().index(unit) for unit in part.unit_id]
        np.testing.assert_array_equal(counts[trials][:, :, own], part.gather_trials(np.arange(part.num_trials))[0])
        assert entries[trials][:, :, own].all()
        others = np.setdiff1d(np.arange(made.num_units), own)
        assert not entries[trials][:, :, others].any() and not counts[trials][:, :, others].any()
    stops = made.trial_start_s + made.trial_num_bins * 0.02
    assert (made.trial_start_s[1:] > stops[:-1] - 1e-9).all()


@pytest.mark.parametrize(
    ("parts", "names", "how"),
    [
        (("abc", 0.0, "abc", 50.0), ("b1", "b2"), "time"),  # other trials, the same units
        (("abc", 0.0, "bcd", 50.0), ("b1", "b2"), "time"),
        (("012", 0.0, "0123", 0.0), ("b1", "b2"), "units"),  # the same trials, units not named
        (("abc", 0.0, "abcd", 0.0), ("b1", "b2"), None),  # names agree: blocks from zero?
        (("abc", 0.0, "bcd", 0.0), ("b1", "b2"), None),
        (("012", 0.0, "02", 0.0), ("b1", "b2"), None),  # a sorter's numbers
        (("abc", 0.0, "abcd", 0.0), ("imec0", "imec1"), "units"),
        (("abc", 0.0, "cxyz", 0.0), ("b1", "b2"), "units"),
        (("abc", 0.0, "xyz", 0.0), ("b1", "b2"), "units"),
        (("abc", 0.0, "abc", 0.0), ("imec0", "imec1"), "units"),  # names say so
        (("abc", 0.0, "abc", 0.0), ("b1", "b2"), None),  # probes, or blocks from zero
        (("abc", 0.0, "xyz", 50.0), ("b1", "b2"), None),
    ],
)
def test_how_parts_are_joined(parts, names, how):
    sessions = [block(parts[0], parts[1]), block(parts[2], parts[3], seed=1)]
    if how is None:
        with pytest.raises(InputError, match="--join=units.*--join=time"):
            joined(sessions, names)
    else:
        assert how_to_join(sessions, names) == how
        assert joined(sessions, names).num_trials == (12 if how == "time" else 6)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((block("ab"), block("xy", 50.0)), "no name of a unit is in two parts .*--join=units"),
        ((block("ab"), block("ab", 50.0, info={"subject_id": "M2"})), None),
        ((block("ab", info={"subject_id": "M1"}), block("ab", 50.0, info={"subject_id": "M2"})), "subjects M1, M2"),
    ],
)
def test_parts_that_are_no_blocks_are_refused(parts, message):
    if message is None:
        joined(parts, ["x", "y"], "time")
    else:
        with pytest.raises(InputError, match=message):
            joined(parts, ["x", "y"], "time")


def test_another_way_of_joining_is_refused():
    with pytest.raises(InputError, match="join='days'"):
        joined([block("ab"), block("ab", 50.0)], ["x", "y"], "days")
    assert isinstance(joined([block("ab"), block("abc", 50.0)], ["x", "y"], "time").validity, ObservedIntervals)
