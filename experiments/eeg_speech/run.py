"""Speech from made-up EEG: how much data it takes, how near the best reader it comes, what the jaw has to do with it.

    python experiments/eeg_speech/run.py [--runs=runs/eeg_speech] [--arms=curve,noise,bound]

Every arm is `configs/eeg.py` with one change; an arm in results.json is skipped, an interrupted training goes on.

curve   trials to train on, of each of four people
noise   the default noise and two more
bound   four planted muscle gains, each trained as it is and with swapped muscle (--config.data.swap_muscle=1), two
        people with eight times the trials: the audit is judged, and a decoder near the best reader shows what it does
"""

import argparse
import time
from pathlib import Path

import numpy as np

from neurojax.commands import config as declarations
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.train import run

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RESULTS = HERE / "results.json"
FULL = 2048  # trials of each person
SIZES = (4, 8, 16, 32, 64, 128, 256, 512, 1024, FULL)
NOISES = (2.7, 3.3)  # beside 3.0, the default
GAINS = (1.0, 3.0, 0.3, 0.0)
BOUND = "16384:900"  # trials of each person, and steps
# Fixed before anything was trained: sizes whose top-1 lies between these shares of the best reader's are the middle.
MIDDLE = (0.05, 0.8)


def arms(bound: str) -> dict[str, tuple[str, ...]]:
    """Name -> changes of the config; `bound` as BOUND."""
    trials, steps = bound.split(":")
    more = ("data.synthetic.num_people=2", "data.sessions_per_batch=2", f"train.num_steps={steps}")
    more += tuple(f"data.synthetic.{name}={trials}" for name in ("num_trials", "num_trained_sentences"))
    found = {f"curve/{size}": (f"data.train_fraction={size / FULL}",) for size in reversed(SIZES)}
    found |= {f"noise/{noise:g}": (f"data.synthetic.noise={noise}",) for noise in NOISES}
    for gain in GAINS:
        planted = (f"data.synthetic.muscle_gain={gain}", *more)
        found[f"bound/{gain:g}"] = planted
        found[f"bound/{gain:g}/swapped"] = (*planted, "data.swap_muscle=1.0")
    return found


def arm(name: str, changes: tuple[str, ...], runs: Path) -> dict:
    """Trains and evaluates one arm; what results.json keeps of it."""
    start, cpu = time.monotonic(), time.process_time()
    audited = name.startswith("bound")
    given = [f"--config={REPOSITORY / 'configs/eeg.py'}", f"--config.eval.muscle_audit={audited}"]
    config = declarations.load([*given, *(f"--config.{change}" for change in changes)])
    record = run.train_and_evaluate(config, runs / name.replace("/", "_"))
    block, bound = record["retrieval"], record.get("muscle_audit")
    kept = {
        **provenance(HERE),
        "changes": list(changes),
        "num_steps": config["train"]["num_steps"],
        "wall_s": round(time.monotonic() - start, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "retrieval": block,
    }
    if bound:
        for reader in ("model", "bayes"):
            bound[reader].pop("people")
        kept["muscle_audit"] = bound
    return kept


def straightness(sizes: list[int], top1: list[float], best: float) -> dict:
    """r2 of a straight line through top-1 over the logarithm of the trials, in the middle of the curve."""
    low, high = (share * best for share in MIDDLE)
    middle = [(size, value) for size, value in zip(sizes, top1, strict=True) if low <= value <= high]
    if len(middle) < 3:
        return {
            "r2": None,
            "r2_reason": f"{len(middle)} sizes in the middle",
            "sizes_of_middle": [size for size, _ in middle],
        }
    x, y = np.log10([size for size, _ in middle]), np.array([value for _, value in middle])
    slope, offset = np.polyfit(x, y, 1)
    r2 = 1 - np.square(y - slope * x - offset).sum() / np.square(y - y.mean()).sum()
    fit = {"r2": round(float(r2), 4), "slope": float(slope), "offset": float(offset)}
    return fit | {"sizes_of_middle": [size for size, _ in middle]}


def summary(done: dict) -> dict:
    """The numbers that the goals are about, of the arms that are there."""
    found: dict = {}
    curve = {int(name.split("/")[1]): one for name, one in done.items() if name.startswith("curve/")}
    if FULL in curve:
        block = curve[FULL]["retrieval"]
        found["share_of_best"] = round(block["top1"] / block["ceiling"]["top1"], 4)
        sizes = sorted(curve)
        top1 = [curve[size]["retrieval"]["top1"] for size in sizes]
        found["curve"] = {"sizes": sizes, "top1": top1} | straightness(sizes, top1, block["ceiling"]["top1"])
    for gain in GAINS:
        plain, swapped = done.get(f"bound/{gain:g}"), done.get(f"bound/{gain:g}/swapped")
        if not (plain and swapped):
            continue
        model, best = (plain["muscle_audit"][reader] for reader in ("model", "bayes"))
        after = swapped["muscle_audit"]["model"]
        removed = 1 - after["muscle_kept"] / model["muscle_kept"] if model["muscle_kept"] > 0.01 else None
        alone = model["muscle_channels_alone"]
        found[f"bound/{gain:g}"] = {
            "neural_minus_planted": model["neural_kept"] - best["neural_kept"],
            "muscle_minus_planted": model["muscle_kept"] - best["muscle_kept"],
            "channels_minus_planted": alone - best["muscle_channels_alone"],
            "muscle_removed": removed,
            "channels_removed": 1 - after["muscle_channels_alone"] / alone if alone > 0.01 else None,
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/eeg_speech"))
    parser.add_argument("--arms", default="curve,noise,bound")
    parser.add_argument("--bound", default=BOUND, help="trials of each person, a colon, steps")
    options = parser.parse_args()
    results = (
        read_json(RESULTS) if RESULTS.exists() else {"command": "python experiments/eeg_speech/run.py", "arms": {}}
    )
    for name, changes in arms(options.bound).items():
        if name in results["arms"] or name.partition("/")[0] not in options.arms.split(","):
            continue
        results["arms"][name] = arm(name, changes, options.runs)
        results["summary"] = summary(results["arms"])
        write_json(RESULTS, results)
        print(name, f"{results['arms'][name]['retrieval']['top1']:.3f}", flush=True)
    results["summary"] = summary(results["arms"])
    write_json(RESULTS, results)


if __name__ == "__main__":
    main()
