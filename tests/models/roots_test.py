"""Moments of square roots of Poisson counts against sums over their probabilities."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from neurojax.models import roots


@pytest.mark.parametrize("rate", [1e-4, 0.06, 0.9, 5.0, 11.9, 12.1, 80.0, 900.0])
def test_moments_are_those_of_poisson_counts(rate):
    counts = np.arange(5000)
    chances = scipy.stats.poisson.pmf(counts, rate)
    expected = np.sqrt(counts) @ chances
    mean, variance = roots.moments(jnp.full((2, 3), rate, jnp.float32))
    np.testing.assert_allclose(mean, expected, rtol=1e-4)
    np.testing.assert_allclose(variance, rate - expected**2, rtol=6e-3)


@pytest.mark.parametrize("rate", [0.01, 0.5, 5.0, 19.0, 21.0, 300.0])
def test_the_slope_is_what_a_change_of_the_log_rate_changes(rate):
    around = [
        np.sqrt(np.arange(2000)) @ scipy.stats.poisson.pmf(np.arange(2000), rate * np.exp(d)) for d in (0.01, -0.01)
    ]
    assert float(roots.slope(rate)) == pytest.approx((around[0] - around[1]) / 0.02, rel=2e-3)
