"""A TsGroup in and out: counts as pynapple's own, metadata kept, and the way back gives the same session."""

import numpy as np
import pytest

from neurojax import Session
from neurojax.errors import InputError

nap = pytest.importorskip("pynapple")
RNG = np.random.default_rng(0)
STARTS = np.arange(15) * 4.0 + 0.5


@pytest.fixture(scope="module")
def group():
    trains = {unit: nap.Ts(np.sort(RNG.uniform(0, 62, 400))) for unit in (3, 8, 21)}
    return nap.TsGroup(trains, metadata={"location": ["CA1", "LP", "LP"], "depth_um": [10.0, 20.0, 30.0]})


@pytest.fixture(scope="module")
def trials():
    return nap.IntervalSet(STARTS, STARTS + 2, metadata={"choice": np.arange(15) % 2})


def test_counts_are_those_of_pynapple(group, trials):
    made = Session.from_pynapple(group, bin_ms=100, trials=trials, session_id="a")
    np.testing.assert_array_equal(made.counts, np.asarray(group.count(0.1, trials).d))
    assert made.unit_id.tolist() == ["3", "8", "21"] and made.region.tolist() == ["CA1", "LP", "LP"]
    assert made.unit_metadata["depth_um"].tolist() == [10, 20, 30]
    assert made.conditions["choice"][:3].tolist() == [
        0,
        1,
        0,
    ]


def test_there_and_back(group, trials):
    there = Session.from_pynapple(group, bin_ms=50, trials=trials, session_id="a")
    out = there.to_pynapple()
    np.testing.assert_array_equal(np.asarray(out["units"].count(0.05, out["trials"]).d), there.counts)
    back = Session.from_pynapple(out["units"], bin_ms=50, trials=out["trials"], session_id="a")
    np.testing.assert_array_equal(back.counts, there.counts)
    np.testing.assert_array_equal(back.split, there.split)
    assert set(back.conditions) == {"choice"}
    assert back.region.tolist() == there.region.tolist()
    assert back.conditions["choice"].tolist() == there.conditions["choice"].tolist()
    np.testing.assert_array_equal(out["counts"].d, there.counts)


def test_windows_and_another_column_of_regions(group):
    made = Session.from_pynapple(group, window_s=2.0, regions="location", session_id="a")
    assert made.num_trials > 20 and made.region[0] == "CA1"


def test_what_does_not_fit_is_refused(group, trials):
    with pytest.raises(InputError, match="expected a TsGroup"):
        Session.from_pynapple({1: [0.1]}, trials=trials)
    with pytest.raises(InputError, match="'area'"):
        Session.from_pynapple(group, trials=trials, regions="area")
    shared = Session.from_spike_times(
        RNG.uniform(0, 30, 900), RNG.integers(0, 2, 900), trials=np.stack([np.arange(20.0), np.arange(20) + 2.0], 1),
        split=np.repeat([0, 1, 2], [14, 3, 3]), session_id="b",
    )  # fmt: skip
    with pytest.raises(InputError, match="share time"):
        shared.to_pynapple()


# Observed time


TWENTY = np.arange(0, 60, 3.0)


def trains(seed=0, num_units=10, length_s=60.0, rate_hz=8.0):
    rng = np.random.default_rng(seed)
    return {u: np.sort(rng.uniform(0.01, length_s, int(length_s * rate_hz))) for u in range(num_units)}


def every():
    return nap.IntervalSet(TWENTY, TWENTY + 2)


def entries(session):
    return session.entry_valid(np.arange(session.num_trials))


def test_the_support_of_a_group_says_when_it_was_observed():
    support = nap.IntervalSet([0, 40], [31, 60])
    group = nap.TsGroup({u: nap.Ts(t) for u, t in trains().items()}, time_support=support)
    session = Session.from_pynapple(group, trials=every(), session_id="a")
    assert session.info["trials_dropped"] == {"never observed": 2}
    at = dict(zip(session.trial_start_s.tolist(), entries(session), strict=True))
    assert at[30.0][:50].all() and not at[30.0][50:].any() and at[39.0][:49].sum() == 0 and at[42.0].all()


def test_supports_of_single_units():
    made = {u: nap.Ts(t, time_support=nap.IntervalSet(0, 60)) for u, t in trains().items()}
    made[3] = nap.Ts(trains()[3], time_support=nap.IntervalSet([0, 50], [20, 60]))
    group = nap.TsGroup(made, time_support=nap.IntervalSet(0, 60), bypass_check=True)
    valid = entries(Session.from_pynapple(group, trials=every(), session_id="a"))
    assert not valid[7:16, :, 3].any() and valid[:6, :, 3].all() and valid[17:, :, 3].all()
    assert valid[..., [0, 1, 2, 4]].all()


def test_ends_that_pynapple_takes_from_the_spikes_say_nothing():
    own = trains()
    own[0] = own[0][own[0] < 20]  # a unit that falls silent early is not one that was not watched
    group = nap.TsGroup({u: nap.Ts(t) for u, t in own.items()})
    assert Session.from_pynapple(group, trials=every(), session_id="a").validity is None
    unchecked = nap.TsGroup(
        {u: nap.Ts(t) for u, t in own.items()}, time_support=nap.IntervalSet(0, 60), bypass_check=True
    )
    assert Session.from_pynapple(unchecked, trials=every(), session_id="a").validity is None


def test_a_silent_population_is_a_gap_unless_kept():
    own = {u: t[(t < 20) | (t > 38)] for u, t in trains().items()}
    group = nap.TsGroup({u: nap.Ts(t) for u, t in own.items()})
    assert Session.from_pynapple(group, trials=every(), session_id="a").num_trials < 16
    kept = Session.from_pynapple(group, trials=every(), session_id="a", silence="keep")
    assert kept.validity is None and kept.num_trials == 20


def test_observed_time_goes_there_and_back():
    seen = np.random.default_rng(1).random((20, 20, 10)) < 0.7
    seen[:, 5, :] = True
    counts = np.random.default_rng(2).poisson(0.7, seen.shape)
    there = Session.from_counts(
        counts,
        bin_size_s=0.1,
        session_id="a",
        trial_start_s=TWENTY,
        observed=seen,
        unit_id=[f"u{i}" for i in range(10)],
    )
    out = there.to_pynapple()
    assert np.isnan(out["counts"].d).sum() == (~seen).sum()
    back = Session.from_pynapple(out["units"], bin_ms=100, trials=out["trials"], session_id="a")
    np.testing.assert_array_equal(entries(back), seen)
    np.testing.assert_array_equal(back.counts, there.counts)


def test_signals_keep_their_clock_and_their_gaps():
    group = nap.TsGroup({u: nap.Ts(t) for u, t in trains().items()}, time_support=nap.IntervalSet(0, 60))
    clock = np.arange(0, 60, 0.05)
    support = nap.IntervalSet([0, 30.1], [30.0, 60])
    signals = {
        "speed": nap.Tsd(t=clock, d=clock),
        "xy": nap.TsdFrame(t=clock, d=np.stack([clock, -clock], 1)),
        "image": nap.TsdTensor(t=clock, d=np.zeros((len(clock), 2, 3))),
        "halves": nap.Tsd(t=clock, d=clock, time_support=support),
    }
    session = Session.from_pynapple(group, bin_ms=20, trials=every(), session_id="a", behaviour=signals)
    assert [session.behaviour[name].shape[1] for name in signals] == [1, 2, 6, 1]
    centres = np.repeat(TWENTY, 100) + np.tile(np.arange(100) * 0.02 + 0.01, 20)
    np.testing.assert_allclose(session.behaviour["speed"][2:, 0], centres[2:], atol=0.03)
    unknown = centres[~session.behaviour_valid["halves"]]
    assert len(unknown) and ((unknown > 29.9) & (unknown < 30.2)).all()
    assert session.behaviour_valid["speed"].mean() > 0.999
    with pytest.raises(InputError, match="none within the trials"):
        far = nap.Tsd(t=clock + 1e4, d=clock)
        Session.from_pynapple(group, trials=every(), session_id="a", behaviour={"speed": far})


def test_columns_of_lists_and_dates_are_left_out_and_told():
    import datetime

    group = nap.TsGroup({u: nap.Ts(t) for u, t in trains(num_units=2).items()}, time_support=nap.IntervalSet(0, 60))
    group.set_info(tags=[["a"], ["b"]], location=[None, "CA1"], when=[datetime.date(2024, 1, 1)] * 2, snr=[1.0, np.nan])
    session = Session.from_pynapple(group, trials=every(), session_id="a")
    assert session.info["columns_left_out"] == ["tags", "when"] and session.region.tolist() == ["unknown", "CA1"]
    assert list(session.unit_metadata) == ["snr"]
