"""Certainty and being right: accuracy by rank of certainty, its slope, and calibration error.

Letters: n answers, K bins. All functions are pure, on the host, in float64.
"""

import numpy as np

from neurojax.errors import require


def by_rank(certainty: np.ndarray, right: np.ndarray, num_bins: int) -> np.ndarray:
    """Share of right answers in bins of equal size, from the least to the most certain.

    Equal certainties keep their order, so that a rating with many ties (a slider) depends a
    little on the order of the answers.

    Args:
        certainty: float [n], in any unit: its ranks are used.
        right: bool [n].
        num_bins: K; where n is no multiple of it the first bins hold one answer more.

    Returns:
        float64 [K].

    Raises:
        InputError: fewer answers than bins.
    """
    certainty, right = np.asarray(certainty, np.float64), np.asarray(right, np.float64)
    require(
        len(certainty) == len(right) >= num_bins >= 1,
        f"{len(right)} answers with {len(certainty)} certainties; expected one each and "
        f"{num_bins} or more",
    )
    order = np.argsort(certainty, kind="stable")
    return np.array([part.mean() for part in np.array_split(right[order], num_bins)])


def slope(accuracy: np.ndarray) -> float:
    """Least-squares slope of `by_rank`: accuracy a bin."""
    return float(np.polyfit(np.arange(len(accuracy)), accuracy, 1)[0])


def calibration_error(probability: np.ndarray, right: np.ndarray, num_bins: int = 10) -> float:
    """Expected calibration error: how far accuracy is from the probability that was given.

    Answers are sorted by probability and cut into bins of equal size; the absolute differences of
    mean probability and accuracy are averaged. With n answers a perfect reader still has about
    0.4 sqrt(K / n), from chance alone.

    Args:
        probability: float [n], of the choice that was made.
        right: bool [n].
        num_bins: K.

    Raises:
        InputError: fewer answers than bins, or a probability outside of 0 to 1.
    """
    probability, right = np.asarray(probability, np.float64), np.asarray(right, np.float64)
    require(
        ((probability >= 0) & (probability <= 1)).all(),
        "a probability is outside of 0 to 1; expected probabilities of the choice that was made",
    )
    given = by_rank(probability, probability, num_bins)
    found = by_rank(probability, right, num_bins)
    size = [len(part) for part in np.array_split(right, num_bins)]
    return float(np.average(np.abs(given - found), weights=size))
