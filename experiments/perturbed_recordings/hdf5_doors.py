"""Doors of HDF5 recordings: NWB, and torch_brain's."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from forms import LEAD_S, Made, behaviour, choices, declared, unit_names, with_choice, words_of
from recording import TRIAL_S, Recording


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
        trials = file.create_group("trials without use" if recording.windows else "intervals/trials")
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
