"""Signals read forwards: pieces say what the whole says; conformer and power frequency as written out once more."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg

from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models import sequence, sequence_parts, signal_frames
from neurojax.models.interface import SignalInputs, Weights

C, T = 3, 48
FACTS = Facts(T, 0.005, num_channels=C, num_classes=2)
CONFIG = sequence.Config(
    front="power_frequency", frame_bins=8, hop_bins=4, num_bands=2, layer="conformer", num_layers=2, width=4,
    num_heads=2, window_frames=3, kernel_frames=2, reads="frames", dropout=0.0,
)  # fmt: skip
FRONT_OF = {"lstm": "spectrogram", "conformer": "power_frequency", "time_depth": "spectrogram"}


def config_of(layer):
    return dataclasses.replace(CONFIG, layer=layer, front=FRONT_OF[layer])


@functools.cache
def params_of(layer):
    """Random everywhere, also where a new network has zeros."""
    shapes = jax.eval_shape(lambda key: sequence.init(key, config_of(layer), FACTS)[0], jax.random.key(0))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.standard_normal(leaf.shape), jnp.float32), shapes)


@functools.cache
def recording():
    return np.random.default_rng(1).standard_normal((2, T, C)).astype(np.float32)


@functools.partial(jax.jit, static_argnums=3)
def advance(params, kept, values, config):
    return sequence.advance(params, kept, values, config)


@functools.cache
def whole(layer):
    config = config_of(layer)
    return np.asarray(advance(params_of(layer), sequence.begin(2, C, config), recording(), config)[0])


@pytest.mark.parametrize("layer", FRONT_OF)
def test_pieces_with_what_is_kept_say_what_the_whole_says(layer):
    config, params, values = config_of(layer), params_of(layer), recording()
    assert whole(layer).shape == (2, T // 4, 2)
    kept, found = sequence.begin(2, C, config), []
    for first in range(0, T, 16):
        told, kept = advance(params, kept, values[:, first : first + 16], config)
        found.append(told)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole(layer), atol=1e-5, rtol=1e-5)
    later = values.copy()
    later[:, 32:] += 1  # no frame reads a later sample
    again = np.asarray(advance(params, sequence.begin(2, C, config), later, config)[0])
    np.testing.assert_allclose(again[:, :8], whole(layer)[:, :8], atol=1e-5)
    assert np.abs(again[:, 8:] - whole(layer)[:, 8:]).max() > 1e-3


def power_frequency(values):
    """By loops and SciPy's matrix logarithm, of one window [T, C]."""
    padded = np.concatenate([np.zeros((4, C)), values.astype(float)])
    taper = np.sin(np.pi * np.arange(1, 9) / 9) ** 2
    taper /= np.sqrt((taper**2).sum())
    rows = []
    for first in range(0, T, 4):
        spectrum = np.stack([np.fft.rfft(taper * padded[first : first + 8, channel]) for channel in range(C)], 1)
        row = []
        for own in (spectrum[:2], spectrum[2:]):  # of five frequencies
            moments = np.mean([np.outer(one, one.conj()).real for one in own], axis=0) + 1e-3 * np.eye(C)
            log = linalg.logm(moments)
            row += [log[i, j] * (1 if i == j else np.sqrt(2)) for i in range(C) for j in range(i, C)]
        rows.append(row)
    return np.array(rows)


def test_power_frequency_agrees_with_a_computation_of_its_own():
    values, frames = recording(), CONFIG.frames
    front = signal_frames.FRONTS["power_frequency"]
    found, _ = signal_frames.advance(front, signal_frames.begin(2, C, frames), values, frames)
    np.testing.assert_allclose(found, [power_frequency(one) for one in values], atol=2e-3)
    assert found.shape[-1] == front.width(C, frames)
    plain = signal_frames.FRONTS["spectrogram"]
    told, _ = signal_frames.advance(plain, signal_frames.begin(2, C, frames), values, frames)
    taper = np.sin(np.pi * np.arange(1, 9) / 9) ** 2
    power = np.abs(np.fft.rfft(taper[:, None] * values[0, 4:12], axis=0)) ** 2 / (taper**2).sum()
    np.testing.assert_allclose(told[0, 2], np.log(power + 1e-3).ravel(), atol=1e-3)


def conformer(params, frames):
    """One window of frames [S, F], frame by frame in float64: answers [S, K]."""

    def dense(own, x):
        return x @ own["kernel"] + own["bias"]

    def norm(own, x):
        return (x - x.mean()) / np.sqrt(x.var() + 1e-6) * own["scale"] + own["bias"]

    def silu(x):
        return x / (1 + np.exp(-x))

    states = [dense(params["widen"], norm(params["norm"], x)) for x in frames]
    for place in range(2):
        own = params["layers"][f"layer_{place}"]
        norms = own["norms"]

        def perceptron(name, x, own=own):
            return dense(own[name]["narrow"], silu(dense(own[name]["widen"], x)))

        states = [x + 0.5 * perceptron("first", norm(norms["before"], x)) for x in states]
        asked = [np.split(dense(own["heads"], norm(norms["asked"], x)), 3) for x in states]
        after = []
        for s, x in enumerate(states):
            past, told = list(range(max(0, s - 2), s + 1)), []
            for head in range(2):
                part = slice(2 * head, 2 * head + 2)
                # The frame itself stands last in a window of three.
                score = [
                    asked[s][0][part] @ asked[t][1][part] / np.sqrt(2) + own["nearness"][head, 2 - (s - t)]
                    for t in past
                ]
                weight = np.exp(score) / np.exp(score).sum()
                told.append(sum(w * asked[t][2][part] for w, t in zip(weight, past, strict=True)))
            after.append(x + dense(own["joined"], np.concatenate(told)))
        gated = []
        for x in after:
            left, right = np.split(dense(own["gate"], norm(norms["convolved"], x)), 2)
            gated.append(left / (1 + np.exp(-right)))
        states = []
        for s, x in enumerate(after):
            read = own["kernel"][1] * gated[s] + (own["kernel"][0] * gated[s - 1] if s else 0)
            x = x + dense(own["mixed"], silu(norm(norms["inner"], read)))
            states.append(norm(norms["end"], x + 0.5 * perceptron("second", norm(norms["after"], x))))
    return np.array([dense(params["answer"], x) for x in states])


def test_the_conformer_agrees_with_a_computation_of_its_own():
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params_of("conformer"))
    expected = np.stack([conformer(params, power_frequency(one)) for one in recording()])
    np.testing.assert_allclose(whole("conformer"), expected, atol=5e-3)


def test_the_answer_to_a_window_is_that_of_its_mean_state_and_padding_is_none():
    config, params = dataclasses.replace(config_of("time_depth"), reads="window"), params_of("time_depth")
    values, valid = recording()[None], np.arange(T) < np.array([[T], [24]])
    asked = jax.jit(
        lambda values: sequence.apply(Weights(params, {}), SignalInputs(values, valid[None]), config, train=False)
    )
    found = asked(values)
    states = np.asarray(found.states[0])
    mean = np.stack([states[0].mean(0), states[1, :6].mean(0)])
    expected = mean @ np.asarray(params["answer"]["kernel"]) + np.asarray(params["answer"]["bias"])
    np.testing.assert_allclose(found.natural[0], expected, atol=1e-5)
    other = values.copy()
    other[0, 1, 24:] = 9
    np.testing.assert_allclose(asked(other).natural, found.natural, atol=1e-6)


def test_sizes_that_fit_nothing_are_refused():
    for change, said in (
        ({"hop_bins": 9}, "model.hop_bins=9.* no more than the 8 samples"),
        ({"num_bands": 6}, "model.num_bands=6"),
        ({"num_heads": 3}, "width=4 is no multiple of model.num_heads=3"),
        ({"layer": "gru"}, "choose from lstm, conformer, time_depth"),
    ):
        with pytest.raises(InputError, match=said):
            dataclasses.replace(CONFIG, **change)
    with pytest.raises(InputError, match="reads signals with a label"):
        sequence.init(jax.random.key(0), CONFIG, Facts(T, 0.005))
    assert set(sequence_parts.LAYERS) == set(FRONT_OF)
