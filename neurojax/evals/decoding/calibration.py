"""How far a decoder's confidence can be trusted: temperature, conformal sets, abstention.

Sources: Guo et al. 2017 (temperature scaling); Vovk et al. 2005 and Sadinle et al. 2019 (conformal
sets of least ambiguity); Vovk 2015 (cross-conformal: the scores come from folds within the
    fitting trials).
"""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from neurojax.evals import selective
from neurojax.evals.conformal import NOMINAL, threshold

conformal_threshold = threshold  # of scores [n] or [n, dims]
_BINS = 10


def fit_temperature(log_probs: np.ndarray, codes: np.ndarray) -> float:
    """The T > 0 for which softmax(log_probs / T) gives `codes` the highest likelihood.

    Args:
        log_probs: [K, C] of trials that the read-out was not fitted on.
        codes: int [K].
    """

    def loss(log_temperature: float) -> float:
        return -float(
            tempered(log_probs, np.exp(log_temperature))[np.arange(len(codes)), codes].mean()
        )

    # Up to e^3 = 20 times sharper or flatter: farther no finite sample can tell.
    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def tempered(log_probs: np.ndarray, temperature: float) -> np.ndarray:
    """Log-probabilities [K, C] after division by the temperature."""
    scaled = log_probs / temperature
    return scaled - logsumexp(scaled, axis=1, keepdims=True)


def class_scores(log_probs: np.ndarray) -> np.ndarray:
    """Nonconformity of every class, [K, C]: one minus its probability."""
    return 1 - np.exp(log_probs)


def calibration_of_classes(
    log_probs: np.ndarray, sets: np.ndarray, codes: np.ndarray
) -> dict[str, Any]:
    """Facts about probabilities and sets of held-out trials.

    Args:
        log_probs: [K, C].
        sets: bool [K, C], conformal sets.
        codes: int [K], the truth.

    Returns:
        "expected_calibration_error", "coverage", "mean_set_size", "empty_sets", and the curves
        "reliability" (confidence, accuracy, trials of each tenth that holds any) and "selective"
        (share kept, accuracy).
    """
    confidence, right = np.exp(log_probs.max(1)), log_probs.argmax(1) == codes
    # A probability of exactly 1 belongs to the last tenth.
    place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    sizes = np.bincount(place, minlength=_BINS)
    held = sizes > 0
    mean_confidence = np.bincount(place, confidence, _BINS)[held] / sizes[held]
    accuracy = np.bincount(place, right, _BINS)[held] / sizes[held]
    return {
        "nominal": NOMINAL,
        "coverage": float(sets[np.arange(len(codes)), codes].mean()),
        "mean_set_size": float(sets.sum(1).mean()),
        "empty_sets": int((~sets.any(1)).sum()),
        "expected_calibration_error": float(
            (np.abs(mean_confidence - accuracy) * sizes[held]).sum() / len(codes)
        ),
        "reliability": {
            "confidence": mean_confidence.tolist(),
            "accuracy": accuracy.tolist(),
            "num_trials": sizes[held].tolist(),
        },
        "selective": selective_curve(confidence, right),
    }


def selective_curve(confidence: np.ndarray, right: np.ndarray) -> dict[str, list[float]]:
    """{"share_kept", "accuracy"}: `selective.curve`, of what is right."""
    found = selective.curve(confidence, right)
    accuracy = [1 - risk for risk in found["risk"]]
    return {"share_kept": found["coverage"], "accuracy": accuracy}


def calibration_of_numbers(
    predicted: np.ndarray, half_width: np.ndarray, truth: np.ndarray
) -> dict[str, Any]:
    """Coverage and width of intervals predicted +- half_width, [rows, dims]; what is NaN is out,
    each dimension for itself."""
    usable = np.isfinite(predicted) & np.isfinite(truth)
    number = usable.sum(0)  # [dims]
    inside = (np.abs(predicted - truth) <= half_width) & usable
    widths = np.where(usable, half_width, 0.0).sum(0) / np.maximum(number, 1)
    return {
        "nominal": NOMINAL,
        "coverage": _known(inside.sum() / max(number.sum(), 1), number.any()),
        "coverage_per_dimension": [
            _known(hit / max(n, 1), n) for hit, n in zip(inside.sum(0), number, strict=True)
        ],
        "mean_width_per_dimension": [
            _known(2 * width, n and np.isfinite(width))
            for width, n in zip(widths, number, strict=True)
        ],
    }


def _known(value: float, known: bool) -> float | None:
    return float(value) if known else None
