"""Everything a run is, besides its config and data: one pytree that the checkpoint holds whole."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.data.sources.interface import Source
from neurojax.facts import Facts
from neurojax.models import interface
from neurojax.train import optimizer


class TrainState(NamedTuple):
    """Attributes:
    step: int32, batches consumed.
    seed: uint32; weights at first, masks and dropout are functions of (seed, step).
    params: shared parameters, float32.
    tables: rows of units and sessions, float32, see models.interface.TableSpec.
    buffers: the model's state without a gradient.
    dense_moments: optax state of the shared parameters.
    row_moments: Adam's state of the tables.
    skipped: int32, steps skipped so far because loss or gradient was not finite.
    skipped_in_a_row: int32.

    Of an ensemble every leaf has the members as its first axis.
    """

    step: jax.Array
    seed: jax.Array
    params: Any
    tables: dict[str, jax.Array]
    buffers: Any
    dense_moments: Any
    row_moments: optimizer.RowMoments
    skipped: jax.Array
    skipped_in_a_row: jax.Array


def steps_taken(state: TrainState) -> int:
    """Batches consumed; members of an ensemble have consumed the same."""
    return int(np.max(jax.device_get(state.step)))


def init_state(seed: jax.Array, recipe, facts: Facts) -> TrainState:
    """The state before the first step; pure, so it may run under jit, vmap and eval_shape.

    Args:
        seed: uint32 [].
        recipe: of train.step.
        facts: of the source.
    """
    model, config = recipe.model.module, recipe.model.config
    params_key, tables_key = jax.random.split(jax.random.key(seed))
    params, buffers = model.init(params_key, config, facts)
    tables = init_tables(tables_key, model.tables(config), facts)
    params, buffers, tables = jax.tree.map(_of_fixed_type, (params, buffers, tables))
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        seed=jnp.asarray(seed, jnp.uint32),
        params=params,
        tables=tables,
        buffers=buffers,
        dense_moments=optimizer.dense_transform(recipe.optimizer).init(params),
        row_moments=optimizer.init_rows(tables),
        skipped=jnp.zeros((), jnp.int32),
        skipped_in_a_row=jnp.zeros((), jnp.int32),
    )


def _of_fixed_type(leaf: jax.Array) -> jax.Array:
    """What was filled with a number of Python has no fixed type until a step has added to it: that
    step would then be compiled twice."""
    return jax.lax.convert_element_type(leaf, leaf.dtype)


def init_run(recipe, facts: Facts, mean_counts: Any) -> TrainState:
    """`init_state` of a run or ensemble; `mean_counts` float32 [U] apart, to be traced."""
    known = dataclasses.replace(facts, mean_counts=mean_counts)
    if recipe.members == 1:
        return init_state(recipe.seed, recipe, known)
    # Member k starts as a run of seed + k would.
    seeds = jnp.uint32(recipe.seed) + jnp.arange(recipe.members, dtype=jnp.uint32)
    return jax.vmap(lambda seed: init_state(seed, recipe, known))(seeds)


def fresh_run(recipe, facts: Facts, places: Any) -> TrainState:
    """`init_run` on the devices, compiled once for all runs of a recipe and sizes in a process.

    Args:
        recipe, facts: see `init_state`.
        places: the sharding of every leaf.
    """
    leaves, structure = jax.tree.flatten(places)
    known, _ = without_numbers(facts)
    return _init_program(recipe, known, tuple(leaves), structure)(facts.mean_counts)


@functools.lru_cache(maxsize=8)
def _init_program(recipe, facts: Facts, leaves, structure):
    # It runs once; on CPUs, to optimise it takes longer than to compile and run it as it is.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    places = jax.tree.unflatten(structure, leaves)
    initial = functools.partial(init_run, recipe, facts)
    return jax.jit(initial, out_shardings=places, compiler_options=options)


def abstract_run(recipe, facts: Facts) -> TrainState:
    """Shapes and dtypes of `init_run`, nothing computed."""
    return _copied(_run_shapes(recipe, *without_numbers(facts)))


def with_fitted_rows(state: TrainState, recipe, source: Source) -> TrainState:
    """The state, with those tables that the model fits to the training trials before it starts."""
    fit = getattr(recipe.model.module, "fitted_rows", None)
    fitted = fit(recipe.model.config, source.sessions, source.facts) if fit else {}
    placed = {}
    for name, rows in fitted.items():
        table = state.tables[name]  # of an ensemble every member starts at the same fit
        # Fitted on the host, hence put where the table's own shards lie.
        placed[name] = jax.device_put(np.broadcast_to(rows, table.shape), table.sharding)
    return state._replace(tables=state.tables | placed)


def abstract_weights(
    model, facts: Facts, members: int = 1
) -> tuple[Any, dict[str, jax.ShapeDtypeStruct]]:
    """Shapes and dtypes of (params, tables) of a model, a `train.step.Model`, or of several."""
    shapes = abstract_trained(model, facts, members)
    return shapes["params"], shapes["tables"]


def abstract_trained(model, facts: Facts, members: int = 1) -> dict[str, Any]:
    """`abstract_weights` by name, the buffers beside them: all that a prediction needs."""
    found = weight_shapes(model, *without_numbers(facts))
    if members == 1:
        return _copied(found)
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((members, *leaf.shape), leaf.dtype), found
    )


def weight_shapes(model, known: Facts, means: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """`abstract_trained` of one model, not to be changed; facts as `without_numbers` gives them."""
    module = model.module
    return _weight_shapes(module.init, module.tables, model.config, known, means)


# Shapes without numbers: no memory is taken, whatever the size of the model. To trace a model takes
# half a second, and a run asks several times: hence each once.


@functools.lru_cache(maxsize=64)
def _run_shapes(recipe, facts: Facts, means) -> TrainState:
    return jax.eval_shape(functools.partial(init_run, recipe, facts), means)


@functools.lru_cache(maxsize=64)
def _weight_shapes(init, specs_of, config, facts: Facts, means) -> dict[str, Any]:
    def weights(mean_counts):
        # Any key will do: shapes do not depend on it.
        known, key = dataclasses.replace(facts, mean_counts=mean_counts), jax.random.key(0)
        params, buffers = init(key, config, known)
        tables = init_tables(key, specs_of(config), known)
        return {"params": params, "tables": tables, "buffers": buffers}

    return jax.eval_shape(weights, means)


def without_numbers(facts: Facts) -> tuple[Facts, jax.ShapeDtypeStruct | None]:
    """(facts without their means, shape of these): what shapes depend on, hashable."""
    means = facts.mean_counts
    if means is None:
        return facts, None
    shape = jax.ShapeDtypeStruct(np.shape(means), jnp.result_type(means))
    return dataclasses.replace(facts, mean_counts=None), shape


def _copied(shapes: Any) -> Any:
    """The same in new containers: what is remembered is nobody's to change."""
    return jax.tree.map(lambda leaf: leaf, shapes)


def init_tables(
    key: jax.Array, specs: dict[str, interface.TableSpec], facts: Facts
) -> dict[str, jax.Array]:
    """First values of a model's tables, each from a key of its own."""
    # By place, not by name: a table added in front gives the others other first values.
    keys = jax.random.split(key, len(specs)) if specs else ()
    return {
        name: spec.init(own, facts) for own, (name, spec) in zip(keys, specs.items(), strict=True)
    }
