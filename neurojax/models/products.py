"""Matrix products with weights, whose gradients are as fast as they are themselves."""

import jax
import jax.numpy as jnp


@jax.custom_vjp
def products(inputs: jax.Array, weights: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    """inputs [..., M, K] @ each of weights [..., K, N] -> [..., M, N]; same leading axes.

    The gradient of weights is a product whose left side is transposed. XLA's CPU library knows no
    such product and falls back to one of half the speed, so on CPUs the inputs are transposed
    first, and once for all weights.
    """
    return tuple(inputs @ matrix for matrix in weights)


def product(inputs: jax.Array, weights: jax.Array) -> jax.Array:
    """One of them: [..., M, K] @ [..., K, N] -> [..., M, N]."""
    return products(inputs, (weights,))[0]


def _forward(inputs, weights):
    # Written out: a policy of rematerialisation does not see products inside the function that has
    # the rule.
    return tuple(inputs @ matrix for matrix in weights), (inputs, weights)


def _backward(kept, gradients):
    inputs, weights = kept
    # Chosen when the program is compiled: only CPUs write the transposed inputs out.
    turned = jax.lax.platform_dependent(inputs, cpu=_materialised_transpose, default=_transposed)
    of_inputs = sum(g @ _transposed(matrix) for g, matrix in zip(gradients, weights, strict=True))
    return of_inputs, tuple(turned @ gradient for gradient in gradients)


def _transposed(matrix: jax.Array) -> jax.Array:
    return jnp.swapaxes(matrix, -1, -2)


def _materialised_transpose(matrix: jax.Array) -> jax.Array:
    """A copy alone: fused with what makes the matrix it would be three times as slow."""
    return jax.lax.optimization_barrier(_transposed(jax.lax.optimization_barrier(matrix)))


products.defvjp(_forward, _backward)
