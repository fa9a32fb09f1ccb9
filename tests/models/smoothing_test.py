"""Smoothed latents and own gains against loops over bins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.models import smoothing

B, T, K, N = 3, 7, 2, 4
BOTH_WAYS, PAST, OWN = (0.5, 2.0, 9.0), (1.5, 2.5, 12.0), (2.0, 6.0, 20.0)  # bins
MEMORIES = {
    "both_ways": np.log(np.float32(BOTH_WAYS)),
    "past": np.log(np.float32(PAST)),
    "own": np.log(np.float32(OWN)),
}


@pytest.fixture(params=["short trials", "long trials"], autouse=True)
def both_ways_to_mix(request, monkeypatch):
    """Every test here runs with weight matrices and without."""
    if request.param == "long trials":
        monkeypatch.setattr(smoothing, "DENSE_BINS", 0)


def test_smoothed_latents_are_weighted_means_over_readable_bins():
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((B, T, K)).astype(np.float32)
    readable = rng.random((B, T)) < 0.6
    readable[1, :3] = False
    causal = np.asarray([False, True, True])
    expected = np.zeros((B, T, 4, K))
    for trial in range(B):
        for t in range(T):
            for m, memory in enumerate((*np.where(causal[trial], PAST, BOTH_WAYS), np.inf)):
                bins = [s for s in range(T) if readable[trial, s] and (s <= t or not causal[trial])]
                weight = np.exp([-abs(t - s) / memory for s in bins])
                if bins:
                    expected[trial, t, m] = (weight / weight.sum()) @ latents[trial, bins]
    found = jax.jit(lambda *given: smoothing.smoothed(*given))(latents, readable, causal, MEMORIES)
    np.testing.assert_allclose(found, expected.reshape(B, T, 4 * K), rtol=1e-4, atol=1e-6)
    assert np.all(np.asarray(found)[1, :3] == 0)  # nothing readable so far


def test_own_log_gains_compare_visible_spikes_with_what_was_expected_of_them():
    rng = np.random.default_rng(1)
    counts = rng.poisson(0.5, (1, B, T, N)).astype(np.float32)
    visible = rng.random((1, B, T, N)) < 0.7
    visible[:, 0, :, 2] = False
    base = rng.uniform(0.1, 1.0, (1, N)).astype(np.float32)
    found = np.asarray(
        jax.jit(lambda *given: smoothing.own_log_gains(*given))(np.where(visible, counts, 0), visible, base, MEMORIES)
    )
    for m, memory in enumerate(OWN):
        for t in range(T):
            weight = np.exp(-(t - np.arange(t + 1)) / memory)[:, None]
            seen = visible[0, :, : t + 1]
            observed = (weight * np.where(seen, counts[0, :, : t + 1], 0)).sum(1)
            expected = (weight * seen * base[0]).sum(1)
            np.testing.assert_allclose(
                found[m, 0, :, t], np.log((observed + 0.5) / (expected + 0.5)), rtol=1e-4, atol=1e-5
            )
    assert np.all(found[:, 0, 0, :, 2] == 0)  # a unit hidden throughout


def test_a_long_trial_is_mixed_as_by_a_matrix_and_needs_none(monkeypatch):
    bins = 70
    rng = np.random.default_rng(2)
    latents, counts = rng.standard_normal((B, bins, K)), rng.poisson(0.5, (1, B, bins, N))
    readable, causal = rng.random((B, bins)) < 0.3, np.asarray([False, True, False])
    readable[2, 10:50] = False  # far from the nearest readable bin

    def mixed(given):
        latents, memories = given
        smooth = smoothing.smoothed(latents, readable, causal, memories)
        gains = smoothing.own_log_gains(counts * 1.0, counts < 2, jnp.full((1, N), 0.4), memories)
        return jnp.sum(jnp.sin(smooth)) + jnp.sum(jnp.sin(gains)), (smooth, gains)

    found = {}
    for dense_bins in (bins, bins - 1):
        monkeypatch.setattr(smoothing, "DENSE_BINS", dense_bins)
        program = jax.jit(lambda *given: jax.grad(mixed, has_aux=True)(given))
        found[dense_bins] = program(latents, MEMORIES)
        in_text = program.lower(latents, MEMORIES).as_text()
        assert (f"{bins}x{bins}x" in in_text) == (dense_bins == bins)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *found.values())


def test_memories_start_from_seconds_and_have_a_slope_however_wide_the_bins():
    first = smoothing.first_log_memories(0.02)
    np.testing.assert_allclose(np.exp(first["own"]) * 0.02, smoothing.OWN_MEMORIES_S, rtol=1e-5)
    latents = np.random.default_rng(3).standard_normal((1, T, K)).astype(np.float32)
    every, causal = np.ones((1, T), bool), np.zeros(1, bool)
    mix = lambda memories: smoothing.smoothed(latents, every, causal, memories)  # noqa: E731
    narrow = [jax.jit(mix)(smoothing.first_log_memories(bin_size_s)) for bin_size_s in (0.001, 0.25)]
    # at 250 ms the fastest kernel is nearly one bin, the slowest the mean over the trial at any width
    np.testing.assert_allclose(narrow[1][..., :K], latents, atol=0.3)
    np.testing.assert_allclose(narrow[0][..., -K:], narrow[1][..., -K:], rtol=1e-5)
    slope = jax.jit(jax.grad(lambda memories: jnp.sum(jnp.sin(mix(memories)))))(first)
    assert np.all(np.abs(slope["both_ways"]) > 1e-6) and np.all(np.asarray(slope["past"]) == 0)
