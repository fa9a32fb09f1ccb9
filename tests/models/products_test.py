"""Products with weights: the gradients of a plain product, and the layout that is fast on CPUs."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.models import products


def _drawn(*shapes):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=shape).astype(np.float32)) for shape in shapes]


@pytest.mark.parametrize("leading", [(), (3,)])
def test_values_and_gradients_are_those_of_plain_products(leading):
    inputs, first, second = _drawn((*leading, 7, 5), (*leading, 5, 4), (*leading, 5, 2))

    def loss(of, inputs, weights):
        return sum(jnp.sum(jnp.sin(made)) for made in of(inputs, weights))

    def plain(inputs, weights):
        return [jnp.einsum("...mk,...kn->...mn", inputs, matrix) for matrix in weights]

    arguments = (inputs, (first, second))
    got = jax.jit(jax.value_and_grad(lambda *a: loss(products.products, *a), argnums=(0, 1)))(*arguments)
    expected = jax.value_and_grad(lambda *a: loss(plain, *a), argnums=(0, 1))(*arguments)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6), got, expected)


def test_on_cpus_no_compiled_product_has_a_transposed_left_side():
    inputs, weights = _drawn((32, 24), (24, 16))
    gradient = jax.grad(lambda *a: jnp.sum(jnp.sin(products.product(*a))), argnums=(0, 1))
    text = jax.jit(gradient).lower(inputs, weights).compile().as_text()
    sides = re.findall(r"lhs_contracting_dims=\{(\d)\}", text)
    assert sides and set(sides) == {"1"}, text
