"""Which likelihood of counts predicts the spikes of mice best: one model, one budget, another head.

    python experiments/count_likelihoods/run.py [--runs=runs/count_likelihoods]

`configs/mtm.py:size=small` on one session of each of three mice (Steinmetz et al. 2019, bins of 20 ms); only
`--config.head.name` changes. An arm in results.json is skipped; an interrupted training goes on.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from neurojax.commands import config as declarations
from neurojax.data.session import TEST, VALIDATION
from neurojax.errors import Interrupted
from neurojax.evals import activity, likelihoods, scoring
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.scores import bootstrap
from neurojax.train import run, run_folder

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "yardstick"))
import recordings  # noqa: E402  where recordings come from

RESULTS = HERE / "results.json"
SESSIONS = ("session1", "session5", "session8")  # one of each mouse
NUM_STEPS = 400
TASKS = ("forward", "inter_region")
SPLITS = {"validation": VALIDATION, "test": TEST}
NUM_BOOT = 1000
HEADS = ("poisson", "negative_binomial", "negative_binomial_shared", "binomial", "bernoulli", "gaussian_counts")
ARMS = [(head, 0) for head in HEADS] + [("poisson", 1), ("negative_binomial", 1)]


def data_of(runs: Path) -> Path:
    """Folder of the three sessions."""
    root = runs / "data"
    if not (root / "dataset.json").exists():
        files = [recordings.RECORDINGS / "steinmetz2019_sessions" / f"{name}.npz" for name in SESSIONS]
        recordings.step("convert", "arrays", *map(str, files), f"--out={root}", "--bin_ms=20", "--split=file")
    return root


def judged(model, session, head: str) -> dict:
    """Split -> task -> block of `likelihoods.of_task`; of test trials with the bits/spike of the means."""
    rows = model.rows_of_head(session.session_id)
    found = {}
    for name, split in SPLITS.items():
        counts, _ = session.gather_trials(session.trials_of(split))
        rates = activity.predict_session(model, session, TASKS, split=split)
        weights = bootstrap.trial_weights(len(counts), NUM_BOOT, seed=0)
        found[name] = {task: likelihoods.of_task(head, rows, rates[task], counts, weights) for task in TASKS}
        if split == TEST:
            scores = scoring.score_session(session, rates, seed=0, num_boot=0)
            for task in TASKS:
                found[name][task]["bps_pooled"] = scores[task]["bps_pooled"]
    return found


def arm(head: str, seed: int, root: Path, runs: Path) -> dict:
    """Trains and judges one head; what results.json keeps of it."""
    start, cpu = time.monotonic(), time.process_time()
    given = [f"--config={REPOSITORY / 'configs/mtm.py'}:size=small", f"--config.data.root={root}"]
    given += [f"--config.head.name={head}", f"--config.seed={seed}", f"--config.train.num_steps={NUM_STEPS}"]
    config = declarations.load(given)
    folder = runs / f"{head}_{seed}"
    dataset = run_folder.load_data(config)
    run.train(config, folder, dataset=dataset)
    trained_s = time.monotonic() - start
    model, _ = run_folder.load_predictor(folder, config, dataset)
    sessions = {session.session_id: judged(model, session, head) for session in dataset.sessions}
    rows = {
        table: {s.session_id: spread_of(model.rows_of_head(s.session_id)[table]) for s in dataset.sessions}
        for table in model.rows_of_head(dataset.sessions[0].session_id)
    }
    return {
        **provenance(HERE),
        "trained_s": round(trained_s, 1),
        "wall_s": round(time.monotonic() - start, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "rows": rows,
        "sessions": sessions,
    }


def spread_of(values) -> list[float]:
    """Quartiles over the units of a session."""
    return [round(float(value), 4) for value in np.percentile(values, [25, 50, 75])]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/count_likelihoods"))
    runs = parser.parse_args().runs
    root = data_of(runs)
    for head, seed in ARMS:
        results = read_json(RESULTS) if RESULTS.exists() else {}
        if f"{head} {seed}" in results:
            continue
        try:
            results[f"{head} {seed}"] = arm(head, seed, root, runs)
        except Interrupted as stopped:
            raise SystemExit(f"{stopped}; the same command goes on") from None
        write_json(RESULTS, results)
