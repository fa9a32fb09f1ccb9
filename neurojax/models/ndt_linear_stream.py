"""`ndt_linear` bin by bin, see `ndt_stream`: the sums behind its smoothings are carried on."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from neurojax.models import ndt_linear, ndt_stream, roots, smoothing, stitcher
from neurojax.models.interface import Weights, by_group, by_trial
from neurojax.models.ndt_linear import Config
from neurojax.models.ndt_stream import Stream


class Beside(NamedTuple):
    """Attributes:
    solved: float32 [G, b, K, K], the posterior of latents as a matrix: of a unit of each.
    sums: [B, M + 1, K + 1], see `smoothing.extended`.
    own: [2, 3, G, b, N], see `smoothing.extended_log_gains`.
    """

    solved: jax.Array
    sums: jax.Array
    own: jax.Array


def begin(weights: Weights, hidden_units: jax.Array, config: Config, num_bins: int) -> Stream:
    """As of `ndt_stream`."""
    stream, rows = ndt_stream.begin(weights, hidden_units, config, num_bins), weights.rows
    groups, trials, units = hidden_units.shape
    width = config.read_in_width
    _, variance = roots.moments(stitcher.base_rates(rows))
    # Affine in the latents, and of the visible units alone: made once, not in every bin.
    bias = rows["read_in_bias"][:, None, None]
    one_each = jnp.broadcast_to(jnp.eye(width)[None, None] + bias, (groups, trials, width, width))
    known = (variance, config.posterior_noise)
    solved = stitcher.posterior(rows, one_each, ~hidden_units, *known) - bias
    sums = jnp.zeros((groups * trials, smoothing.NUM_SMOOTHED, width + 1))
    own = jnp.zeros((2, len(smoothing.OWN_MEMORIES_S), groups, trials, units))
    return stream._replace(beside=Beside(solved, sums, own))


def advance(
    weights: Weights, stream: Stream, counts: jax.Array, readable: jax.Array, config: Config
) -> tuple[Stream, jax.Array]:
    """As of `ndt_stream`."""
    rows, params, dtype = weights.rows, weights.params, jnp.dtype(config.compute_dtype)
    visible, beside = readable & stream.visible_units, stream.beside
    counts = jnp.where(visible, counts, 0).astype(dtype)
    base_rates = stitcher.base_rates(rows)
    expected, _ = roots.moments(base_rates)
    centred = roots.of(counts) - expected[:, None].astype(dtype)
    latents = stitcher.read_in(rows, jnp.where(visible, centred, 0)[:, :, None])  # [G, b, 1, K]
    bias = rows["read_in_bias"][:, None, None]
    moved = jnp.einsum("gbtk,gbkl->gbtl", latents.astype(jnp.float32) - bias, beside.solved)
    latents = (bias + moved).astype(dtype)

    states, stream = ndt_stream.bin_states(weights, stream, latents, readable, config)
    flat = by_trial(latents)[:, 0]
    sums, smooth = smoothing.extended(beside.sums, flat, readable, params["log_memories"])
    path = ndt_linear.LinearPath(config).apply({"params": params}, smooth[:, None])
    states = states + by_group(path, len(latents))
    asked = (counts, visible, base_rates, params["log_memories"])
    own, gains = smoothing.extended_log_gains(beside.own, *asked)
    drive = jnp.einsum(
        "mgbn,gnm->gbn", gains, rows["own_history"] + params["own_history"][None, None]
    )
    log_rates = stitcher.log_rates(rows, states, None, drive[:, :, None])
    stream = stream._replace(beside=Beside(beside.solved, sums, own))
    return stream, stitcher.bounded(log_rates, base_rates)[:, :, 0]
