"""Forecasts by horizon, and generated activity beside real: rates, spread, intervals, pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.report.figures import style

LOOKS = {  # forecast -> (words, colour, line)
    "model": ("model", style.MODEL, "-"),
    "persistence": ("persistence", style.VERMILION, "-"),
    "train_mean": ("train mean", style.GREY, "-"),
    "known_dynamics": ("known dynamics", style.BLACK, "-"),
    "true_rates": ("true rates", style.BLACK, ":"),
}


def blocks_of(evaluation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Blocks of `evals.generation` of all sessions that have one."""
    blocks = [session.get("generation") for session in evaluation["sessions"].values()]
    return [block for block in blocks if block]


def overview(evaluation: Mapping[str, Any]) -> style.Figure | None:
    """All five panels; None of a run that does not go on by itself."""
    blocks = blocks_of(evaluation)
    if not blocks:
        return None
    figure, axes = style.new_figure(13.5, 3.0, 1, 5)
    forecast(axes[0, 0], blocks)
    units(axes[0, 1], blocks, "rate_hz", "rate (Hz)", log=True)
    units(axes[0, 2], blocks, "fano", "Fano factor (no unit)")
    intervals(axes[0, 3], blocks)
    pairs(axes[0, 4], blocks)
    return figure


def forecast(axes: style.Axes, blocks: Sequence[Mapping[str, Any]]) -> style.Axes:
    """Bits/spike against horizon, mean over sessions; of one session with 95 % over its trials."""
    number = min(len(block["horizons"]) for block in blocks)
    at = np.arange(1, number + 1)
    for name, (words, colour, line) in LOOKS.items():
        found = [block["forecast"].get(name) for block in blocks]
        if not all(found):
            continue
        values = np.asarray([one["bps"][:number] for one in found], np.float64)
        axes.plot(at, values.mean(0), line, color=colour, marker="o", markersize=3, label=words)
        if len(blocks) == 1 and name == "model":
            ends = np.asarray(found[0]["bps_ci95"][:number], np.float64).T
            axes.fill_between(at, *ends, color=colour, alpha=0.2, linewidth=0)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.45 * (high - low))  # room for the legend
    axes.legend(loc="upper right", ncols=2, fontsize="x-small")
    return style.finish(axes, "bins ahead", "bits/spike over train mean", "Forecast")


def units(
    axes: style.Axes, blocks: Sequence[Mapping[str, Any]], name: str, words: str, log: bool = False
) -> style.Axes:
    """A statistic of each unit, generated against real; on the line they are alike."""
    both = [block["statistics"][name] for block in blocks]
    real, made = (
        np.concatenate([np.asarray(one["units"][side], np.float64) for one in both])
        for side in ("real", "generated")
    )
    _against(axes, real, made)
    if log and (real > 0).any() and (made > 0).any():
        axes.set(xscale="log", yscale="log")
    ratios = [one["ratio"] for one in both if one["ratio"] is not None]
    title = f"ratio {np.mean(ratios):.2f}" if ratios else ""
    return style.finish(axes, f"real {words}", f"generated {words}", title)


def intervals(axes: style.Axes, blocks: Sequence[Mapping[str, Any]]) -> style.Axes:
    """Share of the intervals between spikes of so many bins, mean over sessions."""
    for side, colour in (("real", style.OBSERVED), ("generated", style.MODEL)):
        shares = np.mean([block["statistics"]["intervals"][side] for block in blocks], axis=0)
        axes.plot(np.arange(len(shares)), shares, color=colour, label=side)
    axes.legend()
    return style.finish(axes, "bins between spikes", "share of intervals", "Intervals")


def pairs(axes: style.Axes, blocks: Sequence[Mapping[str, Any]]) -> style.Axes:
    """Correlation of pairs of units, generated against real."""
    both = [block["statistics"]["correlation"] for block in blocks]
    real, made = (
        np.concatenate([np.asarray(one["pairs"][side], np.float64) for one in both])
        for side in ("real", "generated")
    )
    _against(axes, real, made, size=2)
    found = [(one["r"], one["r_of_halves"]) for one in both if one["r"] is not None]
    title = ""
    if found and all(halves is not None for _, halves in found):
        title = "r {:.2f}, real halves {:.2f}".format(*np.mean(found, axis=0))
    return style.finish(axes, "real correlation", "generated correlation", title)


def _against(axes: style.Axes, real: np.ndarray, made: np.ndarray, size: float = 6) -> None:
    known = np.isfinite(real) & np.isfinite(made)
    if not known.any():
        style.say(axes, "too few spikes")
        return
    axes.scatter(real[known], made[known], s=size, color=style.MODEL, alpha=0.5, linewidths=0)
    ends = [min(real[known].min(), made[known].min()), max(real[known].max(), made[known].max())]
    axes.plot(ends, ends, color=style.GREY, linewidth=0.9, linestyle=(0, (4, 3)))
