"""The recipe: a search on validation trials of five mouse sessions, then a final table on test trials of nine.

    python experiments/recipe/run.py --phase=search [--only=NAME,...] [--runs=runs/recipe]
    python experiments/recipe/run.py --phase=final [--only=NAME,...] [--runs=runs/recipe]

Search: arms are lines of arms.txt, one config field at a time. Final: see final.py. What results.jsonl or
final.jsonl already holds is skipped, what was interrupted goes on from its checkpoint; runs come one at a time
and each finished one is one line appended at once.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import common
import final
import numpy as np
from common import HERE

from neurojax.data.session import VALIDATION, Session
from neurojax.errors import Interrupted
from neurojax.evals import activity, protocols
from neurojax.scores import metrics
from neurojax.train.predictor import Predictor

SEARCH = ("session1", "session4", "session5", "session8", "session10")
SEARCH_STEPS = 1500
LEAVE_ONE_OUT = ("co_smoothing", "intra_region")
SCORED_SHARE = 0.1  # of (trial, unit) pairs are left out one at a time in the search, the same in every arm


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


def scored_pairs(session: Session, share: float) -> np.ndarray:
    """(trial, unit) pairs of the validation split that leave-one-out tasks score, drawn once: bool [K, N]."""
    rng = np.random.Generator(np.random.Philox(key=[11, int(session.session_id.removeprefix("session"))]))
    return rng.random((len(session.trials_of(VALIDATION)), session.num_units)) < share


def score(session: Session, rates: Mapping[str, np.ndarray], share: float) -> dict[str, dict]:
    """Task -> gain over the train mean, nats of each validation trial, its spikes, and pooled bits/spike.

    Leave-one-out tasks are scored on `scored_pairs`; the others hide a region or bins at once and are scored whole.
    """
    counts, _ = session.gather_trials(session.trials_of(VALIDATION))
    blocks = {}
    for task, predicted in rates.items():
        if task in LEAVE_ONE_OUT:
            predicted = np.where(scored_pairs(session, share)[:, None], predicted, np.nan)
        sums = metrics.poisson_sums(predicted, counts, session.mean_counts())
        gain, spikes = (sums.train_excess - sums.model_excess).sum(1), sums.spikes.sum(1)
        blocks[task] = {
            "bps_pooled_train_null": round(float(gain.sum() / spikes.sum() / np.log(2)), 5),
            "gain_nats": [round(float(value), 2) for value in gain],
            "spikes": [int(value) for value in spikes],
        }
    return blocks


def validation_scores(model: Predictor, session: Session, share: float) -> dict[str, dict]:
    """`score` of a model, which leaves out no more than is scored."""
    rates = {}
    for task in protocols.TASKS:
        only = scored_pairs(session, share) if task in LEAVE_ONE_OUT else None
        rates |= activity.predict_session(model, session, [task], split=VALIDATION, only=only)
    return score(session, rates, share)


def run_arm(name: str, fields: Mapping[str, str], root: Path, folder: Path, share: float) -> dict:
    """Trains one arm in `folder`, resuming, and scores it."""
    always = {"data.root": str(root), "train.num_steps": str(SEARCH_STEPS), "train.validate_every_steps": "0"}
    model, dataset, about = common.trained("size=small", {**always, **fields}, folder)
    start = time.monotonic()
    sessions = {session.session_id: validation_scores(model, session, share) for session in dataset.sessions}
    mean = {
        task: round(float(np.mean([blocks[task]["bps_pooled_train_null"] for blocks in sessions.values()])), 5)
        for task in protocols.TASKS
    }
    about["score_s"] = round(time.monotonic() - start, 1)
    return {"arm": name, "fields": dict(fields), "mean": mean, **about, "sessions": sessions}


def search(runs: Path, results: Path, only: tuple[str, ...]) -> None:
    """Every arm that has no result yet, in the order of arms.txt."""
    root = common.converted(SEARCH, runs / "search_data")
    for name, fields in read_arms().items():
        if any(entry["arm"] == name for entry in common.read_results(results)) or (only and name not in only):
            continue
        spent_h = common.require_budget(results, final.RESULTS)
        print(f"arm {name}: {' '.join(f'{k}={v}' for k, v in fields.items())} ({spent_h:.2f} h spent)", flush=True)
        entry = run_arm(name, fields, root, runs / "search" / name, SCORED_SHARE)
        common.append(results, entry)
        print(name, entry["mean"], f"{entry['train_s']} + {entry['score_s']} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phase", choices=("search", "final"), required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/recipe"))
    parser.add_argument("--results", type=Path, default=HERE / "results.jsonl")
    parser.add_argument("--only", type=lambda text: tuple(text.split(",")), default=())
    arguments = parser.parse_args()
    try:
        if arguments.phase == "search":
            search(arguments.runs, arguments.results, arguments.only)
        else:
            final.run(arguments.runs, arguments.results, arguments.only)
    except Interrupted as stopped:
        raise SystemExit(f"{stopped}; the same command goes on") from None
