"""Draws each masking against the share that it hides, and prints the table; from results.json.

python experiments/mtm_mask_ratio/figure.py [--size=smoke|local|paper]
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mtm_parts"))
import mtm_tables as tables  # noqa: E402

from neurojax.report.figures import style  # noqa: E402

ANY = "any"  # of a masking without a ratio
COLOURS = tables.COLOURS | {
    "neuron": style.GREEN,
    "intra_region": style.ORANGE,
    "causal": style.PINK,
    "inter_region": style.SKY,
}
LOWEST = -1.0  # bits/spike that are still drawn


def observed(results: Mapping[str, Any]) -> dict[str, float]:
    """What expected.json names; of a masking also what hiding a tenth and six tenths add to three tenths."""
    found = tables.numbers(results)
    for part, entries in tables.parts(results).items():
        for masking, of_ratio in tables.by_masking(entries).items():
            for ratio in {"0.1", "0.6"} & set(of_ratio) if "0.3" in of_ratio else ():
                for task, words in tables.TASKS.items():
                    pair = [tables.mean(of_ratio[one], task, kind=tables.kind_of(part)) for one in (ratio, "0.3")]
                    found[f"{part}: {tables.MASKINGS[masking]} at {ratio} minus 0.3, {words}"] = pair[0] - pair[1]
    return found


def draw(results: Mapping[str, Any]) -> bytes:
    """A panel a task: means over sessions against the share hidden; dashed the linear stack."""
    figure, panels = tables.grid(results, tuple(tables.TASKS))
    for axes, _, entries, task, kind in panels:
        known = tables.by_masking(entries)
        ratios = sorted({float(one) for found in known.values() for one in found if one != ANY})
        for masking, of_ratio in known.items():
            said, colour = tables.MASKINGS[masking], COLOURS[masking]
            if ANY in of_ratio:
                at = tables.mean(of_ratio[ANY], task, kind=kind)
                axes.plot(ratios, [at] * len(ratios), "-.", color=colour, label=said)
                continue
            across = [float(one) for one in of_ratio]
            middle = [tables.mean(entry, task, kind=kind) for entry in of_ratio.values()]
            axes.plot(across, middle, "o-", color=colour, ms=4, label=said)
        tables.level(axes, next(iter(entries.values())), task, kind)
        axes.set_ylim(bottom=max(axes.get_ylim()[0], LOWEST))
        axes.set_xticks(ratios)
        style.finish(axes, "share hidden", "bits/spike", tables.TASKS[task])
    shown = [one for one in tables.MASKINGS if any(one in tables.by_masking(panel.entries) for panel in panels)]
    marks = {}
    for one in shown:
        has_ratio = any(ANY not in tables.by_masking(panel.entries).get(one, {ANY: None}) for panel in panels)
        how = {"marker": "o", "ms": 4} if has_ratio else {"linestyle": "-."}
        marks[tables.MASKINGS[one] + ("" if has_ratio else ", has no ratio")] = {"color": COLOURS[one], **how}
    tables.explain(figure, marks, "train mean")
    return style.png_bytes(figure)


def told(part: str, entries: Mapping[str, Any]) -> Iterator[str]:
    """A row a masking and share."""
    rows = {
        f"{tables.MASKINGS[masking]}, {ratio}": entry
        for masking, of_ratio in tables.by_masking(entries).items()
        for ratio, entry in of_ratio.items()
    }
    yield tables.table("masking, share hidden", rows, tables.kind_of(part))


if __name__ == "__main__":
    tables.main(__doc__, HERE, observed, told, draw)
