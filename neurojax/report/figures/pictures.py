"""Pictures from fMRI: how often the right one comes first, and a few that were seen and found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.report.figures import style


def people(block: Mapping[str, Any], names: Mapping[str, str]) -> style.Figure:
    """Top-1 of every person by model, floors and the best reader.

    Args:
        block: `retrieval` of a record.
        names: of the floors, in words.
    """
    order = sorted(block["people"], key=lambda person: block["people"][person]["image_top1"])
    figure, axes = style.new_figure(6.0, 3.0, 1, 1)
    methods = {"model": block, **block["floors"]}
    if block["ceiling"]:
        methods["best reader"] = block["ceiling"]
    colours = style.predictor_colours(list(methods))
    for name, one in methods.items():
        values = [one["people"].get(person, {}).get("image_top1", np.nan) for person in order]
        look = {"marker": "o" if name == "model" else "s", "linestyle": "none", "markersize": 5}
        label = names.get(name, name).partition(",")[0].partition(":")[0]
        axes[0, 0].plot(np.arange(len(order)), values, color=colours[name], label=label, **look)
    axes[0, 0].axhline(block["chance"], color=style.GREY, linestyle="--", linewidth=0.9)
    axes[0, 0].set_xticks(np.arange(len(order)), [style.plain(person) for person in order])
    axes[0, 0].tick_params(axis="x", labelrotation=60, labelsize=7)
    axes[0, 0].set_ylim(0, 1.03)
    axes[0, 0].legend(loc="upper left", fontsize=7)
    style.finish(axes[0, 0], "", f"top-1 of {block['num_candidates']}", "People")
    return figure


def strips(example: Mapping[str, Any]) -> style.Figure:
    """Embeddings of seen pictures, each beside those that were found for it.

    Args:
        example: "seen" names [n], "found" names [n, 3], "strips" float [n, 4, E]: the seen one
            first.
    """
    shown = np.asarray(example["strips"])
    limit = np.quantile(np.abs(shown), 0.99)
    figure, axes = style.new_figure(7.0, 0.5 + 1.1 * len(shown), len(shown), 1)
    for place, (seen, found) in enumerate(zip(example["seen"], example["found"], strict=True)):
        own = axes[place, 0]
        own.imshow(
            shown[place],
            aspect="auto",
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            interpolation="none",
        )
        words = ["seen", *(f"{number + 1}." for number in range(len(found)))]
        own.set_yticks(np.arange(len(words)), words, fontsize=7)
        own.set_xticks([])
        for rank, name in enumerate(found):
            if name == seen:
                own.axhspan(rank + 0.52, rank + 1.48, fill=False, edgecolor="black", linewidth=1.5)
        own.set_title(f"picture {seen}", fontsize=8, loc="left")
    return figure
