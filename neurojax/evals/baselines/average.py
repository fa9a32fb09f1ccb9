"""Weighted mean of the rates of ridge and Poisson GLM, one weight per task from validation."""

from collections.abc import Mapping

import numpy as np

from neurojax.data.session import VALIDATION
from neurojax.evals.baselines.folds import Fit, Fitted, Folds, choose, poisson_loss

PARTS = ("ridge", "poisson_glm")
WEIGHTS = np.linspace(0, 1, 11)  # of the first part


def fit(folds: Folds, tasks: tuple[str, ...], fitted: Mapping[str, Fitted]) -> Fitted:
    """Mixes what the two parts predict."""
    result = {}
    for task in tasks:
        first, second = (fitted[name][task].rates for name in PARTS)

        def mix(weight, part, first=first, second=second):
            return np.float32(weight) * first[part] + np.float32(1 - weight) * second[part]

        def loss(weight, task=task, mix=mix):
            return poisson_loss(mix(weight, VALIDATION), folds.parts[VALIDATION], task)

        best = choose(list(WEIGHTS), loss)
        result[task] = Fit(
            {part: mix(best, part) for part in first}, {"weight_of_ridge": float(best)}
        )
    return result
