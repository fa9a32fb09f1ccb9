"""Sums of each unit for the Poisson scores, on the device batch by batch; pure jax.

    sums = empty(N)
    sums = add(sums, log_rates, counts, evaluated, reference)   # for each batch
    scores = host_scores(sums, ...)

Sums are float32 with a running compensation (Kahan), and the likelihood is summed as its excess
over a fixed reference rate: over many batches the error stays that of one. The rest is float64 on
the host, by `neurojax.scores.metrics`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.scores import metrics


class UnitSums(NamedTuple):
    """A pytree; every leaf has the units as its last axis.

    Attributes:
        num_entries, spikes: int32 [N], evaluated entries and the spikes in them.
        excess: float32 [2, N], sum of NLL - NLL of the reference, nats; and its compensation.
        y_log_y: float32 [2, N], sum of y log y; and its compensation.
    """

    num_entries: jax.Array
    spikes: jax.Array
    excess: jax.Array
    y_log_y: jax.Array


def empty(num_units: int) -> UnitSums:
    """Sums over nothing."""
    zeros = jnp.zeros((2, num_units), jnp.float32)
    return UnitSums(jnp.zeros(num_units, jnp.int32), jnp.zeros(num_units, jnp.int32), zeros, zeros)


def add(
    sums: UnitSums,
    log_rates: jax.Array,
    counts: jax.Array,
    evaluated: jax.Array,
    reference: jax.Array,
) -> UnitSums:
    """Adds a batch.

    Args:
        sums: so far.
        log_rates: float [K, T, N], log of the expected spikes per bin; read at evaluated entries
            only.
        counts: integers [K, T, N].
        evaluated: bool [K, T, N].
        reference: float32 [N], spikes per bin, positive; the same at every call.
    """
    log_rates = jnp.where(evaluated, log_rates.astype(jnp.float32), 0.0)
    # The floor of `scores.metrics`, so that both give the same score.
    log_rates = jnp.maximum(log_rates, jnp.log(jnp.float32(metrics.MIN_RATE)))
    spikes = jnp.where(evaluated, counts, 0).astype(jnp.int32)
    y, rate = spikes.astype(jnp.float32), reference.astype(jnp.float32)[None, None]
    excess = jnp.where(evaluated, jnp.exp(log_rates) - rate - y * (log_rates - jnp.log(rate)), 0.0)
    y_log_y = y * jnp.log(jnp.maximum(y, 1.0))
    return UnitSums(
        sums.num_entries + evaluated.sum((0, 1), dtype=jnp.int32),
        sums.spikes + spikes.sum((0, 1)),
        _compensated(sums.excess, excess.sum((0, 1))),
        _compensated(sums.y_log_y, y_log_y.sum((0, 1))),
    )


def joined(parts: Sequence[UnitSums]) -> UnitSums:
    """Sums of different units, one after the other, on the host."""
    return UnitSums(
        *(
            np.concatenate([np.asarray(leaf) for leaf in leaves], axis=-1)
            for leaves in zip(*parts, strict=True)
        )
    )


def _compensated(total: jax.Array, more: jax.Array) -> jax.Array:
    # Kahan 1965: what the last addition rounded away is taken off the next.
    corrected = more - total[1]
    new = total[0] + corrected
    return jnp.stack([new, (new - total[0]) - corrected])


def host_scores(
    sums: UnitSums,
    reference: np.ndarray,
    train_mean: np.ndarray | None = None,
    rate_floor: float = 0.0,
) -> dict[str, np.ndarray]:
    """The scores of `metrics.poisson_scores`, float64, both nulls derived from the sums.

    Args:
        sums: of the whole evaluation.
        reference: as given to `add`.
        train_mean: float [N], spikes per bin in the train split.
        rate_floor: see `metrics.poisson_scores`.
    """
    sums = UnitSums(*(np.asarray(leaf) for leaf in sums))
    num_entries, spikes = sums.num_entries.astype(np.float64), sums.spikes.astype(np.float64)
    # As the device had it, rounded: the excess is over that rate and no other.
    reference = np.asarray(reference, np.float32).astype(np.float64)
    null_mean = np.where(spikes > 0, spikes / np.maximum(num_entries, 1), 1.0)

    def over_null(rate):  # NLL of a constant rate less that of null_mean
        return num_entries * (rate - null_mean) - spikes * np.log(rate / null_mean)

    # The compensation is what rounding put too much into the sum.
    excess, y_log_y = (leaf[0].astype(np.float64) - leaf[1] for leaf in (sums.excess, sums.y_log_y))
    known = (
        np.full(len(spikes), np.nan) if train_mean is None else np.asarray(train_mean, np.float64)
    )
    host = metrics.PoissonSums(
        num_entries[None],
        spikes[None],
        null_mean,
        (excess + over_null(reference))[None],
        over_null(np.maximum(known, metrics.MIN_RATE))[None],
        y_log_y[None],
        known,
    )
    return metrics.poisson_scores(host, None, rate_floor)
