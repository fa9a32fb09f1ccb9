"""Calibrated on one repetition of each gesture: networks that never saw a person, fine-tuned on its first 35 s.

    python experiments/gestures/few_shot.py [--runs=runs/gestures] [--out=runs/gestures_few_shot]

Takes the networks of run.py (run it first). For each of the 14 people with three rounds the network whose training
never saw the person is adapted (`neurojax adapt`) on repetition 0 of round 0 and tested on rounds 1 and 2, beside the
same network before, and linear discriminants and a perceptron of the same calibration. Writes few_shot.json after every
person; a repeated command goes on where it was.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from neurojax.commands import adapt
from neurojax.data.store.dataset import open_dataset
from neurojax.files import read_json, write_json
from neurojax.main import main
from neurojax.runs.workdir import provenance
from neurojax.scores.intervals import t_interval
from neurojax.train import run

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
MOST_ROUNDS = 3
READ_AS = ("network", "network by the past", "lda", "perceptron", "before", "before by the past")


def with_three_rounds(source: Path) -> list[Path]:
    """Files of the people who have them."""
    files = sorted(source.glob("*.npz"))
    return [path for path in files if len(np.unique(np.load(path, allow_pickle=False)["round"])) == MOST_ROUNDS]


def person(path: Path, runs: Path, out: Path) -> dict[str, float | None]:
    """Balanced accuracy in rounds 1 and 2 of each way to read the person."""
    root, folder = out / "people" / path.stem, out / path.stem
    if main(["convert", "emg", str(path), f"--out={root}", "--options=calibrate=1"]):
        raise SystemExit(f"{path} could not be converted")
    number = open_dataset(root).sessions[0].info["fold"]
    source = runs / f"fold_{number}"
    adapt.adapt(source, root=root, out=folder)
    tuned = run.evaluate(folder, out=out / f"{path.stem}.json", log=lambda line: None)["gestures"]
    before = run.evaluate(source, data=root, out=out / f"{path.stem}_before.json", log=lambda line: None)["gestures"]
    scores = {"network": tuned, "network by the past": tuned["past"], **tuned["floors"]}
    scores |= {"before": before, "before by the past": before["past"]}
    return {name: scores[name]["people"][path.stem]["balanced_accuracy"] for name in READ_AS}


def over_people(people: dict[str, dict[str, float]]) -> dict:
    """Means with 95 % intervals over people, and the network minus the others, paired."""
    together = {}
    for name in READ_AS:
        found = t_interval([one[name] for one in people.values()])
        less = [one["network"] - one[name] for one in people.values()]
        paired = t_interval(less)
        together[name] = {"balanced_accuracy": found.mean, "balanced_accuracy_ci95": list(found.ci95)}
        if name != "network":
            together[name] |= {"difference": paired.mean, "difference_ci95": list(paired.ci95)}
            together[name]["above"] = sum(gain > 0 for gain in less)
    return together


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/gestures"))
    parser.add_argument("--out", type=Path, default=Path("runs/gestures_few_shot"))
    return parser.parse_args()


if __name__ == "__main__":
    options = parsed()
    data = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
    where = HERE / "few_shot.json"
    results = read_json(where) if where.is_file() else {"people": {}}
    results |= {"command": "python experiments/gestures/few_shot.py", **provenance(HERE)}
    for path in with_three_rounds(data / "emg_myo_people"):
        if path.stem not in results["people"]:
            results["people"][path.stem] = person(path, options.runs, options.out)
            write_json(where, results)
        print(path.stem, {name: round(score, 3) for name, score in results["people"][path.stem].items()}, flush=True)
    results["over_people"] = over_people(results["people"])
    write_json(where, results)
    for name, one in results["over_people"].items():
        low, high = one["balanced_accuracy_ci95"]
        print(f"{name:20} {one['balanced_accuracy']:.3f} ({low:.3f} to {high:.3f}), {len(results['people'])} people")
