"""Next token: every token of a document is predicted from those before it."""

import dataclasses

import jax
import jax.numpy as jnp

from neurojax.batch import Batch
from neurojax.models.interface import TextInputs
from neurojax.objectives.interface import LossSums

SPLITS_INTO_PARTS = True
VALIDATED = ("next_token",)
NEEDS_CAUSAL_SCHEME = True  # the model itself hides what comes later


@dataclasses.dataclass(frozen=True)
class Config:
    """It has no settings."""


def draw(key: jax.Array, batch: Batch, step: jax.Array, config: Config) -> tuple:
    """Nothing is drawn."""
    return ()


def inputs(batch: Batch, query: tuple, config: Config) -> TextInputs:
    """All tokens of a row but the last, which nothing is asked about after."""
    names = ("tokens", "document", "position")
    return TextInputs(*(batch.trials[name][..., :-1] for name in names))


def loss(apply, head, weights, batch: Batch, query: tuple, step, key, config: Config) -> LossSums:
    """Mean nats of the tokens."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    known = asked(query, batch)
    nats = jnp.where(known, head.nll(outputs.natural, target(batch)), 0.0).sum()
    number = known.sum().astype(jnp.float32)
    return LossSums(nats, number, {"nll_sum": nats, "entries": number}, outputs.buffers)


def target(batch: Batch) -> jax.Array:
    """The token after each, int32 [G, b, T]."""
    return batch.trials["tokens"][..., 1:]


def asked(query: tuple, batch: Batch) -> jax.Array:
    """Tokens that follow one of their own document, bool [G, b, T]."""
    document = batch.trials["document"]
    return (document[..., 1:] == document[..., :-1]) & (document[..., 1:] >= 0)


def validation_query(key: jax.Array, batch: Batch, number: jax.Array, config: Config) -> tuple:
    """Nothing is drawn."""
    return ()
