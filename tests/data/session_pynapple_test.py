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
