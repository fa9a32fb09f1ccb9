"""`possm` bin by bin, see `ndt_stream`: of a chunk its counts are kept until it ends, of all chunks
before the states of the recurrences and the last few tokens, which bins read.

What a bin costs and what is kept do not grow with the bins that were read.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.models import ndt_linear_stream, possm, poyo, ssm, stitcher
from neurojax.models.interface import Weights, by_group, by_trial
from neurojax.models.ndt_linear_stream import Beside
from neurojax.models.possm import Config
from neurojax.schemes import CAUSAL


class Stream(NamedTuple):
    """Attributes:
    counts: [G, b, bins of a chunk, N], what is visible of the chunk that has begun.
    hidden: [bins of a chunk], 1 for a bin of it that is hidden.
    states: complex64 [layers, B, S], of the recurrences after the last chunk that has ended.
    chunks: [B, answer_steps, D], tokens of the last chunks that have ended, the last one last.
    num_read: int32 [], bins read so far.
    visible_units: bool [G, b, N].
    beside: of the linear model.
    """

    counts: jax.Array
    hidden: jax.Array
    states: jax.Array
    chunks: jax.Array
    num_read: jax.Array
    visible_units: jax.Array
    beside: Beside


def begin(weights: Weights, hidden_units: jax.Array, config: Config, num_bins: int) -> Stream:
    """A stream of trials of any length; arguments as of `ndt_stream`."""
    del num_bins  # no room is needed
    groups, trials, units = hidden_units.shape
    dtype, batch = jnp.dtype(config.compute_dtype), groups * trials
    return Stream(
        jnp.zeros((groups, trials, config.latent_bins, units), dtype),
        jnp.zeros(config.latent_bins, dtype),
        jnp.zeros((config.num_layers, batch, config.state_width), jnp.complex64),
        jnp.zeros((batch, config.answer_steps, config.width), dtype),
        jnp.zeros((), jnp.int32),
        ~hidden_units,
        ndt_linear_stream.beside_of(weights, hidden_units, config),
    )


def advance(
    weights: Weights, stream: Stream, counts: jax.Array, readable: jax.Array, config: Config
) -> tuple[Stream, jax.Array]:
    """Reads the next bin; arguments and results as of `ndt_stream`."""
    visible, place = readable & stream.visible_units, stream.num_read % config.latent_bins
    shown = jnp.where(visible, counts, 0).astype(stream.counts.dtype)
    kept = jax.lax.dynamic_update_index_in_dim(stream.counts, shown, place, axis=2)
    hidden = jax.lax.dynamic_update_index_in_dim(
        stream.hidden, (~readable).astype(stream.hidden.dtype), place, axis=0
    )
    stream = stream._replace(counts=kept, hidden=hidden, num_read=stream.num_read + 1)
    ends = place == config.latent_bins - 1
    stream = jax.lax.cond(ends, lambda now: _ended(weights, now, config), lambda now: now, stream)

    states = by_group(_answer(weights, stream, config), len(counts))
    latents = ndt_linear_stream.latents_of(weights, stream.beside, counts, visible, config)
    beside, drives = ndt_linear_stream.told(
        weights, stream.beside, latents, states, counts, visible, readable, config
    )
    return stream._replace(beside=beside), drives


def _ended(weights: Weights, stream: Stream, config: Config) -> Stream:
    """The stream after its chunk: a token more, and an empty chunk."""
    params, rows = weights.params, weights.rows
    units = poyo.embeddings(rows["read_in"])  # [G, N, K]
    events = poyo.events_of(stream.counts, poyo.is_unit(rows).sum(-1), config)
    expected, in_a_bin = _expected(rows, units, stream.visible_units)
    chunk = possm.ReadChunks(config).apply(
        {"params": params["read"]},
        units.astype(config.compute_dtype),
        events,
        (expected.astype(config.compute_dtype), jnp.log(in_a_bin)),
        False,
    )  # [B, 1, D]
    masked = params["mask_token"].astype(chunk.dtype)[None, None]
    chunk = chunk + _context(weights, stream, chunk.dtype) + stream.hidden.mean() * masked
    flags = jnp.ones(chunk.shape[:2], bool)
    layers = nn.scan(
        ssm.Layer,
        variable_axes={"params": 0},
        split_rngs={"params": True},
        in_axes=(nn.broadcast, nn.broadcast, 0),
        length=config.num_layers,
    )(config, False)
    given = (chunk, flags, flags[:, 0], stream.states)
    chunk, states = layers.apply({"params": params["layers"]}, *given)
    chunks = jnp.concatenate([stream.chunks[:, 1:], chunk.astype(stream.chunks.dtype)], axis=1)
    empty = (jnp.zeros_like(stream.counts), jnp.zeros_like(stream.hidden))
    return stream._replace(counts=empty[0], hidden=empty[1], states=states, chunks=chunks)


def _answer(weights: Weights, stream: Stream, config: Config) -> jax.Array:
    """State [B, 1, D] of the bin that was read last."""
    bins, room = config.latent_bins, config.answer_steps
    ended = stream.num_read // bins
    # Times count from the first chunk that is kept: only differences of times matter.
    query = room * bins + stream.num_read % bins - 0.5
    there = jnp.arange(room) >= room - ended
    valid = jnp.broadcast_to(there[None], stream.chunks.shape[:2])
    context = _context(weights, stream, stream.chunks.dtype)
    return possm.Answer(config).apply(
        {"params": weights.params["answer"]},
        stream.chunks,
        valid,
        query[None],
        jnp.ones((1, 1, 1), bool),
        context,
        False,
    )


def _context(weights: Weights, stream: Stream, dtype) -> jax.Array:
    """[B, 1, D], of the session and of what is asked."""
    shape = (*stream.visible_units.shape[:2], weights.rows["session_token"].shape[-1])
    token = weights.rows["session_token"][:, None] + weights.params["prompts"][CAUSAL][None, None]
    return by_trial(jnp.broadcast_to(token, shape))[:, None].astype(dtype)


def _expected(rows, units: jax.Array, visible_units: jax.Array) -> tuple[jax.Array, jax.Array]:
    """As `poyo.expected_of`, which is the same in every bin: [G, b, K] and [G, b]."""
    real = (rows["read_in"] != 0).any(-1)
    spikes = visible_units * (stitcher.base_rates(rows) * real)[:, None]  # [G, b, N], in a bin
    total = jnp.maximum(spikes.sum(-1, keepdims=True), 1e-6)
    return jnp.einsum("gbn,gnk->gbk", spikes, units) / total, total[..., 0]
