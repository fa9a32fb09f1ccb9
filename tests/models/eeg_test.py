"""The model of EEG: order and number of channels do not matter, places do; rows belong to people; padding is silent."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models import eeg
from neurojax.models.interface import SensorInputs, Weights

CONFIG = eeg.Config(
    num_virtual=4, num_harmonics=3, dropout_radius=0.0, width=5, num_blocks=2, dilation_period=2, dropout=0.0
)
FACTS = Facts(num_bins=6, bin_size_s=0.04, units_per_session=(3, 3), num_targets=2)


@functools.cache
def weights():
    shapes = jax.eval_shape(lambda key: eeg.init(key, CONFIG, FACTS)[0], jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.standard_normal(leaf.shape), jnp.float32), shapes)
    return Weights(params, {"person": jnp.asarray(rng.standard_normal((2, 4, 4)), jnp.float32)})


def given():
    rng = np.random.default_rng(1)
    values = rng.standard_normal((2, 1, 6, 3)).astype(np.float32)
    position = rng.uniform(-1, 1, (2, 3, 2)).astype(np.float32)
    return SensorInputs(values, np.ones((2, 1, 6), bool), position, np.ones((2, 3), bool))


@jax.jit
def features(weights, inputs):
    return eeg.apply(weights, inputs, CONFIG, train=False).natural


def test_channels_may_come_in_any_order_and_padding_is_none():
    inputs = given()
    expected = features(weights(), inputs)
    assert expected.shape == (2, 1, 6, 2)
    order = np.array([2, 0, 1])
    turned = inputs._replace(values=inputs.values[..., order], position=inputs.position[:, order])
    np.testing.assert_allclose(features(weights(), turned), expected, rtol=1e-4, atol=1e-5)
    wider = SensorInputs(
        np.pad(inputs.values, ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=7),
        inputs.bin_valid,
        np.pad(inputs.position, ((0, 0), (0, 1), (0, 0))),
        np.pad(inputs.channel_valid, ((0, 0), (0, 1))),
    )
    np.testing.assert_allclose(features(weights(), wider), expected, rtol=1e-4, atol=1e-5)
    moved = inputs._replace(position=inputs.position + np.float32([0.4, 0]))
    assert np.abs(features(weights(), moved) - expected).max() > 1e-2


def test_people_have_a_layer_of_their_own_and_nothing_else():
    inputs = given()
    expected = features(weights(), inputs)
    same = weights()._replace(rows={"person": weights().rows["person"].at[1].set(0)})
    changed = features(same, inputs)
    np.testing.assert_array_equal(changed[0], expected[0])
    assert np.abs(changed[1] - expected[1]).max() > 1e-2
    start = eeg.tables(CONFIG)["person"].init(jax.random.key(0), FACTS)
    assert start.shape == (2, 4, 4) and not start.any()  # a new person begins as everybody


def test_bins_past_the_end_say_nothing_and_change_nothing():
    inputs = given()
    short = inputs._replace(bin_valid=np.arange(6) < np.full((2, 1, 1), 4))
    found = features(weights(), short)
    assert not found[:, :, 4:].any() and found[:, :, :4].all()
    other = np.array(inputs.values)
    other[:, :, 4:] = 100
    np.testing.assert_array_equal(features(weights(), short._replace(values=other)), found)


def test_data_without_speech_are_refused():
    with pytest.raises(InputError, match="these data have none; set data.source=speech"):
        eeg.init(jax.random.key(0), CONFIG, Facts(num_bins=6, bin_size_s=0.04))
