"""Connectionist temporal classification: which symbols a window spells, not when each is said.

A model says logits of every symbol and a blank (0) at every bin; the nats of a text are those of
all paths that spell it (`scores.ctc`). A text that is longer than a window can spell has about 1e5
nats.

Source: Graves et al. 2006, ICML, 369-376; computed by optax.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from neurojax.batch import Batch
from neurojax.models.interface import SignalInputs
from neurojax.objectives.interface import LossSums

SPLITS_INTO_PARTS = True
VALIDATED = ("text",)
HEADS = ("categorical",)
BLANK = 0


@dataclasses.dataclass(frozen=True)
class Config:
    """It has no settings."""


def draw(key: jax.Array, batch: Batch, step: jax.Array, config: Config) -> tuple:
    """Nothing is drawn."""
    return ()


def inputs(batch: Batch, query: tuple, config: Config) -> SignalInputs:
    """The signal as it is; the text is no part of it."""
    return SignalInputs(batch.trials["values"], batch.trials["bin_valid"])


def loss(apply, head, weights, batch: Batch, query: tuple, step, key, config: Config) -> LossSums:
    """Nats of the texts, over their symbols."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    number, nats = sums(outputs.natural, target(batch), asked(query, batch), None)
    return LossSums(nats, number, {"nll_sum": nats, "entries": number}, outputs.buffers)


def sums(natural: jax.Array, target: tuple, asked: jax.Array, null) -> tuple:
    """(symbols, nats) of a batch: what training minimises and validation tells.

    Args:
        natural: logits [G, b, T, K].
        target: of `target`.
        asked: bool [G, b].
        null: not used.
    """
    symbols, bin_valid = (array.reshape(-1, array.shape[-1]) for array in target)
    logits = natural.reshape(-1, *natural.shape[2:])
    missing = (symbols < 0).astype(jnp.float32)
    padding = 1.0 - bin_valid.astype(jnp.float32)
    nats = optax.ctc_loss(logits, padding, jnp.maximum(symbols, 0), missing, blank_id=BLANK)
    known = asked.reshape(-1)
    number = jnp.where(known, (1 - missing).sum(1), 0.0).sum()
    return number, jnp.where(known, nats, 0.0).sum()


def scores(parts: Sequence[tuple]) -> dict[str, float]:
    """Nats a symbol over batches of `sums`; {} without a symbol."""
    number, nats = (float(np.sum(values)) for values in zip(*parts, strict=True))
    return {"nats": nats / number} if number else {}


def target(batch: Batch) -> tuple[jax.Array, jax.Array]:
    """(symbols int32 [G, b, L], 1 to K - 1 and -1 past a text's end; bin_valid [G, b, T])."""
    return batch.trials["symbols"], batch.trials["bin_valid"]


def asked(query: tuple, batch: Batch) -> jax.Array:
    """Trials that have a text, bool [G, b]."""
    return (batch.trials["symbols"] >= 0).any(-1)


def validation_query(key: jax.Array, batch: Batch, number: jax.Array, config: Config) -> tuple:
    """Nothing is drawn."""
    return ()
