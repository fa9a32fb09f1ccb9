"""Classical decoders of EEG: geometry against worked examples, each finds what it is made for, and nothing in noise."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from neurojax.errors import InputError
from neurojax.evals import eeg_floors


def auc(score, label):
    return float((score[label == 1][:, None] > score[label == 0]).mean())


def made(kind, number=80, seed=0):
    """Windows of 2 s at 64 Hz with three channels, whose classes differ by a rate, a variance or an evoked wave."""
    rng = np.random.default_rng(seed)
    label = np.arange(number) % 2
    windows, time_s = rng.standard_normal((number, 128, 3)), np.arange(128) / 64
    if kind == "rate":
        wave = np.where(label[:, None] == 1, np.sin(20 * np.pi * time_s), np.sin(14 * np.pi * time_s))
        windows[:, :, 0] += 1.5 * wave
    if kind == "variance":
        windows[..., 1] *= np.where(label == 1, 2.0, 1.0)[:, None]
        windows = windows @ np.linalg.qr(np.random.default_rng(9).standard_normal((3, 3)))[0]
    if kind == "evoked":
        windows[:, 20:40, 2] += 1.2 * label[:, None]
    return windows, label


def power(windows, label):
    score = eeg_floors.discriminant(eeg_floors.power_features(windows, 64, (7, 10)), label)
    return lambda others: score(eeg_floors.power_features(others, 64, (7, 10)))


DECODERS = {
    "power": (power, "rate"),
    "csp": (eeg_floors.csp, "variance"),
    "riemann": (eeg_floors.riemann, "variance"),
    "riemann_evoked": (eeg_floors.riemann_evoked, "evoked"),
    "evoked": (eeg_floors.evoked, "evoked"),
}


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_finds_what_it_is_made_for_and_nothing_in_noise(name):
    fit, kind = DECODERS[name]
    score = fit(*made(kind))
    windows, label = made(kind, seed=1)
    assert auc(score(windows), label) > 0.95
    noise, label = made("noise", 200, seed=2)
    assert 0.35 < auc(fit(noise[:100], label[:100])(noise[100:]), label[100:]) < 0.65


def test_the_geometric_mean_of_matrices_that_commute_is_that_of_their_values():
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((2, 2)))[0]
    values = np.array([[1.0, 4.0], [4.0, 9.0], [16.0, 2.0]])
    matrices = np.stack([turn @ np.diag(one) @ turn.T for one in values])
    expected = turn @ np.diag(np.exp(np.log(values).mean(0))) @ turn.T
    np.testing.assert_allclose(eeg_floors.geometric_mean(matrices), expected, rtol=1e-6)
    at = eeg_floors.tangent(matrices[:1], np.eye(2))
    logarithm = turn @ np.diag(np.log(values[0])) @ turn.T
    np.testing.assert_allclose(at[0], [logarithm[0, 0], np.sqrt(2) * logarithm[0, 1], logarithm[1, 1]], atol=1e-10)


def test_tangent_vectors_do_not_change_with_the_unit_or_mixing_of_channels():
    windows, _ = made("variance", 12)
    mixing = np.random.default_rng(3).standard_normal((3, 3))
    plain, mixed = (np.einsum("wtc,wtd->wcd", one, one) for one in (windows, windows @ mixing))
    distances = [
        np.linalg.norm(eeg_floors.tangent(one, eeg_floors.geometric_mean(one)), axis=1) for one in (plain, mixed)
    ]
    np.testing.assert_allclose(*distances, rtol=1e-5)


def test_mean_and_tangent_are_those_of_pyriemann():
    pyriemann = pytest.importorskip("pyriemann")
    matrices = eeg_floors.covariances(made("variance", 20)[0])
    mean = eeg_floors.geometric_mean(matrices)
    np.testing.assert_allclose(mean, pyriemann.utils.mean.mean_riemann(matrices), rtol=1e-6)
    theirs = pyriemann.utils.tangentspace.tangent_space(matrices, mean)
    np.testing.assert_allclose(eeg_floors.tangent(matrices, mean), theirs, atol=1e-8)


def test_the_regression_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((60, 4)) * [1, 5, 0.1, 2] + 3
    label = (features[:, 0] + 0.3 * rng.standard_normal(60) > 3).astype(int)
    scaled = (features - features.mean(0)) / features.std(0)
    other = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(scaled, label)
    np.testing.assert_allclose(
        eeg_floors.logistic(features, label)(features), other.decision_function(scaled), atol=1e-3
    )


def test_one_class_and_windows_that_are_too_short_are_refused():
    windows, label = made("rate", 8)
    with pytest.raises(InputError, match="labels to fit are .0., expected 0 and 1"):
        eeg_floors.riemann(windows, 0 * label)
    with pytest.raises(InputError, match="windows of 16 samples do not resolve 10 Hz"):
        eeg_floors.power_features(windows[:, :16], 64, (10,))
