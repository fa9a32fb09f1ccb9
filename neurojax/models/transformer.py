"""Pre-norm transformer encoder with scanned layers."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.models.attention import Reach, Span, attention, recalled, rotate
from neurojax.models.config import TransformerConfig
from neurojax.models.dense import dense, fused_dense


class Block(nn.Module):
    """Norm, attention, residual; norm, MLP, residual."""

    config: TransformerConfig
    train: bool

    @nn.compact
    def __call__(self, tokens: jax.Array, span: Span | Reach, positions: jax.Array, memory=None):
        """tokens [B, L, D], span of its B trials, positions float32 [L] -> (tokens, None); or the
        next tokens of a sequence, with a memory: (tokens, the longer memory)."""
        config = self.config
        dtype = jnp.dtype(config.compute_dtype)
        dropout = nn.Dropout(config.dropout, deterministic=not self.train)
        batch, length, width = tokens.shape
        heads = (batch, length, config.num_heads, width // config.num_heads)

        # Pre-norm. Means and variances in float32, whatever the products are computed in.
        normed = nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, name="norm_attention")(
            tokens
        ).astype(dtype)
        # Three products of one call: backwards the inputs are transposed once, see `products`.
        layers = [dense(config, width, name="query"), dense(config, width, name="key")]
        layers.append(dense(config, width, name="value", role="value"))
        queries, keys, values = (made.reshape(heads) for made in fused_dense(layers, normed))
        if config.positions == "rotary":
            queries, keys = rotate(queries, positions), rotate(keys, positions)
        key = self.make_rng("dropout") if self.train and config.dropout_attention else None
        if memory is None:
            asked = (span, config.attention, config.dropout_attention, key)
            mixed = attention(queries, keys, values, *asked)
        else:
            seen = jnp.arange(memory[0].shape[1]) < span.place + length
            mixed, memory = recalled(
                memory, queries, keys, values, span.place, seen[None, None, None]
            )
        mixed = dropout(mixed.reshape(batch, length, width))
        tokens = tokens + dense(config, width, name="output", role="output")(mixed)

        normed = nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, name="norm_mlp")(tokens).astype(
            dtype
        )
        # The exact GELU, as torch has it by default; jax's default is the approximation by tanh.
        expanded = nn.gelu(
            dense(config, config.mlp_width, name="expand", role="mlp")(normed), approximate=False
        )
        contracted = dense(config, width, name="contract", role="output")(expanded)
        return tokens + dropout(contracted), memory


def _rematerialised(block, remat: str):
    """The block, of which the backward pass computes again what `remat` does not keep.

    prevent_cse is for code outside of scan.
    """
    if remat == "none":
        return block
    policy = jax.checkpoint_policies.dots_with_no_batch_dims_saveable if remat == "dots" else None
    return nn.remat(block, prevent_cse=False, policy=policy)


class Transformer(nn.Module):
    """`num_layers` blocks, one compiled body, and a final norm."""

    config: TransformerConfig

    @nn.compact
    def __call__(self, tokens, span: Span | Reach, positions, train: bool, memory=None):
        """tokens [B, L, D], span of its B trials, positions float32 [L] -> float32 [B, L, D].

        With a memory, the keys and values of all layers of tokens before these, [layers, B, P, H,
        E] each, the span is a `Reach`, and (states, the longer memory) is returned.
        """
        # One body is compiled, whatever the depth; parameters are stacked, [layers, ...].
        layers = nn.scan(
            _rematerialised(Block, self.config.remat),
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=(nn.broadcast, nn.broadcast, 0),
            length=self.config.num_layers,
            unroll=self.config.unroll,
        )(self.config, train, name="layers")
        tokens, kept = layers(tokens, span, positions, memory)
        states = nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, name="norm")(tokens)
        return states if memory is None else (states, kept)
