"""Draws what each prompt costs each task, and prints the table; from results.json.

python experiments/mtm_prompt/figure.py [--size=smoke|local|paper]
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_tables as tables  # noqa: E402

from neurojax.files import write_bytes  # noqa: E402
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
    parts = tables.parts(results)
    shown = tables.columns(list(results["runs"].values()))
    figure, axes = tables.panels(shown, len(parts))
    for row, (part, entries) in zip(axes, parts.items(), strict=True):
        names, kind = [name for name in PROMPTS if name in entries], tables.kind_of(part)
        for panel, column in zip(row, shown, strict=True):
            for place, name in enumerate(names):
                found = tables.values(entries[name], column, kind=kind)
                colour = style.BLUE if name == "own" else style.GREY
                panel.scatter([place] * len(found), found, s=12, color=colour, alpha=0.6, linewidths=0)
                if len(found):
                    panel.plot([place - 0.3, place + 0.3], [found.mean()] * 2, color=colour, linewidth=2.5)
            tables.level(panel, entries["own"], column, kind)
            panel.set_xticks(range(len(names)), [PROMPTS[name] for name in names], rotation=45, ha="right")
            style.finish(panel, "", tables.unit(column), tables.WORDS[column].partition(",")[0])
    return style.png_bytes(figure)


if __name__ == "__main__":
    size, results, out = tables.arguments(__doc__, HERE)
    for part, entries in tables.parts(results).items():
        rows = {PROMPTS[name]: entries[name] for name in PROMPTS if name in entries}
        print(f"\n{tables.table('prompt', rows, tables.kind_of(part), linear=False)}")
    print(f"\n{tables.told(HERE, size, observed(results))}\n\n{tables.origin(results)}")
    with style.context():
        write_bytes(out, draw(results))
