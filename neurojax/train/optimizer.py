"""AdamW: optax for the shared parameters, touched rows only for tables of units and sessions.

A dense optimiser would decay the weights and moments of sessions that are absent from a batch; a
model with one module per session would not. So each row keeps its own step count (bias
correction), and a row that a batch does not touch stays bit-equal.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from neurojax.ranges import check_ranges, positive, positive_or_off, share


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """Attributes:
    learning_rate: peak.
    warmup_share: share of the steps spent warming up from learning_rate / initial_divisor.
    initial_divisor, final_divisor: cosine from learning_rate / initial_divisor over the peak down
        to learning_rate / (initial_divisor * final_divisor).
    weight_decay: decoupled, times the learning rate.
    decay_everything: also decay biases, norms and embeddings (the released recipe).
    row_weight_decay: for rows of units and sessions that the model says decay.
    b1, b2, epsilon: Adam.
    clip_norm: global norm over shared parameters and touched rows; 0 is off.
    """

    learning_rate: float
    warmup_share: float
    initial_divisor: float
    final_divisor: float
    weight_decay: float
    decay_everything: bool
    row_weight_decay: float
    b1: float
    b2: float
    epsilon: float
    clip_norm: float

    def __post_init__(self):
        check_ranges(self, "optimizer.", RANGES)


RANGES = {
    "learning_rate initial_divisor final_divisor epsilon": positive(),
    "weight_decay row_weight_decay": positive_or_off(),
    "b1 b2": share("[0, 1)"),
    "warmup_share": share("(0, 1)"),
    "clip_norm": positive_or_off("norm"),
}


class RowMoments(NamedTuple):
    """Adam's state for tables: same shapes as the tables, one count per row."""

    mean: dict[str, jax.Array]
    second: dict[str, jax.Array]
    count: dict[str, jax.Array]  # int32 [rows]


def schedule(config: OptimizerConfig, num_steps: int) -> optax.Schedule:
    """One-cycle cosine: step -> learning rate."""
    # Too few steps for a warm-up and a decay, as in a test's run.
    if num_steps < 4:
        return optax.constant_schedule(config.learning_rate)
    shape = (config.warmup_share, config.initial_divisor, config.final_divisor)
    if isinstance(config.learning_rate, jax.Array):  # traced, in a search: optax wants a number
        unit = optax.cosine_onecycle_schedule(num_steps, 1.0, *shape)
        return lambda step: config.learning_rate * unit(step)
    return optax.cosine_onecycle_schedule(num_steps, config.learning_rate, *shape)


def _is_weight(path, leaf) -> bool:
    """Matrices of Dense layers: decayed. Biases, norms, embedding tables: not."""
    return getattr(path[-1], "key", "") == "kernel"


def dense_transform(config: OptimizerConfig) -> optax.GradientTransformation:
    """AdamW of the shared parameters for a learning rate of one; the step scales it."""
    # A mask of None decays every leaf, biases and norms too.
    mask = (
        None
        if config.decay_everything
        else (lambda tree: jax.tree_util.tree_map_with_path(_is_weight, tree))
    )
    return optax.chain(
        optax.scale_by_adam(config.b1, config.b2, config.epsilon),
        optax.add_decayed_weights(config.weight_decay, mask),
    )


def init_rows(tables: dict[str, jax.Array]) -> RowMoments:
    """Zero moments."""
    zeros = lambda: {name: jnp.zeros_like(table) for name, table in tables.items()}  # noqa: E731
    return RowMoments(
        zeros(), zeros(), {name: jnp.zeros(len(table), jnp.int32) for name, table in tables.items()}
    )


def update_rows(
    gradients: dict[str, jax.Array],
    moments: RowMoments,
    tables: dict[str, jax.Array],
    index: dict[str, jax.Array],
    learning_rate: jax.Array,
    apply: jax.Array,
    config: OptimizerConfig,
    decays: Mapping[str, bool | None],
) -> tuple[dict[str, jax.Array], RowMoments]:
    """One AdamW step on the rows a batch touched.

    Args:
        gradients: per table, with respect to the gathered rows [*index.shape, ...].
        moments, tables: full size.
        index: per table int32 [G, N] or [G]; rows must be distinct; an index past the end is
            dropped.
        learning_rate: float32, already at this step.
        apply: bool; False leaves everything as it was (non-finite guard).
        config: betas, decay.
        decays: per table, whether its rows decay, see `models.interface.TableSpec`.

    Returns:
        (tables, moments), rows outside `index` bit-equal.
    """
    tables = dict(tables)
    mean, second, count = (dict(part) for part in moments)
    for name, gradient in gradients.items():
        rows = index[name]
        # Padding's index lies past the end of the table: read as zeros, dropped when written.
        held = (tables[name], mean[name], second[name], count[name])
        old, old_mean, old_second, old_count = (
            array.at[rows].get(mode="fill", fill_value=0) for array in held
        )
        new_mean = config.b1 * old_mean + (1 - config.b1) * gradient
        new_second = config.b2 * old_second + (1 - config.b2) * gradient**2
        # Of this row alone; the dense parameters' count is optax's.
        new_count = old_count + 1
        # A row's own steps: the first of a rare session is corrected as a first step, however late.
        steps = new_count.astype(jnp.float32).reshape(
            new_count.shape + (1,) * (gradient.ndim - rows.ndim)
        )
        # Adam (Kingma & Ba 2015, algorithm 1), then decoupled decay (Loshchilov & Hutter 2019).
        direction = (new_mean / (1 - config.b1**steps)) / (
            jnp.sqrt(new_second / (1 - config.b2**steps)) + config.epsilon
        )
        of_weights = decays[name] is not None
        decays_here = decays[name] or (config.decay_everything and of_weights)
        decay = config.row_weight_decay if decays_here else 0.0
        direction = direction + decay * old
        changes = (
            (old - learning_rate * direction, old),
            (new_mean, old_mean),
            (new_second, old_second),
            (new_count, old_count),
        )
        # A skipped step writes back what it read, without a branch that would copy whole tables.
        tables[name], mean[name], second[name], count[name] = (
            array.at[rows].set(jnp.where(apply, *change), mode="drop")
            for array, change in zip(held, changes, strict=True)
        )
    return tables, RowMoments(mean, second, count)


def clip_scale(gradients: Any, max_norm: float) -> tuple[jax.Array, jax.Array]:
    """(norm, factor): a gradient's global norm, and what brings it to `max_norm` at most."""
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradients)))
    return norm, jnp.minimum(1.0, max_norm / jnp.maximum(norm, 1e-12)) if max_norm else jnp.ones(())
