"""Draws outcomes.png from results.json and prints the two numbers that expected.json names.

python experiments/perturbed_recordings/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.files import read_json, write_bytes
from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
COLOURS = {"right": style.BLUE, "counted": style.SKY, "refused": style.PALE, "FAILED": style.VERMILION}


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names."""
    return {
        "fewest cases of a door": min(map(len, results["cases"].values())),
        "failed cases of all doors": sum(numbers["FAILED"] for numbers in results["by_door"].values()),
    }


def draw(results: dict) -> bytes:
    """How the cases of each door ended."""
    doors = list(results["by_door"])
    figure, ((axis,),) = style.new_figure(7.0, 0.8 + 0.2 * len(doors))
    left = np.zeros(len(doors))
    for outcome, colour in COLOURS.items():
        cases = np.array([results["by_door"][door][outcome] for door in doors])
        axis.barh(range(len(doors)), cases, left=left, color=colour, label=outcome.lower())
        left += cases
    axis.set_yticks(range(len(doors)), doors)
    axis.invert_yaxis()
    style.finish(axis, "cases")
    figure.legend(loc="outside lower center", ncols=len(COLOURS))
    return style.png_bytes(figure)


if __name__ == "__main__":
    results = read_json(HERE / "results.json")
    with style.context():
        write_bytes(HERE / "outcomes.png", draw(results))
    print("\n".join(beside(observed(results), read_json(HERE / "expected.json"))))
