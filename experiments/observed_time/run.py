"""What is lost where 30 % of the entries were not observed: masks against fewer trials against whole trials only.

    python experiments/observed_time/run.py [--runs=runs/observed_time] [--seeds=0,1,2]

The four synthetic animals of the first run, config size=tiny. Two ways to lose entries:

    lifetimes   each unit is lost for a stretch of 30 % of the trials of its own
    probes      one half of the units is lost for the first 30 % of the trials, the other for the last 30 %

Three ways to train: `masked` on what was observed; `fewer` on 70 % of the training trials, drawn at random, complete
(as many entries); `whole` on the trials that were observed whole. All are scored on the same entries: the observed
ones of the test trials. Each run resumes; results.json is written after every arm.
"""

import argparse
from pathlib import Path

import numpy as np

from neurojax.commands.config import load
from neurojax.data import observed
from neurojax.data.session import TRAIN, VALIDATION, Session
from neurojax.data.store.dataset import dataset_of
from neurojax.errors import InputError
from neurojax.evals import activity, scoring
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.scores.intervals import t_interval
from neurojax.train import run, run_folder

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
UNOBSERVED = 0.3
TASKS = ("co_smoothing", "forward", "inter_region", "intra_region")
ARMS = ("masked", "fewer", "whole")


def trials_lost(pattern: str, session: Session) -> np.ndarray:
    """Trials in which each unit was not observed, bool [trials, N], by the trials' order in time."""
    rng = np.random.default_rng([7, *session.session_id.encode()])
    number, num_units = session.num_trials, session.num_units
    share = round(UNOBSERVED * number)
    rank = np.argsort(np.argsort(session.trial_start_s, kind="stable"))[:, None]
    if pattern == "lifetimes":
        first = rng.integers(0, number - share + 1, num_units)
        return (rank >= first) & (rank < first + share)
    half = np.arange(num_units) % 2 == 0
    return np.where(half, rank < share, rank >= number - share)


def with_gaps(session: Session, pattern: str) -> Session:
    """The session as if 30 % of its entries had not been recorded."""
    lost = np.repeat(trials_lost(pattern, session), session.trial_num_bins, axis=0)
    counts = np.where(lost, 0, session.counts).astype(session.counts.dtype)
    return session.with_fields(counts=counts, validity=observed.intervals_of(~lost))


def fewer_trials(session: Session, keep: np.ndarray) -> Session:
    """The session with training and validation trials of `keep`, bool [trials], alone; test trials stay."""
    learned = np.isin(session.split, (TRAIN, VALIDATION))
    rows = np.flatnonzero(keep | ~learned)
    return session.with_fields(
        trial_start_bin=session.trial_start_bin[rows],
        trial_num_bins=session.trial_num_bins[rows],
        trial_start_s=session.trial_start_s[rows],
        split=session.split[rows],
        conditions={name: values[rows] for name, values in session.conditions.items()},
    )


def trained_on(arm: str, session: Session, pattern: str) -> Session | None:
    """What an arm trains on; None where nothing is left of it."""
    if arm == "masked":
        return with_gaps(session, pattern)
    if arm == "fewer":
        rng = np.random.default_rng([11, *session.session_id.encode()])
        keep = np.zeros(session.num_trials, bool)
        for split in (TRAIN, VALIDATION):
            trials = session.trials_of(split)
            keep[rng.permutation(trials)[: round((1 - UNOBSERVED) * len(trials))]] = True
        return fewer_trials(session, keep)
    whole = ~trials_lost(pattern, session).any(1)
    enough = all((whole & (session.split == split)).any() for split in (TRAIN, VALIDATION))
    return fewer_trials(session, whole) if enough else None


def scores(folder: Path, config: dict, sessions: list[Session]) -> dict[str, float]:
    """Task -> pooled bits per spike on the test trials, mean over sessions."""
    model, _ = run_folder.load_predictor(folder, config, dataset_of(sessions), lambda line: None)
    found = []
    for session in sessions:
        predictions = activity.predict_session(model, session, trials_per_pass=32)
        blocks = scoring.score_session(session, predictions, seed=0, num_boot=0)
        found.append([blocks[task]["bps_pooled"] for task in TASKS])
    return dict(zip(TASKS, np.mean(found, axis=0).tolist(), strict=True))


def arm_of(arm: str, pattern: str, seed: int, runs: Path) -> dict[str, float] | str:
    """Scores of one run, or why there is none."""
    config = load([f"--config={REPOSITORY / 'configs' / 'mtm.py'}:size=tiny", f"--config.seed={seed}"])
    sessions = run_folder.load_data(config).sessions
    learned = [trained_on(arm, session, pattern) for session in sessions]
    if None in learned:
        return "no trial was observed whole"
    folder = runs / f"{pattern}_{arm}_{seed}"
    try:
        run.train(config, folder, dataset=dataset_of(learned), log=lambda line: None)
    except InputError as error:
        return str(error)
    return scores(folder, config, [with_gaps(session, pattern) for session in sessions])


def difference(results: dict, pattern: str, arm: str, task: str) -> dict[str, float | list[float]] | None:
    """`masked` less another arm over the seeds, with its 95 % interval (t)."""
    ours, theirs = results[pattern]["masked"], results[pattern].get(arm, {})
    both = [seed for seed in ours if isinstance(theirs.get(seed), dict)]
    less = [ours[seed][task] - theirs[seed][task] for seed in both]
    if not less:
        return None
    over = t_interval(less)
    return {"mean": float(np.mean(less)), "ci95": list(over.ci95) if over else None}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/observed_time"))
    parser.add_argument("--seeds", default="0,1,2")
    return parser.parse_args()


if __name__ == "__main__":
    options, path = parsed(), HERE / "results.json"
    results = {"command": "python experiments/observed_time/run.py", **provenance(HERE)}
    results |= {pattern: {arm: {} for arm in ARMS} for pattern in ("lifetimes", "probes")}
    for pattern in ("lifetimes", "probes"):
        for arm in ARMS:
            for seed in options.seeds.split(","):
                results[pattern][arm][seed] = arm_of(arm, pattern, int(seed), options.runs)
                print(pattern, arm, seed, results[pattern][arm][seed], flush=True)
                write_json(path, results)
    results["masked_less"] = {
        pattern: {arm: {task: difference(results, pattern, arm, task) for task in TASKS} for arm in ARMS[1:]}
        for pattern in ("lifetimes", "probes")
    }
    write_json(path, results)
    for pattern, arms in read_json(path)["masked_less"].items():
        for arm, tasks in arms.items():
            told = [f"{task} {one['mean']:+.3f}" if one else f"{task} -" for task, one in tasks.items()]
            print(f"{pattern}: masked less {arm}: {', '.join(told)} bits/spike")
