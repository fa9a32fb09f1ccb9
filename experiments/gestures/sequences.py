"""Networks that read frames of signals, on people never seen: fold 0 each, all five folds of the best on validation.

    python experiments/gestures/sequences.py [--runs=runs/gestures]   # about 10 minutes of CPU time; resumes
    python experiments/gestures/sequences.py --network=ring --fold=0  # a part alone, beside others
    python experiments/gestures/sequences.py --finished               # what there is so far, nothing trained

Each is trained as `neurojax train --config=configs/emg.py:NAME` with 400 steps, a number set with the first of them on
the people who validate fold 0 (those of fold 4); nothing is chosen by a tested person. Read as worn. Writes
sequences.json, where each network has the commits that it was trained at (NAME_trained_at.json beside its run).
"""

import argparse
import json
import os
from pathlib import Path

from run import HERE, REPOSITORY, step, summary

from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.scores.intervals import t_interval

NUM_STEPS, NUM_FOLDS = 400, 5
NETWORKS = {
    "lstm": ("lstm",),
    "conformer": ("conformer",),
    "time_depth": ("time_depth",),
    "ring": ("ring",),  # the rotation-invariant perceptron alone
    "ring, then lstm": ("ring", "--config.model.num_layers=2"),
}


def folder_of(name: str, fold: int, runs: Path) -> Path:
    """Of the run of a network that tests one fold."""
    return runs / "sequences" / f"{name.replace(', ', '_').replace(' ', '_')}_{fold}"


def finished(name: str, fold: int, runs: Path) -> dict | None:
    """Scores of a run that is evaluated; None of another."""
    folder = folder_of(name, fold, runs)
    return scores(folder) if (folder / "evaluation.json").exists() else None


def trained(name: str, fold: int, runs: Path, data: Path) -> dict:
    """Trains and evaluates a network on one fold; see `scores`."""
    root = runs / f"split_{fold}"
    step("convert", "emg", str(data / "emg_myo_people"), f"--out={root}", f"--options=test_fold={fold}")
    argument, *more = NETWORKS[name]
    folder = folder_of(name, fold, runs)
    if not (folder / "evaluation.json").exists():
        note_commit(folder)
    step(
        "train", f"--config={REPOSITORY / 'configs' / 'emg.py'}:{argument}", f"--config.data.root={root}", *more,
        f"--config.train.num_steps={NUM_STEPS}", "--config.train.validate_every_steps=100", "--config.eval.floors=",
        f"--workdir={folder}",
    )  # fmt: skip
    return scores(folder)


def trained_at(folder: Path) -> list[str]:
    """Commits that a run was trained at: several where it went on at another one."""
    path = folder.with_name(f"{folder.name}_trained_at.json")
    if path.exists():
        return read_json(path)["commits"]
    return ["not known"] if folder.exists() else []


def note_commit(folder: Path) -> None:
    """Adds the commit of this checkout to those of a run that is about to be trained."""
    commits = list(dict.fromkeys([*trained_at(folder), provenance(HERE)["commit"]]))
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_json(folder.with_name(f"{folder.name}_trained_at.json"), {"commits": commits})


def scores(folder: Path) -> dict:
    """Of a run: its last validation, each tested person's balanced accuracy, what it cost, where it was trained."""
    evaluation = read_json(folder / "evaluation.json")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    validated = [one["validation/label_accuracy"] for one in lines if "validation/label_accuracy" in one]
    people = {person: one["balanced_accuracy"] for person, one in evaluation["gestures"]["people"].items()}
    shown = {"validation_accuracy": validated[-1], "people": people, "cost": evaluation.get("cost", {})}
    return {"trained_at": trained_at(folder), **shown}


def compared(people: dict[str, float], others: dict[str, float]) -> dict:
    """Paired difference over people with its interval, and in how many it is above."""
    less = t_interval([people[name] - others[name] for name in people])
    above = sum(people[name] > others[name] for name in people)
    return {"difference": less.mean, "difference_ci95": list(less.ci95), "above": above}


def against(people: dict[str, float], references: dict[str, dict[str, float]]) -> dict[str, dict]:
    """`compared` with each of several other readers of the same people."""
    return {name: compared(people, others) for name, others in references.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/gestures"))
    parser.add_argument("--network", choices=list(NETWORKS))
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--finished", action="store_true")
    options = parser.parse_args()
    runs, data = options.runs, Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
    if options.network:
        return print(trained(options.network, options.fold, runs, data)["validation_accuracy"])

    def done(name: str, fold: int) -> dict | None:
        return finished(name, fold, runs) if options.finished else trained(name, fold, runs, data)

    first = {name: one for name in NETWORKS if (one := done(name, 0))}
    best = max(first, key=lambda name: first[name]["validation_accuracy"])
    folds = [one for fold in range(NUM_FOLDS) if (one := done(best, fold))]
    stored = read_json(HERE / "results.json")
    references = {"network of emg.py": stored["people"], "network of emg.py as worn": stored["as_worn"]["people"]}
    references |= {name: floor["people"] for name, floor in stored["floors"].items()}
    same = {name: {one: all_of[one] for one in first[best]["people"]} for name, all_of in references.items()}
    results = {
        "command": "python experiments/gestures/sequences.py",
        **provenance(HERE),
        "num_steps": NUM_STEPS,
        "fold_0": {
            name: {**summary(one["people"]), **one, "against": against(one["people"], references)}
            for name, one in first.items()
        },
        "fold_0_references": {name: summary(one) for name, one in same.items()},
        "not_trained": [name for name in NETWORKS if name not in first],
        "best_on_validation": best,
        "folds_of_best": len(folds),
    }
    if len(folds) == NUM_FOLDS:
        people = {name: value for one in folds for name, value in one["people"].items()}
        commits = list(dict.fromkeys(commit for one in folds for commit in one["trained_at"]))
        all_people = {"trained_at": commits, "num_people": len(people), **summary(people), "people": people}
        results["five_folds"] = all_people | {"against": against(people, references)}
    write_json(HERE / "sequences.json", results)
    for name, one in results["fold_0"].items():
        low, high = one["balanced_accuracy_ci95"]
        told = f"validation {one['validation_accuracy']:.3f}, fold 0 {one['balanced_accuracy']:.3f}"
        print(f"{name:16} {told} ({low:.3f} to {high:.3f})", one["cost"].get("shared_parameters"))
    for name, one in results["fold_0_references"].items():
        print(f"{name:26} fold 0 {one['balanced_accuracy']:.3f}")
    for name, one in results.get("five_folds", {"against": {}})["against"].items():
        low, high = one["difference_ci95"]
        print(f"{best} less {name}: {one['difference']:+.3f} ({low:+.3f} to {high:+.3f}), above in {one['above']}")


if __name__ == "__main__":
    main()
