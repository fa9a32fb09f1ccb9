"""Masked prediction of made-up calcium traces, configs/traces.py at size=tiny, beside ridge and an autoregression.

    python experiments/traces/run.py [--runs=runs/traces]

Two sessions of 40 and 50 cells: four latents that decay, and as much noise as signal. Under a minute of CPU time.
Writes results.json.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from neurojax.commands import config
from neurojax.data.real_values import from_values
from neurojax.data.session import Session
from neurojax.data.store.dataset import write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.files import write_json
from neurojax.runs.versions import provenance
from neurojax.train.run import train_and_evaluate

HERE = Path(__file__).parent
DECAY = np.array([0.95, 0.9, 0.85, 0.8])  # of the latents, a frame
SESSIONS = {"day_1": (0, 40), "day_2": (1, 50)}  # name -> seed, cells
TRIALS, FRAMES, SAMPLING_HZ = 100, 40, 10


def made(name: str, seed: int, cells: int) -> tuple[Session, np.ndarray]:
    """A session [trials x frames, cells], and the R2 [cells] that the other cells of the same frame allow."""
    rng, total = np.random.default_rng(seed), TRIALS * FRAMES
    latents, drive = np.zeros((total, len(DECAY))), rng.standard_normal((total, len(DECAY)))
    for t in range(1, total):
        latents[t] = DECAY * latents[t - 1] + np.sqrt(1 - DECAY**2) * drive[t]
    loadings, gain = rng.standard_normal((len(DECAY), cells)) / 2, rng.uniform(5, 500, cells)
    values = latents @ loadings + rng.standard_normal((total, cells))
    values = rng.uniform(0, 1000, cells) + gain * values
    split = np.repeat(np.tile([0, 0, 0, 1, 2], TRIALS // 10), 2)  # blocks of ten trials: six, two and two
    session = from_values(
        values, sampling_hz=SAMPLING_HZ, unit="a.u.", session_id=name, split=split, trial_num_bins=FRAMES,
        trial_start_bin=np.arange(TRIALS) * FRAMES, region=np.repeat(("V1", "LM"), cells // 2),
    )  # fmt: skip
    covariance = loadings.T @ loadings + np.eye(cells)
    # Of a normal variable given all others one over the diagonal of the inverse covariance is left.
    return session, 1 - 1 / (np.diag(np.linalg.inv(covariance)) * np.diag(covariance))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/traces"))
    given = parser.parse_args()
    about, same_frame = provenance(HERE), {}
    for name, (seed, cells) in SESSIONS.items():
        session, allowed = made(name, seed, cells)
        same_frame[name] = float(allowed.mean())
        if not (given.runs / "data" / name).exists():
            write_session(session, given.runs / "data")
    write_dataset_index(given.runs / "data")
    fields = (f"data.root={given.runs / 'data'}", "seed=0")
    declared = config.load(["--config=traces:size=tiny", *(f"--config.{field}" for field in fields)])
    begun = time.process_time()
    record = train_and_evaluate(declared, given.runs / "run")
    about |= {"command": "python experiments/traces/run.py", "cpu_s": round(time.process_time() - begun, 1)}
    sessions = {
        name: {"num_cells": SESSIONS[name][1], "same_frame_r2": same_frame[name], "tasks": r2_of(block["tasks"])}
        | {"floors": {floor: r2_of(one) for floor, one in block["floors"].items()}}
        for name, block in record["traces"]["sessions"].items()
    }
    found = {"step": record["step"], "seed": record["seed"], "sessions": sessions}
    tasks = record["traces"]["tasks"].items()
    found["mean"] = {task: {"r2": one["r2"], "r2_trials_ci95": one["r2_trials_ci95"]} for task, one in tasks}
    write_json(HERE / "results.json", about | found)


def r2_of(tasks: dict) -> dict[str, float | None]:
    """Task -> R2, mean over cells; None where it has none."""
    return {task: one["r2"] for task, one in tasks.items()}


if __name__ == "__main__":
    main()
