"""The eight Allen mice held back: one model of all eight beside the linear models, scored once.

python experiments/yardstick/run.py --part=held_back --runs=runs/yardstick
neurojax train --config=configs/mtm.py:size=small --config.data.root=runs/yardstick/held_back --workdir=runs/held_back
python experiments/yardstick/confirm.py --evaluation=runs/held_back/evaluation.json --commit=COMMIT   # keeps its scores
python experiments/yardstick/confirm.py                                               # the table, in seconds
"""

import argparse
from pathlib import Path

import numpy as np
from figure import HERE, TASKS, load

from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.scores import intervals

KEPT = HERE / "confirmation.json"
SET = "allen, held back"
LINEAR = ("train_mean", "drift", "same_bin_ridge", "ridge", "average", "stack", "stack_and_drift")


def keep(evaluation: dict, commit: str) -> dict:
    """What the table needs of an evaluation, and where it comes from: the commit that trained and scored the model."""
    sessions = {
        key: {task: round(entry["tasks"][task]["bps_pooled"], 4) for task in TASKS}
        for key, entry in evaluation["sessions"].items()
    }
    return (
        {name: evaluation[name] for name in ("step", "seed", "config_hash")}
        | provenance(HERE)
        | {"commit": commit, "sessions": sessions}
    )


def table(model: dict[str, dict[str, float]]) -> list[str]:
    """Means over the mice +- half of the 95 % interval (t), then the model minus the stack."""
    lines = load()[SET]
    methods = {name: {key: lines[key]["methods"][name] for key in model} for name in LINEAR} | {
        "`improved`, one model": model
    }
    rows = [f"| mean of {len(model)} mice | {' | '.join(TASKS.values())} |", "|---" * 5 + "|"]
    for name, sessions in methods.items():
        cells = []
        for task in TASKS:
            values = [scores[task] for scores in sessions.values() if scores.get(task) is not None]
            found = intervals.t_interval(values)
            cells.append("-" if found is None else f"{found.mean:.3f} +- {found.ci95[1] - found.mean:.3f}")
        rows.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    gains = {task: [model[key][task] - methods["stack"][key][task] for key in model] for task in TASKS}
    adjusted = intervals.holm({task: intervals.p_value(values) for task, values in gains.items()})
    found = {task: intervals.t_interval(values) for task, values in gains.items()}
    rows.append(
        "| minus the stack | "
        + " | ".join(f"{np.mean(v):+.3f} +- {found[t].ci95[1] - found[t].mean:.3f}" for t, v in gains.items())
        + " |"
    )
    rows.append("| mice above | " + " | ".join(f"{sum(x > 0 for x in v)} of {len(v)}" for v in gains.values()) + " |")
    rows.append(
        "| after Holm | "
        + " | ".join(f"{intervals.verdict(found[t].ci95, p)}, p {p:.2g}" for t, p in adjusted.items())
        + " |"
    )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluation", type=Path)
    parser.add_argument("--commit", help="of the code that trained and scored the model")
    arguments = parser.parse_args()
    if arguments.evaluation:
        write_json(KEPT, keep(read_json(arguments.evaluation), arguments.commit))
    print("\n".join(table(read_json(KEPT)["sessions"])))
