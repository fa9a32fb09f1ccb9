"""A search for the recipe, one config field at a time, on validation trials of five mouse sessions.

    python experiments/recipe/run.py --phase=search [--only=NAME,...] [--runs=runs/recipe]

Arms are lines of arms.txt. An arm that results.jsonl already holds is skipped, one that was interrupted
goes on from its checkpoint; arms run one at a time and each finished arm is one line appended at once.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neurojax import metrics
from neurojax.commands import config as declarations
from neurojax.commands import runs as run_folders
from neurojax.data import batching
from neurojax.errors import Interrupted
from neurojax.evals import activity, protocols
from neurojax.files import write_bytes
from neurojax.main import main
from neurojax.train import loop, settings, sharding, workdir
from neurojax.train.predictor import Predictor
from neurojax.types import VALIDATION, Session

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RECORDINGS = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data")) / "steinmetz2019_sessions"
SEARCH = ("session1", "session4", "session5", "session8", "session10")
SEARCH_STEPS = 1500
SCORED_SHARE = 0.1  # of (trial, unit) pairs are left out one at a time in the search, the same in every arm
BUDGET_H = 12.0  # hours of two cores, both phases together


def read_arms(path: Path = HERE / "arms.txt") -> dict[str, dict[str, str]]:
    """Name -> field -> value, parents' fields included."""
    arms: dict[str, dict[str, str]] = {}
    for line in path.read_text().splitlines():
        line = line.partition("#")[0].strip()
        if not line:
            continue
        head, _, fields = line.partition(":")
        name, _, parent = (part.strip() for part in head.partition("<"))
        if name in arms or (parent and parent not in arms):
            raise SystemExit(f"arms.txt: {name!r} is there twice, or its parent {parent!r} is not above it")
        arms[name] = {**arms.get(parent, {}), **dict(field.split("=", 1) for field in fields.split())}
    return arms


def read_results(path: Path) -> list[dict]:
    """One dict a finished arm."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, entry: Mapping) -> None:
    """Adds a line; the file is the old one or the new one, whatever happens."""
    before = path.read_bytes() if path.exists() else b""
    write_bytes(path, before + (json.dumps(entry, allow_nan=False) + "\n").encode())


def converted(names: tuple[str, ...], root: Path) -> Path:
    """Session folders of these recordings."""
    files = [str(RECORDINGS / f"{name}.npz") for name in names]
    if not (root / "dataset.json").exists() and main(["convert", "arrays", *files, f"--out={root}", "--bin_ms=20"]):
        raise SystemExit(f"no recordings in {RECORDINGS}; set NEUROJAX_DATA to the folder of steinmetz2019_sessions")
    return root


def validation_scores(model: Predictor, session: Session, share: float) -> dict[str, dict]:
    """Task -> gain over the train mean, nats of each validation trial, its spikes, and pooled bits/spike.

    Leave-one-out tasks are scored on a share of (trial, unit) pairs, drawn once per session.
    """
    trials = session.trials_of(VALIDATION)
    rng = np.random.Generator(np.random.Philox(key=[11, int(session.session_id.removeprefix("session"))]))
    only = rng.random((len(trials), session.num_units)) < share
    counts, _ = session.gather_trials(trials)
    blocks = {}
    for task in protocols.TASKS:
        # A pass that hides a region predicts all of it: nothing is saved by scoring a share.
        chosen = only if task in ("co_smoothing", "intra_region") else np.ones_like(only)
        rates = activity.predict_session(model, session, [task], split=VALIDATION, only=chosen)[task]
        rates = np.where(chosen[:, None], rates, np.nan)
        sums = metrics.poisson_sums(rates, counts, session.mean_counts())
        gain, spikes = (sums.train_excess - sums.model_excess).sum(1), sums.spikes.sum(1)
        blocks[task] = {
            "bps_pooled_train_null": round(float(gain.sum() / spikes.sum() / np.log(2)), 5),
            "gain_nats": [round(float(value), 2) for value in gain],
            "spikes": [int(value) for value in spikes],
        }
    return blocks


def run_arm(name: str, fields: Mapping[str, str], root: Path, folder: Path, share: float) -> dict:
    """Trains one arm in `folder`, resuming, and scores it."""
    start = time.monotonic()
    overrides = {"data.root": str(root), "train.num_steps": str(SEARCH_STEPS), "train.validate_every_steps": "0"}
    arguments = [f"--config.{field}={value}" for field, value in {**overrides, **fields}.items()]
    config = declarations.load([f"--config={REPOSITORY / 'configs/mtm.py'}:size=small", *arguments])
    dataset = run_folders.load_data(config)
    recipe, batches = settings.recipe(config, dataset), settings.batching_config(config)
    hashed = workdir.config_hash(config)
    folder = folder / hashed[:16]  # an arm whose fields or defaults changed starts over
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "config_hash": hashed,
        "dataset_fingerprint": dataset.fingerprint,
        "bin_size_s": dataset.bin_size_s,
        "sessions": batching.session_table(dataset.sessions),
        "num_bins": recipe.model.num_positions,
    }
    state = loop.train(recipe, batches, settings.loop_config(config), dataset, folder, record)
    trained = time.monotonic()
    layout = batching.Layout.of(dataset.sessions)
    mesh = sharding.make_mesh(0, 1)
    model = Predictor(
        state.params, state.tables, recipe.model, layout, batches.bucket_units, mesh, recipe.masking.schemes
    )
    sessions = {session.session_id: validation_scores(model, session, share) for session in dataset.sessions}
    return {
        "arm": name,
        "fields": dict(fields),
        "mean": {
            task: round(float(np.mean([blocks[task]["bps_pooled_train_null"] for blocks in sessions.values()])), 5)
            for task in protocols.TASKS
        },
        "steps": recipe.num_steps,
        "train_s": round(trained - start, 1),
        "score_s": round(time.monotonic() - trained, 1),
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())),
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
        "hardware": f"{os.cpu_count()} CPU cores, {platform.machine()}",
        "config_hash": hashed,
        "sessions": sessions,
    }


def commit() -> str:
    """What `git describe` says of the code that ran."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()


def search(runs: Path, results: Path, only: tuple[str, ...]) -> None:
    """Every arm that has no result yet, in the order of arms.txt."""
    root = converted(SEARCH, runs / "search_data")
    for name, fields in read_arms().items():
        done = read_results(results)
        spent_h = sum((entry["train_s"] + entry["score_s"]) * entry["threads"] / 2 for entry in done) / 3600
        if any(entry["arm"] == name for entry in done) or (only and name not in only):
            continue
        if spent_h > BUDGET_H:
            raise SystemExit(f"{spent_h:.1f} h of two cores are spent, the budget is {BUDGET_H:g} h")
        print(f"arm {name}: {' '.join(f'{k}={v}' for k, v in fields.items())} ({spent_h:.2f} h spent)", flush=True)
        entry = run_arm(name, fields, root, runs / "search" / name, SCORED_SHARE)
        append(results, entry)
        print(name, entry["mean"], f"{entry['train_s']} + {entry['score_s']} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phase", choices=("search",), required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/recipe"))
    parser.add_argument("--results", type=Path, default=HERE / "results.jsonl")
    parser.add_argument("--only", type=lambda text: tuple(text.split(",")), default=())
    arguments = parser.parse_args()
    try:
        search(arguments.runs, arguments.results, arguments.only)
    except Interrupted as stopped:
        raise SystemExit(f"{stopped}; the same command goes on") from None
