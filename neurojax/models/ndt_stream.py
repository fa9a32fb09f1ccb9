"""NDT1-stitch bin by bin: keys and values of what was read are kept, not computed again.

A model that predicts bin by bin under the causal scheme has such a module beside it, found by the
name of its file, <model>_stream:

    begin(weights, hidden_units, config, num_bins) -> stream   before the first bin
    advance(weights, stream, counts, readable, config) -> (stream, drives float32 [G, b, N])

Bins are the model's input bins; what reads them one late (objectives.next_bin) is not known here.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.models import ndt, stitcher
from neurojax.models.attention import NUM_CONTEXT, Reach
from neurojax.models.interface import Weights, by_group, by_trial
from neurojax.models.ndt import Config
from neurojax.models.transformer import Transformer
from neurojax.schemes import CAUSAL


class Stream(NamedTuple):
    """Attributes:
    memory: keys and values of all layers, [layers, B, 2 + T, H, E] each.
    num_read: int32 [], bins read so far.
    visible_units: bool [G, b, N].
    beside: what a model keeps beside the transformer.
    """

    memory: tuple[jax.Array, jax.Array]
    num_read: jax.Array
    visible_units: jax.Array
    beside: Any = ()


def begin(weights: Weights, hidden_units: jax.Array, config: Config, num_bins: int) -> Stream:
    """A stream of trials that has read nothing but which session they are of.

    Args:
        weights: of the model, with the rows of the trials' sessions.
        hidden_units: bool [G, b, N], hidden throughout.
        config: of the model.
        num_bins: T, room for so many bins; static.
    """
    trials = hidden_units.shape[1]
    dtype = jnp.dtype(config.compute_dtype)
    session = jnp.tile(weights.rows["session_token"], (trials, 1))  # [B, D]
    prompt = jnp.broadcast_to(weights.params["prompts"][CAUSAL][None], session.shape)
    context = jnp.stack([session, prompt], axis=1).astype(dtype)  # [B, 2, D]
    heads = (config.num_heads, config.width // config.num_heads)
    shape = (config.num_layers, len(session), NUM_CONTEXT + num_bins, *heads)
    empty = (jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))
    place = jnp.zeros((), jnp.int32)
    _, memory = _through(weights, context, place, jnp.zeros(NUM_CONTEXT), empty, config)
    return Stream(memory, place, ~hidden_units)


def advance(
    weights: Weights, stream: Stream, counts: jax.Array, readable: jax.Array, config: Config
) -> tuple[Stream, jax.Array]:
    """Reads the next bin.

    Args:
        weights: as in `begin`.
        stream: of the bins before, fewer than it has room for.
        counts: [G, b, N], spikes of the bin.
        readable: bool [], False for a bin that is hidden.
        config: of the model.

    Returns:
        (stream, drives float32 [G, b, N] that `ndt` gives at this bin).
    """
    shown = jnp.where(readable & stream.visible_units, counts, 0)
    latents = stitcher.read_in(weights.rows, shown[:, :, None].astype(config.compute_dtype))
    states, stream = bin_states(weights, stream, latents, readable, config)
    return stream, stitcher.log_rates(weights.rows, states)[:, :, 0]


def bin_states(
    weights: Weights, stream: Stream, latents: jax.Array, readable: jax.Array, config: Config
) -> tuple[jax.Array, Stream]:
    """What the shared part makes of one more bin's latents [G, b, 1, K]: (states [G, b, 1, D],
    stream)."""
    params, dtype = weights.params, jnp.dtype(config.compute_dtype)
    tokens = ndt.Tokenizer(config).apply({"params": params["tokenizer"]}, by_trial(latents))
    if config.bin_mask_token:
        tokens = tokens + jnp.where(readable, 0, params["bin_mask_token"])[None, None].astype(dtype)
    if config.positions == "learned":
        own = jnp.take(params["positions"], stream.num_read, axis=0, mode="clip")
        tokens = tokens + own[None, None].astype(dtype)
    in_time = jnp.float32(stream.num_read + 1)[None]  # as `attention.places` counts
    place = NUM_CONTEXT + stream.num_read
    states, memory = _through(weights, tokens, place, in_time, stream.memory, config)
    longer = stream._replace(memory=memory, num_read=stream.num_read + 1)
    return by_group(states.astype(dtype), len(latents)), longer


def _through(weights: Weights, tokens, place, in_time, memory, config: Config):
    """(states [B, n, D], memory) of the tokens from `place` on."""
    given = (tokens, Reach(place), in_time, False, memory)
    return Transformer(config).apply({"params": weights.params["transformer"]}, *given)
