"""What a reader gets of an evaluation of all nodes from each other: a table and a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from neurojax.errors import require
from neurojax.evals import tables
from neurojax.report import page, score_page
from neurojax.report.figures import nodes

HEAD = ["given", "asked", "R2", "ridge", "mean of the bin", "exact", "of exact"]
ABOUT = (
    "R2 on test trials over all channels and bins of a node, about the train mean; in brackets "
    "95 % intervals over test trials (bootstrap). Ridge: fitted to each pattern alone, a penalty "
    "for each node; exact: the conditional mean of a loop that was made up, which nobody is closer "
    "than"
)


def words(pattern: Mapping[str, Any]) -> str:
    """What a pattern gives: `stimulus, activity`, or `the past of behaviour`."""
    return ("the past of " if pattern["past"] else "") + ", ".join(pattern["given"])


def rows(block: Mapping[str, Any]) -> list[list[str]]:
    """A line for each pattern and node asked."""
    listed = []
    for pattern in block["patterns"].values():
        name = words(pattern) + ("" if pattern["trained"] else " (not trained)")
        for node, one in pattern["asked"].items():
            floors = one["floors"]
            cells = [floors.get(floor, {}).get("r2") for floor in ("ridge", "bin_mean")]
            cells += [one.get("ceiling"), one.get("share_of_ceiling")]
            listed.append([name, node, value(one), *map(_number, cells)])
            name = ""
    return listed


def value(one: Mapping[str, Any]) -> str:
    """R2 with its interval."""
    ends = one.get("r2_ci95")
    return _number(one["r2"]) + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def _number(one: float | None) -> str:
    return "-" if one is None else f"{one:.3f}"


def terminal_table(block: Mapping[str, Any]) -> str:
    """Scores of a `joint` block, a line each."""
    return "\n".join([*tables.align([HEAD, *rows(block)]), ABOUT])


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """(rows of a table, the head first; notes) of runs side by side."""
    blocks = {name: record.get("joint") for name, record in records.items()}
    require(
        all(isinstance(block, Mapping) and "patterns" in block for block in blocks.values()),
        "a run has no scores of nodes; evaluate it again",
    )
    listed = [["given", "asked", *blocks]]
    first = next(iter(blocks.values()))
    for name, pattern in first["patterns"].items():
        for node in pattern["asked"]:
            found = [
                block["patterns"].get(name, {}).get("asked", {}).get(node)
                for block in blocks.values()
            ]
            listed.append([words(pattern), node, *("-" if f is None else value(f) for f in found)])
    return listed, ["R2, each run on its own test trials; in brackets 95 % intervals over trials"]


def write(
    folder: Path,
    evaluation: Mapping[str, Any],
    *,
    suffix: str = "",
    log: Callable[[str], Any] = print,
) -> None:
    """Writes figures<suffix>/joint.png and report<suffix>.html."""
    block = evaluation["joint"]
    labels = [
        (words(pattern), node, one)
        for pattern in block["patterns"].values()
        for node, one in pattern["asked"].items()
    ]
    caption = "R2 of each node that is asked, by what is given: one model, and a ridge a pattern."
    picture = score_page.Picture("joint", lambda: nodes.by_pattern(labels), caption)
    blocks = [page.table(HEAD, rows(block)), page.paragraph(ABOUT, soft=True)]
    sessions = [
        (session, _number(one["r2"]))
        for session, one in (
            (name, {"r2": _mean_of(readers["model"])})
            for name, readers in block["sessions"].items()
        )
    ]
    more = [page.folded("Sessions", page.table(["session", "R2, mean over patterns"], sessions))]
    score_page.write(folder, evaluation, picture, blocks, more, suffix=suffix, log=log)


def _mean_of(patterns: Mapping[str, Mapping[str, float | None]]) -> float | None:
    known = [r2 for own in patterns.values() for r2 in own.values() if r2 is not None]
    return sum(known) / len(known) if known else None
