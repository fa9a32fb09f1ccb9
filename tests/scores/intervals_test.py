"""Intervals over sessions are scipy's own, Holm is the textbook's loop, and animals are what is independent."""

import math

import numpy as np
import pytest
from scipy import stats

from neurojax.scores import intervals


@pytest.mark.parametrize("num_sessions", [2, 3, 9])
def test_the_interval_over_sessions_is_that_of_a_paired_t_test(num_sessions):
    rng = np.random.default_rng(num_sessions)
    model, baseline = rng.normal(0.3, 0.1, (2, num_sessions))
    expected = stats.ttest_rel(model, baseline)
    found = intervals.t_interval(model - baseline)
    assert found.mean == pytest.approx((model - baseline).mean())
    assert found.se == pytest.approx(stats.sem(model - baseline))
    assert found.ci95 == pytest.approx(tuple(expected.confidence_interval(0.95)))
    p_value = intervals.p_value(model - baseline)
    assert p_value is None if num_sessions < 3 else p_value == pytest.approx(expected.pvalue)


def test_one_session_or_no_spread_tell_nothing():
    assert intervals.t_interval([0.3]) is None and intervals.t_interval([]) is None
    assert intervals.p_value([0.1, 0.1, 0.1, 0.1]) is None and intervals.p_value([0.0, 0.0, 0.0]) is None


def holm_step_by_step(p_values):
    """The smallest p times the number of tests, the next times one less, ..., never falling, at most 1."""
    order, adjusted, before = sorted(p_values, key=p_values.get), {}, 0.0
    left = len(order)
    for name in order:
        now = min(p_values[name] * left, 1.0)
        if now < before:
            now = before
        adjusted[name], before, left = now, now, left - 1
    return adjusted


@pytest.mark.parametrize("seed", range(20))
def test_holm_is_the_textbooks_loop(seed):
    p_values = {str(number): p for number, p in enumerate(np.random.default_rng(seed).beta(0.5, 2, 1 + seed % 6))}
    assert intervals.holm(p_values) == pytest.approx(holm_step_by_step(p_values))


def test_holm_of_a_known_example_leaves_out_what_has_no_p():
    found = intervals.holm({"a": 0.01, "b": None, "c": 0.04, "d": 0.03})
    assert found["b"] is None and list(found) == ["a", "b", "c", "d"]
    assert [found[name] for name in "acd"] == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize(
    ("ci95", "p_holm", "expected"),
    [
        ((0.1, 0.2), 0.01, "above"),
        ((-0.2, -0.1), 0.01, "below"),
        ((0.1, 0.2), 0.06, "not resolved"),  # alone it would be, among several tasks it is not
        ((-0.01, 0.2), 0.01, "not resolved"),
        ((0.1, 0.2), None, "not resolved"),
        (None, 0.01, "not resolved"),
    ],
)
def test_a_claim_needs_the_interval_and_holm(ci95, p_holm, expected):
    assert intervals.verdict(ci95, p_holm) == expected


def test_animals_weigh_alike_whatever_their_number_of_sessions():
    subjects = {"a1": "a", "a2": "a", "a3": "a", "b1": "b"}
    means, reason = intervals.means_of_animals({"a1": 0.1, "a2": 0.2, "a3": 0.3, "b1": 1.0}, subjects)
    assert means == pytest.approx({"a": 0.2, "b": 1.0}) and reason == ""
    means, reason = intervals.means_of_animals({"a1": 0.1, "c": 0.2}, subjects)
    assert means is None and reason == "1 of 2 sessions do not name their animal"
    assert not math.isnan(intervals.t_interval([0.2, 1.0]).se)


def test_animals_may_take_back_what_sessions_say():
    assert intervals.verdict((0.01, 0.05), 0.01) == "above"
    assert intervals.verdict((0.01, 0.05), 0.01, (0.005, 0.06)) == "above"
    assert intervals.verdict((0.01, 0.05), 0.01, (-0.02, 0.08)) == "not resolved"
    assert intervals.verdict((-0.05, -0.01), 0.01, (-0.06, -0.01)) == "below"
