"""Draws what each prompt costs each task, and prints the table; from results.json.

python experiments/mtm_prompt/figure.py [--size=smoke|local|paper]
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_tables as tables  # noqa: E402

from neurojax.report.figures import style  # noqa: E402

PROMPTS = {
    "own": "each task's own",
    "neuron": "neuron",
    "causal": "causal",
    "intra_region": "intra-region",
    "inter_region": "inter-region",
    "none": "none",
}


def observed(results: Mapping[str, Any]) -> dict[str, float]:
    """What expected.json names; of a prompt also what it is off the task's own."""
    found = tables.numbers(results)
    for part, entries in tables.parts(results).items():
        for name in set(entries) - {"own"} if "own" in entries else ():
            for column in tables.columns([entries["own"]]):
                pair = [tables.mean(entries[one], column, kind=tables.kind_of(part)) for one in (name, "own")]
                found[f"{part}: prompt {PROMPTS[name]} minus own, {tables.WORDS[column]}"] = pair[0] - pair[1]
    return found


def draw(results: Mapping[str, Any]) -> bytes:
    """A panel a task or behaviour: a dot a session under each prompt, a bar the mean; dashed the linear models."""
    figure, panels = tables.grid(results)
    for axes, _, entries, column, kind in panels:
        names = [name for name in PROMPTS if name in entries]
        for place, name in enumerate(names):
            found = tables.values(entries[name], column, kind=kind)
            colour = style.BLUE if name == "own" else style.GREY
            axes.scatter([place] * len(found), found, s=12, color=colour, alpha=0.6, linewidths=0)
            if len(found):
                axes.plot([place - 0.3, place + 0.3], [found.mean()] * 2, color=colour, linewidth=2.5)
        tables.level(axes, entries["own"], column, kind)
        axes.set_xticks(range(len(names)), [PROMPTS[name] for name in names], rotation=45, ha="right")
        style.finish(axes, "", tables.unit(column), tables.WORDS[column].partition(",")[0])
    dot = {"linestyle": "", "marker": "o", "ms": 4, "color": style.GREY}
    bar = {"linewidth": 2.5, "color": style.GREY}
    tables.explain(figure, {"a session (blue: each task's own prompt)": dot, "mean over sessions": bar})
    return style.png_bytes(figure)


def told(part: str, entries: Mapping[str, Any]) -> Iterator[str]:
    """A row a prompt."""
    rows = {PROMPTS[name]: entries[name] for name in PROMPTS if name in entries}
    yield tables.table("prompt", rows, tables.kind_of(part), linear=False)


if __name__ == "__main__":
    tables.main(__doc__, HERE, observed, told, draw)
