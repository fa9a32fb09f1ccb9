"""Activity that a causal model goes on with by itself: forecasts by horizon, statistics, time for a bin.

    python experiments/generation/run.py [--runs=runs/generation]

`configs/next_bin.py:size=tiny`, nothing else set, on the built-in synthetic animals, whose best forecast is known; then
how long a bin of 500 units takes on one core. A part in results.json is skipped; an interrupted training goes on.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

from neurojax.commands import config as declarations
from neurojax.data.store.dataset import dataset_of
from neurojax.data.synthetic import animals
from neurojax.data.synthetic.spec import SyntheticSpec
from neurojax.errors import Interrupted
from neurojax.evals import generation, protocols
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.train import predictor, run, run_folder, settings, state

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RESULTS = HERE / "results.json"
NUM_BOOT = 1000
UNITS, REGIONS, BINS = 500, ("VISp", "CA1", "LP", "SCm"), 100
NUM_TIMED = 20  # trials


def config_of(size: str, *more: str):
    """configs/next_bin.py with a few entries set."""
    return declarations.load([f"--config={REPOSITORY / 'configs/next_bin.py'}:size={size}", *more])


def forecasts(runs: Path) -> dict:
    """Trains on the synthetic animals; the `generation` block of each of them."""
    start, cpu = time.monotonic(), time.process_time()
    config = config_of("tiny")
    dataset = run_folder.load_data(config)
    run.train(config, runs / "synthetic", dataset=dataset)
    trained_s, trained_cpu_s = time.monotonic() - start, time.process_time() - cpu
    model, manifest = run_folder.load_predictor(runs / "synthetic", config, dataset)
    given = {"num_boot": NUM_BOOT, "memory_mb": config["eval"]["memory_mb"]}
    asked = (given, config["seed"], protocols.MTM)
    sessions = {one.session_id: generation.of_session(model, one, *asked) for one in dataset.sessions}
    return {
        **provenance(HERE),
        "step": manifest["step"],
        "trained_s": round(trained_s, 1),
        "trained_cpu_s": round(trained_cpu_s, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "sessions": sessions,
    }


def latency(size: str) -> dict:
    """From the counts of a bin of 500 units to the rates of the next, one core; weights as before training."""
    spec = SyntheticSpec(
        num_sessions=1, min_units=UNITS, max_units=UNITS, regions=REGIONS, num_trials=NUM_TIMED, num_bins=BINS
    )
    session = animals.make_session(spec, 0, 0)
    config = config_of(size)
    source = settings.open_source(config, dataset_of([session]).to_read)
    asked = settings.predicting(config)
    fresh = state.init_state(0, settings.recipe(config), source.facts)
    model = predictor.Predictor(fresh.params, fresh.tables, asked, source.layout, config["data"]["bucket_units"])
    live, wall, cpu = model.live(session.session_id), [], []
    counts, _ = session.gather_trials(np.arange(NUM_TIMED))
    for trial in counts:
        live.begin()
        for of_bin in trial[:-1]:
            start = time.perf_counter(), time.process_time()
            live.step(of_bin)
            wall.append(time.perf_counter() - start[0])
            cpu.append(time.process_time() - start[1])
    wall, cpu = np.asarray(wall[BINS:]) * 1e3, np.asarray(cpu[BINS:]) * 1e3  # the first trial compiles
    return {
        **provenance(HERE),
        "units": UNITS,
        "bins": len(wall),
        "wall_ms": {name: round(float(np.percentile(wall, q)), 3) for name, q in QUANTILES.items()},
        "cpu_ms_mean": round(float(cpu.mean()), 3),
        "load": [round(value, 1) for value in os.getloadavg()],
    }


QUANTILES = {"p05": 5, "median": 50, "p95": 95, "p99": 99}
PARTS = {"latency tiny": lambda runs: latency("tiny"), "latency small": lambda runs: latency("small")}
PARTS |= {"synthetic": forecasts}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/generation"))
    parser.add_argument("--part", choices=PARTS, action="append")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])  # one core
    for part in arguments.part or PARTS:
        results = read_json(RESULTS) if RESULTS.exists() else {}
        if part in results:
            continue
        try:
            results[part] = PARTS[part](arguments.runs)
        except Interrupted as stopped:
            raise SystemExit(f"{stopped}; the same command goes on") from None
        write_json(RESULTS, results)
