"""MATLAB files as labs have them: structs, struct arrays and cells, of which options name what
counts.

A file with `counts` or `spike_times_s` is read as `arrays` does. Of others, what holds the spikes
is found where its names leave no doubt (see `mat_layouts`), or named by its path,
`beforeLearning.clouds.spikes`; a field of a struct array stands for a cell of its values.

    counts          [units, bins] (say so: axes=units:bins), [trials, ...], or a cell with one
                    matrix a trial, or with a vector of bins for each trial and unit; needs
                    bin_size_s
    spikes          a cell with the spike times of one unit each, seconds, or of each trial and unit
                    (axes=trials:units, window=-0.5:1.5); needs trials, events or --window_s
    spike_trial     beside spikes: a cell with the trial of each spike (FieldTrip)
    times, clusters vectors with the time and the cluster of each spike
    cluster_class   wave_clus's [spikes, 2]: class and milliseconds; class 0 is no unit
    bin_size_s      a number, or a path
    trial_start_s, trial_stop_s, region, unit_id, observed_s, invalid_s, ...   a path
    --trial_columns=PATH,... and --behavior=PATH,...           further values; others are left aside
    --align=PATH                                               events, with --window

Behaviour with a clock of its own has its times beside it, `speed_times_s` or `speed_t`, or at
behavior_times=PATH. Read are numbers, logicals, char and nested cells and structs of them, from v4
to v7 and from v7.3 (needs h5py). Not read: objects, tables, `string`, `datetime` and function
handles, which MATLAB stores in a form of its own.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.readers import arrays, one_file
from neurojax.data.readers.array_bins import bin_counts
from neurojax.data.readers.array_observed import NAMES as OBSERVED
from neurojax.data.readers.array_session import session_of_bins
from neurojax.data.readers.array_spikes import bin_spikes
from neurojax.data.readers.mat_counts import bin_size_s, of_counts
from neurojax.data.readers.mat_layouts import found_options
from neurojax.data.readers.mat_spikes import of_cell, of_clusters, of_trial_cells
from neurojax.data.readers.mat_values import (
    behaviour_times,
    columns,
    labels,
    numbers,
    signal_in_bins,
    vector,
)
from neurojax.data.readers.matlab_values import Cell, load_matlab, value_at
from neurojax.data.readers.roles import Roles
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import Session
from neurojax.errors import InputError, require

VERSION = "mat/2"
_SPIKES = ("counts", "spikes", "times", "cluster_class")
_TRIALS = ("trial_start_s", "trial_stop_s")
_OBSERVED = tuple(name for name in OBSERVED if name != "observed")
OPTIONS = {
    "counts": "path of the spikes per bin",
    "axes": "order of the axes of counts, such as units:bins or trials:bins:units, or of a cell of "
    "spikes: units, trials:units or units:trials",
    "bin_size_s": "seconds of a bin of counts: a number or a path",
    "spikes": "path of a cell with the spike times of one unit each, or of each trial and unit, in "
    "seconds",
    "window": "START:STOP, from when to when the trials of a cell of trials and units last, in "
    "seconds from their zero",
    "spike_trial": "path of a cell with the trial, from 1, of each spike of each unit, where "
    "spikes count time from an event of their trial",
    "trial_times": "path of [trials, 2], from when to when trials last on that clock, seconds",
    "times": "path of a vector with the time of each spike, seconds; with clusters",
    "clusters": "path of a vector with the cluster of each spike",
    "cluster_class": "path of wave_clus's matrix of class and milliseconds",
    "trial_start_s": "path of the trials' starts, seconds (with window: of their zeros)",
    "trial_stop_s": "path of the trials' stops, seconds",
    "region": "path of a cell of brain regions, one a unit",
    "unit_id": "path of the units' names",
    "behavior_times": "path of the times of the samples of --behavior, seconds",
    "observed_s": "path of [n, 2], from when to when all units were observed, seconds",
    "unit_observed_s": "path of [units, 2], from when to when each unit was observed, seconds",
    "invalid_s": "path of [n, 2], times that count for nothing, seconds",
}
SUFFIX = ".mat"


def find(path: str) -> list[str]:
    """A file stands for itself, a folder for the .mat files in it."""
    return one_file.files_at(path, (SUFFIX,))


session_name, source_sha256 = one_file.session_name, one_file.source_sha256


def read_session(source: str, spec: ReadSpec) -> Session:
    """Reads the recording in a file; its name is the file's stem.

    Raises:
        InputError: damaged, a path that is not there, or values that are not what the option says.
    """
    path, where = Path(source), str(source)
    require(
        path.suffix == SUFFIX, f"{path} ends in {path.suffix or 'nothing'!r}, expected {SUFFIX}"
    )
    given = [name for name in (*_SPIKES, "clusters") if spec.option(name) is not None]
    asked = sorted({"times" if name == "clusters" else name for name in given})
    require(
        len(asked) <= 1,
        f"{where}: options name both {' and '.join(asked)}; give one of them",
    )
    root, info = load_matlab(path), {"source": {"file": path.name}}
    if not asked:
        if isinstance(root.get("counts"), Cell):
            names = [name for name in ("counts", "bin_size_s", "trial_start_s") if name in root]
            found = {name: name for name in names}
        elif root.keys() & {"counts", "spike_times_s"}:
            require(
                {name for name, _ in spec.options} <= {"bin_size_s"},
                f"{where}: options name {spec.options[0][0] if spec.options else ''!r} without "
                "counts or spikes; name one of them",
            )
            return arrays.read_session(source, spec)
        else:
            found = _found(root, spec, where)
            said = ",".join(f"{name}={value}" for name, value in found.items())
            info["source"]["read_as"] = said
        spec = dataclasses.replace(spec, options=tuple((found | dict(spec.options)).items()))
    return _read(root, spec, info, session_name(source), where)


def _found(root: dict[str, Any], spec: ReadSpec, where: str) -> dict[str, str]:
    """Options that name the spikes, see `found_options`; an error says which others came alone."""
    try:
        return found_options(root, where)
    except InputError as error:
        names = [name for name, _ in spec.options]
        lone = f"options name {names[0]!r} without counts or spikes: " if names else ""
        raise InputError(f"{lone}{error}") from None


def _read(
    root: dict[str, Any], spec: ReadSpec, info: dict[str, Any], session_id: str, where: str
) -> Session:
    named = {
        name: value_at(root, spec.option(name), where)
        for name in ("region", "unit_id", *_TRIALS, *_OBSERVED)
        if spec.option(name) is not None
    }
    own = {name: vector(named[name], name, where) for name in _TRIALS if name in named}
    made = {name: numbers(named[name], name, where) for name in _OBSERVED if name in named}
    told = next((_length(named[name]) for name in ("unit_id", "region") if name in named), None)
    cluster_id, lengths = None, None
    if spec.option("counts") is not None:
        counts = value_at(root, spec.option("counts"), where)
        size_s = np.asarray(bin_size_s(root, spec, where))
        without = tuple(pair for pair in spec.options if pair[0] != "bin_size_s")
        spec = dataclasses.replace(spec, options=without)
        read, lengths = of_counts(counts, spec, told, where)
        binned = bin_counts(made | own | read | {"bin_size_s": size_s}, spec, told, where)
    else:
        if spec.align is not None:
            own[spec.align] = vector(value_at(root, spec.align, where), spec.align, where)
        if spec.option("spikes") is None:
            read, odd, cluster_id = of_clusters(root, spec, where)
            number = len(cluster_id)
        elif spec.option("spike_trial") is not None:
            odd: dict[str, Any] = {}
            read, number = of_trial_cells(root, spec, own, where)
        else:
            cell = value_at(root, spec.option("spikes"), where)
            read, odd, number = of_cell(cell, spec, own, told, where)
        binned = bin_spikes(made | read | own, spec, number, where)
        info |= odd
    num_units, num_trials = binned.axes.num_units, binned.axes.num_trials
    units = {} if cluster_id is None else {"unit_id": cluster_id.astype(str)}
    units |= {
        name: labels(named[name], name, num_units, where)
        for name in ("region", "unit_id")
        if name in named
    }
    timed = behaviour_times(root, spec.behavior, spec.option("behavior_times"), where)
    roles = Roles(conditions=columns(root, spec.trial_columns, num_trials, where))
    for name in spec.behavior:
        if (short := name.rpartition(".")[2]) not in timed:
            expected = lengths if lengths is not None else binned.lengths
            if lengths is None and not isinstance(value_at(root, name, where), Cell):
                expected = np.array([binned.axes.total_bins])
            roles.behaviour[short] = signal_in_bins(root, name, expected, where)
    return session_of_bins(binned, roles, timed, None, units, info, spec, session_id, where)


def _length(value: Any) -> int:
    return len(value.values) if isinstance(value, Cell) else int(np.size(value))
