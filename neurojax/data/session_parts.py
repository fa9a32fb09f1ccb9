"""Segments of one recording in memory, each on its own clock, become one session: time between them
was not observed."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.session import Session, names_a_region
from neurojax.data.spike_trains import from_spike_times
from neurojax.data.store.session_fields import named_columns, plain_array
from neurojax.data.store.session_rules import check_info, check_session_id
from neurojax.errors import InputError, require

GAP_S = 10.0  # put between segments whose clocks start again
_AFTER_LAST_SPIKE_S = 0.1  # recorded at least, where a segment does not say how long it was
# Names that other packages give the column of regions, the likeliest first.
_REGIONS = ("region", "brain_region", "brain_area", "location", "area", "acronym")
_QUALITY = ("quality", "group", "KSLabel")  # the first that is there names noise
_LEFT_OUT = "columns that are not one number or text each"


class Part(NamedTuple):
    """One segment, on its own clock.

    Attributes:
        trains: unit -> seconds of its spikes [n].
        start_s: when recording began.
        stop_s: when it ended; None where that is not known.
        watched: unit -> (start, stop), seconds, where units say so themselves.
    """

    trains: dict[str, np.ndarray]
    start_s: float
    stop_s: float | None
    watched: dict[str, tuple[float, float]]


def where_of(fields: Mapping[str, Any]) -> str:
    """The session for messages, by the name among the fields; InputError where that is none."""
    return f"session {check_session_id(fields.get('session_id', 'session'))}"


def plain_columns(
    given: Mapping[str, Any], num_rows: int, where: str
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Columns of one number or text a row, and the names of the others."""
    columns, left_out = {}, []
    for name, values in given.items():
        try:
            column = plain_array(values, name, where)
        except InputError:
            column = np.empty(0)
        if column.shape == (num_rows,):
            columns[name] = column
        else:
            left_out.append(name)
    return columns, left_out


def joined(
    parts: Sequence[Part],
    columns: dict[str, np.ndarray],
    left_out: list[str],
    trials: Any,
    regions: Any,
    noise: str,
    bin_ms: float,
    where: str,
    fields: dict[str, Any],
) -> Session:
    """One session of all parts, with what the columns of their units say.

    Args:
        parts: segments, in order; units of one name are one unit.
        columns: name -> [units], in the order in which units first appear.
        left_out: names of columns that are none, of units or trials.
        trials, regions, noise, bin_ms, fields: see `session_objects.from_sorting`.
        where: for messages.

    Raises:
        InputError: no unit, or anything that `from_spike_times` refuses.
    """
    names = list(dict.fromkeys(name for part in parts for name in part.trains))
    require(names, f"{where}: no unit; expected sorted units with spikes")
    info = check_info(fields.pop("info", None) or {}, where)
    kept, dropped = _without_noise(names, columns, noise, where)
    require(
        kept, f"{where}: all {len(names)} units are labelled noise; take them with noise='keep'"
    )
    starts, stops = _on_one_clock(parts)
    shifts = [start - part.start_s for part, start in zip(parts, starts, strict=True)]
    own = dict(zip(names, range(len(names)), strict=True))
    rows = [own[name] for name in kept]
    of_units = {name: values[rows] for name, values in columns.items()}
    if regions is None:
        regions = _telling_column(of_units)
    if isinstance(regions, str):
        require(
            regions in of_units,
            f"{where}: regions={regions!r}, but the units have {sorted(of_units)}",
        )
        labels = of_units[regions].astype(str).tolist()
        regions = {name: label or None for name, label in zip(kept, labels, strict=True)}
    if left_out:
        info["columns_left_out"] = left_out
        info["findings"] = {_LEFT_OUT: len(left_out), **info.get("findings", {})}
    if dropped:
        info["units_dropped"] = {"labelled noise": dropped, **info.get("units_dropped", {})}
    if len(parts) > 1:
        spans = zip(starts, stops, strict=True)
        info["segments"] = [{"start_s": start, "stop_s": stop} for start, stop in spans]
    numbers = {name: values for name, values in of_units.items() if values.dtype.kind in "biuf"}
    given = named_columns(fields.pop("unit_metadata", None), "unit_metadata", where)
    trains = {
        name: np.concatenate(
            [_shifted(part, name, s) for part, s in zip(parts, shifts, strict=True)]
        )
        for name in kept
    }
    return from_spike_times(
        trains,
        bin_ms=bin_ms,
        trials=_trials(trials, shifts, where),
        regions=regions,
        info=info,
        unit_metadata=numbers | given,
        **_observed(parts, kept, shifts, starts, stops),
        **fields,
    )


def _telling_column(columns: Mapping[str, np.ndarray]) -> str | None:
    """The first column of text that names a region somewhere; None without one."""
    found = [name for name in _REGIONS if name in columns and columns[name].dtype.kind == "U"]
    return next((n for n in found if any(map(names_a_region, columns[n].tolist()))), None)


def _without_noise(
    names: Sequence[str], columns: Mapping[str, np.ndarray], noise: str, where: str
) -> tuple[list[str], int]:
    """Units that are not labelled noise, and how many are."""
    require(noise in ("drop", "keep"), f"{where}: noise={noise!r}; expected drop or keep")
    label = next(
        (columns[n] for n in _QUALITY if n in columns and columns[n].dtype.kind == "U"), None
    )
    if noise == "keep" or label is None:
        return list(names), 0
    is_noise = np.char.lower(label) == "noise"
    return [n for n, gone in zip(names, is_noise.tolist(), strict=True) if not gone], int(
        is_noise.sum()
    )


def _shifted(part: Part, name: str, shift_s: float) -> np.ndarray:
    """Spikes of a unit on the clock of the session; none where the part lacks it."""
    times = part.trains.get(name, np.empty(0))
    return times if shift_s == 0 else np.asarray(times, np.float64) + shift_s


def _on_one_clock(parts: Sequence[Part]) -> tuple[list[float], list[float]]:
    """Start and stop of each part, seconds of the session: their own where they follow each other,
    else each `GAP_S` and up to a whole second after the one before."""
    ends = []
    for part in parts:
        last = max(
            (float(times.max()) for times in part.trains.values() if len(times)), default=0.0
        )
        known = part.stop_s is not None
        ends.append(part.stop_s if known else max(part.start_s, last) + _AFTER_LAST_SPIKE_S)
    starts = [part.start_s for part in parts]
    if all(start >= end for start, end in zip(starts[1:], ends[:-1], strict=True)):
        return starts, ends
    placed, stops = [starts[0]], [ends[0]]
    for start, end in zip(starts[1:], ends[1:], strict=True):
        placed.append(float(np.ceil(stops[-1]) + GAP_S))
        stops.append(placed[-1] + end - start)
    return placed, stops


def _observed(
    parts: Sequence[Part],
    names: Sequence[str],
    shifts: Sequence[float],
    starts: Sequence[float],
    stops: Sequence[float],
) -> dict[str, Any]:
    """What `from_spike_times` is told: when each unit was observed, or which time between and
    around segments counts for nothing."""
    if any(part.watched for part in parts):
        own: dict[str, list[list[float]]] = {name: [] for name in names}
        for part, shift_s in zip(parts, shifts, strict=True):
            for name, (start, stop) in part.watched.items():
                if name in own:
                    own[name].append([start + shift_s, stop + shift_s])
        return {"observed": own}
    bad = [
        [stop, start] for stop, start in zip(stops[:-1], starts[1:], strict=True) if start > stop
    ]
    if parts[-1].stop_s is not None:
        bad += [[-np.inf, starts[0]], [stops[-1], np.inf]]
    return {"invalid": bad} if bad else {}


def _trials(trials: Any, shifts: Sequence[float], where: str) -> Any:
    """Trials on the clock of the session: as they are, or one array a segment shifted."""
    of_segments = isinstance(trials, list | tuple) and all(np.ndim(own) == 2 for own in trials)
    if trials is None or not of_segments or not len(trials):
        return trials
    require(
        len(trials) == len(shifts),
        f"{where}: trials are given for {len(trials)} segments, expected {len(shifts)}",
    )
    return np.concatenate(
        [np.asarray(own, np.float64) + shift for own, shift in zip(trials, shifts, strict=True)]
    )
