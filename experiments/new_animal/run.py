"""A new animal: trained alone, or pretrained on others and fine-tuned, at the same number of steps on its own trials.

    python experiments/new_animal/run.py --part=synthetic|mice [--cpu_minutes=N] [--fractions=0.2,1] [--folds=0,1]
    python experiments/new_animal/run.py --part=linear [--animals=mice,synthetic] [--cpu_minutes=N] [--fractions=0.2,1]

synthetic  40 animals in five folds of eight; the 32 others of a fold share one pretraining
mice       three mice, nine sessions; each mouse is left out of one pretraining
linear     ridge and the stack of linear models on the same animals, shares and test trials; nothing is pretrained

Every finished run is one line of results.jsonl; what is there is not run again. Pretraining resumes.
With --cpu_minutes no run starts after so many minutes of CPU time.
"""

import argparse
import dataclasses
import os
import time
from pathlib import Path

import jax
from common import (
    ARMS,
    HERE,
    LINEAR,
    RECORDINGS,
    REPOSITORY,
    about,
    append,
    config_of,
    decoding,
    fine_tuned,
    four_tasks,
    from_scratch,
    linear_models,
    pretrained,
    read_results,
)

from neurojax.data import splits
from neurojax.data.session import Session
from neurojax.data.store.dataset import Dataset, dataset_of, open_dataset
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import InputError, Interrupted
from neurojax.main import main

FRACTIONS = (0.2, 1.0, 0.05, 0.5, 0.1)  # of the training trials, in the order in which they are run
NUM_ANIMALS, NUM_FOLDS, SEED = 40, 5, 0
# Every animal has the same number of units, so that one compiled program serves all of them.
SPEC = synthetic.SyntheticSpec(
    num_sessions=NUM_ANIMALS, min_units=64, max_units=64, min_region_units=12, num_trials=200, num_bins=40
)


@dataclasses.dataclass(frozen=True)
class Part:
    """What differs between synthetic animals and mice."""

    size: str
    pretrain_steps: int
    steps: int  # on the new animal, of either arm
    fields: tuple[str, ...]
    targets: tuple[str, ...]


PARTS = {
    "synthetic": Part("tiny", 1500, 300, ("data.bucket_units=64",), ("choice", "wheel_speed")),
    "mice": Part("small", 1000, 200, (), ("contrast_side", "feedback")),
}


def folds_of(part: str, runs: Path) -> list[tuple[str, list[Session], Dataset]]:
    """(name, left-out sessions, dataset of the others) of every fold."""
    if part == "synthetic":
        sessions = synthetic.make_sessions(SPEC, seed=SEED)
        groups = {f"fold_{k}": sessions[8 * k : 8 * k + 8] for k in range(NUM_FOLDS)}
    else:
        files = sorted((RECORDINGS / "steinmetz2019_sessions").glob("session*.npz"))
        if not files:
            raise SystemExit(f"no recordings in {RECORDINGS}; set NEUROJAX_DATA to the folder that holds them")
        root = runs / "mice_data"
        if main(["convert", "arrays", *map(str, files), f"--out={root}", "--bin_ms=20"]):
            raise SystemExit(2)
        sessions, groups = open_dataset(root).sessions, {}
        for session in sessions:
            groups.setdefault(session.info["subject_id"], []).append(session)
    found = []
    for name, left_out in groups.items():
        names = {session.session_id for session in left_out}
        found.append((name, list(left_out), dataset_of([s for s in sessions if s.session_id not in names])))
    return found


def run(part: str, runs: Path, results: Path, fractions: tuple[float, ...], only: set[int], cpu_minutes: float) -> None:
    """Every (fold, fraction, session, arm) that has no line yet."""
    plan = PARTS[part]
    config = config_of(plan.size, plan.fields)
    for number, (name, left_out, others) in enumerate(folds_of(part, runs)):
        if only and number not in only:
            continue
        known = {(e["part"], e["fraction"], e["session"], e["arm"]) for e in read_results(results)}
        asked = [(f, s, arm) for f in fractions for s in left_out for arm in ARMS]
        missing = [(f, s, arm) for f, s, arm in asked if (part, f, s.session_id, arm) not in known]
        if not missing:
            continue
        base = pretrained(config, others, runs / "pretrained" / f"{part}_{name}", plan.pretrain_steps)
        for fraction, session, arm in missing:
            if time.process_time() > 60 * cpu_minutes:
                print(f"{cpu_minutes:g} minutes of CPU time are over; the same command goes on", flush=True)
                return
            begun = time.process_time()
            fewer = splits.with_train_fraction(session, fraction, SEED)
            if arm == "single":
                model = from_scratch(config, fewer, plan.steps)
            else:
                model = fine_tuned(base, fewer, plan.steps, others.sessions)
            scores = four_tasks(model, session) | {
                target: decoding(model, fewer, target, with_spikes=arm == "single") for target in plan.targets
            }
            entry = {"part": part, "fold": name, "session": session.session_id, "fraction": fraction, "arm": arm}
            entry |= {
                "pretrain_steps": plan.pretrain_steps,
                "steps": plan.steps,
                "cpu_s": round(time.process_time() - begun, 1),
            }
            append(results, entry | {"scores": scores, **about()})
            print(name, session.session_id, fraction, arm, scores, f"{entry['cpu_s']} s", flush=True)


def run_linear(
    animals: list[str], runs: Path, results: Path, fractions: tuple[float, ...], only: set[int], cpu_minutes: float
) -> None:
    """Every (fraction, animals, session, linear model) that has no line yet, in this order."""
    folds = {part: folds_of(part, runs) for part in animals}
    known = {(e["part"], e["fraction"], e["session"], e["arm"]) for e in read_results(results)}
    asked = [
        (fraction, part, name, session)
        for fraction in fractions
        for part in animals
        for number, (name, left_out, _) in enumerate(folds[part])
        if not only or number in only
        for session in left_out
    ]
    for fraction, part, name, session in asked:
        missing = [arm for arm in LINEAR if (part, fraction, session.session_id, arm) not in known]
        if not missing:
            continue
        if time.process_time() > 60 * cpu_minutes:
            print(f"{cpu_minutes:g} minutes of CPU time are over; the same command goes on", flush=True)
            return
        begun = time.process_time()
        found = linear_models(missing, splits.with_train_fraction(session, fraction, SEED), session)
        cpu_s = round(time.process_time() - begun, 1)
        for arm in missing:
            entry = {"part": part, "fold": name, "session": session.session_id, "fraction": fraction, "arm": arm}
            append(results, entry | {"cpu_s": cpu_s, "fitted_with": missing, "scores": found[arm], **about()})
            print(name, session.session_id, fraction, arm, found[arm], f"{cpu_s} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=(*PARTS, "linear"), required=True)
    parser.add_argument("--animals", type=lambda text: text.split(","), default=["mice", "synthetic"])
    parser.add_argument("--runs", type=Path, default=REPOSITORY / "runs" / "new_animal")
    parser.add_argument("--results", type=Path, default=HERE / "results.jsonl")
    parser.add_argument("--fractions", type=lambda text: tuple(map(float, text.split(","))), default=FRACTIONS)
    parser.add_argument("--folds", type=lambda text: set(map(int, text.split(","))), default=set())
    parser.add_argument("--cpu_minutes", type=float, default=float("inf"))
    given = parser.parse_args()
    if unknown := set(given.animals) - set(PARTS):
        parser.error(f"--animals: {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    os.makedirs(given.runs, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(given.runs / "compiled"))  # animals of one size compile once
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    try:
        rest = (given.runs, given.results, given.fractions, given.folds, given.cpu_minutes)
        if given.part == "linear":
            run_linear(given.animals, *rest)
        else:
            run(given.part, *rest)
    except (InputError, Interrupted) as stopped:
        raise SystemExit(f"{stopped}; the same command goes on") from None
