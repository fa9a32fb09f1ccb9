"""Layers that share one compiled body are layers of their own."""

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.models.attention import Span
from neurojax.models.transformer import Transformer
from tests.configs_for_tests import ndt_config

LAYERS, B, L, D = 4, 3, 7, 32


def test_dropout_is_drawn_for_each_layer_trial_and_token():
    """Each layer adds one to every entry that it keeps: what comes out counts the layers that kept it."""
    config = ndt_config(width=D, num_layers=LAYERS, num_heads=2, mlp_width=8, dropout=0.5)
    span = Span.of(jnp.ones((B, L - 2), bool), jnp.zeros(B, bool), jnp.ones(B, bool))
    given = (jnp.zeros((B, L, D)), span, jnp.arange(L, dtype=jnp.float32))

    @jax.jit
    def run(key):
        model = Transformer(config)
        params = model.init(key, *given, train=False)["params"]
        params = jax.tree.map(jnp.zeros_like, params)
        params["layers"]["contract"]["bias"] = jnp.ones_like(params["layers"]["contract"]["bias"])
        params["norm"]["scale"] = jnp.ones_like(params["norm"]["scale"])
        return model.apply({"params": params}, *given, train=True, rngs={"dropout": key})

    found = np.asarray(run(jax.random.key(0))).round(3)  # [B, L, D], normed over D
    levels = [len(np.unique(token)) for token in found.reshape(-1, D)]
    assert np.median(levels) >= LAYERS  # of LAYERS + 1; two where all layers keep the same entries
    kept = (found > np.median(found, -1, keepdims=True)).reshape(B * L, D)
    assert len(np.unique(kept, axis=0)) == B * L
