"""Draws scores of new animals against the number of animals pretrained on, each masking; from results.json.

python experiments/mtm_scaling/figure.py [--size=smoke|local|paper]
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
from neurojax.scores import intervals  # noqa: E402


def curves(entries: Mapping[str, Any]) -> dict[str, dict[int, Any]]:
    """Masking -> sessions of the pretraining -> entry, both in order."""
    found: dict[str, dict[int, Any]] = {}
    for name, entry in entries.items():
        masking, number = name.split("/")
        found.setdefault(masking, {})[int(number)] = entry
    return {masking: dict(sorted(of_number.items())) for masking, of_number in found.items()}


def observed(results: Mapping[str, Any]) -> dict[str, float]:
    """What expected.json names; beside the scores, what pretraining on the most animals adds to none and to one."""
    found = tables.numbers(results)
    for part, entries in tables.parts(results).items():
        for masking, of_number in curves(entries).items():
            most = max(of_number)
            for fewest in {0, 1} & set(of_number) - {most}:
                for task, words in tables.TASKS.items():
                    pair = [tables.mean(of_number[n], task, kind=tables.kind_of(part)) for n in (most, fewest)]
                    name = f"{part}/{masking}: {most} sessions minus {fewest}, {words}, bits/spike"
                    found[name] = pair[0] - pair[1]
    return found


def draw(results: Mapping[str, Any]) -> bytes:
    """A panel a task or behaviour; lines are means over new animals with 95 % intervals, dashed the linear models."""
    parts = tables.parts(results)
    shown = tables.columns(list(results["runs"].values()))
    figure, axes = tables.panels(shown, len(parts))
    for row, (part, entries) in zip(axes, parts.items(), strict=True):
        kind = tables.kind_of(part)
        for panel, column in zip(row, shown, strict=True):
            numbers = sorted({number for of_number in curves(entries).values() for number in of_number})
            for shift, (masking, of_number) in enumerate(curves(entries).items()):
                across, middle, half = [], [], []
                for number, entry in of_number.items():
                    found = tables.values(entry, column, kind=kind)
                    if not len(found):
                        continue
                    over = intervals.t_interval(list(found))
                    across.append(numbers.index(number) + 0.06 * shift)
                    middle.append(found.mean())
                    half.append(0.0 if over is None else over.ci95[1] - over.mean)
                colour = tables.COLOURS[masking]
                panel.errorbar(
                    across, middle, half, fmt="o-", ms=4, capsize=2, color=colour, label=tables.MASKINGS[masking]
                )
            tables.level(panel, next(iter(entries.values())), column, kind)
            panel.set_xticks(range(len(numbers)), ["alone" if number == 0 else str(number) for number in numbers])
            style.finish(panel, "animals pretrained on", tables.unit(column), tables.WORDS[column].partition(",")[0])
    axes[0][0].legend(loc="lower right", fontsize=7)
    return style.png_bytes(figure)


if __name__ == "__main__":
    size, results, out = tables.arguments(__doc__, HERE)
    for part, entries in tables.parts(results).items():
        rows = {
            f"{tables.MASKINGS[masking]}, {'alone' if number == 0 else number}": entry
            for masking, of_number in curves(entries).items()
            for number, entry in of_number.items()
        }
        print(f"\n{tables.table('new animals; pretrained on', rows, tables.kind_of(part))}")
    print(f"\n{tables.told(HERE, size, observed(results))}\n\n{tables.origin(results)}")
    with style.context():
        write_bytes(out, draw(results))
