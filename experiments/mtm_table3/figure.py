"""Draws held-out animals alone and after pretraining, each masking, and prints the table; from results.json.

python experiments/mtm_table3/figure.py [--size=smoke|local|paper]
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_tables as tables  # noqa: E402

from neurojax.files import write_bytes  # noqa: E402
from neurojax.report.figures import style  # noqa: E402


def arms(entries: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Masking -> "alone" or "after N" -> entry."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in sorted(entries.items(), key=lambda one: int(one[0].split("/")[1])):
        masking, number = name.split("/")
        found.setdefault(masking, {})["alone" if number == "0" else f"after {number}"] = entry
    return found


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
    parts = tables.parts(results)
    shown = tables.columns(list(results["runs"].values()))
    figure, axes = tables.panels(shown, len(parts))
    for row, (part, entries) in zip(axes, parts.items(), strict=True):
        kind = tables.kind_of(part)
        for panel, column in zip(row, shown, strict=True):
            places, labels = [], []
            for first, (masking, of_arm) in enumerate(arms(entries).items()):
                lines = np.stack([tables.values(entry, column, kind=kind) for entry in of_arm.values()])  # [arms, S]
                across, colour = 3 * first + np.arange(len(lines)), tables.COLOURS[masking]
                panel.plot(across, lines, color=colour, alpha=0.35, linewidth=0.9)
                panel.plot(across, lines.mean(1), "o-", color=colour, ms=5, linewidth=2, label=tables.MASKINGS[masking])
                places, labels = [*places, *across], [*labels, *of_arm]
            tables.level(panel, next(iter(entries.values())), column, kind)
            panel.set_xticks(places, labels, rotation=40, ha="right")
            style.finish(panel, "", tables.unit(column), tables.WORDS[column].partition(",")[0])
    axes[0][0].legend(loc="lower right", fontsize=7)
    return style.png_bytes(figure)


if __name__ == "__main__":
    size, results, out = tables.arguments(__doc__, HERE)
    for part, entries in tables.parts(results).items():
        rows = {
            f"{tables.MASKINGS[masking]}, {name}": entry
            for masking, of_arm in arms(entries).items()
            for name, entry in of_arm.items()
        }
        kind = tables.kind_of(part)
        print(f"\n{tables.table('held-out animals', rows, kind)}")
        columns = tables.columns(list(entries.values()))
        for words in gains(entries, columns[0], kind):
            cells = [tables.cell(gains(entries, one, kind)[words], signed=True) for one in columns]
            print(f"| {words} | {' | '.join(cells)} |")
    print(f"\n{tables.told(HERE, size, observed(results))}\n\n{tables.origin(results)}")
    with style.context():
        write_bytes(out, draw(results))
