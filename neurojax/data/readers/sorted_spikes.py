"""Spikes as sorters leave them: times and cluster ids, cleaned with every drop counted, as rows of
units."""

import dataclasses
from collections import Counter

import numpy as np

from neurojax.data.binning import whole_numbers
from neurojax.errors import InputError, require

_NO_ID = -(2.0**53)  # of spikes whose cluster is NaN
_EXPECTED_IDS = "whole numbers: the cluster of each spike"


@dataclasses.dataclass(frozen=True)
class SortedSpikes:
    """Spikes of one sorting.

    Attributes:
        times_s: float64 [spikes], seconds, finite, rising.
        rows: int32 [spikes], row of each spike's unit.
        cluster_id: int64 [N], the sorter's own number of each unit, rising.
        dropped: reason -> number of spikes left out.
        findings: name -> number; what was odd and kept.
    """

    times_s: np.ndarray
    rows: np.ndarray
    cluster_id: np.ndarray
    dropped: dict[str, int]
    findings: dict[str, int]


def sorted_spikes(
    times_s: np.ndarray, clusters: np.ndarray, where: str, num_clusters: int | None = None
) -> SortedSpikes:
    """Checks and sorts the spikes of one sorting.

    Times that are not finite, and clusters that are NaN or below 0 (spikes that the sorter gave to
    no unit) are left out.

    Args:
        times_s: numbers [spikes], seconds.
        clusters: whole numbers [spikes].
        where: for messages.
        num_clusters: ids run from 0 to this - 1, and each is a unit, also without spikes; None
            takes the ids seen.

    Raises:
        InputError: shapes or dtypes are wrong, an id is out of range, or no spike is left.
    """
    times, ids = one_each(times_s, clusters, where)
    times = times.astype(np.float64, copy=False)
    if ids.dtype.kind == "f" and np.isnan(ids).any():
        ids = np.where(np.isnan(ids), _NO_ID, ids)  # a blank cluster loses its own spikes alone
    ids = whole_numbers(ids, f"{where}: the spikes' clusters", _EXPECTED_IDS).astype(
        np.int64, copy=False
    )
    finite, assigned = np.isfinite(times), ids >= 0
    blank = ids == int(_NO_ID)
    reasons = {
        "time is not finite": ~finite,
        "no cluster id": finite & blank,
        "cluster id below 0": finite & ~assigned & ~blank,
    }
    dropped = {reason: int(which.sum()) for reason, which in reasons.items() if which.any()}
    if dropped:  # copies of tens of millions of spikes only where they are needed
        times, ids = times[finite & assigned], ids[finite & assigned]
    require(len(times), f"{where} holds no spikes; check that the sorting finished")
    if num_clusters is not None and ids.max() >= num_clusters:
        raise InputError(
            f"{where}: spikes name cluster {ids.max()}, but there are {num_clusters} clusters; "
            "they belong to different revisions or are damaged"
        )
    findings = {
        "unsorted spike times": int((times[1:] < times[:-1]).sum()),
        "negative spike times": int((times < 0).sum()),
    }
    if findings["unsorted spike times"]:
        order = np.lexsort((ids, times))
        times, ids = times[order], ids[order]
    findings["repeated spike times"] = int(
        ((times[1:] == times[:-1]) & (ids[1:] == ids[:-1])).sum()
    )
    cluster_id, rows = _rows(ids, num_clusters)
    return SortedSpikes(times, rows, cluster_id, dropped, add_counts(findings))


def one_each(times: np.ndarray, clusters: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """A time and a cluster of each spike, [spikes] twice; raises InputError where they are not."""
    times, clusters = (
        array.ravel() if array.ndim == 2 and 1 in array.shape else array
        for array in (np.asarray(times), np.asarray(clusters))
    )
    require(
        times.ndim == 1 and clusters.shape == times.shape,
        f"{where} has {list(times.shape)} spike times and {list(clusters.shape)} clusters, "
        "expected one of each a spike; they belong to different revisions or are damaged",
    )
    require(times.dtype.kind in "iuf", f"{where}: spike times are {times.dtype}, expected numbers")
    return times, clusters


def _rows(ids: np.ndarray, num_clusters: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Clusters, int64 [N] rising, and each spike's place among them, int32 [spikes]."""
    if num_clusters is not None:
        return np.arange(num_clusters), ids.astype(np.int32, copy=False)
    if ids.max() > 10 * len(ids) + 2**16:  # ids far apart: a table of them would be large
        cluster_id, rows = np.unique(ids, return_inverse=True)
        return cluster_id, rows.astype(np.int32)
    seen = np.bincount(ids) > 0
    return np.flatnonzero(seen), (np.cumsum(seen, dtype=np.int32) - 1)[ids]


def keep_units(spikes: SortedSpikes, keep: np.ndarray) -> SortedSpikes:
    """The units where `keep`, bool [N], is True, and their spikes."""
    if keep.all():
        return spikes
    row = np.cumsum(keep, dtype=np.int32) - 1
    of_kept = keep[spikes.rows]
    return dataclasses.replace(
        spikes,
        times_s=spikes.times_s[of_kept],
        rows=row[spikes.rows[of_kept]],
        cluster_id=spikes.cluster_id[keep],
    )


def add_counts(*counts: dict[str, int]) -> dict[str, int]:
    """Sums numbers by name, those above zero."""
    return dict(sum(map(Counter, counts), Counter()))
