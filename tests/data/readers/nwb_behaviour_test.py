"""Time series of NWB files as behaviour: uneven, unsorted, with holes, in containers, on other clocks."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurojax.data.checks.check import session_findings
from neurojax.data.checks.findings import recorded_findings
from neurojax.data.readers import nwb
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError
from tests.data.readers.nwb_observed_test import small_nwb, trains_of

h5py = pytest.importorskip("h5py")

STARTS = 2.0 * np.arange(20)  # trials of 1.5 s
TIMES = np.arange(0, 40, 0.02)


def put(path, place, times, values, kind="TimeSeries", unit="cm", **attributes):
    """A series as the schema stores it; `times` may be (first, rate in Hz)."""
    with h5py.File(path, "r+") as file:
        parent, _, _ = place.rpartition("/")
        file.require_group(parent).attrs.setdefault("neurodata_type", "NWBContainer")
        series = file.create_group(place)
        series.attrs["neurodata_type"] = kind
        series.create_dataset("data", data=values).attrs.update({"unit": unit, **attributes})
        if isinstance(times, tuple):
            series.create_dataset("starting_time", data=times[0]).attrs["rate"] = times[1]
        else:
            series["timestamps"] = times
    return path


def read(path, *behavior, **fields):
    return nwb.read_session(path, ReadSpec(**{"behavior": behavior, "bin_ms": 100, "split": "random"} | fields))


@pytest.fixture
def path(tmp_path):
    return small_nwb(tmp_path / "day.nwb", trains_of(4, 5, 40), np.stack([STARTS, STARTS + 1.5], 1))


def centres(made):
    return (made.trial_start_s[:, None] + 0.1 * np.arange(15)).ravel() + 0.05


CONTAINERS = [
    ("BehavioralTimeSeries/speed", "TimeSeries", "speed", "BehavioralTimeSeries"),
    ("Position/hand", "SpatialSeries", "hand", "Position"),
    ("PupilTracking/diameter", "TimeSeries", "diameter", "PupilTracking"),
    ("CompassDirection/head", "SpatialSeries", "head", "CompassDirection"),
    ("EyeTracking/gaze", "SpatialSeries", "gaze", "EyeTracking"),
    ("BehavioralEvents/licks", "TimeSeries", "licks", "behavior/BehavioralEvents"),
]


@pytest.mark.parametrize("place, kind, name, container", CONTAINERS)
def test_series_in_containers(path, place, kind, name, container):
    put(path, f"processing/behavior/{place}", TIMES, TIMES, kind)
    for asked in (name, place, f"/processing/behavior/{place}", container):
        made = read(path, asked)
        np.testing.assert_allclose(made.behaviour[name][:, 0], centres(made), atol=0.021)
        assert made.behaviour_valid[name].mean() > 0.99


def test_a_container_of_several_series_lists_them(path):
    for name in ("speed", "angle"):
        put(path, f"processing/behavior/BehavioralTimeSeries/{name}", TIMES, TIMES)
    with pytest.raises(
        InputError, match="BehavioralTimeSeries/angle, .*BehavioralTimeSeries/speed; give the whole path"
    ):
        read(path, "BehavioralTimeSeries")


def test_one_dimension_without_a_value_leaves_the_others(path):
    pose = np.stack([np.sin(TIMES), np.full(len(TIMES), np.nan), np.cos(TIMES)], 1)
    pose[500:600, 2] = np.nan  # from 10 s to 12 s
    made = read(put(path, "processing/behavior/pose", TIMES, pose), "pose")
    known = made.behaviour_known("pose")
    assert known[:, 0].all() and not known[:, 1].any() and made.behaviour_valid["pose"].all()
    inside = (centres(made) > 10) & (centres(made) < 12)
    assert not known[inside][2:, 2].any() and known[~inside, 2].all()


@settings(max_examples=30, derandomize=True, database=None, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.integers(0, 2**31), st.floats(0.5, 40), st.booleans(), st.booleans())
def test_uneven_and_unsorted_samples_of_a_line(tmp_path_factory, seed, rate_hz, is_shuffled, has_huge):
    """A signal that is a line is known, and right, wherever its samples are close enough."""
    rng = np.random.default_rng(seed)
    path = small_nwb(
        tmp_path_factory.mktemp("any") / "day.nwb", trains_of(4, 5, 40), np.stack([STARTS, STARTS + 1.5], 1)
    )
    times = np.unique(rng.uniform(0, 40, int(40 * rate_hz)))
    values = 3 * times + 1
    if has_huge:
        values[0] = 9.97e36  # netCDF's word for "none"
    order = rng.permutation(len(times)) if is_shuffled else np.arange(len(times))
    made = read(put(path, "processing/behavior/x", times[order], values[order]), "x", max_gap_s=1.0)
    real = times[1:] if has_huge else times
    after = np.clip(np.searchsorted(real, centres(made)), 1, len(real) - 1)
    close = (real[after] - real[after - 1] <= 1.0) & (centres(made) > real[0]) & (centres(made) < real[-1])
    valid = made.behaviour_valid["x"]
    assert valid[close].all()
    error = np.abs(made.behaviour["x"][valid, 0] - (3 * centres(made)[valid] + 1))
    assert (error <= 0.16).all()  # half a bin of a slope of 3
    if is_shuffled and len(times) > 5:
        assert made.info["findings"]["samples of behaviour out of order"] > 0


def test_gaps_are_bridged_up_to_what_is_asked(path):
    times = np.arange(0, 40, 0.5)
    put(path, "processing/behavior/slow", times, times)
    assert read(path, "slow", max_gap_s=0.3).behaviour_valid["slow"].mean() < 0.3
    for gap in (None, 0.6):
        assert read(path, "slow", max_gap_s=gap).behaviour_valid["slow"].mean() > 0.98


@pytest.mark.parametrize("offset, scale", [(1.7e9, 1.0), (0.0, 1000.0), (-500.0, 1.0)])
def test_another_clock_is_told_with_both_ranges(path, offset, scale):
    put(path, "processing/behavior/pupil", offset + scale * TIMES, TIMES)
    put(path, "processing/behavior/speed", TIMES, TIMES)
    made = read(path, "pupil", "speed")
    if scale == 1000:  # its first sample lies within the trials: hardly anything is known
        assert made.behaviour_valid["pupil"].mean() < 0.01
        (told,) = [f for f in session_findings(made) if f.code == "behaviour_partly_known"]
        assert "'pupil'" in told.sentence and "18 of 20 trials have no sample" in told.sentence
        assert "lie at 0 to 21.5 s, all trials at 0 to 39.5 s" in told.sentence
        assert told.level == "warning" and "one clock" in told.remedy and "--time_unit" in told.remedy
        return
    assert set(made.behaviour) == {"speed"}
    (told,) = [found for found in recorded_findings(made.info) if found.code == "behaviour_left_out"]
    assert told.level == "warning" and "pupil runs from" in told.sentence
    for said in ("but the trials from 0 to 39.5 s", "different clocks", "--time_unit=behavior=ms"):
        assert said in told.sentence
    with pytest.raises(InputError, match="pupil runs from .* different clocks"):
        read(path, "pupil", "speed", strict=True)


def test_behaviour_in_milliseconds_is_converted(path):
    put(path, "processing/behavior/pupil", 1000 * TIMES, TIMES)
    put(path, "processing/behavior/wheel", (0.0, 50.0), TIMES)
    made = read(path, "pupil", "wheel", time_unit="behavior=ms")
    np.testing.assert_allclose(made.behaviour["pupil"], made.behaviour["wheel"], atol=0.011)


@pytest.mark.parametrize(
    "times, values, said",
    [
        (TIMES[:7], TIMES, "timestamps float64"),
        ((np.nan, 50.0), TIMES, "neither timestamps nor a starting_time"),
        (np.full(len(TIMES), np.nan), TIMES, "no sample with a time and a value"),
        (TIMES, np.full(len(TIMES), np.nan), "no sample with a time and a value"),
    ],
)
def test_a_bad_series_is_left_out_and_told_or_refused(path, times, values, said):
    put(path, "processing/behavior/bad", times, values)
    put(path, "processing/behavior/good", TIMES, TIMES)
    made = read(path, "bad", "good")
    assert set(made.behaviour) == {"good"}
    assert any(
        said in name and name.startswith("behaviour left out (processing/behavior/bad")
        for name in made.info["findings"]
    )
    with pytest.raises(InputError, match=said):
        read(path, "bad", strict=True)


def test_scales_of_the_schema(path):
    put(path, "processing/behavior/raw", TIMES, (100 * TIMES).astype(np.int16), conversion=0.01, offset=5.0)
    made = read(path, "raw")
    np.testing.assert_allclose(made.behaviour["raw"][:, 0], centres(made) + 5, atol=0.03)
