"""Cross-attention to tokens that stand in time and count as often as a weight says.

Times enter by rotations alone (rotary embedding of queries, keys and values), so that only
differences of times matter; they are real numbers. Nothing at all, silence, is one more choice of
the softmax: its value is zero, and it is what an empty trial answers.

Source: Azabou et al. 2023, section 2.2, for the rotation of values; weights and silence are ours.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.models.attention import rotate
from neurojax.models.config import TransformerConfig
from neurojax.models.dense import dense

THETA = 100.0  # slowest over fastest rotation: periods from 6 to about 350 bins at 16 channels
_HIDDEN = -1e9  # score of what may not be seen


class CrossAttention(nn.Module):
    """Queries read tokens that stand in time, each as often as its weight says."""

    config: TransformerConfig

    @nn.compact
    def __call__(
        self, queries, query_times, keys, values, times, weight, allowed, log_expected, train
    ) -> jax.Array:
        """What is added to the queries, [B, Q, D].

        Args:
            queries: [B, Q, D].
            query_times: float32 [Q], in bins.
            keys, values: [B, E, D].
            times: float32 [B, E] or [E], in bins.
            weight: float32 [B, E], equal tokens that each one stands for.
            allowed: bool [B, Q, E].
            log_expected: float32 [B], of the weight that is expected in a bin.
            train: applies dropout.
        """
        config = self.config
        heads = (config.num_heads, config.width // config.num_heads)

        def by_head(array):  # [B, ..., D] -> [B, ..., H, D / H]
            return array.reshape(*array.shape[:-1], *heads)

        normed = nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, name="norm")(queries)
        asks = by_head(dense(config, config.width, name="query")(normed.astype(queries.dtype)))
        # A part that is common to queries and keys: attention starts local in time, by so much.
        near = self.param("near", _nearness, heads)
        asks, keys = asks + near[None, None], by_head(keys) + near[None, None]
        silence = self.param("silence", nn.initializers.zeros, heads[:1])
        silence = silence + jnp.square(near).sum(-1) / math.sqrt(heads[1])  # as an event right here
        found = weighted_attention(
            rotate(asks, query_times, THETA).astype(queries.dtype),
            rotate(keys, times, THETA).astype(queries.dtype),
            # Turned by their times and back: what arrives tells how long ago it was.
            rotate(by_head(values), times, THETA),
            weight,
            allowed,
            silence[None] + log_expected[:, None],
        )
        found = rotate(found, -query_times, THETA).reshape(queries.shape)
        found = dense(config, config.width, name="output", role="output")(found)
        return nn.Dropout(config.dropout, deterministic=not train)(found)


def weighted_attention(queries, keys, values, weight, allowed, silence) -> jax.Array:
    """Softmax attention to tokens of a weight, and to silence, which says zero: [B, Q, H, E].

    Args:
        queries: [B, Q, H, E].
        keys, values: [B, M, H, E].
        weight: float32 [B, M], equal tokens that each one stands for, 0 for none.
        allowed: bool [B, Q, M].
        silence: float32 [B, H], score of silence.
    """
    scores = jnp.einsum("bqhe,bmhe->bhqm", queries, keys).astype(jnp.float32)
    present = weight > 0
    times = jnp.log(jnp.where(present, weight, 1.0))[:, None, None]
    shown = (present[:, None] & allowed)[:, None]
    scores = jnp.where(shown, scores / math.sqrt(queries.shape[-1]) + times, _HIDDEN)
    silence = silence[:, :, None, None]
    largest = jax.lax.stop_gradient(jnp.maximum(scores.max(-1, keepdims=True), silence))
    shares = jnp.exp(scores - largest)
    total = shares.sum(-1, keepdims=True) + jnp.exp(silence - largest)
    return jnp.einsum("bhqm,bmhe->bqhe", (shares / total).astype(values.dtype), values)


def _nearness(key, shape, dtype=jnp.float32) -> jax.Array:
    """First common part of queries and keys: a score of 2 (first head) to 8 (last) at no lag."""
    heads, width = shape
    scores = jnp.linspace(2.0, 8.0, heads, dtype=dtype)
    return jnp.tile(jnp.sqrt(scores / math.sqrt(width))[:, None], (1, width))
