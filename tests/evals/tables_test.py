"""Means over sessions and the terminal's table: on equal terms, nulls as "-", at most 100 columns."""

import math

import pytest

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


def test_the_mean_has_the_error_of_independent_sessions():
    evaluation = record({key: {"model": {"forward": value}} for key, value in {"a": 0.1, "b": 0.3}.items()})
    score = tables.mean_score(evaluation, "model", "forward")
    assert score.value == pytest.approx(0.2) and score.se == pytest.approx(math.hypot(0.01, 0.01) / 2)
    assert score.ci95 == pytest.approx((0.2 - 1.96 * score.se, 0.2 + 1.96 * score.se))
    assert score.num_sessions == 2


def test_one_session_keeps_its_own_interval():
    evaluation = record({"a": {"model": {"forward": 0.1}}})
    evaluation["sessions"]["a"]["tasks"]["forward"]["bps_pooled_ci95"] = [0.05, 0.2]
    assert tables.mean_score(evaluation, "model", "forward").ci95 == (0.05, 0.2)


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
    assert tables.mean_text(tables.Score(0.5, None, None, 3), 4) == "0.500 (n=3)"
    assert tables.mean_text(tables.Score(0.5, 0.02, None, 4), 4, "±") == "0.500 ±0.020"


def test_wins_count_sessions_where_both_are_known():
    evaluation = record(
        {
            "a": {"model": {"forward": 0.1}, "psth": {"forward": 0.0}},
            "b": {"model": {"forward": 0.1}, "psth": {"forward": 0.2}},
            "c": {"model": {"forward": 0.1}, "psth": {"forward": None}},
        }
    )
    assert tables.wins(evaluation, "psth", "forward") == (1, 2)


def test_the_best_baseline_is_never_an_oracle():
    baselines = {"psth": {"forward": 0.1}, "ridge": {"forward": 0.2}, "known_dynamics": {"forward": 0.9}}
    evaluation = record({"a": {"model": {"forward": 0.1}, **baselines}})
    assert tables.best_baseline(evaluation["sessions"]["a"], "forward") == ("ridge", 0.2)
    assert tables.best_baseline(evaluation["sessions"]["a"], "co_smoothing") is None


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


@pytest.mark.parametrize("num_sessions", [0, 1, 40])
def test_the_table_has_a_line_a_session_within_100_columns(num_sessions):
    tasks, low = dict.fromkeys(tables.TASK_LABELS, 0.2), dict.fromkeys(tables.TASK_LABELS, -12.3456)
    rows = {"model": tasks, "mean_of_ridge_and_principal_component_glm": low, "oracle": tasks}
    ids = [f"subject-{index:02d}-with-quite-a-long-name-behavior+ecephys" for index in range(num_sessions)]
    evaluation = record({key: rows for key in ids})
    if num_sessions > 1:
        evaluation["sessions"][ids[0]]["tasks"]["intra_region"] = {"bps_pooled": None}
        evaluation["sessions"][ids[1]]["baselines"] = {}
    text = tables.terminal_table(evaluation)
    assert max(map(len, text.splitlines())) <= 100
    assert sum(", 700, 20" in line for line in text.splitlines()) == num_sessions
    assert text.isascii() and "None" not in text and "nan" not in text
    if num_sessions > 1:
        first = next(line for line in text.splitlines() if ", 700, 20" in line)
        assert first.split()[-2:] == ["-", "(-12.3)"]
        assert "100 %" in text and "-12.3 +-0.002*" in text and "* mean over fewer" in text


def test_the_paired_difference_has_a_line_with_its_error_and_wins():
    evaluation = record({key: {"model": {"forward": 0.2}, "psth": {"forward": 0.1}} for key in "ab"})
    assert "best baseline  " not in tables.terminal_table(evaluation)
    block = {"bps_pooled": 0.1, "bps_pooled_se": 0.02, "ci95": [0.06, 0.14], "num_sessions": 2, "num_above": 1}
    evaluation["mean"] = {"forward": {"paired_mean": block}}
    lines = tables.terminal_table(evaluation).splitlines()
    assert any(line.split() == ["model", "-", "best", "baseline", "+0.100", "+-0.020"] for line in lines)
    assert any(line.split() == ["sessions", "above", "1", "of", "2"] for line in lines)
    evaluation["mean"]["forward"]["paired_mean"] = {"bps_pooled": None, "num_sessions": 0, "num_above": 0}
    assert "sessions above" not in tables.terminal_table(evaluation)
    many = {f"session{i}": {"model": dict.fromkeys(tables.TASK_LABELS, -0.2)} for i in range(12)}
    evaluation = record(many, mean={task: {"paired_mean": block} for task in tables.TASK_LABELS})
    assert max(map(len, tables.terminal_table(evaluation).splitlines())) <= 100


def test_the_terminal_shows_each_tasks_headline_and_says_which_pages_show_pooled_bits():
    block = {"headline": "d2_unit_mean", "d2_unit_mean": 0.25, "bps_pooled": 0.5}
    other = {"headline": "d2_unit_mean", "d2_unit_mean": 0.125, "bps_pooled": 0.75}
    session = {"num_units": 3, "num_test_trials": 4, "tasks": {"wide": block}, "baselines": {"ridge": {"wide": other}}}
    evaluation = {"sessions": {"rat": session}}
    text = tables.terminal_table(evaluation)
    assert "0.250" in text and "0.125" in text and "0.500" not in text
    assert "wide: Poisson D2, mean of units" in text and "\nbits/spike" not in text
    assert tables.mean_score(evaluation, "model", "wide").value == 0.5
    assert tables.best_baseline(session, "wide") == ("ridge", 0.75)
    without_model = {"sessions": {"rat": {"baselines": {"ridge": {"co_smoothing": {"bps_pooled": 0.5}}}}}}
    lines = tables.terminal_table(without_model).splitlines()
    assert any(line.startswith("ridge") for line in lines) and not any(line.startswith("model") for line in lines)
