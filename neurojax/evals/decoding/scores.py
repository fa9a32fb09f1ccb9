"""Scores of held-out predictions, bootstrap intervals, and chance from shuffled labels."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from neurojax.evals.decoding.targets import CATEGORICAL, PER_BIN, Target
from neurojax.scores.bootstrap import trial_weights
from neurojax.scores.metrics import r2

NUM_BOOT = 500
# the score that is permuted and drawn
MAIN = {CATEGORICAL: "balanced_accuracy", PER_BIN: "r2", "per_trial": "r2"}


def score(predicted: np.ndarray, target: Target, tested: np.ndarray) -> dict[str, Any]:
    """Point scores of the tested trials.

    Args:
        predicted: as in `crossval.Decoded`.
        target: the truth.
        tested: bool [K].

    Returns:
        CATEGORICAL: "balanced_accuracy", "accuracy", "auroc" (one against the rest, averaged, where
            there are more than two classes), "log_loss_nats". Else "r2" (mean over dimensions) and
            "r2_per_dimension", against the mean of the evaluated values. None where a score does
            not exist.
    """
    return _score(predicted[tested], target.values[tested], target)


def draws(
    predicted: np.ndarray, target: Target, tested: np.ndarray, seed: int | Sequence[int]
) -> dict[str, np.ndarray]:
    """Each score over resampled trials, [NUM_BOOT]; one seed draws the same trials for all.

    A draw in which a score does not exist is NaN; with under two trials there is none.
    """
    places = np.flatnonzero(tested)
    if len(places) < 2:
        return {}
    found: dict[str, np.ndarray] = {}
    for number, weights in enumerate(trial_weights(len(places), NUM_BOOT, seed=seed).astype(int)):
        chosen = np.repeat(places, weights)
        for name, value in _score(predicted[chosen], target.values[chosen], target).items():
            if isinstance(value, float):
                found.setdefault(name, np.full(NUM_BOOT, np.nan))[number] = value
    return found


def interval(values: np.ndarray) -> list[float] | None:
    """Central 95 % of draws; None where there is no finite one."""
    finite = values[np.isfinite(values)]
    return np.percentile(finite, [2.5, 97.5]).tolist() if len(finite) else None


def permuted_numbers(target: Target, num_permutations: int, seed: int) -> Target:
    """The target followed by copies whose trials are exchanged, side by side along the last axis.

    One decomposition then serves all of them. A trial that gets the signal of a shorter one keeps
    its last value.
    """
    rng, values = np.random.default_rng(seed), target.values
    copies = [values]
    for _ in range(num_permutations):
        shuffled = values[rng.permutation(len(values))]
        copies.append(_carried(shuffled) if target.kind == PER_BIN else shuffled)
    if target.kind == PER_BIN:  # each bin that had a value has one still
        present = np.isfinite(values)
        copies[1:] = [np.where(present, copy, np.nan) for copy in copies[1:]]
    return dataclasses.replace(target, values=np.concatenate(copies, axis=-1))


def _carried(values: np.ndarray) -> np.ndarray:
    """[K, T, dims] with NaN bins filled from the last finite one before, or the first."""
    present, bins = np.isfinite(values), np.arange(values.shape[1])[:, None]
    last = np.maximum.accumulate(np.where(present, bins, -1), axis=1)
    place = np.where(last >= 0, last, present.argmax(1)[:, None])
    return np.take_along_axis(values, place, axis=1)


def chance(main: float | None, null: list[float]) -> dict[str, Any]:
    """Mean and 95th percentile of shuffled scores, and the p-value of the real one.

    No permutation counts where the real score does not exist.
    """
    if main is None or not null:
        return {"num_permutations": 0}
    # The real labels count as one permutation, so that p is never zero.
    reached = sum(value >= main for value in null)
    return {
        "num_permutations": len(null),
        "chance_mean": float(np.mean(null)),
        "chance_95th_percentile": float(np.percentile(null, 95)),
        "p_value": (1 + reached) / (1 + len(null)),
    }


def _score(predicted: np.ndarray, values: np.ndarray, target: Target) -> dict[str, Any]:
    if target.kind == CATEGORICAL:
        return _score_classes(predicted, values, len(target.classes))
    per_dimension = r2(
        predicted.reshape(-1, predicted.shape[-1]), values.reshape(-1, values.shape[-1])
    )
    finite = np.isfinite(per_dimension)
    return {
        "r2": float(per_dimension.mean()) if finite.all() else None,
        "r2_per_dimension": [
            float(value) if np.isfinite(value) else None for value in per_dimension
        ],
    }


def _score_classes(log_probs: np.ndarray, codes: np.ndarray, num_classes: int) -> dict[str, Any]:
    right = log_probs.argmax(1) == codes
    sizes = np.bincount(codes, minlength=num_classes)
    recall = np.bincount(codes, right, num_classes)[sizes > 0] / sizes[sizes > 0]
    return {
        "balanced_accuracy": float(recall.mean()),
        "accuracy": float(right.mean()),
        "auroc": _auroc(np.exp(log_probs), codes, sizes),
        "log_loss_nats": float(-log_probs[np.arange(len(codes)), codes].mean()),
    }


def _auroc(probs: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> float | None:
    """Area under the receiver operating curve; None where a class has no trial."""
    if not (sizes > 0).all():
        return None
    probs = probs / probs.sum(1, keepdims=True)
    ranks = rankdata(probs, axis=0)
    # Mann-Whitney's U over the number of pairs; ties count half.
    areas = [
        (ranks[codes == label, label].sum() - size * (size + 1) / 2) / (size * (len(codes) - size))
        for label, size in enumerate(sizes)
    ]
    return float(areas[1] if len(sizes) == 2 else np.mean(areas))
