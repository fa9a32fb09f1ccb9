"""Features of EMG windows: what they measure, and that reordered channels reorder them."""

import numpy as np
import scipy.linalg

from neurojax.data import emg_features, ring_orders

C, T = 4, 52


def windows(number=3, seed=0):
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((number, T, C)) @ rng.standard_normal((C, C))
    return (10 * mixed).astype(np.float32)


def test_reordered_channels_reorder_the_features():
    given = windows()
    features = emg_features.all_features(given)
    assert features.shape == (3, emg_features.num_features(C)) and features.dtype == np.float32
    for order in ring_orders.orders(C):
        found = emg_features.all_features(given[:, :, order])
        np.testing.assert_allclose(found, features[:, emg_features.reordered(order)], atol=1e-4)


def test_pairs_are_the_logarithm_of_the_covariance():
    """Held against scipy's exponential of a matrix, which knows no eigenvectors."""
    given = windows(1)[0].astype(np.float64)
    pairs = emg_features.all_features(given[None])[0, -3 * C * (C + 1) // 2 :].reshape(3, -1)
    signals = (given, np.diff(given, axis=0), (given[1:] + given[:-1]) / 2)
    rows, columns = np.triu_indices(C)
    for signal, own in zip(signals, pairs, strict=True):
        logarithm = np.zeros((C, C))
        logarithm[rows, columns] = logarithm[columns, rows] = own / np.where(rows == columns, 1, np.sqrt(2))
        expected = signal.T @ signal / len(signal) + np.eye(C)
        np.testing.assert_allclose(scipy.linalg.expm(logarithm), expected, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(np.linalg.norm(own), np.linalg.norm(logarithm), rtol=1e-5)


def test_a_tone_is_loudest_in_its_band():
    """27 frequencies up to half the rate, in six bands of four or five."""
    hand = emg_features.NUM_HAND * C
    for bin_, band in ((2, 0), (6, 1), (11, 2), (24, 5)):
        tone = 50 * np.sin(2 * np.pi * bin_ * np.arange(T) / T)
        given = np.repeat(tone[None, :, None], C, axis=2)
        power = emg_features.all_features(given)[0, hand : hand + emg_features.NUM_BANDS * C]
        assert power.reshape(-1, C).argmax(0).tolist() == [band] * C


def test_silence_and_windows_of_few_samples_have_finite_features():
    for given in (np.zeros((2, T, C)), np.full((2, T, C), 7.0), windows()[:, :3]):
        assert np.isfinite(emg_features.all_features(given)).all()


def test_another_unit_moves_band_powers_and_covariances_by_a_constant_and_nothing_else():
    """In volts as in units of an armband: 1 microvolt a unit here, a power of two, so that nothing is rounded."""
    given, unit = windows(4), 2.0**-20
    found = emg_features.all_features(given * np.float32(unit), 2.0 * unit)
    away = found - emg_features.all_features(given, 2.0)
    np.testing.assert_allclose(away, np.broadcast_to(away[0], away.shape), atol=2e-4)
    assert not away[:, : emg_features.NUM_HAND * C].any()
