"""A split that lets drift leak is said in the record and in one line, with its remedy and what drift alone reaches."""

import json

import numpy as np

from neurojax.data.splits import block_split, random_split
from neurojax.data.store.sessions import from_counts
from neurojax.evals import drift_note


def session(split, slope=0.5, num_trials=150):
    rng = np.random.default_rng(0)
    sign = rng.choice([-1, 1], 20)
    rates = rng.gamma(2, 0.5, 20) * np.exp(slope * sign * np.linspace(-1, 1, num_trials)[:, None, None])
    counts = rng.poisson(np.broadcast_to(rates, (num_trials, 10, 20)))
    starts = np.arange(num_trials) * 3.0
    return from_counts(counts, bin_size_s=0.02, session_id="rat", split=split, trial_start_s=starts)


RANDOM, BLOCKS = random_split(150, 0, ""), block_split(np.arange(150) * 3.0, 60, "")


def test_a_random_split_of_a_drifting_recording_is_warned_of_and_blocks_are_not():
    leaking, still, blocks = (
        drift_note.of_session(one) for one in (session(RANDOM), session(RANDOM, 0.0), session(BLOCKS))
    )
    assert leaking["drift"]["gain"] > 0.05 and leaking["drift"]["z_score"] > 6
    assert "drift leaks" in leaking["drift_warning"] and "--split=blocks:" in leaking["drift_warning"]
    assert still["drift_warning"] is None and blocks["drift_warning"] is None and blocks["drift"]["interleaved"] < 0.5
    few = drift_note.of_session(session(RANDOM[:15], num_trials=15))
    assert few["drift"] is None and few["drift_reason"] and few["drift_warning"] is None
    json.dumps([leaking, few], allow_nan=False)


def test_the_line_counts_sessions_names_the_remedy_and_what_drift_reaches():
    def scored(found, value):
        baselines = {
            "drift": {"co_smoothing": {"bps_pooled": value}},
            "train_mean": {"co_smoothing": {"bps_pooled": 0}},
        }
        return {"tasks": {"co_smoothing": {"bps_pooled": 0.5}}, "baselines": baselines, **found}

    leaking, still = (drift_note.of_session(session(RANDOM, slope)) for slope in (0.5, 0.0))
    sessions = {"a": scored(leaking, 0.05), "b": scored(still, 0.08), "c": scored(leaking, 0.05)}
    line = drift_note.line({"sessions": sessions})
    assert line.startswith("drift leaks in 2 of 3 sessions:") and "--split=blocks:" in line and "\n" not in line
    assert line.endswith("sees no spike of a test trial, reaches 0.060 bits/spike on co-smoothing (train mean 0.000)")
    for one in sessions.values():
        del one["baselines"]["drift"]
    assert drift_note.line({"sessions": sessions}).endswith("keeps neighbours in time together")
    assert drift_note.line({"sessions": {"b": scored(still, 0.1), "old": {"tasks": {}}}}) == ""
