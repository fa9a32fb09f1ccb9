"""Draws curves.png from results.json: what more parameters and more text do to the same pairs and their true texts.

python experiments/findings/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.analysis import scaling
from neurojax.data.synthetic import findings
from neurojax.files import read_json, write_bytes
from neurojax.report.figures import style

HERE = Path(__file__).parent
LABELS = {"parameters": "parameters", "documents": "abstracts told, each read twice"}


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names without a place: whether every larger size is better."""
    return {
        f"more {axis}: smallest gain of a size in right choices over the one before": float(
            np.diff(found["accuracy"]).min()
        )
        for axis, found in results["curves"].items()
    }


def draw(results: dict) -> bytes:
    """Above right choices beside reader and plateau, below nats a token with the forms' forecast."""
    figure, axes = style.new_figure(7.6, 5.4, 2, len(results["curves"]))
    plateau = findings.floors(findings.FindingsSpec())["state"]
    best = results["arms"]["base"]["best_reader"]["accuracy"]
    for (axis, found), above, below in zip(results["curves"].items(), *axes, strict=True):
        sizes, nats = np.array(found["sizes"]), found["nats_per_token"]
        above.plot(sizes, found["accuracy"], "o-", color=style.MODEL, label="model")
        above.axhline(best, color=style.ORACLE, linestyle=":", linewidth=0.9, label="best reader")
        above.axhline(plateau, color=style.GREY, linestyle="--", linewidth=0.9, label="overlooks the state")
        above.set_ylim(0.5, 0.86)
        curve = scaling.points(sizes, nats)
        forms = scaling.candidates(curve, limits=(0, np.inf))
        along = np.geomspace(sizes.min(), 2 * sizes.max(), 40)
        bands = [scaling.forecast_of(forms, curve, float(size)) for size in along]
        ends = [one.low for one in bands], [one.high for one in bands]
        below.fill_between(along, *ends, color=style.BLUE, alpha=0.25, linewidth=0, label="90 % of the curve")
        below.plot(along, [one.value for one in bands], color=style.BLUE, label="forms by their weight")
        below.plot(sizes, nats, "o", color=style.BLACK, markersize=4, label="model")
        room = 0.3 * float(np.ptp(nats))
        below.set_ylim(min(nats) - room, max(nats) + room)
        for one in (above, below):
            one.set_xscale("log")
        style.finish(above, LABELS[axis], "right choices", "")
        style.finish(below, LABELS[axis], "nats a token, true texts", "")
    axes[0, 0].legend(loc="lower right", fontsize=7)
    axes[1, 0].legend(loc="upper right", fontsize=7)
    return style.png_bytes(figure)


if __name__ == "__main__":
    results = read_json(HERE / "results.json")
    with style.context():
        write_bytes(HERE / "curves.png", draw(results))
    print("\n".join(f"{name}: {value:.3f}" for name, value in observed(results).items()))
