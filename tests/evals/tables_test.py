"""Means over sessions: on equal terms, with Student's interval over them, nulls as "-"."""

import pytest
from scipy import stats

from neurojax.evals import tables


def record(scores, **others):
    """Evaluation record from session -> predictor -> task -> bits/spike (None: could not be computed)."""
    sessions = {}
    for key, predictors in scores.items():
        blocks = {
            name: {task: {"bps_pooled": value, "bps_pooled_se": 0.01} for task, value in tasks.items()}
            for name, tasks in predictors.items()
        }
        sessions[key] = {"num_units": 700, "num_test_trials": 20, "tasks": blocks.pop("model")}
        sessions[key]["oracle"] = blocks.pop("oracle", None)
        sessions[key]["baselines"] = blocks
    return {"schema": 1, "protocol": "mtm", "sessions": sessions} | others


def test_predictors_and_tasks_have_one_order():
    evaluation = record(
        {
            "a": {
                "model": {"extra": 0.1, "forward": 0.1},
                "psth": {"forward": 0.0},
                "oracle": {"forward": 0.4},
            },
            "b": {
                "model": {"co_smoothing": 0.1},
                "ridge": {"forward": 0.0},
                "known_dynamics": {"forward": 0.2},
            },
        }
    )
    assert tables.tasks_of(evaluation) == ["co_smoothing", "forward", "extra"]
    assert tables.predictors_of(evaluation) == ["model", "psth", "ridge", "known_dynamics", "oracle"]


def test_the_mean_has_students_interval_over_sessions_whatever_their_trials_say():
    values = {"a": 0.1, "b": 0.3, "c": 0.15}
    evaluation = record({key: {"model": {"forward": value}} for key, value in values.items()})
    score = tables.mean_score(evaluation, "model", "forward")
    expected = stats.ttest_1samp(list(values.values()), 0).confidence_interval(0.95)
    assert score.value == pytest.approx(0.55 / 3) and score.ci95 == pytest.approx(tuple(expected))
    assert score.half == pytest.approx((expected.high - expected.low) / 2)
    assert (score.over, score.num_sessions) == ("sessions", 3)
    assert tables.mean_text(score, 3) == f"0.183 +-{score.half:.3f}"


def test_one_session_keeps_its_own_interval():
    evaluation = record({"a": {"model": {"forward": 0.1}}})
    evaluation["sessions"]["a"]["tasks"]["forward"]["bps_pooled_ci95"] = [0.05, 0.2]
    score = tables.mean_score(evaluation, "model", "forward")
    assert score.ci95 == (0.05, 0.2) and score.over == "trials" and score.half == pytest.approx(0.075)
    assert "test trials of this one session" in tables.interval_words([score], evaluation)


def test_a_score_that_one_of_several_sessions_has_gets_no_interval_of_another_kind():
    evaluation = record({"a": {"model": {"forward": 0.1}}, "b": {"model": {"forward": None}}})
    evaluation["sessions"]["a"]["tasks"]["forward"]["bps_pooled_ci95"] = [0.05, 0.2]
    assert tables.mean_score(evaluation, "model", "forward") == tables.Score(0.1)


def test_the_legend_counts_sessions_and_animals():
    evaluation = record({key: {"model": {"forward": 0.1 * place}} for place, key in enumerate("abc")})
    scores = [tables.mean_score(evaluation, "model", "forward")]
    assert tables.interval_words(scores, evaluation) == "half of the 95 % interval over 3 sessions (t)"
    for key, subject in zip("abc", ("x", "y", "x"), strict=True):
        evaluation["sessions"][key]["subject"] = subject
    assert tables.interval_words(scores, evaluation) == "half of the 95 % interval over 3 sessions of 2 animals (t)"
    assert tables.interval_words([tables.Score(0.1)], evaluation) == ""


def test_baselines_are_averaged_over_the_sessions_of_the_model():
    evaluation = record(
        {
            "a": {"model": {"forward": 0.1}, "psth": {"forward": 0.0}, "ridge": {"forward": None}},
            "b": {"model": {"forward": None}, "psth": {"forward": 9.0}, "ridge": {"forward": 9.0}},
        }
    )
    means = tables.mean_scores(evaluation, "forward")
    assert means["psth"].value == 0.0 and means["ridge"].value is None
    assert tables.mean_text(means["ridge"], 1) == "-"


def test_a_mean_over_fewer_sessions_says_so():
    assert tables.mean_text(tables.Score(0.5, num_sessions=3), 4) == "0.500 (n=3)"
    assert tables.mean_text(tables.Score(0.5, (0.47, 0.51), "sessions", 4), 4, "±") == "0.500 ±0.020"


def test_wins_count_sessions_where_both_are_known():
    evaluation = record(
        {
            "a": {"model": {"forward": 0.1}, "psth": {"forward": 0.0}},
            "b": {"model": {"forward": 0.1}, "psth": {"forward": 0.2}},
            "c": {"model": {"forward": 0.1}, "psth": {"forward": None}},
        }
    )
    assert tables.wins(evaluation, "psth", "forward") == (1, 2)


def test_the_share_of_the_oracle_uses_sessions_with_both():
    evaluation = record(
        {
            "a": {"model": {"forward": 0.3}, "oracle": {"forward": 0.4}},
            "b": {"model": {"forward": 9.0}, "oracle": {"forward": None}},
        }
    )
    assert tables.share(evaluation, "oracle", "forward") == "75 %"
    assert tables.share(evaluation, "oracle", "co_smoothing") == "-"


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (-0.0001, "0.000"), (-0.0123, "-0.012"), (2, "2.000")])
def test_numbers_are_shown_without_a_negative_zero(value, text):
    assert tables.show(value) == text


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), True, "0.1", [0.1]])
def test_only_finite_numbers_count(value):
    assert tables.number(value) is None


def test_long_names_are_cut_where_they_agree():
    names = [f"sub-NYU-{index}_ses-2020-01-0{index}T10_behavior+ecephys" for index in range(3)]
    assert tables.short_names(names, 24) == [f"..{index}_ses-2020-01-0{index}.." for index in range(3)]
    assert tables.short_names(["a", "b"], 24) == ["a", "b"]
    assert [len(name) for name in tables.short_names(["x" * 50, "y" * 50], 24)] == [24, 24]
    assert tables.short_names(["x" * 50], 24) == ["x" * 11 + ".." + "x" * 11]
