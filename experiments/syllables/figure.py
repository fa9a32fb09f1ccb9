"""Draws syllables.png from results.json and prints the table of the README.

python experiments/syllables/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.evals.tables import align
from neurojax.files import read_json, write_bytes
from neurojax.report.figures import style

HERE = Path(__file__).parent
ROWS = ("best reader", "model", "mixture of Gaussians", "k-means")
COLOURS = dict(zip(ROWS, (style.ORACLE, style.MODEL, style.GREY, style.ORANGE), strict=True))


def by_drive(results: dict) -> dict[str, list[dict]]:
    """The animals of each setting of the noise."""
    found: dict[str, list[dict]] = {}
    for name, entry in results["planted"].items():
        found.setdefault(name.split(",")[0], []).append(entry)
    return found


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names without a place."""
    planted = list(results["planted"].values())
    largest = [entry["largest_mb"] for entry in results["memory"].values()]
    return {
        "least adjusted Rand": min(one["adjusted_rand"]["model"] for one in planted),
        "largest distance to the best reader": max(
            one["adjusted_rand"]["best reader"] - one["adjusted_rand"]["model"] for one in planted
        ),
        "largest distance of transitions": max(one["transitions_distance"] for one in planted),
        "median duration found over planted": float(np.median([one["median_duration_ratio"] for one in planted])),
        "memory of the longest over the shortest": largest[-1] / largest[0],
        "least balanced accuracy from spikes": min(one["balanced_accuracy"] for one in results["spikes"].values()),
    }


def draw(results: dict) -> bytes:
    """Left the adjusted Rand by noise, right the memory by length."""
    figure, ((left, right),) = style.new_figure(7.6, 3.4, 1, 2)
    found = by_drive(results)
    for name in ROWS:
        values = np.array([[one["adjusted_rand"][name] for one in animals] for animals in found.values()])
        at = np.arange(len(values))
        left.plot(at, values.mean(1), color=COLOURS[name], label=name)
        left.plot(np.repeat(at, values.shape[1]), values.ravel(), "o", color=COLOURS[name], markersize=3)
    left.set_xticks(range(len(found)), [name.removeprefix("drive ") for name in found])
    left.axhline(0.8, color=style.GREY, linestyle=":", linewidth=0.9)
    left.text(0, 0.81, "goal", fontsize=7, color=style.GREY)
    left.set_ylim(0, 1)
    left.legend(loc="center right", fontsize=7)
    style.finish(left, "noise of the posture, units a frame", "adjusted Rand index", "Planted syllables")
    frames = [int(name.split()[0]) for name in results["memory"]]
    right.plot(frames, [one["largest_mb"] for one in results["memory"].values()], "o-", color=style.MODEL)
    right.set_xscale("log")
    right.set_ylim(0, 1.15 * max(one["largest_mb"] for one in results["memory"].values()))
    right.set_xticks(frames, [f"{n:,}" for n in frames])
    right.minorticks_off()
    style.finish(right, "frames", "largest memory, MB", "Memory")
    return style.png_bytes(figure)


def table(results: dict) -> list[str]:
    """Adjusted Rand, mean over the animals, a line a setting."""
    rows = [("noise", *ROWS, "transitions", "durations")]
    for name, animals in by_drive(results).items():
        scores = [f"{np.mean([one['adjusted_rand'][row] for one in animals]):.3f}" for row in ROWS]
        follow = np.mean([one["transitions_distance"] for one in animals])
        rows.append((name, *scores, f"{follow:.3f}", f"{np.mean([a['median_duration_ratio'] for a in animals]):.2f}"))
    return align(rows)


if __name__ == "__main__":
    results = read_json(HERE / "results.json")
    with style.context():
        write_bytes(HERE / "syllables.png", draw(results))
    print("\n".join(table(results)))
    print(*(f"{name}: {value:.3f}" for name, value in observed(results).items()), sep="\n")
