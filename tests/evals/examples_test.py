"""What the figures are given of one session."""

import numpy as np
import pytest

from neurojax.data.session import TEST
from neurojax.data.store.sessions import from_counts
from neurojax.evals import examples, protocols


def make(conditions, num_trials=60, **fields):
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, (num_trials, 10, 6))
    split = np.resize([0, 0, 2, 2, 1], num_trials)
    return from_counts(counts, bin_size_s=0.02, session_id="rat", split=split, conditions=conditions, **fields)


def record(session):
    trial_ids = session.trials_of(TEST)
    rates = np.where(protocols.scored_entries(session, "co_smoothing", trial_ids), 0.5, np.nan)
    return examples.of_session(session, {"co_smoothing": rates, "intra_region": rates}, {})


def test_units_are_drawn_against_the_baseline_that_is_asked_for():
    session = make({})
    trial_ids = session.trials_of(TEST)
    rates = np.where(protocols.scored_entries(session, "co_smoothing", trial_ids), 0.5, np.nan)
    scores = {"stack": np.arange(6.0), "drift": np.zeros(6)}
    for asked, drawn in (("stack", "stack"), (None, "drift"), ("absent", "drift")):
        shown = examples.of_session(session, {"co_smoothing": rates}, scores, baseline=asked)
        assert shown["baseline"] == drawn and shown["bps_unit_baseline"] is scores[drawn]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (np.resize(["left", "right"], 60), ["choice left", "choice right"]),
        (np.resize([-1.0, 1.0], 60), ["choice -1.0", "choice 1.0"]),
        (np.arange(60.0), ["all trials"]),  # too many values
        (np.append(np.zeros(57), np.ones(3)), ["all trials"]),  # too few trials of one
    ],
)
def test_psths_are_drawn_per_condition_where_trials_suffice(values, names):
    shown = record(make({"choice": values}))
    assert shown["conditions"] == names
    assert shown["psth_observed"].shape == (len(names), 10, 6)
    np.testing.assert_allclose(shown["psth_predicted"], 0.5)
