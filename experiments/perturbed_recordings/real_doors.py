"""Recordings of real values, perturbed: traces of suite2p, EMG of people; what their sessions must hold."""

import dataclasses
from pathlib import Path

import numpy as np
from judge import Difference, outcome_of
from perturbations import TRIALS, Perturbation

from neurojax.data.session import Session

REAL_DOORS = ("traces", "emg")
FRAMES_HZ, EMG_HZ, WINDOW, STEP = 10.0, 200.0, 52, 10


@dataclasses.dataclass
class Values:
    """What was recorded, and how the files say it.

    Attributes:
        values: [samples, C], NaN where nothing was seen.
        trials: first sample and number of samples of each window, int [trials, 2], by what the files say.
        label: of each trial.
        gone: channels that may not be in the session (not accepted, never seen), and are counted.
        files: name -> array of the recording's own file or folder; table: columns of its trials.
        words: of the command line.
        dropped: trials of the table that are none.
    """

    values: np.ndarray
    trials: np.ndarray
    label: np.ndarray
    files: dict
    table: dict
    words: list
    gone: set = dataclasses.field(default_factory=set)
    dropped: int = 0


def _traces(rng: np.random.Generator) -> Values:
    frames, cells = 900, 8
    values = rng.normal(100, 20, (frames, cells)).astype(np.float32)
    first = np.arange(10, frames - 30, 30) + rng.integers(0, 5, 29)
    trials = np.stack([first, np.full(len(first), 20)], 1)
    table = {"start_s": first / FRAMES_HZ, "stop_s": (first + 20) / FRAMES_HZ, "side": rng.integers(0, 2, len(first))}
    files = {"F": values.T.copy(), "iscell": np.stack([np.ones(cells), np.ones(cells)], 1)}
    words = ["--options=sampling_hz=10,signal=F"]
    return Values(values, trials, table["side"], files, table, words)


def _emg(rng: np.random.Generator) -> Values:
    lengths = rng.integers(150, 250, 8)
    offsets = np.append(0, np.cumsum(lengths))
    values = rng.integers(-128, 128, (offsets[-1], 6)).astype(np.float32)
    trials = [(start, segment) for segment, (a, b) in enumerate(zip(offsets[:-1], offsets[1:], strict=True))
              for start in range(a, b - WINDOW + 1, STEP)]  # fmt: skip
    gesture = np.arange(8) % 3
    files = {
        "emg": values.astype(np.int8), "segment_offsets": offsets, "gesture": gesture,
        "repetition": np.arange(8) // 3, "gesture_names": np.array(["rest", "fist", "open"]),
        "sampling_rate_hz": np.float64(EMG_HZ),
    }  # fmt: skip
    trials = np.array(trials)
    label = gesture[trials[:, 1]]
    return Values(values, np.stack([trials[:, 0], np.full(len(trials), WINDOW)], 1), label, files, {}, [])


# Perturbations: name -> (doors, pattern of a refusal, change of what was recorded).
def _hide(rows, columns, fill):
    def change(made: Values, rng):
        key = "F" if "F" in made.files else "emg"
        table = made.files[key].astype(np.float64)
        view = table.T if key == "F" else table
        number, channels = view.shape
        begin = int(rng.integers(50, number - 150))
        some = slice(begin, begin + 60) if rows == "some" else slice(None)
        which = int(rng.integers(channels)) if columns == "one" else slice(None)
        view[some, which], made.values[some, which] = fill, np.nan
        made.files[key] = table
        if rows == "all":
            made.gone.add(which)

    return change


def _cast(dtype):
    def change(made: Values, rng):
        key = "F" if "F" in made.files else "emg"
        if np.isfinite(made.files[key]).all():
            made.files[key] = made.files[key].astype(dtype)
            made.values = (made.files[key].T if key == "F" else made.files[key]).astype(np.float32)

    return change


def _constant(made, rng):
    key = "F" if "F" in made.files else "emg"
    which = int(rng.integers(made.values.shape[1]))
    view = made.files[key].T if key == "F" else made.files[key]
    known = np.isfinite(made.values[:, which])
    view[known, which], made.values[known, which] = 7, 7


def _transposed(made, rng):
    key = "F" if "F" in made.files else "emg"
    made.files[key] = made.files[key].T.copy()


def _axis(made, rng):
    key = "F" if "F" in made.files else "emg"
    made.files[key] = made.files[key][..., None]


def _file(name, content):
    def change(made, rng):
        made.files[name] = content(made) if callable(content) else content

    return change


def _some_rejected(made, rng):
    for cell in rng.choice(made.values.shape[1], 3, replace=False):
        made.files["iscell"][cell, 0] = 0
        made.gone.add(int(cell))


def _unsorted(made, rng):
    order = rng.permutation(len(made.trials))
    made.trials, made.label = made.trials[order], made.label[order]
    made.table = {name: values[order] for name, values in made.table.items()}


def _no_time(made, rng):
    for row in rng.choice(len(made.trials), 3, replace=False):
        made.table["start_s"][row] = np.nan
        made.trials[row] = -1


def _no_length(made, rng):
    row = int(rng.integers(len(made.trials)))
    made.table["stop_s"][row] = made.table["start_s"][row]
    made.trials[row] = -1


def _after_the_end(made, rng):
    made.table["start_s"][-3:] += 1000
    made.table["stop_s"][-3:] += 1000
    made.trials[-3:] = -1


def _in_ms(made, rng):
    made.table["start_s"], made.table["stop_s"] = made.table["start_s"] * 1000, made.table["stop_s"] * 1000


def _in_ms_declared(made, rng):
    _in_ms(made, rng)
    # A name that says its unit counts before --time_unit.
    made.table = {name.removesuffix("_s"): values for name, values in made.table.items()}
    made.words.append("--time_unit=ms")


def _one(made, rng):
    made.trials, made.label = made.trials[:1], made.label[:1]
    made.table = {name: values[:1] for name, values in made.table.items()}


def _no_rate(made, rng):
    made.words[0] = "--options=signal=F"


def _text_of(form):
    def change(made, rng):
        names = made.files["gesture_names"]
        made.files["gesture_names"] = np.char.encode(names) if form == "bytes" else names.astype(object)

    return change


def _uneven(made, rng):
    made.files["time_s"] = np.arange(len(made.values)) / EMG_HZ + np.where(np.arange(len(made.values)) > 60, 0.3, 0)


def _empty_segment(made, rng):
    made.files["segment_offsets"] = np.insert(made.files["segment_offsets"], 2, made.files["segment_offsets"][2])


SHAPE = r"shape|\[|expected|transpos|frames|cells|axes|window|start_s|longer|values"
ALL = {
    "values as float64": ("traces emg", "", _cast("f8"), "type"),
    "values as whole numbers": ("traces emg", "", _cast("i2"), "type"),
    "values as float16": ("traces emg", "", _cast("f2"), "type"),
    "a stretch of NaN": ("traces emg", "", _hide("some", "all", np.nan), "nan"),
    "a stretch of NaN in one channel": ("traces emg", "", _hide("some", "one", np.nan), "nan"),
    "a channel of NaN": ("traces emg", "", _hide("all", "one", np.nan), "nan"),
    "infinity in one channel": ("traces emg", "", _hide("some", "one", np.inf), "nan"),
    "fill values in one channel": ("traces emg", "", _hide("some", "one", 9.96921e36), "nan"),
    "a channel that never changes": ("traces emg", "", _constant, "constant"),
    "transposed": ("traces emg", SHAPE, _transposed, "shape"),
    "an axis more": ("traces emg", SHAPE, _axis, "shape"),
    "cells that are none": ("traces", "", _some_rejected, "iscell"),
    "iscell of another length": ("traces", "iscell", _file("iscell", np.ones((5, 2))), "iscell"),
    "iscell as a pickle": ("traces", "iscell|pickle|object", _file("iscell", np.array([{}] * 8, object)), "iscell"),
    "spks of another length": ("traces", "spks", _file("spks", np.ones((8, 5))), "spks"),
    "trials unsorted": ("traces", TRIALS, _unsorted, "order"),
    "trials without a time": ("traces", TRIALS, _no_time, "time"),
    "a trial of no length": ("traces", TRIALS, _no_length, "length"),
    "trials after the end": ("traces", TRIALS, _after_the_end, "end"),
    "trials in ms": ("traces", "time_unit|seconds|leaves the recording|clock", _in_ms, "unit"),
    "trials in ms, declared": ("traces", "", _in_ms_declared, "unit"),
    "one trial alone": ("traces", TRIALS, _one, "number"),
    "no rate of frames": ("traces", "frames a second|sampling_hz", _no_rate, "rate"),
    "text as bytes": ("emg", "gesture_names|bytes|text", _text_of("bytes"), "text"),
    "text as objects": ("emg", "gesture_names|pickle|object", _text_of("object"), "text"),
    "no repetition": ("emg", "", lambda made, rng: made.files.pop("repetition"), "repetition"),
    "repetition of another length": ("emg", "repetition", _file("repetition", np.arange(3)), "repetition"),
    "labels as float64": ("emg", "", _file("gesture", lambda made: made.files["gesture"] * 1.0), "gesture"),
    "a label without a name": ("emg", "gesture", _file("gesture", np.full(8, 7)), "gesture"),
    "uneven samples": ("emg", "time_s|uneven|even", _uneven, "even"),
    "a segment of no length": ("emg", "segment_offsets", _empty_segment, "offsets"),
    "rate as a matrix": ("emg", "", _file("sampling_rate_hz", np.array([[EMG_HZ]])), "rate"),
    "rate as a whole number": ("emg", "", _file("sampling_rate_hz", np.int64(EMG_HZ)), "rate"),
    "rate of zero": ("emg", "sampling_rate_hz", _file("sampling_rate_hz", 0), "rate"),
}
_ORDER = ("type", "nan", "constant", "shape", "time", "length", "end", "order", "unit", "number")


def real_case(
    door: str, rng: np.random.Generator, folder: Path, scratch: Path, good: bool
) -> tuple[str, str, list[str]]:
    """Outcome, message and perturbations of one case, none of a `good` one."""
    made = (_traces if door == "traces" else _emg)(rng)
    able, chosen = [name for name, row in ALL.items() if door in row[0].split()], {}
    for number in rng.permutation(len(able))[: int(rng.integers(1, 4))]:
        chosen.setdefault(ALL[able[number]][3], able[number])
    chosen = {} if good else chosen
    if "number" in chosen:  # one trial has no other to be mixed with
        for group in ("time", "length", "end", "order"):
            chosen.pop(group, None)
    rank = {group: place for place, group in enumerate(_ORDER)}
    names = sorted(chosen.values(), key=lambda name: rank.get(ALL[name][3], -1))
    for name in names:
        ALL[name][2](made, rng)
    applied = [Perturbation(name, ALL[name][2], ALL[name][1], frozenset(), ALL[name][3]) for name in names]
    path = _write(door, made, folder)
    words = ["convert", door, str(path), *made.words]
    outcome, message = outcome_of(words, scratch, applied, lambda session: compare(session, made))
    return outcome, message.replace(str(scratch), ""), names


def _write(door: str, made: Values, folder: Path) -> Path:
    if door == "emg":
        np.savez(folder / "p.npz", **made.files)
        return folder / "p.npz"
    place = folder / "day1/suite2p/plane0"
    place.mkdir(parents=True)
    for name, values in made.files.items():
        np.save(place / f"{name}.npy", values)
    rows = zip(*(values.tolist() for values in made.table.values()), strict=True)
    lines = [",".join("" if value != value else repr(value) for value in row) for row in rows]
    (place / "trials.csv").write_text("\n".join([",".join(made.table), *lines]) + "\n")
    return place


def compare(session: Session, made: Values) -> Difference:
    """A session of real values beside the truth."""
    found = Difference()
    kept = [channel for channel in range(made.values.shape[1]) if channel not in made.gone]
    if session.num_units != len(kept):
        found.wrong.append(f"{session.num_units} channels for {len(kept)}")
        return found
    if made.gone:
        found.missing["units"] = len(made.gone)
    label = next((values for name, values in session.conditions.items() if name in ("side", "gesture")), None)
    place = {(int(first), int(number)): row for row, (first, number) in enumerate(made.trials) if first >= 0}
    seen = session.entry_valid(np.arange(session.num_trials))
    values, _ = session.gather_trials(np.arange(session.num_trials))
    for trial in range(session.num_trials):
        key = int(session.trial_start_bin[trial]), int(session.trial_num_bins[trial])
        if key not in place:
            found.wrong.append(f"a trial of samples {key} that is none")
            return found
        expected = made.values[key[0] : sum(key), kept]
        own, watched = values[trial][: key[1]], seen[trial][: key[1]]
        if (watched & ~np.isfinite(expected)).any():
            found.wrong.append(f"{(watched & ~np.isfinite(expected)).sum()} samples of trial {trial} were never seen")
            return found
        if not np.allclose(own[watched], expected[watched], rtol=1e-3):
            found.wrong.append(f"values of trial {trial}")
            return found
        if (~watched & np.isfinite(expected)).any():
            found.wrong.append(f"samples of trial {trial} were seen, but are marked as not")
            return found
        if label is None or label[trial] != made.label[place[key]]:
            found.wrong.append(f"the label of trial {trial}")
            return found
    lost = len(made.trials) - session.num_trials
    if lost:
        found.missing["trials"] = lost
    if session.validity is not None or np.isnan(made.values[:, kept]).any():
        found.missing["entries"] = 100 * np.isnan(made.values[:, kept]).mean()
    return found
