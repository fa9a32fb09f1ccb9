"""How well responses to repeated images are predicted, neuron by neuron, in float64.

A response varies from one presentation of an image to the next, and no model of images can tell
that part. `explainable_share` leaves it out; `oracle_correlation` is what the mean over the other
presentations of the same image reaches.

Source: Willeke et al. 2022, arXiv 2206.08666, section 4 (single-trial correlation, fraction of
explainable variance explained, neurons above 15 % explainable variance).
"""

from collections.abc import Mapping

import numpy as np

LEAST_EXPLAINABLE = 0.15  # share of a neuron's variance; below it the ratio is mostly noise
ROUNDING = 1e-12  # a column whose deviations are this small beside its values is constant


def per_neuron(measured: np.ndarray, predicted: np.ndarray, image: np.ndarray) -> dict:
    """Scores of each neuron over trials of repeated images.

    Args:
        measured: responses [trials, N].
        predicted: expected responses [trials, N].
        image: int [trials], which image each trial showed.

    Returns:
        name -> float64 [N], NaN where a neuron never varied or no image was repeated:
        correlation, with single trials, 0 for a constant prediction; average_correlation, the
        same of means over repeats; oracle_correlation; explainable, share of the variance that
        images explain;
        explainable_share, of that the share that is predicted.
    """
    measured, predicted = measured.astype(np.float64), predicted.astype(np.float64)
    _, place, repeats = np.unique(image, return_inverse=True, return_counts=True)
    totals = _by_image(measured, place, len(repeats))
    mean = totals / repeats[:, None]
    several = (repeats > 1)[place]
    squares = _by_image(np.square(measured - mean[place]), place, len(repeats))
    with np.errstate(invalid="ignore", divide="ignore"):
        # An unbiased variance of each image, weighed by its degrees of freedom.
        noise = squares.sum(0) / max(int((repeats - 1).sum()), 0)
        others = (totals[place] - measured) / (repeats[place] - 1)[:, None]
        total = measured.var(0)
        error = np.square(measured - predicted).mean(0)
        signal = np.where(total > 0, (total - noise) / total, np.nan)
        share = 1 - (error - noise) / (total - noise)
    share = np.where(signal > LEAST_EXPLAINABLE, share, np.nan)
    expected = _by_image(predicted, place, len(repeats)) / repeats[:, None]
    return {
        "correlation": correlations(measured, predicted),
        "average_correlation": correlations(mean, expected),
        "oracle_correlation": correlations(measured[several], others[several]),
        "explainable": signal,
        "explainable_share": share,
    }


def correlations(measured: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each column, in any unit.

    Args:
        measured: [n, N].
        predicted: [n, N].

    Returns:
        float64 [N]; NaN where what was measured is constant, or there are not two rows; 0 where
        that varies but its prediction does not, so that all predictions are scored over the same
        columns.
    """
    if len(measured) < 2:
        return np.full(measured.shape[1], np.nan)
    (first, size), (second, other) = _spread(measured), _spread(predicted)
    with np.errstate(invalid="ignore", divide="ignore"):
        products = (first * second).sum(0) / (size * other)
    return np.where(size == 0, np.nan, np.where(other == 0, 0.0, products))


def _spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(deviations from the mean [n, N], their norm [N]: exactly 0 where they are rounding)."""
    centred = values - values.mean(0)
    size = np.linalg.norm(centred, axis=0)
    return centred, np.where(size <= ROUNDING * np.linalg.norm(values, axis=0), 0.0, size)


def means(scores: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """Mean of each score over the neurons that have it; None where none has."""
    found = {}
    for name, values in scores.items():
        known = values[np.isfinite(values)]
        found[name] = float(known.mean()) if len(known) else None
    return found


def _by_image(values: np.ndarray, place: np.ndarray, number: int) -> np.ndarray:
    """Sums over the trials of each image, float64 [images, N]."""
    summed = np.zeros((number, values.shape[1]))
    np.add.at(summed, place, values)
    return summed
