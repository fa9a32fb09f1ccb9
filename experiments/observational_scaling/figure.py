"""Draws families.png from results.json and prints the numbers of expected.json.

python experiments/observational_scaling/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.files import read_json, write_bytes
from neurojax.report.expected import at, beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
SHOWN = ("OPT", "Pythia", "BLOOM", "Llama", "Qwen1.5", "Cerebras-GPT")


def draw(results: dict) -> bytes:
    """The first component against compute, and errors above the cut of three ways to foretell a task."""
    figure, ((left, right),) = style.new_figure(9.2, 3.8, 1, 2)
    models = [one for one in results["models"] if one["log_compute"] is not None]
    others = [one for one in models if one["family"] not in SHOWN]
    left.plot(
        [m["log_compute"] for m in others], [m["component"] for m in others], ".", color=style.PALE, label="others"
    )
    for family, colour in zip(SHOWN, style.CYCLE, strict=False):
        own = sorted((m["log_compute"], m["component"]) for m in models if m["family"] == family)
        label = f"{family}, R$^2$ {results['families'][family]['r2']:.3f}"
        left.plot(*zip(*own, strict=True), "o-", ms=4, color=colour, label=label)
    left.legend(fontsize=7)
    share = f"{100 * results['first_component']:.1f} % of the variance"
    style.finish(left, "log10 of training operations / 10$^{21}$", f"first component ({share})", "Within a family")
    names, height = list(results["tasks"]), 0.26
    ways = {"three_components": style.BLUE, "log_compute": style.ORANGE, "best_of_the_seen": style.GREY}
    for place, (way, colour) in enumerate(ways.items()):
        values = [results["tasks"][name][way] for name in names]
        spots = np.arange(len(names)) + height * (place - 1)
        right.barh(spots, values, height, color=colour, label=way.replace("_", " "))
    right.set_yticks(range(len(names)), [name.partition("_2_")[0].replace("_", " ") for name in names])
    right.invert_yaxis()
    right.legend(fontsize=7)
    style.finish(right, "mean absolute error above the cut", "", "New tasks")
    return style.png_bytes(figure)


if __name__ == "__main__":
    results, expected = read_json(HERE / "results.json"), read_json(HERE / "expected.json")
    with style.context():
        write_bytes(HERE / "families.png", draw(results))
    print("\n".join(beside({name: at(results, one["observed"][1:]) for name, one in expected.items()}, expected)))
