"""Draws held-out animals alone and after pretraining, each masking, and prints the table; from results.json.

python experiments/mtm_table3/figure.py [--size=smoke|local|paper]
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_tables as tables  # noqa: E402

from neurojax.report.figures import style  # noqa: E402


def arms(entries: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Masking -> "alone" or "after N" -> entry."""
    return {
        masking: {"alone" if n == "0" else f"after {n}": entry for n, entry in of_number.items()}
        for masking, of_number in tables.by_masking(entries).items()
    }


def gains(entries: Mapping[str, Any], column: str, kind: str) -> dict[str, np.ndarray]:
    """Differences of pairs of arms, animal by animal: words -> [S]."""
    found, pretrained = {}, {}
    for masking, of_arm in arms(entries).items():
        alone, *after = (tables.values(entry, column, kind=kind) for entry in of_arm.values())
        if after:
            found[f"{tables.MASKINGS[masking]}: pretrained minus alone"] = after[-1] - alone
            pretrained[masking] = after[-1]
    if "mtm" in pretrained:
        last = list(arms(entries)["mtm"].values())[-1]
        found["pretrained MtM minus linear"] = pretrained["mtm"] - tables.values(last, column, "stack", kind)
    if set(pretrained) == {"mtm", "temporal"}:
        found["pretrained: MtM minus temporal"] = pretrained["mtm"] - pretrained["temporal"]
    return found


def observed(results: Mapping[str, Any]) -> dict[str, float]:
    """What expected.json names."""
    found = tables.numbers(results)
    for part, entries in tables.parts(results).items():
        for column in tables.columns(list(entries.values())):
            for words, difference in gains(entries, column, tables.kind_of(part)).items():
                found[f"{part}: {words}, {tables.WORDS[column]}"] = float(difference.mean())
    return found


def draw(results: Mapping[str, Any]) -> bytes:
    """A panel a task or behaviour; a line an animal from alone to pretrained; dashed the linear models."""
    figure, panels = tables.grid(results)
    for axes, _, entries, column, kind in panels:
        places, labels = [], []
        for first, (masking, of_arm) in enumerate(arms(entries).items()):
            lines = np.stack([tables.values(entry, column, kind=kind) for entry in of_arm.values()])  # [arms, S]
            across, colour = 3 * first + np.arange(len(lines)), tables.COLOURS[masking]
            axes.plot(across, lines, color=colour, alpha=0.35, linewidth=0.9)
            axes.plot(across, lines.mean(1), "o-", color=colour, ms=5, linewidth=2, label=tables.MASKINGS[masking])
            places, labels = [*places, *across], [*labels, *of_arm]
        tables.level(axes, next(iter(entries.values())), column, kind)
        axes.set_xticks(places, labels, rotation=40, ha="right")
        style.finish(axes, "", tables.unit(column), tables.WORDS[column].partition(",")[0])
    thin = {"thin: one animal": {"color": style.GREY, "alpha": 0.6, "linewidth": 0.9}}
    shown = [one for one in tables.MASKINGS if any(one in arms(panel.entries) for panel in panels)]
    marks = {f"{tables.MASKINGS[one]}: mean": {"color": tables.COLOURS[one], "marker": "o", "ms": 5} for one in shown}
    tables.explain(figure, marks | thin)
    return style.png_bytes(figure)


def told(part: str, entries: Mapping[str, Any]) -> Iterator[str]:
    """A row a masking and arm, then what one adds to the other."""
    kind = tables.kind_of(part)
    of_arms = arms(entries).items()
    rows = {f"{tables.MASKINGS[masking]}, {name}": one for masking, of_arm in of_arms for name, one in of_arm.items()}
    yield tables.table("held-out animals", rows, kind)
    columns = tables.columns(list(entries.values()))
    for words in gains(entries, columns[0], kind):
        cells = [tables.cell(gains(entries, one, kind)[words], signed=True) for one in columns]
        yield f"| {words} | {' | '.join(cells)} |"


if __name__ == "__main__":
    tables.main(__doc__, HERE, observed, told, draw)
