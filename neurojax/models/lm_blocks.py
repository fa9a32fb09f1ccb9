"""The two blocks that most public language models are built of: GPT-2's and Llama's.

A block gets how to attend as a function, so that a whole row and one token after a cache run the
same code. Axes: B rows, T tokens, D width, H heads, K heads of keys, E dims a head.

Sources: Radford et al. 2019 (GPT-2); Touvron et al. 2023 (Llama); Su et al. 2021 (rotary).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Attend = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, Any]]


def layer_norm(weights: dict, values: jax.Array, epsilon: float) -> jax.Array:
    """Mean and variance in float32, over the last axis of [B, T, D]."""
    values = values.astype(jnp.float32)
    centred = values - values.mean(-1, keepdims=True)
    scaled = centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + epsilon)
    return scaled * weights["scale"][None, None] + weights["bias"][None, None]


def rms_norm(weights: dict, values: jax.Array, epsilon: float) -> jax.Array:
    """Root mean square in float32, over the last axis of [B, T, D]; no mean is taken off."""
    values = values.astype(jnp.float32)
    scaled = values * jax.lax.rsqrt(jnp.square(values).mean(-1, keepdims=True) + epsilon)
    return scaled * weights["scale"][None, None]


def rotated(heads: jax.Array, position: jax.Array, base: float) -> jax.Array:
    """Rotary positions, the first half of the dims against the second.

    Args:
        heads: float [B, T, H, E].
        position: int [B, T].
        base: of the wavelengths.
    """
    half = heads.shape[-1] // 2
    frequency = base ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angle = position.astype(jnp.float32)[..., None, None] * frequency[None, None, None]
    first, second = heads[..., :half].astype(jnp.float32), heads[..., half:].astype(jnp.float32)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(heads.dtype)


def _product(weights: dict, values: jax.Array, dtype) -> jax.Array:
    made = values.astype(dtype) @ weights["kernel"].astype(dtype)
    return made + weights["bias"].astype(dtype)[None, None] if "bias" in weights else made


def gpt2(layer: dict, values: jax.Array, position, attend: Attend, config, drop):
    """One block: float [B, T, D] -> (float [B, T, D], what `attend` keeps)."""
    dtype = jnp.dtype(config.compute_dtype)
    heads = (*values.shape[:2], config.num_heads, -1)
    normed = layer_norm(layer["norm_attention"], values, config.norm_epsilon)
    fused = _product(layer["query_key_value"], normed, dtype)
    mixed, kept = attend(*(part.reshape(heads) for part in jnp.split(fused, 3, axis=-1)))
    mixed = _product(layer["output"], mixed.reshape(values.shape), dtype)
    values = values + drop(mixed, 0).astype(values.dtype)
    normed = layer_norm(layer["norm_mlp"], values, config.norm_epsilon)
    # The approximation by tanh is what GPT-2 was trained with.
    expanded = jax.nn.gelu(_product(layer["expand"], normed, dtype), approximate=True)
    contracted = _product(layer["contract"], expanded, dtype)
    return values + drop(contracted, 1).astype(values.dtype), kept


def llama(layer: dict, values: jax.Array, position: jax.Array, attend: Attend, config, drop):
    """One block: float [B, T, D] -> (float [B, T, D], what `attend` keeps)."""
    dtype = jnp.dtype(config.compute_dtype)
    rows, length, width = values.shape
    dims = width // config.num_heads
    normed = rms_norm(layer["norm_attention"], values, config.norm_epsilon)
    queries, keys, own = (
        _product(layer[name], normed, dtype).reshape(rows, length, -1, dims)
        for name in ("query", "key", "value")
    )
    queries, keys = (rotated(heads, position, config.rotary_base) for heads in (queries, keys))
    mixed, kept = attend(queries, keys, own)
    mixed = _product(layer["output"], mixed.reshape(values.shape), dtype)
    values = values + drop(mixed, 0).astype(values.dtype)
    normed = rms_norm(layer["norm_mlp"], values, config.norm_epsilon)
    gate = jax.nn.silu(_product(layer["gate"], normed, dtype))
    contracted = _product(layer["contract"], gate * _product(layer["expand"], normed, dtype), dtype)
    return values + drop(contracted, 1).astype(values.dtype), kept


BLOCKS = {"gpt2": (gpt2, layer_norm), "llama": (llama, rms_norm)}
