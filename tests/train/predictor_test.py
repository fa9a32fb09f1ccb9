"""The latents of a predictor are what its read-out reads."""

import jax
import numpy as np
import pytest

from neurojax import masking
from neurojax.data import batching
from neurojax.data.sessions import from_counts
from neurojax.models import ndt, stitcher
from neurojax.models.config import ModelConfig
from neurojax.train import sharding
from neurojax.train.predictor import Predictor

pytestmark = pytest.mark.usefixtures("quick_compile")
MODEL = ModelConfig(read_in_width=6, width=8, num_layers=1, num_heads=2, mlp_width=8, num_positions=6)


def test_log_rates_are_the_read_out_of_the_latents_and_hidden_counts_reach_neither():
    counts = np.random.default_rng(0).poisson(0.7, (8, 6, 5))
    session = from_counts(counts, bin_size_s=0.02, session_id="rat")
    layout = batching.Layout.of([session])
    init = jax.eval_shape(
        lambda key: (
            ndt.init_params(key, MODEL),
            stitcher.init_tables(key, MODEL, layout.num_units, np.full(layout.total_units, 0.3)),
        ),
        jax.random.key(0),
    )
    rng = np.random.default_rng(1)
    params, tables = jax.tree.map(lambda leaf: (0.4 * rng.standard_normal(leaf.shape)).astype(np.float32), init)
    model = Predictor(params, tables, MODEL, layout, 8, sharding.make_mesh(2, 1, jax.devices()[:2]))
    plan = batching.Plan(np.asarray([0]), np.arange(4)[None], 8)
    batch = batching.gather([session], layout, plan)
    hidden = np.zeros((1, 4, 8), bool)
    hidden[:, :, [1, 5, 6, 7]] = True
    masks = masking.Masks(hidden, np.zeros((1, 4, 6), bool), hidden, np.zeros((1, 4, 6), bool))
    scheme = np.zeros((1, 4), np.int32)
    latents = np.asarray(model.latents(batch, masks, scheme))
    assert latents.shape == (1, 4, 6, 8) and latents.dtype == np.float32
    read_out = latents @ tables["read_out"].T + tables["read_out_bias"]
    np.testing.assert_allclose(read_out, model.log_rates(batch, masks, scheme)[..., :5], rtol=1e-5, atol=1e-6)
    other = batch._replace(counts=np.where(np.arange(8) == 1, batch.counts + 2, batch.counts))
    np.testing.assert_array_equal(model.latents(other, masks, scheme), latents)
    shown = masks._replace(hidden_units=hidden & (np.arange(8) != 1))
    assert np.abs(np.asarray(model.latents(other, shown, scheme)) - latents).max() > 1e-3
