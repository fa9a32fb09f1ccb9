import numpy as np
import pytest

from neurojax.data.checks.check import check_dataset
from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.report.figures import check_figure, style

pytest.importorskip("matplotlib")


def make(session_id, seed, regions, counts=None):
    counts = np.random.default_rng(seed).poisson(0.4, (20, 10, 30)) if counts is None else counts
    return from_counts(counts, bin_size_s=0.02, session_id=session_id, region=regions)


def test_bars_add_up_to_the_dataset():
    regions = [f"R{unit % 25}" for unit in range(29)] + ["root"]
    dataset = dataset_of([make("a", 0, regions), make("b", 1, regions)])
    figure = check_figure.draw_check(dataset, check_dataset(dataset))
    over_time, raster, splits, rates, lengths, units = figure.axes
    assert sum(bar.get_height() for bar in rates.patches) == 60
    assert sum(bar.get_height() for bar in units.patches) == 60
    assert [label.get_text() for label in units.get_xticklabels()][-2:] == ["5 more", "none"]
    assert sum(bar.get_height() for bar in lengths.patches) == 40
    assert sum(len(lines.get_segments()) for lines in splits.collections) == 40
    assert [label.get_text() for label in splits.get_yticklabels()] == ["a (14/2/4)", "b (14/2/4)"]
    trial = int(raster.get_xlabel().split()[3])
    drawn = raster.images[0].get_array().sum()
    assert drawn == (dataset.sessions[0].counts[trial * 10 : trial * 10 + 10] > 0).sum()
    for line, session in zip(over_time.lines, dataset.sessions, strict=True):
        np.testing.assert_allclose(line.get_ydata()[4], session.counts[:90].mean() / 0.02)  # trials 0 to 8
    assert all(axes.get_ylabel() for axes in figure.axes if axes is not splits)


def test_a_lost_probe_is_grey_and_no_fall_of_the_rate():
    counts = np.random.default_rng(0).poisson(2.0, (20, 10, 30)).astype(float)
    counts[10:, :, :15] = np.nan
    counts[:, 3, 29] = np.nan
    dataset = dataset_of([make("a", 0, ["CA1"] * 30, counts)])
    over_time, raster, *_ = check_figure.draw_check(dataset, check_dataset(dataset)).axes
    (line,) = over_time.lines
    assert np.abs(line.get_ydata() - 100).max() < 10  # 2 spikes in 20 ms
    assert "grey: not observed" in raster.get_title(loc="left")
    shades = np.unique(np.asarray(raster.images[0].get_array()))
    assert shades.tolist() == [0.0, 0.2, 1.0]


def test_a_silent_recording_can_be_drawn():
    dataset = dataset_of([make("a", 0, ["CA1"] * 30, np.zeros((20, 10, 30), int))])
    figure = check_figure.draw_check(dataset, check_dataset(dataset))
    assert "30 silent" in figure.axes[3].get_title(loc="left")
    assert style.png_bytes(figure).startswith(b"\x89PNG")
