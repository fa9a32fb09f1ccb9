"""From read-in latents to tokens: one token per time bin (NDT1)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.models.config import TransformerConfig
from neurojax.models.dense import dense


class TimeBinTokenizer(nn.Module):
    """One token per bin: a shared map of the read-in latents, bin by bin, hence causal."""

    config: TransformerConfig

    @nn.compact
    def __call__(self, latents: jax.Array) -> jax.Array:
        """latents [B, T, K] -> tokens [B, T, D]."""
        config = self.config
        if config.embed_width:
            latents = nn.soft_sign(dense(config, config.embed_width, name="embed")(latents))
        return dense(config, config.width, name="project")(latents)


def rotate(queries_or_keys: jax.Array, positions: jax.Array, theta: float = 10_000.0) -> jax.Array:
    """Rotary position embedding (Su et al. 2021, eq. 34).

    Args:
        queries_or_keys: [B, L, H, E], E even.
        positions: float32 [L], in bins.
    """
    half = queries_or_keys.shape[-1] // 2
    frequency = theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angle = (positions[:, None] * frequency[None])[None, :, None, :]  # [1, L, 1, E/2]
    first, second = queries_or_keys[..., :half], queries_or_keys[..., half:]
    cos, sin = jnp.cos(angle).astype(first.dtype), jnp.sin(angle).astype(first.dtype)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
