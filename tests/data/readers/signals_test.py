"""Behaviour in bins: each bin takes its own samples, on any clock, and no sample spoils another bin."""

import numpy as np
import pytest

from neurojax.data.readers import signals


@pytest.mark.parametrize("clock_s", [0.0, 1e5, 1.7e9])
@pytest.mark.parametrize("rate_hz, bin_size_s", [(50, 0.02), (1000, 0.02), (100, 0.05), (60, 1 / 30)])
def test_a_sample_on_an_edge_belongs_to_the_bin_that_begins_there(clock_s, rate_hz, bin_size_s):
    number = np.arange(10 * rate_hz)
    times = clock_s + number / rate_hz
    starts = signals.bin_starts(np.array([clock_s + 1.0, clock_s + 4.0]), np.array([60, 40]), bin_size_s)
    found = signals.mean_in_bins(times, number[:, None].astype(float), starts, bin_size_s)
    per_bin = round(bin_size_s * rate_hz)
    first = np.round((starts - clock_s) * rate_hz)
    np.testing.assert_allclose(found[:, 0], first + (per_bin - 1) / 2, rtol=1e-6)


@pytest.mark.parametrize("huge", [1e16, 9.97e36, -1e25])
def test_one_huge_sample_spoils_its_own_bin_alone(huge):
    times = np.arange(1000) / 100
    values = np.sin(times)[:, None]
    spoiled = values.copy()
    spoiled[333] = huge
    starts = np.arange(400) * 0.02
    clean = signals.mean_in_bins(times, values, starts, 0.02)
    cleaned = signals.clean_signal(times, spoiled, "x")
    found = signals.mean_in_bins(*cleaned, starts, 0.02)
    others = np.arange(400) != 333 // 2
    np.testing.assert_array_equal(found[others], clean[others])


def test_dimensions_have_samples_and_gaps_of_their_own():
    times = np.arange(500) / 50
    values = np.stack([times, np.where(times < 5, times, np.nan), np.full(500, np.nan)], axis=1)
    found = signals.mean_in_bins(*signals.clean_signal(times, values, "x"), np.arange(450) * 0.02, 0.02)
    known = np.isfinite(found)
    assert known[:, 0].all() and not known[:, 2].any()
    assert known[:249, 1].all() and not known[260:, 1].any()


@pytest.mark.parametrize("rate_hz, given, share", [(5, None, 1.0), (8, None, 1.0), (5, 0.1, 0.1), (0.8, None, 0.016)])
def test_slow_signals_are_known_between_their_samples_up_to_a_gap(rate_hz, given, share):
    times = np.arange(0, 100, 1 / rate_hz)
    starts = np.arange(1, 90, 0.02)
    found = signals.mean_in_bins(times, times[:, None], starts, 0.02, given)
    known = np.isfinite(found[:, 0])
    assert abs(known.mean() - share) < 0.02
    np.testing.assert_allclose(found[known, 0], starts[known] + 0.01, atol=0.011)
