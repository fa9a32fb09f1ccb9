import numpy as np
import pytest

from neurojax.data.checks.check import check_dataset
from neurojax.data.real_values import from_values
from neurojax.data.store.dataset import dataset_of
from neurojax.report.figures import check_signals_figure, style

pytest.importorskip("matplotlib")


def make(session_id, seed, split, gesture=None):
    values = np.random.default_rng(seed).normal(size=(100, 3)) * [1, 2, 4]
    return from_values(
        values,
        sampling_hz=100,
        unit="$u",
        session_id=session_id,
        split=split,
        trial_start_bin=np.arange(0, 90, 10),
        trial_num_bins=10,
        conditions={"gesture": np.arange(9) % 3 if gesture is None else gesture},
    )


def test_panels_add_up_to_the_dataset():
    dataset = dataset_of([make("a", 0, 0), make("b", 1, 1), make("c", 2, [0] * 5 + [2] * 4)])
    report = check_dataset(dataset)
    figure = check_signals_figure.draw_signals_check(dataset, report)
    window, spread, amplitudes, splits, conditions, lengths = figure.axes
    first = np.asarray(dataset.sessions[0].values[40:50])  # of the trial in the middle
    for channel, line in enumerate(window.lines):
        trace = line.get_ydata() - line.get_ydata().mean()
        np.testing.assert_allclose(trace, first[:, channel] - first[:, channel].mean(), atol=1e-5)
    drawn = np.concatenate([line.get_ydata() for line in spread.lines])
    expected = np.concatenate([s.values.std(0) for s in dataset.sessions])
    np.testing.assert_allclose(drawn, expected, rtol=1e-5)
    assert sum(bar.get_height() for bar in amplitudes.patches) == 900
    assert sum(len(lines.get_segments()) for lines in splits.collections) == 27
    # Three bars of each gesture: train, validation, test; and one of sessions with several splits.
    assert [bar.get_height() for bar in conditions.patches] == [3, 3, 3, 3, 3, 3, 0, 0, 0, 3, 3, 3]
    assert sum(bar.get_height() for bar in lengths.patches) == 27
    assert style.png_bytes(figure).startswith(b"\x89PNG")


def test_without_a_condition_of_few_values_the_panel_says_so():
    dataset = dataset_of([make("a", 0, 0, gesture=np.linspace(0, 1, 9)), make("b", 1, 2)])
    figure = check_signals_figure.draw_signals_check(dataset, check_dataset(dataset))
    assert "No condition" in figure.axes[4].get_title(loc="left")
