"""Draws ratios.png from results.json and prints the quartiles.

python experiments/evaluation_speed/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.files import read_json, write_bytes
from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
GOAL = 1.1


def observed(results: dict) -> dict[str, float]:
    """The value that expected.json names: of the latest commit's rounds."""
    ratios = [row["evaluation_cpu_s"] / row["bare_cpu_s"] for row in results["runs"][-1]["rows"]]
    name = "CPU time of an evaluation / of its bare forward passes, median of the latest rounds"
    return {name: float(np.median(ratios))}


def main() -> None:
    results = read_json(HERE / "results.json")
    runs = results["runs"]
    print("\n".join(beside(observed(results), read_json(HERE / "expected.json"))))
    with style.context():
        figure, axes = style.new_figure(5.2, 1.6 + 0.5 * len(runs))
        axis = axes[0, 0]
        for place, run in enumerate(runs):
            for shift, kind, colour in ((-0.12, "cpu", style.MODEL), (0.12, "wall", style.GREY)):
                ratios = [row[f"evaluation_{kind}_s"] / row[f"bare_{kind}_s"] for row in run["rows"]]
                low, middle, high = np.percentile(ratios, [25, 50, 75])
                print(f"{run['commit']}, {run['device']}: {kind} {middle:.3f} [{low:.3f}, {high:.3f}], {len(ratios)}")
                label = f"{'CPU' if kind == 'cpu' else 'wall'} time" if place == 0 else None
                axis.plot(ratios, np.full(len(ratios), place + shift), "o", color=colour, alpha=0.4, markersize=4)
                error = [[middle - low], [high - middle]]
                axis.errorbar([middle], [place + shift], xerr=error, fmt="D", color=colour, capsize=4, label=label)
        axis.axvline(1, color=style.BLACK, linewidth=0.8)
        axis.axvline(GOAL, color=style.VERMILION, linewidth=0.9, linestyle=(0, (4, 3)), label=f"goal, {GOAL}")
        axis.set_yticks(range(len(runs)), [f"{run['units']} units,\n{run['trials']} trials" for run in runs])
        axis.set_ylim(-0.6, len(runs) - 0.4)
        style.legend_below(axis, 3)
        style.finish(
            axis, "time of evaluation / of its bare forward passes (no unit)", "", "Median and quartiles of rounds"
        )
        write_bytes(HERE / "ratios.png", style.png_bytes(figure))


if __name__ == "__main__":
    main()
