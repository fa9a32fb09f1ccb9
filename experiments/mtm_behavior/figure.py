"""Draws behaviour read out of MtM against temporal masking and spikes, session by session; from results.json.

python experiments/mtm_behavior/figure.py [--size=smoke|local|paper]
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


def gains(entries: Mapping[str, Any], column: str) -> dict[str, np.ndarray]:
    """What MtM is ahead of, session by session: words -> differences [S]."""
    model = tables.values(entries["mtm"], column)
    found = {"MtM minus temporal": tables.values(entries["temporal"], column)} if "temporal" in entries else {}
    found["MtM minus spikes"] = tables.values(entries["mtm"], column, "stack")
    return {words: model - other for words, other in found.items() if len(other) == len(model) and len(model)}


def observed(results: Mapping[str, Any]) -> dict[str, float]:
    """What expected.json names."""
    found = tables.numbers(results)
    for part, entries in tables.parts(results).items():
        for column, words in tables.BEHAVIOURS.items() if "mtm" in entries else ():
            for said, difference in gains(entries, column).items():
                found[f"{part}: {said}, {words}"] = float(difference.mean())
    return found


def draw(results: Mapping[str, Any]) -> bytes:
    """A panel a behaviour of a set of recordings: a dot a session, MtM up, temporal masking and spikes across."""
    shown = [
        (part, entries, column)
        for part, entries in tables.parts(results).items()
        for column in tables.columns(list(entries.values()))
        if column in tables.BEHAVIOURS and "mtm" in entries
    ]
    figure, axes = style.new_figure(2.9 * len(shown), 3.2, 1, len(shown))
    for panel, (part, entries, column) in zip(axes[0], shown, strict=True):
        model = tables.values(entries["mtm"], column)
        across = {"spikes": (entries["mtm"], "stack", style.GREY)}
        if "temporal" in entries:
            across["temporal masking"] = (entries["temporal"], "model", style.VERMILION)
        for words, (entry, predictor, colour) in across.items():
            other = tables.values(entry, column, predictor)
            panel.scatter(other, model, s=22, color=colour, label=words, alpha=0.8, linewidths=0)
        edges = [min(panel.get_xlim()[0], panel.get_ylim()[0]), max(panel.get_xlim()[1], panel.get_ylim()[1])]
        panel.plot(edges, edges, color=style.BLACK, linewidth=0.8)
        recordings = tables.RECORDINGS[part].replace(", ", ",\n")
        title = f"{tables.WORDS[column].partition(',')[0]}\n{recordings}"
        style.finish(panel, tables.unit(column), f"MtM, {tables.unit(column)}", title)
    axes[0][0].legend(loc="lower right")
    return style.png_bytes(figure)


def told(part: str, entries: Mapping[str, Any]) -> Iterator[str]:
    """A row a masking, the read-outs beside them, then what MtM is ahead of."""
    columns = [one for one in tables.columns(list(entries.values())) if one in tables.BEHAVIOURS]
    yield f"| {tables.RECORDINGS[part]} | {' | '.join(tables.WORDS[one] for one in columns)} |"
    yield f"|{'---|' * (len(columns) + 1)}"
    rows = {tables.MASKINGS[name]: [tables.values(entry, one) for one in columns] for name, entry in entries.items()}
    for predictor, words in (("stack", "spikes"), ("train_mean", "chance")):
        rows[words] = [tables.values(entries["mtm"], one, predictor) for one in columns]
    for words, found in rows.items():
        yield f"| {words} | {' | '.join(map(tables.cell, found))} |"
    for words in gains(entries, columns[0]):
        cells = [tables.cell(gains(entries, one)[words], signed=True) for one in columns]
        yield f"| {words} | {' | '.join(cells)} |"


if __name__ == "__main__":
    tables.main(__doc__, HERE, observed, told, draw)
