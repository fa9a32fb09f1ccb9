"""Calcium imaging in NWB files, as pynwb writes it, becomes real values: frames, cells, windows, what is left out."""

import datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurojax.commands.convert import convert
from neurojax.data.readers import nwb
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.sources.signals import Config, open_source
from neurojax.data.store.dataset import open_dataset
from neurojax.errors import InputError

pynwb = pytest.importorskip("pynwb")
h5py = pytest.importorskip("h5py")

RATE_HZ, NUM_FRAMES, NUM_CELLS = 30.0, 3000, 6
DF = "processing/ophys/DfOverF/plane0"
STARTS = 3.0 * np.arange(30) + 1  # trials of 2 s


def values_of(plane, name):
    """Frame and cell can be read off the value; [frames, cells]."""
    frames = np.arange(NUM_FRAMES)[:, None] * 0.01
    return frames + 100 * np.arange(NUM_CELLS) + {"plane0": 0, "plane1": 1000}[plane] + len(name) * 1e4


def write_imaging(path, with_units=False):
    began = datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)
    file = pynwb.NWBFile("imaging", "made-2", began, session_id="s")
    file.subject = pynwb.file.Subject(subject_id="M2", species="Mus musculus", sex="F", age="P90D")
    device = file.create_device("microscope")
    channel = pynwb.ophys.OpticalChannel(name="green", description="GCaMP", emission_lambda=520.0)
    module = file.create_processing_module("ophys", "imaging")
    segmentation = pynwb.ophys.ImageSegmentation(name="ImageSegmentation")
    containers = {cls.__name__: cls(name=cls.__name__) for cls in (pynwb.ophys.Fluorescence, pynwb.ophys.DfOverF)}
    for container in (segmentation, *containers.values()):
        module.add(container)
    for number, (plane, region) in enumerate([("plane0", "VISp"), ("plane1", "VISl")]):
        imaging = file.create_imaging_plane(
            name=f"imaging {plane}", optical_channel=channel, description="", device=device, excitation_lambda=920.0,
            indicator="GCaMP6s", location=region, imaging_rate=RATE_HZ,
        )  # fmt: skip
        table = segmentation.create_plane_segmentation(
            name=f"cells_{plane}", description="", imaging_plane=imaging,
            columns=[pynwb.core.VectorData(name="iscell", description="", data=[]),
                     pynwb.core.VectorData(name="snr", description="", data=[])],
        )  # fmt: skip
        for cell in range(NUM_CELLS + 1):
            table.add_roi(id=40 + cell, pixel_mask=[(cell, 0, 1.0)], iscell=[float(cell != 2), 0.9], snr=1.0)
        rois = table.create_roi_table_region(region=list(range(1, NUM_CELLS + 1)), description="all but the first")
        for name, container in containers.items():
            series = pynwb.ophys.RoiResponseSeries(
                name=plane, data=values_of(plane, name), rois=rois, unit="lumens" if name == "Fluorescence" else "n.a.",
                rate=RATE_HZ, starting_time=0.5 + 0.01 * number,
            )  # fmt: skip
            container.add_roi_response_series(series)
    running = pynwb.TimeSeries(name="running", data=np.arange(5000) * 0.02, unit="cm/s", rate=50.0, starting_time=0.0)
    file.create_processing_module("behavior", "wheel").add(running)
    file.add_trial_column("choice", "what it did")
    for trial, start in enumerate(STARTS):
        file.add_trial(start_time=start, stop_time=start + 2, choice=("left", "right")[trial % 2])
    if with_units:
        for _ in range(3):
            file.add_unit(spike_times=np.arange(0, 90, 0.25))
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(file, cache_spec=False)
    return path


@pytest.fixture(scope="session")
def imaging_bytes(tmp_path_factory):
    return write_imaging(tmp_path_factory.mktemp("ophys") / "m.nwb").read_bytes()


@pytest.fixture
def imaging(imaging_bytes, tmp_path):
    """change -> path of a copy on which it was called."""

    def make(change=None):
        path = tmp_path / "day.nwb"
        path.write_bytes(imaging_bytes)
        if change is not None:
            with h5py.File(path, "r+") as file:
                change(file)
        return str(path)

    return make


def read(path, traces="DfOverF/plane0", options=(), **fields):
    return nwb.read_session(path, ReadSpec(options=(("traces", traces), *dict(options).items()), **fields))


def replace(parent, name, values):
    attributes = dict(parent[name].attrs)
    del parent[name]
    parent.create_dataset(name, data=values).attrs.update(attributes)


def test_a_file_without_units_names_the_option(imaging):
    with pytest.raises(InputError, match="no units table.*traces of cells.*--options=traces=processing/ophys/"):
        nwb.read_session(imaging(), ReadSpec())


def test_traces_become_windows_of_frames(imaging):
    made = read(imaging(), behavior=("running",))
    assert (made.observation, made.sampling_hz, made.unit_of_values) == ("real", 30.0, "a.u.")
    # rows 1 to 6 of the table have traces; row 2 is no cell
    assert made.unit_id.tolist() == [f"cells_plane0-{number}" for number in (41, 43, 44, 45, 46)]
    assert set(made.region) == {"VISp"} and made.info["units_dropped"] == {"not accepted as a cell": 1}
    kept = [0, 2, 3, 4, 5]
    np.testing.assert_allclose(made.values, values_of("plane0", "DfOverF")[:, kept], rtol=1e-6)
    assert made.num_trials == 30 and set(made.trial_num_bins) == {60}
    np.testing.assert_array_equal(made.trial_start_s, STARTS)
    np.testing.assert_array_equal(made.trial_start_bin, np.round((STARTS - 0.5) * RATE_HZ))
    assert made.conditions["choice"][:3].tolist() == ["left", "right", "left"]
    assert sorted(np.bincount(made.split)) == [3, 6, 21]
    frames_s = 0.5 + np.arange(NUM_FRAMES) / RATE_HZ
    valid = made.behaviour_valid["running"]
    np.testing.assert_allclose(made.behaviour["running"][valid, 0], frames_s[valid] + 1 / 60, atol=0.011)
    assert valid.mean() > 0.98 and made.info["traces"] == "DfOverF/plane0"


def test_cells_that_are_not_accepted_stay_where_asked(imaging):
    made = read(imaging(), options={"rois": "all"})
    assert made.num_units == NUM_CELLS and not made.info["units_dropped"]
    with pytest.raises(InputError, match="rois='some'; expected all"):
        read(imaging(), options={"rois": "some"})


VERDICTS = {
    "accepted": np.array([1, 0, 1, 1, 1, 0, 1]),
    "Accepted": np.array([True, False, True, True, True, False, True]),
    "rejected": np.array([0, 1, 0, 0, 0, 1, 0.0]),
    "iscell": np.array([1, 0, 1, 1, 1, 0, 1]),
    "is_cell": np.array(["yes", "no", "yes", "yes", "yes", "no", "yes"], "S3"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts_as_programs_write_them(imaging, name):
    def change(file):
        table = file["processing/ophys/ImageSegmentation/cells_plane0"]
        del table["iscell"]
        table[name] = VERDICTS[name]

    made = read(imaging(change))
    assert made.unit_id.tolist() == [f"cells_plane0-{number}" for number in (42, 43, 44, 46)]
    assert made.info["units_dropped"] == {"not accepted as a cell": 2}


def test_a_column_in_which_nobody_judged_drops_none(imaging):
    def change(file):
        replace(file["processing/ophys/ImageSegmentation/cells_plane0"], "iscell", np.zeros((7, 2)))

    assert read(imaging(change)).num_units == NUM_CELLS


def test_planes_are_joined(imaging):
    made = read(imaging(), "DfOverF/plane0+DfOverF/plane1")
    assert made.num_units == 10 and made.region.tolist() == ["VISp"] * 5 + ["VISl"] * 5
    assert len(set(made.unit_id)) == 10 and made.info["units_dropped"] == {"not accepted as a cell": 2}
    np.testing.assert_allclose(made.values[:, 5:], values_of("plane1", "DfOverF")[:, [0, 2, 3, 4, 5]], rtol=1e-6)
    for traces, said in [
        ("DfOverF/plane0+Fluorescence/plane0", "in a.u. and .* in lumens; convert each as a session"),
        ("DfOverF/plane0+DfOverF/plane0", "names a series twice"),
        ("DfOverF", "fits .*plane0, .*plane1; give the whole path"),
        ("Deconvolved", "no time series 'Deconvolved'; .*DfOverF"),
    ]:
        with pytest.raises(InputError, match=said):
            read(imaging(), traces)

    def later(file):
        file[f"{DF}".replace("plane0", "plane1")]["starting_time"][()] = 9.0

    with pytest.raises(InputError, match="more than a frame apart; convert each"):
        read(imaging(later), "DfOverF/plane0+DfOverF/plane1")


def stamped(file, times, values=None):
    series = file[DF]
    del series["starting_time"]
    series["timestamps"] = times
    if values is not None:
        replace(series, "data", values)


FRAMES_S = 0.5 + np.arange(NUM_FRAMES) / RATE_HZ


def test_frames_that_are_missing_leave_windows_out(imaging):
    times = np.where(np.arange(NUM_FRAMES) < 1000, FRAMES_S, FRAMES_S + 10)  # the shutter closed for 10 s at 33.8 s
    made = read(imaging(lambda file: stamped(file, times)))
    gone = [start for start in STARTS if start < 33.83 < start + 2 or 33.83 <= start < 43.8]
    assert not set(gone) & set(made.trial_start_s.tolist())
    assert made.info["trials_dropped"] == {"frames are missing within": len(gone)}
    first = made.values[made.trial_start_bin, 0] - 7e4  # the frame's number, a hundredth
    np.testing.assert_allclose(times[np.round(first * 100).astype(int)], made.trial_start_s, atol=1 / 30)


@settings(max_examples=25, derandomize=True, database=None, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(
    st.lists(st.tuples(st.integers(0, NUM_FRAMES - 1), st.integers(1, 200), st.integers(0, NUM_CELLS - 1)), max_size=4),
    st.integers(0, 2**31),
    st.floats(0, 0.2),
    st.booleans(),
)
def test_any_holes_and_jitter(imaging, holes, seed, jitter, is_turned):
    """What lies in a window is finite and what the file has at that time; other windows are counted."""
    rng = np.random.default_rng(seed)
    values = values_of("plane0", "DfOverF")
    for first, number, cell in holes:
        values[first : first + number, cell] = np.nan
    times = FRAMES_S + rng.uniform(-jitter, jitter, NUM_FRAMES) / RATE_HZ
    made = read(imaging(lambda file: stamped(file, times, values.T if is_turned else values)), options={"rois": "all"})
    assert set(made.trial_num_bins) == {60} and made.sampling_hz == pytest.approx(30.0, abs=1e-9)
    bad = ~np.isfinite(values).all(axis=1)
    begins = np.array([np.searchsorted(times, start - 0.01 / RATE_HZ) for start in STARTS])
    clean = np.array([not bad[begin : begin + 60].any() for begin in begins])
    assert set(made.trial_start_s) <= set(STARTS[clean]) and made.num_trials >= clean.sum() - 2
    assert sum(made.info["trials_dropped"].values()) == 30 - made.num_trials
    windows, _ = made.gather_trials(np.arange(made.num_trials))
    wanted = np.stack([values[begin : begin + n] for begin, n, start in zip(
        made.trial_start_bin, made.trial_num_bins, made.trial_start_s, strict=True)])  # fmt: skip
    np.testing.assert_allclose(windows, wanted, rtol=1e-6)


def test_a_hole_of_one_frame_leaves_out_the_windows_that_hold_it(imaging):
    first = round((STARTS[4] - 0.5) * RATE_HZ)
    for frame, is_inside in [(first - 1, False), (first, True), (first + 59, True), (first + 60, False)]:

        def change(file, frame=frame):
            file[f"{DF}/data"][frame, 3] = np.nan

        assert (STARTS[4] not in read(imaging(change)).trial_start_s) == is_inside


def test_a_value_that_stands_for_none_is_a_hole(imaging):
    frame = round((STARTS[4] - 0.5) * RATE_HZ) + 7

    def change(file):
        file[f"{DF}/data"][frame, 3] = 9.97e36

    made = read(imaging(change))
    assert STARTS[4] not in made.trial_start_s and made.num_trials == 29
    assert sum(number for name, number in made.info["findings"].items() if "stand for none" in name) == 1


def test_a_cell_without_a_value_leaves(imaging):
    def change(file):
        file[f"{DF}/data"][:, 3] = np.nan

    made = read(imaging(change))
    assert made.info["units_dropped"] == {"not accepted as a cell": 1, "never a finite value": 1}
    assert made.num_trials == 30 and "cells_plane0-44" not in made.unit_id


BAD = {
    "65 trials|30 of 30 trials lie outside of the traces": lambda f: replace(f[DF], "starting_time", 5000.0),
    "span 99,966.7 seconds, 0.03 a second.*time_unit": lambda f: stamped(f, 1000 * (FRAMES_S - 0.5)),
    "rois names 3 cells": lambda f: replace(f[DF], "rois", np.arange(3)),
    "name row 99": lambda f: replace(f[DF], "rois", np.full(6, 99)),
    "expected rows of cells": lambda f: replace(f[DF], "rois", np.full(6, 0.5)),
    "times that are not finite": lambda f: stamped(f, np.full(NUM_FRAMES, np.nan)),
    "numbers .frames, cells": lambda f: replace(f[DF], "data", np.zeros((NUM_FRAMES, 2, 3))),
    "has no trials": lambda f: f.pop("intervals"),
}


@pytest.mark.parametrize("said", BAD)
def test_the_sentence_names_what_is_wrong(imaging, said):
    with pytest.raises(InputError, match=said) as caught:
        read(imaging(BAD[said]))
    assert "\n" not in str(caught.value)


def test_frames_in_milliseconds_are_converted(imaging):
    def change(file):
        stamped(file, 1000 * FRAMES_S)

    made = read(imaging(change), time_unit="spikes=ms,trials=s")
    assert made.sampling_hz == pytest.approx(30.0) and made.num_trials == 30


def test_windows_are_cut_and_split_in_blocks(imaging):
    made = read(imaging(), window_s=1.0, split="blocks:10s")
    assert 90 <= made.num_trials <= 100 and set(made.trial_num_bins) == {30} and set(made.split) == {0, 1, 2}
    with pytest.raises(InputError, match="bin_ms=20 is for spikes"):
        read(imaging(), bin_ms=20)


def test_the_digest_covers_the_verdicts_and_the_traces(imaging):
    def verdict(file):
        file["processing/ophys/ImageSegmentation/cells_plane0/iscell"][4, 0] = 0

    def trace(file):
        file[f"{DF}/data"][7, 1] += 1

    assert len({nwb.source_sha256(imaging(change)) for change in (None, verdict, trace)}) == 3


def test_what_training_needs_is_there(imaging, tmp_path):
    """configs/emg.py reads such sessions: windows with a label each."""
    convert("nwb", [imaging()], tmp_path / "out", options=[("traces", "DfOverF/plane0")])
    sessions = open_dataset(tmp_path / "out").sessions
    source = open_source(sessions, Config(trials_per_batch=8, label="choice", normalise="person"), seed=0)
    batch = source.batch(0)
    assert source.class_names == ("left", "right") and batch.trials["values"].shape == (1, 8, 60, 5)
    assert np.isfinite(batch.trials["values"]).all() and batch.trials["bin_valid"].all()
