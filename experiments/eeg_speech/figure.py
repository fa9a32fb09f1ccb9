"""Draws experiments/eeg_speech/eeg_speech.png from results.json: the curve over data, and the muscle audit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
FULL = 2048


def observed(results: dict) -> dict[str, float | None]:
    """The values that expected.json names."""
    arms, summary = results["arms"], results["summary"]
    tiny = arms.get("curve/4", {}).get("retrieval", {})
    found = {
        "share of the best reader's top-1": summary.get("share_of_best"),
        "top-1 of the best reader": arms[f"curve/{FULL}"]["retrieval"]["ceiling"]["top1"],
        "top-1 with 4 trials of each person": tiny.get("top1"),
        "r2 of a line through the middle": summary.get("curve", {}).get("r2"),
    }
    gains = json.loads((HERE / "planted.json").read_text())["gains"]
    apart = [abs(one["summary"][f"{part}_minus_planted"]) for one in gains.values() for part in ("neural", "muscle")]
    found["largest distance from a planted accuracy"] = max(apart)
    removed = [one["summary"]["muscle_removed"] for one in gains.values()]
    removed += [one["channels_removed"] for name, one in summary.items() if name.startswith("bound/")]
    found["least share of the muscle's accuracy removed"] = min(one for one in removed if one is not None)
    return found


def draw(results: dict) -> style.Figure:
    """Top-1 over trials with the fitted middle; top-1 of the audit over the planted gain."""
    figure, axes = style.new_figure(9.0, 3.2, 1, 2)
    left, right = axes[0]
    curve, arms = results["summary"]["curve"], results["arms"]
    sizes, best = curve["sizes"], arms[f"curve/{FULL}"]["retrieval"]["ceiling"]["top1"]
    left.plot(sizes, curve["top1"], "o-", color=style.MODEL, label="model")
    ridge = [arms[f"curve/{size}"]["retrieval"]["floors"]["ridge"]["top1"] for size in sizes]
    left.plot(sizes, ridge, "s", color=style.CYCLE[1], label="ridge, each person alone")
    if curve.get("r2") is not None:
        middle = np.array(curve["sizes_of_middle"])
        line = curve["slope"] * np.log10(middle) + curve["offset"]
        left.plot(middle, line, color=style.GREY, linewidth=0.9, label=f"line, r2 {curve['r2']:.3f}")
    left.axhline(best, color="black", linestyle="--", linewidth=0.9, label="best reader")
    left.set_xscale("log")
    left.legend(fontsize=7)
    style.finish(left, "trials to train on, of each of 4 people", "top-1 of 512", "How much data it takes")
    gains = json.loads((HERE / "planted.json").read_text())["gains"]
    places, colours = range(len(gains)), (style.CYCLE[0], style.CYCLE[1])
    for colour, planted, training in zip(colours, ("brain alone", "jaw alone"), ("muscle", "rest"), strict=True):
        right.plot(places, [one[planted] for one in gains.values()], "x", color="black", markersize=7)
        found = [one[f"{training} swapped"]["as_trained"] for one in gains.values()]
        right.plot(places, found, "o-", color=colour, markersize=4, label=f"trained with the {training} swapped")
    for training, mark in (("as it is", "s-"), ("muscle swapped", "s:")):
        found = [one[training]["muscle_channels_alone"] for one in gains.values()]
        right.plot(places, found, mark, color=style.CYCLE[2], markersize=4, label=f"jaw channels alone, {training}")
    right.set_xticks(places, list(gains))
    right.legend(fontsize=6)
    style.finish(right, "planted gain of the jaw", "top-1", "Muscle audit (x: planted)")
    return figure


if __name__ == "__main__":
    content = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "eeg_speech.png").write_bytes(style.png_bytes(draw(content)))
    wanted = json.loads((HERE / "expected.json").read_text())
    print("\n".join(beside(observed(content), wanted)))
