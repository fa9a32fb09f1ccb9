"""The perceptron on features: what it reads, keeps and refuses."""

import jax
import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models import perceptron
from neurojax.models.interface import SignalInputs, Weights

CONFIG = perceptron.Config(width=8, num_layers=2, input_dropout=0.5, dropout=0.5)
FACTS = Facts(20, 0.005, num_channels=3, num_classes=4, num_features=5, feature_scale=((1.0,) * 5, (2.0,) * 5))


def test_logits_of_each_window_by_hand():
    params, buffers = perceptron.init(jax.random.key(0), CONFIG, FACTS)
    np.testing.assert_array_equal(buffers["feature_scale"], [[1.0] * 5, [2.0] * 5])
    values = np.random.default_rng(0).standard_normal((2, 3, 1, 5)).astype(np.float32)
    inputs = SignalInputs(values, np.ones((2, 3, 1), bool))
    found = perceptron.apply(Weights(params, {}, buffers), inputs, CONFIG, train=False)
    states = values[:, :, 0]
    for name in ("hidden_0", "hidden_1"):
        states = states @ np.asarray(params[name]["kernel"]) + np.asarray(params[name]["bias"])
        states = np.asarray(jax.nn.gelu(states))
    np.testing.assert_allclose(found.states[:, :, 0], states, atol=1e-5)
    logits = states @ np.asarray(params["logits"]["kernel"]) + np.asarray(params["logits"]["bias"])
    np.testing.assert_allclose(found.natural, logits, atol=1e-5)
    assert found.natural.shape == (2, 3, 4) and found.states.shape == (2, 3, 1, 4)
    assert found.buffers is buffers
    dropped = perceptron.apply(Weights(params, {}, buffers), inputs, CONFIG, train=True, key=jax.random.key(1))
    assert not np.allclose(dropped.natural, found.natural)


def test_samples_are_refused_with_what_to_set():
    with pytest.raises(InputError, match="reads features.*set data.source=emg"):
        perceptron.init(jax.random.key(0), CONFIG, Facts(20, 0.005, num_channels=3, num_classes=4))
