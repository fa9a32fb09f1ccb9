"""Draws experiments/gestures/people.png from results.json; needs no accelerator."""

import json
from pathlib import Path

from neurojax.report.figures import expected, people, style
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


if __name__ == "__main__":
    found = json.loads((HERE / "results.json").read_text())
    with style.context():
        (HERE / "people.png").write_bytes(style.png_bytes(people.accuracies(block(found), NAMES)))
    wanted = json.loads((HERE / "expected.json").read_text())
    floor = found["floors"]["lda"]["balanced_accuracy"]
    observed = {"lda": round(floor, 3), "model above lda": found["balanced_accuracy"] - floor}
    print("\n".join(expected.beside(observed, wanted)))
