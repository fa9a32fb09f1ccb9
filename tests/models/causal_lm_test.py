"""Language models: nothing later and no other document is read; packed, padded and cached agree."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models import causal_lm, lm_cache
from neurojax.models.interface import TextInputs, Weights

VOCABULARY = 31
GPT2 = causal_lm.Config("gpt2", 16, 2, 4, 4, 32, 12, 1e-5, 1e4, True, 0.0, "float32")
LLAMA = dataclasses.replace(GPT2, family="llama", num_kv_heads=2, tied=False)
BOTH = pytest.mark.parametrize("config", [GPT2, LLAMA], ids=lambda config: config.family)


@functools.partial(jax.jit, static_argnums=0)
def first_of(config, key):
    return causal_lm.init(key, config, Facts(12, 1.0, num_classes=VOCABULARY))


@functools.cache
def params_of(config, seed=0):
    """Weights of which all, biases and norms too, differ from their first values."""
    params, buffers = first_of(config, jax.random.key(seed))
    assert buffers == {}
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(seed)
    return tree.unflatten([leaf + 0.3 * rng.standard_normal(leaf.shape).astype(np.float32) for leaf in leaves])


def inputs_of(tokens, document=None, position=None):
    tokens = jnp.asarray(tokens)[None]
    document = jnp.zeros_like(tokens) if document is None else jnp.asarray(document)[None]
    place = jnp.broadcast_to(jnp.arange(tokens.shape[-1]), tokens.shape)
    return TextInputs(tokens, document, place if position is None else jnp.asarray(position)[None])


apply = jax.jit(causal_lm.apply, static_argnames=("config", "train"))


def logits_of(params, inputs, config):
    return np.asarray(apply(Weights(params, {}), inputs, config, train=False).natural[0])


TOKENS = np.random.default_rng(1).integers(0, VOCABULARY, (3, 10))


@BOTH
def test_a_later_token_changes_nothing_before_it(config):
    params, changed = params_of(config), TOKENS.copy()
    changed[:, 6] = (changed[:, 6] + 1) % VOCABULARY
    before, after = (logits_of(params, inputs_of(one), config) for one in (TOKENS, changed))
    np.testing.assert_array_equal(before[:, :6], after[:, :6])
    assert np.abs(before[:, 6:] - after[:, 6:]).max(-1).min() > 1e-4


@BOTH
def test_documents_packed_into_a_row_are_what_they_are_alone(config):
    params = params_of(config)
    document = np.repeat([[4, 7, -1]], [4, 5, 1], axis=1)
    position = np.concatenate([np.arange(4), np.arange(5), [0]])[None]
    packed = logits_of(params, inputs_of(TOKENS[:1], document, position), config)
    for part in (slice(0, 4), slice(4, 9)):
        alone = logits_of(params, inputs_of(TOKENS[:1, part]), config)
        np.testing.assert_allclose(packed[:, part], alone, atol=2e-5)
    assert np.isfinite(packed).all()


extend = jax.jit(lm_cache.extend, static_argnames="config")
continued = jax.jit(lm_cache.continued, static_argnames=("number", "config"))


@BOTH
def test_token_by_token_with_a_cache_is_the_whole_row(config):
    params = params_of(config)
    whole, cache, found = logits_of(params, inputs_of(TOKENS), config), lm_cache.empty(config, 3), []
    for part in (slice(0, 4), slice(4, 5), slice(5, 10)):
        logits, cache = extend(params, jnp.asarray(TOKENS[:, part]), cache, config)
        found.append(logits)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=2e-5)
    assert int(cache.length) == 10


@BOTH
def test_a_continuation_is_the_likeliest_token_each_time(config):
    params, tokens = params_of(config), TOKENS[:, :4]
    made = np.asarray(continued(params, jnp.asarray(tokens), 5, config))
    assert made.shape == (3, 5)
    for number in range(4, 9):
        padded = np.pad(tokens, ((0, 0), (0, 9 - number)))  # what comes after changes nothing: one program for all
        likeliest = logits_of(params, inputs_of(padded), config)[:, number - 1].argmax(-1)
        tokens = np.concatenate([tokens, likeliest[:, None]], axis=1)
    np.testing.assert_array_equal(made, tokens[:, 4:])


@BOTH
def test_bfloat16_products_stay_near_and_logits_are_float32(config):
    params = params_of(config)
    rough = apply(
        Weights(params, {}), inputs_of(TOKENS), dataclasses.replace(config, compute_dtype="bfloat16"), train=False
    ).natural
    exact = logits_of(params, inputs_of(TOKENS), config)
    assert rough.dtype == jnp.float32
    assert 0 < np.abs(np.asarray(rough[0]) - exact).max() < 0.05 * np.abs(exact).max()


def test_dropout_needs_training_and_depends_on_the_key():
    config = dataclasses.replace(GPT2, dropout=0.5)
    weights, inputs = Weights(params_of(config), {}), inputs_of(TOKENS)
    one, two = (apply(weights, inputs, config, train=True, key=jax.random.key(seed)).natural for seed in (0, 1))
    calm = apply(weights, inputs, config, train=False, key=jax.random.key(0)).natural
    assert np.abs(np.asarray(one - two)).max() > 1e-3
    np.testing.assert_array_equal(np.asarray(calm[0]), logits_of(weights.params, inputs, GPT2))


def test_a_first_model_knows_nothing():
    params, _ = first_of(GPT2, jax.random.key(0))
    probabilities = jax.nn.softmax(logits_of(params, inputs_of(TOKENS), GPT2))
    assert np.abs(np.asarray(probabilities) - 1 / VOCABULARY).max() < 0.03


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"family": "opt"}, "choose from gpt2, llama"),
        ({"num_heads": 5}, "expected a multiple"),
        ({"num_kv_heads": 2}, "of gpt2 the same number"),
        ({"family": "llama", "num_kv_heads": 3}, "expected a divisor"),
        ({"family": "llama", "width": 12, "num_heads": 4}, "even number of dims"),
        ({"dropout": 1.0}, "share"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        dataclasses.replace(GPT2, **wrong)


def test_rows_that_are_too_long_and_data_that_are_no_text_are_refused():
    with pytest.raises(InputError, match="data.context_tokens=13, but model.num_positions=12"):
        causal_lm.init(jax.random.key(0), GPT2, Facts(13, 1.0, num_classes=5))
    with pytest.raises(InputError, match="reads text; set data.source=text"):
        causal_lm.init(jax.random.key(0), GPT2, Facts(12, 0.02, (3,)))
