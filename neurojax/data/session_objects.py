"""Sorted units that live in objects of other packages become a session: SpikeInterface sortings and
neo segments. Neither package is imported: what their interfaces promise is enough.

Sources: Buccino et al. 2020, eLife 9:e61834 (SpikeInterface); Garcia et al. 2014, Front.
Neuroinform. 8:10 (neo).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurojax.data.session import Session
from neurojax.data.session_parts import Part, joined, plain_columns, where_of
from neurojax.data.store.session_fields import named_columns
from neurojax.errors import require

_NEO_NAMES = ("unit_id", "unit_name", "cluster_id", "id")


def from_sorting(
    sorting: Any,
    bin_ms: float = 20.0,
    *,
    trials: Any = None,
    regions: Any = None,
    noise: str = "drop",
    **fields: Any,
) -> Session:
    """Builds a session from a SpikeInterface `BaseSorting`, all segments.

    Segments lie on the sorting's own clock where it says one after another; else each begins ten
    seconds after the one before ends. Time between them was not observed. `info["segments"]` has
    their starts and stops. Numeric properties become `unit_metadata`.

    Args:
        sorting: any object with its methods.
        bin_ms: width of a bin in milliseconds.
        trials: float [trials, 2], seconds of the session; of several segments also a list with one
            such array each, on the clock of the segment. Without it give `window_s`.
        regions: name of a property, or what `from_spike_times` takes; by default the first of
            region, brain_area, ... that names one.
        noise: "drop" leaves out units that quality, group or KSLabel call noise; "keep".
        **fields: as in `from_spike_times`: session_id, window_s, split, conditions, behaviour, ...

    Raises:
        InputError: no sorting, or anything that `from_spike_times` refuses.
    """
    needed = ("get_unit_ids", "get_num_segments", "get_unit_spike_train")
    require(
        all(callable(getattr(sorting, name, None)) for name in needed),
        f"from_sorting got {type(sorting).__name__}, expected a SpikeInterface sorting "
        f"({', '.join(needed)})",
    )
    where = where_of(fields)
    units = list(sorting.get_unit_ids())
    parts = [_segment_of(sorting, units, k) for k in range(int(sorting.get_num_segments()))]
    keys = sorting.get_property_keys() if hasattr(sorting, "get_property_keys") else ()
    given = {str(key): sorting.get_property(key) for key in keys}
    columns, left_out = plain_columns(given, len(units), where)
    return joined(parts, columns, left_out, trials, regions, noise, bin_ms, where, fields)


def _segment_of(sorting: Any, units: Sequence[Any], segment: int) -> Part:
    trains = {
        str(unit): np.asarray(
            sorting.get_unit_spike_train(unit_id=unit, segment_index=segment, return_times=True)
        )
        for unit in units
    }
    recorded = hasattr(sorting, "has_recording") and sorting.has_recording()
    start, stop = 0.0, None
    if hasattr(sorting, "get_start_time"):
        start = float(sorting.get_start_time(segment_index=segment))
    if recorded and hasattr(sorting, "get_end_time"):
        stop = float(sorting.get_end_time(segment_index=segment))
    return Part(trains, start, stop, {})


def from_neo(
    data: Any,
    bin_ms: float = 20.0,
    *,
    trials: Any = None,
    regions: Any = None,
    noise: str = "drop",
    **fields: Any,
) -> Session:
    """Builds a session from spike trains of neo: all segments of a block, joined as by
    `from_sorting`.

    A train was observed from its `t_start` to its `t_stop`. Units are named by the trains' names or
    annotations (unit_id, ...) where these are given and different, else by their place. Numeric
    annotations become `unit_metadata`.

    Args:
        data: `neo.Block`, `neo.Segment`, a list of segments, or a list of `neo.SpikeTrain`.
        bin_ms, trials, regions, noise: as in `from_sorting`, properties being annotations; `trials`
            may also be the name of an epoch of the segments.
        **fields: as in `from_spike_times`; a behaviour may be a `neo.AnalogSignal`.

    Raises:
        InputError: no spike trains, segments of other units, or anything that `from_spike_times`
            refuses.
    """
    where = where_of(fields)
    segments = _segments(data, where)
    trains = [list(getattr(segment, "spiketrains", segment)) for segment in segments]
    require(
        any(trains) and all(hasattr(train, "t_stop") for own in trains for train in own),
        f"{where}: from_neo got {type(data).__name__}, expected a neo Block or Segment with spike "
        "trains, or a list of SpikeTrain",
    )
    names = _neo_names(trains, where)
    parts = [_part_of(own, own_names) for own, own_names in zip(trains, names, strict=True)]
    if isinstance(trials, str):
        trials = [_epochs(segment, trials, where) for segment in segments]
    noted: dict[str, dict[str, Any]] = {}
    for own, own_names in zip(trains, names, strict=True):
        for train, name in zip(own, own_names, strict=True):
            noted.setdefault(name, dict(getattr(train, "annotations", None) or {}))
    keys = sorted({str(key) for notes in noted.values() for key in notes} - set(_NEO_NAMES))
    given = {key: [notes.get(key) for notes in noted.values()] for key in keys}
    columns, left_out = plain_columns(given, len(noted), where)
    if behaviour := fields.get("behaviour"):
        signals = named_columns(behaviour, "behaviour", where)
        fields["behaviour"] = {name: _analog(values) for name, values in signals.items()}
    return joined(parts, columns, left_out, trials, regions, noise, bin_ms, where, fields)


def _segments(data: Any, where: str) -> list[Any]:
    """The segments of a block; trains in a list are one segment."""
    if hasattr(data, "segments"):
        return list(data.segments)
    if hasattr(data, "spiketrains"):
        return [data]
    require(
        isinstance(data, list | tuple) or type(data).__name__ == "SpikeTrainList",
        f"{where}: from_neo got {type(data).__name__}, expected a neo Block or Segment, or a list "
        "of SpikeTrain",
    )
    parts = list(data)
    return parts if parts and all(hasattr(part, "spiketrains") for part in parts) else [parts]


def _neo_names(trains: list[list[Any]], where: str) -> list[list[str]]:
    """Names of the units of each segment."""
    for key in (None, *_NEO_NAMES):
        named = [[_name(train, key) for train in own] for own in trains]
        if all(all(own) and len(set(own)) == len(own) for own in named):
            return named
    numbers = {len(own) for own in trains}
    require(
        len(numbers) == 1,
        f"{where}: segments have {sorted(numbers)} spike trains without names of their own; name "
        "the trains, so that units can be told apart",
    )
    return [[str(place) for place in range(len(own))] for own in trains]


def _name(train: Any, key: str | None) -> str:
    """A train's annotation of a name, without one its own name; "" where it has none."""
    notes = {None: getattr(train, "name", None)} | (getattr(train, "annotations", None) or {})
    return "" if notes.get(key) is None else str(notes[key])


def _part_of(trains: Sequence[Any], names: Sequence[str]) -> Part:
    watched = {
        name: (float(in_s(train.t_start)), float(in_s(train.t_stop)))
        for name, train in zip(names, trains, strict=True)
    }
    edges = np.array(list(watched.values())).reshape(-1, 2)
    start, stop = (edges[:, 0].min(), edges[:, 1].max()) if len(edges) else (0.0, 0.0)
    times = {name: in_s(train) for name, train in zip(names, trains, strict=True)}
    return Part(times, float(start), float(stop), watched)


def in_s(quantity: Any) -> np.ndarray:
    """A quantity of time as numbers of seconds; plain numbers are seconds."""
    if hasattr(quantity, "rescale"):
        quantity = quantity.rescale("s").magnitude
    return np.asarray(quantity)


def _epochs(segment: Any, name: str, where: str) -> np.ndarray:
    """Starts and stops, [trials, 2], of the epoch of a name."""
    epochs = list(getattr(segment, "epochs", ()))
    found = [epoch for epoch in epochs if str(getattr(epoch, "name", "")) == name]
    require(
        found,
        f"{where}: trials={name!r}, but the epochs are "
        f"{sorted(str(getattr(epoch, 'name', '')) for epoch in epochs)}",
    )
    starts = in_s(found[0].times)
    return np.stack([starts, starts + in_s(found[0].durations)], axis=1)


def _analog(values: Any) -> Any:
    """A neo AnalogSignal as times and values; anything else as it is."""
    if hasattr(values, "times") and hasattr(values, "magnitude"):
        return in_s(values.times), np.asarray(values.magnitude)
    return values
