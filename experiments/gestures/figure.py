"""Draws experiments/gestures/people.png from results.json; needs no accelerator."""

import json
from pathlib import Path

from neurojax.report.expected import beside
from neurojax.report.figures import people, style
from neurojax.report.gesture_report import NAMES

HERE = Path(__file__).parent


def block(results: dict) -> dict:
    """results.json as evals.gesture_scores spells an evaluation."""
    spelled = {name: {"balanced_accuracy": value} for name, value in results["people"].items()}
    floors = {
        name: {"people": {person: {"balanced_accuracy": value} for person, value in floor["people"].items()}}
        for name, floor in results["floors"].items()
    }
    return {"people": spelled, "floors": floors, "chance": results["chance"]}


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names."""
    lda, perceptron = results["floors"]["lda"], results["floors"]["perceptron"]
    return {
        "lda": round(lda["balanced_accuracy"], 3),
        "perceptron": round(perceptron["balanced_accuracy"], 3),
        "model": round(results["balanced_accuracy"], 3),
        "model by the past alone": round(results["past"]["balanced_accuracy"], 3),
        "lower end of model above perceptron": perceptron["difference_ci95"][0],
        "people above perceptron": perceptron["above"],
    }


if __name__ == "__main__":
    found = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "people.png").write_bytes(style.png_bytes(people.accuracies(block(found), NAMES)))
    wanted = json.loads((HERE / "expected.json").read_text())
    print("\n".join(beside(observed(found), wanted)))
