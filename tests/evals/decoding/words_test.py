"""What a report says of a decoder: when not to trust it, what its folds chose, over sessions; and a clear figure."""

import numpy as np
import pytest
from scipy import stats

from neurojax.evals.decoding import summary, words
from neurojax.report.figures import decoding


def block(score, **more):
    selective = {"share_kept": (np.arange(1, 11) / 10).tolist(), "accuracy": [score] * 10}
    sure = {"coverage": 0.92, "expected_calibration_error": 0.02, "selective": selective}
    sure["reliability"] = {"confidence": [0.2, 0.6, 1.0], "accuracy": [0.3, 0.9, 1.0], "num_trials": [9, 9, 9]}
    ends = [score - 0.05, min(score + 0.05, 1.0)]
    return {"num_trials": 200, "balanced_accuracy": score, "balanced_accuracy_ci95": ends, "calibration": sure, **more}


def report(model, **others):
    read_outs = {"model": block(model, chance={"chance_95th_percentile": 0.6}), **others}
    head = {"trials": "unseen", "fold_by": "block", "protocol": "cv", "kind": "categorical"}
    head |= {"target": "choice", "method": "probe", "pooled": {"model": read_outs["model"]}}
    return head | {"sessions": {"day1": {"read_outs": read_outs}}}


def of_day(found):
    return [text for text in words.sentences(found) if text.startswith("day1")]


def test_a_perfect_decoder_is_not_warned_about():
    assert of_day(report(1.0, raw=block(1.0))) == []
    assert any("does not help" in text for text in of_day(report(0.8)))


@pytest.mark.parametrize("name", ["lagged_ridge", "whole_trial", "gru"])
def test_a_baseline_that_reads_better_is_preferred_by_name(name):
    told = of_day(report(0.8, raw=block(0.7), **{name: block(0.9)}))
    assert f"day1: {name} reads the target better (0.900 against 0.800); prefer it." in told
    assert not any("reads the target better" in text for text in of_day(report(0.8, **{name: block(0.7)})))


def test_choices_in_words():
    folds = [
        {"width_s": width, "reach_s": reach, "equalised": 0.0, "square_root": root, "penalty": penalty}
        for width, reach, root, penalty in (
            (0.0, 0.4, None, 1.0),
            (0.04, 0.6, "counts", [0.1, 1.0]),
            (0.16, 0.6, None, 1.0),
        )
    ]
    assert words.in_words(folds) == (
        "smoothed by 0.04 s (0 to 0.16), lags up to 0.6 s either way (0.4 to 0.6), spreads kept,"
        " no square roots in 2 of 3 folds, penalty 1 (0.1 to 1)"
    )
    assert words.in_short(folds) == "0.04 s, lags 0.6 s"
    windows = [
        {"width_s": 0.0, "window_s": value, "whole_trial": value is None, "steps": 80} for value in (0.0, None, None)
    ]
    assert words.in_words(windows) == "not smoothed, mean over the trial (0 to whole trial), 80 training steps"
    assert words.in_short(windows) == "windows whole trial" and words.in_short([{"penalty": 1.0}]) == ""


def test_means_and_differences_have_intervals_over_sessions():
    values = {"model": [0.6, 0.7, 0.9], "raw": [0.5, 0.65, 0.88]}
    sessions = {f"day{k}": {name: {"r2": found[k]} for name, found in values.items()} for k in range(3)}
    draws = {
        day: {name: {"r2": np.full(500, blocks[name]["r2"])} for name in values} for day, blocks in sessions.items()
    }
    found = summary.mean_over_sessions(sessions, draws, "r2")
    gains = np.subtract(values["model"], values["raw"])
    half = stats.t.ppf(0.975, 2) * gains.std(ddof=1) / np.sqrt(3)
    ends = gains.mean() - half, gains.mean() + half
    np.testing.assert_allclose(found["raw"]["model_minus_it"]["r2_ci95_sessions"], ends)
    np.testing.assert_allclose(np.mean(found["model"]["r2_ci95_sessions"]), np.mean(values["model"]))
    few = summary.mean_over_sessions({day: sessions[day] for day in ("day0", "day1")}, draws, "r2")
    assert "r2_ci95_sessions" not in few["model"]  # two sessions say next to nothing of others


def test_legends_cover_no_line():
    folds = [{"width_s": 0.04, "window_s": 0.1}]
    others = {name: block(0.97, chosen=folds) for name in ("whole_trial", "raw", "gru")}
    figure = decoding.figure(report(0.98, **others))
    figure.canvas.draw()
    for axes in figure.axes:
        if axes.get_legend() is None:
            continue
        box = axes.get_legend().get_window_extent()
        for line in axes.get_lines():
            points = axes.transData.transform(np.column_stack(line.get_data()))
            assert not any(box.contains(*point) for point in points)
    assert "whole_trial: 0.04 s, windows 0.1 s" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
