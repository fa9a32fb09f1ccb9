"""The latents of a predictor are what its read-out reads."""

import dataclasses

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

MODEL = ModelConfig(read_in_width=6, width=8, num_layers=1, num_heads=2, mlp_width=8, num_positions=6)


def predictor_of(config, session, mesh):
    """Random weights of the right shapes: (model, tables)."""
    layout = batching.Layout.of([session])
    means = np.full(layout.total_units, 0.3)
    init = jax.eval_shape(
        lambda key: (ndt.init_params(key, config), stitcher.init_tables(key, config, layout.num_units, means)),
        jax.random.key(0),
    )
    rng = np.random.default_rng(1)
    params, tables = jax.tree.map(lambda leaf: (0.4 * rng.standard_normal(leaf.shape)).astype(np.float32), init)
    return Predictor(params, tables, config, layout, 8, mesh), tables


def test_log_rates_are_the_read_out_of_the_latents_and_hidden_counts_reach_neither():
    counts = np.random.default_rng(0).poisson(0.7, (8, 6, 5))
    session = from_counts(counts, bin_size_s=0.02, session_id="rat")
    layout = batching.Layout.of([session])
    model, tables = predictor_of(MODEL, session, sharding.make_mesh(2, 1, jax.devices()[:2]))
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


@pytest.mark.parametrize("seen", [[0, 1, 2, 3, 4], [1, 3]], ids=["all", "region"])
def test_units_left_out_of_one_population_are_predicted_as_one_by_one(seen):
    """One posterior for all trials less each trial's unit, against a posterior of each trial's own."""
    counts = np.random.default_rng(0).poisson(0.7, (8, 6, 5))
    session = from_counts(counts, bin_size_s=0.02, session_id="rat")
    config = dataclasses.replace(MODEL, hidden_counts="mean", posterior_noise=0.5, linear_path=True, own_history=True)
    model, _ = predictor_of(config, session, sharding.make_mesh(1, 1))
    unit = np.asarray([seen[0], seen[1], seen[-1], seen[0]], np.int32)
    batch = batching.gather([session], model.layout, batching.Plan(np.asarray([0]), np.arange(4)[None], 8))
    for left_out in (unit, np.full(4, unit[0])):  # of several units, and of one unit only
        hidden = np.tile(~np.isin(np.arange(8), seen), (4, 1))
        hidden[np.arange(4), left_out] = True
        masks = masking.Masks(hidden[None], np.zeros((1, 4, 6), bool), hidden[None], np.zeros((1, 4, 6), bool))
        scheme = np.full((1, 4), masking.NEURON)
        whole = np.asarray(model.log_rates(batch, masks, scheme))[0][np.arange(4), :, left_out]
        found = model.log_rates_of_unit(batch, masks, scheme, left_out.astype(np.int32))
        np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-5)
