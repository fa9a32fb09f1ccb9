"""One page about a dataset: rates, regions, trials and counts, before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurojax.data.check import unit_rates_hz
from neurojax.data.dataset import Dataset
from neurojax.types import SPLIT_NAMES
from neurojax.viz import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_BARS = 20


def draw_check(dataset: Dataset, report: dict[str, Any]) -> Figure:
    """Four panels: rates of all units, units per region, trial lengths, trials per session and split.

    Args:
        dataset: what was checked.
        report: `check_dataset(dataset)`.
    """
    with style.context():
        figure, axes = style.new_figure(9.0, 6.5, 2, 2)
        draw_rates(axes[0, 0], np.concatenate([unit_rates_hz(session) for session in dataset.sessions]))
        draw_regions(axes[0, 1], report)
        lengths = np.concatenate([session.trial_num_bins for session in dataset.sessions])
        draw_lengths(axes[1, 0], lengths * dataset.bin_size_s, dataset.bin_size_s)
        draw_splits(axes[1, 1], report)
    return figure


def draw_rates(axes: Axes, rates_hz: np.ndarray) -> Axes:
    """Histogram of mean rates on a logarithmic axis; silent units are counted in the title."""
    silent = int((rates_hz == 0).sum())
    title = f"Mean rate of {len(rates_hz)} units, {silent} silent"
    if silent < len(rates_hz):
        active = rates_hz[rates_hz > 0]
        low, high = np.log10(active.min()), np.log10(active.max())
        axes.hist(active, np.logspace(low - 0.05, high + 0.05, 40), color=style.BLUE)
        axes.set_xscale("log")
    return style.finish(axes, "mean rate (Hz)", "units", title)


def draw_regions(axes: Axes, report: dict[str, Any]) -> Axes:
    """Units per region over all sessions, largest first; the rest summed in one bar."""
    units: dict[str, int] = {}
    for facts in report["sessions"].values():
        for region, count in facts["regions"].items():
            units[region] = units.get(region, 0) + count
    ranked = sorted(units.items(), key=lambda item: (-item[1], item[0]))
    unknown = sum(facts["units_without_region"] for facts in report["sessions"].values())
    bars = ranked[:_MAX_BARS]
    if rest := ranked[_MAX_BARS:]:
        bars.append((f"{len(rest)} more", sum(count for _, count in rest)))
    if unknown:
        bars.append(("none", unknown))
    axes.bar(range(len(bars)), [count for _, count in bars], color=style.GREEN)
    axes.set_xticks(range(len(bars)), [style.plain(region) for region, _ in bars], rotation=90)
    return style.finish(axes, "", "units", f"Units in {len(ranked)} regions")


def draw_lengths(axes: Axes, lengths_s: np.ndarray, bin_size_s: float) -> Axes:
    """Histogram of trial lengths, at most one bar a bin."""
    low, high = lengths_s.min() - bin_size_s / 2, lengths_s.max() + bin_size_s / 2
    num_bars = int(np.clip(round((high - low) / bin_size_s), 1, 40))
    axes.hist(lengths_s, np.linspace(low, high, num_bars + 1), color=style.ORANGE)
    axes.set_xlim(0, 1.2 * high)
    return style.finish(axes, "trial length (s)", "trials", f"Length of {len(lengths_s)} trials")


def draw_splits(axes: Axes, report: dict[str, Any]) -> Axes:
    """Trials of each split, one bar a session, with the number of spikes written above."""
    names = list(report["sessions"])
    bottom = np.zeros(len(names), int)
    for split, colour in zip(SPLIT_NAMES, (style.BLUE, style.SKY, style.VERMILION), strict=True):
        trials = np.array([report["sessions"][name]["trials_per_split"][split] for name in names])
        axes.bar(range(len(names)), trials, bottom=bottom, color=colour, label=split)
        bottom += trials
    if len(names) <= _MAX_BARS:
        axes.set_xticks(range(len(names)), [style.plain(name) for name in names], rotation=90)
        for position, name in enumerate(names):
            spikes = _short(report["sessions"][name]["num_spikes"])
            axes.text(position, bottom[position], spikes, ha="center", va="bottom", fontsize=7)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    title = "Trials by split; spikes above" if len(names) <= _MAX_BARS else "Trials by split"
    return style.finish(axes, "session", "trials", title)


def _short(count: int) -> str:
    """1234567 -> 1.2M."""
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.{1 if count < 10 * size else 0}f}{unit}"
    return str(count)
