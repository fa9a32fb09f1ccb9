"""Predicted beside measured traces, and R2 of every cell against the floor's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.report.figures import style

NUM_CELLS = 5  # drawn as traces


def beside_floor(block: Mapping[str, Any], example: Mapping[str, Any]) -> style.Figure:
    """Traces of some cells on the left, R2 of all cells on the right.

    Args:
        block: of evals.trace_scores.
        example: "measured" and "predicted" float [K, T, N], "unit_id" [N], "bin_size_s",
            "session_id".
    """
    figure, axes = style.new_figure(10.0, 4.2, 1, 2, width_ratios=[1.9, 1])
    _traces(axes[0, 0], block["sessions"][example["session_id"]], example)
    _cells(axes[0, 1], block)
    return figure


def _traces(axes, session: Mapping[str, Any], example: Mapping[str, Any]) -> None:
    scores = np.array(session["tasks"]["co_smoothing"]["r2_cells"], float)
    order = np.argsort(-np.where(np.isfinite(scores), scores, -np.inf))[: np.isfinite(scores).sum()]
    # From the best to the median one: the best alone would flatter, the flat ones show nothing.
    places = np.unique(np.linspace(0, len(order) // 2, NUM_CELLS).astype(int)) if len(order) else []
    for row, cell in enumerate(order[place] for place in places):
        for name, colour in (("measured", style.OBSERVED), ("predicted", style.MODEL)):
            trials = example[name][:, :, cell]
            gaps = np.full((len(trials), 1), np.nan)  # a line ends with its trial
            values = np.concatenate([trials, gaps], 1).ravel()
            label = name if row == 0 else None
            seconds = np.arange(len(values)) * example["bin_size_s"]
            axes.plot(seconds, values - 5 * row, color=colour, linewidth=0.9, label=label)
    ticks = [f"{example['unit_id'][order[place]]}\n{scores[order[place]]:.2f}" for place in places]
    axes.set_yticks(-5.0 * np.arange(len(ticks)), [style.plain(tick) for tick in ticks])
    title = f"Each cell from the others: {style.plain(example['session_id'])}"
    style.finish(axes, "seconds, trials end to end", "cell and its R2", title)
    if len(ticks):
        style.legend_below(axes, 2)


def _cells(axes, block: Mapping[str, Any]) -> None:
    pairs = []
    for session in block["sessions"].values():
        own = session["tasks"]["co_smoothing"].get("r2_cells")
        floor = session["floors"].get("ridge", {}).get("co_smoothing", {}).get("r2_cells")
        if own and floor:
            pairs.append(np.array([floor, own], float))
    style.finish(axes, "R2 of ridge", "R2 of the model", "Cells")
    if not pairs:
        style.say(axes, "no floor to compare with")
        return
    both = np.concatenate(pairs, axis=1)
    low = max(-1.0, float(np.nanmin(both))) if np.isfinite(both).any() else -1.0
    axes.plot([low, 1], [low, 1], color=style.GREY, linestyle="--", linewidth=0.9)
    axes.plot(*np.maximum(both, low), ".", color=style.MODEL, markersize=4)
