"""Poisson negative log-likelihood, masked and normalised by the size of the masked set."""

import jax
import jax.numpy as jnp


def poisson_nll(log_rates: jax.Array, counts: jax.Array) -> jax.Array:
    """exp(z) - y z per entry, without the constant log y!.

    Args:
        log_rates: float [..., T, N], log of the expected spikes per bin.
        counts: integer or float, same shape, spikes per bin.

    Returns:
        float32, same shape, in nats.
    """
    log_rates = log_rates.astype(jnp.float32)
    return jnp.exp(log_rates) - counts.astype(jnp.float32) * log_rates


def masked_sums(nll: jax.Array, target_mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Per-trial sums over the target entries.

    Args:
        nll: float32 [..., T, N].
        target_mask: bool [..., T, N].

    Returns:
        (nll_sum, entries), both float32 [...]: nats and number of target entries of each trial.
    """
    return (
        jnp.sum(jnp.where(target_mask, nll, 0.0), axis=(-2, -1)),
        jnp.sum(target_mask, axis=(-2, -1), dtype=jnp.float32),
    )


def trial_weights(entries: jax.Array, reduction: str, size_power: float = 0.0) -> tuple[jax.Array, jax.Array]:
    """What each trial's nats weigh in the loss, and what their weighted sum is divided by.

    A weight depends on its own trial alone: parts of a batch that are divided by the total of all add up to its loss.
    Arguments and errors are those of `reduce_loss`.

    Returns:
        (weight, total): float32 [...] and float32 [].
    """
    if reduction == "sum":
        return jnp.ones_like(entries), jnp.ones((), jnp.float32)
    if reduction != "mean":
        raise ValueError(f"unknown loss reduction {reduction!r}; choose 'sum' or 'mean'")
    weight = jnp.where(entries > 0, jnp.maximum(entries, 1.0) ** -size_power, 0.0)
    return weight, jnp.maximum((weight * entries).sum(), 1e-9)


def reduce_loss(
    nll_sum: jax.Array,
    entries: jax.Array,
    reduction: str,
    size_power: float = 0.0,
    total: jax.Array | None = None,
) -> jax.Array:
    """Turns per-trial sums into one number.

    Args:
        nll_sum: float32 [...], nats of each trial.
        entries: float32 [...], target entries of each trial.
        reduction: "sum" (the reference: the step then depends on how much was masked) or "mean":
            nats per entry, where a trial with n entries weighs n ** (1 - size_power).
        size_power: 0 weighs entries equally, 1 weighs trials equally.
        total: where these trials are a part of a batch, `trial_weights` of the whole one; default: of these trials.

    Raises:
        ValueError: unknown reduction.
    """
    weight, own_total = trial_weights(entries, reduction, size_power)
    return (weight * nll_sum).sum() / (own_total if total is None else total)
