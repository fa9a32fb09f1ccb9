"""Intervals against scoring the resampled trials again, and against the spread over data sets."""

import types

import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.evals import scoring
from neurojax.scores import bootstrap, metrics


def test_bootstrap_equals_scoring_the_resampled_trials():
    rng = np.random.default_rng(6)
    counts = rng.poisson(0.6, (12, 7, 5)).astype(np.uint8)
    rates = rng.gamma(2.0, 0.3, counts.shape)
    train_mean = np.full(counts.shape[-1], 0.6)
    weights = bootstrap.trial_weights(len(counts), 5, seed=3)
    assert (weights.sum(1) == len(counts)).all()
    drawn = metrics.poisson_scores(metrics.poisson_sums(rates, counts, train_mean), weights, 0.1)
    for draw, weight in enumerate(weights.astype(int)):
        again = metrics.poisson_sums(np.repeat(rates, weight, 0), np.repeat(counts, weight, 0), train_mean)
        expected = metrics.poisson_scores(again, None, 0.1)
        for name in expected:
            np.testing.assert_allclose(drawn[name][draw], expected[name], rtol=1e-10, atol=1e-12, err_msg=name)


def test_bootstrap_error_matches_the_spread_over_data_sets():
    rng = np.random.default_rng(0)
    truth = rng.gamma(2.0, 0.4, (1, 6, 10))

    def pooled(counts, weights=None):
        sums = metrics.poisson_sums(np.broadcast_to(truth, counts.shape), counts)
        return metrics.poisson_scores(sums, weights)["bps_pooled"]

    data_sets = [rng.poisson(np.broadcast_to(truth, (60, 6, 10))) for _ in range(200)]
    spread = np.std([pooled(counts) for counts in data_sets])
    counts = data_sets[0]
    se, (low, high) = bootstrap.interval(pooled(counts, bootstrap.trial_weights(60, 400, seed=0)), pooled(counts))
    assert 0.7 < se / spread < 1.4
    assert low < pooled(counts) < high and 3 < (high - low) / se < 5


def test_paired_difference_has_the_smaller_error_and_refuses_other_entries():
    rng = np.random.default_rng(1)
    gain = rng.gamma(4.0, 0.25, (50, 1, 1))  # trials differ, and with them both scores
    counts = rng.poisson(0.5 * gain * np.ones((1, 8, 6)))
    rates = 0.5 * gain * np.ones((1, 8, 6))
    worse = rates * 1.1
    ours, theirs = metrics.poisson_sums(rates, counts), metrics.poisson_sums(worse, counts)
    weights = bootstrap.trial_weights(50, 300, seed=0)
    difference, se, (low, high) = bootstrap.paired_difference(ours, theirs, weights)
    single, _ = bootstrap.interval(metrics.poisson_scores(ours, weights)["bps_pooled"], 0.0)
    expected = metrics.poisson_scores(ours)["bps_pooled"] - metrics.poisson_scores(theirs)["bps_pooled"]
    assert difference == expected and low < difference < high and se < 0.5 * single
    with pytest.raises(InputError, match="different entries"):
        bootstrap.paired_difference(ours, metrics.poisson_sums(worse[:, :4], counts[:, :4]), weights)


def test_the_interval_is_centred_on_the_estimate():
    se, (low, high) = bootstrap.interval(np.arange(101.0), 500.0)
    np.testing.assert_allclose([low, high, se], [452.5, 547.5, np.arange(101.0).std(ddof=1)])
    assert all(np.isnan(bootstrap.interval(np.array([1.0, np.nan]), 1.0)[1]))


def test_a_seed_draws_the_same_trials_for_ever_and_for_every_prediction():
    """Intervals already published are found again, and those of two predictions are of the same resamples."""
    weights = bootstrap.trial_weights(9, 40, seed=3)
    assert weights[:2].tolist() == [[0, 0, 2, 1, 0, 1, 2, 2, 1], [1, 0, 1, 1, 1, 1, 2, 0, 2]]
    assert not np.array_equal(weights, bootstrap.trial_weights(9, 40, seed=4))
    assert not np.array_equal(weights, bootstrap.trial_weights(9, 40, seed=[3, 1]))
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.6, (9, 7, 5))
    session, floor = types.SimpleNamespace(bin_size_s=0.02), metrics.RATE_FLOOR_HZ * 0.02
    for rates in rng.gamma(2.0, 0.3, (2, *counts.shape)):
        sums = metrics.poisson_sums(rates, counts)
        block = scoring.score_sums(session, [sums], seed=3, num_boot=40)
        drawn = metrics.poisson_scores(sums, weights, floor)["bps_pooled"]
        assert block["bps_pooled_se"] == bootstrap.interval(drawn, block["bps_pooled"])[0]
