"""Decoding by Bayes' rule: the posterior, what it is expected to reach, and images climbed to."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from neurojax.errors import InputError
from neurojax.evals import bayes


def test_the_posterior_is_the_product_of_poisson_probabilities_and_the_prior():
    rng = np.random.default_rng(0)
    rates, counts, prior = rng.uniform(0.2, 3, (4, 5)), rng.poisson(1.0, (3, 5)), np.array([0.1, 0.2, 0.3, 0.4])
    wanted = stats.poisson.pmf(counts[:, None], rates).prod(-1) * prior
    wanted /= wanted.sum(1, keepdims=True)
    np.testing.assert_allclose(bayes.posterior(rates, counts, prior), wanted, rtol=1e-9)
    silent = np.array([[0.0, 1.0], [1.0, 1.0]])  # a rate of zero makes a spike unlikely, not the posterior NaN
    found = bayes.posterior(silent, np.array([[1, 1]]))
    assert np.isfinite(found).all() and found[0, 1] > 0.99
    with pytest.raises(InputError, match=r"rates are \[2, 2\] and counts \[1, 3\]; expected \[K, N\] and \[n, N\]"):
        bayes.posterior(silent, np.ones((1, 3)))


def test_two_candidates_are_told_apart_as_often_as_the_normal_law_says_and_equal_ones_by_chance():
    rates = np.full((2, 400), 2.0)
    rates[1, :200] *= 1.1
    ratio, gap = np.log(1.1), 200 * 2 * (0.1 - np.log(1.1))
    wanted = special.ndtr(gap / (ratio * np.sqrt(400)))
    assert 0.7 < wanted < 0.9
    assert bayes.bayes_rate(rates, 0, repeats=2000) == pytest.approx(wanted, abs=0.02)
    assert bayes.identification(rates, 1, repeats=2000).accuracy == pytest.approx(wanted, abs=0.02)
    same = bayes.identification(np.full((3, 5), 2.0), seed=0)
    assert same.accuracy == pytest.approx(1 / 3) and same.expected == pytest.approx(1 / 3)


def test_simulated_responses_are_identified_as_often_as_bayes_allows_and_better_with_more_neurons():
    rates = np.exp(np.random.default_rng(1).normal(0.7, 0.4, (200, 60)))
    found = [bayes.identification(rates[:, :number], seed=2, repeats=40) for number in (15, 30, 60)]
    accuracy = np.array([one.accuracy for one in found])
    assert np.all(np.diff(accuracy) > 0.1) and accuracy[0] > 2 / 200
    np.testing.assert_allclose(accuracy, [one.expected for one in found], atol=0.02)


def test_the_most_likely_image_agrees_with_the_closed_form_of_a_linear_encoder_at_high_rates():
    """With rates far from zero a Poisson response of root link is nearly Gaussian: MAP is then ridge."""
    rng = np.random.default_rng(0)
    filters = rng.standard_normal((12, 36)) * 0.5
    base = 200.0

    def log_rates(images):
        drive = jnp.asarray(filters, jnp.float32) @ images.reshape(len(images), -1).T
        return jnp.log(base) + drive.T / jnp.sqrt(base)

    image = rng.standard_normal((1, 6, 6))
    counts = np.exp(np.asarray(log_rates(jnp.asarray(image[:, None], jnp.float32))))
    found = bayes.most_likely_images(log_rates, counts, (6, 6), steps=300)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(6), np.fft.fftfreq(6)))
    amplitude = np.where(frequency > 0, 1 / np.maximum(frequency, 1e-9), 0)
    amplitude /= np.sqrt(np.mean(amplitude**2))
    mix = np.fft.ifft2(np.fft.fft2(np.eye(36).reshape(36, 6, 6)) * amplitude).real.reshape(36, 36)
    prior = mix.T @ mix
    gain = prior @ filters.T @ np.linalg.inv(filters @ prior @ filters.T + np.eye(12))
    wanted = gain @ (filters @ image.ravel())
    assert np.corrcoef(found.images.ravel(), wanted)[0, 1] > 0.98
    assert found.images.std() == pytest.approx(wanted.std(), rel=0.15)
