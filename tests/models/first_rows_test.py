"""Read-in rows at the principal components of the training trials."""

import dataclasses

import numpy as np
import pytest
import scipy.ndimage

from neurojax.data.sources import spikes
from neurojax.data.store.sessions import from_counts
from neurojax.models import first_rows, ndt, ndt_linear, roots
from neurojax.train import state
from neurojax.train.step import Recipe
from tests import configs_for_tests
from tests.configs_for_tests import (
    first_state,
    linear_config,
    model_of,
    mtm_config,
    ndt_config,
    objective_of,
    optimizer_config,
)

TRIALS, T, K = 20, 30, 4
SIZES = dict(read_in_width=K, width=8, num_layers=1, num_heads=2, mlp_width=8)


def make_session(num_units=6, seed=0, name="a"):
    """Two shared slow signals; test trials are of another kind."""
    rng = np.random.default_rng(seed)
    drive = scipy.ndimage.gaussian_filter1d(rng.standard_normal((TRIALS, T, 2)), 3, axis=1)
    rates = np.exp(2 * drive @ rng.standard_normal((2, num_units)))
    split = np.where(np.arange(TRIALS) < 14, 0, np.where(np.arange(TRIALS) < 16, 1, 2))
    counts = np.where((split == 2)[:, None, None], 9, rng.poisson(rates)).astype(np.uint8)
    return from_counts(counts, bin_size_s=0.02, session_id=name, split=split)


def source_of(*sessions):
    return spikes.open_source(sessions, configs_for_tests.batching_config(trials_per_batch=4), 0)


def test_latents_are_the_leading_components_of_smoothed_training_counts():
    session = make_session()
    mean = source_of(session).facts.mean_counts
    read_in, bias = first_rows.principal_read_in(session, K, mean)
    assert read_in.shape == (6, K) and read_in.dtype == np.float32 and bias.dtype == np.float32
    counts, _ = session.gather_trials(session.trials_of(0))
    scaled = (counts - mean) / np.sqrt(mean)
    smooth = scipy.ndimage.gaussian_filter1d(scaled, 2.0, axis=1).reshape(-1, 6)
    loadings = read_in * np.sqrt(mean)[:, None]
    covariance = smooth.T @ smooth
    values, vectors = np.linalg.eigh(covariance)
    cosines = np.abs((loadings / np.linalg.norm(loadings, axis=0)).T @ vectors[:, ::-1][:, :K])
    np.testing.assert_allclose(cosines, np.eye(K), atol=1e-3)
    latents = counts.reshape(-1, 6) @ read_in + bias
    raw = scaled.reshape(-1, 6) @ loadings
    np.testing.assert_allclose(latents, raw, rtol=1e-3, atol=1e-3)  # the bias takes the mean out
    np.testing.assert_allclose(raw.var(0).mean(), 1.0, rtol=1e-3)
    assert np.all(loadings.sum(0) > 0)  # one sign on every machine


def test_leading_components_of_many_units_are_those_of_the_whole_covariance(monkeypatch):
    rng = np.random.default_rng(0)
    strong = rng.standard_normal((400, 5)) * [9.0, 7, 5, 4, 3]
    rows = strong @ np.linalg.qr(rng.standard_normal((120, 5)))[0].T + 0.1 * rng.standard_normal((400, 120))
    whole = first_rows._leading(rows, 5)
    monkeypatch.setattr(first_rows, "WHOLE_UNITS", 100)
    found = first_rows._leading(rows, 5)
    np.testing.assert_allclose(np.abs(np.sum(found * whole, axis=0)), 1, atol=1e-6)  # up to their signs
    np.testing.assert_allclose(found.T @ found, np.eye(5), atol=1e-9)


def test_columns_beyond_the_number_of_units_are_zero():
    session = make_session(num_units=3)
    read_in, bias = first_rows.principal_read_in(session, K, source_of(session).facts.mean_counts)
    assert np.all(read_in[:, 3:] == 0) and np.all(bias[3:] == 0) and np.all(np.any(read_in[:, :3] != 0, axis=0))


def test_test_and_validation_trials_do_not_reach_the_rows():
    session = make_session()
    counts = np.asarray(session.counts).copy()
    counts[14 * T :] = 0
    other = dataclasses.replace(session, counts=counts)
    rows = [first_rows.principal([one], source_of(one).facts, K) for one in (session, other)]
    for name in ("read_in", "read_in_bias"):
        np.testing.assert_array_equal(rows[0][name], rows[1][name])


@pytest.mark.parametrize("make_config", [ndt_config, linear_config])
def test_a_run_starts_at_each_sessions_own_components_where_asked(make_config):
    sessions = [make_session(6, 0, "a"), make_session(4, 1, "b")]
    source = source_of(*sessions)
    config = make_config(**SIZES, read_in_init="principal")
    recipe = Recipe(0, 10, model_of(config), objective_of(mtm_config()), "poisson", optimizer_config())
    fresh = first_state(recipe, source)
    tables = state.with_fitted_rows(fresh, recipe, source).tables
    means = np.split(source.facts.mean_counts, [6])
    for number, (session, mean, rows) in enumerate(zip(sessions, means, (slice(0, 6), slice(6, 10)), strict=True)):
        centred = model_of(config).name == "ndt_linear"  # it reads roots, less what is expected
        read_in, bias = first_rows.principal_read_in(session, K, mean, of_roots=centred)
        np.testing.assert_array_equal(tables["read_in"][rows], read_in)
        np.testing.assert_array_equal(tables["read_in_bias"][number], 0 * bias if centred else bias)
    same = set(tables) - {"read_in", "read_in_bias"}
    assert all(np.array_equal(tables[name], fresh.tables[name]) for name in same)
    module = ndt_linear if make_config is linear_config else ndt
    assert module.fitted_rows(make_config(**SIZES), sessions, source.facts) == {}


@pytest.mark.parametrize("of_roots", [False, True], ids=["counts", "roots"])
def test_read_out_rows_are_the_gains_that_made_the_counts(of_roots):
    rng = np.random.default_rng(0)
    planted = 0.2 * rng.normal(size=(40, 2))  # changes of log-rates
    means = rng.uniform(1, 6, 40).astype(np.float32)
    states = rng.normal(size=(100, 50, 2))
    counts = rng.poisson(means * np.exp(states @ planted.T - 0.5 * (planted**2).sum(1)))
    expected = first_rows.mean_read(means, of_roots)
    slopes = planted * np.asarray(roots.slope(means) if of_roots else means)[:, None]
    components, hidden = np.linalg.qr(slopes)[0], rng.random((100, 40)) < first_rows.HIDDEN_SHARE
    read = np.sqrt(counts) if of_roots else counts
    rows = first_rows.read_out(components, expected, hidden, states, read, np.ones((100, 50), bool))
    found = first_rows.as_gains(rows, means, 5000, of_roots)
    assert np.corrcoef(found.ravel(), planted.ravel())[0, 1] > 0.98
    assert (found * planted).sum() / (planted**2).sum() == pytest.approx(1, abs=0.1)
