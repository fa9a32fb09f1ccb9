"""Events of a few kinds: at every frame, whether each kind is happening just now.

The target holds a pulse for each event, a few frames of ones around its time; a kind of event is
asked about by itself, so that two may come at once. The nats are those of a coin for each kind and
frame (binary cross-entropy).
"""

import jax
import jax.numpy as jnp

from neurojax.batch import Batch
from neurojax.objectives.interface import LossSums

# no settings, nothing hidden or drawn: the signal is read as it is
from neurojax.objectives.supervised import Config, inputs
from neurojax.objectives.supervised import draw as draw
from neurojax.objectives.supervised import validation_query as validation_query

SPLITS_INTO_PARTS = True
VALIDATED = ("events",)
HEADS = ("pulses",)


def loss(apply, head, weights, batch: Batch, query: tuple, step, key, config: Config) -> LossSums:
    """Mean nats of the kinds and frames."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    known = asked(query, batch)
    nats = jnp.where(known, head.nll(outputs.natural, target(batch)), 0.0).sum()
    number = known.sum().astype(jnp.float32)
    return LossSums(nats, number, {"nll_sum": nats, "entries": number}, outputs.buffers)


def target(batch: Batch) -> jax.Array:
    """Pulses float32 [G, b, S, K], 0 to 1; negative where nobody knows."""
    return batch.trials["pulses"]


def asked(query: tuple, batch: Batch) -> jax.Array:
    """Kinds and frames of which it is known, bool [G, b, S, K]."""
    return batch.trials["pulses"] >= 0
