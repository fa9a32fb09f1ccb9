"""Read-out rows that start at a linear predictor: training begins there and learns the rest.

A unit's log-rate is its log mean plus weights on the smoothed latents of models.smoothing, less what the unit
itself adds to them. One Newton step from the mean rate of an L2-penalised Poisson regression, in closed form.
"""

import numpy as np

from neurojax.models.smoothing import GAUSSIAN_BINS
from neurojax.types import TRAIN, Session

PENALTY = 60.0  # per squared weight on latents of unit noise; about what validation chooses for the Poisson GLM
UNITS_AT_ONCE = 128


def selected_features(read_in_width: int, width: int) -> np.ndarray:
    """Which of the 2K smoothed latents [fast .., slow ..] the D states hold: leading components first, int64 [<= D]."""
    kept = min(read_in_width, (width + 1) // 2), min(read_in_width, width // 2)
    return np.concatenate([np.arange(kept[0]), read_in_width + np.arange(kept[1])])


def linear_read_out(session: Session, read_in: np.ndarray, mean_counts: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Weights of each unit's log-rate on smoothed latents without its own part, fitted on training trials.

    Args:
        session: the recording.
        read_in: float [N, K], rows that make latents of counts less their mean.
        mean_counts: float [N], spikes per bin, positive.
        features: int64 [F], which of the 2K smoothed latents to use.

    Returns:
        float32 [N, F].
    """
    num_units, width = read_in.shape
    fast = features < width
    own_rows = read_in[:, features % width]  # [N, F]
    sums = dict.fromkeys(
        ("gram", "cross", "fast", "slow", "fast_fast", "fast_slow", "slow_slow", "fast_y", "slow_y"), 0.0
    )
    for trial in session.trials_of(TRAIN):
        start, length = session.trial_start_bin[trial], session.trial_num_bins[trial]
        surplus = np.asarray(session.counts[start : start + length], np.float32) - mean_counts  # [T, N]
        lag = np.arange(length)[:, None] - np.arange(length)
        weights = np.exp(-0.5 * (lag / GAUSSIAN_BINS) ** 2)
        smooth = (weights / weights.sum(1, keepdims=True)).astype(np.float32) @ surplus
        average = np.broadcast_to(surplus.mean(0), surplus.shape)
        latents = np.concatenate([smooth @ read_in, average @ read_in], 1)[:, features]  # [T, F]
        for name, value in (
            ("gram", latents.T @ latents),
            ("cross", latents.T @ surplus),
            ("fast", latents.T @ smooth),
            ("slow", latents.T @ average),
            ("fast_fast", (smooth * smooth).sum(0)),
            ("fast_slow", (smooth * average).sum(0)),
            ("slow_slow", (average * average).sum(0)),
            ("fast_y", (smooth * surplus).sum(0)),
            ("slow_y", (average * surplus).sum(0)),
        ):
            sums[name] = sums[name] + value.astype(np.float64)
    read_out = np.empty((num_units, len(features)), np.float32)
    for first in range(0, num_units, UNITS_AT_ONCE):
        units = slice(first, first + UNITS_AT_ONCE)
        own = [np.where(part, own_rows[units], 0.0) for part in (fast, ~fast)]  # [n, F] each: what a unit adds
        across = sum(
            sums[name].T[units, :, None] * part[:, None] for name, part in zip(("fast", "slow"), own, strict=True)
        )
        pairs = (("fast_fast", 0, 0), ("fast_slow", 0, 1), ("fast_slow", 1, 0), ("slow_slow", 1, 1))
        inner = sum(sums[name][units, None, None] * own[i][:, :, None] * own[j][:, None] for name, i, j in pairs)
        gram = sums["gram"][None] - across - across.transpose(0, 2, 1) + inner  # [n, F, F]
        cross = sums["cross"].T[units] - sum(
            sums[name][units, None] * part for name, part in zip(("fast_y", "slow_y"), own, strict=True)
        )
        hessian = mean_counts[units, None, None] * gram + PENALTY * np.eye(len(features))
        read_out[units] = np.linalg.solve(hessian, cross[..., None])[..., 0]
    return read_out
