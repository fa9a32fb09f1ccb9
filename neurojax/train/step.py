"""One training step and one validation step: pure functions of (state, batch)."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from neurojax import losses, masking, unit_sums
from neurojax.models import ndt, stitcher
from neurojax.models.config import ModelConfig
from neurojax.train import microbatches, optimizer
from neurojax.train.state import TrainState
from neurojax.types import Batch
from neurojax.unit_sums import UnitSums


class Freeze(NamedTuple):
    """What a fine-tuning run leaves as it was: shared parameters and the rows of sessions known before.

    Attributes:
        until_step: first step that trains everything.
        unit_rows, session_rows: rows below these numbers belong to known sessions.
    """

    until_step: int
    unit_rows: int
    session_rows: int

    def known(self, name: str, rows: jax.Array) -> jax.Array:
        """Which rows of table `name` belong to known sessions, bool of the shape of `rows`."""
        return rows < (self.unit_rows if stitcher.TABLE_ROWS[name] == "unit" else self.session_rows)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a step needs beside its arguments; hashable, hence static under jit.

    Attributes:
        seed: config.seed.
        num_steps: length of the learning-rate schedule.
        model, masking, optimizer: the config blocks.
        loss_reduction, loss_size_power: see losses.reduce_loss.
        freeze: what stays as it was, in fine-tuning; None trains everything.
    """

    seed: int
    num_steps: int
    model: ModelConfig
    masking: masking.MaskingConfig
    optimizer: optimizer.OptimizerConfig
    loss_reduction: str = "mean"
    loss_size_power: float = 0.0
    freeze: Freeze | None = None


def train_step(
    state: TrainState, batch: Batch, recipe: Recipe, parts: int = 1
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One gradient step; a step whose loss or gradient is not finite changes nothing but counters.

    Args:
        state: donated by the caller.
        batch: counts [G, b, T, N].
        recipe: static.
        parts: static; the trials of each group are computed in so many parts, see train.microbatches. Masks are drawn
            for the whole batch; without dropout the result is that of one part to rounding.

    Returns:
        (state, sums): sums are float32 scalars: nll_sum (nats), entries, loss, gradient_norm,
        learning_rate, skipped (0 or 1), skipped_in_a_row.
    """
    key = jax.random.fold_in(jax.random.key(recipe.seed), state.step)
    scheme_key, mask_key, dropout_key = jax.random.split(key, 3)
    scheme = masking.sample_schemes(scheme_key, batch, recipe.masking)
    masks = masking.draw_masks(mask_key, batch, scheme, recipe.masking)
    rows = stitcher.gather_rows(state.tables, batch)

    reduction = (recipe.loss_reduction, recipe.loss_size_power)
    total = None if parts == 1 else losses.trial_weights(masks.num_targets(), *reduction)[1]

    def loss_of(trainable, trials, dropout_key):
        params, rows = trainable
        fields, masks, scheme = trials
        part = batch._replace(**fields)
        log_rates = ndt.log_rates(params, rows, part, masks, scheme, recipe.model, dropout_key)
        nll_sum, entries = losses.masked_sums(losses.poisson_nll(log_rates, part.counts), masks.target())
        return losses.reduce_loss(nll_sum, entries, *reduction, total), (nll_sum.sum(), entries.sum())

    fields = {name: getattr(batch, name) for name in ("counts", "bin_valid", "trial_id", "targets")}
    (loss, (nll_sum, entries)), gradients = microbatches.value_and_grad(
        loss_of, (state.params, rows), (fields, masks, scheme), dropout_key, parts
    )
    index = {name: stitcher.row_index(name, batch) for name in state.tables}
    frozen = jnp.zeros((), bool)
    if recipe.freeze is not None:
        frozen = state.step < recipe.freeze.until_step
        gradients, index = _without_frozen(gradients, index, state.tables, frozen, recipe.freeze)
    norm, factor = optimizer.clip_scale(gradients, recipe.optimizer.clip_norm)
    finite = jnp.isfinite(loss) & jnp.isfinite(norm)
    dense_gradients, row_gradients = jax.tree.map(lambda gradient: gradient * factor, gradients)

    learning_rate = optimizer.schedule(recipe.optimizer, recipe.num_steps)(state.step)
    direction, dense_moments = optimizer.dense_transform(recipe.optimizer).update(
        dense_gradients, state.dense_moments, state.params
    )
    params = optax.apply_updates(state.params, jax.tree.map(lambda d: -learning_rate * d, direction))
    keep = lambda new, old: jax.tree.map(lambda n, o: jnp.where(finite & ~frozen, n, o), new, old)  # noqa: E731
    tables, row_moments = optimizer.update_rows(
        row_gradients, state.row_moments, state.tables, index, learning_rate, finite, recipe.optimizer
    )
    skipped = (~finite).astype(jnp.int32)
    new_state = TrainState(
        step=state.step + 1,
        params=keep(params, state.params),
        tables=tables,
        dense_moments=keep(dense_moments, state.dense_moments),
        row_moments=row_moments,
        skipped=state.skipped + skipped,
        skipped_in_a_row=jnp.where(finite, 0, state.skipped_in_a_row + 1),
    )
    return new_state, {
        "loss": loss,
        "nll_sum": nll_sum,
        "entries": entries,
        "gradient_norm": norm,
        "learning_rate": learning_rate,
        "skipped": skipped,
        "skipped_in_a_row": new_state.skipped_in_a_row,
    }


def _without_frozen(gradients, index, tables, frozen: jax.Array, freeze: Freeze):
    """Gradients of what is frozen are zero (and out of the clipped norm); indices of its rows lie past the end."""
    dense, rows = gradients
    dense = jax.tree.map(lambda gradient: jnp.where(frozen, 0.0, gradient), dense)
    rows, index = dict(rows), dict(index)
    for name, where in index.items():
        held = frozen & freeze.known(name, where)
        index[name] = jnp.where(held, len(tables[name]), where)
        rows[name] = jnp.where(held.reshape(held.shape + (1,) * (rows[name].ndim - held.ndim)), 0.0, rows[name])
    return (dense, rows), index


def validation_sums(
    params,
    tables,
    null_log_rates: jax.Array,
    batch: Batch,
    index: jax.Array,
    scheme: int,
    recipe: Recipe,
    asked_as: int | None = None,
) -> tuple[UnitSums, jax.Array]:
    """Likelihood of each unit under one scheme on one validation batch, under masks fixed by `index`.

    Args:
        params, tables: of the state.
        null_log_rates: float32 [U], log of each unit's mean count in the train split.
        batch: validation trials, [G, b, T, N].
        index: int32, number of the batch: the same masks at every call.
        scheme: id of masking.SCHEMES, decides what is hidden.
        asked_as: id of the scheme whose prompt and attention the model uses; default `scheme`.
        recipe: static.

    Returns:
        Sums over the target entries of the units of all groups, [G * N], and the null's rate of each, spikes per bin
        (1 for padding, which has no target).
    """
    schemes = jnp.full(batch.trial_id.shape, scheme, jnp.int32)
    key = jax.random.fold_in(jax.random.key(recipe.seed + 1), index)
    masks = masking.draw_masks(key, batch, schemes, recipe.masking)
    rows = stitcher.gather_rows(tables, batch)
    asked = schemes if asked_as is None else jnp.full_like(schemes, asked_as)
    log_rates = ndt.log_rates(params, rows, batch, masks, asked, recipe.model)
    null_rates = jnp.exp(null_log_rates.at[batch.unit_row].get(mode="fill", fill_value=0)).ravel()  # [G * N]

    def side_by_side(entries: jax.Array) -> jax.Array:
        return jnp.moveaxis(entries, 0, 2).reshape(*entries.shape[1:3], -1)  # [G, b, T, N] -> [b, T, G * N]

    entries = map(side_by_side, (log_rates, batch.counts, masks.target()))
    return unit_sums.add(unit_sums.empty(len(null_rates)), *entries, null_rates), null_rates
