"""Scatters, matrices, bars and calibration say what they leave out and never flatten the model."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from neurojax.report.figures import scores, style


def new_axes():
    return style.new_figure(4, 3)[1][0, 0]


def texts(axes):
    return " ".join(text.get_text() for text in axes.texts)


def test_the_unit_scatter_counts_units_outside_and_leaves_unscored_ones_out():
    rng = np.random.default_rng(0)
    baseline = rng.uniform(0, 0.5, 200)
    model = baseline + np.where(np.arange(200) < 150, 0.1, -0.1)
    model[0], model[1] = -30.0, np.nan
    axes = scores.unit_scores(new_axes(), model, baseline, baseline_name="PSTH")
    low, high = axes.get_xlim()
    assert axes.get_ylim() == (low, high) and -1 < low < 0 < high < 1  # the outlier does not set the scale
    kept = np.arange(200) != 1
    outside = (model < low) | (model > high) | (baseline < low) | (baseline > high)
    assert f"{outside[kept].sum()} units outside" in texts(axes)
    assert "74 % of 199 units" in texts(axes)
    assert axes.get_xlabel() == "PSTH (bits/spike)" and axes.get_ylabel() == "model (bits/spike)"


def test_a_scatter_without_units_says_so():
    assert "no unit" in texts(scores.unit_scores(new_axes(), np.full(3, np.nan), np.ones(3)))
    assert "no unit" in texts(scores.unit_scores(new_axes(), np.zeros(0), np.zeros(0)))


def test_the_region_matrix_has_sources_in_rows_and_masks_what_is_not_scored():
    matrix = np.array([[np.nan, 0.2], [0.1, np.nan]])
    axes = scores.region_matrix(new_axes(), matrix, ["A$1$", "B"])
    shown = axes.images[0].get_array()
    assert np.ma.getmaskarray(shown).tolist() == [[True, False], [False, True]] and shown[0, 1] == 0.2
    assert axes.patch.get_hatch()
    assert axes.get_ylabel() == "region seen" and axes.get_xlabel() == "region predicted"
    assert [(t.get_position(), t.get_text()) for t in axes.texts] == [((1, 0), "0.20"), ((0, 1), "0.10")]
    axes.figure.canvas.draw()


@pytest.mark.parametrize("matrix", [[[np.nan]], [[np.nan, -0.3], [-0.2, np.nan]], np.zeros((30, 30))])
def test_region_matrices_without_scores_below_zero_or_with_many_regions_draw(matrix):
    axes = scores.region_matrix(new_axes(), np.array(matrix), [f"R{index}" for index in range(len(matrix))])
    low, high = axes.images[0].get_clim()
    assert low < high
    if np.shape(matrix) == (2, 2):
        assert low < -0.25  # values below zero are told apart
    axes.figure.canvas.draw()


def test_a_hopeless_baseline_is_written_down_and_the_model_stays_visible():
    pairs = {"model": [(0.3, 0.02)], "train mean": [(-4.0, 0.1)], "oracle": [(0.4, np.nan)]}
    axes = scores.task_bars(new_axes(), ["forward"], pairs, oracles=["oracle"])
    low, high = axes.get_ylim()
    assert -0.4 < low < 0 and 0.4 < high < 0.5
    assert texts(axes) == "-4.00"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["model", "train mean", "oracle"]


def test_the_figure_says_what_its_bars_are():
    pairs = {"model": [(0.3, 0.02)]}
    axes = scores.task_bars(new_axes(), ["forward"], pairs, bars=scores.bar_words(4))
    assert axes.get_legend().get_title().get_text() == "bars: 95 % over 4 sessions (t)"
    axes = scores.paired_runs(new_axes(), ["a"], np.ones((1, 1)), [0.1], [0.1], bars=scores.bar_words(1))
    assert axes.get_xlabel() == "bars: 95 % over its test trials"


def test_a_model_below_zero_is_inside_the_axes():
    axes = scores.task_bars(new_axes(), ["a", "b"], {"model": [(-0.2, 0.01), (np.nan, np.nan)]})
    assert axes.get_ylim()[0] < -0.2 and not axes.texts


def test_no_two_bars_look_the_same():
    names = ["model", *(f"baseline {index}" for index in range(10))]
    axes = scores.task_bars(new_axes(), ["a"], {name: [(0.1, 0.0)] for name in names})
    looks = {(bar.get_facecolor(), bar.get_hatch()) for bar in axes.patches}
    assert len(axes.patches) == len(looks) == 11


def test_paired_runs_draw_a_line_a_session():
    values = np.array([[0.1, 0.2], [0.3, np.nan], [0.2, 0.1]])
    axes = scores.paired_runs(new_axes(), ["a", "b"], values, [0.2, 0.15], [0.01, np.nan], title="forward")
    assert sum(len(line.get_xdata()) == 2 for line in axes.lines) == 3
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b"]
    assert len([container for container in axes.containers if container.lines[2]]) == 1  # one mean has an interval


def test_few_shots_are_a_line_a_predictor_over_trials_with_its_intervals():
    pairs = {"model": [(0.2, 0.05), (0.8, 0.02)], "mean": [(-9.0, 0.1), (np.nan, np.nan)]}
    axes = scores.shot_curve(new_axes(), [1, 64], pairs)
    model, mean = (container.lines[0] for container in axes.containers)
    np.testing.assert_allclose(model.get_ydata(), [0.2, 0.8])
    assert len(mean.get_xdata()) == 1
    bars = axes.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([bar[:, 1] for bar in bars], [[0.15, 0.25], [0.78, 0.82]])
    np.testing.assert_allclose(model.get_xdata(), [1, 64], rtol=0.05)
    assert axes.get_xscale() == "log" and [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "64"]
    low, high = axes.get_ylim()
    assert -1 < low < 0 and high > 0.8  # a hopeless baseline does not flatten the model
