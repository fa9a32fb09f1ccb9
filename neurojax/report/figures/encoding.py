"""Layers of a network beside a brain: predictivity, CKA and RSA of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.report.figures import style

TITLES = {"predictivity": "predictivity", "cka": "CKA", "rsa": "RSA"}


def layers(record: Mapping[str, Any]) -> style.Figure:
    """A panel for each metric, layers in the order of the file, the best one marked.

    Args:
        record: of `analysis.encoding.compare`.
    """
    names = list(record["layers"])
    figure, axes = style.new_figure(9.0, 2.8, 1, 3)
    for axis, (metric, title) in zip(axes[0], TITLES.items(), strict=True):
        values = [record["layers"][name].get(metric) for name in names]
        heights = [np.nan if value is None else value for value in values]
        best = record["best"][metric]
        colours = [style.MODEL if name == best else style.GREY for name in names]
        axis.bar(range(len(names)), heights, color=colours)
        if metric == "predictivity":
            for place, name in enumerate(names):
                if ends := record["layers"][name].get("predictivity_ci95"):
                    axis.plot([place] * 2, ends, color=style.TRUE, linewidth=1)
            if value := record.get("joint", {}).get("predictivity"):
                axis.axhline(value, color=style.ORACLE, linewidth=0.8, linestyle=":")
        axis.set_xticks(range(len(names)))
        axis.set_xticklabels([style.plain(name) for name in names], rotation=30, ha="right")
        style.finish(axis, "", "", title)
    return figure
