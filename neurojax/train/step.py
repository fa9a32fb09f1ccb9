"""One training step: pure, of (state, batch); it knows no model or objective by name."""

import dataclasses
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from neurojax import heads
from neurojax.batch import Batch
from neurojax.models import interface
from neurojax.models.interface import Weights, gather_rows, row_index
from neurojax.objectives import interface as objective_interface
from neurojax.train import head_rows, microbatches, optimizer
from neurojax.train.state import TrainState


class Model(NamedTuple):
    """A model's file name in models/ and its config; the name of a head whose rows lie in tables
    beside the model's, see `train.head_rows`."""

    name: str
    config: Any
    rows_of: str = ""

    @property
    def module(self) -> ModuleType | SimpleNamespace:
        if self.rows_of:
            return head_rows.with_rows(self.name, self.rows_of)
        return interface.named(self.name)


class Objective(NamedTuple):
    """An objective's file name in objectives/ and its config."""

    name: str
    config: Any

    @property
    def module(self) -> ModuleType:
        return objective_interface.named(self.name)


class Freeze(NamedTuple):
    """What fine-tuning leaves as it was: shared parameters and rows of known sessions.

    Attributes:
        until_step: first step that trains everything.
        unit_rows, session_rows: rows below these numbers belong to known sessions.
    """

    until_step: int
    unit_rows: int
    session_rows: int

    def known(self, spec: interface.TableSpec, rows: jax.Array) -> jax.Array:
        """Which rows of a table belong to known sessions, bool of the shape of `rows`."""
        return rows < (self.unit_rows if spec.rows == "unit" else self.session_rows)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a step needs beside its arguments; hashable, hence static under jit.

    Attributes:
        seed: config.seed.
        num_steps: length of the learning-rate schedule.
        model, objective: module and config of each.
        head: name of the head.
        optimizer: its config.
        members: models trained side by side on the same batches, see `run_step`.
        freeze: what stays as it was, in fine-tuning; None trains everything.
    """

    seed: int
    num_steps: int
    model: Model
    objective: Objective
    head: str
    optimizer: optimizer.OptimizerConfig
    members: int = 1
    freeze: Freeze | None = None


def train_step(
    state: TrainState, batch: Batch, recipe: Recipe, parts: int = 1
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One gradient step; a step whose loss or gradient is not finite changes nothing but counters.

    Args:
        state: donated by the caller.
        batch: trials [G, b, ...] and their groups.
        recipe: static.
        parts: static; the trials of each group are computed in so many parts, see
            train.microbatches. The query is drawn for the whole batch; without dropout the result
            is that of one part to rounding.

    Returns:
        (state, sums): sums are float32 scalars: loss, gradient_norm, learning_rate, skipped
        (0 or 1), skipped_in_a_row, and the objective's metrics (nll_sum in nats, entries, ...).
    """
    specs = recipe.model.module.tables(recipe.model.config)
    # Rows are differentiated as the batch gathered them: the gradient of a whole table would be as
    # large as the table, for the few sessions of a batch.
    loss, metrics, buffers, gradients = _gradients(state, batch, recipe, specs, parts)
    index = {name: row_index(specs[name], batch) for name in state.tables}
    # Traced, not a Python bool: training thaws at until_step without a second compilation.
    frozen = jnp.zeros((), bool)
    if recipe.freeze is not None:
        frozen = state.step < recipe.freeze.until_step
        gradients, index = _without_frozen(
            gradients, index, state.tables, frozen, recipe.freeze, specs
        )
    # Frozen first, clipped then: what does not train must not shrink what does.
    norm, factor = optimizer.clip_scale(gradients, recipe.optimizer.clip_norm)
    # The norm is over every gradient, so one NaN or overflow anywhere is seen here.
    finite = jnp.isfinite(loss) & jnp.isfinite(norm)
    dense_gradients, row_gradients = jax.tree.map(lambda gradient: gradient * factor, gradients)

    # By batches consumed: a skipped step moves the schedule on, but not Adam's own count.
    learning_rate = optimizer.schedule(recipe.optimizer, recipe.num_steps)(state.step)
    transform = optimizer.dense_transform(recipe.optimizer)
    direction, dense_moments = transform.update(dense_gradients, state.dense_moments, state.params)
    params = optax.apply_updates(
        state.params, jax.tree.map(lambda d: -learning_rate * d, direction)
    )
    decays = {name: spec.decays for name, spec in specs.items()}
    # `finite` alone, unlike `kept` below: rows of new sessions train while all else is frozen.
    tables, row_moments = optimizer.update_rows(
        row_gradients,
        state.row_moments,
        state.tables,
        index,
        learning_rate,
        finite,
        recipe.optimizer,
        decays,
    )

    # A `cond` would copy both branches of the state; `where` lets it be updated in place.
    def kept(new, old):
        return jax.tree.map(lambda n, o: jnp.where(finite & ~frozen, n, o), new, old)

    new_state = TrainState(
        step=state.step + 1,
        seed=state.seed,
        params=kept(params, state.params),
        tables=tables,
        buffers=kept(buffers, state.buffers),
        dense_moments=kept(dense_moments, state.dense_moments),
        row_moments=row_moments,
        skipped=state.skipped + (~finite).astype(jnp.int32),
        skipped_in_a_row=jnp.where(finite, 0, state.skipped_in_a_row + 1),
    )
    # Left on the device: whoever logs fetches them later, so that no step waits for the host.
    return new_state, metrics | {
        "loss": loss,
        "gradient_norm": norm,
        "learning_rate": learning_rate,
        "skipped": (~finite).astype(jnp.int32),
        "skipped_in_a_row": new_state.skipped_in_a_row,
    }


def run_step(
    state: TrainState, batch: Batch, recipe: Recipe, parts: int = 1
) -> tuple[TrainState, dict[str, jax.Array]]:
    """`train_step` of a run: of its one model, or of every member of an ensemble in one program.

    Members see the same batch; each has its own seed (weights at first, masks, dropout), its own
    finite check and its own clipping. The sums are means over them, of `skipped` the largest.
    """
    if recipe.members == 1:
        return train_step(state, batch, recipe, parts)
    # Over the state alone: batch and recipe are shared, and one program trains all members.
    state, sums = jax.vmap(lambda state: train_step(state, batch, recipe, parts))(state)
    # Of `skipped` the largest: a mean would hide the one member that diverges.
    return state, {
        name: values.max() if "skipped" in name else values.mean() for name, values in sums.items()
    }


def _gradients(state: TrainState, batch: Batch, recipe: Recipe, specs, parts: int):
    """(loss, metrics, buffers, gradients of (params, rows)) of a batch."""
    model, objective, head = recipe.model, recipe.objective, heads.named(recipe.head)
    # Seed and step alone make the key: a resumed run draws what it would have drawn.
    key = jax.random.fold_in(jax.random.key(state.seed), state.step)
    # Drawn for the whole batch before it is split: parts change memory, never what is hidden.
    query = objective.module.draw(key, batch, state.step, objective.config)
    dropout_key = jax.random.split(key, 3)[2]  # the first two are the draw's own
    rows = gather_rows(state.tables, specs, batch)
    apply = partial(model.module.apply, config=model.config, train=True)

    def sums_of(trainable, part, buffers, key):
        # Buffers (running averages) pass through; they have no gradient.
        weights = Weights(*trainable, buffers)
        trials, query = part
        asked = (batch._replace(trials=trials), query, state.step, key, objective.config)
        return objective.module.loss(apply, head, weights, *asked)

    return microbatches.gradients_of_parts(
        sums_of, (state.params, rows), (batch.trials, query), state.buffers, dropout_key, parts
    )


def _without_frozen(gradients, index, tables, frozen: jax.Array, freeze: Freeze, specs):
    """(gradients, index) in which what is frozen has zero gradients and indices past the end."""
    dense, rows = gradients
    dense = jax.tree.map(lambda gradient: jnp.where(frozen, 0.0, gradient), dense)
    rows, index = dict(rows), dict(index)
    for name, where in index.items():
        held = frozen & freeze.known(specs[name], where)
        # Past the end the update drops them: such a row and its moments stay bit-equal.
        index[name] = jnp.where(held, len(tables[name]), where)
        # The gradient as well, or frozen rows would count in the clipped norm.
        rows[name] = jnp.where(
            held.reshape(held.shape + (1,) * (rows[name].ndim - held.ndim)), 0.0, rows[name]
        )
    return (dense, rows), index
