"""Initial weights: the reference's recipe and ours."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.models.config import ModelConfig


def _uniform_fan_in(scale: float = 1.0):
    """Uniform in +-scale/sqrt(fan in) for a [fan in, fan out] kernel."""

    def init(key, shape, dtype=jnp.float32):
        bound = scale / math.sqrt(shape[-2])
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def _uniform_bound(bound: float):
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


def dense(config: ModelConfig, features: int, name: str, role: str = "") -> nn.Dense:
    """A Dense layer initialised as the config says.

    Args:
        config: `init` "released": uniform weights and biases; the value, output and MLP matrices
            of layers are shrunk by 0.67 L**-1/4 (the value's by sqrt(2) less), after T-Fixup.
            "scaled": LeCun normal, biases zero, residual branches divided by sqrt(2 L).
        features: output width.
        name: parameter name.
        role: "value", "output" (ends a residual branch), "mlp" or "" for everything else.
    """
    dtype = jnp.dtype(config.compute_dtype)
    depth = config.num_layers
    if config.init == "released":
        shrink = 0.67 * depth**-0.25
        scale = {"value": shrink * math.sqrt(2), "output": shrink, "mlp": shrink}.get(role, 1.0)
        return _ReleasedDense(features, scale, dtype, name=name)
    scale = 1 / math.sqrt(2 * depth) if role == "output" else 1.0
    kernel = nn.initializers.variance_scaling(scale**2, "fan_in", "truncated_normal")
    return nn.Dense(features, dtype=dtype, kernel_init=kernel, name=name)


class _ReleasedDense(nn.Module):
    """Dense whose bias is drawn from the same range as its weights, before the shrinking."""

    features: int
    scale: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        fan_in = inputs.shape[-1]
        kernel = self.param("kernel", _uniform_fan_in(self.scale), (fan_in, self.features))
        bias = self.param("bias", _uniform_bound(1 / math.sqrt(fan_in)), (self.features,))
        bias = bias.astype(self.dtype).reshape((1,) * (inputs.ndim - 1) + (-1,))
        return inputs.astype(self.dtype) @ kernel.astype(self.dtype) + bias
