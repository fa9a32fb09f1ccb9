"""Speech from EEG: how often the right sentence comes first, and what the muscles add to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.report.figures import style

AUDIT = {
    "as_trained": "as it is",
    "muscle_channels_alone": "jaw channels",
    "muscle_kept": "jaw against rest",
    "neural_kept": "rest against jaw",
    "time_reversed": "reversed",
}


def retrieved(evaluation: Mapping[str, Any], names: Mapping[str, str]) -> style.Figure:
    """Top-1 of every person by model, floors and the best reader; beside it the muscle audit.

    Args:
        evaluation: a record with `retrieval`, and `muscle_audit` where it was measured.
        names: of the floors, in words.
    """
    block, bound = evaluation["retrieval"], evaluation.get("muscle_audit")
    order = sorted(block["people"], key=lambda person: block["people"][person]["top1"])
    figure, axes = style.new_figure(8.0 if bound else 4.4, 3.0, 1, 2 if bound else 1)
    left = axes[0, 0]
    methods = {"model": block, **block["floors"]}
    if block["ceiling"]:
        methods["best reader"] = block["ceiling"]
    colours = style.predictor_colours(list(methods))
    for name, one in methods.items():
        values = [one["people"].get(person, {}).get("top1", np.nan) for person in order]
        look = {"marker": "o" if name == "model" else "s", "linestyle": "none", "markersize": 5}
        label = names.get(name, name).partition(" on ")[0]
        left.plot(np.arange(len(order)), values, color=colours[name], label=label, **look)
    left.axhline(block["chance"]["top1"], color=style.GREY, linestyle="--", linewidth=0.9)
    left.set_xticks(np.arange(len(order)), [style.plain(person) for person in order])
    left.tick_params(axis="x", labelrotation=60, labelsize=7)
    left.set_ylim(0, 1.03)
    left.legend(loc="lower right", fontsize=7)
    style.finish(left, "", f"top-1 of {block['num_candidates']}", "People")
    if bound:
        right = axes[0, 1]
        for name, mark in (("model", "o"), ("bayes", "s")):
            if name in bound:
                values = [bound[name].get(part) for part in AUDIT]
                values = [np.nan if value is None else value for value in values]
                shown = "model" if name == "model" else "best reader"
                right.plot(np.arange(len(AUDIT)), values, mark, color=colours[shown], label=shown)
        right.set_xticks(np.arange(len(AUDIT)), list(AUDIT.values()))
        right.tick_params(axis="x", labelrotation=30, labelsize=7)
        right.set_ylim(0, 1.03)
        style.finish(right, "", "", "Muscle audit")
    return figure
