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
    stream = ndt_stream.begin(weights, hidden_units, config, num_bins)
    return stream._replace(beside=beside_of(weights, hidden_units, config))


def beside_of(weights: Weights, hidden_units: jax.Array, config) -> Beside:
    """What is carried on of a trial of which nothing was read yet; arguments as of `begin`."""
    rows, width = weights.rows, config.read_in_width
    groups, trials, units = hidden_units.shape
    _, variance = roots.moments(stitcher.base_rates(rows))
    # Affine in the latents, and of the visible units alone: made once, not in every bin.
    bias = rows["read_in_bias"][:, None, None]
    one_each = jnp.broadcast_to(jnp.eye(width)[None, None] + bias, (groups, trials, width, width))
    known = (variance, config.posterior_noise)
    solved = stitcher.posterior(rows, one_each, ~hidden_units, *known) - bias
    sums = jnp.zeros((groups * trials, smoothing.NUM_SMOOTHED, width + 1))
    own = jnp.zeros((2, len(smoothing.OWN_MEMORIES_S), groups, trials, units))
    return Beside(solved, sums, own)


def advance(
    weights: Weights, stream: Stream, counts: jax.Array, readable: jax.Array, config: Config
) -> tuple[Stream, jax.Array]:
    """As of `ndt_stream`."""
    visible = readable & stream.visible_units
    latents = latents_of(weights, stream.beside, counts, visible, config)
    states, stream = ndt_stream.bin_states(weights, stream, latents, readable, config)
    beside, drives = told(
        weights, stream.beside, latents, states, counts, visible, readable, config
    )
    return stream._replace(beside=beside), drives


def latents_of(weights: Weights, beside: Beside, counts, visible, config) -> jax.Array:
    """Latents [G, b, 1, K] of a bin of counts [G, b, N], of which `visible` [G, b, N] are read."""
    rows, dtype = weights.rows, jnp.dtype(config.compute_dtype)
    counts = jnp.where(visible, counts, 0).astype(dtype)
    expected, _ = roots.moments(stitcher.base_rates(rows))
    centred = roots.of(counts) - expected[:, None].astype(dtype)
    latents = stitcher.read_in(rows, jnp.where(visible, centred, 0)[:, :, None])  # [G, b, 1, K]
    bias = rows["read_in_bias"][:, None, None]
    moved = jnp.einsum("gbtk,gbkl->gbtl", latents.astype(jnp.float32) - bias, beside.solved)
    return (bias + moved).astype(dtype)


def told(
    weights: Weights, beside: Beside, latents, states, counts, visible, readable, config
) -> tuple[Beside, jax.Array]:
    """What states [G, b, 1, D] and the linear model together say of a bin that was read.

    Args:
        weights: of the model.
        beside: of the bins before.
        latents: as of `latents_of`.
        states: what another model makes of the bins up to this one.
        counts, visible: [G, b, N], of the bin.
        readable: bool [].
        config: of the model.

    Returns:
        (what is carried on, drives float32 [G, b, N]).
    """
    rows, params = weights.rows, weights.params
    counts = jnp.where(visible, counts, 0).astype(config.compute_dtype)
    base_rates, flat = stitcher.base_rates(rows), by_trial(latents)[:, 0]
    sums, smooth = smoothing.extended(beside.sums, flat, readable, params["log_memories"])
    path = ndt_linear.LinearPath(config).apply({"params": params}, smooth[:, None])
    states = states + by_group(path, len(latents))
    asked = (counts, visible, base_rates, params["log_memories"])
    own, gains = smoothing.extended_log_gains(beside.own, *asked)
    drive = jnp.einsum(
        "mgbn,gnm->gbn", gains, rows["own_history"] + params["own_history"][None, None]
    )
    log_rates = stitcher.log_rates(rows, states, None, drive[:, :, None])
    return Beside(beside.solved, sums, own), stitcher.bounded(log_rates, base_rates)[:, :, 0]
