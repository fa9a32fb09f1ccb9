"""Where in the visual field a Gabor patch stood, by inversion of an encoder, beside ridge regression.

    python experiments/inversion/run.py                # 39 mice, a few minutes of CPU time
    python experiments/inversion/run.py --sessions=5   # the first five in the order of the files

Every mouse has one split, that of its file: blocks of 11 s. All settings are chosen on inner folds of the fitting
trials; test trials are scored once.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

import neurojax as nj
from neurojax.data.session import TEST
from neurojax.evals.decoding import decoder, folds, targets
from neurojax.files import write_json
from neurojax.runs.workdir import provenance
from neurojax.scores.intervals import t_interval

HERE = Path(__file__).parent
DATA = Path(os.environ.get("NEUROJAX_DATA", HERE.parents[2] / "shared" / "data")) / "allen_gabor_sessions"
TARGET, ORIENTATION = "position_deg", "orientation"
READ_OUTS = ("bayes", "raw")  # raw: ridge on the spikes of the same bin
BLOCK = 45  # successive bins that share a split


def session_of(path: Path) -> nj.Session:
    """A recording, a trial a block of its split; blocks cut short or with a gap are shorter trials."""
    with np.load(path, allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    split, start_s = held["split"], held["bin_start_s"]
    cut = (np.diff(split) != 0) | (np.diff(start_s) > 0.5)
    edges = [0]
    for place in range(1, len(split)):
        if cut[place - 1] or place - edges[-1] == BLOCK:
            edges.append(place)
    position = np.stack([held["stimulus_x_deg"], held["stimulus_y_deg"]], axis=1).astype(np.float32)
    return nj.Session.from_counts(
        held["counts"],
        bin_size_s=0.25,
        session_id=path.stem,
        region=held["unit_region"],
        trial_offsets=np.append(edges, len(split)),
        split=split[edges],
        behaviour={TARGET: position},
    )


def of_session(session: nj.Session, seed: int = 0) -> dict[str, Any]:
    """R2 of each read-out on the test blocks."""
    target = targets.read_target(session, TARGET)
    outer = folds.split_fold(session, target)
    read_outs = decoder.baselines(session, target, READ_OUTS, seed)
    unseen = np.ones(len(target.trial_ids), bool)
    result = decoder.decode(session, target, read_outs, outer, unseen, seed=seed, num_permutations=0)
    blocks, _ = decoder.record(result, seed)
    found = {
        name: {"r2": one["r2"], "r2_per_dimension": one["r2_per_dimension"], "chosen": one["chosen"][0]}
        for name, one in blocks.items()
    }
    error = {}
    for name, one in result.decoded.items():
        off = (one.predicted - target.values)[one.tested].reshape(-1, 2)
        error[name] = float(np.nanmedian(np.hypot(off[:, 0], off[:, 1])))
        found[name]["median_error_deg"] = error[name]
    return {"units": session.num_units, "test_blocks": int((session.split == TEST).sum()), "read_outs": found}


def together(sessions: dict[str, Any]) -> dict[str, Any]:
    """Means over mice, and read-outs beside each other mouse by mouse."""
    values = {
        name: np.array([one["read_outs"][name]["r2_per_dimension"] for one in sessions.values()]) for name in READ_OUTS
    }
    found = {}
    for name, both in values.items():
        error = [one["read_outs"][name]["median_error_deg"] for one in sessions.values()]
        mean = t_interval(both.mean(1))
        found[name] = {
            "r2_x": float(both[:, 0].mean()),
            "r2_y": float(both[:, 1].mean()),
            "r2": mean.mean,
            "r2_ci95": list(mean.ci95),
            "median_error_deg": float(np.mean(error)),
        }
    for other in READ_OUTS[1:]:
        difference = values["bayes"].mean(1) - values[other].mean(1)
        mean = t_interval(difference)
        found[f"bayes - {other}"] = {
            "r2": mean.mean,
            "r2_ci95": list(mean.ci95),
            "sessions_above": int((difference > 0).sum()),
        }
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=0, help="how many; 0 for all")
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    options = parser.parse_args()
    begun, sessions = time.process_time(), {}
    paths = sorted(DATA.glob("session_*.npz"))
    for path in paths[: options.sessions or None]:
        sessions[path.stem] = of_session(session_of(path))
        told = {name: round(one["r2"], 3) for name, one in sessions[path.stem]["read_outs"].items()}
        print(path.stem, told, f"{time.process_time() - begun:.0f} s", flush=True)
    record = {"command": "python experiments/inversion/run.py", **provenance(HERE), "sessions": sessions}
    record |= {"mean": together(sessions), "cpu_s": time.process_time() - begun}
    write_json(options.out, record)
    print(record["mean"])
