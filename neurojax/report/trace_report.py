"""What a reader gets of an evaluation of traces: a table, one figure, one page."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from neurojax.evals import tables, trace_scores
from neurojax.report import page, score_page
from neurojax.report.figures import traces

NAMES = {
    "ridge": "ridge from the other cells",
    "last_value": "last observed value",
    "autoregression": "autoregression of the cell",
}
HEAD = ["task", "", "R2", "model minus it"]


def rows(block: Mapping[str, Any]) -> list[list[str]]:
    """[task, method, R2, model minus it] of the model and its floors, in words."""
    listed = []
    for task, own in block["tasks"].items():
        listed.append([task.replace("_", " "), "model", _value(own, "r2"), ""])
        for name, floor in block["floors"].items():
            if found := floor["tasks"].get(task):
                cells = [_value(found, part) for part in ("r2", "difference")]
                listed.append(["", NAMES.get(name, name), *cells])
    return listed


def _value(block: Mapping[str, Any], name: str) -> str:
    if (value := block.get(name)) is None:
        return block.get(f"{name}_reason", "-")
    ends = block.get(f"{name}_ci95") or block.get(f"{name}_trials_ci95")
    return f"{value:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def _about(block: Mapping[str, Any]) -> str:
    sessions = block["sessions"].values()
    number, cells = len(sessions), sum(one["num_cells"] for one in sessions)
    over = "sessions (t)" if number > 1 else "its test trials (bootstrap)"
    return (
        f"{number} session{'s' * (number != 1)}, {cells:,} cells; R2 on test trials, mean over "
        f"cells; in brackets 95 % intervals over {over}"
    )


def terminal_table(block: Mapping[str, Any]) -> str:
    """Scores of a `traces` block, a line each."""
    return "\n".join([*tables.align([HEAD, *rows(block)]), _about(block)])


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """(rows of a table, the head first; notes) of runs side by side; the first is the reference."""
    found = trace_scores.compared({name: one.get("traces", {}) for name, one in records.items()})
    reference, number = next(iter(records)), 0
    listed = [["task", "run", "R2", f"minus {reference}"]]
    for task, runs in found.items():
        number = max(number, runs[reference]["num_sessions"])
        for name, own in runs.items():
            gain = "" if name == reference else _value(own, "difference")
            listed.append([task.replace("_", " "), name, _value(own, "r2"), gain])
    note = f"{number} sessions that all runs scored; in brackets 95 % intervals over sessions (t)"
    return listed, [note]


def write(
    folder: Path,
    evaluation: Mapping[str, Any],
    example: Mapping[str, Any] | None,
    *,
    suffix: str = "",
    log: Callable[[str], Any] = print,
) -> None:
    """Writes figures<suffix>/traces.png and report<suffix>.html."""
    block, picture = evaluation["traces"], None
    if example is not None:
        caption = (
            "Left: test trials of cells of one session, end to end, and what is predicted of each "
            "from the others; cells spread from the best to the median. Right: R2 of every cell "
            "of all sessions, model against ridge."
        )
        draw = functools.partial(traces.beside_floor, block, example)
        picture = score_page.Picture("traces", draw, caption)
    sessions = []
    for name, one in block["sessions"].items():
        scores = [_value(own, "r2") for own in one["tasks"].values()]
        sessions.append((name, f"{one['num_cells']:,}", one["num_test_trials"], *scores))
    heads = ["session", "cells", "test trials", *(t.replace("_", " ") for t in block["tasks"])]
    blocks = [
        page.table(HEAD, rows(block), caption="Mean over sessions"),
        page.paragraph(_about(block), soft=True),
    ]
    more = [page.folded("Sessions", page.table(heads, sessions))]
    score_page.write(folder, evaluation, picture, blocks, more, suffix=suffix, log=log)
