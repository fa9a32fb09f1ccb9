"""What linear predictors see: smoothed visible activity, and each unit's recent gain.

Kernels fall exponentially with the distance in time; how fast is learned, and starts from seconds,
so that one recipe suits every bin width. Only readable bins enter, and the weights of a bin sum to
one over them. Under the causal scheme a bin reads itself and earlier bins, so that both paths stay
exactly causal. Short trials are mixed by a weight matrix [T, T]; long ones by shifts and sums whose
memory grows with T.
"""

import jax
import jax.numpy as jnp

MEMORIES_S = (0.01, 0.04, 0.2)  # of the linear path; beside them the mean over the trial
OWN_MEMORIES_S = (0.04, 0.15, 0.6)  # of a unit's own history
PSEUDO_SPIKES = 0.5  # added above and below in a gain
NUM_SMOOTHED = len(MEMORIES_S) + 1
# of the longest trial that a matrix mixes, which up to there is about four times as fast on a CPU
DENSE_BINS = 256
_SHORTEST_BINS = 0.05  # of a memory: exp(-1 / 0.05) is a kernel of one bin
_FIRST_BINS = 0.3  # of a memory at first: shorter ones have next to no slope to learn by


def first_log_memories(bin_size_s: float) -> dict[str, jax.Array]:
    """What training starts from: log of memories in bins, "both_ways" and "past" float32 [M],
    "own" float32 [3]."""
    linear, own = (
        jnp.log(jnp.maximum(jnp.asarray(memories_s) / bin_size_s, _FIRST_BINS))
        for memories_s in (MEMORIES_S, OWN_MEMORIES_S)
    )
    # Each an array of its own, since a step takes over those it is given.
    return {"both_ways": linear, "past": linear + 0.0, "own": own}


def _decays(log_memories: jax.Array) -> jax.Array:
    """Weight of a bin beside that of the one after it, float32 [M]: exp(-1 / memory)."""
    return jnp.exp(-1 / jnp.maximum(jnp.exp(log_memories), _SHORTEST_BINS))


def _exponential(num_bins: int, decays: jax.Array) -> jax.Array:
    """decay ** |t - s|: [M, T, T]."""
    lag = jnp.abs(jnp.arange(num_bins)[:, None] - jnp.arange(num_bins)[None])  # [T, T]
    return jnp.exp(lag[None] * jnp.log(decays)[:, None, None])


def _is_past(num_bins: int) -> jax.Array:
    """Whether a bin is not after another, bool [1, T, T]."""
    return (jnp.arange(num_bins)[:, None] >= jnp.arange(num_bins)[None])[None]


def _from_before(values: jax.Array, lag: int) -> jax.Array:
    """Values [..., T, N] of `lag` bins before, zero where none is; negative looks ahead."""
    around = [(0, 0)] * (values.ndim - 2) + [(max(lag, 0), max(-lag, 0)), (0, 0)]
    kept = values[..., : values.shape[-2] - lag, :] if lag > 0 else values[..., -lag:, :]
    return jnp.pad(kept, around)


def _summed(values: jax.Array, decay: jax.Array, step: int = 1) -> jax.Array:
    """Sum over each bin and those before it (step -1: after it), weighed by decay ** lag, by
    doubling the reach: [..., T, N]."""
    # After k rounds a bin holds the last 2^k: log2(T) shifts instead of a matrix [T, T].
    lag = 1
    while lag < values.shape[-2]:
        values = values + decay**lag * _from_before(values, step * lag)
        lag *= 2
    return values


def _smoothed_long(latents: jax.Array, readable: jax.Array, causal: jax.Array, memories):
    """`smoothed` without a matrix of bins by bins."""
    seen = readable[..., None].astype(jnp.float32)  # [B, T, 1]
    # The last column goes through the same sums: the weight of the readable bins.
    values = jnp.concatenate([latents.astype(jnp.float32) * seen, seen], axis=-1)  # [B, T, K + 1]
    one = jnp.ones(1)
    means = []
    for both, past in zip(
        jnp.concatenate([_decays(memories["both_ways"]), one]),
        jnp.concatenate([_decays(memories["past"]), one]),
        strict=True,
    ):
        around = _summed(values, both) + _summed(values, both, -1) - values
        sums = jnp.where(causal[:, None, None], _summed(values, past), around)
        means.append(sums[..., :-1] / jnp.maximum(sums[..., -1:], 1e-6))
    return jnp.concatenate(means, axis=-1).astype(latents.dtype)


def smoothed(latents: jax.Array, readable: jax.Array, causal: jax.Array, memories) -> jax.Array:
    """Weighted means of the latents over readable bins: one for each memory, and the mean over the
    trial; in causal trials over bins so far.

    Args:
        latents: [B, T, K].
        readable: bool [B, T], bins that are real and visible.
        causal: bool [B].
        memories: see `first_log_memories`.

    Returns:
        [B, T, (M + 1) K], zero where nothing is readable.
    """
    batch, num_bins, width = latents.shape
    if num_bins > DENSE_BINS:
        return _smoothed_long(latents, readable, causal, memories)
    everywhere = jnp.ones((1, num_bins, num_bins))
    both_ways, past = (
        jnp.concatenate([_exponential(num_bins, _decays(memories[name])), everywhere])
        for name in ("both_ways", "past")
    )
    weights = (
        jnp.where(causal[:, None, None, None], (past * _is_past(num_bins))[None], both_ways[None])
        * readable[:, None, None, :]
    )
    # Over readable bins alone: a hidden one must not pull the mean to zero.
    weights = weights / jnp.maximum(weights.sum(-1, keepdims=True), 1e-6)
    mixed = jnp.einsum("bmts,bsk->btmk", weights.astype(latents.dtype), latents)  # [B,T,M+1,K]
    return mixed.reshape(batch, num_bins, NUM_SMOOTHED * width)


def extended(sums: jax.Array, latents: jax.Array, readable: jax.Array, memories):
    """`smoothed` of causal trials, one bin after another.

    Args:
        sums: [B, M + 1, K + 1] over the bins before, zero at first; the last column weighs them.
        latents: [B, K], of the next bin.
        readable: bool [], whether this bin may be read.
        memories: see `first_log_memories`.

    Returns:
        (sums, means [B, (M + 1) K]) of the bins up to this one.
    """
    decays = jnp.concatenate([_decays(memories["past"]), jnp.ones(1)])[None, :, None]
    seen = jnp.where(readable, 1.0, 0.0)
    values = jnp.concatenate([latents.astype(jnp.float32), jnp.ones((len(latents), 1))], axis=-1)
    sums = decays * sums + seen * values[:, None]
    means = sums[..., :-1] / jnp.maximum(sums[..., -1:], 1e-6)
    return sums, means.reshape(len(latents), -1).astype(latents.dtype)


def extended_log_gains(
    sums: jax.Array, visible_counts: jax.Array, visible: jax.Array, base_rates: jax.Array, memories
):
    """`own_log_gains`, one bin after another.

    Args:
        sums: [2, 3, G, b, N], spikes and expected spikes of the bins before, zero at first.
        visible_counts: float [G, b, N], zero where hidden.
        visible: bool [G, b, N].
        base_rates: float32 [G, N].
        memories: see `first_log_memories`.

    Returns:
        (sums, log gains [3, G, b, N]) of the bins up to this one.
    """
    rates = visible * base_rates[:, None]
    new = jnp.stack([visible_counts.astype(jnp.float32), rates])[:, None]  # [2, 1, G, b, N]
    sums = _decays(memories["own"])[None, :, None, None, None] * sums + new
    return sums, jnp.log((sums[0] + PSEUDO_SPIKES) / (sums[1] + PSEUDO_SPIKES))


def own_log_gains(
    visible_counts: jax.Array, visible: jax.Array, base_rates: jax.Array, memories
) -> jax.Array:
    """Log (spikes / expected) of each unit over exponential memories of its visible bins.

    Args:
        visible_counts: float [G, b, T, N], zero where hidden.
        visible: bool [G, b, T, N].
        base_rates: float32 [G, N], expected spikes per bin.
        memories: see `first_log_memories`.

    Returns:
        [3, G, b, T, N]; zero for a unit that is hidden throughout.
    """
    # Expected in visible bins alone: a hidden bin is no evidence of silence.
    counts, rates = visible_counts.astype(jnp.float32), visible * base_rates[:, None, None]
    decays, num_bins = _decays(memories["own"]), visible_counts.shape[2]
    if num_bins > DENSE_BINS:
        sums = ((_summed(counts, decay), _summed(rates, decay)) for decay in decays)
        observed, expected = map(jnp.stack, zip(*sums, strict=True))
    else:
        weights = _exponential(num_bins, decays) * _is_past(num_bins)
        observed, expected = (
            jnp.einsum("mts,gbsn->mgbtn", weights, each) for each in (counts, rates)
        )
    # In both: a unit of which nothing is seen has gain 1, and its log is zero.
    return jnp.log((observed + PSEUDO_SPIKES) / (expected + PSEUDO_SPIKES))
