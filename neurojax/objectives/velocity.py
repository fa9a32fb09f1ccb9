"""Velocities: at every frame, how fast joints or a cursor move; the absolute error is minimised.

Absolute and not squared: of a movement that is mostly rest, the few fast frames would else decide.
A velocity that is not finite is one that nobody knows.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.batch import Batch
from neurojax.objectives.interface import LossSums

# no settings, nothing hidden or drawn: the signal is read as it is
from neurojax.objectives.supervised import Config, inputs
from neurojax.objectives.supervised import draw as draw
from neurojax.objectives.supervised import validation_query as validation_query

SPLITS_INTO_PARTS = True
VALIDATED = ("velocity",)
HEADS = ("gaussian",)


def loss(apply, head, weights, batch: Batch, query: tuple, step, key, config: Config) -> LossSums:
    """Mean absolute error of the frames and axes."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    number, error = sums(outputs.natural, target(batch), asked(query, batch), None)
    return LossSums(error, number, {"nll_sum": error, "entries": number}, outputs.buffers)


def sums(natural: jax.Array, target: jax.Array, asked: jax.Array, null) -> tuple:
    """(entries, absolute errors) of a batch: what training minimises and validation tells.

    Args:
        natural: [G, b, S, K], in the unit of the target.
        target: of `target`.
        asked: bool [G, b, S, K].
        null: not used.
    """
    error = jnp.abs(natural - jnp.where(asked, target, 0.0))
    return asked.sum().astype(jnp.float32), jnp.where(asked, error, 0.0).sum()


def scores(parts: Sequence[tuple]) -> dict[str, float]:
    """Mean absolute error over batches of `sums`; {} without an entry."""
    number, error = (float(np.sum(values)) for values in zip(*parts, strict=True))
    return {"mean_absolute_error": error / number} if number else {}


def target(batch: Batch) -> jax.Array:
    """Velocities float32 [G, b, S, K]."""
    return batch.trials["velocity"]


def asked(query: tuple, batch: Batch) -> jax.Array:
    """Frames and axes whose velocity is known, bool [G, b, S, K]."""
    return jnp.isfinite(batch.trials["velocity"])
