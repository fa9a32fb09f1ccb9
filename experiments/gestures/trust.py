"""When not to trust the networks of run.py: confusion, abstention, conformal sets, false activations, intervals.

    python experiments/gestures/trust.py [--runs=runs/gestures] [--floors=]

Evaluates the networks of run.py again (run it first), without floors or with those that are named (perceptron_ring: the
perceptron, each person in the order of electrodes that is found without labels), and writes trust.json.
"""

import argparse
from pathlib import Path

import numpy as np

from neurojax.evals import false_activations, gestures
from neurojax.files import write_json
from neurojax.runs.workdir import provenance
from neurojax.scores.intervals import t_interval
from neurojax.train import run, run_folder

HERE = Path(__file__).parent
SEGMENTS_OF_A_ROUND = 28


def evaluated(folder: Path, floors: str) -> dict:
    """The `gestures` block of a run with these floors."""
    config = run_folder.read_run(folder)
    config["eval"] |= {"floors": floors}
    dataset = gestures.prepare(run_folder.load_data(config), config["eval"], run=folder)
    return run.evaluate_run(folder, config, dataset, out=folder / "trust.json", log=lambda line: None)["gestures"]


def trust(blocks: list[dict]) -> dict:
    """Confusion, abstention, conformal sets and false activations of all folds together, person by person."""
    parts = [block["trust"] for block in blocks]
    weights = [block["num_people"] for block in blocks]
    abstaining = [one for part in parts for one in part["abstention"]["people"].values()]
    groups = {name: one for part in parts for name, one in part["conformal"]["groups"].items()}
    many = {name: one for name, one in groups.items() if one["own"]["num_cases"] > SEGMENTS_OF_A_ROUND}
    covered = {}
    for kind in ("own", "pooled"):
        own = [one[kind] for one in many.values()]
        covered[kind] = {
            "mean_coverage": float(np.mean([one["coverage"] for one in own])),
            "lowest_coverage": min(one["coverage"] for one in own),
            "highest_coverage": max(one["coverage"] for one in own),
            "mean_set_size": float(np.mean([one["mean_set_size"] for one in own])),
            "num_inside": sum(one["inside"] for one in own),
            "num_people": len(own),
        }
    resting = [one for part in parts for one in part["false_activations"]["people"].values()]
    holds = [name for name in resting[0] if name != "hours"]
    gated = [one for part in parts for one in part["gestures_by_gate"]["people"].values()]
    return {
        "confusion": np.average([part["confusion"] for part in parts], axis=0, weights=weights).tolist(),
        "abstention": {
            "coverage": parts[0]["abstention"]["coverage"],
            "risk": np.mean([one["risk"] for one in abstaining], axis=0).tolist(),
            "risk_low": np.quantile([one["risk"] for one in abstaining], 0.05, axis=0).tolist(),
            "risk_high": np.quantile([one["risk"] for one in abstaining], 0.95, axis=0).tolist(),
            "area": float(np.mean([one["area"] for one in abstaining])),
        },
        "conformal": {"nominal": parts[0]["conformal"]["nominal"], "groups": many, **covered},
        "false_activations": {
            name: false_activations.per_hour(
                sum(one[name] for one in resting), sum(one["hours"][name] for one in resting)
            )
            | {"people_with_none": sum(one[name] == 0 for one in resting), "num_people": len(resting)}
            for name in holds
        },
        "gestures_by_gate": {name: float(np.mean([one[name] for one in gated])) for name in ("found", "other")}
        | {"delay_s": float(np.median([one["delay_s"] for one in gated]))},
    }


def floors_of(blocks: list[dict]) -> dict:
    """Floors of all folds together, the network minus each paired over people."""
    people = {name: one["balanced_accuracy"] for block in blocks for name, one in block["people"].items()}
    found = {}
    for floor in blocks[0]["floors"]:
        rows = [block["floors"][floor]["people"].items() for block in blocks]
        own = {name: one["balanced_accuracy"] for row in rows for name, one in row}
        less = [people[name] - own[name] for name in own]
        score, difference = t_interval(list(own.values())), t_interval(less)
        found[floor] = {
            "balanced_accuracy": score.mean, "balanced_accuracy_ci95": list(score.ci95), "people": own,
            "difference": difference.mean, "difference_ci95": list(difference.ci95), "above": sum(d > 0 for d in less),
        }  # fmt: skip
    return found


def past_of(blocks: list[dict]) -> dict:
    """Balanced accuracy of people who are known by the past alone, all folds together."""
    people = {name: one["balanced_accuracy"] for block in blocks for name, one in block["past"]["people"].items()}
    found = t_interval(list(people.values()))
    return {"balanced_accuracy": found.mean, "balanced_accuracy_ci95": list(found.ci95), "people": people}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/gestures"))
    parser.add_argument("--floors", default="")
    return parser.parse_args()


if __name__ == "__main__":
    options = parsed()
    found = [evaluated(folder, options.floors) for folder in sorted(options.runs.glob("fold_*"))]
    intervals = {n: one["balanced_accuracy_ci95_segments"] for block in found for n, one in block["people"].items()}
    results = {
        "command": "python experiments/gestures/trust.py",
        **provenance(HERE),
        "people": {n: one["balanced_accuracy"] for block in found for n, one in block["people"].items()},
        "past": past_of(found),
        "class_names": found[0]["class_names"],
        "intervals": intervals,
        **trust(found),
        "floors": floors_of(found),
    }
    write_json(HERE / "trust.json", results)
    for kind in ("own", "pooled"):
        print(kind, results["conformal"][kind])
    print(results["abstention"]["risk"], results["false_activations"])
