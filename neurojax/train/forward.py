"""A forward pass with the weights of a state: of one model, or of all members of an ensemble."""

from typing import Any

import jax
import jax.numpy as jnp

from neurojax import heads
from neurojax.batch import Batch
from neurojax.models import stitcher
from neurojax.models.interface import Outputs, SpikeInputs, Weights, gather_rows


def outputs(
    trained: tuple[Any, Any, Any], batch: Batch, query, recipe, *, num_samples: int = 1, key=None
) -> Outputs:
    """What a model makes of a batch under a query, without dropout.

    Args:
        trained: (params, tables, buffers); of an ensemble with the members as first axis.
        batch: of trials.
        query: of the objective.
        recipe: its `model`, `objective`, `head` and `members` are read.
        num_samples, key: of a model with latent variables: so many samples drawn with this key, and
            their mean rate; without a key the model's own mean path.

    Returns:
        Of samples, extras are means over them. Of an ensemble: the natural parameters of the
        members' mean prediction, the states of all members side by side, [G, b, T, members * D],
        and no extras.
    """
    if num_samples > 1 and key is None:
        raise ValueError(f"num_samples={num_samples} needs a key to draw them with, got none")
    model, objective = recipe.model, recipe.objective
    # Hidden here, as in training: evaluation has no other way to a model's inputs.
    inputs = objective.module.inputs(batch, query, objective.config)
    specs = model.module.tables(model.config)

    def of_one(trained):
        params, tables, buffers = trained
        weights = Weights(params, gather_rows(tables, specs, batch), buffers)
        if key is None:
            return model.module.apply(weights, inputs, model.config, train=False, key=None)

        def sample(own):
            return model.module.apply(weights, inputs, model.config, train=False, key=own)

        # All samples at once: activations take as many times the memory of one pass.
        drawn = jax.vmap(sample)(jax.random.split(key, num_samples))
        states = None if drawn.states is None else drawn.states.mean(0)
        # Rates are averaged, not log-rates: the mean of exp is above exp of the mean.
        extras = jax.tree.map(lambda leaf: leaf.mean(0), drawn.extras)
        return Outputs(heads.named(recipe.head).averaged(drawn.natural), states, extras)

    if recipe.members == 1:
        return of_one(trained)
    found = jax.vmap(of_one)(trained)
    # Latents of different members share no axes: set side by side, never averaged.
    states = None if found.states is None else jnp.concatenate(list(found.states), axis=-1)
    return Outputs(heads.named(recipe.head).joined(found.natural), states)


def of_pairs(trained: tuple[Any, Any, Any], batch: Batch, query, place, unit, recipe) -> jax.Array:
    """What a model of one member, with `read` and `from_latents`, makes of single units that are
    left out of what a query shows: natural parameters [1, P, T, 1].

    Args:
        trained: (params, tables, buffers).
        batch: R trials of one session, every entry observed.
        query: of these trials; none of its bins is hidden.
        place: int32 [1, P], of a pair's trial among R.
        unit: int32 [1, P], hidden in that pair.
        recipe: see `outputs`.
    """
    params, tables, buffers = trained
    model, objective = recipe.model, recipe.objective
    inputs = objective.module.inputs(batch, query, objective.config)
    weights = Weights(
        params, gather_rows(tables, model.module.tables(model.config), batch), buffers
    )
    entries = model.module.read(weights.rows, inputs, model.config)
    latents = stitcher.read_in_less(weights.rows, entries, place[0], unit[0])

    def of_pair(leaf: jax.Array) -> jax.Array:
        return jnp.take(leaf, place[0], axis=1)

    # The counts themselves are not read again: a unit that is left out has no history of its own.
    own = SpikeInputs(None, *map(of_pair, inputs[1:5]), left_out=unit)
    return model.module.from_latents(weights, latents, own, model.config, train=False).natural


def of_states(trained: tuple[Any, Any, Any], batch: Batch, query, states, recipe) -> Outputs:
    """What a model of one member reads out of states [G, b, T, D] from elsewhere, under a query;
    see `models.interface` for the models that can."""
    params, tables, buffers = trained
    model, objective = recipe.model, recipe.objective
    inputs = objective.module.inputs(batch, query, objective.config)
    specs = model.module.tables(model.config)
    weights = Weights(params, gather_rows(tables, specs, batch), buffers)
    return model.module.answers(weights, states, inputs, model.config)
