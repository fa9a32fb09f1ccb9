"""The order of a new person's channels is found without a label, by the past alone where it must."""

import types

import numpy as np

from neurojax.data import ring_orders
from neurojax.evals import ring_order

C, CLASSES = 6, 5
COLUMNS = ring_orders.orders(C)
PATTERN = np.random.default_rng(1).standard_normal((CLASSES, C))
PATTERN -= PATTERN.mean(0)
TYPICAL = np.array([np.zeros(C), np.ones(C)])


def answers(features):
    """Sure of a class near its pattern, and undecided between patterns."""
    nearness = -np.square(features[:, None] - PATTERN).sum(-1)
    odds = np.exp(nearness - nearness.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def worn(order, number=2000, seed=0):
    """Windows of three classes in turn, of channels that `order` reads as the network expects."""
    rng = np.random.default_rng(seed)
    label = np.arange(number) // 20 % CLASSES
    features = (PATTERN[label] + 0.1 * rng.standard_normal((number, C))).astype(np.float32)
    found = np.empty_like(features)
    found[:, COLUMNS[order]] = features - features.mean(0)
    return found, label


def test_information_of_a_worked_example():
    sure = np.array([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    np.testing.assert_allclose(ring_order.information_nats(sure)[[0, 1, 3]], [0, np.log(2), np.log(2)], atol=1e-9)
    np.testing.assert_allclose(ring_order.information_nats(np.full((4, 2), 0.5)), 0, atol=1e-9)


def test_the_order_that_tells_most_is_found_and_as_worn_stays_where_none_does():
    for order in (0, 1, C + 3):
        features, label = worn(order)
        found = ring_order.by_recording(answers, features, COLUMNS)
        assert (found.order == order).all() and (found.probability.argmax(1) == label).mean() > 0.98
    noise = np.random.default_rng(0).standard_normal((500, C)).astype(np.float32) / 100
    assert not ring_order.by_recording(answers, noise, COLUMNS).order.any()


def test_labels_of_a_calibration_tell_the_order_where_the_gain_is_clear():
    for order in (0, 1, C + 3):
        features, label = worn(order, 200)
        assert ring_order.by_labels(answers, features, label, COLUMNS) == order
    noise = np.random.default_rng(0).standard_normal((2000, C)).astype(np.float32)
    assert ring_order.by_labels(answers, noise, np.arange(2000) % CLASSES, COLUMNS) == 0


def test_the_past_reads_no_later_window():
    raw, _ = worn(1, 1200)
    found = ring_order.by_past(answers, raw, COLUMNS, TYPICAL)
    later = raw.copy()
    later[900:] = 50 * np.random.default_rng(1).standard_normal((300, C))
    again = ring_order.by_past(answers, later, COLUMNS, TYPICAL)
    np.testing.assert_array_equal(found.probability[:900], again.probability[:900])
    np.testing.assert_array_equal(found.order[:901], again.order[:901])
    assert not found.order[: ring_order.LEAST_PAST].any() and found.order[-1] == 1
    assert not np.array_equal(found.probability[900:], again.probability[900:])


def test_standardised_by_the_windows_before():
    raw = np.random.default_rng(0).normal(5, 3, (50, C))
    typical = np.array([np.full(C, 4.0), np.full(C, 2.0)])
    found = ring_order.standardised_by_past(raw, typical)
    for window in (0, 1, 49):
        number = ring_order.PRIOR_WINDOWS + window
        before = raw[:window]
        mean = (ring_order.PRIOR_WINDOWS * 4.0 + before.sum(0)) / number
        square = (ring_order.PRIOR_WINDOWS * (4.0 + 16.0) + np.square(before).sum(0)) / number
        np.testing.assert_allclose(found[window], (raw[window] - mean) / np.sqrt(square - mean**2), rtol=1e-4)


def test_a_last_pass_that_is_not_full_gives_its_windows():
    def mean(batch, query):
        assert batch.trials["values"].shape == (1, 4, 1, 2) and (batch.trials["label"] == -1).all()
        return batch.trials["values"][:, :, 0]

    features = np.arange(12, dtype=np.float32).reshape(6, 2)
    found = ring_order.answers_of(types.SimpleNamespace(mean=mean), 4)(features)
    np.testing.assert_array_equal(found, features)
