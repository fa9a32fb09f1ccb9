"""Poisson likelihood and its reductions against NumPy and SciPy."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from neurojax import losses


def test_nll_is_scipys_without_the_constant():
    rng = np.random.default_rng(0)
    log_rates, counts = rng.normal(size=(4, 5)), rng.poisson(1.0, (4, 5))
    ours = np.asarray(losses.poisson_nll(jnp.asarray(log_rates), jnp.asarray(counts)))
    constant = scipy.stats.poisson.logpmf(counts, 1.0) + 1.0
    np.testing.assert_allclose(ours, -scipy.stats.poisson.logpmf(counts, np.exp(log_rates)) + constant, rtol=1e-5)


def test_masked_sums_ignore_non_finite_values_outside_the_target():
    nll = jnp.asarray([[[1.0, jnp.inf], [2.0, jnp.nan]]])
    total, entries = losses.masked_sums(nll, jnp.asarray([[[True, False], [True, False]]]))
    assert total.tolist() == [3.0] and entries.tolist() == [2.0]


@pytest.mark.parametrize(("power", "expected"), [(0.0, (2.0 + 60.0) / 12), (1.0, (1.0 + 6.0) / 2)])
def test_size_power_goes_from_equal_entries_to_equal_trials(power, expected):
    loss = losses.reduce_loss(jnp.asarray([2.0, 60.0, 0.0]), jnp.asarray([2.0, 10.0, 0.0]), "mean", power)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_sum_is_the_sum_and_other_words_are_refused():
    assert float(losses.reduce_loss(jnp.asarray([2.0, 60.0]), jnp.asarray([2.0, 10.0]), "sum")) == 62.0
    with pytest.raises(ValueError, match="median"):
        losses.reduce_loss(jnp.ones(1), jnp.ones(1), "median")


def test_an_empty_target_costs_nothing():
    assert float(losses.reduce_loss(jnp.zeros(2), jnp.zeros(2), "mean")) == 0.0
