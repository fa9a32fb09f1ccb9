"""Supervised labels: nothing is hidden, every trial's label is predicted."""

import dataclasses

import jax
import jax.numpy as jnp

from neurojax.batch import Batch
from neurojax.models.interface import SignalInputs
from neurojax.objectives.interface import LossSums

SPLITS_INTO_PARTS = True
VALIDATED = ("label",)


@dataclasses.dataclass(frozen=True)
class Config:
    """It has no settings."""


def draw(key: jax.Array, batch: Batch, step: jax.Array, config: Config) -> tuple:
    """Nothing is drawn."""
    return ()


def inputs(batch: Batch, query: tuple, config: Config) -> SignalInputs:
    """The signal as it is; the label is no part of it."""
    return SignalInputs(batch.trials["values"], batch.trials["bin_valid"])


def loss(apply, head, weights, batch: Batch, query: tuple, step, key, config: Config) -> LossSums:
    """Mean nats of the labels."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    known = asked(query, batch)
    # -1 marks padding; read as class 0, which exists, and thrown away.
    nats = jnp.where(known, head.nll(outputs.natural, jnp.maximum(target(batch), 0)), 0.0).sum()
    number = known.sum().astype(jnp.float32)
    return LossSums(nats, number, {"nll_sum": nats, "entries": number}, outputs.buffers)


def target(batch: Batch) -> jax.Array:
    """Class of each window, int32 [G, b]; -1 in padding."""
    return batch.trials["label"]


def asked(query: tuple, batch: Batch) -> jax.Array:
    """Windows that have a label, bool [G, b]."""
    return batch.trials["label"] >= 0


def validation_query(key: jax.Array, batch: Batch, number: jax.Array, config: Config) -> tuple:
    """Nothing is drawn."""
    return ()
