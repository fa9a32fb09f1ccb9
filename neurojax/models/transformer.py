"""Pre-norm transformer encoder with scanned layers."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.models.config import ModelConfig
from neurojax.models.initializers import dense
from neurojax.models.tokenizer import rotate


def attention(queries, keys, values, allowed, dropout_rate=0.0, dropout_key=None) -> jax.Array:
    """Softmax attention with dropout on the probabilities (which the fused call does not offer).

    Args:
        queries, keys, values: [B, L, H, E].
        allowed: bool [B, 1, L, L], query x key.
        dropout_rate, dropout_key: no dropout when the key is None.

    Returns:
        [B, L, H, E].
    """
    if dropout_key is None or not dropout_rate:
        return jax.nn.dot_product_attention(queries, keys, values, mask=allowed)
    scores = jnp.einsum("bqhe,bkhe->bhqk", queries, keys).astype(jnp.float32) / queries.shape[-1] ** 0.5
    probabilities = jax.nn.softmax(jnp.where(allowed, scores, jnp.finfo(jnp.float32).min))
    keep = jax.random.bernoulli(dropout_key, 1 - dropout_rate, probabilities.shape)
    probabilities = jnp.where(keep, probabilities / (1 - dropout_rate), 0.0).astype(values.dtype)
    return jnp.einsum("bhqk,bkhe->bqhe", probabilities, values)


class Block(nn.Module):
    """Norm, attention, residual; norm, MLP, residual."""

    config: ModelConfig
    train: bool

    @nn.compact
    def __call__(self, tokens: jax.Array, allowed: jax.Array, positions: jax.Array) -> tuple[jax.Array, None]:
        """tokens [B, L, D], allowed bool [B, 1, L, L], positions float32 [L] -> (tokens, None)."""
        config = self.config
        dtype = jnp.dtype(config.compute_dtype)
        dropout = nn.Dropout(config.dropout, deterministic=not self.train)
        batch, length, width = tokens.shape
        heads = (batch, length, config.num_heads, width // config.num_heads)

        normed = nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, name="norm_attention")(tokens).astype(dtype)
        queries = dense(config, width, name="query")(normed).reshape(heads)
        keys = dense(config, width, name="key")(normed).reshape(heads)
        values = dense(config, width, name="value", role="value")(normed).reshape(heads)
        if config.positions == "rotary":
            queries, keys = rotate(queries, positions), rotate(keys, positions)
        key = self.make_rng("dropout") if self.train and config.dropout_attention else None
        mixed = attention(queries, keys, values, allowed, config.dropout_attention, key)
        mixed = dropout(mixed.reshape(batch, length, width))
        tokens = tokens + dense(config, width, name="output", role="output")(mixed)

        normed = nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, name="norm_mlp")(tokens).astype(dtype)
        expanded = nn.gelu(dense(config, config.mlp_width, name="expand", role="mlp")(normed), approximate=False)
        contracted = dense(config, width, name="contract", role="output")(expanded)
        return tokens + dropout(contracted), None


class Transformer(nn.Module):
    """`num_layers` blocks, one compiled body, and a final norm."""

    config: ModelConfig

    @nn.compact
    def __call__(self, tokens, allowed, positions, train: bool) -> jax.Array:
        """tokens [B, L, D], allowed bool [B, 1, L, L], positions float32 [L] -> float32 [B, L, D]."""
        layers = nn.scan(
            Block,
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=(nn.broadcast, nn.broadcast),
            length=self.config.num_layers,
            unroll=self.config.unroll,
        )(self.config, train, name="layers")
        tokens, _ = layers(tokens, allowed, positions)
        return nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, name="norm")(tokens)
