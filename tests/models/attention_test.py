"""Attention: patterns written out, dropout, and the flash kernel for TPUs in its slow interpreter."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.facts import Facts
from neurojax.models import attention, ndt
from neurojax.models.attention import Span
from neurojax.train import kernels
from tests.configs_for_tests import ndt_config

CAUSAL_AND_NO_PROMPT = jnp.asarray([True, False]), jnp.asarray([True, False])


def draws(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_attention_with_dropout_is_the_fused_attention_in_the_mean():
    queries, keys, values = draws((3, 2, 6, 2, 4))

    @jax.jit
    def compared(key):
        span = Span.of(jnp.ones((2, 4), bool), CAUSAL_AND_NO_PROMPT[0], jnp.ones(2, bool))
        inputs = queries, keys, values, span, "xla"
        repeats = jax.vmap(lambda key: attention.attention(*inputs, 0.3, key))(jax.random.split(key, 3000))
        almost_without = attention.attention(*inputs, 1e-7, key)
        return attention.attention(*inputs), repeats.mean(0), repeats.std(0), almost_without

    fused, mean, spread, almost_without = map(np.asarray, compared(jax.random.key(0)))
    np.testing.assert_allclose(mean, fused, atol=0.1)
    np.testing.assert_allclose(almost_without, fused, rtol=1e-5, atol=1e-6)
    assert spread.min() > 0.01


def test_patterns_written_out():
    """Context [session, prompt], then three bins of which the last is padding; rows attend to columns."""
    bin_valid = np.asarray([[True, True, False]] * 2)
    allowed = jax.jit(lambda *args: Span.of(*args).allowed())(bin_valid, *CAUSAL_AND_NO_PROMPT)
    causal = [
        [1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
    ]
    no_prompt = [
        [1, 0, 1, 1, 0],
        [1, 1, 1, 1, 0],
        [1, 0, 1, 1, 0],
        [1, 0, 1, 1, 0],
        [1, 0, 1, 1, 1],
    ]
    np.testing.assert_array_equal(np.asarray(allowed[:, 0], int), [causal, no_prompt])


def test_the_tpu_kernel_is_plain_attention_for_valid_tokens():
    """Values and gradients; 2 + 130 tokens are padded to two blocks."""
    inputs = draws((3, 2, 132, 1, 8))
    span = Span.of(jnp.ones((2, 130), bool).at[0, 100:].set(False), *CAUSAL_AND_NO_PROMPT)
    weights = draws((2, 132, 1, 8), seed=1) * np.asarray(span.key_valid)[..., None, None]

    @functools.partial(jax.jit, static_argnums=0)
    def weighted(kernel):
        def total(inputs):
            mixed = kernel(*inputs, span) * weights
            return mixed.sum(), mixed

        return jax.grad(total, has_aux=True)(inputs)

    plain = weighted(attention.attention)
    flash = weighted(functools.partial(attention.splash, interpret=True))
    for found, wanted in zip(flash, plain, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


BLOCK = dict(width=64, num_heads=4, compute_dtype="bfloat16", attention="flash", dropout_attention=0.0)


@pytest.mark.parametrize(
    "change, platform, devices, reason",
    [
        (dict(attention="xla"), "gpu", 1, "as asked"),
        ({}, "cpu", 1, "no flash kernel for cpu"),
        (dict(dropout_attention=0.1), "gpu", 1, "dropout_attention"),
        (dict(compute_dtype="float32"), "gpu", 1, "bfloat16"),
        (dict(width=48), "gpu", 1, "head width .* got 12"),
        ({}, "gpu", 1, "cudnn failed"),  # no GPU here: the check on the device finds out
        ({}, "tpu", 8, "mesh has 8"),
        ({}, "tpu", 1, "splash failed"),
    ],
)
def test_flash_falls_back_with_its_reason(change, platform, devices, reason):
    choice = kernels.choose(BLOCK | change, platform, devices)
    assert choice.kernel == "xla"
    assert re.search(reason, choice.reason)


def test_what_is_recomputed_changes_no_gradient():
    config = ndt_config(
        width=8, num_heads=2, num_layers=2, mlp_width=8, read_in_width=8, num_positions=5, positions="rotary"
    )
    facts = Facts(num_bins=5, bin_size_s=0.02)
    params, _ = jax.jit(lambda key: ndt.init(key, config, facts))(jax.random.key(0))
    latents, bins = draws((3, 5, 8)), jnp.ones((3, 5), bool)
    scheme = jnp.asarray([0, 1, 3])

    def gradient(remat):
        module = ndt.NDT(dataclasses.replace(config, remat=remat), facts.num_bins)

        def total(params):
            inputs = latents, jnp.zeros((3, 8)), scheme, ~bins, bins
            states = module.apply({"params": params}, *inputs, train=True, rngs={"dropout": jax.random.key(1)})
            return jnp.sum(states**2)

        traced = jax.jit(jax.grad(total)).trace(params)
        programs[remat] = str(traced.jaxpr)
        return traced.lower().compile()(params)

    programs: dict[str, str] = {}
    plain = gradient("none")
    largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(plain))
    for remat in ("dots", "block"):  # entries that cancel round differently: 1e-6 of the largest
        compare = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6 * largest)
        jax.tree.map(compare, gradient(remat), plain)
    computed = {remat: text.count("dot_general") for remat, text in programs.items()}
    assert computed["none"] < computed["dots"] < computed["block"]  # attention again; products with weights too


def test_one_more_token_changes_nothing_of_an_odd_number():
    inputs = draws((3, 2, 7, 2, 4))
    span = Span.of(jnp.ones((2, 5), bool).at[1, 3:].set(False), *CAUSAL_AND_NO_PROMPT)
    weights = draws((2, 7, 2, 4), seed=1) * np.asarray(span.key_valid)[..., None, None]

    @functools.partial(jax.jit, static_argnums=0)
    def gradients(attend):
        return jax.grad(lambda inputs: jnp.sum(attend(*inputs, span, "xla") * weights))(inputs)

    np.testing.assert_allclose(
        gradients(attention.of_even_length), gradients(attention.attention), rtol=1e-5, atol=1e-6
    )
