"""Where training on one trial would move the weights: gradients of the loss of single trials, as
sketches short enough to compare many.

Two trials whose gradients point the same way teach the same: a small step on one lowers the loss of
the other. Source: Pruthi et al. 2020, Estimating training data influence by tracing gradient
descent, arXiv 2002.08484. The sketch gives each weight a random sign and adds it to one of `width`
numbers; cosines change by about 1 / sqrt(width) at most (Charikar, Chen & Farach-Colton 2002).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from neurojax import heads
from neurojax.batch import Batch, entry_valid
from neurojax.objectives.interface import Query
from neurojax.train import forward
from neurojax.train.predictor import Predictor, Recipe

WIDTH = 4093  # a prime: weights of one column of a matrix do not meet in one number


def sketches(model: Predictor, batch: Batch, query: Query, width: int = WIDTH) -> np.ndarray:
    """Sketches of the gradients of the hidden entries' loss by all weights, units' rows among them.

    Args:
        model: one model or an ensemble.
        batch: b trials of one group.
        query: what is hidden of each.
        width: numbers a sketch.

    Returns:
        float32 [b, width]; of several queries to the same trials sketches may be added.
    """
    trained = (model.params, model.tables, model.buffers)
    return np.asarray(_sketches(trained, batch, query, recipe=model.recipe, width=width))


def sketch(values: jax.Array, width: int) -> jax.Array:
    """Values [n] with random signs, each added to one of `width` numbers: float32 [width]."""
    signs = jax.random.rademacher(jax.random.key(0), values.shape, jnp.int8)
    signed = values.astype(jnp.float32) * signs
    return jnp.pad(signed, (0, -len(values) % width)).reshape(-1, width).sum(0)


@functools.partial(jax.jit, static_argnames=("recipe", "width"))
def _sketches(trained: Any, batch: Batch, query: Query, recipe: Recipe, width: int) -> jax.Array:
    weights, buffers = trained[:2], trained[2]

    def loss(weights: Any, batch: Batch, query: Query) -> jax.Array:
        found = forward.outputs((*weights, buffers), batch, query, recipe)
        target = recipe.objective.module.target(batch)
        hidden = query.hidden_units[..., None, :] | query.hidden_bins[..., None]
        asked = hidden & entry_valid(batch) & batch.groups["unit_valid"][:, None, None]
        nats = heads.named(recipe.head).nll(found.natural, target)
        return jnp.where(asked, nats, 0.0).sum()

    def of_one(trial: tuple[dict, Query]) -> jax.Array:
        trials, asked = jax.tree.map(lambda leaf: leaf[None, None], trial)
        gradient = jax.grad(loss)(weights, Batch(trials, batch.groups), asked)
        # End to end: leaves that all began at the first number would meet there.
        return sketch(ravel_pytree(gradient)[0], width)

    one_group = jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], (batch.trials, query))
    # One trial after the other: a gradient takes the memory of all weights.
    return jax.lax.map(of_one, one_group)
