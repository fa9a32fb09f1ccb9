"""Doors of the Python API: counts, spike times, columns of pandas, pynapple's objects."""

from pathlib import Path

import numpy as np
from forms import Made, behaviour, binned, choices, declared, text, unit_names, with_choice
from recording import BIN_S, WINDOW_S, Recording

from neurojax.data.session import Session


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
    if recording.windows:
        fields["window_s"] = WINDOW_S
        del fields["trials"]
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
    # What a support says is believed: it ends where the recording does.
    ends = [start for _, start, stop, said in recording.unseen if np.isinf(stop) and not said]
    first, last = np.nanmin(recording.trials) - 1, min([recording.end_s, *ends])
    edges = np.array([first, *bad.ravel(), last]).reshape(-1, 2)
    units = nap.TsGroup(
        group, time_support=nap.IntervalSet(edges[:, 0], edges[:, 1]) if len(bad) else None, metadata=metadata
    )
    trials = nap.IntervalSet(recording.trials[:, 0], recording.trials[:, 1])
    fields = {"trials": trials, "session_id": "day1"}
    fields |= {"conditions": {"choice": choices(recording)}} if with_choice(recording) else {}
    if recording.signal is not None:
        stamps, values = behaviour(recording)
        fields["behaviour"] = {"speed": (stamps, values)}
        known = np.isfinite(stamps)
        if len(values) == len(stamps) and known.all():  # an object of pynapple has no others, and sorts times alone
            order = np.argsort(stamps, kind="stable")
            made = {1: nap.Tsd, 2: nap.TsdFrame}.get(values.ndim, nap.TsdTensor)
            fields["behaviour"] = {"speed": made(t=stamps[order], d=values[order])}
    return lambda: Session.from_pynapple(units, **fields), [str(unit) for unit in group]
