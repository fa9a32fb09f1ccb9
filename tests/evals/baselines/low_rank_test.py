"""Reduced-rank regression, factor analysis and the forward-only baselines against constructions of their own."""

import numpy as np
import pytest

from neurojax.data.session import TEST
from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.evals import baseline_scores, baselines
from neurojax.evals.baselines import (
    ahead,
    autoregression,
    factor_analysis,
    forward,
    reduced_rank,
    ridge,
    smoothed_spikes,
)
from neurojax.evals.baselines import folds as folds_module
from neurojax.evals.baselines.reduced_rank import readout_weights


@pytest.mark.parametrize("rank", [1, 3, 7])
def test_reduced_rank_weights_are_those_of_an_svd_of_the_fit(rank):
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, penalty = rng.normal(size=(60, 9)), 4.0
    y = x @ rng.normal(size=(9, 2)) @ rng.normal(size=(2, 7)) + rng.normal(size=(60, 7))
    loadings, readout = reduced_rank.reduced_rank_loadings(x.T @ x, x.T @ y, penalty, rank)
    ridge = linear_model.Ridge(alpha=penalty, fit_intercept=False, solver="svd").fit(x, y).coef_.T
    augmented = np.concatenate([x, np.sqrt(penalty) * np.eye(9)])
    u, s, vt = np.linalg.svd(augmented @ ridge, full_matrices=False)
    cut = (u[:, :rank] * s[:rank]) @ vt[:rank]
    expected = np.linalg.lstsq(augmented, cut, rcond=None)[0]
    np.testing.assert_allclose(loadings @ readout, expected, atol=1e-10)
    assert loadings.shape == (9, rank) and np.linalg.matrix_rank(loadings @ readout) == rank
    if rank == 7:
        np.testing.assert_allclose(loadings @ readout, ridge, atol=1e-10)

    def objective(weights):
        return ((y - x @ weights) ** 2).sum() + penalty * (weights**2).sum()

    for _ in range(20):  # nothing of this rank nearby is better
        other = (loadings + 0.01 * rng.normal(size=loadings.shape)) @ (readout + 0.01 * rng.normal(size=readout.shape))
        assert objective(other) > objective(loadings @ readout)


@pytest.mark.parametrize("largest", [4000, 10])
def test_leading_eigenvectors_are_the_same_either_way(largest, monkeypatch):
    monkeypatch.setattr(reduced_rank, "LARGEST", largest)
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(60, 80))
    few, many = reduced_rank._leading(factor.T, factor.T, 7), reduced_rank._leading(factor.T, factor.T, 8)
    np.testing.assert_allclose(np.abs(few.T @ many), np.eye(7, 8), atol=1e-8)
    np.testing.assert_array_equal(few, reduced_rank._leading(factor.T, factor.T, 7))
    assert np.all(np.diff(np.square(factor.T @ few).sum(0)) < 0), "largest first"


def test_ridge_and_reduced_rank_are_the_same_by_features_and_by_rows():
    rng = np.random.default_rng(4)
    x, y, asked = rng.normal(size=(12, 30)), rng.normal(size=(12, 6)), rng.normal(size=(5, 30))
    by_features = asked @ ridge.solved(x.T @ x, x.T @ y, 3.0)
    np.testing.assert_allclose((asked @ x.T) @ ridge.solved(x @ x.T, y, 3.0), by_features, atol=1e-10)
    loadings, readout = reduced_rank.reduced_rank_loadings(x.T @ x, x.T @ y, 3.0, 2)
    rows, its_readout = reduced_rank.reduced_rank_loadings(x @ x.T, y, 3.0, 2, of_rows=True)
    np.testing.assert_allclose((asked @ x.T) @ rows @ its_readout, asked @ loadings @ readout, atol=1e-10)


def test_many_units_are_fitted_by_rows_of_which_there_are_few(monkeypatch):
    counts = np.random.default_rng(8).poisson(0.5, (40, 20, 30))
    folds = folds_module.make_folds(make_session(counts), ("forward",))
    psth, bank = np.tile(folds.mean, (20, 1)), ahead.Bank((0.04, 0.2))
    monkeypatch.setattr(ahead, "MOST_ROWS", 50)
    by_rows = ahead._past(folds, psth, bank)
    assert by_rows.of_rows and by_rows.equations.gram.shape == (45, 45), "every seventh of 312 origins"
    assert by_rows.last[TEST].shape == (8, 45) and by_rows.equations.cross.shape == (45, 60)
    monkeypatch.setattr(ahead, "MOST_ROWS", 10**6)
    whole = ahead._past(folds, psth, bank)
    assert not whole.of_rows and whole.equations.gram.shape == (60, 60)
    losses = [ahead._fit_bank(folds, psth, past, 1000.0)[0] for past in (by_rows, whole)]
    assert abs(losses[0] - losses[1]) < 0.05 * abs(losses[1]), "a seventh of the rows, the same regression"


@pytest.mark.parametrize("num_own", [0, 1, 2])
def test_readouts_equal_a_refit_on_latents_without_the_units_own_features(num_own):
    rng = np.random.default_rng(1)
    num_units, num_features = 5, 10
    x, y = rng.normal(size=(50, num_features)), rng.normal(size=(50, num_units))
    loadings = rng.normal(size=(num_features, 3))
    own = np.stack([np.arange(num_units), num_units + np.arange(num_units)], 1)[:, :num_own]
    found = readout_weights(loadings, x.T @ x, x.T @ y, own, 0.05)
    for unit in range(num_units):
        rest = loadings.copy()
        rest[own[unit]] = 0
        latents = x @ rest
        penalty = 0.05 * np.trace(latents.T @ latents) / 3
        readout = np.linalg.solve(latents.T @ latents + penalty * np.eye(3), latents.T @ y[:, unit])
        np.testing.assert_allclose(found[:, unit], rest @ readout, atol=1e-12)
        assert (found[own[unit], unit] == 0).all()


def test_factors_are_those_of_maximum_likelihood():
    decomposition = pytest.importorskip("sklearn.decomposition")
    rng = np.random.default_rng(2)
    truth, noise = rng.normal(size=(12, 2)), rng.uniform(0.3, 2.0, 12)
    x = rng.normal(size=(3000, 2)) @ truth.T + rng.normal(size=(3000, 12)) * np.sqrt(noise)
    x -= x.mean(0)
    covariance = x.T @ x / len(x)
    loadings, found = factor_analysis.fit_factors(covariance, 2, 500)
    theirs = decomposition.FactorAnalysis(2, svd_method="lapack", tol=1e-8, max_iter=5000).fit(x)
    np.testing.assert_allclose(loadings @ loadings.T, theirs.components_.T @ theirs.components_, atol=0.01)
    np.testing.assert_allclose(found, theirs.noise_variance_, atol=0.01)
    few = factor_analysis.fit_factors(covariance, 2)
    np.testing.assert_allclose(few[0] @ few[0].T, truth @ truth.T, atol=0.5)


def test_the_posterior_is_the_conditional_of_the_joint_gaussian():
    rng = np.random.default_rng(3)
    loadings, noise = rng.normal(size=(6, 2)), rng.uniform(0.5, 2.0, 6)
    visible = [0, 2, 5]
    seen = loadings[visible]
    joint = seen @ seen.T + np.diag(noise[visible])
    expected = np.linalg.solve(joint, seen)  # x @ this is E[z | x]
    np.testing.assert_allclose(factor_analysis.posterior_weights(seen, noise[visible]), expected, atol=1e-12)


def make_session(counts, **fields):
    split = np.resize([0, 0, 0, 1, 2], len(counts))
    return from_counts(counts, bin_size_s=0.02, session_id="rat", split=split, **fields)


def test_smoothed_spikes_are_the_mean_of_the_visible_past():
    rng = np.random.default_rng(4)
    rates = rng.gamma(2.0, 0.5, (50, 1, 8))  # of a trial and unit, constant in it
    session = make_session(rng.poisson(np.broadcast_to(rates, (50, 20, 8))))
    folds = folds_module.make_folds(session, ("forward",))
    test = folds.parts[TEST]
    found = smoothed_spikes._rates(folds, TEST, np.inf, 3.0)
    expected = (test.counts[:, :18].sum(1) + 3.0 * folds.mean) / (18 + 3.0)
    np.testing.assert_allclose(found[:, 18], expected)
    np.testing.assert_allclose(found[:, 19], expected)
    weights = np.exp(-np.arange(18)[::-1] / 4.0)
    recent = (np.einsum("ktn,t->kn", test.counts[:, :18], weights) + folds.mean) / (weights.sum() + 1)
    np.testing.assert_allclose(smoothed_spikes._rates(folds, TEST, 0.08, 1.0)[:, 18], recent, rtol=1e-5)
    tuned = smoothed_spikes.fit(folds).rates[TEST][:, 18]
    truth = rates[session.split == TEST][:, 0]
    assert np.corrcoef(tuned.ravel(), truth.ravel())[0, 1] > 0.9


def test_autoregression_finds_the_weights_of_an_autoregressive_process():
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(5)
    values = rng.normal(size=(200, 30, 3)).astype(np.float32)
    for t in range(2, 30):
        values[:, t] += 0.5 * values[:, t - 1] - 0.3 * values[:, t - 2]
    trial, origin = (part.ravel() for part in np.meshgrid(np.arange(200), np.arange(5, 28), indexing="ij"))
    x = autoregression.last_bins(values, trial, origin, 4)
    y = np.stack([values[trial, origin + h] for h in (1, 2)], -1)
    weights = autoregression.own_weights(*autoregression.own_moments(x, y), np.full(3, 2.0))
    np.testing.assert_allclose(weights[:, :, 0], np.tile([0.5, -0.3, 0, 0], (3, 1)), atol=0.05)
    np.testing.assert_allclose(weights[:, :2, 1], np.tile([0.25 - 0.3, -0.15], (3, 1)), atol=0.05)
    expected = linear_model.Ridge(alpha=2.0, fit_intercept=False).fit(x[1], y[:, 1]).coef_
    np.testing.assert_allclose(weights[1].T, expected, atol=1e-5)
    early = autoregression.last_bins(values, np.array([3, 3]), np.array([1, -1]), 4)
    np.testing.assert_array_equal(early[:, 0], np.pad(values[3, 1::-1].T, ((0, 0), (0, 2))))
    assert not early[:, 1].any()


def test_more_units_than_one_chunk_give_the_same_rates(monkeypatch):
    counts = np.random.default_rng(6).poisson(0.5, (40, 20, 7))
    folds = folds_module.make_folds(make_session(counts), ("forward",))
    psth = np.tile(folds.mean, (20, 1))
    whole = autoregression.fit(folds, psth).rates[TEST]
    monkeypatch.setattr(autoregression, "UNITS_AT_ONCE", 3)
    np.testing.assert_allclose(autoregression.fit(folds, psth).rates[TEST], whole, rtol=1e-6)
    assert forward.last_visible(folds.parts[TEST]).tolist() == [17] * 8


def test_what_a_baseline_cannot_do_is_null_with_a_reason():
    counts = np.random.default_rng(7).poisson(0.5, (40, 20, 6))
    session = make_session(counts, region=np.resize(["A", "B"], 6))
    names = ("psth", "smoothed_spikes", "factor_analysis")
    settings = {"protocol": "mtm", "num_boot": 0, "baselines": ",".join(names)}
    found = baseline_scores.cached_scores(dataset_of([session]), "", None, settings, 0)["rat"]
    block = found.scores["smoothed_spikes"]["co_smoothing"]
    assert block["bps_pooled"] is None and "smoothed_spikes cannot do it" in block["bps_pooled_reason"]
    assert "dynamics" in found.scores["factor_analysis"]["forward"]["bps_pooled_reason"]
    assert found.scores["smoothed_spikes"]["forward"]["bps_pooled"] is not None
    assert np.isnan(found.unit_scores["smoothed_spikes"]).all()
    assert set(found.excess["smoothed_spikes"]) == {"forward"}
    assert baselines.fit_and_predict(session, ["smoothed_spikes"], ["co_smoothing"]) == {"smoothed_spikes": {}}
