"""Accuracies are foretold through their errors: never above 1, near what a known curve goes on to be."""

import numpy as np
import pytest

from neurojax.analysis import accuracy_curve, scaling
from neurojax.errors import InputError

SIZES = np.repeat([1.0, 2, 4, 8], 2)


def curve(seed, floor=0.03, steepness=0.6):
    errors = floor + 0.3 * SIZES**-steepness
    return scaling.points(SIZES, 1 - errors * np.exp(0.06 * np.random.default_rng(seed).standard_normal(8)))


def test_a_known_curve_is_foretold_and_its_interval_holds_it():
    true = 1 - (0.03 + 0.3 * 21**-0.6)
    told = [accuracy_curve.forecast(curve(seed), 21, chance=1 / 7) for seed in range(4)]
    assert max(abs(one.value - true) for one in told) < 0.03
    assert sum(one.low <= true <= one.high for one in told) >= 3
    for one in told:
        assert one.low < one.value < one.high < 1 and one.run_low < one.run_high < 1


def test_a_curve_that_bends_is_not_foretold_above_one():
    # Of people never seen, read by networks of 1 to 8 others: experiments/gestures/curve.json.
    scores = [0.691, 0.646, 0.768, 0.744, 0.816, 0.813, 0.916, 0.904]
    plain = scaling.forecast(scaling.points(SIZES, scores), 21, limits=(1 / 7, 1.0))
    told = accuracy_curve.forecast(scaling.points(SIZES, scores), 21, chance=1 / 7)
    assert plain.value > 1 and abs(told.value - 0.927) < 0.03 and told.low < 0.927 < told.run_high < 1
    far = accuracy_curve.forecast(scaling.points(SIZES, scores), 81, chance=1 / 7)
    assert far.value is None and far.high == 1 and "no single number" in far.words


def test_nothing_is_foretold_below_zero():
    told = accuracy_curve.forecast(scaling.points([1.0, 2, 4, 8], [0.1, 0.15, 0.8, 0.9]), 0.2, chance=0.05)
    assert told.value == told.low == told.run_low == 0 and 0 <= told.high <= told.run_high <= 1
    assert "-" not in told.words


def test_accuracies_without_an_error_are_refused():
    with pytest.raises(InputError, match="an accuracy of 1 in a curve; expected shares below 1"):
        accuracy_curve.forecast(scaling.points([1, 2, 4], [0.5, 0.8, 1.0]), 8, chance=0.5)
    with pytest.raises(InputError, match="chance=1; expected a share"):
        accuracy_curve.forecast(scaling.points([1, 2, 4], [0.5, 0.8, 0.9]), 8, chance=1)
