"""A stream of gestures says what the evaluation by the past says, and refuses what would stay in its state."""

import jax
import numpy as np
import pytest

from neurojax.commands import config as configs
from neurojax.data import emg_features, ring_orders
from neurojax.data.sources import emg
from neurojax.errors import InputError
from neurojax.evals import ring_order
from neurojax.facts import Facts
from neurojax.train import gesture_stream, settings
from neurojax.train.predictor import Predictor

C, T, CLASSES, NUMBER = 4, 20, 3, 60


@pytest.fixture(scope="module")
def weights():
    """A random network that is sure of what it says, and a typical person."""
    config = configs.load(["--config=emg", "--config.model.width=8"])
    recipe, number = settings.predicting(config), emg_features.num_features(C)
    facts = Facts(T, 0.005, num_channels=C, num_classes=CLASSES, num_features=number)
    params, _ = recipe.model.module.init(jax.random.key(0), recipe.model.config, facts)
    params["logits"]["kernel"] *= 20
    scale = np.stack([np.full(number, 1.0), np.full(number, 2.0)]).astype(np.float32)
    return recipe, params, {"feature_scale": scale}


def recording(seed=0):
    """Windows [n, T, C] of activity that goes around the arm."""
    rng = np.random.default_rng(seed)
    place = np.arange(NUMBER)[:, None] / 6 + np.arange(C) / C
    return (rng.standard_normal((NUMBER, T, C)) * 5 * (1.3 + np.sin(2 * np.pi * place))[:, None]).astype(np.float32)


def opened(weights, order="ring", min_step=2.0, told=None):
    recipe, params, buffers = weights
    config = emg.Config(1, "gesture", order, min_step, -1)
    return gesture_stream.GestureStream(
        (params, {}, buffers), recipe, config, (T, C), "abc", told and {"me": told}, told and "me"
    )


@pytest.mark.parametrize("unit", [1.0, 3e-6])
def test_features_of_a_window_are_those_of_training(unit):
    windows = recording()[:5] * np.float32(unit)
    compiled = jax.jit(gesture_stream.window_features, static_argnums=1)
    found = np.stack([compiled(one, 2.0 * unit) for one in windows])
    np.testing.assert_allclose(found, emg_features.all_features(windows, 2.0 * unit), atol=2e-3)


def test_the_stream_says_what_the_evaluation_by_the_past_says(weights, monkeypatch):
    for name, value in (
        ("LEAST_PAST", 16),
        ("LEAST_GAIN_NATS", 1e-3),
        ("PRIOR_WINDOWS", 10),
        ("REFRESH", 8),
        ("STEADY", 2),
    ):
        monkeypatch.setattr(ring_order, name, value)
        monkeypatch.setattr(ring_orders, name, value)
    gesture_stream._program.cache_clear()  # traced with other constants elsewhere
    recipe, params, buffers = weights
    model, windows = Predictor(params, {}, recipe, None, buffers=buffers), recording()
    columns = np.stack([emg_features.reordered(order) for order in ring_orders.orders(C)])
    raw, typical = emg_features.all_features(windows), buffers["feature_scale"]
    expected = ring_order.by_past(ring_order.answers_of(model, 64), raw, columns, typical)
    stream, orders = opened(weights), []
    for again in range(2):  # a second person after the first is read as if it were alone
        found = []
        for window in windows:
            found.append(stream.read(window))
            orders.append(stream.order)
        np.testing.assert_allclose(found, expected.probability, atol=5e-3, err_msg=str(again))
        stream.begin()
    assert orders == [ring_orders.name_of(int(order), C) for order in expected.order] * 2
    assert len(set(orders)) > 1  # it did turn
    as_worn = opened(weights, "as_worn")
    worn = ring_order.by_past(ring_order.answers_of(model, 64), raw, columns[:1], typical)
    np.testing.assert_allclose([as_worn.read(window) for window in windows], worn.probability, atol=5e-3)
    told = ring_order.by_past(ring_order.answers_of(model, 64), raw, columns, typical, 3)
    calibrated = opened(weights, told=3)
    np.testing.assert_allclose([calibrated.read(window) for window in windows], told.probability, atol=5e-3)
    assert calibrated.order == "turned by 3" and calibrated.acting is None  # nothing is called neutral
    calibrated.begin()  # another person, who did not calibrate
    np.testing.assert_allclose([calibrated.read(window) for window in windows], expected.probability, atol=5e-3)
    calibrated.begin("me")
    np.testing.assert_allclose([calibrated.read(window) for window in windows[:9]], told.probability[:9], atol=5e-3)
    with pytest.raises(InputError, match="nobody of the name 'you' calibrated this run; expected one of me, or None"):
        calibrated.begin("you")
    gesture_stream._program.cache_clear()


def test_what_would_stay_in_the_state_is_refused(weights):
    stream, windows = opened(weights, "as_worn"), recording()
    first = stream.read(windows[0])
    with pytest.raises(InputError, match=r"a window of shape \(19, 4\); expected \(20, 4\)"):
        stream.read(windows[0][1:])
    with pytest.raises(InputError, match="a window holds NaN or infinity"):
        stream.read(np.where(np.arange(T)[:, None] == 3, np.nan, windows[1]))
    stream.begin()
    np.testing.assert_array_equal(stream.read(windows[0]), first)


def test_the_stream_acts_what_it_is_sure_of_for_a_while(weights):
    recipe, params, buffers = weights
    config, sure = emg.Config(1, "gesture", "as_worn", 2.0, -1), {**params, "logits": dict(params["logits"])}
    sure["logits"]["bias"] = sure["logits"]["bias"] + np.array([0, 0, 1e3], np.float32)
    stream = gesture_stream.GestureStream((sure, {}, buffers), recipe, config, (T, C), ["rest", "fist", "open"])
    acted = [(stream.read(window), stream.acting)[1] for window in recording()[:10]]
    assert acted == [None] * 8 + ["open"] * 2  # nine tenths of half a second
    stream.begin()
    assert stream.acting is None
