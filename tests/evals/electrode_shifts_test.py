"""The audit of electrodes: what each change does to the samples, and who is read right under it."""

import numpy as np

from neurojax.data import emg_features, ring_orders
from neurojax.evals import electrode_shifts

C, T, CLASSES, NUMBER = 4, 30, 4, 240


def test_changes_move_the_electrodes_as_they_say():
    listed = list(electrode_shifts.changes(C))
    kinds = [one.kind for one in listed]
    assert kinds[:5] == ["as recorded", "turned by 1", "turned by 2", "turned by 3", "the other way round"]
    assert kinds.count("one electrode lost") == kinds.count("one electrode 2 times") == C
    assert [listed[k].order.tolist() for k in (0, 1, 4)] == [[0, 1, 2, 3], [1, 2, 3, 0], [0, 3, 2, 1]]
    assert listed[5].gain.tolist() == [0, 1, 1, 1] and listed[-1].gain.tolist() == [1, 1, 1, 2]


def test_a_turned_armband_is_read_again_in_the_order_found():
    """A reader of which electrode is loudest, of patterns that no turn maps onto themselves."""
    rng = np.random.default_rng(0)
    power = np.array([[9, 4, 1, 1], [1, 1, 1, 1], [9, 1, 1, 9], [2, 9, 1, 1]], float)
    label = np.arange(NUMBER) // 5 % CLASSES
    windows = (rng.standard_normal((NUMBER, T, C)) * 5 * power[label][:, None]).astype(np.float32)
    features = emg_features.all_features(windows)
    mean, sd = features.mean(0), features.std(0)
    centres = np.stack([((features - mean) / sd)[label == one].mean(0) for one in range(CLASSES)])

    def answers(asked):
        odds = -np.square(asked[:, None] - centres).sum(-1) / 10
        odds = np.exp(odds - odds.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)

    columns = np.stack([emg_features.reordered(order) for order in ring_orders.orders(C)])
    found = electrode_shifts.scores(answers, windows, label, CLASSES, 2.0, columns)
    assert found["as recorded"]["as_worn"] == found["as recorded"]["ring"] > 0.97
    assert found["turned by 1"]["as_worn"] < 0.6 and found["turned by 1"]["ring"] > 0.97
    assert found["the other way round"]["as_worn"] < 0.8 and found["the other way round"]["ring"] > 0.97
    # Standardising takes a gain out; what an electrode told is gone with it.
    assert found["one electrode 2 times"]["as_worn"] > 0.95
    assert found["one electrode lost"]["as_worn"] < found["one electrode 2 times"]["as_worn"]
