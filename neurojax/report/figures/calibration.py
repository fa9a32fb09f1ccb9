"""Whether rates mean what they say: observed against predicted, and dispersion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.evals import tables
from neurojax.report.figures import style

MOST_DISPERSION = 8.0  # units beyond are counted, not drawn


def first_task(evaluation: Mapping[str, Any]) -> tuple[str, list[Mapping[str, Any]]] | None:
    """The first task with a calibration, and its blocks of all sessions; None without."""
    for task in tables.tasks_of(evaluation):
        blocks = [
            (session.get("calibration") or {}).get(task)
            for session in evaluation["sessions"].values()
        ]
        if any(blocks):
            return task, [block for block in blocks if block]
    return None


def reliability_curve(
    axes: style.Axes, task: str, blocks: Sequence[Mapping[str, Any]]
) -> style.Axes:
    """Observed against predicted rates in octaves; a calibrated model is on the line.

    Dots: all sessions' entries together, bars their 95 % intervals; grey lines: each session.

    Args:
        axes: where to draw.
        task: whose predictions they are.
        blocks: of evals.calibration, one a session.
    """
    title = f"Calibration, {tables.label(task)}"
    style.finish(axes, "predicted rate (Hz)", "observed rate (Hz)", title)
    curves = [_curve(block) for block in blocks]
    together = _together(blocks)
    if not len(together):
        return style.say(axes, "no entries with spikes")
    ends = np.concatenate([*[curve.ravel() for curve in curves], together[:, :2].ravel()])
    low, high = ends.min() / 1.5, ends.max() * 1.5
    axes.plot(
        [low, high],
        [low, high],
        color=style.GREY,
        linewidth=0.9,
        linestyle=(0, (4, 3)),
        label="calibrated",
    )
    if len(blocks) > 1:
        for number, curve in enumerate(curves):
            axes.plot(
                *curve.T,
                color=style.GREY,
                alpha=0.45,
                linewidth=0.8,
                label=None if number else "each session",
            )
    predicted, observed, half = together.T
    # A bar ends at the axis: on a logarithmic one it cannot reach zero.
    error = np.stack([np.minimum(half, observed - low), half])
    look = {"fmt": "o", "markersize": 4.5, "color": style.MODEL, "elinewidth": 1.2, "capsize": 2.5}
    axes.errorbar(predicted, observed, np.maximum(error, 0), label="model, 95 %", zorder=3, **look)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    axes.legend(loc="lower right")
    ratio = blocks[0].get("observed_over_predicted")
    if len(blocks) == 1 and ratio is not None:
        axes.text(
            0.03,
            0.97,
            f"{ratio:.2f} spikes seen for each predicted",
            va="top",
            transform=axes.transAxes,
        )
    return axes


def dispersion(axes: style.Axes, task: str, blocks: Sequence[Mapping[str, Any]]) -> bool:
    """Units by their dispersion around predicted rates, in bins and trials; False without."""
    found = {}
    for name in ("dispersion_bins", "dispersion_trials"):
        listed = [value for block in blocks for value in (block.get(name) or {}).get("units") or ()]
        found[name] = np.asarray([value for value in listed if value is not None], np.float64)
    every = np.concatenate(list(found.values()))
    if not len(every):
        return False
    top = float(np.clip(1.15 * np.percentile(every, 99), 2.0, MOST_DISPERSION))
    looks = (("single bins", style.MODEL), ("whole trials", style.VERMILION))
    for values, (words, colour) in zip(found.values(), looks, strict=True):
        if len(values):
            label = f"{words}, median {np.median(values):.2f}"
            edges = np.linspace(0, top, 41)
            axes.hist(values, edges, histtype="stepfilled", alpha=0.3, color=colour)
            axes.hist(values, edges, histtype="step", linewidth=1.3, color=colour, label=label)
    axes.axvline(1, color=style.BLACK, linewidth=0.9, linestyle=(0, (4, 3)), label="Poisson")
    axes.set_xlim(0, top)
    axes.legend(loc="upper right")
    outside = int((every > top).sum())
    if outside:
        axes.text(
            0.98,
            0.6,
            f"{outside} above {top:.3g}",
            ha="right",
            transform=axes.transAxes,
            fontsize="small",
        )
    drawn = [len(values) for values in found.values()]
    title = f"Dispersion, {tables.label(task)}"
    style.finish(
        axes, "squared error / expected variance (no unit)", f"units (of {max(drawn)})", title
    )
    return True


def _curve(block: Mapping[str, Any]) -> np.ndarray:
    """(predicted, observed) in Hz of the groups with spikes, [groups, 2]."""
    groups = [(group["predicted"], group["observed"]) for group in block["groups"]]
    rates = np.asarray(groups, np.float64).reshape(-1, 2) / block["bin_size_s"]
    return rates[(rates > 0).all(1)]


def _together(blocks: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """(predicted, observed, half of 95 %) in Hz over all sessions, [groups, 3]."""
    edges = sorted({group["from_hz"] for block in blocks for group in block["groups"]})
    rows = []
    for edge in edges:
        found = [
            (g, block["bin_size_s"])
            for block in blocks
            for g in block["groups"]
            if g["from_hz"] == edge
        ]
        weight = np.asarray([group["entries"] for group, _ in found], np.float64)
        # By entries: a session with few of them in this octave says little about it.
        share = weight / weight.sum()
        ends = [group.get("observed_ci95") or (np.nan, np.nan) for group, _ in found]
        half = np.asarray(
            [(high - low) / 2 / bin_s for (low, high), (_, bin_s) in zip(ends, found, strict=True)]
        )
        rates = np.asarray(
            [(group["predicted"] / bin_s, group["observed"] / bin_s) for group, bin_s in found]
        )
        rows.append((*(share @ rates), np.sqrt(((share * np.nan_to_num(half)) ** 2).sum())))
    table = np.asarray(rows, np.float64).reshape(-1, 3)
    return table[(table[:, :2] > 0).all(1)]
