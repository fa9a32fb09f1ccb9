"""Nats of each head against SciPy, the prediction of several models, and scores against their definitions."""

import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats

from neurojax import heads
from neurojax.scores import metrics

G, B, T, N, CLASSES = 2, 3, 5, 4, 6
RNG = np.random.default_rng(0)
LOG_RATES, COUNTS = RNG.normal(size=(G, B, T, N)), RNG.poisson(1.0, (G, B, T, N))
LOGITS, LABELS = 3 * RNG.normal(size=(G, B, CLASSES)), RNG.integers(0, CLASSES, (G, B))


def nll(name, natural, target):
    return np.asarray(jax.jit(heads.named(name).nll)(np.float32(natural), target))


def test_poisson_nats_are_scipys_without_the_constant():
    constant = scipy.stats.poisson.logpmf(COUNTS, 1.0) + 1.0
    expected = -scipy.stats.poisson.logpmf(COUNTS, np.exp(LOG_RATES)) + constant
    for counts in (COUNTS, COUNTS.astype(np.uint8)):  # as batches hold them
        found = nll("poisson", LOG_RATES, counts)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_categorical_nats_are_scipys():
    probabilities = scipy.special.softmax(LOGITS, axis=-1)
    for index in np.ndindex(G, B):
        expected = -scipy.stats.multinomial.logpmf(np.eye(CLASSES)[LABELS[index]], 1, probabilities[index])
        np.testing.assert_allclose(nll("categorical", LOGITS, LABELS)[index], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(heads.named("categorical").mean(LOGITS), probabilities, rtol=1e-4, atol=1e-6)
    assert np.isfinite(nll("categorical", np.asarray([[1e4, -1e4]]), np.asarray([1]))).all()


def test_gaussian_nats_are_scipys_without_the_constant():
    value = RNG.normal(size=LOG_RATES.shape)
    expected = -scipy.stats.norm.logpdf(value, LOG_RATES) + scipy.stats.norm.logpdf(0.0)
    np.testing.assert_allclose(nll("gaussian", LOG_RATES, np.float32(value)), expected, rtol=1e-4, atol=1e-6)


def test_the_prediction_of_several_models_is_the_mean_of_log_rates_values_or_probabilities():
    several = 2 * RNG.normal(size=(5, G, B, CLASSES)).astype(np.float32)
    for name in ("poisson", "gaussian"):
        joined = jax.jit(heads.named(name).joined)(several)
        np.testing.assert_allclose(joined, several.mean(0), rtol=1e-5, atol=1e-6)
    head = heads.named("categorical")
    expected = scipy.special.softmax(several, axis=-1).mean(0)
    np.testing.assert_allclose(head.mean(jax.jit(head.joined)(several)), expected, rtol=1e-4, atol=1e-6)
    shifted = several + 7 * np.arange(5, dtype=np.float32)[:, None, None, None]  # the same probabilities
    np.testing.assert_allclose(head.mean(head.joined(shifted)), expected, rtol=1e-4, atol=1e-6)
    one = head.joined(several[:1])
    np.testing.assert_allclose(head.mean(one), scipy.special.softmax(several[0], axis=-1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name, mean", [("poisson", np.exp(LOG_RATES)), ("gaussian", LOG_RATES)])
def test_the_mean_of_a_head_is_the_expected_target(name, mean):
    np.testing.assert_allclose(heads.named(name).mean(np.float32(LOG_RATES)), mean, rtol=1e-5)


def scores(name, natural, target, asked, null=None, num_parts=2):
    """Of trials that come in several batches."""
    head = heads.named(name)
    cut = [np.array_split(np.asarray(array), num_parts, axis=1) for array in (natural, target, asked)]
    sums = jax.jit(lambda natural, target, asked: head.sums(natural, target, asked, null))
    return head.scores([jax.device_get(sums(*part)) for part in zip(*cut, strict=True)])


def test_scores_of_spikes_are_bits_against_the_train_mean():
    asked, null = RNG.random(COUNTS.shape) < 0.7, RNG.uniform(0.3, 2.0, (G, N)).astype(np.float32)
    found = scores("poisson", np.float32(LOG_RATES), COUNTS.astype(np.uint8), asked, null, num_parts=1)
    flat = [np.concatenate(list(array), axis=-1) for array in (np.exp(LOG_RATES), COUNTS, asked)]  # units side by side
    expected = metrics.poisson_scores(metrics.poisson_sums(*flat[:2], null.ravel(), flat[2]))
    assert set(found) == {"bps_pooled", "bps_unit_mean"}
    np.testing.assert_allclose(found["bps_pooled"], expected["bps_pooled_train_null"], rtol=1e-5)
    np.testing.assert_allclose(found["bps_unit_mean"], expected["bps_unit_mean_train_null"], rtol=1e-5)
    assert scores("poisson", np.float32(LOG_RATES), 0 * COUNTS.astype(np.uint8), asked, null) == {}


def test_scores_of_labels_are_the_share_right_and_the_mean_nats():
    asked = np.asarray([[True, False, True], [True, True, False]])
    right = np.asarray([[True, True, False], [True, False, True]])
    labels = np.where(right, LOGITS.argmax(-1), LOGITS.argmin(-1))
    found = scores("categorical", np.float32(LOGITS), labels, asked)
    np.testing.assert_allclose(found["accuracy"], 0.5, rtol=1e-6)  # two of the four that are asked for
    np.testing.assert_allclose(found["nats"], nll("categorical", LOGITS, labels)[asked].mean(), rtol=1e-5)
    assert scores("categorical", np.float32(LOGITS), labels, np.zeros_like(asked)) == {}


def test_scores_of_values_are_the_mean_squared_error_over_what_is_asked():
    value, asked = np.float32(RNG.normal(size=LOG_RATES.shape)), RNG.random(LOG_RATES.shape) < 0.5
    found = scores("gaussian", np.float32(LOG_RATES), np.where(asked, value, np.nan), asked)
    expected = np.square(LOG_RATES - value)[asked].mean()
    np.testing.assert_allclose(found["mean_squared_error"], expected, rtol=1e-5)
    assert scores("gaussian", value, value, np.zeros_like(asked)) == {}
