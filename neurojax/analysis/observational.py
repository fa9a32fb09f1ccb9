"""Observational scaling laws (Ruan et al. 2024): what public models of many families say together.

Benchmark scores of M models are reduced to a few components; within a family the first is linear
in the logarithm of the training compute, and a new task is a sigmoid of a line through the first
few. Nothing is trained.

Letters: M models, B benchmarks, P predictors.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from neurojax.errors import InputError, require

_PENALTY = 1e-4  # on the slopes: separated classes would send them to infinity


class Components(NamedTuple):
    """Principal components of centred, unscaled scores.

    Attributes:
        mean: of each benchmark, [B].
        axes: [B, B], a column a component, signed so that its mean loading is not negative.
        shares: of the variance, [B].
        values: of each model, [M, B].
    """

    mean: np.ndarray
    axes: np.ndarray
    shares: np.ndarray
    values: np.ndarray


class FamilyLine(NamedTuple):
    """The line of one family: R2, slope a factor of ten of compute, number of models."""

    r2: float
    slope: float
    num_models: int


def components(scores: np.ndarray) -> Components:
    """Components of scores [M, B], none missing.

    Raises:
        InputError: a score that is not finite, or fewer models than benchmarks.
    """
    scores = np.asarray(scores, np.float64)
    require(
        scores.ndim == 2 and len(scores) >= scores.shape[1] and np.isfinite(scores).all(),
        f"scores have shape {scores.shape}; expected finite [models, benchmarks], more models than "
        "benchmarks: leave out models with missing scores",
    )
    mean = scores.mean(0)
    _, singular, axes = np.linalg.svd(scores - mean, full_matrices=False)
    axes = axes.T * np.where(axes.mean(1) < 0, -1.0, 1.0)
    return Components(mean, axes, singular**2 / (singular**2).sum(), (scores - mean) @ axes)


def family_lines(
    values: np.ndarray, log_compute: np.ndarray, families: Sequence[str], least: int = 4
) -> dict[str, FamilyLine]:
    """Family -> how linear a component [M] is in log10 of the compute [M] within it.

    Args:
        values: of one component.
        log_compute: NaN where it is not known; such models are left out.
        families: name of each model's family.
        least: models that a family must have.
    """
    found = {}
    for family in dict.fromkeys(families):
        own = np.array([name == family for name in families]) & np.isfinite(log_compute)
        x, y = log_compute[own], values[own]
        if own.sum() < least or np.ptp(x) == 0 or np.ptp(y) == 0:
            continue
        slope = float(np.polyfit(x, y, 1)[0])
        r2 = float(np.corrcoef(x, y)[0, 1] ** 2)
        found[family] = FamilyLine(r2, slope, int(own.sum()))
    return found


def sigmoid_line(predictors: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Least squares of sigmoid(predictors @ w + b) to scores of 0 to 1.

    Args:
        predictors: [M, P].
        scores: [M].

    Returns:
        b, then w, [1 + P].

    Raises:
        InputError: fewer models than parameters, or scores outside 0 to 1.
    """
    predictors, scores = np.asarray(predictors, np.float64), np.asarray(scores, np.float64)
    require(
        len(scores) > predictors.shape[1] + 1 and scores.min() >= 0 and scores.max() <= 1,
        f"{len(scores)} scores from {scores.min(initial=0):g} to {scores.max(initial=0):g}; "
        f"expected more than {predictors.shape[1] + 1}, each of 0 to 1",
    )
    spread = predictors.std(0)
    if not (spread > 0).all():
        raise InputError("a predictor is the same for all models; leave it out")
    standard = np.column_stack([np.ones(len(scores)), (predictors - predictors.mean(0)) / spread])

    def off(line: np.ndarray) -> np.ndarray:
        return np.concatenate([special.expit(standard @ line) - scores, _PENALTY * line[1:]])

    mean = special.logit(np.clip(scores.mean(), 0.01, 0.99))
    starts = [np.r_[mean, np.full(predictors.shape[1], slope)] for slope in (0.0, 1.0)]
    best = min((optimize.least_squares(off, start) for start in starts), key=lambda one: one.cost)
    slopes = best.x[1:] / spread
    return np.r_[best.x[0] - slopes @ predictors.mean(0), slopes]


def on_sigmoid(line: np.ndarray, predictors: np.ndarray) -> np.ndarray:
    """Scores [M] of predictors [M, P] on a line of `sigmoid_line`."""
    return special.expit(line[0] + np.asarray(predictors) @ line[1:])


def extrapolated(
    predictors: np.ndarray, scores: np.ndarray, seen: np.ndarray
) -> tuple[float, np.ndarray]:
    """Mean absolute error on the models that were not seen, and all predictions [M].

    Args:
        predictors: [M, P]; scores: [M]; seen: bool [M], the models that are fitted.
    """
    line = sigmoid_line(predictors[seen], scores[seen])
    predicted = on_sigmoid(line, predictors)
    return float(np.abs(predicted - scores)[~seen].mean()), predicted
