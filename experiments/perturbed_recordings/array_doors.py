"""Doors of arrays: .npz files and MATLAB's, v5 and v7.3."""

from pathlib import Path

import h5py
import numpy as np
import scipy.io
from forms import Made, behaviour, binned, choices, declared, text, unit_names, with_choice, words_of
from recording import BIN_S, Recording


def arrays_spikes(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    times, rows = recording.flat()
    ids, names = unit_names(recording)
    arrays = {
        "spike_times_s": recording.in_file(times, "spikes"),
        "spike_units": rows,
        "trial_start_s": recording.in_file(recording.trials[:, 0], "trials"),
        "trial_stop_s": recording.in_file(recording.trials[:, 1], "trials"),
        "unit_id": ids,
        "unit_probe": recording.probe,
    }
    arrays |= {"unit_region": text(recording, recording.region)} if recording.region else {}
    arrays |= {"choice": choices(recording)} if with_choice(recording) else {}
    if recording.signal is not None:
        arrays["speed_times_s"], arrays["speed"] = behaviour(recording)
    if len(bad := declared(recording)):
        arrays["invalid_s"] = recording.in_file(bad, "trials")
    if recording.how.get("vectors"):
        some = ("spike_times_s", "spike_units", "trial_start_s", "trial_stop_s")
        arrays |= {name: arrays[name][:, None] for name in some}
    if recording.windows:
        del arrays["trial_start_s"], arrays["trial_stop_s"]
    np.savez(folder / "day1.npz", **arrays)
    return words_of(recording, "convert", "arrays", str(folder / "day1.npz")), names


def arrays_counts(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    ids, names = unit_names(recording)
    counts, starts = binned(recording)
    arrays = {
        "counts": counts,
        "bin_size_s": BIN_S,
        "trial_start_s": starts,
        "unit_id": ids,
        "unit_probe": recording.probe,
    }
    arrays |= {"unit_region": text(recording, recording.region)} if recording.region else {}
    arrays |= {"choice": choices(recording)} if with_choice(recording) else {}
    if recording.signal is not None:
        arrays["speed_times_s"], arrays["speed"] = behaviour(recording)
    np.savez(folder / "day1.npz", **arrays)
    return words_of(recording, "convert", "arrays", str(folder / "day1.npz")), names


def _matlab(recording: Recording, rng: np.random.Generator) -> tuple[dict, list[str], list[str]]:
    """Variables of a .mat file, options of `convert mat`, and names of the units."""
    options = ["trial_start_s=trials.start", "trial_stop_s=trials.stop"]
    tree: dict = {
        "trials": {
            "start": recording.in_file(recording.trials[:, 0], "trials"),
            "stop": recording.in_file(recording.trials[:, 1], "trials"),
        }
    }
    if recording.windows:
        options, tree = [], {}
    if rng.integers(2):
        cell = np.empty(len(recording.trains), object)
        for unit, train in enumerate(recording.trains):
            cell[unit] = recording.in_file(train, "spikes")
            if "order" in recording.how:
                cell[unit] = np.random.default_rng(unit).permutation(cell[unit])
        tree["trains"], names = cell, [str(unit) for unit in range(len(recording.trains))]
        options.append("spikes=trains")
        if recording.region:
            tree["areas"] = np.array(recording.region, object)
            options.append("region=areas")
    else:
        times, rows = recording.flat()
        tree["sp"] = {"st": recording.in_file(times, "spikes"), "clu": rows.astype(np.float64) + 1}
        names = [str(unit + 1) for unit in range(len(recording.trains)) if len(recording.trains[unit])]
        gone = [unit for unit in range(len(recording.trains)) if not len(recording.trains[unit])]
        for unit in gone:  # a file of spikes cannot name who has none
            del recording.trains[unit], recording.true_region[unit]
            recording.probe = np.delete(recording.probe, unit)
        recording.true_region, recording.how["no regions"] = ["unknown"] * len(recording.trains), "yes"
        options += ["times=sp.st", "clusters=sp.clu"]
    if recording.signal is not None:
        tree["speed_t"], tree["speed"] = behaviour(recording)
    if with_choice(recording):
        made = choices(recording)
        tree["choice"] = made.astype(object) if made.dtype.kind == "U" else made.astype(np.float64)
    if len(bad := declared(recording)):
        tree["artifacts"] = recording.in_file(bad, "trials")
        options.append("invalid_s=artifacts")
    return tree, options, names


def _mat_words(recording, path, options) -> list[str]:
    words = ["convert", "mat", str(path), f"--options={','.join(options)}"]
    words += ["--behavior=speed"] if recording.signal is not None else []
    words += ["--trial_columns=choice"] if with_choice(recording) else []
    return words_of(recording, *words)


def mat_v5(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    tree, options, names = _matlab(recording, rng)
    scipy.io.savemat(folder / "day1.mat", tree)
    return _mat_words(recording, folder / "day1.mat", options), names


def mat_v73(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    tree, options, names = _matlab(recording, rng)
    with h5py.File(folder / "day1.mat", "w", userblock_size=512) as file:
        for name, value in tree.items():
            _put_matlab(file, file, name, value)
    with (folder / "day1.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")
    return _mat_words(recording, folder / "day1.mat", options), names


def _put_matlab(file, parent, name: str, value) -> None:
    """One variable as MATLAB stores it: structs are groups, cells are references, axes are reversed."""
    if isinstance(value, dict):
        made, kind = parent.create_group(name), "struct"
        for inner, content in value.items():
            _put_matlab(file, made, inner, content)
    elif isinstance(value, str):
        letters = np.array([ord(letter) for letter in value], np.uint16)[:, None]
        made, kind = parent.create_dataset(name, data=letters if value else np.zeros(2, np.uint64)), "char"
        made.attrs["MATLAB_int_decode"] = np.int32(2)
        if not value:
            made.attrs["MATLAB_empty"] = np.uint8(1)
    elif getattr(value, "dtype", np.dtype(float)).kind == "O":
        references = np.empty((1, len(value)), h5py.ref_dtype)
        for number, content in enumerate(value):
            place = f"#refs#/{name}{number}"
            _put_matlab(file, file, place, content)
            references[0, number] = file[place].ref
        made, kind = parent.create_dataset(name, data=references), "cell"
    else:
        array = np.atleast_2d(np.asarray(value))
        made, kind = parent.create_dataset(name, data=array.T if array.size else np.zeros(2, np.uint64)), "double"
        if not array.size:
            made.attrs["MATLAB_empty"] = np.uint8(1)
    made.attrs["MATLAB_class"] = np.bytes_(kind)
