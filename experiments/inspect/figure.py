"""Draws figure.png from results.json: atoms found, what splicing in keeps, best features beside best units.

python experiments/inspect/figure.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from neurojax.files import read_json, write_bytes
from neurojax.report.figures import style

HERE = Path(__file__).resolve().parent
WORLDS = {"made_up": "synthetic animals", "mice": "nine mouse sessions"}
SIGNALS = {"feature": style.MODEL, "untrained feature": style.SKY, "unit": style.GREY, "smoothed_unit": style.ORANGE}
LATENT, CHOICE = "planted latent", "choice"


def observed(results: dict) -> dict[str, float]:
    """The numbers of expected.json."""
    found = {}
    for kind, runs in results["planted"]["kinds"].items():
        found[f"{kind}: mean best cosine with planted atoms"] = min(one["mean_cosine"] for one in runs)
        found[f"{kind}: share of dead features"] = max(one["dead_share"] for one in runs)
    for world, name in WORLDS.items():
        if world not in results:
            continue
        for number, block in results[world]["trained"]["splice_in"].items():
            found[f"{name}: share kept, {number} features on"] = block["kept_above_mean"]
            found[f"{name}: spliced over own bits/spike, {number} features on"] = block["kept"]
        for column, signals in compared(results[world]).items():
            found[f"{name}: {column}, best feature"] = signals["feature"]
            found[f"{name}: {column}, best feature less best unit"] = signals["feature"] - signals["unit"]
            found[f"{name}: {column}, best feature less that of the untrained model"] = (
                signals["feature"] - signals["untrained feature"]
            )
    return found


def compared(world: dict) -> dict[str, dict[str, float]]:
    """Column -> mean correlation on test trials of each signal; the planted latents as one column, their mean."""
    means = {}
    untrained = world["untrained"]["columns"]
    for column, block in world["trained"]["columns"].items():
        signals = {name: block["mean"][name] for name in ("feature", "unit", "smoothed_unit") if name in block["mean"]}
        signals["untrained feature"] = untrained[column]["mean"]["feature"]
        means.setdefault(LATENT if column.startswith(LATENT) else column, []).append(signals)
    return {
        column: {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        for column, found in means.items()
    }


def draw(results: dict):
    """The figure."""
    worlds = [world for world in WORLDS if world in results]
    figure, axes = plt.subplots(1, 1 + len(worlds), figsize=(4.2 + 3.6 * len(worlds), 3.4), layout="constrained")
    left = axes[0]
    for world in worlds:
        blocks = results[world]["trained"]["splice_in"]
        shares = [100 * block["kept_above_mean"] for block in blocks.values()]
        left.plot([int(number) for number in blocks], shares, "o-", label=WORLDS[world])
    left.axhline(95, color=style.GREY, linewidth=0.8, linestyle=":")
    left.set_xscale("log", base=2)
    left.set_xticks([4, 8, 16, 32], ["4", "8", "16", "32"])
    style.finish(left, "features on in a state", "kept of what states add (%)", "Splice-in")
    left.legend(loc="lower left")
    for axis, world in zip(axes[1:], worlds, strict=True):
        columns = compared(results[world])
        names = sorted(columns, key=lambda name: -columns[name]["feature"])[:8]
        for place, name in enumerate(names):
            axis.axhline(place, color=style.PALE, linewidth=0.6, zorder=0)
            for signal, colour in SIGNALS.items():
                if signal in columns[name]:
                    axis.plot(columns[name][signal], place, "o", color=colour)
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.axvline(0, color=style.GREY, linewidth=0.8)
        style.finish(axis, "correlation on test trials", "", WORLDS[world])
    dots = [
        axes[-1].plot([], [], "o", color=colour, label=signal.replace("_", " "))[0]
        for signal, colour in SIGNALS.items()
    ]
    figure.legend(handles=dots, loc="outside lower right", ncols=4)
    return figure


if __name__ == "__main__":
    with style.context():
        write_bytes(HERE / "figure.png", style.png_bytes(draw(read_json(HERE / "results.json"))))
