"""Tokens one after another: keys and values of what was read are kept, not computed again."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from neurojax.models import causal_lm
from neurojax.models.attention import recalled


class Cache(NamedTuple):
    """Attributes:
    keys, values: [layers, B, P, K, E], of tokens read so far, zero after them.
    length: int32 [], tokens read so far.
    """

    keys: jax.Array
    values: jax.Array
    length: jax.Array


def empty(config: causal_lm.Config, rows: int) -> Cache:
    """A cache of nothing, with room for `config.num_positions` tokens."""
    dims = config.width // config.num_heads
    shape = (config.num_layers, rows, config.num_positions, config.num_kv_heads, dims)
    zeros = jnp.zeros(shape, config.compute_dtype)
    return Cache(zeros, zeros, jnp.zeros((), jnp.int32))


def extend(params, tokens: jax.Array, cache: Cache, config: causal_lm.Config):
    """Reads further tokens of the same documents.

    Args:
        params: of `causal_lm.init`.
        tokens: int [B, n]; with those before, at most `config.num_positions`: those after would
            overwrite the last place.
        cache: what was read before.
        config: of the model.

    Returns:
        (logits float32 [B, n, V] of the token after each, the longer cache).
    """
    number, room = tokens.shape[1], cache.keys.shape[2]
    place = cache.length + jnp.arange(number)  # [n]
    allowed = (jnp.arange(room)[None] <= place[:, None])[None, None]  # [1, 1, n, P]

    def attend(memory, queries, keys, values):
        return recalled(memory, queries, keys, values, cache.length, allowed)

    position = jnp.broadcast_to(place, tokens.shape)
    states, kept = causal_lm.through_blocks(
        params, tokens, position, attend, config, memory=(cache.keys, cache.values)
    )
    logits = causal_lm.read_out(params, states, config)
    return logits, Cache(*kept, cache.length + number)


def continued(params, tokens: jax.Array, number: int, config: causal_lm.Config) -> jax.Array:
    """The likeliest continuation, token by token.

    Args:
        params: of `causal_lm.init`.
        tokens: int [B, n], a beginning.
        number: tokens to add, static.
        config: of the model.

    Returns:
        int32 [B, number].
    """
    logits, cache = extend(params, tokens, empty(config, len(tokens)), config)
    first = jnp.argmax(logits[:, -1], axis=-1)[:, None]

    def one(state, _):
        token, cache = state
        logits, cache = extend(params, token, cache, config)
        return (jnp.argmax(logits[:, -1], axis=-1)[:, None], cache), token[:, 0]

    _, made = jax.lax.scan(one, (first, cache), length=number)
    return made.T.astype(jnp.int32)
