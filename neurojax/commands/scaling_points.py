"""Points of a learning curve out of runs, or out of a CSV file."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neurojax.errors import InputError, require
from neurojax.evals import evaluators
from neurojax.evals.tables import number
from neurojax.files import read_json
from neurojax.runs import manifest

OF_RUNS = ("sessions", "trials", "units", "minutes", "people", "parameters", "steps", "compute")
_SCORES = {"spikes": "mean.co_smoothing.bps_pooled"}  # by evaluator; of others, block.score
_MAX_CSV_BYTES = 64 << 20


class Table(NamedTuple):
    """Points: where each is from, its size, its score and, where known, its standard error."""

    sources: list[str]
    sizes: list[float]
    scores: list[float]
    errors: list[float] | None
    score: str
    notes: tuple[str, ...] = ()


def read(paths: Sequence[Path], axis: str, score: str | None) -> Table:
    """The points of runs, or of one CSV file.

    Args:
        paths: workdirs, or one .csv file.
        axis: what the size is: of runs one of `OF_RUNS`, of a file the name of a column.
        score: of runs a path into evaluation.json with points between, by default
            mean.co_smoothing.bps_pooled for spikes and the balanced accuracy of gestures; of a file
            the name of a column, by default "score".

    Raises:
        InputError: no such run, file, column or entry; a value that is no number.
    """
    tables = [path for path in paths if path.suffix.lower() == ".csv"]
    if not tables:
        return _of_runs(paths, axis, score)
    require(len(paths) == 1, f"{len(paths)} paths with {tables[0]}; expected runs, or one CSV file")
    return _of_csv(tables[0], axis, score or "score")


def _of_csv(path: Path, axis: str, score: str) -> Table:
    """Columns of a table with a header; `se`, where it is there, holds standard errors."""
    require(path.is_file(), f"{path} does not exist; check the path")
    require(path.stat().st_size <= _MAX_CSV_BYTES, f"{path} is over 64 MiB; give a smaller table")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read as CSV in UTF-8 ({error}); write it anew"
        ) from None
    columns = list(rows[0]) if rows else []
    for name in (axis, score):
        require(
            name in columns,
            f"{path} has no column {name!r}; it has {', '.join(map(str, columns)) or 'no rows'}",
        )
    names = (axis, score, "se") if "se" in columns else (axis, score)
    values = {
        name: [_number(row[name], path, name, n) for n, row in enumerate(rows)] for name in names
    }
    sources = [f"row {n + 2}" for n in range(len(rows))]
    return Table(sources, values[axis], values[score], values.get("se"), score)


def _number(text: Any, path: Path, column: str, row: int) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    require(
        math.isfinite(value),
        f"{path}, row {row + 2}: {column} is {str(text)[:40]!r}; expected a number, or leave the "
        "row out",
    )
    return value


def _of_runs(paths: Sequence[Path], axis: str, score: str | None) -> Table:
    require(
        axis in OF_RUNS,
        f"--axis={axis}; of runs expected one of {', '.join(OF_RUNS)}; for another give a CSV file "
        "with a column of that name",
    )
    places = [path.resolve() for path in paths]
    require(len(set(places)) == len(places), "a run is named twice; name each once")
    evaluations = [read_json(path / "evaluation.json") for path in paths]
    told = list(zip(paths, evaluations, strict=True))
    names = {score or _default_score(one, path) for path, one in told}
    require(len(names) == 1, f"runs of several kinds ({', '.join(sorted(names))}); name one kind")
    protocols = {str(one.get("protocol_hash")) for one in evaluations}
    require(
        len(protocols) == 1,
        f"runs were scored under {len(protocols)} protocols; evaluate them under one",
    )
    (name,) = names
    if name.startswith("mean.") and len(name.split(".")) == 3:
        scores, notes = _over_shared(told, name)
    else:
        scores, notes = [_entry(one, name, path) for path, one in told], ()
    sizes = [_size(path, axis, one) for path, one in told]
    return Table([str(path) for path in paths], sizes, scores, None, name, notes)


def _over_shared(
    told: Sequence[tuple[Path, Mapping[str, Any]]], name: str
) -> tuple[list[float], tuple[str, ...]]:
    """Mean score of each run over the sessions that all of them scored.

    A run on more sessions is scored on more: the mean over its own would move with who they are.
    A session that any run has no number for (null, as where no test trial has a spike) is left out.
    """
    listed = [one.get("sessions") for _, one in told]
    require(all(isinstance(one, Mapping) for one in listed), f"a run has no sessions for {name}")
    named = [key for key in listed[0] if all(key in one for one in listed)]
    require(
        named, "the runs share no scored session; evaluate all on one root (evaluate --data=ROOT)"
    )
    _, task, score = name.split(".")
    entry = f"tasks.{task}.{score}"
    shared = [key for key in named if all(_found(one[key], entry) is not None for one in listed)]
    if not shared:  # which says what is missing where
        _entry(listed[0][named[0]], entry, told[0][0])
    require(shared, f"no shared session has a number at {entry} in every run; name another --score")
    scores = [sum(_found(one[key], entry) for key in shared) / len(shared) for one in listed]
    notes = []
    if len(shared) < max(map(len, listed)):
        notes.append(f"scores are means over the {len(shared)} sessions that all runs share")
    if null := [key for key in named if key not in shared]:
        more = f" and {len(null) - 3} more" if len(null) > 3 else ""
        names = ", ".join(null[:3]) + more
        notes.append(f"left out, since a run has no number at {entry} of them: {names}")
    return scores, tuple(notes)


def _default_score(evaluation: Mapping[str, Any], path: Path) -> str:
    kind = evaluators.name_in(evaluation)
    if kind == "gestures":
        return "gestures.balanced_accuracy"
    require(
        kind in _SCORES,
        f"{path}: evaluations of kind {kind} have no score that goes without saying; name one with "
        "--score=PATH into evaluation.json, with points between",
    )
    return _SCORES[kind]


def _found(evaluation: Mapping[str, Any], name: str) -> float | None:
    """The number at a path with points between; None where there is none."""
    found: Any = evaluation
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return number(found)


def _entry(evaluation: Mapping[str, Any], name: str, path: Path) -> float:
    found = _found(evaluation, name)
    require(
        found is not None,
        f"{path / 'evaluation.json'} has no number at {name}; name another with --score=PATH",
    )
    return found


def _size(path: Path, axis: str, evaluation: Mapping[str, Any]) -> float:
    """What a run was trained on, or how large it is; of several seeds, what the first was."""
    if not (path / "sessions.json").is_file() and (path / "seed_0").is_dir():
        path = path / "seed_0"
    if axis == "compute":  # seconds on the clock of the machine that trained
        seconds = _found(evaluation, "cost.training_s")
        require(
            seconds is not None,
            f"{path / 'evaluation.json'} does not say what training took (cost.training_s); "
            "evaluate the run again, or give a CSV file",
        )
        return seconds
    if axis == "steps":
        return _entry(evaluation, "step", path)
    if axis == "parameters":
        return _parameters(path)
    if axis == "minutes":
        return _minutes(path)
    sessions = read_json(path / "sessions.json").get("sessions")
    try:
        if axis == "sessions":
            return float(len(sessions))
        if axis == "trials":
            return float(sum(one["num_trials"]["train"] for one in sessions))
        if axis == "units":
            return float(sum(one["num_units"] for one in sessions))
        people = {one["subject_id"] for one in sessions}
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{path / 'sessions.json'} says nothing of {axis} ({error}); give a CSV file"
        ) from None
    require(None not in people, f"{path}: a session does not name its subject; give a CSV file")
    return float(len(people))


def _minutes(path: Path) -> float:
    """Trained time of all recordings, in minutes."""
    file = path / "trained_trials.json"
    told = read_json(file)
    require(
        told.get("all_times_known") is True and told.get("recordings"),
        f"{file} does not know all times that were trained on; give a CSV file",
    )
    try:
        stretches = [one["trained_s"] for one in told["recordings"]]
        return sum(sum(s[1::2]) - sum(s[::2]) for s in stretches) / 60
    except (TypeError, KeyError) as error:
        raise InputError(f"{file} names no trained times ({error}); give a CSV file") from None


def _parameters(path: Path) -> float:
    """Entries of all arrays of the latest checkpoint that are trained."""
    steps = manifest.steps_on_disk(path / "checkpoints")
    require(steps, f"{path} has no checkpoint to count parameters of; give a CSV file")
    file = path / "checkpoints" / str(max(steps)) / manifest.MANIFEST_NAME
    arrays = read_json(file, manifest.MAX_MANIFEST_BYTES).get("arrays")
    try:
        return float(
            sum(
                math.prod(one["shape"])
                for name, one in arrays.items()
                if name.split("/")[0] in ("params", "tables")
            )
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{file} names no arrays ({error}); give a CSV file") from None
