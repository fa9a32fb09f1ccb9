"""First values of read-in rows: the principal components of each session's training trials."""

from collections.abc import Sequence

import numpy as np
import scipy.linalg
import scipy.ndimage

from neurojax.data.session import TRAIN, Session
from neurojax.facts import Facts

SMOOTHING_BINS = 2.0


def principal_read_in(
    session: Session, width: int, mean_counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Projects counts on the leading components of smoothed, variance-stabilised training activity.

    Counts are centred and divided by the square root of their mean (equal Poisson variance for all
    units) and smoothed within trials (Gaussian, 2 bins), so that the components are those shared
    over units and bins. Components keep their relative size: what is mostly noise enters small.

    Args:
        session: the recording; only its training trials are read.
        width: K.
        mean_counts: float [N], each unit's mean spikes per bin in the train split, positive.

    Returns:
        (read_in float32 [N, K], read_in_bias float32 [K]): visible counts @ read_in + bias has mean
        zero and mean variance one over the first components; columns beyond the rank are zero.
    """
    trials = [
        np.asarray(session.counts[start : start + length], np.float32)
        for start, length in zip(session.trial_start_bin, session.trial_num_bins, strict=True)
    ]
    scale = 1 / np.sqrt(mean_counts)
    raw = [(trials[trial] - mean_counts) * scale for trial in session.trials_of(TRAIN)]
    smooth = np.concatenate(
        [scipy.ndimage.gaussian_filter1d(trial, SMOOTHING_BINS, axis=0) for trial in raw]
    )
    num_units = session.num_units
    rank = min(width, num_units)
    _, vectors = scipy.linalg.eigh(
        smooth.T @ smooth / len(smooth), subset_by_index=(num_units - rank, num_units - 1)
    )
    vectors = vectors[:, ::-1]  # leading component first
    vectors *= np.sign(vectors.sum(0) + 1e-12)  # one sign for every machine
    scores = np.concatenate(raw) @ vectors
    vectors = vectors / np.sqrt(scores.var(0).mean())
    read_in = np.zeros((num_units, width), np.float32)
    read_in[:, :rank] = scale[:, None] * vectors
    return read_in, (-mean_counts @ read_in).astype(np.float32)


def principal(sessions: Sequence[Session], facts: Facts, width: int) -> dict[str, np.ndarray]:
    """Read-in rows and biases of all sessions at their principal components; the read-in tables
    whole.

    Args:
        sessions: all that the run has rows for, in row order.
        facts: their mean counts.
        width: K.
    """
    means = np.split(facts.mean_counts, np.cumsum(facts.units_per_session)[:-1])
    starts = [
        principal_read_in(session, width, mean)
        for session, mean in zip(sessions, means, strict=True)
    ]
    return {
        "read_in": np.concatenate([rows for rows, _ in starts]),
        "read_in_bias": np.stack([bias for _, bias in starts]),
    }
