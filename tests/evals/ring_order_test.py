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


def test_the_past_is_standardised_as_if_gestures_were_made_alike(monkeypatch):
    monkeypatch.setattr(ring_order, "PRIOR_WINDOWS", 5)
    monkeypatch.setattr(ring_order, "STEADY", 1)
    raw = np.random.default_rng(0).normal(5, 3, (50, 2))
    past = ring_order.Past(np.array([[4.0, 1.0], [2.0, 0.5]]))
    np.testing.assert_allclose(past.standardised(raw[:1], [0, 1]), (raw[:1] - [4, 1]) / [2, 0.5], rtol=1e-6)
    label = np.array([0] * 40 + [1] * 4 + [2] * 6)
    for part in (slice(0, 7), slice(7, 45), slice(45, 50)):  # in pieces
        past.add(raw[part], np.eye(3)[label[part]])
    np.testing.assert_allclose(past.weights(), [6, 4, 6])  # of 40, 4 and 6 windows
    for order in ([0, 1], [1, 0]):  # a typical person wears the channels as they are read
        own = raw[:, order]
        parts = [(5, np.array([4.0, 1.0]), np.array([4.0, 1.0]) ** 2 + [4, 0.25])]
        parts += [(n, own[label == k].mean(0), np.square(own[label == k]).mean(0)) for k, n in enumerate((6, 4, 6))]
        mean = sum(n * one for n, one, _ in parts) / 21
        square = sum(n * one for n, _, one in parts) / 21
        expected = (own - mean) / np.sqrt(square - mean**2)
        np.testing.assert_allclose(past.standardised(raw, order), expected, rtol=1e-4)


def test_a_window_counts_for_what_is_said_for_half_a_second(monkeypatch):
    monkeypatch.setattr(ring_order, "STEADY", 4)
    past, said = ring_order.Past(TYPICAL), np.eye(2)[[0, 0, 0, 1, 1, 1, 1, 0, 1, 0]]
    for part in (slice(0, 2), slice(2, 7), slice(7, 10)):
        past.add(np.zeros((10, C))[part], said[part])
    # Means of the last four: (1/4) (2/4) 3/4, 3/4 of the first; then (2/4), 3/4, 4/4, 3/4, 3/4, (2/4) of the second.
    np.testing.assert_array_equal(past.number, [2, 4])


def test_a_long_rest_is_not_read_as_gestures():
    label = np.append(np.arange(600) // 20 % CLASSES, np.zeros(2000, int))
    raw = PATTERN / PATTERN.std(0)  # of mean 0 and deviation 1 where gestures are made alike
    raw = raw[label] + 0.3 * np.random.default_rng(0).standard_normal((len(label), C))
    said = ring_order.by_past(lambda own: answers(own * PATTERN.std(0)), raw, COLUMNS[:1], TYPICAL)
    right = said.probability.argmax(1) == label
    assert right[:600].mean() > 0.9 and right[-500:].mean() > 0.9  # weighed by time 0.25


def test_the_order_that_a_calibration_told_is_that_of_every_window():
    features, label = worn(C + 3, 400)
    for found in (
        ring_order.by_recording(answers, features, COLUMNS, C + 3),
        ring_order.by_past(answers, features, COLUMNS, TYPICAL, C + 3),
    ):
        assert (found.order == C + 3).all() and (found.probability.argmax(1) == label).mean() > 0.9


def test_a_last_pass_that_is_not_full_gives_its_windows():
    def mean(batch, query):
        assert batch.trials["values"].shape == (1, 4, 1, 2) and (batch.trials["label"] == -1).all()
        return batch.trials["values"][:, :, 0]

    features = np.arange(12, dtype=np.float32).reshape(6, 2)
    found = ring_order.answers_of(types.SimpleNamespace(mean=mean), 4)(features)
    np.testing.assert_array_equal(found, features)
