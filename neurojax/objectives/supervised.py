"""Supervised labels: nothing is hidden, every trial's label is predicted."""

import dataclasses

import jax
import jax.numpy as jnp

from neurojax.batch import Batch
from neurojax.errors import InputError
from neurojax.models.interface import SignalInputs
from neurojax.objectives.interface import LossSums

SPLITS_INTO_PARTS = True
VALIDATED = ("label",)


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    channel_shift: in training, the channels of each window are turned by up to so many places, as
        an armband is on another arm; 0 leaves them.
    """

    channel_shift: int

    def __post_init__(self):
        if self.channel_shift < 0:
            raise InputError(f"objective.channel_shift={self.channel_shift}; expected 0 (off) or more")


def draw(key: jax.Array, batch: Batch, step: jax.Array, config: Config) -> jax.Array:
    """Places that the channels of each window are turned by, int32 [G, b]."""
    shape = batch.trials["label"].shape
    return jax.random.randint(key, shape, -config.channel_shift, config.channel_shift + 1)


def inputs(batch: Batch, query: jax.Array, config: Config) -> SignalInputs:
    """Values with their channels turned as the query says."""
    values = batch.trials["values"]
    source = (jnp.arange(values.shape[-1]) - query[..., None]) % values.shape[-1]  # [G, b, C]
    return SignalInputs(jnp.take_along_axis(values, source[:, :, None], axis=-1), batch.trials["bin_valid"])


def loss(apply, head, weights, batch: Batch, query, step, key, config: Config) -> LossSums:
    """Mean nats of the labels."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    known = asked(query, batch)
    nats = jnp.where(known, head.nll(outputs.natural, jnp.maximum(target(batch), 0)), 0.0).sum()
    number = known.sum().astype(jnp.float32)
    return LossSums(nats, number, {"nll_sum": nats, "entries": number}, outputs.buffers)


def target(batch: Batch) -> jax.Array:
    """Class of each window, int32 [G, b]; -1 in padding."""
    return batch.trials["label"]


def asked(query, batch: Batch) -> jax.Array:
    """Windows that have a label, bool [G, b]."""
    return batch.trials["label"] >= 0


def validation_query(key: jax.Array, batch: Batch, number: jax.Array, config: Config) -> jax.Array:
    """No channel is turned, int32 [G, b] of zeros."""
    return jnp.zeros(batch.trials["label"].shape, jnp.int32)
