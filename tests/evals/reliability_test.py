"""Split-half reliability: the value it must have where the truth is known, and when there is none."""

import dataclasses
import json

import numpy as np
import pytest

from neurojax.data.store.sessions import from_counts
from neurojax.evals import reliability


def make_session(gain, num_trials=80, num_bins=20, num_units=40, conditions=("left", "right"), seed=0):
    """PSTHs of two conditions, as strong as `gain`; 50 Hz."""
    rng = np.random.default_rng(seed)
    codes = np.resize(np.arange(len(conditions)), num_trials)
    course = np.exp(gain * rng.normal(size=(len(conditions), num_bins, num_units)))
    counts = rng.poisson(course[codes])
    split = np.resize([0, 0, 1, 2], num_trials)
    return from_counts(
        counts, bin_size_s=0.02, session_id="rat", split=split, conditions={"choice": np.asarray(conditions)[codes]}
    ), course  # fmt: skip


def test_it_is_the_share_of_the_psths_variance_that_repeats():
    session, course = make_session(0.3, num_units=400)
    counts, bin_valid = session.gather_trials(np.arange(80))
    codes = np.resize([0, 1], 80)
    found = reliability.split_half_reliability(counts, bin_valid, codes, seed=0)
    signal = course.reshape(-1, 400).var(0, ddof=1)
    noise = course.mean((0, 1)) / 40  # Poisson, 40 trials of a condition
    expected = (signal / (signal + noise)).mean()
    assert 0.6 < expected < 0.9
    np.testing.assert_allclose(found.mean(), expected, atol=0.02)
    halves = found / (2 - found)  # without the correction to the whole number of trials
    assert abs(halves.mean() - expected) > 0.08


def test_noise_does_not_repeat():
    session, _ = make_session(0.0, num_units=300)
    block = reliability.psth_reliability(session, seed=0)
    assert abs(block["psth_reliability"]) < 0.1
    assert block["psth_reliability_condition"] == "choice"
    assert (block["psth_reliability_num_units"], block["psth_reliability_num_trials"]) == (300, 80)


def test_slow_and_silent_units_are_left_out_and_padding_does_not_count():
    session, _ = make_session(0.5, num_units=6)
    whole = reliability.psth_reliability(session, seed=0)
    counts = np.concatenate([session.counts, np.zeros((1600, 2), np.uint8)], 1)
    counts[::100, 6] = 1  # 0.5 Hz
    more = from_counts(
        counts.reshape(80, 20, 8), bin_size_s=0.02, session_id="rat", split=session.split, conditions=session.conditions
    )
    assert reliability.psth_reliability(more, seed=0) == whole
    lengths = np.where(np.arange(80) % 3 == 0, 20, 15)
    shorter = dataclasses.replace(session, trial_num_bins=lengths)
    assert abs(reliability.psth_reliability(shorter, seed=0)["psth_reliability"] - whole["psth_reliability"]) < 0.1
    assert reliability.psth_reliability(session, seed=0) == whole


@pytest.mark.parametrize(
    "conditions, told",
    [
        ({}, "no condition column"),
        ({"weather": np.resize([0, 1], 80)}, "no condition column"),
        ({"choice": np.zeros(80)}, "no condition column"),
        ({"choice": np.arange(80.0)}, "no condition column"),
        ({"choice": np.full(80, np.nan)}, "no condition column"),
    ],
)
def test_without_repeated_conditions_there_is_a_reason(conditions, told):
    session = dataclasses.replace(make_session(0.5)[0], conditions=conditions)
    block = reliability.psth_reliability(session, seed=0)
    assert block["psth_reliability"] is None and told in block["psth_reliability_reason"]
    json.dumps(block, allow_nan=False)


def test_rare_and_missing_values_are_left_out_and_the_next_column_is_asked():
    session, _ = make_session(0.5)
    choice = np.resize([0.0, 1.0], 80)
    choice[:2], choice[2] = np.nan, 7.0
    block = reliability.psth_reliability(dataclasses.replace(session, conditions={"choice": choice}), seed=0)
    assert block["psth_reliability_num_trials"] == 77
    conditions = {"choice": np.zeros(80), "feedback": np.resize([0, 1], 80)}
    block = reliability.psth_reliability(dataclasses.replace(session, conditions=conditions), seed=0)
    assert block["psth_reliability_condition"] == "feedback"
    quiet = dataclasses.replace(session, bin_size_s=10.0)
    assert "1 Hz" in reliability.psth_reliability(quiet, seed=0)["psth_reliability_reason"]
