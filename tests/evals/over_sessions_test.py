"""Means over sessions: intervals over sessions, over animals and over trials, and what each may claim."""

import json

import numpy as np
from scipy import stats

from neurojax.evals import best_baseline, over_sessions


def test_animals_weigh_alike_in_their_interval():
    scores = {"a1": 0.1, "a2": 0.2, "a3": 0.3, "b1": 0.5, "c1": 0.6}
    blocks = {key: {"forward": {"bps_pooled": value}} for key, value in scores.items()}
    block = over_sessions.mean_over_sessions(blocks, {key: key[0] for key in scores})["forward"]
    expected = stats.ttest_1samp([0.2, 0.5, 0.6], 0).confidence_interval(0.95)
    np.testing.assert_allclose(block["bps_pooled_animals_ci95"], expected)
    np.testing.assert_allclose([block["bps_pooled"], block["bps_pooled_animals"]], [0.34, 1.3 / 3])
    assert block["num_animals"] == 3
    one = over_sessions.mean_over_sessions(blocks, dict.fromkeys(scores, "a"))["forward"]
    assert one["num_animals"] == 1 and "bps_pooled_animals_ci95" not in one


def test_the_mean_of_differences_shows_each_sign():
    def block(value):
        return {"bps_pooled": value, "bps_pooled_se": 0.03, "ci95": [value - 0.05, value + 0.05]}

    missing = {"bps_pooled": None, "bps_pooled_reason": "none"}
    sessions = {
        "a": {"forward": block(0.3), "co_smoothing": block(0.1)},
        "b": {"forward": block(-0.1), "co_smoothing": missing},
        "c": {"forward": missing, "co_smoothing": missing},
    }
    mean = over_sessions.paired_mean(sessions)
    assert mean["forward"]["signs"] == {"a": 1, "b": -1}
    assert (mean["forward"]["num_sessions"], mean["forward"]["num_above"]) == (2, 1)
    np.testing.assert_allclose(mean["forward"]["bps_pooled"], 0.1)
    np.testing.assert_allclose(mean["forward"]["trials_se"], np.hypot(0.03, 0.03) / 2)
    np.testing.assert_allclose(mean["forward"]["ci95"], stats.ttest_1samp([0.3, -0.1], 0).confidence_interval(0.95))
    assert mean["forward"]["p_value"] is None and "fewer than 3" in mean["forward"]["p_value_reason"]
    only = mean["co_smoothing"]
    assert only["ci95"] is None and "one session" in only["ci95_reason"]
    assert only["trials_ci95"] == [0.1 - 0.05, 0.1 + 0.05]  # one session keeps its own
    nothing = over_sessions.paired_mean({"a": {"forward": missing}})["forward"]
    assert nothing["bps_pooled"] is None and nothing["bps_pooled_reason"] and nothing["signs"] == {}
    json.dumps(mean, allow_nan=False)


def test_trials_of_fixed_sessions_do_not_make_a_claim_of_sessions():
    """Effects of four sessions that differ in sign, each told from zero by its own trials."""
    effects = {
        "above": dict(zip("abcd", (0.10, 0.09, 0.11, 0.10), strict=True)),
        "both": dict(zip("abcd", (0.20, -0.06, 0.17, -0.01), strict=True)),
    }
    sessions = {
        key: {
            task: {
                **{"baseline": "stack", "chosen_on": "validation", "bps_pooled": values[key]},
                **{"bps_pooled_se": 0.002, "ci95": [values[key] - 0.004, values[key] + 0.004]},
            }
            for task, values in effects.items()
        }
        for key in "abcd"
    }
    mean = over_sessions.paired_mean(sessions, {"a": "x", "b": "x", "c": "y", "d": "y"})
    p_values = {task: stats.ttest_1samp(list(values.values()), 0).pvalue for task, values in effects.items()}
    for task, block in mean.items():
        assert block["trials_ci95"][0] > 0 and block["baseline"] == "stack" and block["num_animals"] == 2
        np.testing.assert_allclose(block["p_value"], p_values[task])
        values = effects[task]
        animals = [(values["a"] + values["b"]) / 2, (values["c"] + values["d"]) / 2]
        np.testing.assert_allclose(block["animals_ci95"], stats.ttest_1samp(animals, 0).confidence_interval(0.95))
    assert mean["both"]["ci95"][0] < 0 < mean["both"]["ci95"][1] and mean["above"]["ci95"][0] > 0
    np.testing.assert_allclose(mean["above"]["p_holm"], 2 * p_values["above"])
    np.testing.assert_allclose(mean["both"]["p_holm"], p_values["both"])
    found = {task: best_baseline.paired({"mean": {task: {"paired_mean": block}}}, task) for task, block in mean.items()}
    assert {task: pair.verdict for task, pair in found.items()} == {"above": "above", "both": "not resolved"}
