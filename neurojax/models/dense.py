"""Linear layers, initialised by the reference's recipe or ours."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.models import initializers
from neurojax.models.config import TransformerConfig
from neurojax.models.products import products


def dense(config: TransformerConfig, features: int, name: str, role: str = "") -> "Dense":
    """A Dense layer initialised as the config says.

    Args:
        config: `init` "released": uniform weights and biases; the value, output and MLP matrices
            of layers are shrunk by 0.67 L**-1/4 (the value's by sqrt(2) less), after T-Fixup.
            "scaled": LeCun normal, biases zero, residual branches divided by sqrt(2 L).
        features: output width.
        name: parameter name.
        role: "value", "output" (ends a residual branch), "mlp" or "" for everything else.
    """
    depth = config.num_layers
    if config.init == "released":
        shrink = 0.67 * depth**-0.25
        scale = {"value": shrink * math.sqrt(2), "output": shrink, "mlp": shrink}.get(role, 1.0)
        # The recipe of the released MtM code, kept to reproduce its figures.
        kernel, bias = initializers.uniform_fan_in(scale), initializers.uniform_bound
    else:
        # 2 L branches are added up: so scaled, the sum keeps its variance at any depth.
        scale = 1 / math.sqrt(2 * depth) if role == "output" else 1.0
        kernel = nn.initializers.variance_scaling(scale**2, "fan_in", "truncated_normal")
        bias = lambda bound: nn.initializers.zeros  # noqa: E731
    return Dense(features, kernel, bias, jnp.dtype(config.compute_dtype), name=name)


class Dense(nn.Module):
    """A linear layer whose bias may be drawn from the range of its fan-in, before shrinking."""

    features: int
    kernel_init: Callable
    bias_init_within: Callable  # 1 / sqrt(fan in) -> initializer
    dtype: jnp.dtype

    @nn.compact
    def weights(self, fan_in: int) -> tuple[jax.Array, jax.Array]:
        """Kernel [I, O] and bias [O] in the compute dtype."""
        kernel = self.param("kernel", self.kernel_init, (fan_in, self.features))
        bias = self.param("bias", self.bias_init_within(1 / math.sqrt(fan_in)), (self.features,))
        return kernel.astype(self.dtype), bias.astype(self.dtype)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """[..., I] -> [..., O]."""
        return fused_dense([self], inputs)[0]


def fused_dense(layers: Sequence[Dense], inputs: jax.Array) -> list[jax.Array]:
    """What several layers make of the same inputs [..., I]: [..., O] each."""
    kernels, biases = zip(*(layer.weights(inputs.shape[-1]) for layer in layers), strict=True)
    flat = inputs.astype(kernels[0].dtype).reshape(-1, inputs.shape[-1])
    shape = inputs.shape[:-1] + (-1,)
    # Leading axes as one: a plain product of matrices is what libraries are fastest at.
    weighed = [made.reshape(shape) for made in products(flat, kernels)]
    return [
        made + bias.reshape((1,) * (made.ndim - 1) + (-1,))
        for made, bias in zip(weighed, biases, strict=True)
    ]
