"""The loss curve keeps its scale when the first step towers over the rest."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from neurojax.report.figures import report_figures, style


def test_the_running_mean_is_the_mean_of_the_neighbours():
    values = np.random.default_rng(0).normal(size=23)
    expected = [values[max(0, i - 2) : i + 3].mean() for i in range(23)]
    np.testing.assert_allclose(report_figures.running_mean(values, 5), expected, rtol=1e-12)


def test_scores_have_an_axis_of_their_own():
    losses = np.r_[1e6, np.linspace(0.5, 0.3, 99)]
    validation = {
        "neuron": (np.array([50, 100]), np.array([0.1, 0.2])),
        "causal": (np.array([50]), np.array([0.05])),
    }
    place = style.new_figure(4, 3)[1][0, 0]
    axes = report_figures.loss_curve(place, np.arange(100), losses, validation, loss_label="nats")
    assert axes.get_ylim()[1] < 1.0 and "nats" in axes.get_ylabel()
    right = axes.figure.axes[1]
    assert "bits/spike" in right.get_ylabel()
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["neuron", "causal"]


@pytest.mark.parametrize("losses", [[], [0.3], [0.3, np.nan, 0.2], [0.3] * 50])
def test_short_and_flat_curves_draw(losses):
    axes = report_figures.loss_curve(style.new_figure(4, 3)[1][0, 0], np.arange(len(losses)), losses)
    axes.figure.canvas.draw()
