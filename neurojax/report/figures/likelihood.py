"""Whether counts fall where whole distributions say they do: the PIT histogram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.evals import tables
from neurojax.report.figures import style


def pit_histogram(axes: style.Axes, evaluation: Mapping[str, Any], *unused) -> style.Axes | None:
    """Share of the counts of all sessions in each tenth of their predicted distributions; flat on
    the dashed line where these mean what they say.

    Args:
        axes: where to draw.
        evaluation: with blocks of `evals.likelihoods`; None is returned without one.
        *unused: what other panels of a report read.
    """
    blocks = [session.get("likelihood") for session in evaluation["sessions"].values()]
    blocks = [block for block in blocks if block]
    if not blocks:
        return None
    tests = [block["test"] for block in blocks]
    weight = np.asarray([block["entries"] for block in tests], np.float64)
    curves = {tests[0]["head"]: "pit"}
    if "poisson_pit" in tests[0]:
        curves["poisson"] = "poisson_pit"
    edges, reach = np.linspace(0, 1, 11), 0.1
    for (name, key), colour in zip(curves.items(), (style.MODEL, style.VERMILION), strict=False):
        shares = 10 * weight @ np.asarray([block[key] for block in tests]) / weight.sum()
        look = {"color": colour, "linewidth": 1.4, "label": tables.label(name)}
        axes.stairs(shares, edges, baseline=None, **look)
        reach = max(reach, 1.2 * float(np.abs(shares - 1).max()))
    axes.axhline(1, color=style.BLACK, linewidth=0.9, linestyle=(0, (4, 3)), label="calibrated")
    axes.set_xlim(0, 1)
    axes.set_ylim(max(0.0, 1 - reach), 1 + reach)
    axes.legend()
    title = f"Counts, {tables.label(blocks[0]['task'])}"
    words = "place in the predicted distribution (PIT)"
    return style.finish(axes, words, "density of entries (1: uniform)", title)
