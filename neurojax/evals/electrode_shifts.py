"""What becomes of a reader of gestures when the armband sits otherwise: an audit of the electrodes.

    turned by k        every electrode k places further around the arm
    the other way round
    one lost           one electrode records nothing, each in turn, mean over them
    one louder         one electrode records G times as much, each in turn, mean over them

Each is read as worn, which is what training saw, and in the order that is found without a label
(`ring_order.by_recording`). The person is standardised with the change in place.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from neurojax.data import emg_features, ring_orders
from neurojax.evals import ring_order
from neurojax.evals.gesture_scores import balanced_accuracy

LOUDER = 2.0
_LEAST_SD = 1e-6


class Change(NamedTuple):
    """One way in which the recording differs.

    Attributes:
        kind: what the mean is taken over.
        order: int [C], the electrode at each place.
        gain: float [C], of each electrode, before it is placed.
    """

    kind: str
    order: np.ndarray
    gain: np.ndarray


def changes(num_channels: int, louder: float = LOUDER) -> Iterator[Change]:
    """All changes of an armband, none first."""
    orders, even = ring_orders.orders(num_channels), np.ones(num_channels)
    yield Change("as recorded", orders[0], even)
    for places in range(1, num_channels):
        yield Change(f"turned by {places}", orders[places], even)
    yield Change("the other way round", orders[num_channels], even)
    for kind, gain in (("one electrode lost", 0.0), (f"one electrode {louder:g} times", louder)):
        for channel in range(num_channels):
            own = even.copy()
            own[channel] = gain
            yield Change(kind, orders[0], own)


def scores(
    answers: Callable[[np.ndarray], np.ndarray],
    windows: np.ndarray,
    label: np.ndarray,
    num_classes: int,
    min_step: float,
    columns: np.ndarray,
    asked: Sequence[Change] | None = None,
) -> dict[str, dict[str, float]]:
    """Balanced accuracy of one person under each change.

    Args:
        answers: of the network, see `ring_order.answers_of`.
        windows: float [W, T, C], of the recording, in its unit.
        label: int [W].
        num_classes: K.
        min_step: as of `emg_features.all_features`.
        columns: int [orders, F], of features in each order, the first as worn.
        asked: changes; default: all.

    Returns:
        kind -> {"as_worn", "ring"}, means over the changes of the kind.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for change in changes(windows.shape[2]) if asked is None else asked:
        changed = (windows * change.gain.astype(np.float32))[:, :, change.order]
        features = emg_features.all_features(changed, min_step)
        features = (features - features.mean(0)) / (features.std(0) + np.float32(_LEAST_SD))
        said = ring_order.by_recording(answers, features, columns)
        as_worn = said.probability if said.order[0] == 0 else answers(features)
        for name, probability in (("as_worn", as_worn), ("ring", said.probability)):
            score = balanced_accuracy(probability.argmax(1), label, num_classes)
            found.setdefault(change.kind, {}).setdefault(name, []).append(score)
    return {
        kind: {name: float(np.mean(values)) for name, values in one.items()}
        for kind, one in found.items()
    }
