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
