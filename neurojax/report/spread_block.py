"""The part of a report on how far the members of an ensemble are apart, as HTML."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.evals import tables
from neurojax.report import page


def spread_table(evaluation: Mapping[str, Any]) -> list[str]:
    """A row a task, means over sessions; of one model a sentence that it has none; [] of a
    record that does not tell."""
    sessions = [session for session in evaluation["sessions"].values() if "spread" in session]
    if not sessions:
        return []
    blocks = [session["spread"] for session in sessions if session["spread"]]
    if not blocks:
        reason = sessions[0].get("spread_reason", "one model")
        none = page.paragraph(f"None, {reason}.")
        return [page.folded("Spread over members", none)]
    rows = []
    for task in tables.tasks_of(evaluation):
        found = [block[task] for block in blocks if task in block]
        if found:
            rows.append(_row(task, found))
    caption = (
        "standard deviation over the members of their rates, mean over entries and sessions; mean "
        "squared error of the rates in Hz^2, estimated from counts as if they were Poisson, in the "
        "lower and the upper half of the spread among entries of equal rate; sessions in which the "
        "upper is larger, 95 % interval over trials above zero"
    )
    heads = ["spread over members", "Hz", "of the rate", "error, lower half", "upper half", "grows"]
    return [page.folded("Spread over members", page.table(heads, rows, caption=caption))]


def _row(task: str, found: list[Mapping[str, Any]]) -> list[str]:
    low, high = np.mean([block["error_hz2"] for block in found], axis=0)
    grows = sum(bool(block["grows"]) for block in found)
    return [
        tables.label(task),
        f"{np.mean([block['mean_hz'] for block in found]):.2f}",
        f"{100 * np.mean([block['share_of_rate'] for block in found]):.0f} %",
        f"{low:.2f}",
        f"{high:.2f}",
        f"{grows} of {len(found)}",
    ]
