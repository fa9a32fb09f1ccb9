"""How each door is given a recording: files and words of `neurojax convert`, or a call of the Python API.

A door of `DOORS` is (abilities, make): `make(recording, folder, rng)` writes the recording and returns what to run and
the names its units will have. Abilities say which perturbations the door can be given, see `perturbations`.
"""

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from recording import BIN_S, RATE_HZ, TRIAL_S, Recording

from neurojax.data.session import Session

Made = tuple[list[str] | Callable[[], Session], Sequence[str]]
LEAD_S = 0.2  # from the start of a trial to its event, where a door cuts around events


def text(recording: Recording, values: Sequence[str]) -> np.ndarray:
    """Text as the door's file has it: plain, bytes or objects."""
    made = np.array([str(value) for value in values])
    form = recording.how.get("text")
    return made.astype(object) if form == "object" else np.char.encode(made) if form == "bytes" else made


def unit_names(recording: Recording) -> tuple[np.ndarray, list[str]]:
    """The column of names, and the names that units will have: by their row where these will not do."""
    own, form = list(recording.unit_id), recording.how.get("ids")
    if form == "numbers":
        numbers = 100 + np.arange(len(own))
        return numbers, numbers.astype(str).tolist()
    if form == "twice":
        own[3] = own[4]
    if form == "blank":
        own[3] = ""
    return text(recording, own), own


def behaviour(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of the samples as the file has them."""
    signal = recording.signal
    values = signal.values[:, 0] if signal.values.shape[1] == 1 else signal.values
    if signal.layout == "extra axis":
        values = signal.values[:, :, None] if signal.values.shape[1] > 1 else signal.values
    elif signal.layout == "transposed":
        values = signal.values.T
    elif signal.layout == "short":
        values = values[:-7]
    return recording.in_file(signal.times_s, "behavior"), values


def declared(recording: Recording) -> np.ndarray:
    """Bad times that the recording states, float64 [n, 2] in seconds."""
    spans = np.array([[start, stop] for _, start, stop, said in recording.unseen if said]).reshape(-1, 2)
    form = recording.how.get("declared")
    return spans * 1000 if form == "ms" else spans[:, ::-1] if form == "turned" else spans


def words_of(recording: Recording, *words: str) -> list[str]:
    """Words of the command line, with those that perturbations add."""
    unit = recording.words.get("time_unit")
    if words[1] == "phy" and unit:  # its spikes are samples, and params.py says of what rate
        unit = unit.removeprefix("spikes=s,")
    return [*words, *([f"--time_unit={unit}"] if unit else [])]


def with_choice(recording: Recording) -> bool:
    """Whether there is a column of choices."""
    return recording.how.get("choice") != "none"


def choices(recording: Recording) -> np.ndarray:
    """The column of choices as the file has it."""
    form = recording.how.get("choice")
    if form == "text":
        words = ["" if value != value else ("left", "right")[int(value)] for value in recording.choice.tolist()]
        return text(recording, words)
    return recording.choice[:-1] if form == "short" else recording.choice


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
    np.savez(folder / "day1.npz", **arrays)
    return words_of(recording, "convert", "arrays", str(folder / "day1.npz")), names


def binned(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Counts [trials, bins, units] of trials of one length, as the door is given them, and starts in seconds."""
    usable = recording.usable_trials()
    number = round(TRIAL_S / BIN_S)
    counts = np.stack(
        [[recording.counts_of(u, recording.trials[t, 0], number) for u in range(len(recording.trains))] for t in usable]
    )
    counts = counts.transpose(0, 2, 1)
    form = recording.how.get("counts")
    if form in ("f8", "nan", "half"):
        counts = counts.astype(np.float64)
    if form == "bool":
        for unit, train in enumerate(recording.trains):  # one spike a bin is what such a file can say
            counts[..., unit] = np.minimum(counts[..., unit], 1)
            recording.trains[unit] = np.concatenate(
                [
                    recording.trials[t, 0] + (np.flatnonzero(counts[t, :, unit]) + 0.5) * BIN_S
                    for t in range(len(usable))
                ]
            )
            del train
        counts = counts.astype(bool)
    if form in ("nan", "masked"):
        first = len(counts) // 3
        start, stop = recording.trials[usable[first], 0], recording.trials[usable[first + 2], 1]
        recording.unseen.append((1, start, stop, True))
        hidden = np.zeros(counts.shape, bool)
        hidden[first : first + 3, :, recording.probe == 1] = True
        counts = np.ma.array(counts, mask=hidden) if form == "masked" else np.where(hidden, np.nan, counts)
    if form == "half":
        counts[0, 0, 0] += 0.5
    if form == "negative":
        counts[0, 0, 0] = -1
    if recording.how.get("axis") == "more":
        counts = counts[..., None]
    if recording.how.get("axis") == "transposed":
        counts = counts.transpose(2, 1, 0)
    return counts, recording.trials[usable, 0]


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


def nwb(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    path, words = folder / "day1.nwb", words_of(recording, "convert", "nwb", str(folder / "day1.nwb"))
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.6.0"
        units = file.create_group("units")
        form = recording.how.get("ids")
        ids = {"twice": np.array([0, *range(len(recording.trains) - 1)])}.get(form, np.arange(len(recording.trains)))
        units["id"] = ids
        trains = [recording.in_file(train, "spikes") for train in recording.trains]
        if "order" in recording.how:
            trains = [np.random.default_rng(unit).permutation(train) for unit, train in enumerate(trains)]
        units["spike_times"] = np.concatenate(trains)
        units["spike_times_index"] = np.cumsum([len(train) for train in trains])
        if recording.region:
            _strings(units, "location", recording.region, recording.how.get("text"))
        else:  # the electrode group's name stands for it
            recording.how["no regions"] = "yes"
        for number in (0, 1):
            group = file.create_group(f"general/extracellular_ephys/probe{number}")
            file.create_group(f"general/devices/Probe {number}")
            group["device"] = h5py.SoftLink(f"/general/devices/Probe {number}")
        groups = [file[f"general/extracellular_ephys/probe{number}"].ref for number in recording.probe]
        units.create_dataset("electrode_group", data=groups, dtype=h5py.ref_dtype)
        trials = file.create_group("intervals/trials")
        trials["id"] = np.arange(len(recording.trials))
        for number, name in enumerate(("start_time", "stop_time")):
            trials[name] = recording.in_file(recording.trials[:, number], "trials")
        if with_choice(recording):
            made = choices(recording)
            if made.dtype.kind in "US":
                _strings(trials, "choice", made.tolist())
            else:
                trials["choice"] = made
        if recording.how.get("lists"):
            trials["licks"], trials["licks_index"] = (
                np.arange(2.0 * len(trials["id"])),
                2 * np.arange(1, len(trials["id"]) + 1),
            )
        if len(bad := declared(recording)):
            spans = file.create_group("intervals/invalid_times")
            spans["id"] = np.arange(len(bad))
            spans["start_time"], spans["stop_time"] = recording.in_file(bad, "trials").T
        if recording.signal is not None:
            series = file.create_group("processing/behavior/speed")
            series.attrs["neurodata_type"], series.attrs["namespace"] = "TimeSeries", "core"
            series["timestamps"], series["data"] = behaviour(recording)
            words.append("--behavior=speed")
    return [*words, "--split=random"], ids.astype(str).tolist()


def _strings(parent, name: str, values: Sequence[str], form: str | None = None) -> None:
    made = np.array([str(value) for value in values])
    if form == "bytes":
        parent[name] = np.char.encode(made)
    else:
        parent.create_dataset(name, data=list(map(str, values)), dtype=h5py.string_dtype())


def _sorting_tables(recording: Recording, folder: Path, ids: Sequence[int]) -> list[str]:
    """Tables beside a sorting: labels with regions, trials, behaviour; options that name them."""
    if recording.region or recording.how.get("labels") or recording.how.get("rows"):
        region = recording.region or [""] * len(ids)
        words = ["good"] * len(ids)
        for unit, word in zip((2, 5, 11), ("Noise", "noise ", "NOISE"), strict=True):
            words[unit] = word if recording.how.get("labels") == "noise" else "good"
        rows = [f"{k}\t{word}\t{label.strip()}" for k, word, label in zip(ids, words, region, strict=True)]
        rows[1:1] = ["\t\t"] if recording.how.get("rows") == "blank" else []
        (folder / "cluster_info.tsv").write_text("cluster_id\tgroup\tregion\n" + "\n".join(rows) + "\n")
    if recording.how.get("labels") == "older":  # says that all is noise, but is older
        (folder / "cluster_KSLabel.tsv").write_text("cluster_id\tKSLabel\n" + "".join(f"{k}\tnoise\n" for k in ids))
    if recording.how.get("rows") == "unreadable":
        (folder / "cluster_purity.tsv").write_bytes(b"\xff\xfe\0cluster_id\tpurity")
    # A name that says its unit counts before --time_unit.
    names = ("start", "stop") if "time_unit" in recording.words else ("start_s", "stop_s")
    table = {name: recording.in_file(values, "trials") for name, values in zip(names, recording.trials.T, strict=True)}
    table |= {"choice": choices(recording)} if with_choice(recording) else {}
    if recording.how.get("segments"):
        later = recording.how["segment of trials"]
        for name in names:
            table[name] = np.round(table[name] - later * recording.how["middle"], 6)
        table["segment"] = later
    lines = [
        ",".join("" if value != value else str(value) for value in row)
        for row in zip(*map(np.ndarray.tolist, table.values()), strict=True)
    ]
    (folder / "trials.csv").write_text(",".join(table) + "\n" + "\n".join(lines) + "\n")
    if recording.signal is None:
        return []
    times, values = behaviour(recording)
    if values.ndim == 1 and len(values) == len(times):
        (folder / "behavior.csv").write_text(
            "time_s,speed\n" + "".join(f"{t!r},{v!r}\n" for t, v in zip(times.tolist(), values.tolist(), strict=True))
        )
        return ["--options=behavior=behavior.csv"]
    np.savez(folder / "behavior.npz", time_s=times, speed=values)
    return ["--options=behavior=behavior.npz"]


def _samples(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    times, rows = recording.flat()
    return np.rint(times * RATE_HZ).astype(np.int64), rows


def phy(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    place = folder / "day1"
    place.mkdir()
    samples, rows = _samples(recording)
    np.save(place / "spike_times.npy", samples[:, None] if recording.how.get("axis") else samples)
    np.save(place / "spike_clusters.npy", rows.astype(np.int32))
    (place / "params.py").write_text(
        "dat_path = 'raw.dat'\nn_channels_dat = 4\ndtype = 'int16'\nsample_rate = 30000.0\n"
    )
    words = _sorting_tables(recording, place, range(len(recording.trains)))
    if recording.how.get("labels") == "noise":
        recording.how["never"] = ("2", "5", "11")
    silent = [unit for unit, train in enumerate(recording.trains) if not len(train)]
    names = [str(unit) for unit in range(len(recording.trains)) if unit not in silent]
    if silent:  # a cluster without spikes is in no file of spikes
        for unit in reversed(silent):
            del recording.trains[unit], recording.true_region[unit]
        recording.probe = np.delete(recording.probe, silent)
    return words_of(recording, "convert", "phy", str(place), *words), names


def _two_segments(recording: Recording) -> float:
    """When the second of two segments begins; its trials count from there."""
    middle = round(float(np.sort(recording.trials[:, 0])[len(recording.trials) // 2]) - 0.3, 3)
    recording.how["segment of trials"] = (recording.trials[:, 0] > middle).astype(int)
    recording.how["middle"], recording.signal = middle, None
    return middle


def spikeinterface(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    place = folder / "day1"
    (place / "properties").mkdir(parents=True)
    samples, rows = _samples(recording)
    segment = np.zeros(len(samples), np.int64)
    if recording.how.get("segments"):
        middle = _two_segments(recording)
        segment = (samples >= middle * RATE_HZ).astype(np.int64)
        samples = samples - segment * round(middle * RATE_HZ)
        order = np.argsort(segment, kind="stable")
        samples, rows, segment = samples[order], rows[order], segment[order]
    spikes = np.zeros(len(samples), [("sample_index", "<i8"), ("unit_index", "<i8"), ("segment_index", "<i8")])
    spikes["sample_index"], spikes["unit_index"], spikes["segment_index"] = samples, rows, segment
    np.save(place / "spikes.npy", spikes)
    info = {"unit_ids": recording.unit_id, "sampling_frequency": RATE_HZ, "num_segments": int(segment.max()) + 1}
    if recording.how.get("ids") == "numbers":
        info["unit_ids"] = list(range(100, 100 + len(recording.trains)))
    if recording.how.get("ids") == "twice":
        info["unit_ids"] = [recording.unit_id[0], *recording.unit_id[:-1]]
    (place / "numpysorting_info.json").write_text(json.dumps(info))
    if recording.region:
        values = text(recording, recording.region)
        np.save(place / "properties/brain_area.npy", values, allow_pickle=True)
    np.save(place / "properties/depth.npy", np.arange(len(recording.trains)) * 20.0)
    region, recording.region = recording.region, []
    words = _sorting_tables(recording, place, range(len(recording.trains)))
    recording.region = region
    return words_of(recording, "convert", "phy", str(place), *words), list(map(str, info["unit_ids"]))


def ibl(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    place, names = folder / "lab/Subjects/M1/2024-01-01/001", []
    for number in (0, 1):
        probe = place / f"alf/probe0{number}"
        probe.mkdir(parents=True)
        own = np.flatnonzero(recording.probe == number)
        times, rows = recording.flat()
        mine = np.isin(rows, own)
        np.save(probe / "spikes.times.npy", recording.in_file(times[mine], "spikes"))
        np.save(probe / "spikes.clusters.npy", np.searchsorted(own, rows[mine]).astype(np.uint32))
        np.save(probe / "clusters.channels.npy", np.arange(len(own)))
        if recording.region:
            labels = text(recording, [recording.region[unit] for unit in own])
            np.save(probe / "clusters.brainLocationAcronyms_ccf_2017.npy", labels, allow_pickle=True)
        names += [f"probe0{number}:{row}" for row in range(len(own))]
    event = recording.trials[:, 0] + LEAD_S
    alf = place / "alf"
    np.save(alf / "_ibl_trials.stimOn_times.npy", recording.in_file(event, "trials"))
    np.save(alf / "_ibl_trials.intervals.npy", recording.in_file(recording.trials, "trials"))
    if with_choice(recording):
        made = choices(recording)
        made = made if made.dtype.kind in "USO" else made.astype(np.float64)
        np.save(alf / "_ibl_trials.choice.npy", made, allow_pickle=True)
    if recording.signal is not None:
        times, values = behaviour(recording)
        np.save(alf / "_ibl_wheel.timestamps.npy", times)
        np.save(alf / "_ibl_wheel.velocity.npy", values)
        if recording.how.get("optional"):
            content = (alf / "_ibl_wheel.velocity.npy").read_bytes()
            (alf / "_ibl_wheel.velocity.npy").write_bytes(content[: len(content) // 2])
            recording.signal.usable = False
    words = ["convert", "ibl", str(place), "--align=stimOn_times", f"--window={-LEAD_S},{TRIAL_S - LEAD_S:g}"]
    return words_of(recording, *words), names


def brainwide(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    path = folder / "day1.h5"
    ids, names = unit_names(recording)
    times, rows = recording.flat()
    first, last = recording.trials[np.isfinite(recording.trials)].min() - 1, recording.end_s
    edges = [first, *[edge for start, stop in declared(recording) for edge in (start, stop)], last]
    with h5py.File(path, "w") as file:

        def put(parent, name, columns, kind):
            made = parent.create_group(name)
            made.attrs["object"] = kind
            for column, values in columns.items():
                values = np.asarray(values)
                if values.dtype.kind in "UO":
                    _strings(made, column, values.tolist(), "bytes")
                else:
                    made[column] = values
            return made

        spikes = {"timestamps": recording.in_file(times, "spikes"), "unit_index": rows}
        made = put(file, "spikes", spikes, "IrregularTimeSeries")
        if len(edges) > 2:
            domain = {"start": recording.in_file(edges[::2], "spikes"), "end": recording.in_file(edges[1::2], "spikes")}
            put(made, "domain", domain, "Interval")
        units = {"id": ids, "probe": [f"probe{k}" for k in recording.probe]}
        units |= {"region_beryl": recording.region} if recording.region else {}
        put(file, "units", units, "ArrayDict")
        columns = {
            "start": recording.in_file(recording.trials[:, 0], "trials"),
            "end": recording.in_file(recording.trials[:, 1], "trials"),
            "stim_on_time": recording.in_file(recording.trials[:, 0] + LEAD_S, "trials"),
        }
        columns |= {"choice": choices(recording)} if with_choice(recording) else {}
        put(file, "trials", columns, "Interval")
        whole = {"start": recording.in_file([first], "trials"), "end": recording.in_file([last], "trials")}
        put(file, "domain", whole, "Interval")
        if recording.signal is not None:
            stamps, values = behaviour(recording)
            series = put(file, "wheel", {"timestamps": stamps, "speed": values}, "IrregularTimeSeries")
            if recording.how.get("optional"):
                del series["timestamps"]
                series["timestamps"] = np.array(["a"] * len(stamps), "S")
                recording.signal.usable = False
    words = ["convert", "brainwide", str(path), "--align=trials.stim_on_time"]
    words += [f"--window={-LEAD_S},{TRIAL_S - LEAD_S:g}", "--split=random", "--behavior=wheel.speed"][
        : 3 if recording.signal is not None else 2
    ]
    return words_of(recording, *words), names


def from_counts(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    ids, names = unit_names(recording)
    counts, starts = binned(recording)
    fields = {"bin_size_s": BIN_S, "session_id": "day1", "trial_start_s": starts, "unit_id": ids}
    fields |= {"region": text(recording, recording.region)} if recording.region else {}
    fields |= {"conditions": {"choice": choices(recording)}} if with_choice(recording) else {}
    if recording.signal is not None:
        fields["behaviour"] = {"speed": behaviour(recording)}
    return lambda: Session.from_counts(counts, **fields), names


def from_spike_times(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    names = [str(name) for name in recording.unit_id]
    fields = {"session_id": "day1", "trials": recording.in_file(recording.trials, "trials"), "units": names}
    fields |= {"time_unit": recording.words["time_unit"]} if "time_unit" in recording.words else {}
    if recording.region:
        labels = text(recording, recording.region)
        fields["regions"] = dict(zip(names, labels, strict=True)) if rng.integers(2) else labels
    fields |= {"conditions": {"choice": choices(recording)}} if with_choice(recording) else {}
    if recording.signal is not None:
        fields["behaviour"] = {"speed": behaviour(recording)}
    if len(bad := declared(recording)):
        fields["invalid"] = recording.in_file(bad, "spikes")
    times, rows = recording.flat()
    spikes = recording.in_file(times, "spikes")
    if rng.integers(2):
        ids = text(recording, [names[row] for row in rows])
        return lambda: Session.from_spike_times(spikes, ids, **fields), names
    trains = {name: spikes[rows == row] for row, name in enumerate(names)}
    return lambda: Session.from_spike_times(trains, **fields), names


def pandas_columns(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    import pandas as pd

    ids, names = unit_names(recording)
    times, rows = recording.flat()
    spikes = pd.DataFrame({"time": recording.in_file(times, "spikes"), "unit": [names[row] for row in rows]})
    trials = pd.DataFrame({"start": recording.trials[:, 0], "stop": recording.trials[:, 1]})
    trials["choice"] = pd.Series(choices(recording))
    if recording.how.get("lists"):
        trials["licks"] = [[1.0, 2.0]] * len(trials)
    units = pd.DataFrame({"id": names})
    fields = {"session_id": "day1", "trials": trials[["start", "stop"]].to_numpy(), "units": units["id"].tolist()}
    fields |= {"time_unit": recording.words["time_unit"]} if "time_unit" in recording.words else {}
    if recording.region:
        kind = ("object", "category", "string")[rng.integers(3)]
        column = [None if label in ("", "nan") else label for label in recording.region]
        fields["regions"] = pd.Series(column, dtype=kind)
    columns = ["choice", "licks"] if recording.how.get("lists") else ["choice"]
    if with_choice(recording):
        fields["conditions"] = trials[columns] if rng.integers(2) else {name: trials[name] for name in columns}
    if recording.signal is not None:
        stamps, values = behaviour(recording)
        values = pd.DataFrame(values) if values.ndim == 2 else pd.Series(values) if values.ndim == 1 else values
        fields["behaviour"] = {"speed": (pd.Series(stamps), values)}
    if recording.how.get("ids") == "blank":
        fields["units"][3] = ""
    return lambda: Session.from_spike_times(spikes["time"], spikes["unit"], **fields), names


def from_pynapple(recording: Recording, folder: Path, rng: np.random.Generator) -> Made:
    import pynapple as nap

    group = {unit: nap.Ts(np.sort(train)) for unit, train in enumerate(recording.trains)}
    metadata = {"region": text(recording, recording.region)} if recording.region else {}
    bad = declared(recording)
    first, last = np.nanmin(recording.trials) - 1, recording.end_s
    edges = np.array([first, *bad.ravel(), last]).reshape(-1, 2)
    units = nap.TsGroup(
        group, time_support=nap.IntervalSet(edges[:, 0], edges[:, 1]) if len(bad) else None, metadata=metadata
    )
    trials = nap.IntervalSet(recording.trials[:, 0], recording.trials[:, 1])
    fields = {"trials": trials, "session_id": "day1"}
    fields |= {"conditions": {"choice": choices(recording)}} if with_choice(recording) else {}
    if recording.signal is not None:
        stamps, values = behaviour(recording)
        made = nap.Tsd if values.ndim == 1 else nap.TsdFrame
        fields["behaviour"] = {"speed": made(t=stamps, d=values)}
    return lambda: Session.from_pynapple(units, **fields), [str(unit) for unit in group]


_FILE = "clock spikes regions conditions behaviour trialtimes"
_SETS = {
    "arrays, spikes": (
        arrays_spikes,
        _FILE + " unit trialunit behaviourunit float heard probes declared stops ids objects lengths vectors",
    ),
    "arrays, counts": (
        arrays_counts,
        "clock lengths behaviourunit heard probes regions ids objects conditions behaviour counts axes",
    ),
    "mat v5": (mat_v5, _FILE + " unit trialunit behaviourunit lengths float heard declared stops"),
    "mat v7.3": (mat_v73, _FILE + " unit trialunit behaviourunit lengths float heard declared stops"),
    "nwb": (nwb, _FILE + " unit trialunit behaviourunit lengths float heard probes declared stops ids lists"),
    "phy": (phy, "spikes regions conditions behaviour trialtimes trialunit heard stops tables"),
    "SpikeInterface": (
        spikeinterface,
        "spikes regions conditions behaviour trialtimes trialunit heard stops ids objects segments",
    ),
    "ibl": (ibl, _FILE + " unit trialunit behaviourunit lengths float heard probes objects optional"),
    "brainwide": (brainwide, _FILE + " unit trialunit behaviourunit lengths float heard probes declared ids optional"),
    "from_counts": (from_counts, "clock lengths regions ids objects conditions behaviour counts masked axes"),
    "from_spike_times": (
        from_spike_times,
        _FILE + " unit trialunit behaviourunit lengths float heard declared stops objects",
    ),
    "pandas": (pandas_columns, "clock spikes regions conditions behaviour trialtimes float heard stops lists"),
    "from_pynapple": (from_pynapple, "clock spikes regions conditions behaviour heard declared objects"),
}
DOORS = {name: (make, frozenset(abilities.split())) for name, (make, abilities) in _SETS.items()}
if not importlib.util.find_spec("pynapple"):
    del DOORS["from_pynapple"]
if not importlib.util.find_spec("pandas"):
    del DOORS["pandas"]
