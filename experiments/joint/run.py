"""One model of stimulus, activity and behaviour: how near the exact conditional mean, for each pattern of given nodes.

    python experiments/joint/run.py --part=medium,low,high     # made-up loops of seed 1 at three levels of noise
    python experiments/joint/run.py --part=reaching            # a macaque that reaches, two days; needs NEUROJAX_DATA
    python experiments/joint/run.py --part=medium --again      # scores the finished run once more, trains nothing

Each part writes its own entry of results.json; trainings resume. What can be reached at most, committed before any
training, is in ceilings.json; there the covariance is averaged over, here the exact mean answers the same test trials.
"""

import argparse
import os
import runpy
import time
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.session import Session
from neurojax.data.store.dataset import Dataset, dataset_of
from neurojax.data.synthetic import loops
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.train.run import evaluate_run, train_and_evaluate
from neurojax.train.run_folder import load_data

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RECORDINGS = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
SEED = 1  # choices were made on validation trials of seed 0
DAYS = ("chewie_2013-10-03_100ms", "chewie_2013-12-19_100ms")


def config_of(part: str) -> dict[str, Any]:
    """The config of a part."""
    config = runpy.run_path(str(REPOSITORY / "configs" / "joint.py"))["get_config"]().to_dict() | {"seed": SEED}
    if part == "reaching":
        config["data"] |= {"stimulus": "target_x,target_y", "behaviour": "velocity", "trials_per_batch": 64}
        config["data"] |= {"bucket_units": 174}
        config["model"] |= {"nonlinear_width": 32, "dropout": 0.3}
        config["optimizer"] |= {"learning_rate": 3e-3, "row_weight_decay": 3.0, "weight_decay": 0.3}
        config["train"] |= {"num_steps": 400, "validate_every_steps": 50}
        return config
    config["data"]["synthetic"]["noise"] = part
    return config


def reaching() -> Dataset:
    """Two days; the target as a direction, a fifth of the trials for the test, a tenth to validate."""
    return dataset_of([_day(name) for name in DAYS])


def _day(name: str) -> Session:
    with np.load(RECORDINGS / "macaque_reach_chewie" / f"{name}.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    number = len(arrays["target"])
    order, split = np.random.default_rng(number).permutation(number), np.zeros(number, np.int8)
    split[order[: number // 5]], split[order[number // 5 : number * 3 // 10]] = 2, 1
    angle = 2 * np.pi * arrays["target"] / 8
    return Session.from_counts(
        arrays["counts"],
        bin_size_s=float(arrays["bin_size_s"]),
        session_id=name,
        trial_offsets=arrays["trial_offsets"],
        split=split,
        conditions={"target_x": np.cos(angle), "target_y": np.sin(angle)},
        behaviour={"velocity": arrays["velocity"]},
        info={"species": "macaque", "licence": "Apache-2.0", "source": "Dyer et al. 2017, nerdslab/myow-neuro"},
    )


def measured(part: str, runs: Path, again: bool) -> dict[str, Any]:
    dataset = reaching() if part == "reaching" else None
    assert part == "reaching" or part in loops.NOISES, part
    config = config_of(part)
    if again:
        dataset = dataset or load_data(config)
        record = evaluate_run(runs / part, config, dataset)
    else:
        record = train_and_evaluate(config, runs / part, dataset=dataset)
    block = record["joint"]
    kept = {name: block[name] for name in ("patterns", "least_share_of_ceiling", "influence")}
    return kept | {"step": record["step"], "parameters": record["cost"], "config_hash": record["config_hash"]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="medium")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--runs", type=Path, default=Path("runs/joint"))
    options = parser.parse_args()
    about = provenance(HERE)  # before results.json, which is in the repository, grows
    path = HERE / "results.json"
    for part in options.part.split(","):
        start = time.process_time()
        found = measured(part, options.runs, options.again)
        own_cpu_s = time.process_time() - start
        known = read_json(path) if path.is_file() else {}
        entry = {"command": f"python experiments/joint/run.py --part={part}", **about, "found": found}
        entry["cpu_s"] = own_cpu_s
        if options.again:  # its training is that of the entry before, which held an evaluation too
            trained = known[part].get("trained") or {key: known[part][key] for key in ("command", "commit", "cpu_s")}
            entry |= {"command": f"{entry['command']} --again", "trained": trained}
            entry["cpu_s"] += trained["cpu_s"]
        write_json(path, known | {part: entry})
        print(part, found["least_share_of_ceiling"], f"{own_cpu_s:.0f} CPU s", flush=True)
