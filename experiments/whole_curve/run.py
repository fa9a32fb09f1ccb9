"""Learning curve over steps: one run at a constant rate with short branches that anneal, beside a run per length.

    python experiments/whole_curve/run.py [--runs=runs/whole_curve]

`configs/mtm.py:size=tiny` on its synthetic animals. Both schedules are made of the config's own entries: a rate that
stays at its peak is `final_divisor = 1 / initial_divisor`, and a branch from step s to step L is a run of L steps whose
peak lies at s (`warmup_share = s / L`), begun from the checkpoint of step s, moments and all. What results.json has is
skipped; an interrupted training goes on, its CPU seconds counted from its last start (no stored one was interrupted).
"""

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.commands import config as declarations
from neurojax.data.session import TEST, VALIDATION
from neurojax.evals import activity
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.scores import metrics
from neurojax.train import plan as planning
from neurojax.train import run, run_folder

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
LENGTHS = (50, 100, 200, 400, 800)
BRANCH_SHARE = 0.2  # of a length's steps; the first 80 % are the constant run's
CONSTANT_WARMUP_STEPS = 32
TASKS = ("co_smoothing", "forward")
SPLITS = {"validation": VALIDATION, "test": TEST}


def branch_point(length: int) -> int:
    """The step of the constant run at which the branch to a length begins."""
    return round(length * (1 - BRANCH_SHARE))


def cosine(length: int) -> dict[str, Any]:
    """The config as it is, of this length."""
    return declarations.load(
        [
            f"--config={HERE.parents[1] / 'configs/mtm.py'}:size=tiny",
            f"--config.train.num_steps={length}",
            "--config.train.validate_every_steps=0",
        ]
    )


def constant() -> dict[str, Any]:
    """The longest run at a constant rate, a checkpoint kept at every branch point."""
    points = [branch_point(length) for length in LENGTHS]
    config = cosine(max(points))
    optimizer = config["optimizer"]
    optimizer["final_divisor"] = 1 / optimizer["initial_divisor"]
    optimizer["warmup_share"] = CONSTANT_WARMUP_STEPS / max(points)
    every = int(np.gcd.reduce(points))
    config["train"].update(save_every_steps=every, keep_checkpoints=max(points) // every)
    return config


def branch(length: int) -> dict[str, Any]:
    """A run whose rate is at its peak where the branch begins, and falls to the end."""
    config = cosine(length)
    config["optimizer"]["warmup_share"] = branch_point(length) / length
    return config


def begin_at(folder: Path, base: Path, step: int) -> None:
    """Gives a new folder the checkpoint of one step of a run; one that has it stays as it is."""
    there = folder / "checkpoints" / str(step)
    if not (base / "checkpoints" / str(step)).exists():
        raise SystemExit(
            f"{base} has no checkpoint of step {step}; take 'constant' out of results.json to train it again"
        )
    if not there.exists():
        shutil.copytree(base / "checkpoints" / str(step), there.with_suffix(".copying"), dirs_exist_ok=True)
        there.with_suffix(".copying").rename(there)


def train(config: dict[str, Any], folder: Path, dataset=None) -> float:
    """Trains from where the folder's checkpoints stand, by default on the config's data; CPU seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.process_time()
    plan = planning.plan(config, folder, dataset, print)
    # Not `run.train`, which rightly refuses to go on with another schedule in a run's own folder.
    run._train(plan, folder, print, lambda: None)
    return round(time.process_time() - begun, 1)


def scores(config: dict[str, Any], folder: Path) -> dict[str, dict[str, float]]:
    """Split -> task -> pooled bits/spike over the mean of training trials, mean over sessions."""
    dataset = run_folder.load_data(config)
    model, _ = run_folder.load_predictor(folder, config, dataset)
    found = {}
    for name, split in SPLITS.items():
        of_sessions = {task: [] for task in TASKS}
        for session in dataset.sessions:
            counts, _ = session.gather_trials(session.trials_of(split))
            rates = activity.predict_session(model, session, TASKS, split=split)
            for task in TASKS:
                sums = metrics.poisson_sums(rates[task], counts, session.mean_counts())
                gain = (sums.train_excess - sums.model_excess).sum() / sums.spikes.sum() / np.log(2)
                of_sessions[task].append(float(gain))
        found[name] = {task: round(float(np.mean(values)), 5) for task, values in of_sessions.items()}
    return found


def main(runs: Path, lengths=LENGTHS) -> None:
    """Every run that results.json lacks."""
    results = read_json(RESULTS) if RESULTS.exists() else {}
    steady = runs / "constant"
    if "constant" not in results:
        results["constant"] = {"steps": constant()["train"]["num_steps"], "cpu_s": train(constant(), steady)}
        write_json(RESULTS, results | provenance(HERE))
    for length in lengths:
        for kind, config in (("cosine", cosine(length)), ("branch", branch(length))):
            name, folder = f"{kind} {length}", runs / f"{kind}_{length}"
            if name in results:
                continue
            if kind == "branch":
                begin_at(folder, steady, branch_point(length))
            cpu_s = train(config, folder)
            steps = length - (branch_point(length) if kind == "branch" else 0)
            results[name] = {"steps": steps, "cpu_s": cpu_s, **scores(config, folder)}
            write_json(RESULTS, results | provenance(HERE))
            print(name, results[name], flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/whole_curve"))
    main(parser.parse_args().runs)
