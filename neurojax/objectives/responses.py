"""Responses to stimuli: nothing is hidden, the responses of all neurons to an image are predicted.

To the nats of the responses comes the model's prior on its own weights (`extras["penalty"]`).
Validation also gives the correlation of single responses with their prediction, by which training
may end early.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.batch import Batch, entry_valid
from neurojax.models.interface import StimulusInputs
from neurojax.objectives.interface import LossSums

SPLITS_INTO_PARTS = True
VALIDATED = ("responses",)
HEADS = ("poisson",)  # whose natural parameters are log-rates


@dataclasses.dataclass(frozen=True)
class Config:
    """It has no settings: penalties are the model's, see models.twin."""


def draw(key: jax.Array, batch: Batch, step: jax.Array, config: Config) -> tuple:
    """Nothing is drawn."""
    return ()


def inputs(batch: Batch, query: tuple, config: Config) -> StimulusInputs:
    """The image and what the animal did; its responses are no part of it."""
    trials = batch.trials
    return StimulusInputs(trials["images"], trials["behaviour"], trials["pupil_center"])


def loss(apply, head, weights, batch: Batch, query: tuple, step, key, config: Config) -> LossSums:
    """Mean nats of a response, and the model's penalty."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    known = asked(query, batch)
    nats = jnp.where(known, head.nll(outputs.natural, target(batch)), 0.0).sum()
    number = known.sum().astype(jnp.float32)
    # Times the entries, which it is divided by: the parts of a batch add up to one penalty.
    penalty = outputs.extras["penalty"]
    metrics = {"nll_sum": nats, "entries": number, "penalty": penalty}
    return LossSums(nats + penalty * number, number, metrics, outputs.buffers)


def target(batch: Batch) -> jax.Array:
    """Counts [G, b, 1, N]."""
    return batch.trials["counts"]


def asked(query: tuple, batch: Batch) -> jax.Array:
    """Responses that were observed, bool [G, b, 1, N]."""
    return entry_valid(batch) & batch.groups["unit_valid"][:, None, None]


def validation_query(key: jax.Array, batch: Batch, number: jax.Array, config: Config) -> tuple:
    """Nothing is drawn."""
    return ()


def sums(natural: jax.Array, counts: jax.Array, asked: jax.Array, null: jax.Array | None):
    """(correlation of each neuron over the trials of its batch [G, N], whether it has one, nats,
    entries)."""
    weight = asked.astype(jnp.float32)[:, :, 0]
    found, measured = jnp.exp(natural)[:, :, 0], counts.astype(jnp.float32)[:, :, 0]
    number = jnp.maximum(weight.sum(1, keepdims=True), 1.0)

    def centred(values):
        return (values - (weight * values).sum(1, keepdims=True) / number) * weight

    found, measured = centred(found), centred(measured)
    spread = jnp.square(found).sum(1) * jnp.square(measured).sum(1)
    correlation = (found * measured).sum(1) / jnp.sqrt(jnp.maximum(spread, 1e-12))
    nats = jnp.where(asked, jnp.exp(natural) - counts * natural, 0.0).sum()
    return correlation, spread > 1e-12, nats, asked.sum()


def scores(parts: Sequence) -> dict[str, float]:
    """Mean correlation over neurons that varied, and nats a response; {} without a response."""
    correlation, varied, nats, number = zip(*parts, strict=True)
    known = np.concatenate([np.ravel(one) for one in varied])
    values = np.concatenate([np.ravel(one) for one in correlation])[known]
    if not len(values) or not np.sum(number):
        return {}
    return {"correlation": float(values.mean()), "nats": float(np.sum(nats) / np.sum(number))}
