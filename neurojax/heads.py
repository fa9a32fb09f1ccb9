"""Heads: from a model's natural parameters and a target to nats, and to the target's mean.

A head is chosen by name in `config.head`. It knows nothing of what was hidden or asked. Parameters
that belong to units and not to entries, such as a dispersion, are rows of tables: `Head.rows` names
them, `train.head_rows` puts them beside what a model says.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.count_likelihoods import (
    LIKELIHOODS,
    CountLikelihood,
    Row,
    log_of_mean_rate,
    poisson_sample,
)
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
    log_mean: natural parameters -> log of the expected spikes per bin; of what is no count, the
        natural parameters.
    sample: (key, natural parameters) -> float32 counts drawn for each entry; None of heads of
        something else.
    rows: table -> parameters of units or sessions; where there are some, natural parameters are a
        `count_likelihoods.Natural`, the drive of every entry and these rows.
    """

    nll: Callable[[jax.Array, jax.Array], jax.Array]
    mean: Callable[[jax.Array], jax.Array]
    joined: Callable[[jax.Array], jax.Array]
    averaged: Callable[[jax.Array], jax.Array]
    sums: Callable[..., Any]
    scores: Callable[[Sequence[Any]], dict[str, float]]
    log_mean: Callable[[Any], jax.Array]
    sample: Callable[[jax.Array, Any], jax.Array] | None
    rows: Mapping[str, Row]


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


def pulses_nll(logits: jax.Array, pulse: jax.Array) -> jax.Array:
    """-log of the probability of what each pulse is, 0 to 1, per entry; float32 nats."""
    logits = logits.astype(jnp.float32)
    return jax.nn.softplus(logits) - pulse * logits


def _logit_of_mean_probability(logits: jax.Array) -> jax.Array:
    happens, not_so = (
        jax.nn.logsumexp(jax.nn.log_sigmoid(one), axis=0) for one in (logits, -logits)
    )
    return happens - not_so


def _pulse_sums(logits, pulse, asked, null):
    return asked.sum(), jnp.where(asked, pulses_nll(logits, pulse), 0.0).sum()


def _pulse_scores(parts) -> dict[str, float]:
    number, nats = (float(np.sum(values)) for values in zip(*parts, strict=True))
    return {"nats": nats / number} if number else {}


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


def _identity(natural: jax.Array) -> jax.Array:
    return natural


def _count_head(likelihood: CountLikelihood) -> Head:
    """The head of a likelihood of counts: the scores of Poisson's for its mean, and its own
    nats per entry."""

    def sums(natural, counts, asked, null_rates):
        nats = jnp.where(asked, likelihood.nll(natural, counts), 0.0).sum()
        of_mean = _spike_sums(likelihood.log_mean(natural), counts, asked, null_rates)
        return of_mean, (asked.sum(), nats)

    def scores(parts) -> dict[str, float]:
        of_mean, own = zip(*parts, strict=True)
        number, nats = (float(np.sum(values)) for values in zip(*own, strict=True))
        return _spike_scores(of_mean) | ({"nats": nats / number} if number else {})

    return Head(
        nll=likelihood.nll,
        mean=lambda natural: jnp.exp(likelihood.log_mean(natural)),
        joined=lambda natural: jax.tree.map(_mean_of_models, natural),
        averaged=likelihood.averaged,
        sums=sums,
        scores=scores,
        log_mean=likelihood.log_mean,
        sample=likelihood.sample,
        rows=likelihood.rows,
    )


HEADS = {
    "poisson": Head(
        nll=poisson_nll,
        mean=jnp.exp,
        joined=_mean_of_models,
        averaged=log_of_mean_rate,
        sums=_spike_sums,
        scores=_spike_scores,
        log_mean=_identity,
        sample=poisson_sample,
        rows={},
    ),
    "categorical": Head(
        nll=categorical_nll,
        mean=jax.nn.softmax,
        joined=_log_of_mean_probability,
        averaged=_log_of_mean_probability,
        sums=_class_sums,
        scores=_class_scores,
        log_mean=_identity,
        sample=None,
        rows={},
    ),
    "pulses": Head(
        nll=pulses_nll,
        mean=jax.nn.sigmoid,
        joined=_logit_of_mean_probability,
        averaged=_logit_of_mean_probability,
        sums=_pulse_sums,
        scores=_pulse_scores,
        log_mean=_identity,
        sample=None,
        rows={},
    ),
    "gaussian": Head(
        nll=gaussian_nll,
        mean=_identity,
        joined=_mean_of_models,
        averaged=_mean_of_models,
        sums=_value_sums,
        scores=_value_scores,
        log_mean=_identity,
        sample=None,
        rows={},
    ),
    **{name: _count_head(likelihood) for name, likelihood in LIKELIHOODS.items()},
}


def named(name: str) -> Head:
    """A head by its name; raises InputError with the known names."""
    if name not in HEADS:
        raise InputError(f"head.name={name!r}; choose from {', '.join(HEADS)}")
    return HEADS[name]
