"""Spikes of a .mat file as the arrays that `array_spikes.bin_spikes` reads: cells of units, of
trials and units, times and clusters, wave_clus."""

from typing import Any

import numpy as np

from neurojax.data.clock import TimeUnit
from neurojax.data.readers.array_spikes import OUTSIDE_OF_ITS_TRIAL
from neurojax.data.readers.mat_values import grid_of, numbers, order_of, vector
from neurojax.data.readers.matlab_values import Cell, value_at, value_beside
from neurojax.data.readers.sorted_spikes import sorted_spikes
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.errors import require

Arrays = dict[str, np.ndarray]
_WAVE_CLUS_S = 1e-3  # cluster_class holds milliseconds
_OF_NOISE = "of clusters that are noise"
_NOISE = 0  # of cortex-lab's cgs: 0 noise, 1 several units, 2 good, 3 unsorted


def of_clusters(
    root: dict[str, Any], spec: ReadSpec, where: str
) -> tuple[Arrays, dict[str, Any], np.ndarray]:
    """Spikes of `times` and `clusters`, or of `cluster_class`: arrays, what goes to `info`, and the
    clusters' ids [N]."""
    if (path := spec.option("cluster_class")) is not None:
        value = numbers(value_at(root, path, where), path, where, 2)
        require(
            value.shape[1] == 2,
            f"{where}: {path} is {list(value.shape)}, expected [spikes, 2]: class and milliseconds",
        )
        ids, times = value[:, 0], value[:, 1]
        if TimeUnit.of(spec.time_unit).spikes is None:
            times = times * _WAVE_CLUS_S
        gone, num_noise, reason = ids == 0, 0, "in no cluster (class 0 of wave_clus)"
    else:
        named = [spec.option("times"), spec.option("clusters")]
        require(
            None not in named,
            f"{where}: times and clusters belong together; name both, as in "
            "--options=times=sp.st,clusters=sp.clu",
        )
        times, ids = (vector(value_at(root, path, where), path, where) for path in named)
        require(
            len(times) == len(ids),
            f"{where}: {named[0]} has {len(times)} values, {named[1]} {len(ids)}; expected the "
            "time and the cluster of each spike",
        )
        (gone, num_noise), reason = _noise(root, named[1], ids, where), _OF_NOISE
    require(not gone.all() or not len(ids), f"{where}: every spike is {reason}; check the sorting")
    spikes = sorted_spikes(times[~gone], ids[~gone], where)
    info: dict[str, Any] = {
        "spikes_dropped": spikes.dropped | ({reason: int(gone.sum())} if gone.any() else {}),
        "findings": spikes.findings,
        **({"units_dropped": {"noise (cgs is 0)": num_noise}} if num_noise else {}),
    }
    made = {
        "spike_times_s": spikes.times_s.astype(times.dtype if times.dtype.kind == "f" else float),
        "spike_units": spikes.rows,
    }
    return made, info, spikes.cluster_id


def _noise(root: dict[str, Any], path: str, ids: np.ndarray, where: str) -> tuple[np.ndarray, int]:
    """Spikes, bool [spikes], and number of the clusters that cids and cgs, beside the clusters,
    call noise."""
    beside = [value_beside(root, path, name) for name in ("cids", "cgs")]
    is_list = all(isinstance(part, np.ndarray) and part.dtype.kind in "biuf" for part in beside)
    if not is_list or beside[0].size != beside[1].size:
        return np.zeros(len(ids), bool), 0
    cids, cgs = (part.ravel() for part in beside)
    return np.isin(ids, cids[cgs == _NOISE]), int((cgs == _NOISE).sum())


def of_cell(
    value: Any, spec: ReadSpec, own: Arrays, num_units: int | None, where: str
) -> tuple[Arrays, dict[str, Any], int]:
    """Spikes of a cell: one vector a unit, or a vector for each trial and unit.

    Args:
        value: of the option `spikes`.
        spec: its options axes and window.
        own: trial_start_s and trial_stop_s, where paths name them; changed to what the trials are.
        num_units: where region or unit_id says it.
        where: for messages.

    Returns:
        arrays of the spikes, what goes to `info`, and N.
    """
    value = _padded(value) or value
    require(
        isinstance(value, Cell),
        f"{where}: spikes is no cell; expected one with the spike times of one unit each, in "
        "seconds, or times=PATH,clusters=PATH",
    )
    require(value.values, f"{where}: the cell of spikes is empty")
    cells = grid_of(value, "spikes", where)
    order = _order(cells, spec, own, num_units, where)
    trains = [
        vector(part, f"spikes{{{number + 1}}}", where) for number, part in enumerate(cells.ravel())
    ]
    sizes = np.array([len(train) for train in trains])
    place = np.repeat(np.arange(len(trains)), sizes)
    kind = np.result_type(*{train.dtype for train in trains if len(train)}, np.float32)
    times = np.concatenate([np.zeros(0, kind), *trains]).astype(kind)
    require(len(times), f"{where}: the cell of spikes holds no spike")
    if order is None:
        return {"spike_times_s": times, "spike_units": place}, {}, len(trains)
    trial, unit = np.divmod(place, cells.shape[1])
    num_trials, number = cells.shape
    if order == "units:trials":
        trial, unit, num_trials, number = unit, trial, number, num_trials
    placed = _place_trials(times, trial, num_trials, spec, own, where)
    if placed is None:
        made = {"spike_times_s": times, "spike_units": unit, "spike_trial": trial}
        return made, {}, number
    times, keep = placed
    made = {"spike_times_s": times[keep], "spike_units": unit[keep]}
    return made, {"spikes_dropped": {OUTSIDE_OF_ITS_TRIAL: int((~keep).sum())}}, number


def _padded(value: Any) -> Cell | None:
    """A matrix of rising times padded with NaN as a cell of its units; None for anything else, and
    where both axes could be the units."""
    if not isinstance(value, np.ndarray) or value.ndim != 2 or value.dtype.kind != "f":
        return None
    fits = []
    for matrix in (value, value.T):  # [units, spikes]
        known = np.isfinite(matrix)
        trailing = not known.all() and not (known[:, 1:] & ~known[:, :-1]).any()
        falls = (matrix[:, 1:] < matrix[:, :-1]).any()  # False beside NaN
        fits += [matrix] if trailing and known.any() and not falls else []
    if len(fits) != 1:
        return None
    trains = [row[np.isfinite(row)] for row in fits[0]]
    return Cell(trains, (1, len(trains)))


def of_trial_cells(
    root: dict[str, Any], spec: ReadSpec, own: Arrays, where: str
) -> tuple[Arrays, int]:
    """Spikes of a cell of units that have a cell of trials, from 1, beside them (FieldTrip's time
    and trial): arrays, and N. `own` gets the trials' starts and stops of `trial_times`."""
    cells = [value_at(root, spec.option(name), where) for name in ("spikes", "spike_trial")]
    require(
        all(isinstance(cell, Cell) for cell in cells)
        and len(cells[0].values) == len(cells[1].values),
        f"{where}: spikes and spike_trial are no cells of as many units",
    )
    parts = [
        [vector(part, f"{name}{{{k + 1}}}", where) for k, part in enumerate(cell.values)]
        for name, cell in zip(("spikes", "spike_trial"), cells, strict=True)
    ]
    sizes = [[len(part) for part in part_of] for part_of in parts]
    require(
        sizes[0] == sizes[1],
        f"{where}: spikes and spike_trial differ in length; expected the trial of each spike",
    )
    if (path := spec.option("trial_times")) is not None:
        spans = numbers(value_at(root, path, where), path, where, 2)
        require(
            spans.shape[1] == 2, f"{where}: {path} is {list(spans.shape)}, expected [trials, 2]"
        )
        own["trial_start_s"], own["trial_stop_s"] = spans.T.astype(np.float64)
    trial = np.concatenate([np.zeros(0), *parts[1]]) - 1
    times = np.concatenate([np.zeros(0), *parts[0]])
    missing = {"trial_start_s", "trial_stop_s"} - own.keys()
    require(
        not missing,
        f"{where}: say when trials begin and end on the clock of their spikes, with "
        "--options=trial_times=PATH [trials, 2], or trial_start_s and trial_stop_s",
    )
    unit = np.repeat(np.arange(len(sizes[0])), sizes[0])
    return {"spike_times_s": times, "spike_units": unit, "spike_trial": trial}, len(sizes[0])


def _order(
    cells: np.ndarray, spec: ReadSpec, own: Arrays, num_units: int | None, where: str
) -> str | None:
    """`trials:units` or `units:trials`; None for one cell a unit."""
    typed, shape = spec.option("axes"), list(cells.shape)
    require(
        typed in (None, "units", "trials:units", "units:trials"),
        f"axes={typed!r}; for a cell of spike times expected units, trials:units or units:trials",
    )
    num_trials = next((len(times) for times in own.values()), None)
    if shape[1] == 1:
        asked = typed is None and num_trials == shape[0] and num_units is None
        require(
            not asked,
            f"{where}: spikes is a cell of {shape[0]}, as many as there are trials; say "
            "--options=axes=units for one cell a unit, or axes=trials:units for one a trial",
        )
        # One of the two axes is one: a recording of one trial is none, so that it is the units'.
        return None if typed in (None, "units") else "trials:units"
    require(
        typed != "units", f"{where}: spikes is a cell {shape}; expected one axis of units alone"
    )
    order = typed or order_of(cells.shape, None, num_units, num_trials)
    require(
        order is not None,
        f"{where}: spikes is a cell {shape}; say which axis is which with "
        "--options=axes=trials:units or axes=units:trials, and from when to when a trial lasts "
        "with window=START:STOP (seconds from its zero)",
    )
    return order


def _place_trials(
    times: np.ndarray,
    trial: np.ndarray,
    num_trials: int,
    spec: ReadSpec,
    own: Arrays,
    where: str,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Sets the trials' starts and stops in `own`. Where these are on the clock of the session and
    spikes count from their trial's zero: times on that clock, and which spikes lie in their trial,
    bool [spikes]; else None."""
    unit = TimeUnit.of(spec.time_unit)
    spike_s, trial_s = unit.spikes or 1.0, unit.trials or 1.0  # `bin_spikes` converts both
    if (typed := spec.option("window")) is None:
        require(
            {"trial_start_s", "trial_stop_s"} <= own.keys(),
            f"{where}: spikes lie in trials, at {np.nanmin(times):g} to {np.nanmax(times):g} s of "
            "them; say from when to when a trial lasts with --options=window=START:STOP (seconds "
            "from its zero), or name trial_start_s and trial_stop_s on the clock of the spikes",
        )
        return None
    begin, _, end = typed.partition(":")
    first, last = as_number(begin), as_number(end)
    require(
        first < last,
        f"window={typed!r}; expected two rising numbers of seconds, such as window=-0.5:1.5",
    )
    zeros = own.get("trial_start_s")
    at_s = np.zeros(num_trials) if zeros is None else zeros
    require(
        len(at_s) == num_trials,
        f"{where}: trial_start_s has {len(at_s)} values, but there are {num_trials} trials",
    )
    own["trial_start_s"], own["trial_stop_s"] = at_s + first / trial_s, at_s + last / trial_s
    if zeros is None:
        return None
    own_s = times.astype(np.float64) * spike_s
    shift = zeros * trial_s / spike_s
    return times.astype(np.float64) + shift[trial], (own_s >= first) & (own_s < last)
