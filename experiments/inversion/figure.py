"""Draws experiments/inversion/mice.png from results.json; needs no accelerator."""

import json
from pathlib import Path

import numpy as np

from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
NAMES = {"bayes": "inversion", "raw": "ridge"}


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names."""
    mean = results["mean"]
    return {
        "R2 of inversion, x": round(mean["bayes"]["r2_x"], 3),
        "R2 of inversion, y": round(mean["bayes"]["r2_y"], 3),
        "R2 of ridge, x": round(mean["raw"]["r2_x"], 3),
        "R2 of ridge, y": round(mean["raw"]["r2_y"], 3),
    }


def drawn(results: dict):
    """R2 and median error of each mouse, by inversion against ridge."""
    figure, axes = style.new_figure(7.0, 3.2, 1, 2)
    sessions = [one["read_outs"] for one in results["sessions"].values()]
    for axis, key, title in zip(axes[0], ("r2", "median_error_deg"), ("R2", "median error, degrees"), strict=True):
        pairs = np.array([[one[name][key] for name in ("raw", "bayes")] for one in sessions])
        axis.plot(*pairs.T, ".", color=style.MODEL)
        ends = [pairs.min(), pairs.max()]
        axis.plot(ends, ends, color=style.GREY, linewidth=0.8)
        style.finish(axis, NAMES["raw"], NAMES["bayes"], title)
    return figure


if __name__ == "__main__":
    found = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "mice.png").write_bytes(style.png_bytes(drawn(found)))
    wanted = json.loads((HERE / "expected.json").read_text())
    print("\n".join(beside(observed(found), wanted)))
