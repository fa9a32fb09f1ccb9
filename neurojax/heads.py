"""Heads: from a model's natural parameters and a target to nats, and to the target's mean.

A head is chosen by name in `config.head`. It knows nothing of what was hidden or asked.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.errors import InputError
from neurojax.scores import unit_sums


class Head(NamedTuple):
    """Attributes:
    nll: (natural parameters, target) -> float32 nats of every target entry.
    mean: natural parameters -> expected target; of a class label, its probabilities.
    joined: natural parameters of several models [K, ...] -> those of their mean prediction [...].
    averaged: natural parameters of several samples of one model [K, ...] -> those of the mean
        target.
    sums: (natural parameters, target, asked bool, mean of each unit [G, N] or None) -> a tree of
        sums over the entries asked for; runs on the device.
    scores: list of such sums of several batches, on the host -> score name -> value.
    """

    nll: Callable[[jax.Array, jax.Array], jax.Array]
    mean: Callable[[jax.Array], jax.Array]
    joined: Callable[[jax.Array], jax.Array]
    averaged: Callable[[jax.Array], jax.Array]
    sums: Callable[..., Any]
    scores: Callable[[Sequence[Any]], dict[str, float]]


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


def categorical_nll(logits: jax.Array, label: jax.Array) -> jax.Array:
    """-log of the probability of each label.

    Args:
        logits: float [..., classes].
        label: integer [...].

    Returns:
        float32 [...], in nats.
    """
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    return -jnp.take_along_axis(log_probabilities, label[..., None], axis=-1)[..., 0]


def gaussian_nll(mean: jax.Array, value: jax.Array) -> jax.Array:
    """Half the squared error per entry: a Gaussian of variance one, without the constant; float32
    nats."""
    return 0.5 * jnp.square(mean.astype(jnp.float32) - value.astype(jnp.float32))


def _log_of_mean_probability(logits: jax.Array) -> jax.Array:
    return jax.nn.logsumexp(jax.nn.log_softmax(logits), axis=0) - jnp.log(len(logits))


def _spike_sums(log_rates, counts, asked, null_rates):
    """Sums of each unit, [G * N], and its rate under the null, spikes per bin (1 for padding)."""

    def fused_units(entries: jax.Array) -> jax.Array:
        # [G, b, T, N] -> [b, T, G * N]
        return jnp.moveaxis(entries, 0, 2).reshape(*entries.shape[1:3], -1)

    null_rates = null_rates.ravel()
    entries = map(fused_units, (log_rates, counts, asked))
    return unit_sums.add(unit_sums.empty(len(null_rates)), *entries, null_rates), null_rates


def _spike_scores(parts) -> dict[str, float]:
    """Bits per spike against the train-mean rate, over all units; {} without a spike."""
    if not any(sums.spikes.any() for sums, _ in parts):
        return {}
    null_rates = np.concatenate([rates for _, rates in parts])
    found = unit_sums.host_scores(
        unit_sums.joined([sums for sums, _ in parts]), null_rates, null_rates
    )
    return {name: float(found[f"{name}_train_null"]) for name in ("bps_pooled", "bps_unit_mean")}


def _class_sums(logits, label, asked, null):
    label = jnp.maximum(label, 0)  # padding has -1, and is not asked
    right = jnp.argmax(logits, axis=-1) == label
    return (
        asked.sum(),
        (asked & right).sum(),
        jnp.where(asked, categorical_nll(logits, label), 0.0).sum(),
    )


def _class_scores(parts) -> dict[str, float]:
    number, right, nats = (float(np.sum(values)) for values in zip(*parts, strict=True))
    return {"accuracy": right / number, "nats": nats / number} if number else {}


def _value_sums(mean, value, asked, null):
    return asked.sum(), jnp.where(asked, jnp.square(mean - value), 0.0).sum()


def _value_scores(parts) -> dict[str, float]:
    number, squares = (float(np.sum(values)) for values in zip(*parts, strict=True))
    return {"mean_squared_error": squares / number} if number else {}


def _mean_of_models(natural: jax.Array) -> jax.Array:
    return natural.mean(0)


def _log_of_mean_rate(log_rates: jax.Array) -> jax.Array:
    return jax.nn.logsumexp(log_rates, axis=0) - jnp.log(len(log_rates))


def _identity(mean: jax.Array) -> jax.Array:
    return mean


HEADS = {
    "poisson": Head(
        poisson_nll, jnp.exp, _mean_of_models, _log_of_mean_rate, _spike_sums, _spike_scores
    ),
    "categorical": Head(
        categorical_nll,
        jax.nn.softmax,
        _log_of_mean_probability,
        _log_of_mean_probability,
        _class_sums,
        _class_scores,
    ),
    "gaussian": Head(
        gaussian_nll, _identity, _mean_of_models, _mean_of_models, _value_sums, _value_scores
    ),
}


def named(name: str) -> Head:
    """A head by its name; raises InputError with the known names."""
    if name not in HEADS:
        raise InputError(f"head.name={name!r}; choose from {', '.join(HEADS)}")
    return HEADS[name]
