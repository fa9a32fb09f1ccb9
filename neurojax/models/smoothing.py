"""What linear predictors see of a trial: smoothed visible activity, and each unit's own recent gain.

A weight matrix [T, T] mixes bins. Only readable bins enter, and the weights of a row sum to one over them.
Under the causal scheme a bin reads itself and earlier bins, so that both paths stay exactly causal.
"""

import jax
import jax.numpy as jnp

GAUSSIAN_BINS = 2.0
CAUSAL_MEMORIES_BINS = (2.5, 12.0)
OWN_MEMORIES_BINS = (2.0, 6.0, 20.0)
PSEUDO_SPIKES = 0.5  # added above and below in a gain
NUM_SMOOTHED = 2


def _exponential(num_bins: int, memories_bins: tuple[float, ...]) -> jax.Array:
    """exp(-(t - s) / memory) where s <= t, else 0: [memories, T, T]."""
    lag = jnp.arange(num_bins)[:, None] - jnp.arange(num_bins)[None]  # [T, T]
    memories = jnp.asarray(memories_bins)[:, None, None]
    return jnp.where(lag[None] >= 0, jnp.exp(-jnp.maximum(lag, 0)[None] / memories), 0.0)


def smoothed(latents: jax.Array, readable: jax.Array, causal: jax.Array) -> jax.Array:
    """Weighted means of the latents over readable bins: a fast and a slow one.

    Gaussian (2 bins) and mean over the trial; for causal trials exponential averages over 2.5 and 12 bins.

    Args:
        latents: [B, T, K].
        readable: bool [B, T], bins that are real and visible.
        causal: bool [B].

    Returns:
        [B, T, 2K], zero where nothing is readable.
    """
    batch, num_bins, width = latents.shape
    lag = jnp.arange(num_bins)[:, None] - jnp.arange(num_bins)[None]
    gaussian = jnp.exp(-0.5 * (lag / GAUSSIAN_BINS) ** 2)
    both_ways = jnp.stack([gaussian, jnp.ones_like(gaussian)])  # [2, T, T]
    past = _exponential(num_bins, CAUSAL_MEMORIES_BINS)
    weights = jnp.where(causal[:, None, None, None], past[None], both_ways[None]) * readable[:, None, None, :]
    weights = weights / jnp.maximum(weights.sum(-1, keepdims=True), 1e-6)
    mixed = jnp.einsum("bmts,bsk->btmk", weights.astype(latents.dtype), latents)  # [B, T, 2, K]
    return mixed.reshape(batch, num_bins, NUM_SMOOTHED * width)


def own_log_gains(visible_counts: jax.Array, visible: jax.Array, base_rates: jax.Array) -> jax.Array:
    """Log (spikes so far / expected so far) of each unit, over exponential memories of its visible bins.

    Args:
        visible_counts: float [G, b, T, N], zero where hidden.
        visible: bool [G, b, T, N].
        base_rates: float32 [G, N], expected spikes per bin.

    Returns:
        [3, G, b, T, N] for OWN_MEMORIES_BINS; zero for a unit that is hidden throughout.
    """
    weights = _exponential(visible_counts.shape[2], OWN_MEMORIES_BINS)
    observed = jnp.einsum("mts,gbsn->mgbtn", weights, visible_counts.astype(jnp.float32))
    expected = jnp.einsum("mts,gbsn->mgbtn", weights, visible * base_rates[:, None, None])
    return jnp.log((observed + PSEUDO_SPIKES) / (expected + PSEUDO_SPIKES))
