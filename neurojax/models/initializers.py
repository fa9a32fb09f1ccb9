"""The reference's initial weights."""

import math

import jax
import jax.numpy as jnp


def uniform_fan_in(scale: float):
    """Uniform in +-scale/sqrt(fan in) for a [fan in, fan out] kernel."""

    def init(key, shape, dtype=jnp.float32):
        bound = scale / math.sqrt(shape[-2])
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def uniform_bound(bound: float):
    """Uniform in +-bound."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -bound, bound
    )
