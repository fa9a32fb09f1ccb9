"""MATLAB structs and cells, old format and v7.3: named by path they become sessions; damage gives a sentence."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from neurojax.data.readers import mat
from neurojax.data.readers.matlab_values import load_matlab, value_at
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError

RNG = np.random.default_rng(0)
UNITS, LENGTHS = 5, (12, 9, 15, 11)
TRIALS = [RNG.poisson(0.7, (UNITS, n)).astype(float) for n in LENGTHS]  # [units, bins]
HANDS = [RNG.normal(size=(2, n)) for n in LENGTHS]
TRAINS = [np.sort(RNG.uniform(0, 40, 300 + k)) for k in range(UNITS)]
REGIONS = ["M1", "M1", "PMd", "PMd", "S1"]
OPTIONS = {"counts": "day.trials.spikes", "axes": "units:bins", "bin_size_s": "day.bin_s"}


def cell(values):
    made = np.empty((1, len(values)), object)
    for k, value in enumerate(values):
        made[0, k] = value
    return made


def save_v5(path):
    trials = np.empty((1, len(TRIALS)), [("spikes", object), ("hand", object), ("angle", object)])
    for k, (spikes, hand) in enumerate(zip(TRIALS, HANDS, strict=True)):
        trials[0, k] = (spikes, hand, 45.0 * k)
    content = {"day": {"trials": trials, "bin_s": 0.05, "regions": cell(REGIONS), "monkey": "J"}}
    scipy.io.savemat(path, content | {"trains": cell([train[None] for train in TRAINS]), "flat": np.hstack(TRIALS)})
    return path


def save_v73(path):
    """As MATLAB lays it out: axes reversed, text as UTF-16 codes, cells and struct arrays as references."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")

        def put(parent, name, value, kind="double"):
            if isinstance(value, str):
                codes = np.frombuffer(value.encode("utf-16-le"), "<u2")[:, None]
                made, kind = parent.create_dataset(name, data=codes), "char"
            else:
                made = parent.create_dataset(name, data=np.atleast_2d(np.asarray(value, float)).T)
            made.attrs["MATLAB_class"] = np.bytes_(kind)
            return made

        def references(values):
            made = [put(refs, f"r{len(refs)}", value).ref for value in values]
            return np.array(made, h5py.ref_dtype)[:, None]

        def put_cell(parent, name, values):
            parent.create_dataset(name, data=references(values)).attrs["MATLAB_class"] = np.bytes_("cell")

        day = file.create_group("day")
        trials = day.create_group("trials")
        for name, values in (("spikes", TRIALS), ("hand", HANDS), ("angle", [45.0 * k for k in range(4)])):
            trials.create_dataset(name, data=references(values))
        put(day, "bin_s", 0.05), put(day, "monkey", "J")
        put_cell(day, "regions", REGIONS), put_cell(file, "trains", [train[None] for train in TRAINS])
        put(file, "flat", np.hstack(TRIALS))
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")
    return path


SAVE = {"v5": save_v5, "v7.3": save_v73}


@pytest.fixture(params=SAVE)
def path(request, tmp_path):
    return SAVE[request.param](tmp_path / "J_20120305.mat")


def read(path, options=OPTIONS, **fields):
    return mat.read_session(str(path), ReadSpec(**fields, options=tuple(options.items())))


def test_a_struct_array_of_trials(path):
    extra = {"region": "day.regions"}
    made = read(path, OPTIONS | extra, trial_columns=("day.trials.angle",), behavior=("day.trials.hand",))
    np.testing.assert_array_equal(made.counts, np.hstack(TRIALS).T)
    assert made.trial_num_bins.tolist() == list(LENGTHS) and made.bin_size_s == 0.05
    np.testing.assert_array_equal(made.conditions["angle"], [0, 45, 90, 135])
    np.testing.assert_allclose(made.behaviour["hand"], np.hstack(HANDS).T, rtol=1e-6)
    assert made.region.tolist() == REGIONS and made.session_id == "J_20120305"


def test_one_matrix_is_cut_into_windows(path):
    options = {"counts": "flat", "axes": "units:bins", "bin_size_s": "0.05"}
    made = read(path, options, window_s=0.5)
    np.testing.assert_array_equal(made.counts, np.hstack(TRIALS).T[:40])
    assert made.trial_num_bins.tolist() == [10] * 4


def test_a_cell_of_spike_times(path):
    made = read(path, {"spikes": "trains"}, window_s=2.0)
    for unit, train in enumerate(TRAINS):
        counts, _ = made.gather_trials(np.array([3]))
        edges = made.trial_start_s[3] + np.arange(101) * 0.02
        np.testing.assert_array_equal(counts[0, :, unit], np.histogram(train, edges)[0])


def test_both_formats_hold_the_same_values(tmp_path):
    old, new = (load_matlab(save(tmp_path / f"{name}.mat")) for name, save in SAVE.items())
    for where in ("day.trials.spikes", "day.trials.angle", "day.regions", "trains"):
        for a, b in zip(value_at(old, where, "").values, value_at(new, where, "").values, strict=True):
            np.testing.assert_array_equal(a, b)
    assert value_at(old, "day.monkey", "") == value_at(new, "day.monkey", "") == "J"


def test_axes_say_where_the_trials_are(tmp_path):
    cube = RNG.poisson(0.5, (4, 6, 10)).astype(float)  # units, trials, bins
    scipy.io.savemat(tmp_path / "a.mat", {"x": cube})
    options = {"counts": "x", "axes": "units:trials:bins", "bin_size_s": "0.02"}
    made = read(tmp_path / "a.mat", options)
    np.testing.assert_array_equal(made.counts, cube.transpose(1, 2, 0).reshape(60, 4))


def test_files_of_plain_arrays_read_as_arrays(tmp_path):
    counts = RNG.poisson(0.5, (8, 10, 4)).astype(float)
    scipy.io.savemat(tmp_path / "a.mat", {"counts": counts, "bin_size_s": 0.02, "choice": np.arange(8.0)})
    made = read(tmp_path / "a.mat", {})
    np.testing.assert_array_equal(made.counts, counts.reshape(80, 4))
    np.testing.assert_array_equal(made.conditions["choice"], np.arange(8))


@pytest.mark.parametrize(
    "options, fields, words",
    [
        ({}, {}, "day.trials.spikes"),
        ({"axes": "units:bins"}, {}, "without counts or spikes"),
        ({"counts": "flat", "spikes": "trains"}, {}, "both"),
        (OPTIONS | {"counts": "day.trial.spikes"}, {}, "day has .*trials"),
        (OPTIONS | {"counts": "day.trials"}, {}, "numbers|struct"),
        (OPTIONS | {"counts": "day"}, {}, "is a struct with"),
        (OPTIONS | {"counts": "day.monkey"}, {}, "numbers"),
        (OPTIONS | {"counts": "flat.more"}, {}, "is no struct"),
        (OPTIONS | {"axes": "bins:units"}, {}, "units"),
        (OPTIONS | {"axes": "time:units"}, {}, "axes="),
        (OPTIONS | {"axes": "trials:bins:units"}, {}, "one matrix a trial"),
        (OPTIONS | {"bin_size_s": "20"}, {}, "bin_size_s"),
        (OPTIONS | {"bin_size_s": "day.nothing"}, {}, "nothing"),
        ({"counts": "flat"}, {}, "bin_size_s"),
        ({"counts": "flat", "bin_size_s": "0.05", "axes": "units:bins"}, {}, "window_s"),
        (OPTIONS | {"counts": "day.trials.hand"}, {}, "whole numbers"),
        (OPTIONS | {"region": "trains"}, {}, "units|text|characters"),
        (OPTIONS | {"region": "day.trials.angle"}, {}, "4 values"),
        (OPTIONS, {"trial_columns": ("day.regions",)}, "5 values"),
        (OPTIONS, {"behavior": ("day.regions",)}, "5 trials"),
        (OPTIONS, {"behavior": ("day.bin_s",)}, "an axis of 47 bins"),
        (OPTIONS, {"bin_ms": 20}, "bin_ms=20 is 0.4 bins of 50 ms"),
        ({"spikes": "flat"}, {"window_s": 2.0}, "no cell"),
        ({"spikes": "day.regions"}, {"window_s": 2.0}, "numbers"),
        ({"spikes": "trains"}, {}, "window_s"),
        ({"spikes": "trains", "trial_start_s": "day.bin_s"}, {}, "trial_stop_s"),
        ({"spikes": "trains", "trial_start_s": "flat"}, {}, "one row or column"),
    ],
)
def test_what_does_not_fit_is_said(path, options, fields, words):
    with pytest.raises(InputError, match=words) as caught:
        read(path, options, **fields)
    assert len(str(caught.value)) < 900


def test_truncated_and_changed_files_are_refused_or_harmless(path):
    content, rng = path.read_bytes(), np.random.default_rng(1)
    for part in np.linspace(0, len(content) - 1, 10).astype(int):
        path.write_bytes(content[:part])
        with pytest.raises(InputError):
            read(path)
    for _ in range(40):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 20):
            damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(damaged))
        try:
            read(path)
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_never_reaches_the_compiled_parser(tmp_path, compressed):
    """Sparse, complex and text values too; scipy's parser ends the process on some of these."""
    content = {
        "s": scipy.sparse.csc_matrix(RNG.poisson(0.2, (40, 30)).astype(float)),
        "c": np.arange(6.0) + 1j,
        "t": "x",
    }
    scipy.io.savemat(tmp_path / "a.mat", content, do_compression=compressed)
    assert load_matlab(tmp_path / "a.mat")["s"].shape == (40, 30)
    whole = (tmp_path / "a.mat").read_bytes()
    refused = 0
    for place in range(128, len(whole), 4):
        damaged = bytearray(whole)
        damaged[place + int(RNG.integers(0, 4)) if place + 3 < len(whole) else place] ^= 0xFF
        (tmp_path / "b.mat").write_bytes(bytes(damaged))
        try:
            load_matlab(tmp_path / "b.mat")
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 30


def test_deep_nests_end(tmp_path):
    value = 1.0
    for _ in range(30):
        value = {"a": value}
    scipy.io.savemat(tmp_path / "a.mat", {"x": value})
    with pytest.raises(InputError, match="nested deeper"):
        read(tmp_path / "a.mat", {"counts": "x.a"})


@pytest.mark.data
def test_a_labs_file_of_structs(data_root):
    path = data_root / "bci_learning_jeffy" / "exampleData.mat"
    options = {"counts": "afterLearning.clouds.spikes", "axes": "units:bins"}
    options["bin_size_s"] = "expParams.intuitiveMapping.dt"
    made = read(path, options, trial_columns=("afterLearning.clouds.angles",))
    assert made.counts.shape == (552, 86) and made.bin_size_s == 0.045 and round(float(made.counts.mean()), 2) == 1.90
    assert made.conditions["angles"].tolist() == list(range(0, 360, 45))
    with pytest.raises(InputError, match="rates are not counts"):  # calcium imaging is no spikes
        song = {"counts": "NEURAL", "axes": "units:bins", "bin_size_s": "0.0333"}
        read(data_root / "songbird_calcium" / "MackeviciusData.mat", song, window_s=0.333)
