"""The small network of EEG: as written out in NumPy, statistics of batches, waves that power does not tell."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models import eegnet
from neurojax.models.interface import SignalInputs, Weights

C, T = 3, 24
FACTS = Facts(T, 1 / 128, num_channels=C, num_classes=2)
CONFIG = eegnet.Config(
    num_filters=2, filter_bins=5, depth=2, pool_bins=2, then="separable", kernel_frames=3, pool_frames=4, num_layers=1,
    num_heads=2, window_frames=12, dropout=0.0,
)  # fmt: skip


@functools.cache
def weights():
    """Random everywhere, variances above zero."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda key: eegnet.init(key, CONFIG, FACTS), jax.random.key(0))
    params, buffers = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32), shapes)
    return params, {name: {"mean": one["mean"], "variance": 1 + one["variance"] ** 2} for name, one in buffers.items()}


@functools.cache
def windows():
    return np.random.default_rng(1).standard_normal((1, 3, T, C)).astype(np.float32)


@functools.partial(jax.jit, static_argnums=(2, 3))
def asked(values, given, config, train=False, key=None):
    inputs = SignalInputs(values, jnp.ones(values.shape[:3], bool))
    params, buffers = given
    return eegnet.apply(Weights(params, {}, buffers), inputs, config, train=train, key=key)


def by_hand(values):
    """Logits and the mean of the filters in time, of one window [T, C], float64 and loops."""
    params, buffers = weights()

    def standard(name, x):
        own, of_batches = params["norms"][name], buffers[name]
        scaled = (x - of_batches["mean"]) / np.sqrt(of_batches["variance"] + 1e-5)
        return scaled * own["scale"] + own["bias"]

    def elu(x):
        return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))

    padded = np.pad(values.astype(float), ((2, 2), (0, 0)))
    filtered = np.zeros((T, C, 2))
    for t in range(T):
        for tap in range(5):
            filtered[t] += padded[t + tap][:, None] * params["time"][tap]
    waves = np.zeros((T, 4))
    of_time = standard("time", filtered)
    for f in range(2):
        for d in range(2):
            waves[:, 2 * f + d] = of_time[:, :, f] @ params["sensors"][:, f, d]
    waves = elu(standard("sensors", waves)).reshape(12, 2, 4).mean(1)
    padded = np.pad(waves, ((1, 1), (0, 0)))
    each = sum(padded[tap : tap + 12] * params["each"][tap] for tap in range(3))
    last = elu(standard("mixed", each @ params["mixed"])).reshape(3, 4, 4).mean(1)
    return last.ravel() @ params["answer"]["kernel"] + params["answer"]["bias"], filtered.mean((0, 1))


def test_it_agrees_with_a_computation_of_its_own():
    found = np.asarray(asked(windows(), weights(), CONFIG).natural)
    np.testing.assert_allclose(found[0], [by_hand(one)[0] for one in windows()[0]], atol=1e-4)


def test_statistics_are_of_the_batch_in_training_and_kept_otherwise():
    told = asked(windows(), weights(), CONFIG, True, jax.random.key(0))
    before = weights()[1]["time"]["mean"]
    batch = np.mean([by_hand(one)[1] for one in windows()[0]], axis=0)
    np.testing.assert_allclose(told.buffers["time"]["mean"], 0.9 * before + 0.1 * batch, atol=1e-5)
    kept = asked(windows(), weights(), CONFIG)
    for new, old in zip(jax.tree.leaves(kept.buffers), jax.tree.leaves(weights()[1]), strict=True):
        np.testing.assert_array_equal(new, old)
    alone = asked(windows()[:, :1], weights(), CONFIG)  # a window does not depend on those beside it
    np.testing.assert_allclose(alone.natural[0, 0], kept.natural[0, 0], atol=1e-5)


@pytest.mark.parametrize("then", ["separable", "conformer"])
def test_it_learns_a_wave_whose_power_tells_nothing(then):
    """The same wave either way up, in noise: the class is its sign."""
    config = dataclasses.replace(CONFIG, then=then, filter_bins=7, pool_bins=4, pool_frames=2, window_frames=6)
    rng = np.random.default_rng(2)
    label = rng.integers(0, 2, 160)
    wave = np.sin(np.arange(T) / 3) * np.hanning(T)
    values = rng.standard_normal((160, T, C)) + np.where(label, 1, -1)[:, None, None] * wave[:, None]
    values = values[None].astype(np.float32)
    params, buffers = eegnet.init(jax.random.key(0), config, FACTS)
    adam = optax.adam(3e-2)

    def loss(params, buffers, key):
        told = asked(values[:, :80], (params, buffers), config, True, key)
        nats = optax.softmax_cross_entropy_with_integer_labels(told.natural[0], label[:80])
        return nats.mean(), told.buffers

    @jax.jit
    def step(carried, key):
        params, buffers, state = carried
        (_, buffers), slope = jax.value_and_grad(loss, has_aux=True)(params, buffers, key)
        change, state = adam.update(slope, state)
        return (optax.apply_updates(params, change), buffers, state), None

    keys = jax.random.split(jax.random.key(1), 30)
    (params, buffers, _), _ = jax.lax.scan(step, (params, buffers, adam.init(params)), keys)
    told = asked(values[:, 80:], (params, buffers), config).natural[0]
    assert (np.argmax(told, axis=-1) == label[80:]).mean() > 0.7


def test_sizes_that_fit_nothing_are_refused():
    for change, said in (
        ({"then": "lstm"}, "choose from separable, conformer"),
        ({"num_heads": 3}, "is no multiple of model.num_heads=3"),
        ({"filter_bins": 0}, "filter_bins=0; expected at least 1"),
    ):
        with pytest.raises(InputError, match=said):
            dataclasses.replace(CONFIG, **change)
    with pytest.raises(InputError, match="a window of 24 samples has no stretch so long"):
        eegnet.init(jax.random.key(0), dataclasses.replace(CONFIG, pool_frames=13), FACTS)
    with pytest.raises(InputError, match="reads signals with labels"):
        eegnet.init(jax.random.key(0), CONFIG, Facts(T, 0.01, num_channels=3))
