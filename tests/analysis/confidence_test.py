"""Certainty: bins by rank, their slope, and a calibration error that knows a calibrated reader."""

import numpy as np
import pytest

from neurojax.analysis import confidence
from neurojax.errors import InputError


def test_bins_go_from_the_least_to_the_most_certain():
    certainty, right = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 6.0]), np.array([1, 0, 1, 0, 1, 1])
    np.testing.assert_allclose(confidence.by_rank(certainty, right, 3), [0.0, 1.0, 1.0])
    np.testing.assert_allclose(confidence.by_rank(np.ones(4), [1, 1, 0, 0], 2), [1.0, 0.0])
    with pytest.raises(InputError, match="2 answers with 2 certainties"):
        confidence.by_rank([1.0, 2.0], [0, 1], 3)


def test_the_slope_is_that_of_a_line():
    assert confidence.slope(np.array([0.4, 0.5, 0.6, 0.7])) == pytest.approx(0.1)


def test_a_calibrated_reader_has_no_error_and_a_boaster_has():
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.5, 1, 20_000)
    right = rng.random(20_000) < probability
    assert confidence.calibration_error(probability, right) < 0.4 * np.sqrt(10 / 20_000) * 1.6
    boast = 0.5 + np.minimum(0.5, 1.5 * (probability - 0.5))
    expected = np.mean(boast - probability)
    assert confidence.calibration_error(boast, right) == pytest.approx(expected, abs=0.02)
    with pytest.raises(InputError, match="outside of 0 to 1"):
        confidence.calibration_error(np.array([1.2]), np.array([1]), 1)
