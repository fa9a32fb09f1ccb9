"""MATLAB files as labs have them: structs, struct arrays and cells, of which options name what
counts.

Without the options `counts` and `spikes` a .mat file is read as `arrays` does. With them, values
are named by their path, `beforeLearning.clouds.spikes`; a field of a struct array stands for a cell
of its values.

    counts          [units, bins] (say so: axes=units:bins), [trials, ...], or a cell with one
                    matrix a trial; needs bin_size_s
    spikes          a cell with the spike times of one unit each, seconds; needs trials, events or
                    --window_s
    bin_size_s      a number, or a path
    trial_start_s, trial_stop_s, region, unit_id               a path
    --trial_columns=PATH,... and --behavior=PATH,...           further values; others are left aside

Read are numbers, logicals, char and nested cells and structs of them, from v4 to v7 and from v7.3
(needs h5py). Not read: objects, tables, `string`, `datetime` and function handles, which MATLAB
stores in a form of its own.
"""

from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.readers import arrays, one_file
from neurojax.data.readers.matlab_values import Cell, described, load_matlab, value_at
from neurojax.data.readers.sorted_spikes import sorted_spikes
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.readers.trials import (
    session_of,
    trials_in_bins,
    trials_in_seconds,
)
from neurojax.data.session import Session
from neurojax.data.store.session_fields import plain_array, seconds, spike_counts
from neurojax.data.store.session_rules import check_bin_size
from neurojax.errors import InputError, require

VERSION = "mat/1"
_PATHS = ("counts", "spikes", "trial_start_s", "trial_stop_s", "region", "unit_id")
OPTIONS = {
    "counts": "path of the spikes per bin",
    "axes": "order of the axes of counts, such as units:bins or trials:bins:units; default: "
    "bins:units",
    "bin_size_s": "seconds of a bin of counts: a number or a path",
    "spikes": "path of a cell with the spike times of one unit each, seconds",
    "trial_start_s": "path of the trials' starts, seconds",
    "trial_stop_s": "path of the trials' stops, seconds",
    "region": "path of a cell of brain regions, one a unit",
    "unit_id": "path of the units' names",
}
SUFFIX = ".mat"

_Binned = tuple[np.ndarray, np.ndarray, np.ndarray, float]


def find(path: str) -> list[str]:
    """A file stands for itself, a folder for the .mat files in it."""
    return one_file.files_at(path, (SUFFIX,))


session_name, source_sha256 = one_file.session_name, one_file.source_sha256


def read_session(source: str, spec: ReadSpec) -> Session:
    """Reads the recording in a file; its name is the file's stem.

    Raises:
        InputError: damaged, a path that is not there, or values that are not what the option says.
    """
    path, session_id, where = Path(source), session_name(source), str(source)
    require(
        path.suffix == SUFFIX, f"{path} ends in {path.suffix or 'nothing'!r}, expected {SUFFIX}"
    )
    if (spec.option("counts") is None) == (spec.option("spikes") is None):
        require(
            spec.option("counts") is None,
            f"{where}: options name both counts and spikes; give one of them",
        )
        if spec.options:
            raise InputError(
                f"{where}: options name {spec.options[0][0]!r} without counts or spikes; name one "
                "of them"
            )
        root = load_matlab(path)
        if not root.keys() & {"counts", "spike_times_s"}:
            raise InputError(
                f"{where}: name what holds the spikes with "
                "--options=counts=PATH,axes=units:bins,bin_size_s=SECONDS or "
                f"--options=spikes=PATH; it has {', '.join(described(root))[:400]}"
            )
        return arrays.read_session(source, spec)
    root = load_matlab(path)
    given = {
        name: value_at(root, spec.option(name), where)
        for name in _PATHS
        if spec.option(name) is not None
    }
    if "counts" in given:
        counts, lengths, starts, bin_size_s = _of_counts(root, given, spec, where)
    else:
        counts, lengths, starts, bin_size_s = _of_spikes(given, spec, where)
    return session_of(
        counts,
        lengths,
        starts,
        spec,
        where,
        info={"source": {"file": path.name}},
        session_id=session_id,
        bin_size_s=bin_size_s,
        region=_labels(given, "region", counts.shape[1], where),
        unit_id=_labels(given, "unit_id", counts.shape[1], where),
        conditions=_columns(root, spec, len(lengths), where),
        behaviour={
            name.rpartition(".")[2]: _signal(root, name, lengths, where) for name in spec.behavior
        },
    )


def _of_counts(root: Any, given: dict[str, Any], spec: ReadSpec, where: str) -> _Binned:
    """Counts [total_bins, N], bins and start of each trial, seconds of a bin."""
    require(
        spec.align is None and spec.bin_ms is None,
        f"{where}: binned counts keep their bins and their trials; leave out --align and --bin_ms",
    )
    bin_size_s = check_bin_size(_bin_size_s(root, spec, where), where)
    axes = (spec.option("axes") or "bins:units").split(":")
    require(
        sorted(axes) in (["bins", "units"], ["bins", "trials", "units"]),
        f"axes={spec.option('axes')!r}; expected bins and units, and trials if there are, such as "
        "units:bins",
    )
    value = given["counts"]
    if isinstance(value, Cell):
        require(
            "trials" not in axes,
            f"{where}: counts is a cell, one matrix a trial; expected axes=units:bins or "
            "bins:units",
        )
        parts = [
            _matrix(part, axes, f"{where}, trial {number}")
            for number, part in enumerate(value.values)
        ]
        widths = sorted({part.shape[1] for part in parts})
        require(
            len(widths) == 1,
            f"{where}: trials have {widths[:5]} units, expected one number of units; check axes",
        )
        flat, lengths = np.concatenate(parts), np.array([len(part) for part in parts])
    elif "trials" in axes:
        cube = np.transpose(
            _array(value, "counts", where, 3), [axes.index(n) for n in ("trials", "bins", "units")]
        )
        flat, lengths = cube.reshape(-1, cube.shape[2]), np.full(len(cube), cube.shape[1])
    else:
        flat = _matrix(value, axes, where)
        lengths = trials_in_bins(flat, {}, spec, bin_size_s, 1, where)
        flat = flat[: lengths.sum()]
    starts = (np.cumsum(lengths) - lengths) * bin_size_s
    if "trial_start_s" in given:
        starts = seconds(
            np.ravel(_array(given["trial_start_s"], "trial_start_s", where)), "trial_start_s", where
        )
    return flat, lengths, starts, bin_size_s


def _of_spikes(given: dict[str, Any], spec: ReadSpec, where: str) -> _Binned:
    """As `_of_counts`."""
    value = given["spikes"]
    require(
        isinstance(value, Cell),
        f"{where}: spikes is no cell; expected one with the spike times of one unit each, in "
        "seconds",
    )
    trains = [
        np.ravel(_array(train, f"spikes{{{k + 1}}}", where)) for k, train in enumerate(value.values)
    ]
    rows = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
    spikes = sorted_spikes(np.concatenate([np.zeros(0), *trains]), rows, where, len(trains))
    named = {
        name: np.ravel(_array(given[name], name, where))
        for name in ("trial_start_s", "trial_stop_s")
        if name in given
    }
    bin_size_s = spec.bin_size_s(where)
    require(
        spec.align is None,
        f"{where}: with spikes= give the trials as trial_start_s and trial_stop_s, or --window_s=2",
    )
    starts, stops = trials_in_seconds(named, spikes.times_s, spec, bin_size_s, where)
    counts, lengths = spike_counts(
        spikes.times_s, spikes.rows, len(trains), starts, stops, bin_size_s, where
    )
    return counts, lengths, starts, bin_size_s


def _bin_size_s(root: Any, spec: ReadSpec, where: str) -> Any:
    text = spec.option("bin_size_s")
    require(
        text is not None,
        f"{where}: counts need bin_size_s, seconds of a bin: a number, or the path of one",
    )
    typed = as_number(text)
    return _array(value_at(root, text, where), "bin_size_s", where) if np.isnan(typed) else typed


def _matrix(value: Any, axes: list[str], where: str) -> np.ndarray:
    """[bins, units]."""
    matrix = _array(value, "counts", where, 2)
    return matrix if axes[0] == "bins" else matrix.T


def _array(value: Any, name: str, where: str, num_dims: int | None = None) -> np.ndarray:
    require(
        isinstance(value, np.ndarray) and value.dtype.kind in "biuf",
        f"{where}: {name} is a {type(value).__name__.lower()}, expected numbers",
    )
    require(
        num_dims is None or value.ndim == num_dims,
        f"{where}: {name} is {list(value.shape)}, expected {num_dims} axes; name them with axes",
    )
    return value


def _labels(given: dict[str, Any], name: str, num_units: int, where: str) -> np.ndarray | None:
    if name not in given:
        return None
    value = given[name]
    labels = (
        np.array([str(part) for part in value.values])
        if isinstance(value, Cell)
        else np.ravel(value).astype(str)
    )
    require(
        len(labels) == num_units,
        f"{where}: {name} has {len(labels)} values, but there are {num_units} units",
    )
    return labels


def _columns(root: Any, spec: ReadSpec, num_trials: int, where: str) -> dict[str, np.ndarray]:
    """Trial columns by the last part of their path."""
    made = {}
    for path in spec.trial_columns:
        value = value_at(root, path, where)
        flat = (
            np.array([_scalar(part) for part in value.values])
            if isinstance(value, Cell)
            else np.ravel(value)
        )
        require(
            len(flat) == num_trials,
            f"{where}: trial column {path!r} has {len(flat)} values, but there are {num_trials} "
            "trials",
        )
        made[path.rpartition(".")[2]] = plain_array(flat, path, where)
    return made


def _scalar(part: Any) -> Any:
    if isinstance(part, np.ndarray) and part.size == 1:
        return part.item()
    return part if isinstance(part, str) else "not one value"


def _signal(root: Any, path: str, lengths: np.ndarray, where: str) -> np.ndarray:
    """[total_bins, dims] from a matrix or one matrix a trial; the axis that has the bins is found
    by its length."""
    value = value_at(root, path, where)
    parts, expected = (
        (value.values, lengths) if isinstance(value, Cell) else ([value], [lengths.sum()])
    )
    require(
        len(parts) == len(expected),
        f"{where}: behavior {path!r} has {len(parts)} trials, expected {len(expected)}",
    )
    laid = []
    for part, num_bins in zip(parts, expected, strict=True):
        matrix = np.atleast_2d(_array(part, path, where))
        require(
            matrix.ndim == 2 and num_bins in matrix.shape,
            f"{where}: behavior {path!r} is {list(matrix.shape)}, expected an axis of {num_bins} "
            "bins",
        )
        laid.append(matrix if matrix.shape[0] == num_bins else matrix.T)
    require(
        len({part.shape[1] for part in laid}) == 1,
        f"{where}: behavior {path!r} has other columns in some trials",
    )
    return np.concatenate(laid)
