"""How high is the bar? Linear baselines with every width chosen in seconds on validation, recording by recording.

    python experiments/yardstick/run.py [--runs=runs/yardstick] [--part=NAME,...]

Parts: synthetic, mice, blocks (the same mice, split in blocks of 120 s), allen (twelve mice), chewie (two days),
bins (recordings binned otherwise), held_back (eight Allen mice kept for confirmation: run it last, once).
Each session is one line of results.jsonl and is not fitted again; delete the line to fit it anew.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import recordings
from same_bin_ridge import same_bin_ridge

from neurojax.data.session import TEST, VALIDATION
from neurojax.data.store.dataset import open_dataset
from neurojax.evals import baselines, scoring
from neurojax.evals.baselines import stack
from neurojax.evals.baselines.folds import Fit, make_folds
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
IN_OTHER_BINS = ("co_smoothing", "forward")
NAMES = tuple(name for name in baselines.NAMES if name != "smoothed_spikes")


def roots(part: str, runs: Path) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """Name of a set -> its root, converted where it is not yet, and the sessions of it (none: all)."""
    order = recordings.allen_order()
    first, last = order[:12], order[-recordings.HELD_BACK :]
    if part == "synthetic":
        recordings.step("convert", "synthetic", f"--out={runs / 'synthetic'}")
        return {"synthetic": (runs / "synthetic", ())}
    if part == "mice":
        return {"mice": (recordings.mice(runs / "mice"), ())}
    if part == "blocks":
        return {"mice, blocks of 120 s": (recordings.mice(runs / "blocks", split="blocks:120s"), ())}
    if part == "allen":
        return {"allen": (recordings.allen(runs / "allen", first), ())}
    if part == "held_back":
        return {"allen, held back": (recordings.allen(runs / "held_back", last), ())}
    if part == "chewie":
        return {day: (recordings.chewie(runs / day, day), ()) for day in recordings.DAYS}
    if part == "bins":
        finer = recordings.DAYS[0].replace("100ms", "50ms")
        return {
            "mice, 10 ms": (recordings.mice(runs / "mice_10", bin_ms=10), recordings.REPORT),
            "mice, 50 ms": (recordings.mice(runs / "mice_50", bin_ms=50), recordings.REPORT),
            "allen, 500 ms": (recordings.allen(runs / "allen_500", first, bin_ms=500), ()),
            finer: (recordings.chewie(runs / finer, finer), ()),
        }
    raise SystemExit(f"unknown part {part!r}; choose from synthetic, mice, blocks, allen, chewie, bins, held_back")


def fit(session, tasks) -> dict:
    """Test scores and choices of each method, and CPU seconds of all together."""
    start = time.process_time()
    fitted = baselines.fit_baselines(session, NAMES, tasks)
    seconds = time.process_time() - start
    line = {"units": session.num_units, "test_trials": len(session.trials_of(TEST)), "cpu_s": round(seconds, 1)}
    line |= {"validation_trials": len(session.trials_of(VALIDATION)), "bin_size_s": session.bin_size_s}
    line["subject"] = str(session.info.get("subject_id") or session.session_id)
    line["methods"] = {
        name: scores(session, {task: found.rates[TEST] for task, found in fits.items()})
        for name, fits in fitted.items()
    }
    line["chosen"] = {
        name: {task: dict(found.chosen) for task, found in fits.items()}
        for name, fits in fitted.items()
        if name not in ("train_mean", "stack", "average")
    }
    line["stack"] = {
        task: [{key: part.get(key) for key in ("name", "weight", "width_s", "memories_s")} for part in told]
        for task, told in ((task, found.chosen["parts"]) for task, found in fitted["stack"].items())
    }
    line["methods"]["stack_and_drift"] = scores(session, stack_and_drift(session, fitted))
    rates, _ = same_bin_ridge(session)
    line["methods"]["same_bin_ridge"] = scores(session, {"co_smoothing": rates})
    return line


def stack_and_drift(session, fitted) -> dict[str, np.ndarray]:
    """Task -> rates of a mixture of the two: what the training trials around add to the visible spikes."""
    tasks, found = tuple(fitted["stack"]), {}
    folds = make_folds(session, tasks)
    for task in tasks:
        parts = {
            name: [Fit({part: rates[:, :, folds.units] for part, rates in fitted[name][task].rates.items()}, {})]
            for name in ("stack", "drift")
        }
        mixed = stack.fit(folds, task, parts).rates[TEST]
        found[task] = np.full((*mixed.shape[:2], session.num_units), np.nan, mixed.dtype)
        found[task][:, :, folds.units] = mixed
    return found


def scores(session, rates) -> dict[str, float | None]:
    """task -> pooled bits/spike over the test mean, to four digits."""
    blocks = scoring.score_session(session, rates, seed=0, num_boot=0)
    pooled = {task: block["bps_pooled"] for task, block in blocks.items()}
    return {task: None if value is None else round(value, 4) for task, value in pooled.items()}


def done() -> set[tuple[str, str]]:
    """Sets and sessions that have a line."""
    if not RESULTS.exists():
        return set()
    return {(line["set"], line["session"]) for line in map(json.loads, RESULTS.read_text().splitlines())}


def run(part: str, runs: Path, about: dict) -> None:
    for name, (root, only) in roots(part, runs).items():
        for session in open_dataset(root).sessions:
            if (only and session.session_id not in only) or (name, session.session_id) in done():
                continue
            line = (
                {"set": name, "session": session.session_id}
                | fit(session, IN_OTHER_BINS if part == "bins" else None)
                | about
            )
            with RESULTS.open("a") as file:
                file.write(json.dumps(line) + "\n")
            stack = line["methods"]["stack"]
            print(f"{name}, {session.session_id}: stack {stack}, {line['cpu_s']} CPU s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/yardstick"))
    parser.add_argument("--part", default="synthetic,mice,blocks,allen,chewie,bins")
    arguments = parser.parse_args()
    about = provenance(HERE)  # before results.jsonl grows
    for part in arguments.part.split(","):
        run(part, arguments.runs, about)
