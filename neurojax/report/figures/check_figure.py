"""One page about a dataset before training: rates, a raster, splits, regions, trials."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from neurojax.data.checks.check import observed_bins, trial_spikes, unit_rates_hz
from neurojax.data.session import SPLIT_NAMES, Session
from neurojax.data.store.dataset import Dataset
from neurojax.report.figures import style

_MAX_BARS, _MAX_LINES, _MAX_RASTER_UNITS = 20, 8, 150
_NOT_OBSERVED = 0.2  # how dark, between no spike (0) and spikes (1)
_SPLIT_COLOURS = (style.BLUE, style.ORANGE, style.VERMILION)  # train, validation, test


def draw_check(dataset: Dataset, report: dict[str, Any]) -> style.Figure:
    """Six panels: rates over time, a raster, the split, mean rates, trial lengths, regions.

    Args:
        dataset: what was checked.
        report: `check_dataset(dataset)`.
    """
    with style.context():
        figure, axes = style.new_figure(11.0, 8.0, 3, 2)
        draw_rates_over_time(axes[0, 0], dataset)
        draw_raster(axes[0, 1], dataset.sessions[0])
        draw_split_over_time(axes[1, 0], dataset, report)
        draw_rates(
            axes[1, 1], np.concatenate([unit_rates_hz(session) for session in dataset.sessions])
        )
        lengths = np.concatenate([session.trial_num_bins for session in dataset.sessions])
        draw_lengths(axes[2, 0], lengths * dataset.bin_size_s, dataset.bin_size_s)
        draw_regions(axes[2, 1], report)
    return figure


def draw_rates_over_time(axes: style.Axes, dataset: Dataset) -> style.Axes:
    """Mean rate of units in each nine trials over the clock, a line a session: drift shows."""
    for index, session in enumerate(dataset.sessions[:_MAX_LINES]):
        order, time, label = _time_axis(session)
        spikes = np.array([trial_spikes(session, trial).sum() for trial in order])
        # Of the time in which each unit was observed: a lost probe is no fall of the rate.
        unit_bins = session.trial_num_bins * session.num_units
        if session.validity is not None:
            unit_bins = observed_bins(session).sum(1)
        unit_seconds = unit_bins[order] * session.bin_size_s
        # Sums before the division, so that long trials weigh more than short ones.
        seconds = _running_sum(unit_seconds)
        rates_hz = np.where(seconds > 0, _running_sum(spikes) / np.maximum(seconds, 1e-9), np.nan)
        colour = style.CYCLE[index % len(style.CYCLE)]
        axes.plot(
            time, rates_hz, color=colour, linewidth=1.0, label=style.plain(session.session_id)
        )
    axes.set_ylim(bottom=0)
    if 1 < len(dataset.sessions) <= len(style.CYCLE):
        axes.legend(ncols=2, fontsize=6, loc="lower left")
    more = (
        f", {_MAX_LINES} of {len(dataset.sessions)} sessions"
        if len(dataset.sessions) > _MAX_LINES
        else ""
    )
    return style.finish(axes, label, "mean rate (Hz)", f"Rate, nine trials a point{more}")


def draw_raster(axes: style.Axes, session: Session) -> style.Axes:
    """Spikes of one trial of median length, units by region and then rate."""
    trial = int(np.argsort(session.trial_num_bins, kind="stable")[session.num_trials // 2])
    start, length = session.trial_start_bin[trial], session.trial_num_bins[trial]
    # Every k-th unit in this order, so that all regions and rates stay in the picture.
    order = np.lexsort((unit_rates_hz(session), session.region))[
        :: -(-session.num_units // _MAX_RASTER_UNITS)
    ]
    counts = np.asarray(session.counts[start : start + length])[:, order]  # [bins, units]
    extent = (0, length * session.bin_size_s, -0.5, len(order) - 0.5)
    fired, grey = (counts.T > 0).astype(float), ""
    if session.validity is not None:
        unseen = ~session.entry_valid(np.array([trial]))[0][:, order].T
        fired[unseen] = _NOT_OBSERVED
        grey = "; grey: not observed" if unseen.any() else ""
    axes.imshow(
        fired,
        cmap="Greys",
        vmin=0,
        vmax=1,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=extent,
    )
    axes.yaxis.get_major_locator().set_params(integer=True)
    labels = session.region[order]
    edges = np.flatnonzero(labels[1:] != labels[:-1]) + 0.5
    if len(edges) < _MAX_BARS:
        axes.hlines(edges, 0, length * session.bin_size_s, color=style.SKY, linewidth=0.5)
    label = f"time in trial {trial} of {style.plain(session.session_id)} (s)"
    return style.finish(
        axes,
        label,
        "unit",
        f"Bins with spikes, {len(order)} of {session.num_units} units by region{grey}",
    )


def draw_split_over_time(axes: style.Axes, dataset: Dataset, report: dict[str, Any]) -> style.Axes:
    """When the trials of each split lie, a row a session, with their numbers."""
    shown = dataset.sessions[:_MAX_BARS]
    for row, session in enumerate(shown):
        order, time, label = _time_axis(session)
        for code, colour in enumerate(_SPLIT_COLOURS):
            chosen = session.split[order] == code
            bottom = row - 0.4 + 0.27 * code
            axes.vlines(time[chosen], bottom, bottom + 0.25, color=colour, linewidth=0.6)
    names = []
    for session in shown:
        sizes = report["sessions"][session.session_id]["trials_per_split"].values()
        names.append(f"{session.session_id} ({'/'.join(map(str, sizes))})")
    axes.set_yticks(range(len(shown)), [style.plain(name) for name in names], fontsize=7)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    for name, colour in zip(SPLIT_NAMES, _SPLIT_COLOURS, strict=True):
        axes.plot([], [], color=colour, label=name)
    axes.legend(ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0)
    more = f", the first {len(shown)} sessions" if len(shown) < len(dataset.sessions) else ""
    return style.finish(axes, label, "", f"Trials of each split{more}")


def _running_sum(values: np.ndarray, width: int = 9) -> np.ndarray:
    """Sums of up to `width` neighbours, as long as `values`."""
    return np.convolve(values, np.ones(width), "full")[width // 2 :][: len(values)]


def _time_axis(session: Session) -> tuple[np.ndarray, np.ndarray, str]:
    """Trials in order of time, their time, and its label; without a session clock, their number."""
    order = np.argsort(session.trial_start_s, kind="stable")
    if session.num_trials > 1 and np.ptp(session.trial_start_s) == 0:
        return order, order, "trial"
    return (
        order,
        (session.trial_start_s[order] - session.trial_start_s.min()) / 60,
        "time from the first trial (min)",
    )


def draw_rates(axes: style.Axes, rates_hz: np.ndarray) -> style.Axes:
    """Histogram of mean rates on a logarithmic axis; silent units are counted in the title."""
    from matplotlib.ticker import LogFormatter

    silent = int((rates_hz == 0).sum())
    title = f"Mean rate of {len(rates_hz)} units, {silent} silent"
    if silent < len(rates_hz):
        active = rates_hz[rates_hz > 0]
        low, high = np.log10(active.min()), np.log10(active.max())
        axes.hist(active, np.logspace(low - 0.05, high + 0.05, 40), color=style.BLUE)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(LogFormatter())  # 2, not 2 x 10^0
        axes.xaxis.set_minor_formatter(LogFormatter())
        axes.yaxis.get_major_locator().set_params(integer=True)
    return style.finish(axes, "mean rate (Hz)", "units", title)


def draw_regions(axes: style.Axes, report: dict[str, Any]) -> style.Axes:
    """Units per region over all sessions, largest first; the rest summed in one bar."""
    units: Counter[str] = Counter()
    for facts in report["sessions"].values():
        units.update(facts["regions"])
    ranked = sorted(units.items(), key=lambda item: (-item[1], item[0]))
    unknown = sum(facts["units_without_region"] for facts in report["sessions"].values())
    bars = ranked[:_MAX_BARS]
    if rest := ranked[_MAX_BARS:]:
        bars.append((f"{len(rest)} more", sum(count for _, count in rest)))
    if unknown:
        bars.append(("none", unknown))
    axes.bar(range(len(bars)), [count for _, count in bars], color=style.GREEN)
    axes.set_xticks(range(len(bars)), [style.plain(region) for region, _ in bars], rotation=90)
    return style.finish(
        axes, "", "units", f"Units in {len(ranked)} region{'s' * (len(ranked) != 1)}"
    )


def draw_lengths(axes: style.Axes, lengths_s: np.ndarray, bin_size_s: float) -> style.Axes:
    """Histogram of trial lengths, at most one bar a bin."""
    low, high = lengths_s.min() - bin_size_s / 2, lengths_s.max() + bin_size_s / 2
    num_bars = int(np.clip(round((high - low) / bin_size_s), 1, 40))
    axes.hist(lengths_s, np.linspace(low, high, num_bars + 1), color=style.ORANGE)
    axes.set_xlim(0, 1.2 * high)
    return style.finish(axes, "trial length (s)", "trials", f"Length of {len(lengths_s)} trials")
