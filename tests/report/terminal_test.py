"""The table in the terminal: nulls as "-", at most 100 columns, and each +- and each claim said in words."""

import pytest

from neurojax.evals import tables
from neurojax.report.terminal import terminal_table


def record(scores, **others):
    """Evaluation record from session -> predictor -> task -> bits/spike (None: could not be computed)."""
    sessions = {}
    for key, predictors in scores.items():
        blocks = {
            name: {task: {"bps_pooled": value} for task, value in tasks.items()} for name, tasks in predictors.items()
        }
        sessions[key] = {"num_units": 700, "num_test_trials": 20, "tasks": blocks.pop("model")}
        sessions[key]["oracle"] = blocks.pop("oracle", None)
        sessions[key]["baselines"] = blocks
    return {"schema": 1, "protocol": "mtm", "sessions": sessions} | others


@pytest.mark.parametrize("num_sessions", [0, 1, 40])
def test_the_table_has_a_line_a_session_within_100_columns(num_sessions):
    low = dict.fromkeys(tables.TASK_LABELS, -12.3456)
    ids = [f"subject-{index:02d}-with-quite-a-long-name-behavior+ecephys" for index in range(num_sessions)]
    rows = {
        key: {
            "model": dict.fromkeys(tables.TASK_LABELS, 0.2 + place % 2 / 10),
            "mean_of_ridge_and_principal_component_glm": low,
            "oracle": dict.fromkeys(tables.TASK_LABELS, 0.25),
        }
        for place, key in enumerate(ids)
    }
    evaluation = record(rows)
    if num_sessions > 1:
        evaluation["sessions"][ids[0]]["tasks"]["intra_region"] = {"bps_pooled": None}
        evaluation["sessions"][ids[1]]["baselines"] = {}
    text = terminal_table(evaluation)
    assert max(map(len, text.splitlines())) <= 100
    assert sum(", 700, 20" in line for line in text.splitlines()) == num_sessions
    assert text.isascii() and "None" not in text and "nan" not in text
    if num_sessions > 1:
        first = next(line for line in text.splitlines() if ", 700, 20" in line)
        assert first.split()[-2:] == ["-", "(-12.3)"]
        assert "100 %" in text and "-12.3 +-0.000*" in text and "* mean over fewer" in text
        assert "+- half of the 95 % interval over 40 sessions (t); intra-region over 39" in text


def block(**changes):
    """A difference of two sessions, as `scoring.paired_mean` gives it."""
    return {
        **{"baseline": "stack", "chosen_on": "validation", "bps_pooled": 0.1, "bps_pooled_se": 0.02},
        **{"ci95": [0.06, 0.14], "trials_ci95": [0.09, 0.11], "p_value": 0.01, "p_holm": 0.02},
        **{"num_sessions": 4, "num_above": 3, "num_animals": None},
    } | changes


def lines_of(*blocks):
    """Of a record whose tasks have these differences."""
    tasks = list(tables.TASK_LABELS)[: len(blocks)]
    sessions = {key: {"model": dict.fromkeys(tasks, 0.2), "stack": dict.fromkeys(tasks, 0.1)} for key in "abcd"}
    mean = {task: {"paired_mean": one} for task, one in zip(tasks, blocks, strict=True)}
    return terminal_table(record(sessions, mean=mean)).splitlines()


def words_of(lines, start):
    return next(line.split()[len(start.split()) :] for line in lines if line.strip().startswith(start))


def test_the_difference_names_its_baseline_and_says_what_holds_over_sessions():
    lines = lines_of(block(), block(ci95=[-0.02, 0.22], p_holm=0.2))
    assert words_of(lines, "model - stack") == ["+0.100", "+-0.040", "+0.100", "+-0.120"]
    assert words_of(lines, "sessions above") == ["3", "of", "4", "3", "of", "4"]
    # Over trials both intervals exclude zero; over sessions one of them includes it, and nothing is claimed of it.
    assert words_of(lines, "over sessions, Holm") == ["above,", "p", "0.02", "not", "resolved"]
    legend = " ".join(lines)
    assert "model - stack: paired within sessions; the listed baseline best on validation trials" in legend
    assert "Holm over tasks" in legend


def test_several_baselines_are_named_below_and_animals_have_a_row():
    other = block(baseline="psth", num_animals=2, animals=0.12, animals_ci95=[-0.3, 0.54])
    lines = lines_of(block(), other)
    assert words_of(lines, "model - best on validation") == ["+0.100", "+-0.040", "+0.100", "+-0.040"]
    assert words_of(lines, "which") == ["stack", "PSTH"]
    assert words_of(lines, "over 2 animals") == ["-", "+0.120", "+-0.420"]


def test_without_a_difference_there_is_no_row_for_it():
    missing = {"bps_pooled": None, "num_sessions": 0, "num_above": 0}
    text = " ".join(lines_of(missing))
    assert "model -" not in text and "sessions above" not in text
    missing_one = lines_of(block(), missing)
    assert words_of(missing_one, "model - stack") == ["+0.100", "+-0.040", "-"]


def test_differences_of_all_tasks_fit_100_columns():
    names = ("stack", "known_for_its_very_long_name", "psth", "train_mean")
    blocks = [block(baseline=name, num_animals=2, animals=-0.2, animals_ci95=[-1, 1]) for name in names]
    assert max(map(len, lines_of(*blocks))) <= 100


def test_the_terminal_shows_each_tasks_headline_and_says_which_pages_show_pooled_bits():
    one = {"headline": "d2_unit_mean", "d2_unit_mean": 0.25, "bps_pooled": 0.5}
    other = {"headline": "d2_unit_mean", "d2_unit_mean": 0.125, "bps_pooled": 0.75}
    session = {"num_units": 3, "num_test_trials": 4, "tasks": {"wide": one}, "baselines": {"ridge": {"wide": other}}}
    evaluation = {"sessions": {"rat": session}}
    text = terminal_table(evaluation)
    assert "0.250 (0.125)" in text and "0.500" not in text
    assert "wide: Poisson D2, mean of units" in text and "\nbits/spike" not in text
    assert "per session: model, in brackets ridge (best on test)" in text
    assert tables.mean_score(evaluation, "model", "wide").value == 0.5
    without_model = {"sessions": {"rat": {"baselines": {"ridge": {"co_smoothing": {"bps_pooled": 0.5}}}}}}
    lines = terminal_table(without_model).splitlines()
    assert any(line.startswith("ridge") for line in lines) and not any(line.startswith("model") for line in lines)
