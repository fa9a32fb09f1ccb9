"""Observed time, clocks and behaviour of its own through `from_spike_times`: what was not watched is no silence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax import Session
from neurojax.data.checks.findings import BAD_ELSEWHERE, FELL_SILENT
from neurojax.data.store.session_format import content_sha256, open_session, write_session
from neurojax.errors import InputError

STARTS = np.arange(0, 100, 2.0)
TRIALS = np.stack([STARTS, STARTS + 2], axis=1)


def spikes(seed=0, num_units=10, rate_hz=8.0, length_s=100.0):
    rng = np.random.default_rng(seed)
    number = int(num_units * rate_hz * length_s)
    # whole milliseconds, so that a shift of the clock moves none over an edge
    return np.sort(rng.integers(0, int(length_s * 1000), number)) / 1000, rng.integers(0, num_units, number)


TIMES, IDS = spikes()


def build(times=TIMES, unit_ids=IDS, **fields):
    return Session.from_spike_times(times, unit_ids, **({"trials": TRIALS, "bin_ms": 100, "session_id": "a"} | fields))


def seen(session):
    """Entries observed, bool [bins, N] of all trials."""
    return session.entry_valid(np.arange(session.num_trials)).reshape(-1, session.num_units)


def test_observed_intervals_of_all_units_leave_entries_out():
    session = build(observed=[[0, 41.0], [60.05, 200]])
    assert session.num_trials == 50 - 9 and session.info["trials_dropped"] == {"never observed": 9}
    centres = np.repeat(session.trial_start_s, 20) + np.tile(np.arange(20) * 0.1 + 0.05, session.num_trials)
    np.testing.assert_array_equal(seen(session)[:, 0], (centres < 41.0) | (centres > 60.12))
    assert not session.counts[~seen(session)].any()
    full = build()
    both = np.isin(np.round(full.trial_start_s), np.round(session.trial_start_s))
    np.testing.assert_array_equal(session.counts, full.counts[np.repeat(both, 20)] * seen(session))


def test_intervals_of_each_unit_and_invalid_stretches_add_up():
    own = {unit: [[0, 100]] for unit in range(10)} | {3: [[0, 30], [50, 100]], 4: []}
    session = build(observed=own, invalid=[[90.0, 92.0]])
    assert session.unit_id.tolist() == [str(u) for u in range(10) if u != 4]
    assert session.info["units_dropped"] == {"never observed": 1}
    valid = session.entry_valid(np.arange(session.num_trials))
    assert 90.0 not in session.trial_start_s  # nothing of it was observed
    at = dict(zip(session.trial_start_s.tolist(), valid, strict=True))
    assert not at[40.0][:, 3].any() and at[40.0][:, [0, 1, 2, 4]].all() and at[98.0].all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 300)), min_size=1, max_size=6), st.integers(0, 5))
def test_building_with_observed_time_gives_these_entries(pairs, seed):
    intervals = np.array([[start / 10, (start + length) / 10] for start, length in pairs])
    left = np.repeat(STARTS, 20) + np.tile(np.arange(20) * 0.1, 50)
    inside = ((intervals[:, :1] <= left + 1e-6) & (left + 0.1 <= intervals[:, 1:] + 1e-6)).any(0)
    # bins that two intervals cover together are observed too
    ticks = np.zeros(1400, bool)
    for start, length in pairs:
        ticks[start : start + length] = True
    inside |= ticks[np.round(left * 10).astype(int)]
    keep = inside.reshape(50, 20).any(1)
    if keep.sum() < 3:
        return
    session = build(observed=np.random.default_rng(seed).permutation(intervals))
    np.testing.assert_allclose(session.trial_start_s, STARTS[keep])
    np.testing.assert_array_equal(seen(session)[:, 0], inside.reshape(50, 20)[keep].ravel())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(-(10**6), 2 * 10**9))
def test_the_order_of_spikes_and_the_clock_change_nothing(seed, shift):
    order = np.random.default_rng(seed).permutation(len(TIMES))
    fields = {"observed": np.array([[0, 35.0], [52, 100]]), "split": np.arange(50) % 3}
    expected = build(**fields)
    moved = fields | {"trials": TRIALS + shift, "observed": fields["observed"] + shift}
    made = build(TIMES[order] + shift, IDS[order], **moved)
    np.testing.assert_array_equal(made.counts, expected.counts)
    np.testing.assert_array_equal(made.trial_num_bins, expected.trial_num_bins)
    np.testing.assert_array_equal(seen(made), seen(expected))


def test_a_population_that_falls_silent_is_a_gap_unless_kept():
    gone = (TIMES > 30) & (TIMES < 50)
    session = build(TIMES[~gone], IDS[~gone])
    assert session.info["findings"][FELL_SILENT] >= 190 and session.num_trials <= 41
    kept = build(TIMES[~gone], IDS[~gone], silence="keep")
    assert kept.validity is None and kept.num_trials == 50
    said = build(TIMES[~gone], IDS[~gone], observed=[[0, 100]])  # the caller knows that they were silent
    assert said.validity is None and FELL_SILENT not in said.info.get("findings", {})


@pytest.mark.parametrize(
    ("scale", "unit", "dtype"),
    [(1e3, "ms", np.float64), (1e3, "ms", np.int64), (30_000, "samples:30000", np.uint64), (1e6, "us", np.int64)],
)
def test_units_of_the_clock_are_converted_or_asked_about(scale, unit, dtype):
    times = np.round(TIMES * scale).astype(dtype)
    expected = build()
    made = build(times, trials=TRIALS * scale, time_unit=unit)
    assert content_sha256(made) == content_sha256(expected)
    mixed = build(times, time_unit=f"spikes={unit},trials=s")
    assert content_sha256(mixed) == content_sha256(expected)
    with pytest.raises(InputError, match='time_unit="ms"'):
        build(times, trials=TRIALS * scale)


def test_float32_times_late_on_a_clock_are_asked_about():
    late = 1e6
    with pytest.raises(InputError, match="float32.*too coarse"):
        build((TIMES + late).astype(np.float32), trials=TRIALS + late)
    assert build(TIMES + late, trials=TRIALS + late).counts.sum() == build().counts.sum()


def test_equal_trials_on_a_clock_of_years_stay_equal():
    shift = 1.7323e9 + 0.123
    starts = np.arange(100) * 1.0 + shift
    session = build(TIMES + shift, trials=np.stack([starts, starts + 0.6], 1), bin_ms=20)
    assert set(session.trial_num_bins.tolist()) == {30}


def test_behaviour_has_a_clock_of_its_own():
    clock = np.arange(0, 101, 1 / 7.0)
    session = build(behaviour={"x": (clock, clock), "xy": (clock * 1.0, np.stack([clock, -clock], 1))})
    centres = np.repeat(STARTS, 20) + np.tile(np.arange(20) * 0.1 + 0.05, 50)
    assert session.behaviour_valid["x"].mean() > 0.99
    np.testing.assert_allclose(session.behaviour["xy"][:, 1], -centres, atol=0.08)
    known = build(behaviour={"x": (clock, clock)}, max_gap_s=0.01).behaviour_valid["x"].mean()
    assert 0.5 < known < 0.8  # bins that hold a sample, alone
    in_ms = build(behaviour={"x": (clock * 1000, clock)}, time_unit="spikes=s,trials=s,behavior=ms")
    np.testing.assert_allclose(in_ms.behaviour["x"], session.behaviour["x"], atol=1e-5)
    mixed = build(behaviour={"x": (clock, clock), "bins": np.arange(1000)})
    assert mixed.behaviour["bins"][-1] == 999


def test_behaviour_follows_trials_that_leave():
    clock = np.arange(0, 101, 0.05)
    session = build(observed=[[0, 40], [60, 100]], behaviour={"x": (clock, clock)}, conditions={"k": list(range(50))})
    np.testing.assert_allclose(session.behaviour["x"][::20, 0], session.trial_start_s + 0.025, atol=0.06)
    np.testing.assert_array_equal(session.conditions["k"], session.trial_start_s / 2)


def test_what_was_observed_survives_disk_and_export(tmp_path):
    session = build(observed={unit: [[0, 30 + unit], [60, 100]] for unit in range(10)})
    back = open_session(write_session(session, tmp_path), verify="full")
    np.testing.assert_array_equal(seen(back), seen(session))
    arrays = session.to_arrays()
    np.testing.assert_array_equal(arrays["observed"], seen(session))
    again = Session.from_counts(
        arrays["counts"], observed=arrays["observed"], bin_size_s=0.1, session_id="a", split=arrays["split"],
        trial_offsets=arrays["trial_offsets"], trial_start_s=arrays["trial_start_s"], unit_id=arrays["unit_id"],
    )  # fmt: skip
    assert content_sha256(again) == content_sha256(session)


def test_regions_of_a_pandas_series_go_by_its_index():
    pd = pytest.importorskip("pandas")
    series = pd.Series({unit: f"R{unit}" for unit in reversed(range(10))})
    assert build(regions=series).region.tolist() == [f"R{unit}" for unit in range(10)]
    plain = pd.Series([f"R{unit}" for unit in range(10)])
    assert build(regions=plain).region.tolist() == [f"R{unit}" for unit in range(10)]
    assert (
        build(regions={3: None, **dict.fromkeys(range(3), "CA1"), **dict.fromkeys(range(4, 10), "LP")}).region[-1]
        == "LP"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"observed": [[5, 1]]}, "1 intervals of observed hold NaN or stop before"),
        ({"observed": [[0, np.nan]]}, "hold NaN"),
        ({"observed": [1, 2, 3]}, r"observed is int64 \[3\], expected \[n, 2\]"),
        ({"observed": [["a", "b"]]}, "observed is <U1"),
        ({"observed": []}, "nothing was observed"),
        ({"observed": {0: [[0, 1]]}}, "leaves out 9 of 10 units"),
        ({"observed": {99: [[0, 1]]}}, "names the unit '99'"),
        ({"observed": [[1000, 2000]]}, "nothing"),
        ({"invalid": [[0, 1000]]}, "nothing"),
        ({"invalid": {77: [[0, 1]]}}, "invalid names the unit '77'"),
        ({"silence": "maybe"}, "silence='maybe'"),
        ({"time_unit": "hours"}, "time_unit='hours'"),
        ({"time_unit": 1000}, "time_unit=1000; expected text"),
        ({"max_gap_s": -1}, "max_gap_s=-1"),
        ({"behaviour": {"x": (TIMES[:3], TIMES[:2])}}, "one time and one row"),
        ({"behaviour": {"x": (TIMES,)}}, "a tuple of 1"),
        ({"behaviour": {"x": (["a"], [1.0])}}, "times <U1"),
        ({"behaviour": {"x": (np.arange(1e6, 1e6 + 100), np.arange(100.0))}}, "none within the trials"),
        ({"behaviour": {"x": (np.array(["2024"], "M8[s]"), [1.0])}}, "dates or durations.*seconds"),
        ({"behaviour": [1, 2]}, "behaviour is list"),
        ({"trials": np.array([["2024", "2025"]], "M8[s]")}, "dates"),
        ({"regions": 3}, "regions is int"),
        ({"units": 3}, "units is int"),
        ({"units": [None, "a"]}, "a unit is named None"),
    ],
)
def test_what_does_not_fit_is_one_line(fields, message):
    with pytest.raises(InputError, match=message) as raised:
        build(**fields)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("invalid, number", [([[4.0, 5.0]], 0), ([[4e3, 5e3]], 1), ({3: [[4, 5]], 5: [[-9, -1]]}, 1)])
def test_bad_times_that_touch_nothing_are_told(invalid, number):
    session = build(invalid=invalid)
    assert session.info.get("findings", {}).get(BAD_ELSEWHERE, 0) == number


@pytest.mark.parametrize("name, column", [("conditions", [0, 1] * 20), ("unit_metadata", [1.0] * 7)])
def test_a_column_of_another_length_is_told_also_where_trials_leave(name, column):
    """Fifteen of fifty trials were not observed and leave: a list too short was a traceback."""
    rng = np.random.default_rng(0)
    times, units = np.sort(rng.uniform(0, 100, 4000)), rng.integers(0, 8, 4000)
    fields = {
        "trials": np.arange(50)[:, None] * 2.0 + [0, 1],
        "session_id": "day",
        "observed": [[0, 70]],
        "unit_metadata": {"depth_um": [float(unit) for unit in range(8)]},
        "conditions": {"side": list(range(50))},
    }
    session = Session.from_spike_times(times, units, **fields)
    assert session.conditions["side"].tolist() == list(range(35))
    with pytest.raises(InputError, match=f"wrong is .*{len(column)}"):
        Session.from_spike_times(times, units, **fields | {name: {"wrong": column}})
