"""The latents of a predictor are what its read-out reads; it asks as the objective does."""

import jax
import numpy as np
import pytest

from neurojax import schemes
from neurojax.data import batching
from neurojax.data.sources import spikes
from neurojax.data.store.sessions import from_counts
from neurojax.objectives.interface import Query
from neurojax.train import predictor, sharding
from tests import configs_for_tests
from tests.configs_for_tests import linear_config, model_of, mtm_config, ndt_config, objective_of, random_weights

SIZES = dict(read_in_width=6, width=8, num_layers=1, num_heads=2, mlp_width=8, num_positions=6, positions="learned")


@pytest.fixture(scope="module")
def source():
    """One session of five units."""
    counts = np.random.default_rng(0).poisson(0.7, (8, 6, 5))
    session = from_counts(counts, bin_size_s=0.02, session_id="rat")
    return spikes.open_source([session], configs_for_tests.batching_config(trials_per_batch=4, bucket_units=8), 0)


def predictor_of(config, source, num_devices, **objective):
    """Random weights of the right shapes: (model, tables)."""
    params, tables = random_weights(config, source.facts, seed=1)
    mesh = sharding.make_mesh(num_devices, 1, jax.devices()[:num_devices])
    asked = predictor.Recipe(model_of(config), objective_of(mtm_config(**objective)))
    return predictor.Predictor(params, tables, asked, source.layout, 8, mesh), tables


def first_trials(source):
    plan = batching.Plan(np.asarray([0]), np.arange(4)[None], 8)
    return batching.gather(source.sessions, source.layout, plan)


def query_of(hidden_units, scheme=schemes.NEURON):
    return Query(hidden_units, np.zeros((1, 4, 6), bool), np.full((1, 4), scheme, np.int32))


def test_log_rates_are_the_read_out_of_the_latents_and_hidden_counts_reach_neither(source):
    model, tables = predictor_of(ndt_config(**SIZES), source, 2)
    batch = first_trials(source)
    hidden = np.zeros((1, 4, 8), bool)
    hidden[:, :, [1, 5, 6, 7]] = True
    query = query_of(hidden)
    latents = np.asarray(model.latents(batch, query))
    assert latents.shape == (1, 4, 6, 8) and latents.dtype == np.float32
    log_rates = np.asarray(model.log_rates(batch, query))
    read_out = latents @ tables["read_out"].T + tables["read_out_bias"]
    np.testing.assert_allclose(read_out, log_rates[..., :5], rtol=1e-5, atol=1e-6)
    both = model(batch, query)
    np.testing.assert_allclose(both.states, latents, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(both.natural, log_rates, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(model.mean(batch, query), np.exp(log_rates), rtol=1e-5)
    counts = batch.trials["counts"]
    other = batch.with_trials(counts=np.where(np.arange(8) == 1, counts + 2, counts))
    np.testing.assert_array_equal(model.latents(other, query), latents)
    np.testing.assert_array_equal(model.log_rates(other, query), log_rates)
    shown = query._replace(hidden_units=hidden & (np.arange(8) != 1))
    assert np.abs(np.asarray(model.latents(other, shown)) - latents).max() > 1e-3


@pytest.mark.parametrize("make_config", [ndt_config, linear_config])
@pytest.mark.parametrize("seen", [[0, 1, 2, 3, 4], [1, 3]], ids=["all", "region"])
def test_units_left_out_of_one_population_are_predicted_as_one_by_one(seen, make_config, source):
    """One posterior for all trials less each trial's unit, against a posterior of each trial's own."""
    model, _ = predictor_of(make_config(**SIZES), source, 1)
    unit = np.asarray([seen[0], seen[1], seen[-1], seen[0]], np.int32)
    batch = first_trials(source)
    for left_out in (unit, np.full(4, unit[0])):  # of several units, and of one unit only
        hidden = np.tile(~np.isin(np.arange(8), seen), (4, 1))
        hidden[np.arange(4), left_out] = True
        query = query_of(hidden[None])
        whole = np.asarray(model.log_rates(batch, query))[0][np.arange(4), :, left_out]
        found = model.log_rates_of_unit(batch, query, left_out.astype(np.int32))
        np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-5)


def test_a_task_is_asked_as_the_objective_was_trained(source):
    """With its own prompt if there is one for it, else as the first scheme of the training."""
    model, _ = predictor_of(ndt_config(**SIZES), source, 1, schemes="causal,neuron")
    asked = [model.asked_as(scheme) for scheme in range(len(schemes.SCHEMES))]
    assert asked == [schemes.NEURON, *[schemes.CAUSAL] * 4]
    assert model.schemes == ("causal", "neuron") and model.hides_by_zeroing
    assert not predictor_of(linear_config(**SIZES), source, 1)[0].hides_by_zeroing
