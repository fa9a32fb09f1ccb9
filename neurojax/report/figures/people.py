"""Scores of people, one beside the other: a model and its floors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.report.figures import style


def accuracies(block: Mapping[str, Any], names: Mapping[str, str]) -> style.Figure:
    """Balanced accuracy of every person, from the hardest to the easiest for the model.

    Args:
        block: of evals.gesture_scores.
        names: of the floors, in words.
    """
    score = {person: found["balanced_accuracy"] for person, found in block["people"].items()}
    # People without a score stand first, as the hardest.
    order = sorted(score, key=lambda person: -1.0 if score[person] is None else score[person])
    figure, axes = style.new_figure(max(4.0, 1.5 + 0.35 * len(order)), 3.2)
    axes, places = axes[0, 0], np.arange(len(order))
    methods = {
        "model": block,
        **{name: floor for name, floor in block["floors"].items() if "people" in floor},
    }
    colours = style.predictor_colours(list(methods))
    for name, one in methods.items():
        values = [one["people"][person]["balanced_accuracy"] for person in order]
        values = [np.nan if value is None else value for value in values]
        label = "model" if name == "model" else names.get(name, name)
        look = {"marker": "o" if name == "model" else "s", "linestyle": "none", "markersize": 5}
        axes.plot(places, values, color=colours[name], label=label, **look)
    axes.axhline(block["chance"], color=style.GREY, linestyle="--", linewidth=0.9, label="chance")
    axes.set_xticks(
        places, [style.plain(person) for person in order], rotation=60, ha="right", fontsize=7
    )
    axes.set_ylim(0, 1.03)
    axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.33))
    return style.finish(axes, "", "balanced accuracy", "People that training never saw").figure
