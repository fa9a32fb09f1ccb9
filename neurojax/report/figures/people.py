"""Scores of people, one beside the other: a model and its floors, and when not to trust it."""

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
        if name == "model":
            _over_segments(axes, places, [one["people"][person] for person in order])
    axes.axhline(block["chance"], color=style.GREY, linestyle="--", linewidth=0.9, label="chance")
    axes.set_xticks(
        places, [style.plain(person) for person in order], rotation=60, ha="right", fontsize=7
    )
    axes.set_ylim(0, 1.03)
    axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.33))
    return style.finish(axes, "", "balanced accuracy", "People that training never saw").figure


def _over_segments(axes: style.Axes, places: np.ndarray, scores: list[Mapping[str, Any]]) -> None:
    """Bars of the people whose interval over segments is known."""
    for place, one in zip(places, scores, strict=True):
        if (ends := one.get("balanced_accuracy_ci95_segments")) is not None:
            axes.plot([place, place], ends, color=style.MODEL, linewidth=1.2)


def trust(block: Mapping[str, Any], class_names: list[str]) -> style.Figure:
    """Which gesture is taken for which, errors among the surest windows, and coverage of sets.

    Args:
        block: of evals.gesture_trust.
        class_names: of its gestures.
    """
    figure, axes = style.new_figure(10.5, 3.4, columns=3)
    _confusion(axes[0, 0], block["confusion"], class_names)
    curve = block["abstention"]
    low, high = curve["risk_low"], curve["risk_high"]
    axes[0, 1].fill_between(curve["coverage"], low, high, color=style.PALE, linewidth=0)
    axes[0, 1].plot(curve["coverage"], curve["risk"], "o-", markersize=3, color=style.MODEL)
    style.finish(axes[0, 1], "share of windows answered", "share wrong", "When it may abstain")
    _coverage(axes[0, 2], block["conformal"])
    return figure


def _confusion(axes: style.Axes, confusion: list[list[float | None]], names: list[str]) -> None:
    shown = np.array([[np.nan if one is None else one for one in row] for row in confusion])
    axes.imshow(shown, cmap=style.SCORE_MAP, vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(shown):
        if np.isfinite(value) and value >= 0.005:
            dark = value < 0.5
            axes.text(
                column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=7,
                color="white" if dark else "black",
            )  # fmt: skip
    words = [style.plain(name) for name in names]
    axes.set_xticks(range(len(names)), words, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(names)), words, fontsize=7)
    style.finish(axes, "read as", "made", "Confusion, % of windows")


def _coverage(axes: style.Axes, block: Mapping[str, Any]) -> None:
    """Share of each person's segments whose set holds the true gesture."""
    groups = block["groups"]
    if not groups:
        style.say(axes, "nobody has two rounds")
        return
    order = sorted(groups, key=lambda name: groups[name]["own"]["coverage"])
    places, looks = np.arange(len(order)), {"own": ("o", style.MODEL), "pooled": ("s", style.GREY)}
    words = {"own": "calibrated on the person", "pooled": "calibrated on all others"}
    for kind, (marker, colour) in looks.items():
        values = [groups[name].get(kind, {}).get("coverage", np.nan) for name in order]
        axes.plot(places, values, marker, color=colour, markersize=4, label=words[kind])
    axes.axhline(block["nominal"], color=style.GREY, linestyle="--", linewidth=0.9)
    axes.set_xticks(
        places, [style.plain(name) for name in order], rotation=60, ha="right", fontsize=7
    )
    axes.legend(loc="lower left")
    style.finish(axes, "", "share of segments held", f"{block['nominal']:.0%} sets")
