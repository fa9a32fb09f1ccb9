"""Each session and the mean are drawn where they are, with the interval they have."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from neurojax.report.figures import style
from neurojax.report.figures.differences import differences
from neurojax.report.paired_runs import Difference


def test_sessions_and_mean_are_drawn_with_their_own_intervals():
    sessions = {"a": (0.1, (0.0, 0.3)), "b": (-0.1, None)}
    found = [Difference(0.0, (-0.05, 0.1), (-0.01, 0.01), None, sessions, None, 1.0, ""), None]
    axes = differences(style.new_figure(4, 3)[1][0, 0], ["A$1$", "other"], found, title="forward")
    dots = [container.lines[0].get_xydata()[0] for container in axes.containers]
    np.testing.assert_allclose(dots, [[-0.32, 0.1], [0.32, -0.1], [0.0, 0.0]])
    bars = [container.lines[2][0].get_segments()[0][:, 1] for container in axes.containers if container.lines[2]]
    np.testing.assert_allclose(bars, [[0.0, 0.3], [-0.05, 0.1]])  # nothing is drawn where there is no interval
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [r"A\$1\$", "other"]
    axes.figure.canvas.draw()
