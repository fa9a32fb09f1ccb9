"""Smoothed latents and own gains against loops over bins."""

import jax
import numpy as np

from neurojax.models import smoothing

B, T, K, N = 3, 7, 2, 4


def test_smoothed_latents_are_weighted_means_over_readable_bins():
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((B, T, K)).astype(np.float32)
    readable = rng.random((B, T)) < 0.6
    readable[1, :3] = False
    causal = np.asarray([False, True, True])
    expected = np.zeros((B, T, 2, K))
    for trial in range(B):
        for t in range(T):
            for m, memory in enumerate((2.5, 12.0)):
                bins = [s for s in range(T) if readable[trial, s] and (s <= t or not causal[trial])]
                if causal[trial]:
                    weight = np.exp([-(t - s) / memory for s in bins])
                else:
                    weight = np.exp([-((t - s) ** 2) / 8 if m == 0 else 0.0 for s in bins])
                if bins:
                    expected[trial, t, m] = (weight / weight.sum()) @ latents[trial, bins]
    found = jax.jit(smoothing.smoothed)(latents, readable, causal)
    np.testing.assert_allclose(found, expected.reshape(B, T, 2 * K), rtol=1e-4, atol=1e-6)
    assert np.all(np.asarray(found)[1, :3] == 0)  # nothing readable so far


def test_own_log_gains_compare_visible_spikes_with_what_was_expected_of_them():
    rng = np.random.default_rng(1)
    counts = rng.poisson(0.5, (1, B, T, N)).astype(np.float32)
    visible = rng.random((1, B, T, N)) < 0.7
    visible[:, 0, :, 2] = False
    base = rng.uniform(0.1, 1.0, (1, N)).astype(np.float32)
    found = np.asarray(jax.jit(smoothing.own_log_gains)(np.where(visible, counts, 0), visible, base))
    for m, memory in enumerate((2.0, 6.0, 20.0)):
        for t in range(T):
            weight = np.exp(-(t - np.arange(t + 1)) / memory)[:, None]
            seen = visible[0, :, : t + 1]
            observed = (weight * np.where(seen, counts[0, :, : t + 1], 0)).sum(1)
            expected = (weight * seen * base[0]).sum(1)
            np.testing.assert_allclose(
                found[m, 0, :, t], np.log((observed + 0.5) / (expected + 0.5)), rtol=1e-4, atol=1e-5
            )
    assert np.all(found[:, 0, 0, :, 2] == 0)  # a unit hidden throughout
