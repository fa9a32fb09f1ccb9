"""Linear read-outs of a few latents, each fitted without what the unit itself adds to them.

A latent is a weighted sum of features; unit i reads the latents less its own features' part, so
that its weights on its own features are exactly zero, in the fit as in the prediction.
"""

import numpy as np


def readout_weights(
    loadings: np.ndarray, gram: np.ndarray, cross: np.ndarray, own: np.ndarray, shrink: float
) -> np.ndarray:
    """Weights of each unit on all features, through the latents it reads.

    Args:
        loadings: [p, r], latents = features @ loadings; each unit has its own in `own`.
        gram: [p, p], features' inner products over the train rows.
        cross: [p, m], features with the targets.
        own: int64 [m, j], the features of each target's own unit; j = 0 where it is not visible.
        shrink: ridge penalty on a read-out, as a part of its latents' mean square.

    Returns:
        float64 [p, m], exactly zero at (own, target).
    """
    mapped, latent_cross = gram @ loadings, loadings.T @ cross  # [p, r], [r, m]
    latent_gram = loadings.T @ mapped  # [r, r]
    num_latents, num_targets = latent_cross.shape
    taken = loadings[own]  # [m, j, r]
    grams = np.broadcast_to(latent_gram, (num_targets, num_latents, num_latents)).copy()
    if own.shape[1]:
        across = np.einsum("mjr,mjs->mrs", taken, mapped[own], optimize=True)
        inner = gram[own[:, :, None], own[:, None, :]]  # [m, j, j]
        grams += (
            np.einsum("mjr,mjk,mks->mrs", taken, inner, taken, optimize=True)
            - across
            - across.transpose(0, 2, 1)
        )
    own_cross = cross[own, np.arange(num_targets)[:, None]]  # [m, j]
    targets = latent_cross.T - np.einsum("mjr,mj->mr", taken, own_cross)
    mean_square = np.trace(grams, axis1=1, axis2=2) / max(num_latents, 1)
    grams += np.maximum(shrink * mean_square, 1e-9)[:, None, None] * np.eye(num_latents)
    readout = np.linalg.solve(grams, targets[..., None])[..., 0]  # [m, r]
    weights = loadings @ readout.T
    weights[own, np.arange(num_targets)[:, None]] = 0.0
    return weights
