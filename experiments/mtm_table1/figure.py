"""Draws every masking on every task, and prints the tables; from results.json.

python experiments/mtm_table1/figure.py [--size=smoke|local|paper]
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_tables as tables  # noqa: E402

from neurojax.report.figures import style  # noqa: E402

OWN = {
    "neuron": "co_smoothing",
    "causal": "forward",
    "intra_region": "intra_region",
    "inter_region": "inter_region",
}
FAR = -0.5  # bits/spike under which a collapse is written, not drawn to scale


def pattern(part: str, entries: Mapping[str, Any]) -> dict[str, float]:
    """What the paper's table says in words, as differences in bits/spike; of all six maskings."""
    if set(tables.MASKINGS) - set(entries):
        return {}
    kind = tables.kind_of(part)
    score = {(name, task): tables.mean(entries[name], task, kind=kind) for name in entries for task in tables.TASKS}
    single = [name for name in tables.MASKINGS if name != "mtm"]
    found = {}
    for name, task in OWN.items():
        others = max(score[other, task] for other in single if other != name)
        words = f"{tables.MASKINGS[name]} minus the best other single masking, {tables.TASKS[task]}"
        found[f"{part}: {words}"] = score[name, task] - others
    for task, words in tables.TASKS.items():
        best = max(score[name, task] for name in single)
        found[f"{part}: MtM minus the best single masking, {words}"] = score["mtm", task] - best
    null = {task: tables.mean(entries["intra_region"], task, "train_mean", kind) for task in tables.TASKS}
    worst = max(score["intra_region", task] - null[task] for task in tables.TASKS if task != "intra_region")
    found[f"{part}: intra-region masking minus train mean, the best of the other three tasks"] = worst
    found[f"{part}: temporal minus MtM, intra-region"] = (
        score["temporal", "intra_region"] - score["mtm", "intra_region"]
    )
    return found


def observed(results: Mapping[str, Any]) -> dict[str, float]:
    """What expected.json names."""
    found = tables.numbers(results)
    for part, entries in tables.parts(results).items():
        found |= pattern(part, entries)
        for task, words in tables.TASKS.items() if {"mtm", "temporal"} <= set(entries) else ():
            pair = [tables.mean(entries[name], task, kind=tables.kind_of(part)) for name in ("mtm", "temporal")]
            found[f"{part}, MtM minus temporal masking: {words}"] = pair[0] - pair[1]
    return found


def draw(results: Mapping[str, Any]) -> bytes:
    """A row a set of recordings, a panel a task: a dot a session, a bar the mean; dashed the linear stack."""
    figure, panels = tables.grid(results)
    first = panels[0].column
    for axes, part, entries, column, kind in panels:
        if not any(len(tables.values(entry, column, kind=kind)) for entry in entries.values()):
            axes.set_visible(False)  # these recordings have no such behaviour
            continue
        names = [name for name in tables.MASKINGS if name in entries]
        for place, name in enumerate(names):
            found = tables.values(entries[name], column, kind=kind)
            colour = tables.COLOURS.get(name, style.GREY)
            if not len(found):
                continue
            if found.mean() < FAR:
                axes.text(FAR, place, f"at {found.mean():.2f}", fontsize=7, va="center", color=colour)
                continue
            axes.scatter(found, [place] * len(found), s=10, color=colour, alpha=0.6, linewidths=0)
            axes.plot([found.mean()] * 2, [place - 0.3, place + 0.3], color=colour, linewidth=2.5)
        at = tables.mean(entries[names[-1]], column, "stack", kind)
        if at is not None:
            axes.axvline(at, **tables.STACK_STYLE)
        if column in tables.TASKS:
            axes.axvline(0.0, **tables.FLOOR_STYLE)
            axes.set_xlim(left=max(axes.get_xlim()[0], FAR - 0.05))
        axes.set_yticks(range(len(names)), [tables.MASKINGS[one] if column == first else "" for one in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        label = tables.RECORDINGS.get(part, part).replace(", ", ",\n") if column == first else ""
        style.finish(axes, tables.unit(column), label, tables.WORDS[column].partition(",")[0])
    dot = {"linestyle": "", "marker": "o", "ms": 4, "color": style.GREY}
    bar = {"linestyle": "", "marker": "|", "ms": 10, "markeredgewidth": 2.5, "color": style.GREY}
    marks = {"a session": dot, "mean over sessions": bar}
    tables.explain(figure, marks, "0 bits/spike: each unit at its mean of the test trials")
    return style.png_bytes(figure)


def told(part: str, entries: Mapping[str, Any]) -> Iterator[str]:
    """A row a masking."""
    rows = {tables.MASKINGS[name]: entries[name] for name in tables.MASKINGS if name in entries}
    yield tables.table(tables.RECORDINGS[part], rows, tables.kind_of(part))


if __name__ == "__main__":
    tables.main(__doc__, HERE, observed, told, draw)
