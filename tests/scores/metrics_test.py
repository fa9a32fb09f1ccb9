"""Scores against hand-computed, stored and independently computed values."""

import importlib.util

import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.scores import metrics


def poisson_d2(rates, counts):
    return metrics.poisson_scores(metrics.poisson_sums(rates, counts))["d2"]


def _example(seed=0, trials=12, bins=7, units=5):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.6, (trials, bins, units)).astype(np.uint8)
    rates = rng.gamma(2.0, 0.3, counts.shape)
    return rates, counts


def test_bits_per_spike_by_hand():
    # one unit, two bins, counts 0 and 2: null mean 1, null NLL = 2; rates 0.5, 1.5: NLL = 2 - 2 log 1.5
    value = metrics.bits_per_spike(np.array([[[0.5], [1.5]]]), np.array([[[0], [2]]]))
    np.testing.assert_allclose(value, [2 * np.log(1.5) / (2 * np.log(2))], rtol=1e-14)
    # deviances: null 2 (2 log 2 - 0) -> 4 log 2; model 2 (0.5 + 2 log(2 / 1.5) - 0.5)
    d2 = poisson_d2(np.array([[[0.5], [1.5]]]), np.array([[[0], [2]]]))
    np.testing.assert_allclose(d2, [1 - 4 * np.log(4 / 3) / (4 * np.log(2))], rtol=1e-14)


def test_pooled_is_not_the_unit_mean():
    rates, counts = _example()
    sums = metrics.poisson_sums(rates, counts)
    scores = metrics.poisson_scores(sums)
    spikes = counts.sum((0, 1))
    np.testing.assert_allclose(scores["bps_pooled"], (scores["bps"] * spikes).sum() / spikes.sum(), rtol=1e-12)
    np.testing.assert_allclose(scores["bps_unit_mean"], scores["bps"].mean(), rtol=1e-12)
    np.testing.assert_allclose(scores["bps_unit_median"], np.median(scores["bps"]), rtol=1e-12)
    assert abs(scores["bps_pooled"] - scores["bps_unit_mean"]) > 1e-3


def test_the_evaluated_mean_scores_exactly_zero():
    rates, counts = _example(1, trials=31, bins=13, units=17)
    rates[rates > 1.2] = np.nan
    evaluated = np.isfinite(rates)
    mean = np.where(evaluated, counts, 0).sum((0, 1)) / evaluated.sum((0, 1))
    null = np.where(evaluated, mean, np.nan)
    scores = metrics.poisson_scores(metrics.poisson_sums(null, counts))
    for name in ("bps_unit_mean", "bps_unit_median", "bps_pooled", "d2_pooled"):
        assert scores[name] == 0.0, name
    assert (scores["bps"] == 0).all() and (scores["d2"] == 0).all()


def test_the_train_mean_scores_exactly_zero_against_itself():
    _, counts = _example(2)
    train_mean = np.linspace(0.3, 0.9, counts.shape[-1])
    sums = metrics.poisson_sums(np.broadcast_to(train_mean, counts.shape), counts, train_mean)
    assert metrics.poisson_scores(sums)["bps_pooled_train_null"] == 0.0
    assert metrics.poisson_scores(sums)["bps_pooled"] < 0.0


def test_nan_and_mask_and_cropping_agree():
    rates, counts = _example(3)
    cropped = metrics.bits_per_spike(rates[:, :4], counts[:, :4])
    by_nan = rates.copy()
    by_nan[:, 4:] = np.nan
    evaluated = np.zeros(rates.shape, bool)
    evaluated[:, :4] = True
    np.testing.assert_allclose(metrics.bits_per_spike(by_nan, counts), cropped, rtol=1e-12)
    np.testing.assert_allclose(metrics.bits_per_spike(rates, counts, evaluated), cropped, rtol=1e-12)
    hidden_counts = counts.astype(float)
    hidden_counts[:, 4:] = np.nan
    np.testing.assert_allclose(metrics.bits_per_spike(by_nan, hidden_counts), cropped, rtol=1e-12)


def test_a_silent_unit_is_left_out_everywhere():
    rates, counts = _example(4)
    with_silent = np.concatenate([counts, np.zeros_like(counts[..., :1])], -1)
    more_rates = np.concatenate([rates, np.full_like(rates[..., :1], 5.0)], -1)
    ours = metrics.poisson_scores(metrics.poisson_sums(more_rates, with_silent))
    without = metrics.poisson_scores(metrics.poisson_sums(rates, counts))
    assert np.isnan(ours["bps"][-1]) and np.isnan(ours["d2"][-1])
    for name in ("bps_pooled", "bps_unit_mean", "bps_unit_median", "d2_pooled", "num_units_scored", "num_spikes"):
        np.testing.assert_allclose(ours[name], without[name], rtol=1e-12, err_msg=name)


def test_rates_are_raised_to_1e_9_and_constant_counts_have_no_d2():
    counts = np.array([[[1, 2], [0, 2]]])
    low = metrics.bits_per_spike(np.array([[[0.0, 2.0], [0.5, 2.0]]]), counts)
    raised = metrics.bits_per_spike(np.array([[[1e-9, 2.0], [0.5, 2.0]]]), counts)
    np.testing.assert_array_equal(low, raised)
    # unit 0: null mean 0.5, NLL 1 - log 0.5; rates 1e-9 at the spike and 0.5
    np.testing.assert_allclose(low[0], (0.5 - np.log(0.5) + np.log(1e-9) - 1e-9) / np.log(2), rtol=1e-12)
    assert np.isnan(poisson_d2(np.full(counts.shape, 1.5), counts)[1])


@pytest.mark.parametrize("rate", [np.inf, -np.inf])
def test_infinite_rates_are_refused(rate):
    rates, counts = _example()
    rates[0, 0, 0] = rate
    with pytest.raises(InputError, match="infinite"):
        metrics.bits_per_spike(rates, counts)


def test_wrong_shapes_and_counts_are_refused():
    rates, counts = _example()
    with pytest.raises(InputError, match="shape"):
        metrics.bits_per_spike(rates[:-1], counts)
    with pytest.raises(InputError, match="evaluated has shape"):
        metrics.bits_per_spike(rates, counts, np.ones(3, bool))
    with pytest.raises(InputError, match="negative or non-finite"):
        metrics.bits_per_spike(rates, counts.astype(float) - 1)


def test_d2_of_a_unit_is_scikit_learns():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    rates, counts = _example(5)
    ours = poisson_d2(rates, counts)
    theirs = [
        sklearn_metrics.d2_tweedie_score(counts[..., n].ravel(), rates[..., n].ravel(), power=1)
        for n in range(counts.shape[-1])
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# nlb_tools.evaluation.bits_per_spike(rates, spikes), computed by its formula with scipy.special.gammaln:
# (neg_log_likelihood(null) - neg_log_likelihood(rates)) / nansum(spikes) / log 2, null = nanmean per unit.
_NLB_GOLDEN = {0: -0.4027004042891944, 1: -0.45817814179751126}


def _nlb_example(seed):
    rates, counts = _example(seed, trials=20, bins=10, units=8)
    spikes = counts.astype(float)
    spikes[:: 3 + seed, 6:, :] = np.nan
    return rates, spikes


@pytest.mark.parametrize("seed", sorted(_NLB_GOLDEN))
def test_pooled_agrees_with_nlb(seed):
    rates, spikes = _nlb_example(seed)
    ours = metrics.poisson_scores(metrics.poisson_sums(rates, spikes, evaluated=~np.isnan(spikes)))["bps_pooled"]
    np.testing.assert_allclose(ours, _NLB_GOLDEN[seed], rtol=1e-10)
    if importlib.util.find_spec("nlb_tools"):
        from nlb_tools.evaluation import bits_per_spike

        np.testing.assert_allclose(ours, bits_per_spike(rates, spikes), rtol=1e-10)


def test_r2_skips_nan_and_constant_targets():
    target = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [np.nan, 5.0]])
    predicted = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 3.0], [9.0, 4.0]])
    value = metrics.r2(predicted, target)
    np.testing.assert_allclose(value[0], 1 - 1 / 2)
    assert np.isnan(value[1])


def test_psth_r2_sees_conditions_and_single_trial_r2_does_not():
    rng = np.random.default_rng(2)
    condition = np.array(["left", "right"] * 100)
    psth = {name: rng.gamma(2.0, 0.5, (6, 3)) for name in ("left", "right")}
    task = np.stack([psth[name] for name in condition])
    gain = rng.gamma(9.0, 1 / 9, (200, 1, 1))
    counts = rng.poisson(task * gain)
    assert (metrics.psth_r2(task, counts, condition) > 0.8).all()
    np.testing.assert_allclose(metrics.single_trial_r2(task, counts, condition), 0, atol=1e-12)
    assert (metrics.single_trial_r2(task * gain, counts, condition) > 0.005).all()
    counts_mean = np.stack([counts[condition == name].mean(0) for name in condition])
    np.testing.assert_allclose(metrics.psth_r2(counts_mean, counts, condition), 1)


def test_single_trial_r2_does_not_exist_without_repeats():
    rates, counts = _example(7)
    assert np.isnan(metrics.single_trial_r2(rates, counts, np.arange(12))).all()
    one_more = np.array([0] * 11 + [1])
    np.testing.assert_allclose(
        metrics.single_trial_r2(rates, counts, one_more),
        metrics.single_trial_r2(rates[:11], counts[:11], one_more[:11]),
    )


def test_velocity_is_read_from_rates_and_not_from_noise():
    rng = np.random.default_rng(8)
    rates = rng.gamma(2.0, 1.0, (500, 12))
    velocity = rates @ rng.standard_normal((12, 2)) + 0.1 * rng.standard_normal((500, 2)) + 3.0
    velocity[7] = np.nan
    train, test = slice(0, 350), slice(350, 500)
    found = metrics.velocity_r2(rates[train], velocity[train], rates[test], velocity[test])
    assert 0.99 < found < 1
    noise = metrics.velocity_r2(rng.random((350, 12)), velocity[train], rng.random((150, 12)), velocity[test])
    assert -0.2 < noise < 0.05
    assert np.isnan(metrics.velocity_r2(rates[:5], velocity[:5], rates[test], velocity[test]))
    assert np.isnan(metrics.velocity_r2(rates[train], velocity[train], rates[test], np.ones((150, 2))))


def test_rate_floors_unit_means_and_train_nulls_are_those_of_the_units():
    rates, counts = _example(9)
    counts[..., 1] = 1  # constant: no d2
    train_mean = np.array([0.1, 0.9, 0.5, 0.2, 0.6])
    scores = metrics.poisson_scores(metrics.poisson_sums(rates, counts, train_mean), None, 0.45)
    fast = train_mean >= 0.45
    spikes = counts.sum((0, 1))
    np.testing.assert_allclose(scores["bps_unit_median_ge1hz"], np.median(scores["bps"][fast]), rtol=1e-12)
    pooled = (scores["bps"] * spikes)[fast].sum() / spikes[fast].sum()
    np.testing.assert_allclose(scores["bps_pooled_ge1hz"], pooled, rtol=1e-12)
    assert np.isnan(scores["d2"][1])
    np.testing.assert_allclose(scores["d2_unit_mean"], np.delete(scores["d2"], 1).mean(), rtol=1e-12)
    nll = [np.sum(r - counts * np.log(r), axis=(0, 1)) for r in (np.broadcast_to(train_mean, rates.shape), rates)]
    expected = ((nll[0] - nll[1]) / np.log(2) / spikes).mean()
    np.testing.assert_allclose(scores["bps_unit_mean_train_null"], expected, rtol=1e-12)
