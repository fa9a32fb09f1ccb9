"""Draws experiments/eeg_speech/eeg_speech.png from results.json: the curve over data, and the muscle bound."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
FULL = 2048
SHOWN = {
    "as_trained": "as it is",
    "muscle_channels_alone": "jaw channels alone",
    "muscle_kept": "jaw kept, rest swapped",
    "neural_kept": "rest kept, jaw swapped",
}


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
    apart, removed = [], []
    for gain in ("0", "0.3", "1", "3"):
        one = summary.get(f"bound/{gain}")
        if one is None:
            apart.append(None)
            continue
        apart += [abs(one[f"{part}_minus_planted"]) for part in ("neural", "muscle", "channels")]
        removed += [one["muscle_removed"]] if one["muscle_removed"] is not None else []
    found["largest distance from a planted accuracy"] = None if None in apart else max(apart)
    found["least share of the muscle's accuracy removed"] = min(removed) if removed and None not in apart else None
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
    gains = [gain for gain in ("0", "0.3", "1", "3") if f"bound/{gain}" in results["summary"]]
    for place, (name, words) in enumerate(SHOWN.items()):
        colour = style.CYCLE[place % len(style.CYCLE)]
        for arm, mark in (("", "o-"), ("/swapped", "^:")):
            values = [arms[f"bound/{gain}{arm}"]["muscle_bound"]["model"][name] for gain in gains]
            right.plot(range(len(gains)), values, mark, color=colour, label=None if arm else words, markersize=4)
        best = [arms[f"bound/{gain}"]["muscle_bound"]["bayes"][name] for gain in gains]
        right.plot(range(len(gains)), best, "x", color="black", markersize=6)
    right.set_xticks(range(len(gains)), gains)
    right.legend(fontsize=6)
    style.finish(right, "planted gain of the jaw", "top-1", "Muscle bound (x: best reader; dotted: trained swapped)")
    return figure


if __name__ == "__main__":
    content = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "eeg_speech.png").write_bytes(style.png_bytes(draw(content)))
    wanted = json.loads((HERE / "expected.json").read_text())
    print("\n".join(beside(observed(content), wanted)))
