"""Scores of responses to repeated images: the truth explains all, noise nothing, and repeats bound both."""

import numpy as np
import pytest

from neurojax.scores import responses


def made(num_images=400, repeats=6, seed=0):
    rng = np.random.default_rng(seed)
    rates = rng.gamma(2.0, 1.5, (num_images, 3))
    image = np.repeat(np.arange(num_images), repeats)
    return rng.poisson(rates[image]), rates[image], image


def test_the_truth_explains_all_that_can_be_and_half_of_it_less():
    counts, rates, image = made()
    found = responses.per_neuron(counts, rates, image)
    np.testing.assert_allclose(found["explainable_share"], 1, atol=0.05)
    share = rates.var(0) / (rates.var(0) + rates.mean(0))
    np.testing.assert_allclose(found["explainable"], share, atol=0.05)
    np.testing.assert_allclose(found["correlation"], np.sqrt(share), atol=0.03)
    others = rates.var(0) / np.sqrt((rates.var(0) + rates.mean(0)) * (rates.var(0) + rates.mean(0) / 5))
    np.testing.assert_allclose(found["oracle_correlation"], others, atol=0.03)
    shrunk = rates.mean(0) + 0.5 * (rates - rates.mean(0))  # explains 1 - 0.25 of the variance
    np.testing.assert_allclose(responses.per_neuron(counts, shrunk, image)["explainable_share"], 0.75, atol=0.05)
    mean = np.broadcast_to(rates.mean(0), rates.shape)
    assert np.abs(responses.per_neuron(counts, mean, image)["explainable_share"]).max() < 0.05


def test_a_neuron_that_images_do_not_drive_or_that_never_answers_has_no_share():
    counts, rates, image = made()
    counts[:, 0] = 0
    counts[:, 1] = np.random.default_rng(1).poisson(2.0, len(counts))
    found = responses.per_neuron(counts, rates, image)
    assert np.isnan(found["explainable_share"][:2]).all() and np.isfinite(found["explainable_share"][2])
    assert np.isnan(found["correlation"][0]) and abs(found["explainable"][1]) < 0.05
    means = responses.means(found)
    assert means["explainable_share"] == pytest.approx(found["explainable_share"][2])
    assert responses.means({"one": np.full(3, np.nan)}) == {"one": None}


def test_correlations_know_no_unit_and_a_constant_prediction_says_nothing():
    counts, rates, image = made(num_images=20, repeats=2)
    rates = np.stack([rates[:, 0], np.full(40, 0.3), rates[:, 2]], 1)
    counts[:, 2] = 5
    wanted = responses.correlations(counts, rates)
    assert wanted[0] > 0.3 and wanted[1] == 0 and np.isnan(wanted[2])
    for scale in (1e-7, 1e-12, 1e7):
        np.testing.assert_allclose(responses.correlations(counts * scale, rates * scale), wanted)


def test_without_repeats_there_is_no_oracle():
    counts, rates, image = made(repeats=1)
    found = responses.per_neuron(counts, rates, image)
    assert np.isnan(found["oracle_correlation"]).all() and np.isnan(found["explainable_share"]).all()
    assert np.isfinite(found["correlation"]).all()
