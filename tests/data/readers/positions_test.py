"""Velocity from positions: wrong samples, resets and missing stretches cost the bins they lie in, and no others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.data.readers.positions import JUMPS, slope_in_bins

BIN_S = 0.02
STARTS = np.arange(0, 10, BIN_S)


def wheel(seed=0, step_s=0.01, length_s=11.0):
    """Times and positions of a wheel that turns and rests, [samples] and [samples, 1]."""
    times = np.arange(-0.5, length_s, step_s)
    turning = np.sin(times) > 0
    speed = np.where(turning, 3 * np.sin(5 * times) + np.random.default_rng(seed).normal(0, 0.1, len(times)), 0)
    return times, np.cumsum(speed * step_s)[:, None]


def slopes(times, values, **options):
    return slope_in_bins(times, values, STARTS, BIN_S, **options)[:, 0]


def only_near(made, clean, at_s, within_s=0.1):
    """Whether slopes are as without the fault in all bins but those near it, and are never far off."""
    near = np.abs(STARTS + BIN_S / 2 - at_s) < within_s
    np.testing.assert_allclose(made[~near], clean[~near], atol=1e-4)
    known = np.isfinite(made[near])
    assert not known.any() or np.abs(made[near][known] - clean[near][known]).max() < 3
    return True


@given(st.integers(60, 1000), st.floats(-1e25, 1e25).filter(lambda v: abs(v) > 100), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_one_wrong_sample_costs_its_own_bins(place, value, seed):
    times, position = wheel(seed)
    clean = slopes(times, position)
    broken = position.copy()
    broken[place] = value
    findings = {}
    assert only_near(slopes(times, broken, findings=findings), clean, times[place])
    assert findings == {JUMPS: 2}


@given(st.integers(60, 1000), st.floats(20, 1e6), st.integers(0, 5), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_reset_of_the_encoder_is_no_movement(place, size, seed, down):
    times, position = wheel(seed)
    clean = slopes(times, position)
    broken = position.copy()
    broken[place:] += -size if down else size
    findings = {}
    assert only_near(slopes(times, broken, findings=findings), clean, times[place])
    assert findings == {JUMPS: 1}


@given(st.integers(0, 20), st.floats(0.1, 100), st.sampled_from([0.004, 0.01, 0.05]))
@settings(max_examples=60, deadline=None)
def test_movement_alone_is_never_a_jump(seed, scale, step_s):
    times, position = wheel(seed, step_s)
    findings = {}
    made = slopes(times, position * scale, findings=findings)
    assert findings == {} and np.isfinite(made).all()
    ends = np.interp(np.append(STARTS, STARTS[-1] + BIN_S), times, position[:, 0] * scale)
    np.testing.assert_allclose(made, np.diff(ends) / BIN_S, rtol=1e-4, atol=1e-3 * scale)


def test_single_ticks_of_a_wheel_at_rest_are_movement():
    times = np.arange(-0.5, 11, 0.01)
    position = (0.5 * (times > 4) + 0.5 * (times > 7))[:, None]
    findings = {}
    made = slopes(times, position, findings=findings)
    assert findings == {} and np.isclose(made.sum() * BIN_S, 1.0)


def test_a_wrong_sample_of_a_wheel_at_rest_is_none():
    times, position = np.arange(-0.5, 11, 0.01), np.zeros((1150, 1))
    position[500] = 1e16
    made = slopes(times, position)
    assert np.isnan(made).sum() in (1, 2) and (made[np.isfinite(made)] == 0).all()


def test_missing_samples_are_bridged_and_missing_stretches_are_not():
    times, position = wheel()
    position = position.copy()
    clean = slopes(times, position)
    position[300] = np.nan
    assert np.isfinite(slopes(times, position)).all() and only_near(slopes(times, position), clean, times[300])
    position[600:700] = np.nan  # a second
    made = slopes(times, position)
    lost = (STARTS + BIN_S > times[599]) & (STARTS < times[700])
    np.testing.assert_array_equal(np.isnan(made), lost)
    assert np.isfinite(slopes(times, position, max_gap_s=2.0)).all()


def test_a_stretch_without_samples_is_rest():
    times, position = wheel()
    still = (times < 4) | (times > 5)
    position = np.where(times[:, None] > 4, position[np.searchsorted(times, 4)], position)
    np.testing.assert_allclose(slopes(times[still], position[still]), slopes(times, position), atol=1e-4)


def test_dimensions_are_apart_and_repeated_times_harmless():
    times, position = wheel()
    both = np.concatenate([position, position], axis=1)
    both[500, 0], both[:, 1] = 1e20, np.where(np.arange(len(times)) < 800, both[:, 1], np.nan)
    made = slope_in_bins(times, both, STARTS, BIN_S)
    clean = slopes(times, position)
    assert only_near(made[:, 0], clean, times[500])
    early = STARTS + BIN_S <= times[799]
    np.testing.assert_allclose(made[early, 1], clean[early], atol=1e-4)
    assert np.isnan(made[~early, 1]).all()
    twice = np.repeat(np.arange(len(times)), 2)
    np.testing.assert_allclose(slopes(times[twice], position[twice]), clean, atol=1e-4)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_few_samples_say_little_and_do_no_harm(number):
    made = slope_in_bins(np.arange(number) * 5.0, np.arange(number)[:, None] * 1.0, STARTS, BIN_S)
    assert made.shape == (len(STARTS), 1) and np.isfinite(made).sum() == (250 if number == 2 else 0)


def test_a_short_movement_after_long_rest_is_no_jump():
    times = np.arange(-0.5, 11, 0.01)
    steps = np.random.default_rng(0).normal(0, 1e-4, len(times))
    steps[600:603] = 0.5  # a thousand times the noise, for three samples
    findings = {}
    made = slopes(times, np.cumsum(steps)[:, None], findings=findings)
    assert findings == {} and np.isfinite(made).all() and made.max() > 40


def test_of_repeated_times_the_last_counts():
    times, position = wheel()
    times, position = np.insert(times, 500, times[500]), np.insert(position, 500, position[500] - 0.3, axis=0)
    clean = slopes(*wheel())
    np.testing.assert_allclose(slopes(times, position), clean, atol=1e-4)
