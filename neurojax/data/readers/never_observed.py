"""Trials and units of which nothing was observed: they alone leave, counted. Pure numpy."""

from typing import Any

import numpy as np

from neurojax.data.readers.sorted_spikes import add_counts
from neurojax.errors import require

_REASON = "never observed"
_PER_UNIT = ("region", "region_group", "region_source", "unit_id")


def without_unobserved(
    counts: np.ndarray,
    lengths: np.ndarray,
    starts: np.ndarray,
    stored_split: np.ndarray | None,
    info: dict[str, Any],
    fields: dict[str, Any],
    where: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None, dict[str, Any], dict[str, Any]]:
    """What `readers.trials.session_of` is given, without trials in which no unit was observed and
    without units that never were; `info` counts both.

    Args:
        counts: [total_bins, N], trials end to end.
        lengths, starts: [trials].
        stored_split: [trials], or None.
        info: as in `from_counts`.
        fields: as in `from_counts`; `observed`, bool [total_bins, N] or [total_bins], decides.
        where: for the message.

    Raises:
        InputError: nothing was observed.
    """
    observed = fields.get("observed")
    observed = None if observed is None else np.asarray(observed)
    if observed is None or observed.all() or len(observed) != len(counts):
        return counts, lengths, starts, stored_split, info, fields
    entries = observed if observed.ndim == 2 else observed[:, None]
    first = np.cumsum(lengths) - lengths
    trials = np.add.reduceat(entries.any(axis=1), first) > 0
    units = np.broadcast_to(entries.any(axis=0), counts.shape[1:])
    require(trials.any(), f"{where}: nothing of the {len(trials)} trials was observed")
    if trials.all() and units.all():
        return counts, lengths, starts, stored_split, info, fields
    for key, gone in (("trials_dropped", ~trials), ("units_dropped", ~units)):
        if gone.any():
            # A reader may have left some out itself, for the same reason.
            info = {**info, key: add_counts(info.get(key, {}), {_REASON: int(gone.sum())})}
    left = kept_of(counts, lengths, starts, stored_split, fields, trials, units)
    return *left[:4], info, left[4]


def kept_of(
    counts: np.ndarray,
    lengths: np.ndarray,
    starts: np.ndarray,
    stored_split: np.ndarray | None,
    fields: dict[str, Any],
    trials: np.ndarray,
    units: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None, dict[str, Any]]:
    """The same of some trials, bool [trials], and some units, bool [N], alone."""
    rows = np.repeat(trials, lengths)
    kept = dict(fields)
    if (observed := fields.get("observed")) is not None:
        kept["observed"] = observed[rows] if observed.ndim == 1 else observed[rows][:, units]
    columns = {"conditions": trials, "behaviour": rows, "behaviour_valid": rows}
    for name, keep in (columns | {"unit_metadata": units}).items():
        kept[name] = {key: _of(values, keep) for key, values in (fields.get(name) or {}).items()}
    kept |= {name: _of(fields[name], units) for name in _PER_UNIT if fields.get(name) is not None}
    if fields.get("unit_id") is None and not units.all():  # names stay those of the rows
        kept["unit_id"] = np.flatnonzero(units).astype(str)
    split = stored_split
    if split is not None and np.shape(split) == np.shape(starts):
        split = split[trials]
    return counts[rows][:, units], lengths[trials], starts[trials], split, kept


def _of(values: Any, keep: np.ndarray) -> Any:
    """The entries of a column that stay; one of another length is refused with the session."""
    column = values if hasattr(values, "dtype") else np.asarray(values)
    return column[keep] if np.shape(column)[:1] == keep.shape else values
