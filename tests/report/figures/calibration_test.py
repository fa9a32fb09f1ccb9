"""Curves and histograms hold what the blocks say, and say what they leave out."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from neurojax.report.figures import calibration, style


def make_block(observed, entries=100, units=(0.9, 1.1, None, 20.0)):
    groups = [
        {"from_hz": edge, "predicted": p, "observed": y, "observed_ci95": [0.9 * y, 1.1 * y], "entries": entries}
        for edge, p, y in zip((0.25, 1.0, 8.0), (0.01, 0.1, 1.0), observed, strict=True)
    ]
    spread = {"median": 1.0, "units": list(units)}
    return {"bin_size_s": 0.02, "groups": groups, "dispersion_bins": spread, "dispersion_trials": spread}


def new_axes():
    return style.new_figure(4, 3)[1][0, 0]


def test_dots_are_all_entries_together_in_hz_with_groups_without_spikes_left_out():
    blocks = [make_block((0.0, 0.1, 0.8), entries=300), make_block((0.0, 0.3, 1.0), entries=100)]
    axes = calibration.reliability_curve(new_axes(), "co_smoothing", blocks)
    dots = axes.get_legend_handles_labels()[0][-1].lines[0].get_xydata()
    np.testing.assert_allclose(dots, [[5.0, 7.5], [50.0, 42.5]])
    assert axes.get_xlabel() == "predicted rate (Hz)" and axes.get_xlim() == axes.get_ylim()
    axes.figure.canvas.draw()


def test_nothing_with_spikes_is_said():
    axes = calibration.reliability_curve(new_axes(), "forward", [make_block((0.0, 0.0, 0.0))])
    assert "no entries with spikes" in [text.get_text() for text in axes.texts]


def test_units_beyond_the_axis_are_counted():
    axes = new_axes()
    assert calibration.dispersion(axes, "forward", [make_block((0.1, 0.1, 0.1))])
    assert "2 above 8" in [text.get_text() for text in axes.texts]
    assert "units (of 3)" in axes.get_ylabel()
    assert not calibration.dispersion(new_axes(), "forward", [make_block((0.1, 0.1, 0.1), units=(None,))])
