"""The read-in as a posterior mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.models import stitcher

G, B, T, N, K = 1, 3, 4, 40, 5


def test_posterior_is_the_mean_of_a_factor_model_given_the_visible_units():
    rng = np.random.default_rng(0)
    loadings = np.linalg.qr(rng.standard_normal((N, K)))[0]  # orthonormal columns: already of the scale assumed
    base = rng.uniform(0.1, 2.0, N)
    bias = rng.standard_normal((G, K)).astype(np.float32)
    rows = {"read_in": (loadings / np.sqrt(base)[:, None])[None].astype(np.float32), "read_in_bias": bias}
    counts = rng.standard_normal((G, B, T, N))
    visible = rng.random((G, B, N)) < 0.5
    visible[:, 0] = True
    latents = np.where(visible[:, :, None], counts, 0) @ (loadings / np.sqrt(base)[:, None])
    noise = 0.4
    shifted = (latents + bias[:, None, None]).astype(np.float32)
    found = (
        np.asarray(jax.jit(stitcher.posterior)(rows, shifted, visible, base[None].astype(np.float32), noise))
        - bias[:, None, None]
    )
    for trial in range(B):
        shown = visible[0, trial]
        part = loadings[shown]  # z ~ N(0, I / noise), counts / sqrt(base) = part z + N(0, I)
        covariance = part @ part.T / noise + np.eye(shown.sum())
        gain = part.T / noise @ np.linalg.inv(covariance)
        expected = (1 + noise) * (counts[0, trial][:, shown] / np.sqrt(base[shown])) @ gain.T
        np.testing.assert_allclose(found[0, trial], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[0, 0], latents[0, 0], rtol=1e-3, atol=1e-4)  # everything visible: the plain sum


def test_the_posterior_is_not_trained_through_its_matrix():
    """With given latents nothing depends on the read-in rows but the matrix, of trials alike or each its own."""
    rng = np.random.default_rng(0)
    rows = {"read_in": rng.standard_normal((G, N, K)), "read_in_bias": np.zeros((G, K))}
    latents, base = rng.standard_normal((G, B, T, K)), rng.uniform(0.1, 2.0, (G, N))
    visible = np.ones((G, B, N), bool)
    visible[0, np.arange(B), np.arange(B)] = False

    @jax.jit
    def gradients(rows, latents):
        def squares(rows, latents, left_out):
            return jnp.sum(jnp.square(stitcher.posterior(rows, latents, visible, base, 0.4, left_out)))

        return [jax.grad(squares, (0, 1))(rows, latents, out) for out in (None, jnp.arange(B)[None])]

    for by_rows, by_latents in gradients(*jax.tree.map(np.float32, (rows, latents))):
        assert not np.any(by_rows["read_in"]) and np.all(by_latents != 0)


def test_what_is_expected_of_a_unit_is_not_trained_through():
    """Base rates centre counts and scale the posterior: a bias that learned through them would fit the inputs."""
    bias = jnp.asarray([[-1.0, 0.3, 0.0]])
    gradient = jax.grad(lambda rows: stitcher.base_rates(rows).sum())({"read_out_bias": bias})
    np.testing.assert_array_equal(gradient["read_out_bias"], 0.0)
    np.testing.assert_allclose(stitcher.base_rates({"read_out_bias": bias}), np.exp(bias), rtol=1e-6)


def test_bounded_rates_keep_the_mean_stay_under_the_ceiling_and_have_a_slope():
    base_rates = jnp.asarray([[0.01, 0.5, 6.0]])  # [G, N]
    drives = jnp.linspace(-6, 8, 57)
    log_rates = jnp.log(base_rates)[:, None, None] + drives[None, None, :, None]  # [1, 1, T, N]
    found = stitcher.bounded(log_rates, base_rates)
    np.testing.assert_allclose(found[0, 0, 24], jnp.log(base_rates[0]), atol=1e-6)  # drive 0: the mean
    ceiling = 4 * base_rates + 1
    assert np.all(np.exp(found) < np.asarray(ceiling)[:, None, None]) and np.all(np.diff(found, axis=2) > 0)
    np.testing.assert_allclose(np.exp(found[0, 0, -1, 0]), ceiling[0, 0], rtol=0.05)
    far_below = found[0, 0, 0] - log_rates[0, 0, 0]  # a constant shift: the slope there is one
    np.testing.assert_allclose(found[0, 0, 1] - log_rates[0, 0, 1], far_below, atol=2e-3)
    one = stitcher.bounded(log_rates[..., 1:2], base_rates, jnp.asarray([[1]]))
    np.testing.assert_array_equal(one, found[..., 1:2])


@pytest.mark.parametrize(("bin_size_s", "highest_hz"), [(0.02, 70.0), (0.005, 220.0), (0.1, 30.0)])
def test_the_ceiling_of_a_unit_of_5_hz_is_four_means_and_a_spike_a_bin(bin_size_s, highest_hz):
    """What stands in the docstring: narrow bins hardly bind."""
    base_rates = jnp.asarray([[5.0 * bin_size_s]])
    drives = jnp.log(base_rates)[:, None, None] + jnp.asarray([0.0, 1.0, 20.0])[None, None, :, None]
    mean_hz, at_one_hz, most_hz = np.exp(stitcher.bounded(drives, base_rates))[0, 0, :, 0] / bin_size_s
    np.testing.assert_allclose([mean_hz, most_hz], [5.0, highest_hz], rtol=1e-3)
    rise = highest_hz / 5.0  # in means: e times the odds of what is left
    np.testing.assert_allclose(at_one_hz / 5.0, np.e * rise / (np.e + rise - 1), rtol=1e-3)


def test_the_slope_of_a_bounded_log_rate_at_the_mean_is_what_rows_in_closed_form_divide_by():
    base_rates = jnp.asarray([[0.1, 1.0, 5.0]])
    drive = lambda step: stitcher.bounded(jnp.log(base_rates)[:, None, None] + step, base_rates)[0, 0, 0]  # noqa: E731
    slope = jax.jacfwd(drive)(0.0)
    np.testing.assert_allclose(slope, stitcher.slope_at_mean(base_rates[0]), rtol=1e-4)
    np.testing.assert_allclose(slope, [0.929, 0.8, 0.762], atol=1e-3)
