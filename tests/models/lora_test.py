"""Adapters: they add nothing at first, only what is named and trained later, and can be merged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models import causal_lm, lora
from neurojax.models.interface import TextInputs, Weights

CONFIG = causal_lm.Config("gpt2", 16, 2, 4, 4, 32, 12, 1e-5, 1e4, True, 0.0, "float32")
ADAPTERS = lora.Adapters(("query_key_value", "layers/contract"), 2, 3.0)
TOKENS = jnp.asarray(np.random.default_rng(1).integers(0, 31, (1, 3, 10)))
INPUTS = TextInputs(TOKENS, jnp.zeros_like(TOKENS), jnp.broadcast_to(jnp.arange(10), TOKENS.shape))


@pytest.fixture(scope="module")
def started():
    """(adapters, buffers) of a model with adapters before its first step."""
    return lora.adapted("causal_lm", ADAPTERS).init(jax.random.key(0), CONFIG, Facts(12, 1.0, num_classes=31))


def trained(factors):
    """Adapters away from their start, where `up` is zero."""
    rng = np.random.default_rng(2)
    return jax.tree.map(lambda leaf: leaf + 0.3 * rng.standard_normal(leaf.shape).astype(np.float32), factors)


def logits(module, params, buffers):
    return np.asarray(module.apply(Weights(params, {}, buffers), INPUTS, CONFIG, train=False).natural)


def test_adapters_add_nothing_before_the_first_step(started):
    factors, buffers = started
    ours = logits(lora.adapted("causal_lm", ADAPTERS), factors, buffers)
    np.testing.assert_array_equal(ours, logits(causal_lm, buffers["frozen"], {}))


def test_merged_weights_are_what_the_adapters_make_of_the_model(started):
    factors, buffers = trained(started[0]), started[1]
    before = logits(causal_lm, buffers["frozen"], {})
    ours = logits(lora.adapted("causal_lm", ADAPTERS), factors, buffers)
    whole = lora.merged(buffers["frozen"], factors, ADAPTERS)
    np.testing.assert_allclose(logits(causal_lm, whole, {}), ours, atol=1e-6)
    assert np.abs(ours - before).max() > 0.01
    # Beside a layer, as in the paper: x W + scale / rank (x down) up.
    values = np.random.default_rng(3).standard_normal((5, 32))
    frozen, own = buffers["frozen"]["layers"]["contract"]["kernel"][1], factors["layers"]["contract"]
    beside = values @ frozen + 3.0 / 2 * (values @ own["down"][1]) @ own["up"][1]
    np.testing.assert_allclose(values @ whole["layers"]["contract"]["kernel"][1], beside, atol=1e-6)


def test_only_the_named_layers_have_adapters(started):
    assert jax.tree.map(np.shape, started[0]) == {
        "layers": {
            "query_key_value": {"down": (2, 16, 2), "up": (2, 2, 48)},
            "contract": {"down": (2, 32, 2), "up": (2, 2, 16)},
        }
    }
    whole = lora.merged(started[1]["frozen"], trained(started[0]), ADAPTERS)
    moved = jax.tree.map(lambda old, new: bool((old != new).any()), started[1]["frozen"], whole)
    names = [jax.tree_util.keystr(path) for path, moves in jax.tree.leaves_with_path(moved) if moves]
    assert names == ["['layers']['contract']['kernel']", "['layers']['query_key_value']['kernel']"]


@pytest.mark.parametrize("name", ["key", "value", "kernel", "embedding", "s/output", "norm"])
def test_a_name_that_no_matrix_has_is_refused(name, started):
    adapters = lora.Adapters(("output", name), 1, 1.0)
    with pytest.raises(InputError, match=f"{name}'; choose from contract, expand, output, query_key_value$"):
        lora.init_factors(jax.random.key(0), started[1]["frozen"], adapters)


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"layers": ()}, "layers"), ({"layers": ("",)}, "layers"), ({"rank": 0}, "rank"), ({"scale": 0.0}, "scale")],
)
def test_adapters_that_adapt_nothing_are_refused(changed, words):
    with pytest.raises(InputError, match=f"finetune.lora.{words}="):
        lora.Adapters(**{"layers": ("output",), "rank": 1, "scale": 1.0} | changed)
