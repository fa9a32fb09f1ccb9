"""Rasters, rate maps and traces show the numbers they were given, in Hz and seconds."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from neurojax.report.figures import activity, style


def new_axes():
    return style.new_figure(4, 3)[1][0, 0]


def test_units_are_sorted_by_region_then_by_time_of_peak():
    rates = np.eye(4)[:, [2, 0, 3, 1]]  # peaks of the units at bins 2, 0, 3, 1
    assert activity.unit_order(rates).tolist() == [1, 3, 0, 2]
    region = np.array(["b", "b", "a", "a"])
    assert activity.unit_order(rates, region).tolist() == [3, 2, 1, 0]
    rates[:, 0] = np.nan
    assert sorted(activity.unit_order(rates, region).tolist()) == [0, 1, 2, 3]


def test_typical_units_are_at_fixed_ranks_and_never_unknown_ones():
    rates = np.tile(np.arange(101.0)[::-1], (7, 1))
    assert activity.typical_units(rates, 4).tolist() == [5, 20, 35, 50]
    rates[:, 5] = np.nan
    assert 5 not in activity.typical_units(rates, 4)
    assert activity.typical_units(np.full((7, 3), np.nan)).size == 0
    assert activity.typical_units(np.ones((7, 1))).tolist() == [0]


@pytest.mark.parametrize("num_bins", [20, 100])
def test_a_raster_has_one_tick_a_bin_with_spikes_in_the_row_of_its_unit(num_bins):
    counts = np.zeros((num_bins, 3), np.uint8)
    counts[4, 2], counts[7, 0] = 1, 3
    axes = activity.raster(new_axes(), counts, 0.02, order=np.array([2, 1, 0]))
    segments = np.array(axes.collections[0].get_segments())  # [ticks, 2 ends, (s, row)]
    assert sorted(map(tuple, segments.mean(1).round(6).tolist())) == [(0.09, 0.5), (0.15, 2.5)]
    inks = {
        tuple(segment.mean(0).round(6)): ink[0]
        for segment, ink in zip(segments, axes.collections[0].get_colors(), strict=True)
    }
    assert inks[0.15, 2.5] < inks[0.09, 0.5]  # three spikes are darker than one
    assert axes.get_xlim() == (0.0, num_bins * 0.02) and axes.get_ylim() == (3, 0)
    assert "(s)" in axes.get_xlabel()


def test_what_was_not_observed_is_grey_and_named():
    observed = np.ones((10, 3), bool)
    observed[4:6, 1] = False
    for draw, values in ((activity.raster, np.zeros((10, 3))), (activity.rate_heatmap, np.ones((10, 3)))):
        axes = draw(new_axes(), values, 0.02, order=np.array([2, 1, 0]), observed=observed)
        grey = axes.images[0].get_array()
        assert np.argwhere(~np.ma.getmaskarray(grey)).tolist() == [[1, 4], [1, 5]]  # [row, bin]
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["not observed"]
        whole = draw(new_axes(), values, 0.02, observed=np.ones((10, 3), bool))
        assert whole.get_legend() is None and len(whole.images) == len(axes.images) - 1
    rates = axes.images[1].get_array()
    assert np.isnan(np.asarray(rates)).sum() == 2 * rates.shape[1] // 10, "grey has no rate of its own"
    axes.figure.canvas.draw()


def test_a_silent_trial_draws_nothing():
    assert activity.raster(new_axes(), np.zeros((10, 2)), 0.02).get_title()


def test_regions_are_named_in_the_order_drawn_and_dollars_stay_dollars():
    region = np.array(["b$x$", "a", "b$x$", "a"])
    order = activity.unit_order(np.ones((5, 4)), region)
    axes = activity.rate_heatmap(new_axes(), np.ones((5, 4)), 0.02, order=order, region=region)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", r"b\$x\$"]
    axes.figure.canvas.draw()


def test_a_rate_map_keeps_units_and_scale():
    rates_hz = np.arange(12.0).reshape(4, 3)
    rates_hz[0, 0] = np.nan
    axes = activity.rate_heatmap(new_axes(), rates_hz, 0.02, order=np.array([2, 0, 1]), max_hz=50.0)
    shown = axes.images[0].get_array()
    assert shown[0, -1] == 11.0 and shown[1, -1] == 9.0 and bool(np.ma.getmaskarray(shown)[1, 0])
    assert axes.images[0].get_clim() == (0.0, 50.0)
    assert len(axes.figure.axes) == 2 and "Hz" in axes.figure.axes[1].get_ylabel()
    assert len(activity.rate_heatmap(new_axes(), rates_hz, 0.02, bar=False).figure.axes) == 1


def test_one_scale_for_several_maps_ignores_what_is_not_known():
    assert activity.rate_limit_hz(np.full((2, 2), np.nan), np.full((2, 2), 7.0)) == 7.0
    assert activity.rate_limit_hz(np.zeros((2, 2))) == 1.0


def test_true_and_inferred_traces_share_the_scale_of_their_row():
    true_hz, inferred_hz = np.full((5, 2), 10.0), np.full((5, 2), 5.0)
    true_hz[0, 1] = 40.0
    inferred_hz[2] = np.nan
    axes = activity.rates_vs_truth(new_axes(), true_hz, inferred_hz, 0.1, units=np.array([1]))
    true, inferred = axes.lines[0].get_ydata(), axes.lines[1].get_ydata()
    assert true[0] == pytest.approx(0.85) and inferred[0] == pytest.approx(0.85 * 5 / 40)
    assert np.isnan(inferred[2])
    assert axes.get_yticklabels()[0].get_text() == "unit 1\n0–40 Hz"
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0.05, 0.15, 0.25, 0.35, 0.45])


def test_psths_are_drawn_in_hz_with_a_colour_a_condition():
    observed = np.zeros((6, 4, 3))
    observed[:, 2, 1] = 0.5  # spikes per bin of 20 ms: 25 Hz
    axes = activity.psth_vs_inferred(
        new_axes(),
        observed,
        observed / 2,
        0.02,
        units=np.array([1]),
        conditions=["left", "right"],
        max_conditions=2,
    )
    assert axes.get_yticklabels()[0].get_text() == "unit 1\n0–25 Hz"
    curves = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert len(curves) == 4  # observed and inferred of the two conditions asked for
    assert curves[0].get_color() == curves[1].get_color() != curves[2].get_color()
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["observed", "inferred", "left", "right"]


def test_traces_without_any_known_unit_still_draw():
    nothing = np.full((2, 4, 3), np.nan)
    activity.psth_vs_inferred(new_axes(), nothing, nothing, 0.02).figure.canvas.draw()
    activity.rates_vs_truth(new_axes(), nothing[0], nothing[0], 0.02).figure.canvas.draw()
