"""Velocity from rates: the R2, its interval, and what is missing."""

import dataclasses

import numpy as np
import pytest

from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store.sessions import from_counts
from neurojax.evals import behaviour_read_out, protocols
from neurojax.evals.decoding.targets import behaviour_of_trials
from neurojax.scores import metrics

TASK = protocols.get_protocol("nlb").tasks["nlb_velocity"]


@pytest.fixture(scope="module")
def session():
    rng = np.random.default_rng(0)
    lengths = rng.integers(10, 16, 40)
    total = lengths.sum()
    velocity = np.stack([np.sin(np.arange(total) / 5), np.cos(np.arange(total) / 7)], 1)
    counts = rng.poisson(np.exp(velocity @ rng.normal(0, 1, (2, 24)) * 0.7 + 0.5))
    valid = np.ones(total, bool)
    valid[::50] = False
    return from_counts(
        counts,
        bin_size_s=0.05,
        session_id="monkey",
        trial_offsets=np.concatenate([[0], np.cumsum(lengths)]),
        split=np.resize([TRAIN, TRAIN, TEST, VALIDATION], 40),
        behaviour={"velocity": np.where(valid[:, None], velocity, 1e6).astype(np.float32)},
        behaviour_valid={"velocity": valid},
    )


def features(session, make):
    """`make` of the velocity [K, T, 2] of train and of test trials."""
    parts = (behaviour_of_trials(session, "velocity", session.trials_of(split))[0] for split in (TRAIN, TEST))
    return [make(np.nan_to_num(values)) for values in parts]


def test_velocity_is_found_in_rates_that_hold_it_and_not_in_noise(session):
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(2, 5))
    train, test = features(session, lambda velocity: velocity @ mixing)
    block = behaviour_read_out.score(session, TASK, train, test, seed=0, num_boot=50)
    assert block["behaviour"] == "velocity" and 0.99 < block["behaviour_r2"] <= 1
    rows = features(session, lambda velocity: rng.normal(size=(*velocity.shape[:2], 5)))
    noise = behaviour_read_out.score(session, TASK, *rows, seed=0, num_boot=200)
    assert -0.3 < noise["behaviour_r2"] < 0.1
    low, high = noise["behaviour_r2_ci95"]
    assert low < noise["behaviour_r2"] < high
    observed, valid = behaviour_of_trials(session, "velocity", session.trials_of(TRAIN))
    target, test_valid = behaviour_of_trials(session, "velocity", session.trials_of(TEST))
    expected = metrics.velocity_r2(rows[0][valid], observed[valid], rows[1][test_valid], target[test_valid])
    np.testing.assert_allclose(noise["behaviour_r2"], expected, rtol=1e-9)


def test_a_resample_of_trials_scores_as_those_trials_do():
    rng = np.random.default_rng(3)
    target = rng.normal(size=(6, 5, 2)) + rng.normal(size=(6, 1, 1)) * 4
    predicted = target + rng.normal(size=target.shape)
    weights = np.array([[1.0] * 6, [2, 0, 0, 1, 0, 3]])
    found = behaviour_read_out._r2_of_draws(predicted, target, weights)
    for value, times in zip(found, weights.astype(int), strict=True):
        rows = [np.repeat(values, times, 0).reshape(-1, 2) for values in (predicted, target)]
        np.testing.assert_allclose(value, metrics.r2(*rows).mean(), rtol=1e-10)


def test_smoothed_spikes_hold_the_velocity(session):
    block = behaviour_read_out.of_smoothed_spikes(session, protocols.get_protocol("nlb"), TASK, seed=0, num_boot=20)
    assert block["behaviour_r2"] > 0.6


def test_the_width_is_chosen_in_seconds_and_may_be_none(session):
    """Few spikes of a slow velocity want smoothing; so many that they tell it within a bin want none."""
    protocol = protocols.get_protocol("nlb")
    found = behaviour_read_out.of_smoothed_spikes(session, protocol, TASK, seed=0, num_boot=0)
    assert found["width_s"] in (0.08, 0.16, 0.32)  # bins of 50 ms, and a velocity slower than that
    values, valid = session.behaviour["velocity"], session.behaviour_valid["velocity"]
    gains = np.random.default_rng(1).normal(0, 20, (2, session.num_units))
    counts = np.clip(np.where(valid[:, None], values, 0) @ gains + 120, 0, 255)
    crisp = dataclasses.replace(session, counts=np.round(counts).astype(np.uint8))
    assert behaviour_read_out.of_smoothed_spikes(crisp, protocol, TASK, seed=0, num_boot=0)["width_s"] == 0


def test_bins_that_are_not_valid_count_nowhere(session):
    values, bin_valid = behaviour_of_trials(session, "velocity", session.trials_of(TRAIN))
    assert np.nanmax(np.abs(values)) <= 1 and np.isnan(values[~bin_valid]).all()
    assert np.isnan(values[bin_valid]).any()


def test_a_session_without_velocity_says_what_it_has():
    counts = np.ones((8, 5, 3), int)
    other = from_counts(counts, bin_size_s=0.02, session_id="rat", behaviour={"wheel": np.zeros((40, 1), np.float32)})
    block = behaviour_read_out.of_smoothed_spikes(other, protocols.get_protocol("nlb"), TASK, seed=0)
    assert block["behaviour_r2"] is None and block["behaviour_r2_reason"].endswith("the session has wheel")
