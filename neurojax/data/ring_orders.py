"""Orders of the channels of an armband: turned by some places, or worn the other way round.

A ring of C electrodes has 2 C orders. People who wear it otherwise than most are read in the order
that makes them alike: those trained on by their labels (`fitted_orders`), new people without any
label (`evals.ring_order`).
"""

from collections.abc import Sequence

import numpy as np

from neurojax.data import discriminants
from neurojax.data.emg_features import NUM_HAND
from neurojax.errors import InputError

LEAST_GAIN = 0.1  # of balanced accuracy, before a person counts as wearing it otherwise
ROUNDS = 3  # in which everybody is compared with the others as they are read by then

# Of new people, see `evals.ring_order`.
LEAST_GAIN_NATS = 0.2  # of information, before an order counts as another than as worn
EVERY = 4  # windows overlap: a quarter of them is asked in every order
LEAST_PAST = (
    600  # windows, 30 s of steps of 50 ms, before the past may say that the order is another
)
PRIOR_WINDOWS = 200  # that what a typical person's features are weighs, beside the past
STEADY = 10  # windows, half a second, whose mean answer says for which gesture a window counts
REFRESH = 20  # windows, a second, after which what the past says of a person is read anew


def orders(num_channels: int) -> np.ndarray:
    """The channel at each place in each order, int [2 C, C]: order k < C is turned by k places,
    order C + k is worn the other way round and turned by k. Order 0 is as worn."""
    place = np.arange(num_channels)
    turned = [(place + k) % num_channels for k in range(num_channels)]
    return np.array(turned + [(k - place) % num_channels for k in range(num_channels)])


def hand_columns(num_channels: int) -> np.ndarray:
    """Columns of the hand-made features alone in each order, int [2 C, 5 C]."""
    blocks = np.arange(NUM_HAND)[:, None] * num_channels
    return np.array([(blocks + order).ravel() for order in orders(num_channels)])


def name_of(order: int, num_channels: int) -> str:
    """`as worn`, `turned by 1`, `the other way round, turned by 6`."""
    way = "the other way round, " if order >= num_channels else ""
    return f"{way}turned by {order % num_channels}" if order else "as worn"


def fitted_orders(
    features: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    num_classes: int,
    num_channels: int,
) -> np.ndarray:
    """The order in which discriminants of all other people read each person best, int [people].

    Args:
        features: a person each, [windows, 5 C or more], the hand-made ones first, standardised over
            the person.
        labels: a person each, integers [windows], 0 to K - 1.
        num_classes: K.
        num_channels: C.

    Returns:
        0, as worn, unless another order is better by LEAST_GAIN; also where the others of a person
        lack a class.
    """
    columns = hand_columns(num_channels)
    hand = [own[:, : NUM_HAND * num_channels].astype(np.float64) for own in features]
    sums = [
        discriminants.sums_of(own, label, num_classes)
        for own, label in zip(hand, labels, strict=True)
    ]
    found = np.zeros(len(hand), np.int64)
    for _ in range(ROUNDS):
        before = found.copy()
        for person, (own, label) in enumerate(zip(hand, labels, strict=True)):
            others = [
                _reordered(sums[other], columns[found[other]])
                for other in range(len(hand))
                if other != person
            ]
            try:
                lda = discriminants.fit_sums(others)
            except (InputError, ValueError):  # nobody else, or nobody else made some gesture
                continue
            scores = [_recognised(lda, own[:, kept], label) for kept in columns]
            best = int(np.argmax(scores))
            found[person] = best if scores[best] - scores[0] >= LEAST_GAIN else 0
        if np.array_equal(found, before):
            break
    return found


def _reordered(sums: discriminants.Sums, columns: np.ndarray) -> discriminants.Sums:
    products = sums.products[np.ix_(columns, columns)]
    return discriminants.Sums(sums.number, sums.total[:, columns], products)


def _recognised(lda: discriminants.Lda, features: np.ndarray, label: np.ndarray) -> float:
    """Mean over the classes that occur of the share of their windows that are recognised."""
    right = discriminants.lda_probability(lda, features).argmax(1) == label
    return float(np.mean([right[label == one].mean() for one in np.unique(label)]))
