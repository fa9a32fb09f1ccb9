"""Nine mouse sessions: MtM against temporal masking, linear baselines and the reference's published scores here.

    python experiments/real_sessions/run.py [--runs=runs/real_sessions]

Converts, trains `size=small` with both configs, evaluates, and writes results.json. Every stage
resumes: run the same command again after an interruption.
"""

import argparse
import json
import os
import time
from pathlib import Path

from neurojax.files import read_json, write_json
from neurojax.main import main
from neurojax.runs.workdir import provenance
from neurojax.runs.writer import read_metrics

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
TASKS = ("co_smoothing", "forward", "inter_region", "intra_region")
CHOSEN_ON = ("session1", "session10", "session4", "session5", "session8")  # recipe choices: validation split only
MODELS = {"mtm": "mtm.py", "temporal": "temporal.py"}


def step(*arguments: str) -> None:
    """Runs a neurojax command; stops at the first that fails."""
    print("$ neurojax", *arguments, flush=True)
    if code := main(arguments):
        raise SystemExit(code)


def timed_run(name: str, config: str, root: Path, folder: Path) -> None:
    """Trains and evaluates one model; keeps the wall time of the part that was not resumed."""
    start = time.monotonic()
    fresh = not (folder / "config.json").exists()
    step("train", f"--config={config}:size=small", f"--config.data.root={root}", f"--workdir={folder}")
    if fresh:
        write_json(folder / "wall.json", {"train_and_evaluate_s": time.monotonic() - start})


def collect(runs: Path) -> dict:
    """Everything figure.py and README quote."""
    results = {
        "command": "python experiments/real_sessions/run.py",
        **provenance(HERE),
        "chosen_on": list(CHOSEN_ON),
        "models": {},
    }
    for name in MODELS:
        evaluation = read_json(runs / name / "evaluation.json")
        wall = runs / name / "wall.json"
        results["models"][name] = {
            "step": evaluation["step"],
            "config_hash": evaluation["config_hash"],
            "training_s": max(line["time_s"] for line in read_metrics(runs / name) if "time_s" in line),
            **(read_json(wall) if wall.exists() else {}),
            "sessions": {
                session: {task: scores(entry["tasks"][task]) for task in TASKS}
                for session, entry in evaluation["sessions"].items()
            },
        }
        results["dataset_fingerprint"] = evaluation["dataset_fingerprint"]
        results["baselines"] = {
            baseline: {
                session: {task: scores(entry["baselines"][baseline][task]) for task in TASKS}
                for session, entry in evaluation["sessions"].items()
            }
            for baseline in next(iter(evaluation["sessions"].values()))["baselines"]
        }
    return results


def scores(block: dict) -> dict:
    """The pooled scores of one task, with standard error, and the unit mean beside them."""
    return {name: block.get(name) for name in ("bps_pooled", "bps_pooled_se", "bps_pooled_train_null", "bps_unit_mean")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/real_sessions"))
    runs = parser.parse_args().runs
    data = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data")) / "steinmetz2019_sessions"
    files = sorted(str(path) for path in data.glob("session*.npz"))
    if not files:
        raise SystemExit(f"no recordings in {data}; set NEUROJAX_DATA to the folder that holds steinmetz2019_sessions")
    root = runs / "data"
    step("convert", "arrays", *files, f"--out={root}", "--bin_ms=20")
    step("baselines", f"--data={root}", "--names=train_mean,psth,ridge")  # cached: not in the models' time
    for name, config in MODELS.items():
        timed_run(name, str(REPOSITORY / "configs" / config), root, runs / name)
    write_json(HERE / "results.json", collect(runs))
    print(json.dumps({name: model["training_s"] for name, model in read_json(HERE / "results.json")["models"].items()}))
