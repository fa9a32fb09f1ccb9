"""`convert KIND --help` and `convert --guess PATH`."""

import datetime
import os
import shlex

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurojax.commands.kinds import EXAMPLES, example, help_of
from neurojax.data.readers.recognise import guesses
from neurojax.data.readers.registry import MODULES, check_options, reader_of
from neurojax.data.readers.seen import seen
from neurojax.data.readers.spec import ReadSpec
from neurojax.main import _parser, _split_config, main

KINDS = sorted(MODULES)


def rng():
    return np.random.default_rng(0)


def spikes(number=3000, last_s=60.0):
    return np.sort(rng().uniform(0, last_s, number)), np.arange(number) % 6


def nwb_file(path, heldout=False, trials=True):
    pynwb = pytest.importorskip("pynwb")
    file = pynwb.NWBFile("day", "id", datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC))
    if heldout:
        file.add_unit_column("heldout", "held out")
    for unit in range(8):
        own = {"heldout": unit > 5} if heldout else {}
        file.add_unit(spike_times=np.sort(rng().uniform(0, 100, 600)) + unit / 7, **own)
    for trial in range(45 * trials):
        file.add_trial(start_time=2.0 * trial, stop_time=2.0 * trial + 1)
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


def arrays_counts(path):
    np.savez(path / "day.npz", counts=rng().poisson(0.3, (30, 20, 5)), bin_size_s=0.02)
    return path / "day.npz"


def arrays_without_bin_size(path):
    np.savez(path / "day.npz", counts=rng().poisson(0.3, (30, 20, 5)))
    return path / "day.npz"


def arrays_spikes(path):
    times, units = spikes()
    np.savez_compressed(path / "day.npz", spike_times_s=times, spike_units=units)
    return path / "day.npz"


def folder_of_arrays(path):
    arrays_counts(path)
    return path


def folders_of_arrays(path):
    for day in ("day1", "day2"):
        (path / "M1" / day).mkdir(parents=True)
        arrays_counts(path / "M1" / day)
    return path


def tensors(path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path / "maze.h5", "w") as file:
        for split, number in (("train", 30), ("eval", 10)):
            file[f"{split}_spikes_heldin"] = rng().poisson(0.3, (number, 20, 5))
            file[f"{split}_spikes_heldout"] = rng().poisson(0.3, (number, 20, 3))
    return path / "maze.h5"


def matlab(path, **values):
    pytest.importorskip("scipy.io").savemat(path / "day.mat", values)
    return path / "day.mat"


def matlab_arrays(path):
    return matlab(path, counts=rng().poisson(0.3, (30, 20, 5)), bin_size_s=0.02)


def matlab_cell(path):
    trains = np.empty((1, 6), object)
    for unit in range(6):
        trains[0, unit] = np.sort(rng().uniform(0, 60, 400)) + unit / 7
    return matlab(path, data={"note": "x", "spk": trains})


def matlab_vectors(path):
    times, units = spikes()
    return matlab(path, sp={"st": times, "clu": units, "note": "x"})


def matlab_trials(path):
    trains = np.empty((30, 6), object)
    for place in np.ndindex(30, 6):
        trains[place] = np.sort(rng().uniform(0, 1, 5)) + place[1] / 1000
    return matlab(path, data={"spk": trains})


def matlab_counts(path):
    return matlab(path, J=rng().poisson(0.3, (7, 900)), dt=0.02)


def phy(path):
    folder = path / "day1" / "ks4"
    folder.mkdir(parents=True)
    np.save(folder / "spike_times.npy", np.sort(rng().integers(0, 30000 * 60, 3000)))
    np.save(folder / "spike_clusters.npy", rng().integers(0, 5, 3000))
    (folder / "params.py").write_text("sample_rate = 30000.0\n")
    return folder


def folder_of_sortings(path):
    phy(path)
    return path


def phy_without_a_rate(path):
    folder = phy(path)
    (folder / "params.py").unlink()
    return folder


def ibl(path):
    probe = path / "M1/2024-01-01/001/alf/probe00"
    probe.mkdir(parents=True)
    times, clusters = spikes()
    np.save(probe / "spikes.times.npy", times)
    np.save(probe / "spikes.clusters.npy", clusters)
    return path / "M1/2024-01-01/001"


def brainwide(path):
    times, units = spikes()
    with pytest.importorskip("h5py").File(path / "day.h5", "w") as file:
        file["spikes/timestamps"], file["spikes/unit_index"] = times, units
        file["units/id"], file["domain/start"], file["domain/end"] = np.arange(6), [0.0], [60.0]
    return path / "day.h5"


def emg(path):
    arrays = {"segment_offsets": [0, 400, 800], "gesture": [0, 1], "gesture_names": np.array(["rest", "fist"])}
    for person in range(9):
        values = np.random.default_rng(person).normal(size=(800, 4)).astype(np.float32)
        np.savez(path / f"p{person}.npz", emg=values, sampling_rate_hz=200.0, **arrays)
    return path


def eeg(path):
    arrays = {"channel_names": np.array(["Fz", "Cz"]), "sampling_rate_hz": 100.0, "run_offsets": [0, 300, 600]}
    np.savez(path / "p1.npz", eeg=np.random.default_rng(0).normal(size=(600, 2)), **arrays)
    return path / "p1.npz"


def suite2p(path):
    folder = path / "day1" / "suite2p" / "plane0"
    folder.mkdir(parents=True)
    noise = rng().normal(size=(6, 3000)).astype(np.float32)
    np.save(folder / "F.npy", 100 + noise), np.save(folder / "Fneu.npy", 10 + noise)
    np.save(folder / "iscell.npy", np.ones((6, 2)))
    return path / "day1" / "suite2p"


MAKERS = {
    "traces": (suite2p,),
    "arrays": (
        arrays_counts,
        arrays_without_bin_size,
        arrays_spikes,
        folder_of_arrays,
        folders_of_arrays,
        tensors,
        matlab_arrays,
    ),
    "mat": (matlab_cell, matlab_counts, matlab_vectors, matlab_trials),
    "phy": (phy, folder_of_sortings, phy_without_a_rate),
    "ibl": (ibl,),
    "brainwide": (brainwide,),
    "emg": (emg,),
    "eeg": (eeg,),
    "nwb": (lambda path: nwb_file(path / "day.nwb"), lambda path: nwb_file(path / "day.nwb", trials=False)),
    "nlb": (lambda path: nwb_file(path / "maze.nwb", heldout=True),),
}


@pytest.mark.parametrize(("kind", "make"), [(kind, make) for kind, makers in MAKERS.items() for make in makers])
def test_the_kind_is_named_and_the_command_it_prints_works(tmp_path, monkeypatch, capsys, kind, make):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my data").mkdir()
    path = make(tmp_path / "my data")
    assert main(["convert", "--guess", os.path.relpath(path)]) == 0
    first, command, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{os.path.relpath(path)}: {kind}: ")
    words = shlex.split(command)
    assert words[:3] == ["neurojax", "convert", kind] and main(words[1:]) == 0, capsys.readouterr()
    assert list((tmp_path / "data/mine").glob("*/meta.json"))


def test_a_session_id_and_addresses_are_recognised_without_a_look(tmp_path):
    (one,) = guesses("4b00df29-3769-43be-bb40-128b1cba6d35")
    assert one.kind == "ibl"
    assert [guess.kind for guess in guesses("https://host.org/a/day.nwb?x=1")] == ["nwb"]
    assert guesses("https://host.org/a/day.txt") == [] and "address" in seen("https://host.org/a/day.txt")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("day.ap.bin", b"\0" * 64, "raw voltage; sort its spikes first"),
        ("day.plx", b"\0" * 64, "acquisition system"),
        ("day.pkl", b"\x80\x04.", "never opened"),
        ("day.csv", b"time,unit\n1,2\n", "a table"),
        ("day.xyz", b"abc", "a file of 3 bytes ending in '.xyz'"),
        ("day.npz", b"PK\x03\x04 nothing", "a damaged archive"),
        ("day.h5", b"\x89HDF\r\n\x1a\nnothing", "damaged HDF5"),
        ("gone.npz", None, "there is no such file or folder"),
    ],
)
def test_unknown_kinds_say_what_was_seen(tmp_path, capsys, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["convert", "--guess", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert said in err and name in err and "from_spike_times" in err and err.count("\n") == 1


def test_a_mistyped_path_is_told(tmp_path, capsys):
    arrays_counts(tmp_path)
    assert main(["convert", "--guess", str(tmp_path / "dya.npz")]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_other_contents_are_listed(tmp_path):
    np.savez(tmp_path / "a.npz", alpha=np.ones(3), beta=np.ones(3))
    assert guesses(str(tmp_path / "a.npz")) == [] and "alpha, beta" in seen(str(tmp_path / "a.npz"))
    with pytest.importorskip("h5py").File(tmp_path / "a.h5", "w") as file:
        file["lfp"] = np.ones(3)
    assert "an HDF5 file with lfp" in seen(str(tmp_path / "a.h5"))
    assert "2 files (1 .npz, 1 .h5)" in seen(str(tmp_path)) or "2 files (1 .h5, 1 .npz)" in seen(str(tmp_path))
    (tmp_path / "empty").mkdir()
    assert seen(str(tmp_path / "empty")) == "an empty folder"


def test_several_paths_and_one_that_is_unknown(tmp_path, capsys):
    path = arrays_counts(tmp_path)
    (tmp_path / "x.bin").write_bytes(b"\0")
    assert main(["convert", "--guess", str(tmp_path / "x.bin"), str(path)]) == 2
    done = capsys.readouterr()
    assert "day.npz: arrays" in done.out and "raw voltage" in done.err


def test_a_kind_typed_with_guess_is_no_path(tmp_path, capsys):
    assert main(["convert", "arrays", str(arrays_counts(tmp_path)), "--guess"]) == 0
    assert capsys.readouterr().out.count("neurojax convert") == 1


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([".npz", ".mat", ".h5", ".nwb", ".npy", ""]),
    start=st.sampled_from([b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"]),
    rest=st.binary(max_size=300),
)
def test_no_damage_raises(tmp_path, suffix, start, rest):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(start + rest)
    assert guesses(str(path)) == [] or suffix == ".mat"
    assert seen(str(path))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whole_files_cut_short_or_flipped_raise_nothing(tmp_path, data):
    make = data.draw(st.sampled_from([arrays_spikes, matlab_cell, brainwide, tensors]))
    path = make(tmp_path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:place]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    guesses(str(path)), seen(str(path))


@pytest.mark.parametrize("kind", [*KINDS, "synthetic"])
def test_the_help_of_a_kind_names_its_options_and_a_command_that_is_taken(capsys, kind):
    with pytest.raises(SystemExit) as left:
        main(["convert", kind, "--help"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "--time_unit" in out and example(kind) in out
    if kind != "synthetic":
        assert f"\noptions of {kind} " in out
        assert all(f"\n  {name} " in out for name in reader_of(kind).OPTIONS)
    words = shlex.split(example(kind))[1:]
    arguments = vars(_parser().parse_args(_split_config(words)[0]))
    if kind != "synthetic":
        window = arguments["window"] and tuple(arguments["window"])
        fields = {name: arguments[name] for name in ("bin_ms", "align", "window_s", "behavior", "options")}
        check_options(kind, ReadSpec(window=window, **fields))


def test_help_without_a_kind_lists_them(capsys):
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    out = capsys.readouterr().out
    assert all(f"neurojax convert {kind} " in out for kind in [*KINDS, "synthetic"])
    assert help_of(["--out=x", "phy"]).startswith("phy: ")


def test_every_kind_has_an_example():
    assert [kind for kind in KINDS if kind not in EXAMPLES and not hasattr(reader_of(kind), "EXAMPLE")] == []
