"""Spike times of named units in memory become a session, as the converters would make it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.data import observed_units
from neurojax.data.checks.findings import BAD_ELSEWHERE, FELL_SILENT, spike_findings
from neurojax.data.clock import TimeUnit, in_seconds, require_seconds
from neurojax.data.clocked_behaviour import behaviour_in_bins
from neurojax.data.flat_spikes import MASKED, flat_spikes, require_label
from neurojax.data.observed import different, elsewhere, entries_inside
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import session_of, trials_in_seconds
from neurojax.data.session import Session
from neurojax.data.store.object_columns import require_one_index
from neurojax.data.store.session_fields import (
    columns,
    labels,
    named_columns,
    plain_array,
    signal,
    spike_counts,
)
from neurojax.data.store.session_rules import check_bin_size, check_info, check_session_id
from neurojax.errors import InputError, require

_OPTION = re.compile(r"--time_unit=([\w:=,]*\w)")


def from_spike_times(
    times: np.ndarray | Mapping[Any, np.ndarray],
    unit_ids: np.ndarray | None = None,
    bin_ms: float = 20.0,
    *,
    regions: Mapping[Any, str] | Sequence[str] | None = None,
    trials: np.ndarray | None = None,
    window_s: float | None = None,
    units: Sequence[Any] | None = None,
    session_id: str = "session",
    split: np.ndarray | str | None = None,
    observed: Any = None,
    invalid: Any = None,
    silence: str = "unobserved",
    time_unit: str | None = None,
    behaviour: Mapping[str, Any] | None = None,
    max_gap_s: float | None = None,
    **fields: Any,
) -> Session:
    """Builds a session from spike times, binned from each trial's start.

    Args:
        times: float [spikes], seconds, any order; or unit -> its spike times, without `unit_ids`.
            Masked spikes are left out and counted. pandas columns need one index.
        unit_ids: [spikes], the unit of each spike: a number or text, a label and not a row.
        bin_ms: width of a bin in milliseconds.
        regions: unit -> region, or one label for each of `units`.
        trials: float [trials, 2], start and stop in seconds; a last bin that does not fit is
            dropped.
        window_s: length of windows in seconds, for a recording without trials.
        units: all units in the order wanted, silent ones too; by default those that spike, sorted.
        session_id: letters, digits, `.`, `_`, `-`.
        split: [trials], 0 train, 1 validation, 2 test; or "random" (70/10/20, the default),
            "blocks:300s".
        observed: float [n, 2], from when to when all units were recorded; or unit -> [n, 2]. What
            lies outside is not silence: it is left out of training and scores.
        invalid: float [n, 2], or unit -> [n, 2]: stretches that count for nothing.
        silence: without `observed`, stretches in which 8 and more units are silent together against
            all odds are taken as gaps ("unobserved"), or as silence ("keep").
        time_unit: of the times, "ms", "samples:30000", "spikes=samples:30000,trials=s"; `observed`
            and `invalid` are on the clock of the spikes. None: seconds, and times that cannot be
            seconds are refused.
        behaviour: name -> values of the bins, or a tuple (times, values) of samples with a clock of
            their own.
        max_gap_s: samples of behaviour further apart leave the bins between them unknown.
        **fields: as in `from_counts`: conditions, unit_metadata, info, ...

    Raises:
        InputError: anything that does not fit, with what came in; also trials that share time and a
            random split.
    """
    where = f"session {check_session_id(session_id)}"
    for name, column in named_columns(fields.get("conditions"), "conditions", where).items():
        require_one_index(trials, column, ("trials", name), where)
    unit, asked = TimeUnit.of(time_unit), (split, window_s, silence, max_gap_s)
    binned = _binned(times, unit_ids, units, regions, trials, bin_ms, unit, asked, where)
    odd, grid = {}, (binned.starts, binned.lengths, binned.bin_size_s)
    seen = _entries(binned, observed, invalid, unit, odd, where)
    edges = binned.starts, binned.stops, binned.lengths
    odd |= spike_findings(binned.times_s, binned.rows, len(binned.named), *edges, seen)
    signals = behaviour_in_bins(
        behaviour, *grid, where, max_gap_s=max_gap_s, unit_s=unit.behavior, findings=odd
    )
    return session_of(
        binned.counts,
        binned.lengths,
        binned.starts,
        binned.spec,
        where,
        info=_info(fields.pop("info", None), window_s, odd, binned.masked, where),
        stored_split=plain_array(split, "split", where) if binned.spec.split == "file" else None,
        bin_size_s=binned.bin_size_s,
        session_id=session_id,
        unit_id=np.array([str(label) for label in binned.named]),
        region=_regions(regions, binned.named, where),
        observed=seen,
        behaviour={name: signal(v, name, binned.counts, where) for name, v in signals.items()},
        **_plain(fields, where),
    )


class _Binned(NamedTuple):
    """Spikes in bins, and what they were made of."""

    counts: np.ndarray
    lengths: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    bin_size_s: float
    times_s: np.ndarray
    rows: np.ndarray
    named: list[Any]
    spec: ReadSpec
    masked: int


def _binned(
    times: Any,
    unit_ids: Any,
    units: Any,
    regions: Any,
    trials: Any,
    bin_ms: Any,
    unit: TimeUnit,
    asked: tuple[Any, Any, Any, Any],
    where: str,
) -> _Binned:
    split, window_s, silence, max_gap_s = asked
    bin_size_s = check_bin_size(bin_ms / 1000 if isinstance(bin_ms, int | float) else bin_ms, where)
    raw, of_spikes, labelled, masked = flat_spikes(times, unit_ids, where)
    named = _units(units, regions, times, labelled, where)
    rows = _rows(of_spikes, labelled, named, where)
    require(isinstance(silence, str), f"{where}: silence={silence!r}; expected unobserved or keep")
    # Codes that the caller gives are a split of their own making, as from a file.
    rule = split if isinstance(split, str) else "random" if split is None else "file"
    spec = ReadSpec(window_s=window_s, split=rule, silence=silence, max_gap_s=max_gap_s)
    edges, times_s = _trial_arrays(trials, unit.trials, where), in_seconds(raw, unit.spikes)
    if unit.spikes is None:
        _require_seconds(raw, np.count_nonzero(np.bincount(rows)), bin_size_s, where, edges)
    starts, stops = trials_in_seconds(edges, times_s, spec, bin_size_s, where)
    counts, lengths = spike_counts(times_s, rows, len(named), starts, stops, bin_size_s, where)
    return _Binned(counts, lengths, starts, stops, bin_size_s, times_s, rows, named, spec, masked)


def _entries(
    binned: _Binned, observed: Any, invalid: Any, unit: TimeUnit, odd: dict[str, int], where: str
) -> np.ndarray | None:
    """Entries that were observed, bool [total_bins, N], as the caller or else the spikes say; what
    fell silent is added to `odd`."""
    grid, names = (binned.starts, binned.lengths, binned.bin_size_s), list(map(str, binned.named))
    watched = observed_units.watched_s(observed, invalid, names, unit.spikes, where)
    odd |= _bad_elsewhere(invalid, names, unit, binned, where)
    if observed is None and binned.spec.silence != "keep":
        watched, gaps = observed_units.with_heard(
            watched, binned.times_s, binned.rows, len(names), *grid
        )
        odd |= {FELL_SILENT: gaps} if gaps else {}
    return None if watched is None else entries_inside(watched, *grid)


def _bad_elsewhere(
    invalid: Any, names: list[str], unit: TimeUnit, binned: _Binned, where: str
) -> dict[str, int]:
    """How many of the bad times touch nothing of the recording, for `info["findings"]`."""
    good = observed_units.watched_s(None, invalid, names, unit.spikes, where)
    if good is None:
        return {}
    stops, times = binned.starts + binned.lengths * binned.bin_size_s, binned.times_s
    first = min(binned.starts.min(), times.min(initial=np.inf))
    last = max(stops.max(), times.max(initial=-np.inf))
    number = sum(elsewhere(own, first, last) for own in different(good)[0])
    return {BAD_ELSEWHERE: number} if number else {}


def _info(
    given: Any, window_s: Any, odd: dict[str, int], masked: int, where: str
) -> dict[str, Any]:
    info = check_info({} if given is None else given, where)
    if masked:
        known = info.get("spikes_dropped")
        info["spikes_dropped"] = {**(known if isinstance(known, dict) else {}), MASKED: masked}
    found = info.get("findings")
    if odd:
        info["findings"] = {**odd, **(found if isinstance(found, dict) else {})}
    return ({} if window_s is None else {"window_s": window_s}) | info


def _require_seconds(
    raw: np.ndarray, num_units: int, bin_size_s: float, where: str, edges: dict[str, np.ndarray]
) -> None:
    """`clock.require_seconds`, in the words of Python."""
    try:
        require_seconds(raw, num_units, bin_size_s, where, *edges.values())
    except InputError as error:
        raise InputError(_OPTION.sub(r'time_unit="\1"', str(error))) from None


def _plain(fields: dict[str, Any], where: str) -> dict[str, Any]:
    """Columns of `from_counts` as plain arrays, so that trials and units can be left out."""
    known = {
        name: columns(fields[name], name, where)
        for name in ("conditions", "unit_metadata", "behaviour_valid")
        if fields.get(name) is not None
    }
    return fields | known


def _units(units: Any, regions: Any, times: Any, labels: list[Any], where: str) -> list[Any]:
    """Labels of all units in order: of those that the times name, where nothing names more."""
    if units is not None:
        require(
            np.iterable(units) and not isinstance(units, str | bytes),
            f"{where}: units is {type(units).__name__}, expected the name of every unit",
        )
        named = list(units)
    elif isinstance(regions, Mapping) and not isinstance(times, Mapping):
        named = list(regions)
    else:
        named = labels
    for label in named:
        require_label(label, where)
    require(
        named and len({str(label) for label in named}) == len(named),
        f"{where}: {len(named)} units of different names {len({str(u) for u in named})}; expected "
        "one each",
    )
    return named


def _rows(rows: np.ndarray, labels: list[Any], named: list[Any], where: str) -> np.ndarray:
    """Row among `named` of each spike's unit, int64 [spikes], for its row among `labels`."""
    # By their text, so that the unit 7 of a table is the unit "7" of the spikes.
    row = {str(label): index for index, label in enumerate(named)}
    place = np.array([row.get(str(label), -1) for label in labels], np.int64)[rows]
    if strange := np.unique(rows[place < 0]).tolist():
        raise InputError(
            f"{where}: {len(strange)} units of the spikes are not among the {len(named)} named, "
            f"such as {labels[strange[0]]!r}"
        )
    return place


def _regions(regions: Any, named: list[Any], where: str) -> np.ndarray | None:
    """One label a unit, by name where names are given: a mapping, or a pandas Series that has the
    units in its index."""
    if regions is None:
        return None
    if not isinstance(regions, Mapping) and _names_units(regions, named):
        regions = regions.to_dict()
    if isinstance(regions, Mapping):
        text = {str(label): region for label, region in regions.items()}
        regions = [text.get(str(label)) for label in named]
    require(
        _listed(regions),
        f"{where}: regions is {type(regions).__name__}, expected unit -> region, or one a unit",
    )
    require(
        len(regions) == len(named),
        f"{where}: {len(regions)} regions for {len(named)} units; expected one each, in their "
        "order: give unit -> region, or name all units, silent ones too, in `units`",
    )
    return labels(regions, "regions", where, np.array([]))


def _listed(values: Any) -> bool:
    """Whether values have a length and are no text."""
    has_length = hasattr(values, "__len__") and getattr(values, "ndim", 1) != 0
    return has_length and not isinstance(values, str | bytes)


def _names_units(series: Any, named: list[Any]) -> bool:
    """Whether an object is a pandas Series whose index is the units, not just counted up."""
    index = getattr(series, "index", None)
    if not hasattr(series, "to_dict") or list(index) == list(range(len(index))):
        return False
    return {str(label) for label in named} <= {str(label) for label in index}


def _trial_arrays(trials: Any, unit_s: float | None, where: str) -> dict[str, np.ndarray]:
    if trials is None:
        return {}
    edges = plain_array(trials, "trials", where)
    require(
        edges.ndim == 2 and edges.shape[1] == 2 and len(edges) != 0 and edges.dtype.kind in "iuf",
        f"{where}: trials has shape {list(edges.shape)} ({edges.dtype}), expected [trials, 2]: "
        "start and stop in seconds",
    )
    starts, stops = in_seconds(edges, unit_s).T
    return {"trial_start_s": starts, "trial_stop_s": stops}
