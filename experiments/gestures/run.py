"""Gestures from surface EMG: the network of configs/emg.py and its floors, each fold of people tested once.

    python experiments/gestures/run.py [--runs=runs/gestures] [--folds=0,1,2,3,4]

Converts the 27 people, trains a network a fold on the people of the four others, evaluates and writes
results.json. Every stage resumes: run the same command again after an interruption.
"""

import argparse
import os
from pathlib import Path

from neurojax.files import read_json, write_json
from neurojax.main import main
from neurojax.runs.workdir import provenance
from neurojax.scores.intervals import t_interval

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
FLOORS = "lda,perceptron"


def step(*arguments: str) -> None:
    """Runs a neurojax command; stops at the first that fails."""
    print("$ neurojax", *arguments, flush=True)
    if code := main(arguments):
        raise SystemExit(code)


def fold(number: int, root: Path, runs: Path) -> dict:
    """The `gestures` block of a run whose test people are those of one fold."""
    folder = runs / f"fold_{number}"
    step(
        "train", f"--config={REPOSITORY / 'configs' / 'emg.py'}", f"--config.data.root={root}",
        f"--config.data.fold={number}", f"--config.eval.floors={FLOORS}", f"--workdir={folder}",
    )  # fmt: skip
    return read_json(folder / "evaluation.json")["gestures"]


def over_people(blocks: list[dict]) -> dict:
    """Scores of all folds together: each person was tested once, by a model that never saw it."""
    people = {name: one["balanced_accuracy"] for block in blocks for name, one in block["people"].items()}
    together = {
        "num_people": len(people),
        "chance": blocks[0]["chance"],
        **summary(people),
        "people": people,
        "order": {name: order for block in blocks for name, order in block["order"].items() if order != "as worn"},
        "floors": {},
    }
    for part in ("past", "as_worn"):
        scores = {name: one["balanced_accuracy"] for block in blocks for name, one in block[part]["people"].items()}
        together[part] = {**summary(scores), "people": scores}
    for floor in blocks[0]["floors"]:
        scores = {
            name: one["balanced_accuracy"] for block in blocks for name, one in block["floors"][floor]["people"].items()
        }
        less = t_interval([people[name] - scores[name] for name in people])
        difference = {"difference": less.mean, "difference_ci95": list(less.ci95)}
        difference["above"] = sum(people[name] > scores[name] for name in people)
        by_past = [together["past"]["people"][name] - scores[name] for name in people]
        difference["past_difference"], difference["past_above"] = t_interval(by_past).mean, sum(d > 0 for d in by_past)
        difference["past_difference_ci95"] = list(t_interval(by_past).ci95)
        together["floors"][floor] = {**summary(scores), **difference, "people": scores}
    return together


def summary(scores: dict[str, float]) -> dict:
    """Mean over people with its 95 % interval (t)."""
    found = t_interval(list(scores.values()))
    return {"balanced_accuracy": found.mean, "balanced_accuracy_ci95": list(found.ci95)}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/gestures"))
    parser.add_argument("--folds", default="0,1,2,3,4")
    return parser.parse_args()


if __name__ == "__main__":
    options = parsed()
    data = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
    root = options.runs / "people"
    step("convert", "emg", str(data / "emg_myo_people"), f"--out={root}")
    found = [fold(int(number), root, options.runs) for number in options.folds.split(",")]
    results = {"command": "python experiments/gestures/run.py", **provenance(HERE), **over_people(found)}
    write_json(HERE / "results.json", results)
    parts = {name: results[name] for name in ("past", "as_worn")}
    for name, one in {"model": results, **parts, **results["floors"]}.items():
        low, high = one["balanced_accuracy_ci95"]
        print(f"{name:12} {one['balanced_accuracy']:.3f} ({low:.3f} to {high:.3f}), {results['num_people']} people")
