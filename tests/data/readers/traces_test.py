"""Traces of suite2p and CaImAn as recordings of real values: cells, neuropil, trials, frames that were not seen."""

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.data.conversion import convert_session
from neurojax.data.observed import entries_of
from neurojax.data.readers import traces
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.session_format import open_session
from neurojax.errors import InputError

RNG = np.random.default_rng(5)
CELLS, FRAMES, RATE = 7, 1200, 10.0
F = RNG.normal(100, 20, (CELLS, FRAMES)).astype(np.float32)
FNEU = RNG.normal(50, 5, (CELLS, FRAMES)).astype(np.float32)
SPKS = RNG.exponential(1.0, (CELLS, FRAMES)).astype(np.float32)
ISCELL = np.stack([[1, 1, 0, 1, 0, 1, 1], np.linspace(0.1, 0.9, CELLS)], 1)
ACCEPTED = ISCELL[:, 0] > 0
HZ = {"sampling_hz": "10"}


def plane(folder, **change):
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in ({"F": F, "Fneu": FNEU, "spks": SPKS, "iscell": ISCELL} | change).items():
        if values is not None:
            np.save(folder / f"{name}.npy", values)
    np.save(folder / "ops.npy", {"fs": 30.0}, allow_pickle=True)  # a pickle: never read
    return folder


def read(path, options=HZ, **fields):
    return traces.read_session(str(path), ReadSpec(**fields, options=tuple(options.items())))


def test_a_plane_of_suite2p_in_windows(tmp_path):
    path = plane(tmp_path / "day1/suite2p/plane0")
    session = read(path, window_s=4.0)
    assert (session.session_id, session.observation, session.sampling_hz) == ("day1", "real", 10.0)
    assert session.num_trials == 30 and session.unit_id.tolist() == ["0", "1", "3", "5", "6"]
    expected = (F - np.float32(0.7) * FNEU)[ACCEPTED].T
    np.testing.assert_allclose(session.values, expected, rtol=1e-6)
    assert session.info["units_dropped"] == {"not accepted as a cell": 2} and session.validity is None
    assert {0, 1, 2} == set(session.split.tolist())


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"signal": "F"}, F[ACCEPTED]),
        ({"signal": "spks", "cells": "all"}, SPKS),
        ({"neuropil": "0"}, F[ACCEPTED]),
        ({"neuropil": "1", "cells": "all"}, F - FNEU),
    ],
)
def test_signals_of_suite2p(tmp_path, options, expected):
    session = read(plane(tmp_path / "d"), HZ | options, window_s=4.0)
    np.testing.assert_allclose(session.values, expected.T, rtol=1e-5)


def test_planes_lie_side_by_side(tmp_path):
    plane(tmp_path / "d2/suite2p/plane0")
    plane(tmp_path / "d2/suite2p/plane1", F=F[:, :-1] + 7, Fneu=FNEU[:, :-1], spks=None, iscell=ISCELL[::-1])
    plane(tmp_path / "d2/suite2p/combined")
    session = read(tmp_path / "d2/suite2p", HZ | {"signal": "F"}, window_s=4.0)
    assert session.num_units == 10 and session.values.shape == (FRAMES - 1, 10)
    assert session.unit_id.tolist()[4:6] == ["plane0-6", "plane1-0"]
    assert traces.find(str(tmp_path)) == [str(tmp_path / "d2/suite2p")]
    plane(tmp_path / "d2/suite2p/plane2", F=F[:, :100], Fneu=None, iscell=None)
    with pytest.raises(InputError, match="planes have .*100.* frames"):
        read(tmp_path / "d2/suite2p", HZ | {"signal": "F"}, window_s=4.0)


def write_trials(folder, starts, stops, names=("start_s", "stop_s"), **more):
    columns = {names[0]: starts, names[1]: stops} | more
    rows = ["\t".join(columns), *("\t".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (folder / "trials.tsv").write_text("\n".join(rows))


def test_trials_of_a_table(tmp_path):
    folder, starts = plane(tmp_path / "d"), np.arange(0, 119, 3.0)
    write_trials(folder, starts, starts + 2, side=["L", "R"] * 20)
    session = read(folder, HZ | {"signal": "F", "cells": "all"})
    assert session.num_trials == 40 and session.conditions["side"].tolist() == ["L", "R"] * 20
    np.testing.assert_array_equal(session.trial_start_bin, starts * 10)
    assert set(session.trial_num_bins.tolist()) == {20}
    frames = tmp_path / "e"
    write_trials(
        plane(frames), (starts * 10).astype(int), (starts * 10 + 20).astype(int), ("start_frame", "stop_frame")
    )
    again = read(frames, HZ | {"signal": "F", "cells": "all", "start_s": "5"})
    np.testing.assert_array_equal(again.trial_start_bin, session.trial_start_bin)
    np.testing.assert_allclose(again.trial_start_s, starts + 5)
    write_trials(folder, starts + 5, starts + 7)
    shifted = read(folder, HZ | {"signal": "F", "cells": "all", "start_s": "5"})
    np.testing.assert_array_equal(shifted.trial_start_bin, session.trial_start_bin)
    write_trials(folder, starts + 60, starts + 62)
    assert read(folder).info["trials_dropped"] == {"window leaves the recording": 20}


def test_a_split_of_the_table_and_blocks(tmp_path):
    folder, starts = plane(tmp_path / "d"), np.arange(0, 118, 2.0)
    write_trials(folder, starts, starts + 1, split=np.arange(59) % 3)
    assert read(folder).split.tolist() == (np.arange(59) % 3).tolist()
    write_trials(folder, starts, starts + 3)  # each runs into the next
    blocks = read(folder, split="blocks:20s")
    gone = blocks.info["trials_dropped"]["reach into another split"]
    assert 0 < gone < 8 and blocks.num_trials == 59 - gone - blocks.info["trials_dropped"].get(
        "window leaves the recording", 0
    )


@settings(max_examples=20, deadline=None)
@given(
    cell=st.integers(0, CELLS - 1),
    first=st.integers(0, FRAMES - 2),
    length=st.integers(1, 400),
    window=st.sampled_from([1.0, 2.0, 4.0]),
)
def test_frames_that_are_nan_were_not_observed(tmp_path_factory, cell, first, length, window):
    values = F.copy()
    values[cell, first : first + length] = np.nan
    values[:, 400:480] = np.nan  # the shutter was closed
    folder = plane(tmp_path_factory.mktemp("d") / "x", F=values, iscell=None)
    session = read(folder, HZ | {"signal": "F"}, window_s=window)
    np.testing.assert_array_equal(entries_of(session.validity, FRAMES, CELLS), np.isfinite(values.T))
    assert np.isfinite(session.values).all()
    assert (session.values.min(0) >= np.nanmin(values, 1)).all() and (
        session.values.max(0) <= np.nanmax(values, 1)
    ).all()
    whole = np.isfinite(values.T).any(1).reshape(-1, int(window * RATE)).any(1)
    assert session.num_trials == whole.sum()
    assert session.info["trials_dropped"]["never observed"] == (~whole).sum()


@settings(max_examples=20, deadline=None)
@given(window=st.floats(0.15, 30), rate=st.floats(1, 60))
def test_windows_hold_each_frame_at_most_once(tmp_path_factory, window, rate):
    folder = plane(tmp_path_factory.mktemp("d") / "x")
    try:
        session = read(folder, {"sampling_hz": str(rate)}, window_s=window)
    except InputError as error:
        assert "window" in str(error) or "expected at least 3" in str(error)
        return
    assert (session.trial_start_bin[1:] >= session.trial_start_bin[:-1] + session.trial_num_bins[:-1]).all()
    assert len(set(session.trial_num_bins.tolist())) == 1
    assert session.trial_num_bins.sum() > FRAMES - session.trial_num_bins[0] - 1 - session.num_trials


def caiman(path, **change):
    h5py = pytest.importorskip("h5py")
    content = {"C": F, "S": SPKS, "F_dff": F / 100 - 1, "idx_components": np.array([0, 2, 5])} | change
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            if values is not None:
                file[f"estimates/{name}"] = values
        file["params/data/fr"] = 12.5
    return path


def test_caiman(tmp_path):
    session = read(caiman(tmp_path / "mouse3.hdf5"), {}, window_s=4.0)
    assert (session.session_id, session.sampling_hz, session.unit_of_values) == ("mouse3", 12.5, "dF/F")
    np.testing.assert_allclose(session.values, (F / 100 - 1)[[0, 2, 5]].T, rtol=1e-6)
    assert session.unit_id.tolist() == ["0", "2", "5"]
    other = read(caiman(tmp_path / "b.hdf5", F_dff=None, idx_components=np.bytes_("NoneType")), {}, window_s=4.0)
    np.testing.assert_allclose(other.values, F.T, rtol=1e-6)
    assert other.num_units == CELLS and other.unit_of_values == "a.u."
    spikes = read(tmp_path / "mouse3.hdf5", {"signal": "S"}, window_s=4.0)
    np.testing.assert_allclose(spikes.values, SPKS[[0, 2, 5]].T, rtol=1e-6)


def test_mat_files_of_both(tmp_path):
    fall = {"F": F, "Fneu": FNEU, "iscell": ISCELL, "spks": SPKS, "ops": {"fs": 15.0, "nplanes": 1.0}}
    (tmp_path / "m1").mkdir()
    scipy.io.savemat(tmp_path / "m1/Fall.mat", fall)
    session = read(tmp_path / "m1/Fall.mat", {}, window_s=4.0)
    assert (session.session_id, session.sampling_hz, session.num_units) == ("m1", 15.0, 5)
    scipy.io.savemat(tmp_path / "cnmf.mat", {"neuron": {"C": F, "S": SPKS}})
    made = read(tmp_path / "cnmf.mat", HZ, window_s=4.0)
    np.testing.assert_allclose(made.values, F.T, rtol=1e-6)
    assert read(tmp_path / "cnmf.mat", HZ | {"signal": "neuron.S"}, window_s=4.0).info["source"]["signal"] == "neuron.S"


@pytest.mark.parametrize(
    "change, options, fields, words",
    [
        ({}, {}, {"window_s": 4.0}, "ops.npy is a pickle and is not read.*sampling_hz=30"),
        ({}, {"sampling_hz": "fast"}, {"window_s": 4.0}, "sampling_hz=fast"),
        ({}, HZ, {}, "trials.csv with start_s and stop_s"),
        ({}, HZ, {"window_s": 1000.0}, "hold no window"),
        ({}, HZ | {"cells": "good"}, {"window_s": 4.0}, "accepted or all"),
        ({}, HZ | {"signal": "dff"}, {"window_s": 4.0}, "expected one of corrected, F, Fneu, spks"),
        ({}, HZ | {"neuropil": "9"}, {"window_s": 4.0}, "expected 0 to 2"),
        ({}, HZ | {"start_s": "noon"}, {"window_s": 4.0}, "expected seconds"),
        ({"Fneu": None}, HZ, {"window_s": 4.0}, "lacks Fneu; .*signal=F"),
        ({"Fneu": FNEU[:, :-5]}, HZ, {"window_s": 4.0}, "Fneu is"),
        ({"iscell": ISCELL[:3]}, HZ, {"window_s": 4.0}, "iscell has 3 rows, but there are 7"),
        ({"iscell": ISCELL * 0}, HZ, {"window_s": 4.0}, "cells=all"),
        ({"F": F * np.nan}, HZ, {"window_s": 4.0}, "none of 7 cells"),
        ({"F": np.array([{"a": 1}], object)}, HZ, {"window_s": 4.0}, "pickled objects are never opened"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, change, options, fields, words):
    folder = plane(tmp_path / "d", **change) if "F" not in change else plane(tmp_path / "d")
    if "F" in change:
        np.save(folder / "F.npy", change["F"], allow_pickle=True)
    with pytest.raises(InputError, match=words) as caught:
        read(folder, options, **fields)
    assert "\n" not in str(caught.value)


def test_behaviour_beside_the_traces_and_the_folder_on_disk(tmp_path):
    folder, t = plane(tmp_path / "d"), np.arange(0, 120, 0.02)
    np.savez(folder / "behav_wheel.npz", time_s=t, speed=np.sin(t))
    options = HZ | {"behavior": "behav_wheel.npz"}
    session = read(folder, options, window_s=4.0)
    expected = np.sin(np.arange(FRAMES) * 0.1 + 0.05)
    np.testing.assert_allclose(session.behaviour["speed"][:-1, 0], expected[:-1], atol=0.02)
    spec = ReadSpec(window_s=4.0, options=tuple(options.items()))
    written = open_session(convert_session(folder, spec, out=tmp_path / "out", kind="traces"))
    np.testing.assert_array_equal(written.values, session.values)
    digest = traces.source_sha256(str(folder))
    np.savez(folder / "behav_wheel.npz", time_s=t, speed=np.cos(t))
    assert traces.source_sha256(str(folder)) != digest


@pytest.mark.parametrize("fill", [9.969209968386869e36, -1e34, np.inf])
def test_values_that_stand_for_none_were_not_observed(tmp_path, fill):
    values = F.copy()
    values[3, 200:260] = fill
    session = read(plane(tmp_path / "d", F=values), HZ | {"signal": "F", "cells": "all"}, window_s=4.0)
    seen = entries_of(session.validity, FRAMES, CELLS)
    assert not seen[200:260, 3].any() and seen.sum() == FRAMES * CELLS - 60
    assert np.abs(session.values).max() < 1e3
    told = {name: number for name, number in session.info["findings"].items() if "stand for none" in name}
    assert list(told.values()) == ([60] if np.isfinite(fill) else [])
