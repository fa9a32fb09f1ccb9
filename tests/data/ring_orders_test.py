"""People who wear the armband otherwise are read in the order of the others, by their labels."""

import numpy as np

from neurojax.data import ring_orders
from neurojax.data.emg_features import NUM_HAND

C, CLASSES, PEOPLE = 5, 6, 5
ORDERS = ring_orders.orders(C)
PATTERN = np.random.default_rng(3).standard_normal((CLASSES, NUM_HAND, C))


def person(seed, order, noise=0.3):
    """Features whose means are one pattern a class, worn so that `order` reads them as the others'."""
    rng = np.random.default_rng(seed)
    label = np.arange(300) % CLASSES
    features = PATTERN[label] + noise * rng.standard_normal((300, NUM_HAND, C))
    worn = np.empty_like(features)
    worn[:, :, ORDERS[order]] = features
    return worn.reshape(300, -1), label


def fitted(people):
    features, labels = zip(*people, strict=True)
    return ring_orders.fitted_orders(features, labels, CLASSES, C).tolist()


def test_a_ring_has_two_orders_a_channel():
    assert ORDERS.shape == (2 * C, C) and len({tuple(order) for order in ORDERS}) == 2 * C
    assert ORDERS[0].tolist() == [0, 1, 2, 3, 4] and ORDERS[1].tolist() == [1, 2, 3, 4, 0]
    assert ORDERS[C + 1].tolist() == [1, 0, 4, 3, 2]
    for order in ORDERS:  # neighbours stay neighbours
        assert set((np.diff(order, append=order[:1]) % C).tolist()) in ({1}, {C - 1})
    names = [ring_orders.name_of(k, C) for k in (0, 1, C, C + 1)]
    assert names == ["as worn", "turned by 1", *(f"the other way round, turned by {k}" for k in (0, 1))]


def test_those_who_wear_it_otherwise_are_found():
    planted = [0, 1, 0, C + 2, 0, 0]
    assert fitted([person(k, order) for k, order in enumerate(planted)]) == planted


def test_without_a_clear_gain_it_is_as_worn():
    assert fitted([person(k, 0, noise=30.0) for k in range(PEOPLE)]) == [0] * PEOPLE
    features, label = person(0, 1)
    assert fitted([(features, label)]) == [0]  # nobody to compare with
    lacking = label != 2
    assert fitted([(features, label), (features[lacking], label[lacking])])[0] == 0
