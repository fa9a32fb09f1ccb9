"""Spike times of named units in memory become a session, as the converters would make it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.data.checks.findings import spike_findings
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import choose_split, trials_in_seconds, without_shared_time
from neurojax.data.session import Session
from neurojax.data.store.session_fields import plain_array, seconds, spike_counts
from neurojax.data.store.session_rules import check_bin_size, check_info, check_session_id
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError, require


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
    **fields: Any,
) -> Session:
    """Builds a session from spike times, binned from each trial's start.

    Args:
        times: float [spikes], seconds, any order; or unit -> its spike times, without `unit_ids`.
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
        **fields: as in `from_counts`: conditions, behaviour over the bins, unit_metadata, info, ...

    Raises:
        InputError: anything that does not fit, with what came in; also trials that share time and a
            random split.
    """
    where = f"session {check_session_id(session_id)}"
    bin_size_s = check_bin_size(bin_ms / 1000 if isinstance(bin_ms, int | float) else bin_ms, where)
    times_s, labels = _flat(times, unit_ids, where)
    named = _units(units, regions, times, labels, where)
    rows = _rows(labels, named, where)
    # Codes that the caller gives are a split of their own making, as from a file.
    rule = split if isinstance(split, str) else "random" if split is None else "file"
    spec = ReadSpec(window_s=window_s, split=rule)
    starts, stops = trials_in_seconds(
        _trial_arrays(trials, where), times_s, spec, bin_size_s, where
    )
    counts, lengths = spike_counts(times_s, rows, len(named), starts, stops, bin_size_s, where)
    given = None if split is None or isinstance(split, str) else np.asarray(split)
    codes, source = choose_split(given, starts, spec, where)
    info: dict[str, Any] = check_info(fields.pop("info", None) or {}, where)
    if odd := spike_findings(times_s, rows, len(named), starts, stops):
        info["findings"] = {**odd, **info.get("findings", {})}
    session = from_counts(
        counts,
        bin_size_s=bin_size_s,
        session_id=session_id,
        trial_offsets=np.concatenate([[0], np.cumsum(lengths)]),
        trial_start_s=starts,
        unit_id=np.array([str(label) for label in named]),
        region=_regions(regions, named, where),
        split=codes,
        info={"split_source": source} | ({} if window_s is None else {"window_s": window_s}) | info,
        **fields,
    )
    return without_shared_time(session, spec, where)


def _flat(times: Any, unit_ids: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Seconds, float64 [spikes], and the label of each spike's unit."""
    if isinstance(times, Mapping):
        require(unit_ids is None, f"{where}: unit_ids came with times by unit; give one of them")
        require(times, f"{where}: no units; expected unit -> spike times")
        trains = {
            label: seconds(train, f"times of unit {label}", where) for label, train in times.items()
        }
        labels = np.repeat(np.array(list(trains)), [len(train) for train in trains.values()])
        return np.concatenate(list(trains.values())), labels
    require(
        unit_ids is not None,
        f"{where}: times without unit_ids; give one unit a spike, or times as unit -> spike times",
    )
    times_s, labels = seconds(times, "times", where), plain_array(unit_ids, "unit_ids", where)
    require(
        labels.shape == times_s.shape,
        f"{where}: {len(times_s)} times and unit_ids {list(labels.shape)}, expected one each a "
        "spike",
    )
    if labels.dtype.kind == "f" and not np.all(labels == np.floor(labels)):
        raise InputError(
            f"{where}: unit_ids holds {labels[labels != np.floor(labels)][0]:g}, expected labels "
            "of units"
        )
    return times_s, labels.astype(np.int64) if labels.dtype.kind == "f" else labels


def _units(units: Any, regions: Any, times: Any, labels: np.ndarray, where: str) -> list[Any]:
    """Labels of all units in order."""
    if units is not None:
        named = list(units)
    elif isinstance(times, Mapping):
        named = list(times)
    elif isinstance(regions, Mapping):
        named = list(regions)
    else:
        # Only units that spike are known here; silent ones must be named by the caller.
        named = np.unique(labels).tolist()
        if isinstance(regions, Sequence | np.ndarray) and len(regions) != len(named):
            raise InputError(
                f"{where}: {len(regions)} regions for the {len(named)} units that spike; give "
                "unit -> region, or name all units in `units`"
            )
    require(
        named and len({str(label) for label in named}) == len(named),
        f"{where}: {len(named)} units of different names {len({str(u) for u in named})}; expected "
        "one each",
    )
    return named


def _rows(labels: np.ndarray, named: list[Any], where: str) -> np.ndarray:
    """Row of each spike's unit, int64 [spikes]."""
    # By their text, so that the unit 7 of a table is the unit "7" of the spikes.
    row = {str(label): index for index, label in enumerate(named)}
    # Each label is looked up once, not once for each of millions of spikes.
    seen, inverse = np.unique(labels, return_inverse=True)
    if strange := [label for label in seen.tolist() if str(label) not in row]:
        raise InputError(
            f"{where}: {len(strange)} units of the spikes are not among the {len(named)} named, "
            f"such as {strange[0]!r}"
        )
    return np.array([row[str(label)] for label in seen.tolist()], np.int64)[inverse.ravel()]


def _regions(regions: Any, named: list[Any], where: str) -> np.ndarray | None:
    if regions is None:
        return None
    if isinstance(regions, Mapping):
        text = {str(label): region for label, region in regions.items()}
        return np.array([str(text.get(str(label), "unknown")) for label in named])
    require(
        len(regions) == len(named),
        f"{where}: {len(regions)} regions for {len(named)} units; expected one each, in their "
        "order",
    )
    return np.asarray(regions).astype(str)


def _trial_arrays(trials: Any, where: str) -> dict[str, np.ndarray]:
    if trials is None:
        return {}
    edges = plain_array(trials, "trials", where)
    require(
        edges.ndim == 2 and edges.shape[1] == 2 and len(edges) != 0,
        f"{where}: trials has shape {list(edges.shape)}, expected [trials, 2]: start and stop in "
        "seconds",
    )
    return {"trial_start_s": edges[:, 0], "trial_stop_s": edges[:, 1]}
