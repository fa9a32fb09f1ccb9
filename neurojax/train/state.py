"""Everything a run is, besides its config and data: one pytree that the checkpoint holds whole."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.models import ndt, stitcher
from neurojax.models.config import ModelConfig
from neurojax.train import optimizer


class TrainState(NamedTuple):
    """Attributes:
    step: int32, batches consumed; batch i, its masks and its dropout are functions of (seed, i).
    params: shared parameters, float32.
    tables: stitcher tables, float32, see models.stitcher.TABLE_ROWS.
    dense_moments: optax state of the shared parameters.
    row_moments: Adam's state of the tables.
    skipped: int32, steps skipped so far because loss or gradient was not finite.
    skipped_in_a_row: int32.
    """

    step: jax.Array
    params: Any
    tables: dict[str, jax.Array]
    dense_moments: Any
    row_moments: optimizer.RowMoments
    skipped: jax.Array
    skipped_in_a_row: jax.Array


def init_state(
    seed: int,
    model: ModelConfig,
    optimizer_config: optimizer.OptimizerConfig,
    units_per_session: jax.Array,
    mean_counts: jax.Array,
) -> TrainState:
    """The state before the first step; pure, so it may run under jit and eval_shape.

    Args:
        seed: config.seed.
        model, optimizer_config: recipes.
        units_per_session: int [S].
        mean_counts: float [U], mean spikes per bin in the train split, positive.
    """
    params_key, tables_key = jax.random.split(jax.random.key(seed))
    params = ndt.init_params(params_key, model)
    tables = stitcher.init_tables(tables_key, model, units_per_session, mean_counts)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        tables=tables,
        dense_moments=optimizer.dense_transform(optimizer_config).init(params),
        row_moments=optimizer.init_rows(tables),
        skipped=jnp.zeros((), jnp.int32),
        skipped_in_a_row=jnp.zeros((), jnp.int32),
    )
