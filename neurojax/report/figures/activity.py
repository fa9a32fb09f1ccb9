"""Spikes and rates over time: rasters, rate maps, true against inferred traces, PSTHs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurojax.report.figures import style


def unit_order(rates: np.ndarray, region: np.ndarray | None = None) -> np.ndarray:
    """Units sorted by region name, then by the time of their peak: rates [T, N] -> int64 [N]."""
    filled = np.where(np.isfinite(rates), rates, -np.inf)
    peak_bin = filled.argmax(0) if len(filled) else np.zeros(rates.shape[1], int)
    labels = (
        np.zeros(rates.shape[1], int)
        if region is None
        else np.unique(np.asarray(region), return_inverse=True)[1]
    )
    # The last key counts first: regions, then the peak's time within each.
    return np.lexsort((peak_bin, labels))


def typical_units(rates: np.ndarray, num_units: int = 4) -> np.ndarray:
    """Units at evenly spaced ranks of the mean rate, from the 95th percentile down to the median.

    A rule and not a choice, so that a figure of a few units cannot be a picked one.

    Args:
        rates: [..., N], any unit; NaN is not counted.
        num_units: how many to return, fewer when fewer have a finite mean.
    Returns:
        int64 [at most num_units], highest rate first.
    """
    flat = rates.reshape(-1, rates.shape[-1]).astype(np.float64)
    known = np.isfinite(flat)
    mean = np.where(known, flat, 0).sum(0) / np.maximum(known.sum(0), 1)
    ranked = np.flatnonzero(known.any(0))
    ranked = ranked[np.argsort(mean[ranked], kind="stable")]
    if not len(ranked):
        return ranked
    places = np.round(np.linspace(0.95, 0.5, num_units) * (len(ranked) - 1)).astype(int)
    return ranked[list(dict.fromkeys(places.tolist()))]


def _units_down(
    axes: style.Axes, duration_s: float, num_units: int, order: np.ndarray, region
) -> None:
    """Time to the right, units downwards in `order`; names regions kept together."""
    axes.set(xlim=(0.0, duration_s), ylim=(num_units, 0.0))
    if region is None:
        return
    labels = np.asarray(region).astype(str)[order]
    starts = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    edges = np.r_[starts, num_units]
    for edge in starts[1:]:
        axes.axhline(edge, color=style.ORANGE, linewidth=0.7)
    # a name needs about a fourteenth of the height
    tall = np.diff(edges) >= max(1.0, num_units / 14)
    axes.set_yticks(
        ((edges[:-1] + edges[1:]) / 2)[tall], [style.plain(name) for name in labels[starts][tall]]
    )
    axes.tick_params(axis="y", length=0)


def not_observed(
    axes: style.Axes, observed: np.ndarray | None, bin_size_s: float, *, legend: bool = True
) -> None:
    """Greys out the entries that were not observed, under what is drawn there, and says so.

    Args:
        axes: time to the right in seconds from 0, a row a unit from 0.
        observed: bool [T, N], N in the order of the rows; None where all was observed.
        bin_size_s: width of a bin in seconds.
        legend: whether to name the grey below the axes.
    """
    if observed is None or observed.all():
        return
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    num_bins, num_units = observed.shape
    axes.imshow(
        np.ma.masked_array(np.ones((num_units, num_bins)), mask=observed.T),
        aspect="auto",
        extent=(0.0, num_bins * bin_size_s, num_units, 0.0),
        cmap=ListedColormap([style.PALE]),
        interpolation="nearest",
        zorder=0.5,
    )
    if legend:
        style.legend_below(axes, 1, [Patch(color=style.PALE, label="not observed")])


def raster(
    axes: style.Axes,
    counts: np.ndarray,
    bin_size_s: float,
    *,
    order: np.ndarray | None = None,
    region: np.ndarray | None = None,
    observed: np.ndarray | None = None,
    title: str = "Observed spikes",
) -> style.Axes:
    """Spikes of one trial, a row a unit: grey for one spike in a bin, black for more.

    Args:
        axes: where to draw.
        counts: [T, N] spikes per bin.
        bin_size_s: width of a bin in seconds.
        order: int [N], units from top to bottom; default file order.
        region: str [N] in file order; with an `order` that sorts by region, regions are named on
            the axis.
        observed: bool [T, N] in file order, entries that were; the others are grey. None: all.
        title: heading.
    """
    counts = np.asarray(counts)
    num_bins, num_units = counts.shape
    order = np.arange(num_units) if order is None else np.asarray(order)
    not_observed(axes, None if observed is None else observed[:, order], bin_size_s)
    bins, rows = np.nonzero(counts[:, order])
    ink = np.where(
        (counts[:, order][bins, rows] > 1)[:, None], (0.0, 0.0, 0.0, 1.0), (0.35, 0.35, 0.35, 1.0)
    )
    if num_bins < 60:  # a dash as wide as the bin, since the spike lies anywhere in it
        axes.hlines(
            rows + 0.5,
            (bins + 0.1) * bin_size_s,
            (bins + 0.9) * bin_size_s,
            colors=ink,
            linewidth=0.9,
        )
    else:
        half = max(0.45, num_units / 420)  # ticks stay visible where a row is thinner than a pixel
        width = float(np.clip(120 / num_bins, 0.4, 1.2))
        axes.vlines(
            (bins + 0.5) * bin_size_s,
            rows + 0.5 - half,
            rows + 0.5 + half,
            colors=ink,
            linewidth=width,
        )
    _units_down(axes, num_bins * bin_size_s, num_units, order, region)
    return style.finish(axes, "time (s)", f"units ({num_units})", title)


def rate_heatmap(
    axes: style.Axes,
    rates_hz: np.ndarray,
    bin_size_s: float,
    *,
    order: np.ndarray | None = None,
    region: np.ndarray | None = None,
    observed: np.ndarray | None = None,
    max_hz: float | None = None,
    bar: bool = True,
    title: str = "Inferred rates",
) -> style.Axes:
    """Rates of one trial as a map, a row a unit, on a square-root colour scale.

    Args:
        axes: where to draw.
        rates_hz: [T, N] rates, Hz; NaN is left white.
        bin_size_s: width of a bin in seconds.
        order: int [N], units from top to bottom; default file order.
        region: str [N] in file order, as in `raster`.
        observed: as in `raster`; what was not is grey, and has no rate.
        max_hz: top of the scale, so that two maps compare; default the 99.5th percentile.
        bar: whether to draw the colour bar.
        title: heading.
    """
    from matplotlib.colors import PowerNorm

    rates_hz = np.asarray(rates_hz, np.float64)
    # The 99.5th percentile: one bursting unit would leave all others dark.
    top = rate_limit_hz(rates_hz) if max_hz is None else max_hz
    num_bins, num_units = rates_hz.shape
    order = np.arange(num_units) if order is None else np.asarray(order)
    if observed is not None:
        rates_hz = np.where(observed, rates_hz, np.nan)
        not_observed(axes, observed[:, order], bin_size_s)
    # Averaging shrinks many units to few pixels; repeated bins keep it from blurring time as well.
    shown = np.repeat(rates_hz.T[order], -(-1200 // max(num_bins, 1)), axis=1)
    extent = (0.0, num_bins * bin_size_s, num_units, 0.0)
    image = axes.imshow(
        shown,
        aspect="auto",
        extent=extent,
        cmap=style.RATE_MAP,
        norm=PowerNorm(0.5, vmin=0.0, vmax=top),
        interpolation="antialiased" if num_units > 250 else "nearest",
    )
    _units_down(axes, num_bins * bin_size_s, num_units, order, region)
    if bar:
        scale = axes.figure.colorbar(image, ax=axes, extend="max", pad=0.02, aspect=30)
        scale.set_label("rate (Hz)")
        scale.outline.set_visible(False)
    return style.finish(axes, "time (s)", f"units ({num_units})", title)


def rate_limit_hz(*rates_hz: np.ndarray) -> float:
    """Top of a colour scale for all these maps: the largest 99.5th percentile, at least 1 Hz."""
    tops = [np.nanpercentile(rates, 99.5) for rates in rates_hz if np.isfinite(rates).any()]
    return float(max([1.0, *tops]))


def _stacked_traces(
    axes: style.Axes,
    curves: Sequence[tuple[np.ndarray, dict[str, Any]]],
    bin_size_s: float,
    units: np.ndarray,
) -> None:
    """Curves (Hz [T, N], look) of some units: a row a unit, its full height the row's own peak."""
    together = np.stack([values[:, units] for values, _ in curves])  # [curves, T, rows]
    # One scale for both curves of a row, or a wrong amplitude would not show.
    peaks = np.nanmax(together, (0, 1), initial=0.0, where=np.isfinite(together))
    tops, rows = np.maximum(peaks, 1e-9), np.arange(len(units))
    time_s = (np.arange(together.shape[1]) + 0.5) * bin_size_s
    for row in rows:
        for values, (_, look) in zip(together, curves, strict=True):
            axes.plot(time_s, values[:, row] / tops[row] * 0.85 - row, **look)
    for row in rows:
        axes.axhline(-row, color=style.PALE, linewidth=0.6, zorder=0)
    names = [f"unit {unit}\n0–{top:.3g} Hz" for unit, top in zip(units, tops, strict=True)]
    axes.set_yticks(0.4 - rows, names)
    axes.set_ylim(-len(units) + 0.9, 1.0)
    axes.tick_params(axis="y", length=0)


def rates_vs_truth(
    axes: style.Axes,
    true_hz: np.ndarray,
    inferred_hz: np.ndarray,
    bin_size_s: float,
    *,
    units: np.ndarray | None = None,
    title: str = "True and inferred rates",
) -> style.Axes:
    """Traces of a few units of one trial, true black, inferred blue, scaled to their peaks.

    Args:
        axes: where to draw.
        true_hz: [T, N] rates that generated the spikes, Hz.
        inferred_hz: [T, N] rates the model infers, Hz; NaN leaves a gap.
        bin_size_s: width of a bin in seconds.
        units: int [rows] units to draw; default `typical_units(true_hz)`.
        title: heading.
    """
    true_hz, inferred_hz = np.asarray(true_hz, np.float64), np.asarray(inferred_hz, np.float64)
    units = typical_units(true_hz) if units is None else np.asarray(units)
    if not len(units):
        return style.say(style.finish(axes, "time (s)", "", title), "no unit with a known rate")
    looks = {"true": {"color": style.TRUE}, "inferred": {"color": style.MODEL}}
    curves = list(zip((true_hz, inferred_hz), looks.values(), strict=True))
    _stacked_traces(axes, curves, bin_size_s, units)
    for name, look in looks.items():
        axes.plot([], [], label=name, **look)
    style.legend_below(axes, ncols=2)
    return style.finish(axes, "time (s)", "", title)


def psth_vs_inferred(
    axes: style.Axes,
    observed: np.ndarray,
    predicted: np.ndarray,
    bin_size_s: float,
    *,
    units: np.ndarray | None = None,
    conditions: Sequence[str] = (),
    max_conditions: int = 4,
    title: str = "PSTH and mean inferred rate",
) -> style.Axes:
    """Observed PSTH (pale) and mean predicted rate (thin), a row a unit, a colour a condition.

    Args:
        axes: where to draw.
        observed: [conditions, T, N] mean spikes per bin over the trials of a condition.
        predicted: [conditions, T, N] mean expected spikes per bin over the same trials.
        bin_size_s: width of a bin in seconds; rates are drawn in Hz.
        units: int [rows] units to draw; default `typical_units(observed)`.
        conditions: names, for the legend.
        max_conditions: at most this many of the first conditions are drawn.
        title: heading.
    """
    observed_hz = np.asarray(observed, np.float64)[:max_conditions] / bin_size_s
    predicted_hz = np.asarray(predicted, np.float64)[:max_conditions] / bin_size_s
    units = typical_units(observed_hz) if units is None else np.asarray(units)
    if not len(units):
        return style.say(style.finish(axes, "time (s)", "", title), "no unit with a known PSTH")
    curves = []
    for index, pair in enumerate(zip(observed_hz, predicted_hz, strict=True)):
        look = {"color": style.CYCLE[index % len(style.CYCLE)]}
        curves.append((pair[0], {**look, "alpha": 0.35, "linewidth": 2.4}))
        curves.append((pair[1], {**look, "linewidth": 1.3}))
    _stacked_traces(axes, curves, bin_size_s, units)
    axes.plot([], [], color=style.GREY, alpha=0.35, linewidth=2.4, label="observed")
    axes.plot([], [], color=style.GREY, linewidth=1.3, label="inferred")
    for index, name in enumerate(conditions[: len(observed_hz)]):
        axes.plot([], [], color=style.CYCLE[index % len(style.CYCLE)], label=style.plain(name))
    style.legend_below(axes, ncols=3)
    return style.finish(axes, "time (s)", "", title)
