"""Calibration tells true rates from scaled ones, and Poisson counts from counts with a slow gain."""

import json

import numpy as np
import pytest

from neurojax.evals.calibration import MIN_SPIKES, calibration

BIN_SIZE_S = 0.02


def drawn(gain_sd=0.0, seed=0):
    """Rates [K, T, N] from 1 to 60 Hz and counts around them, times a gain of each trial and unit of mean 1."""
    rng = np.random.default_rng(seed)
    rates = np.exp(rng.uniform(np.log(1), np.log(60), (60, 30, 80))) * BIN_SIZE_S
    gain = rng.gamma(1 / max(gain_sd, 1e-9) ** 2, max(gain_sd, 1e-9) ** 2, (60, 1, 80)) if gain_sd else 1.0
    return rates, rng.poisson(rates * gain)


def block(rates, counts, **options):
    return calibration({"held": rates}, counts, BIN_SIZE_S, **{"seed": 0, "num_boot": 200} | options)["held"]


def test_true_rates_are_calibrated_and_poisson():
    found = block(*drawn(seed=1))
    low, high = found["observed_over_predicted_ci95"]
    assert low < 1 < high and high - low < 0.1
    inside = [group["observed_ci95"][0] <= group["predicted"] <= group["observed_ci95"][1] for group in found["groups"]]
    assert len(inside) >= 6 and np.mean(inside) >= 0.7
    for name in ("dispersion_bins", "dispersion_trials"):
        assert found[name]["median"] == pytest.approx(1, abs=0.1) and found[name]["num_units"] == 80
        low, high = found[name]["median_ci95"]
        assert low < found[name]["median"] < high


def test_rates_twice_too_high_show_in_every_group():
    rates, counts = drawn()
    found = block(2 * rates, counts)
    assert found["observed_over_predicted"] == pytest.approx(0.5, abs=0.02)
    assert all(group["observed"] < 0.7 * group["predicted"] for group in found["groups"])


def test_a_slow_gain_shows_in_trials_far_more_than_in_bins():
    found = block(*drawn(gain_sd=0.5))
    # variance of a total of mean m under a gain of standard deviation g: m + (g m)^2
    expected = 1 + 0.25 * (drawn()[0].sum(1)).mean()
    assert found["dispersion_trials"]["median"] == pytest.approx(expected, rel=0.25)
    assert 1.02 < found["dispersion_bins"]["median"] < 1.5


def test_groups_hold_every_evaluated_entry_once_and_nothing_else():
    rates, counts = drawn()
    rates = np.where(np.random.default_rng(1).random(rates.shape) < 0.3, np.nan, rates)
    groups = block(rates, counts)["groups"]
    evaluated = np.isfinite(rates)
    assert sum(group["entries"] for group in groups) == evaluated.sum()
    assert sum(group["entries"] * group["observed"] for group in groups) == pytest.approx(counts[evaluated].sum())
    assert sum(group["entries"] * group["predicted"] for group in groups) == pytest.approx(rates[evaluated].sum())


def test_units_are_told_once_and_only_with_enough_spikes():
    rates, counts = drawn()
    rates[:, :, 3] = 0.5 * MIN_SPIKES / rates[:, :, 3].size
    found = calibration({"a": rates, "b": rates}, counts, BIN_SIZE_S, seed=0, num_boot=50)
    units = found["a"]["dispersion_bins"]["units"]
    assert units[3] is None and sum(unit is not None for unit in units) == 79
    assert "units" not in found["b"]["dispersion_trials"]


def test_nothing_expected_is_null_with_a_reason_and_json_holds_it_all():
    counts = np.zeros((2, 3, 1), int)
    found = block(np.zeros((2, 3, 1)), counts, num_boot=0)
    assert found["observed_over_predicted"] is None and found["dispersion_bins"]["median_reason"]
    json.dumps([found, block(*drawn(), num_boot=0)], allow_nan=False)
    assert calibration({"a": np.full((2, 3, 1), np.nan), "b": np.ones((2, 3, 2))}, counts, BIN_SIZE_S, seed=0) == {}
