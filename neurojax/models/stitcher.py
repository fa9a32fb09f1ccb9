"""Per-session read-in and read-out as flat tables addressed by row.

All units of all sessions share one table, so that a dataset is one array to shard, save and
extend; a batch gathers the rows of its G sessions once. Rows belong to (session, unit) by name,
see `data.batching.Layout`: two sessions of equal size never share a row.
"""

import math

import chex
import jax
import jax.numpy as jnp

from neurojax.models.config import ModelConfig
from neurojax.models.products import product
from neurojax.models.smoothing import OWN_MEMORIES_BINS
from neurojax.types import Batch

# name -> which of a batch's row indices addresses the table
TABLE_ROWS = {
    "read_in": "unit",  # [U, K]
    "read_out": "unit",  # [U, D]
    "read_out_bias": "unit",  # [U]
    "read_in_bias": "session",  # [S, K]
    "own_history": "unit",  # [U, 3], where config.own_history is on
    "session_token": "session",  # [S', D], S' = max(S, num_session_rows)
}


def init_tables(
    key: jax.Array, config: ModelConfig, units_per_session: jax.Array, mean_counts: jax.Array
) -> dict[str, jax.Array]:
    """Initial tables, float32.

    Args:
        key: PRNG key.
        config: widths and `init`.
        units_per_session: int [S].
        mean_counts: float [U], each unit's mean spikes per bin in the train split, positive.

    Returns:
        the tables of TABLE_ROWS.
    """
    num_units, num_sessions = len(mean_counts), len(units_per_session)
    keys = jax.random.split(key, 5)
    shape_in, shape_out = (num_units, config.read_in_width), (num_units, config.width)
    fan_in = jnp.repeat(units_per_session, units_per_session, total_repeat_length=num_units)[:, None]
    token_rows = max(num_sessions, config.num_session_rows)
    tokens = jax.random.normal(keys[4], (token_rows, config.width))
    extra = {"own_history": jnp.zeros((num_units, len(OWN_MEMORIES_BINS)))} if config.own_history else {}
    if config.init == "released":  # uniform in +-1/sqrt(fan in), weights and biases
        bound_out = 1 / math.sqrt(config.width)
        bound_bias = (1 / jnp.sqrt(units_per_session))[:, None]
        return {
            "read_in": jax.random.uniform(keys[0], shape_in, minval=-1) / jnp.sqrt(fan_in),
            "read_out": jax.random.uniform(keys[1], shape_out, minval=-bound_out, maxval=bound_out),
            "read_out_bias": jax.random.uniform(keys[2], (num_units,), minval=-bound_out, maxval=bound_out),
            "read_in_bias": bound_bias * jax.random.uniform(keys[3], (num_sessions, config.read_in_width), minval=-1),
            "session_token": tokens,
            **extra,
        }
    return {
        "read_in": jax.random.normal(keys[0], shape_in) / jnp.sqrt(fan_in * mean_counts[:, None]),
        "read_out": jnp.zeros(shape_out),
        "read_out_bias": jnp.log(mean_counts),
        "read_in_bias": jnp.zeros((num_sessions, config.read_in_width)),
        "session_token": 0.1 * tokens,
        **extra,
    }


def row_index(name: str, batch: Batch) -> jax.Array:
    """Rows of table `name` that a batch touches: int32 [G, N] for units, [G] for sessions."""
    return batch.unit_row if TABLE_ROWS[name] == "unit" else batch.session_id


def gather_rows(tables: dict[str, jax.Array], batch: Batch) -> dict[str, jax.Array]:
    """The rows of a batch's sessions, [G, N, ...] and [G, ...]; padding reads zeros."""
    return {name: table.at[row_index(name, batch)].get(mode="fill", fill_value=0) for name, table in tables.items()}


def read_in(rows: dict[str, jax.Array], visible_counts: jax.Array) -> jax.Array:
    """Visible counts float [G, b, T, N] (hidden entries zero) -> latents [G, b, T, K]."""
    chex.assert_rank([visible_counts, rows["read_in"]], [4, 3])
    weights = rows["read_in"].astype(visible_counts.dtype)
    bias = rows["read_in_bias"].astype(visible_counts.dtype)
    return _per_group(visible_counts, weights) + bias[:, None, None]


def _per_group(entries: jax.Array, weights: jax.Array) -> jax.Array:
    """[G, b, T, I] times the weights of its group [G, I, O] -> [G, b, T, O]."""
    groups, trials, num_bins, width = entries.shape
    return product(entries.reshape(groups, -1, width), weights).reshape(groups, trials, num_bins, -1)


def posterior(
    rows, latents: jax.Array, visible_units: jax.Array, base_rates: jax.Array, noise: float, left_out=None
) -> jax.Array:
    """Latents as the posterior mean given the visible units, instead of a sum that shrinks as units are hidden.

    Counts over the root of their mean are read as W z + noise of variance one, W the read-in rows over that root,
    scaled to unit columns in the mean: z = (1 + noise) (W' W over visible units + noise I)^-1 W' counts. With all
    units visible and orthonormal columns that is the plain sum. No gradient passes through the matrix.

    Args:
        latents: [G, b, T, K], from `read_in` of centred visible counts.
        visible_units: bool [G, b, N].
        base_rates: float32 [G, N], spikes per bin; padding units have zero rows.
        noise: noise over signal, positive.
        left_out: int32 [G, b] where all trials of a group see the same units but for one each, this one: the matrix
            is then made once.
    """
    chex.assert_rank([latents, visible_units, base_rates], [4, 3, 2])
    loadings = jax.lax.stop_gradient(rows["read_in"] * jnp.sqrt(base_rates)[..., None])  # [G, N, K]
    width = loadings.shape[-1]
    energy = jnp.sum(jnp.square(loadings), axis=(1, 2), keepdims=True) / width
    loadings = loadings / jnp.sqrt(jnp.maximum(energy, 1e-12))
    if left_out is None:
        shown = jnp.where(visible_units[..., None], loadings[:, None], 0.0)  # [G, b, N, K]
        gram = jnp.einsum("gbnk,gnl->gbkl", shown, loadings)
    else:
        shown = jnp.where(visible_units.any(1)[..., None], loadings, 0.0)  # [G, N, K], seen by any trial
        own = jnp.take_along_axis(shown, left_out[..., None], axis=1)  # [G, b, K]
        gram = jnp.einsum("gnk,gnl->gkl", shown, shown)[:, None] - own[..., :, None] * own[..., None, :]
    factor = jax.scipy.linalg.cho_factor(gram + noise * jnp.eye(width)[None, None], lower=True)
    bias = rows["read_in_bias"][:, None, None]
    solved = jax.scipy.linalg.cho_solve(factor, jnp.swapaxes(latents.astype(jnp.float32) - bias, -1, -2))
    return (bias + (1 + noise) * jnp.swapaxes(solved, -1, -2)).astype(latents.dtype)  # [G, b, T, K]


def log_gain(drive: jax.Array, link: str) -> jax.Array:
    """Log of the rate over the base rate, for the weighted sum of states `drive`; 0 at 0.

    "exp": the drive itself. "softplus": log of softplus(2.5 (1 + drive)) over its value at 0, so that rates are
    nearly linear in the drive, never negative, and a large drive cannot explode.
    """
    if link == "exp":
        return drive
    steepness = 2.5
    lifted = jnp.maximum(steepness * (1 + drive), -30.0)
    return jnp.log(jax.nn.softplus(lifted)) - math.log(math.log1p(math.exp(steepness)))


def read_out(
    rows: dict[str, jax.Array], hidden: jax.Array, link: str = "exp", own_drive=0.0, reads_states=None
) -> jax.Array:
    """Hidden states [G, b, T, D] -> log-rates float32 [G, b, T, N], log spikes per bin.

    `own_drive` float32 [G, b, T, N] is added to what the states give each unit; units that `reads_states`
    bool [G, b, N] does not name get nothing from the states.
    """
    drive = _per_group(hidden, jnp.swapaxes(rows["read_out"].astype(hidden.dtype), 1, 2))
    if reads_states is not None:
        drive = jnp.where(reads_states[..., None, :], drive, 0)
    return log_gain(drive.astype(jnp.float32) + own_drive, link) + rows["read_out_bias"][:, None, None]


def read_out_one_unit(rows: dict[str, jax.Array], hidden: jax.Array, unit: jax.Array, link: str = "exp") -> jax.Array:
    """Log-rates of one unit per trial, a unit that is hidden in it: it has no history of its own.

    Args:
        rows: gathered rows of one group (G = 1).
        hidden: [1, b, T, D].
        unit: int32 [b], column of each trial's unit.
        link: see `log_gain`.

    Returns:
        float32 [b, T].
    """
    weights = rows["read_out"][0, unit].astype(hidden.dtype)  # [b, D]
    drive = jnp.einsum("btd,bd->bt", hidden[0], weights).astype(jnp.float32)
    return log_gain(drive, link) + rows["read_out_bias"][0, unit][:, None]
