"""Retrieval: where the right one of K candidates stands, and how often it is among the first."""

import numpy as np

from neurojax.errors import require


def ranks(score: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Place of the right candidate of each query, 0 for the first; ties share the middle place.

    Args:
        score: float [W, K], higher is likelier.
        right: int [W], the right candidate.

    Returns:
        float64 [W], 0 to K - 1: candidates above it, and half of those level with it.
    """
    score, right = np.asarray(score, np.float64), np.asarray(right)
    require(
        score.ndim == 2 and right.shape == score.shape[:1] and len(score),
        f"score is {list(score.shape)} and right {list(right.shape)}, expected [W, K] and [W]",
    )
    require(
        right.min() >= 0 and right.max() < score.shape[1],
        f"right goes from {right.min()} to {right.max()}, expected 0 to {score.shape[1] - 1}",
    )
    require(np.isfinite(score).all(), "score holds NaN or infinity; expected finite numbers")
    own = score[np.arange(len(score)), right][:, None]
    return (score > own).sum(1) + 0.5 * ((score == own).sum(1) - 1)


def top(rank: np.ndarray, first: int) -> float:
    """Share of queries whose right candidate stands among the `first` best.

    Args:
        rank: of `ranks`.
        first: 1 for the best alone.
    """
    return float((rank <= first - 1).mean())


def mean_reciprocal_rank(rank: np.ndarray) -> float:
    """Mean of 1 / (1 + rank)."""
    return float((1 / (1 + rank)).mean())
