"""Scores of held-out predictions, with bootstrap intervals over trials and chance from permuted labels."""

import dataclasses
from typing import Any

import numpy as np

from neurojax.evals.decoding import probes
from neurojax.evals.decoding.targets import CATEGORICAL, PER_BIN, Target
from neurojax.metrics import bootstrap_weights, r2

NUM_BOOT = 500
MAIN = {CATEGORICAL: "balanced_accuracy", PER_BIN: "r2", "per_trial": "r2"}  # the score that is permuted and drawn


def score(predicted: np.ndarray, target: Target, tested: np.ndarray) -> dict[str, Any]:
    """Point scores of the tested trials.

    Args:
        predicted: as in `crossval.Decoded`.
        target: the truth.
        tested: bool [K].

    Returns:
        CATEGORICAL: "balanced_accuracy", "accuracy", "auroc" (one against the rest, averaged, where there are
        more than two classes), "log_loss_nats". Else "r2" (mean over dimensions) and "r2_per_dimension",
        against the mean of the evaluated values. None where a score does not exist.
    """
    return _score(predicted[tested], target.values[tested], target)


def intervals(predicted: np.ndarray, target: Target, tested: np.ndarray, seed: int) -> dict[str, list[float] | None]:
    """Central 95 % of each score over resampled trials; None with under two trials or no finite draw."""
    places = np.flatnonzero(tested)
    draws: dict[str, list[float]] = {}
    for weights in bootstrap_weights(len(places), NUM_BOOT, seed=seed).astype(int):
        chosen = np.repeat(places, weights)
        for name, value in _score(predicted[chosen], target.values[chosen], target).items():
            if isinstance(value, float):
                draws.setdefault(name, []).append(value)
    return {f"{name}_ci95": np.percentile(values, [2.5, 97.5]).tolist() for name, values in draws.items()}


def permuted(target: Target, rng: np.random.Generator) -> Target:
    """The target with the values of its trials exchanged: what a read-out reaches without any relation."""
    return dataclasses.replace(target, values=target.values[rng.permutation(len(target.values))])


def chance(main: float, null: list[float]) -> dict[str, Any]:
    """Mean and 95th percentile of the permuted scores, and the share that reaches the real one (p-value)."""
    if not null:
        return {"num_permutations": 0}
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
    per_dimension = r2(predicted.reshape(-1, predicted.shape[-1]), values.reshape(-1, values.shape[-1]))
    finite = np.isfinite(per_dimension)
    return {
        "r2": float(per_dimension.mean()) if finite.all() else None,
        "r2_per_dimension": [float(value) if np.isfinite(value) else None for value in per_dimension],
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
    roc_auc_score = probes.require_sklearn("metrics").roc_auc_score
    if len(sizes) == 2:
        return float(roc_auc_score(codes, probs[:, 1]))
    probs = probs / probs.sum(1, keepdims=True)
    return float(roc_auc_score(codes, probs, multi_class="ovr", labels=np.arange(len(sizes))))
