"""Spikes in pieces of a recording, many pieces at once."""

import numpy as np

from neurojax.data.session import Session

_AT_ONCE_BYTES = 2**25  # of pieces that are copied to be summed together


def sums_of_rows(counts: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Sums of counts [total_bins, N] over rows low to high of each piece, int64 [pieces, N]; a
    piece may be empty, and pieces may overlap."""
    sums = np.zeros((len(low), counts.shape[1]), np.int64)
    full = np.flatnonzero(high > low)
    lengths = high[full] - low[full]
    # Short pieces are summed together, which spares a call each; long ones, which may be larger
    # than memory, one by one.
    if int(lengths.sum()) * counts.shape[1] * counts.itemsize > _AT_ONCE_BYTES:
        for piece in full:
            sums[piece] = counts[low[piece] : high[piece]].sum(0, dtype=np.int64)
    elif len(full):
        first = np.cumsum(lengths) - lengths
        rows = np.arange(int(lengths.sum())) + np.repeat(low[full] - first, lengths)
        sums[full] = np.add.reduceat(counts[rows], first, axis=0, dtype=np.int64)
    return sums


def watched_bins(session: Session, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Bins in which each unit was observed, of rows low to high of each piece, int64 [pieces, N]; a
    piece may be empty, and pieces may overlap."""
    if session.validity is None:
        lengths = np.maximum(high - low, 0).astype(np.int64)
        return np.broadcast_to(lengths[:, None], (len(low), session.num_units))
    found = np.zeros((len(low), session.num_units), np.int64)
    for piece in np.flatnonzero(high > low).tolist():
        found[piece] = session.entries(int(low[piece]), int(high[piece])).sum(0)
    return found


def spikes_of_trials(session: Session, trials: np.ndarray | None = None) -> np.ndarray:
    """Spikes of each unit in trials (default: all), int64 [K, N]."""
    start, length = session.trial_start_bin, session.trial_num_bins
    if trials is not None:
        start, length = start[trials], length[trials]
    return sums_of_rows(session.counts, np.asarray(start), np.asarray(start + length))
