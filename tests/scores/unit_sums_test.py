"""Sums on the device, batch by batch, give the scores of the float64 metrics on the whole."""

import jax
import numpy as np
import pytest

from neurojax.scores import metrics, unit_sums


@pytest.mark.parametrize("num_batches", [1, 60])
def test_streamed_scores_agree_with_the_host(num_batches):
    rng = np.random.default_rng(num_batches)
    shape = (num_batches, 6, 20, 7)
    mean = np.linspace(0.02, 3.0, 7)
    counts = rng.poisson(mean, shape).astype(np.uint8)
    counts[..., 3] = 0  # a silent unit
    log_rates = (np.log(mean) + 0.3 * rng.standard_normal(shape)).astype(np.float32)
    evaluated = rng.random(shape) < 0.7
    log_rates[~evaluated] = np.nan
    train_mean = mean * 1.1
    add = jax.jit(unit_sums.add)
    sums = unit_sums.empty(7)
    for batch in zip(log_rates, counts, evaluated, strict=True):
        sums = add(sums, *batch, train_mean.astype(np.float32))
    ours = unit_sums.host_scores(sums, train_mean, train_mean, 0.5)
    flat = [x.reshape(-1, 20, 7) for x in (np.exp(log_rates.astype(np.float64)), counts)]
    theirs = metrics.poisson_scores(metrics.poisson_sums(*flat, train_mean, evaluated.reshape(-1, 20, 7)), None, 0.5)
    assert set(ours) == set(theirs) and np.isnan(ours["bps"][3])
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-5, atol=2e-6, err_msg=name)


def test_compensation_keeps_what_float32_alone_loses():
    sums, small = unit_sums.empty(1), np.full((1, 1, 1), np.log(0.5), np.float32)
    start = sums._replace(excess=sums.excess.at[0].set(2.0**24))
    add = jax.jit(unit_sums.add)
    for _ in range(16):
        start = add(start, small, np.zeros((1, 1, 1), np.uint8), np.ones((1, 1, 1), bool), np.float32([0.1]))
    total = float(start.excess[0, 0]) - float(start.excess[1, 0])
    np.testing.assert_allclose(total - 2.0**24, 16 * 0.4, atol=1e-3)
