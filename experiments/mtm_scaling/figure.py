"""Draws scores of new animals against the number of animals pretrained on, each masking; from results.json.

python experiments/mtm_scaling/figure.py [--size=smoke|local|paper]
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_tables as tables  # noqa: E402

from neurojax.report.figures import style  # noqa: E402
from neurojax.scores import intervals  # noqa: E402


def curves(entries: Mapping[str, Any]) -> dict[str, dict[int, Any]]:
    """Masking -> sessions of the pretraining -> entry, both in order."""
    return {
        masking: {int(number): entry for number, entry in of_number.items()}
        for masking, of_number in tables.by_masking(entries).items()
    }


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
    figure, panels = tables.grid(results)
    for axes, _, entries, column, kind in panels:
        known = curves(entries)
        numbers = sorted({number for of_number in known.values() for number in of_number})
        for shift, (masking, of_number) in enumerate(known.items()):
            found = {n: tables.values(entry, column, kind=kind) for n, entry in of_number.items()}
            found = {n: values for n, values in found.items() if len(values)}
            over = [intervals.t_interval(list(values)) for values in found.values()]
            axes.errorbar(
                [numbers.index(n) + 0.06 * shift for n in found],
                [values.mean() for values in found.values()],
                [0.0 if one is None else one.ci95[1] - one.mean for one in over],
                **{"fmt": "o-", "ms": 4, "capsize": 2},
                color=tables.COLOURS[masking],
                label=tables.MASKINGS[masking],
            )
        tables.level(axes, next(iter(entries.values())), column, kind)
        axes.set_xticks(range(len(numbers)), ["alone" if number == 0 else str(number) for number in numbers])
        style.finish(axes, "animals pretrained on", tables.unit(column), tables.WORDS[column].partition(",")[0])
    shown = [one for one in tables.MASKINGS if any(one in curves(panel.entries) for panel in panels)]
    said = "mean over new animals, bars: 95 % interval (t)"
    marks = {f"{tables.MASKINGS[one]}: {said}": {"color": tables.COLOURS[one], "marker": "o", "ms": 4} for one in shown}
    tables.explain(figure, marks)
    return style.png_bytes(figure)


def told(part: str, entries: Mapping[str, Any]) -> Iterator[str]:
    """A row a masking and number of animals."""
    rows = {
        f"{tables.MASKINGS[masking]}, {'alone' if number == 0 else number}": entry
        for masking, of_number in curves(entries).items()
        for number, entry in of_number.items()
    }
    yield tables.table("new animals; pretrained on", rows, tables.kind_of(part))


if __name__ == "__main__":
    tables.main(__doc__, HERE, observed, told, draw)
