"""Linear discriminants with one covariance and equal priors, fitted to sums over windows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurojax.errors import require

_RIDGE = 1e-6  # of the mean variance, so that shares that sum to one can be inverted


class Lda(NamedTuple):
    """Linear discriminants with one covariance and equal priors.

    Attributes:
        weight: float64 [F, K].
        offset: float64 [K].
    """

    weight: np.ndarray
    offset: np.ndarray


class Sums(NamedTuple):
    """What discriminants need of some windows; sums of several people add up.

    Attributes:
        number: float64 [K], windows of each class.
        total: float64 [K, F], sum of their features.
        products: float64 [F, F], sum over all windows of the products of two features.
    """

    number: np.ndarray
    total: np.ndarray
    products: np.ndarray


def sums_of(features: np.ndarray, label: np.ndarray, num_classes: int) -> Sums:
    """Sums over windows: features float64 [windows, F], label integers [windows], 0 to K - 1."""
    is_class = np.eye(num_classes)[label]  # [windows, K]
    return Sums(is_class.sum(0), is_class.T @ features, features.T @ features)


def fit_sums(sums: Sequence[Sums]) -> Lda:
    """Discriminants of the windows behind several sums.

    Raises:
        InputError: a class that no window is of.
    """
    number, total, products = (sum(parts) for parts in zip(*sums, strict=True))
    require(
        number.all(),
        f"no training window is of class {int(np.argmin(number))} of {len(number)}; train on"
        " people who made every gesture",
    )
    mean = total / number[:, None]  # [K, F]
    within = (products - (mean * number[:, None]).T @ mean) / (number.sum() - len(number))
    within += _RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    weight = np.linalg.solve(within, mean.T)
    return Lda(weight, -0.5 * (mean.T * weight).sum(0))


def fit_lda(features: Sequence[np.ndarray], labels: Sequence[np.ndarray], num_classes: int) -> Lda:
    """Fits linear discriminants to the windows of several people together.

    Args:
        features: a person each, float64 [windows, F].
        labels: a person each, integers [windows], 0 to K - 1.
        num_classes: K.

    Raises:
        InputError: a class that no window is of.
    """
    return fit_sums(
        [sums_of(own, label, num_classes) for own, label in zip(features, labels, strict=True)]
    )


def lda_probability(lda: Lda, features: np.ndarray) -> np.ndarray:
    """Probability of each class given features [windows, F], float64 [windows, K]."""
    score = features @ lda.weight + lda.offset
    score = np.exp(score - score.max(1, keepdims=True))
    return score / score.sum(1, keepdims=True)
