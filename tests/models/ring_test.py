"""One perceptron for all turns of a ring: no turn changes an answer; drawn turns are those of the key."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models import ring
from neurojax.models.interface import SignalInputs, Weights

C, T = 6, 24
FACTS = Facts(T, 0.005, num_channels=C, num_classes=3)
CONFIG = ring.Config(
    front="spectrogram", frame_bins=8, hop_bins=4, num_bands=2, layer="lstm", num_layers=1, width=8, num_heads=2,
    window_frames=3, kernel_frames=2, reads="window", dropout=0.0, most_turns=3, pool="mean", trained_turns=0,
)  # fmt: skip


@functools.cache
def windows():
    return np.random.default_rng(0).standard_normal((1, 2, T, C)).astype(np.float32)


@functools.cache
def params_of(front):
    config = dataclasses.replace(CONFIG, front=front)
    shapes = jax.eval_shape(lambda key: ring.init(key, config, FACTS)[0], jax.random.key(0))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: (0.5 * rng.standard_normal(leaf.shape)).astype(np.float32), shapes)


@functools.partial(jax.jit, static_argnums=(1, 3))
def answers(values, config, key=None, train=False):
    inputs = SignalInputs(values, jnp.ones(values.shape[:3], bool))
    return ring.apply(Weights(params_of(config.front), {}), inputs, config, train=train, key=key).natural


@pytest.mark.parametrize("front, pool", [("spectrogram", "mean"), ("spectrogram", "max"), ("power_frequency", "max")])
def test_no_turn_of_the_ring_changes_an_answer_where_all_are_read(front, pool):
    config = dataclasses.replace(CONFIG, front=front, pool=pool)
    found = np.asarray(answers(windows(), config))
    for places in range(1, C):
        np.testing.assert_allclose(answers(np.roll(windows(), places, -1), config), found, atol=1e-5)
    swapped = windows()[..., [1, 0, *range(2, C)]]
    assert np.abs(answers(swapped, config) - found).max() > 1e-2  # it is a ring, no bag of electrodes


def test_few_turns_read_the_ring_nearly_as_worn():
    one = dataclasses.replace(CONFIG, most_turns=1)
    worn, moved = answers(windows(), one), answers(np.roll(windows(), 1, -1), one)
    assert np.abs(worn - moved).max() > 1e-2
    params, values = params_of("spectrogram"), windows()
    none = dataclasses.replace(CONFIG, most_turns=0, num_layers=0)
    by_hand = np.mean([frame_states(params, np.roll(values, -places, -1), none) for places in (0, 1, -1)], axis=0)
    np.testing.assert_allclose(
        frame_states(params, values, dataclasses.replace(none, most_turns=1)), by_hand, atol=1e-5
    )


@functools.partial(jax.jit, static_argnums=2)
def frame_states(params, values, config):
    inputs = SignalInputs(values, jnp.ones((1, 2, T), bool))
    return ring.apply(Weights(params, {}), inputs, config, train=False).states


def test_a_training_step_sees_each_window_turned_by_what_its_key_draws():
    config = dataclasses.replace(CONFIG, most_turns=0, trained_turns=2)
    many = np.tile(windows(), (1, 32, 1, 1))
    key = jax.random.key(3)
    places = np.asarray(ring.drawn_turns(jax.random.split(key)[0], many.shape[:2], config))
    assert set(places.ravel().tolist()) == {-2, -1, 0, 1, 2}
    turned = np.stack([np.roll(one, -place, -1) for one, place in zip(many[0], places[0], strict=True)])[None]
    found = answers(many, config, key, True)
    np.testing.assert_allclose(found, answers(turned, config), atol=1e-6)
    np.testing.assert_array_equal(found, answers(many, config, key, True))
    assert np.abs(found - answers(many, config, jax.random.key(4), True)).max() > 1e-2
    np.testing.assert_array_equal(answers(many, config), answers(many, config, key))  # not where it predicts


def test_pieces_say_what_the_whole_says_and_turns_beyond_the_ring_are_refused():
    config, params = dataclasses.replace(CONFIG, reads="frames"), params_of("spectrogram")
    values = windows()[0]
    advance = jax.jit(functools.partial(ring.advance, config=config))
    whole, _ = advance(params, ring.begin(2, C, config), values)
    np.testing.assert_allclose(whole, answers(values[None], config)[0], atol=1e-5)
    kept, found = ring.begin(2, C, config), []
    for first in range(0, T, 8):
        told, kept = advance(params, kept, values[:, first : first + 8])
        found.append(told)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=1e-5)
    for change in ({"most_turns": C}, {"trained_turns": C}):
        with pytest.raises(InputError, match="expected less than the 6 electrodes"):
            ring.init(jax.random.key(0), dataclasses.replace(CONFIG, **change), FACTS)
    with pytest.raises(InputError, match="model.pool='sum'; choose from mean, max"):
        dataclasses.replace(CONFIG, pool="sum")
