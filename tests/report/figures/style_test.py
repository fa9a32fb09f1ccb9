"""The style leaves matplotlib as it found it and starts no window system."""

import subprocess
import sys

import pytest

pytest.importorskip("matplotlib")
import matplotlib

from neurojax.report.figures import style


def test_the_context_restores_the_callers_settings():
    before = dict(matplotlib.rcParams)
    with style.context():
        assert matplotlib.rcParams["axes.titlelocation"] == "left"
    assert dict(matplotlib.rcParams) == before


def test_equal_figures_give_equal_bytes():
    def draw():
        figure, axes = style.new_figure(2, 2)
        style.finish(axes[0, 0], "time (s)", "rate (Hz)", "a")
        return style.png_bytes(figure)

    assert draw() == draw() and draw().startswith(b"\x89PNG")


def test_the_model_is_blue_and_oracles_black():
    colours = style.predictor_colours(["model", "psth", "ridge", "oracle"], ["oracle"])
    assert colours["model"] == style.BLUE and colours["oracle"] == style.BLACK
    assert len(set(colours.values())) == 4


def test_drawing_does_not_load_pyplot():
    program = (
        "import sys, numpy as np; from neurojax.report.figures import activity, scores, style\n"
        "figure, axes = style.new_figure(3, 3, 1, 2)\n"
        "activity.rate_heatmap(axes[0, 0], np.ones((5, 4)), 0.02)\n"
        "scores.region_matrix(axes[0, 1], np.ones((2, 2)), 'ab')\n"
        "style.png_bytes(figure); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
