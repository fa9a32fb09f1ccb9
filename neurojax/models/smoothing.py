"""What linear predictors see: smoothed visible activity, and each unit's recent gain.

Only readable bins enter, and the weights of a bin sum to one over them. Under the causal scheme a
bin reads itself and earlier bins, so that both paths stay exactly causal. Short trials are mixed by
a weight matrix [T, T]; long ones by shifts and sums whose memory grows with T.
"""

import jax
import jax.numpy as jnp

GAUSSIAN_BINS = 2.0
CAUSAL_MEMORIES_BINS = (2.5, 12.0)
OWN_MEMORIES_BINS = (2.0, 6.0, 20.0)
PSEUDO_SPIKES = 0.5  # added above and below in a gain
NUM_SMOOTHED = 2
# of the longest trial that a matrix mixes, which up to there is about four times as fast on a CPU
DENSE_BINS = 256
GAUSSIAN_REACH_BINS = 16  # farther bins weigh less than 2e-14 of the nearest


def _exponential(num_bins: int, memories_bins: tuple[float, ...]) -> jax.Array:
    """exp(-(t - s) / memory) where s <= t, else 0: [memories, T, T]."""
    lag = jnp.arange(num_bins)[:, None] - jnp.arange(num_bins)[None]  # [T, T]
    memories = jnp.asarray(memories_bins)[:, None, None]
    return jnp.where(lag[None] >= 0, jnp.exp(-jnp.maximum(lag, 0)[None] / memories), 0.0)


def _from_before(values: jax.Array, lag: int) -> jax.Array:
    """Values [..., T, N] of `lag` bins before, zero where none is; negative looks ahead."""
    around = [(0, 0)] * (values.ndim - 2) + [(max(lag, 0), max(-lag, 0)), (0, 0)]
    kept = values[..., : values.shape[-2] - lag, :] if lag > 0 else values[..., -lag:, :]
    return jnp.pad(kept, around)


def _decayed(values: jax.Array, memory_bins: float) -> jax.Array:
    """Sum over each bin and those before it, weighed by exp(-lag / memory), by doubling the reach:
    [..., T, N]."""
    # After k rounds a bin holds the last 2^k: log2(T) shifts instead of a matrix [T, T].
    lag = 1
    while lag < values.shape[-2]:
        values = values + jnp.exp(-lag / memory_bins) * _from_before(values, lag)
        lag *= 2
    return values


def _near(values: jax.Array) -> jax.Array:
    """Sum weighed by the Gaussian: [..., T, N]."""
    reach = min(GAUSSIAN_REACH_BINS, values.shape[-2] - 1)
    lags = range(-reach, reach + 1)
    return sum(
        jnp.exp(-0.5 * (lag / GAUSSIAN_BINS) ** 2) * _from_before(values, lag) for lag in lags
    )


def _smoothed_long(latents: jax.Array, readable: jax.Array, causal: jax.Array) -> jax.Array:
    """`smoothed` without a matrix of bins by bins."""
    seen = readable[..., None].astype(jnp.float32)  # [B, T, 1]
    # The last column goes through the same sums: the weight of the readable bins.
    values = jnp.concatenate([latents.astype(jnp.float32) * seen, seen], axis=-1)  # [B, T, K + 1]
    both_ways = _near(values), jnp.broadcast_to(values.sum(-2, keepdims=True), values.shape)
    past = (_decayed(values, memory) for memory in CAUSAL_MEMORIES_BINS)
    chosen = [jnp.where(causal[:, None, None], *pair) for pair in zip(past, both_ways, strict=True)]
    means = [sums[..., :-1] / jnp.maximum(sums[..., -1:], 1e-6) for sums in chosen]
    return jnp.concatenate(means, axis=-1).astype(latents.dtype)


def smoothed(latents: jax.Array, readable: jax.Array, causal: jax.Array) -> jax.Array:
    """Weighted means of the latents over readable bins: a fast and a slow one.

    Gaussian (2 bins) and mean over the trial; for causal trials exponential averages over 2.5 and
    12 bins.

    Args:
        latents: [B, T, K].
        readable: bool [B, T], bins that are real and visible.
        causal: bool [B].

    Returns:
        [B, T, 2K], zero where nothing is readable.
    """
    batch, num_bins, width = latents.shape
    if num_bins > DENSE_BINS:
        return _smoothed_long(latents, readable, causal)
    lag = jnp.arange(num_bins)[:, None] - jnp.arange(num_bins)[None]
    gaussian = jnp.exp(-0.5 * (lag / GAUSSIAN_BINS) ** 2)
    both_ways = jnp.stack([gaussian, jnp.ones_like(gaussian)])  # [2, T, T]
    past = _exponential(num_bins, CAUSAL_MEMORIES_BINS)
    weights = (
        jnp.where(causal[:, None, None, None], past[None], both_ways[None])
        * readable[:, None, None, :]
    )
    # Over readable bins alone: a hidden one must not pull the mean to zero.
    weights = weights / jnp.maximum(weights.sum(-1, keepdims=True), 1e-6)
    mixed = jnp.einsum("bmts,bsk->btmk", weights.astype(latents.dtype), latents)  # [B, T, 2, K]
    return mixed.reshape(batch, num_bins, NUM_SMOOTHED * width)


def own_log_gains(
    visible_counts: jax.Array, visible: jax.Array, base_rates: jax.Array
) -> jax.Array:
    """Log (spikes / expected) of each unit over exponential memories of its visible bins.

    Args:
        visible_counts: float [G, b, T, N], zero where hidden.
        visible: bool [G, b, T, N].
        base_rates: float32 [G, N], expected spikes per bin.

    Returns:
        [3, G, b, T, N] for OWN_MEMORIES_BINS; zero for a unit that is hidden throughout.
    """
    # Expected in visible bins alone: a hidden bin is no evidence of silence.
    counts, rates = visible_counts.astype(jnp.float32), visible * base_rates[:, None, None]
    if visible_counts.shape[2] > DENSE_BINS:
        sums = ((_decayed(counts, memory), _decayed(rates, memory)) for memory in OWN_MEMORIES_BINS)
        observed, expected = map(jnp.stack, zip(*sums, strict=True))
    else:
        weights = _exponential(visible_counts.shape[2], OWN_MEMORIES_BINS)
        observed, expected = (
            jnp.einsum("mts,gbsn->mgbtn", weights, each) for each in (counts, rates)
        )
    # In both: a unit of which nothing is seen has gain 1, and its log is zero.
    return jnp.log((observed + PSEUDO_SPIKES) / (expected + PSEUDO_SPIKES))
