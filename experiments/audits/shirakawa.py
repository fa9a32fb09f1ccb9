"""Collapse of the output dimension (Shirakawa et al. 2024, arXiv 2405.10078): a linear decoder that
was trained on few clusters cannot say that an item is of none of them."""

import numpy as np
from scipy.spatial.distance import cdist

from neurojax.evals.audits.likeness import ridge

BETWEEN, WITHIN = 10.0, 1.0  # variance of centres and of items around them, each dimension
NUM_VOXELS = 128
NUM_NEW, ITEMS_EACH = 60, 20  # clusters never trained on, items of each


def identification(num_dims: int, num_clusters: int, noise: float, num_samples: int, seed: int) -> dict[str, float]:
    """Targets y = centre + item, voxels x = y W + noise, ridge from x to y.

    Args:
        num_dims: of a target.
        num_clusters: that training has.
        noise: standard deviation of a voxel; its signal has variance (BETWEEN + WITHIN) times dims / voxels.
        num_samples: training items.
        seed: of all of them.

    Returns:
        "inside": share of items of a training cluster told from the other training centres; "outside": share of items
        of a new cluster whose own centre is nearer (by correlation) than every training centre.
    """
    rng = np.random.default_rng([seed, num_dims, num_clusters])
    centres = rng.standard_normal((num_clusters, num_dims)) * np.sqrt(BETWEEN)
    weights = rng.standard_normal((num_dims, NUM_VOXELS)) / np.sqrt(NUM_VOXELS)

    def items(own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        targets = own + np.sqrt(WITHIN) * rng.standard_normal(own.shape)
        return targets @ weights + noise * rng.standard_normal((len(own), NUM_VOXELS)), targets

    decode = ridge(*items(centres[rng.integers(num_clusters, size=num_samples)]), penalty=1.0)
    known = rng.integers(num_clusters, size=1000)
    inside = cdist(decode(items(centres[known])[0]), centres, "correlation").argmin(1) == known
    outside = []
    for new in rng.standard_normal((NUM_NEW, num_dims)) * np.sqrt(BETWEEN):
        predicted = decode(items(np.tile(new, (ITEMS_EACH, 1)))[0])
        nearest = cdist(predicted, np.vstack([centres, new]), "correlation").argmin(1)
        outside.append(np.mean(nearest == num_clusters))
    return {"inside": float(inside.mean()), "outside": float(np.mean(outside))}


def crossing(clusters: list[int], outside: list[float], level: float = 0.5) -> float | None:
    """Number of clusters at which a curve first crosses a level, between points on a logarithmic scale."""
    for k in range(1, len(clusters)):
        if outside[k - 1] < level <= outside[k]:
            share = (level - outside[k - 1]) / (outside[k] - outside[k - 1])
            return float(clusters[k - 1] * (clusters[k] / clusters[k - 1]) ** share)
    return None
