"""Responses to test images: measured beside predicted, and each neuron beside its repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.report.figures import style


def beside_oracle(example: Mapping[str, Any]) -> style.Figure:
    """Six neurons by image, and all neurons' correlation against that of the other repeats.

    Args:
        example: of `evals.responses`: unit_id [n], measured and predicted [images, n], correlation
            and oracle_correlation [N].
    """
    figure, axes = style.new_figure(8.4, 3.6, 2, 4)
    number = len(example["unit_id"])
    for place, axis in enumerate(axes[:, :3].ravel()):
        if place >= number:
            axis.set_visible(False)
            continue
        measured, predicted = (example[name][:, place] for name in ("measured", "predicted"))
        axis.plot(predicted, measured, ".", color=style.MODEL, markersize=3, alpha=0.6)
        ends = [0, float(max(measured.max(), predicted.max(), 1e-9))]
        axis.plot(ends, ends, color=style.GREY, linewidth=0.8)
        title = f"neuron {style.plain(example['unit_id'][place])}"
        style.finish(axis, "predicted", "mean over repeats" if place % 3 == 0 else "", title)
    for axis in axes[:, 3]:
        axis.set_visible(False)
    grid = axes[0, 3].get_gridspec()
    last = figure.add_subplot(grid[:, 3])
    pairs = np.stack([example["oracle_correlation"], example["correlation"]])
    known = np.isfinite(pairs).all(0)
    last.plot(*pairs[:, known], ".", color=style.MODEL, markersize=3, alpha=0.5)
    ends = [min(0.0, float(pairs[:, known].min(initial=0))), 1.0]
    last.plot(ends, ends, color=style.GREY, linewidth=0.8)
    style.finish(last, "correlation of other repeats", "correlation of the model", "all neurons")
    return figure
