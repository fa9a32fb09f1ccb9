"""The closed form of the linear start, against one regression a unit; and a run that starts there."""

import numpy as np
import scipy.ndimage

import neurojax as nj
from neurojax.train import linear_init

TRIALS, T, N, K = 30, 9, 6, 4


def make_session():
    rng = np.random.default_rng(0)
    drive = scipy.ndimage.gaussian_filter1d(rng.standard_normal((TRIALS, T, 2)), 2, axis=1)
    rates = 0.5 * np.exp(drive @ rng.standard_normal((2, N)))
    split = np.where(np.arange(TRIALS) < 24, 0, np.where(np.arange(TRIALS) < 27, 1, 2))
    return nj.Session.from_counts(rng.poisson(rates).astype(np.uint8), bin_size_s=0.02, session_id="a", split=split)


def test_read_out_is_a_ridge_step_on_latents_without_the_units_own_part():
    session = make_session()
    rng = np.random.default_rng(1)
    read_in = rng.standard_normal((N, K)).astype(np.float32)
    counts, _ = session.gather_trials(session.trials_of(0))
    mean = counts.mean((0, 1)).astype(np.float32)
    features = linear_init.selected_features(K, 6)
    np.testing.assert_array_equal(features, [0, 1, 2, 4, 5, 6])  # three fast, three slow
    found = linear_init.linear_read_out(session, read_in, mean, features)

    lag = np.arange(T)[:, None] - np.arange(T)
    weights = np.exp(-(lag**2) / 8)
    weights = weights / weights.sum(1, keepdims=True)
    for unit in range(N):
        surplus = counts - mean
        others = surplus.copy()
        others[..., unit] = 0
        latents = others @ read_in
        smooth = np.einsum("ts,bsk->btk", weights, latents)
        average = np.broadcast_to(latents.mean(1, keepdims=True), smooth.shape)
        design = np.concatenate([smooth, average], -1).reshape(-1, 2 * K)[:, features]
        hessian = mean[unit] * design.T @ design + linear_init.PENALTY * np.eye(len(features))
        expected = np.linalg.solve(hessian, design.T @ surplus[..., unit].reshape(-1))
        np.testing.assert_allclose(found[unit], expected, rtol=1e-3, atol=1e-5)
