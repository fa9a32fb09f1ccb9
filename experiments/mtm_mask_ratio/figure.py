"""Draws each masking against the share that it hides, and prints the table; from results.json.

python experiments/mtm_mask_ratio/figure.py [--size=smoke|local|paper]
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

ANY = "any"  # of a masking without a ratio
COLOURS = tables.COLOURS | {
    "neuron": style.GREEN,
    "intra_region": style.ORANGE,
    "causal": style.PINK,
    "inter_region": style.SKY,
}
LOWEST = -1.0  # bits/spike that are still drawn


def curves(entries: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Masking -> ratio -> entry, ratios in order."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in sorted(entries.items()):
        masking, ratio = name.split("/")
        found.setdefault(masking, {})[ratio] = entry
    return {name: found[name] for name in tables.MASKINGS if name in found}


def observed(results: Mapping[str, Any]) -> dict[str, float]:
    """What expected.json names; of a masking also what hiding a tenth and six tenths add to three tenths."""
    found = tables.numbers(results)
    for part, entries in tables.parts(results).items():
        for masking, of_ratio in curves(entries).items():
            for ratio in {"0.1", "0.6"} & set(of_ratio) if "0.3" in of_ratio else ():
                for task, words in tables.TASKS.items():
                    pair = [tables.mean(of_ratio[one], task, kind=tables.kind_of(part)) for one in (ratio, "0.3")]
                    found[f"{part}: {tables.MASKINGS[masking]} at {ratio} minus 0.3, {words}"] = pair[0] - pair[1]
    return found


def draw(results: Mapping[str, Any]) -> bytes:
    """A panel a task: means over sessions against the share hidden; dashed the linear stack."""
    parts = tables.parts(results)
    figure, axes = tables.panels(tuple(tables.TASKS), len(parts))
    for row, (part, entries) in zip(axes, parts.items(), strict=True):
        kind = tables.kind_of(part)
        ratios = sorted({float(one) for found in curves(entries).values() for one in found if one != ANY})
        for panel, (task, words) in zip(row, tables.TASKS.items(), strict=True):
            for masking, of_ratio in curves(entries).items():
                said, colour = tables.MASKINGS[masking], COLOURS[masking]
                if ANY in of_ratio:
                    at = tables.mean(of_ratio[ANY], task, kind=kind)
                    panel.plot(ratios, [at] * len(ratios), ":", color=colour, label=said)
                    continue
                across = [float(one) for one in of_ratio]
                middle = [tables.mean(entry, task, kind=kind) for entry in of_ratio.values()]
                panel.plot(across, middle, "o-", color=colour, ms=4, label=said)
            tables.level(panel, next(iter(entries.values())), task, kind)
            panel.set_ylim(bottom=max(panel.get_ylim()[0], LOWEST))
            panel.set_xticks(ratios)
            style.finish(panel, "share hidden", "bits/spike", words)
    axes[0][-1].legend(loc="best", fontsize=6)
    return style.png_bytes(figure)


if __name__ == "__main__":
    size, results, out = tables.arguments(__doc__, HERE)
    for part, entries in tables.parts(results).items():
        rows = {
            f"{tables.MASKINGS[masking]}, {ratio}": entry
            for masking, of_ratio in curves(entries).items()
            for ratio, entry in of_ratio.items()
        }
        print(f"\n{tables.table('masking, share hidden', rows, tables.kind_of(part))}")
    print(f"\n{tables.told(HERE, size, observed(results))}\n\n{tables.origin(results)}")
    with style.context():
        write_bytes(out, draw(results))
