"""Paired differences between runs: over sessions, and over trials only where trials are the same."""

import copy

import numpy as np
import pytest
from scipy import stats

from neurojax.report.paired_runs import difference


def make_record(gain_per_spike, noise_seed=0, keys=("a", "b")):
    """Sessions of 30 trials whose gains share large trial-to-trial noise; the score is what the gains say."""
    rng, sessions = np.random.default_rng(0), {}
    for key in keys:
        spikes = rng.integers(5, 200, 30)
        shared = rng.normal(0, 0.3, 30) * spikes
        own = np.random.default_rng(noise_seed).normal(0, 0.01, 30) * spikes
        gain = gain_per_spike * spikes + shared + own
        score = gain.sum() / (np.log(2) * spikes.sum())
        sums = {"spikes": spikes.tolist(), "gain_nats": gain.tolist()}
        sessions[key] = {
            "tasks": {"held": {"bps_pooled": score}},
            "trial_sums": {"trial_id": list(range(30)), "tasks": {"held": sums}},
        }
    return {"protocol_hash": "p", "sessions": sessions}


def test_a_small_steady_difference_is_told_although_each_score_is_uncertain():
    first, second = make_record(0.20, 1), make_record(0.22, 2)
    found = difference(second, first, ["a", "b"], "held")
    assert found.mean == pytest.approx(0.02 / np.log(2), abs=0.005) and found.above == 2 and found.sign_p == 0.5
    low_of_mean, high_of_mean = found.trials_ci95
    assert 0 < low_of_mean < found.mean < high_of_mean < 0.06 and found.reason == ""
    for value, (low, high) in found.sessions.values():
        assert low < value < high and high - low > high_of_mean - low_of_mean  # sessions average out
    backward = difference(first, second, ["a", "b"], "held")
    assert backward.mean == pytest.approx(-found.mean)
    assert backward.trials_ci95 == pytest.approx((-high_of_mean, -low_of_mean))


def test_over_sessions_the_interval_is_that_of_a_paired_t_test_and_animals_weigh_alike():
    keys = ["a", "b", "c", "d"]
    first, second = make_record(0.20, 1, keys), make_record(0.22, 2, keys)
    gains = {"a": 0.3, "b": -0.1, "c": 0.05, "d": 0.2}
    for key, subject in zip(keys, ("x", "x", "x", "y"), strict=True):
        second["sessions"][key]["tasks"]["held"]["bps_pooled"] = (
            gains[key] + (first["sessions"][key]["tasks"]["held"]["bps_pooled"])
        )
        first["sessions"][key]["subject"] = subject
    scores = [[e["sessions"][key]["tasks"]["held"]["bps_pooled"] for key in keys] for e in (second, first)]
    expected = stats.ttest_rel(*scores)
    found = difference(second, first, keys, "held")
    assert found.ci95 == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.p_value == pytest.approx(expected.pvalue)
    mean, ends = found.animals
    animals = [(0.3 - 0.1 + 0.05) / 3, 0.2]
    assert mean == pytest.approx(np.mean(animals))
    assert ends == pytest.approx(tuple(stats.ttest_1samp(animals, 0).confidence_interval(0.95)))
    first["sessions"]["d"]["subject"] = None
    assert difference(second, first, keys, "held").animals is None
    assert difference(second, first, ["a"], "held").ci95 is None


def test_a_run_does_not_differ_from_itself():
    found = difference(make_record(0.2), make_record(0.2), ["a", "b"], "held")
    assert found.mean == 0 and found.trials_ci95 == (0, 0) == found.ci95 and found.above == 0
    assert found.sign_p is None and found.p_value is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda record: record.update(protocol_hash="q"), "protocols differ"),
        (lambda record: record["sessions"]["b"].pop("trial_sums"), "keeps no sums"),
        (lambda record: record["sessions"]["b"]["trial_sums"].update(trial_id=list(range(1, 31))), "different trials"),
        (lambda record: record["sessions"]["b"]["trial_sums"].update(trial_id="x"), "keeps no sums"),
        (lambda record: record["sessions"]["b"]["trial_sums"].update(tasks=[]), "keeps no sums"),
        (lambda record: record["sessions"]["b"]["trial_sums"]["tasks"]["held"].update(gain_nats=[1]), "keeps no sums"),
        (lambda record: record["sessions"]["b"]["trial_sums"]["tasks"]["held"]["spikes"].reverse(), "different trials"),
    ],
)
def test_what_cannot_be_paired_trial_by_trial_has_a_difference_and_no_interval_over_trials(change, reason):
    other = copy.deepcopy(make_record(0.22))
    change(other)
    found = difference(other, make_record(0.2), ["a", "b"], "held")
    assert found.trials_ci95 is None and reason in found.reason and found.mean > 0
    assert (found.ci95 is None) == (reason == "protocols differ")


def test_sessions_that_one_run_does_not_score_are_left_out():
    other = make_record(0.22)
    other["sessions"]["a"]["tasks"]["held"]["bps_pooled"] = None
    assert list(difference(other, make_record(0.2), ["a", "b"], "held").sessions) == ["b"]
    assert difference(other, make_record(0.2), ["a"], "held") is None
