"""Rows of a new animal without a gradient step, beside today's start, fine-tuning from either, and the stack.

    python experiments/adapt/run.py --part=synthetic|mice|mice_long|eighths|passes [--cpu_minutes=N] [--fractions=1,0.1]

synthetic  four animals, left out of one pretraining on 32 others (the first fold of experiments/new_animal)
mice       the three sessions of one mouse, left out of a short pretraining on the six of the two others
mice_long  the same, pretrained as long as configs/mtm.py asks for
eighths    rows fitted to units hidden in eighths beside rows of units hidden one at a time
passes     how long to fine-tune on few trials: on validation trials of four further synthetic animals

Every finished arm is one line of results.jsonl; what is there is not run again. Pretraining resumes.
With --cpu_minutes nothing starts after so many minutes of CPU time.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from neurojax.api.pretrained import Pretrained, load
from neurojax.commands import config as declarations
from neurojax.data import splits
from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.data.sources.spikes import mean_counts
from neurojax.data.store.dataset import dataset_of, open_dataset
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import InputError, Interrupted
from neurojax.evals import activity, baselines, protocols
from neurojax.files import write_bytes
from neurojax.finetune import asked_states, poisson_rows
from neurojax.main import main
from neurojax.schemes import NEURON
from neurojax.train import run

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RECORDINGS = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
SEED = 0
SPEC = synthetic.SyntheticSpec(
    num_sessions=40, min_units=64, max_units=64, min_region_units=12, num_trials=200, num_bins=40
)
LEFT_OUT_MOUSE = "Forssmann"
PARTS = {  # size, steps of the pretraining, steps on the new animal, share of (trial, unit) pairs that are scored
    "synthetic": ("tiny", 1500, 300, 1.0, ("data.bucket_units=64",)),
    "mice": ("small", 800, 200, 0.25, ()),
    "mice_long": ("small", 3000, 200, 0.25, ()),
}
ARMS = {  # name -> (where new rows start, whether it is trained from there)
    "closed form": ("closed_form", False),
    "pca": ("pca", False),
    "pca, fine-tuned": ("pca", True),
    "closed form, fine-tuned": ("closed_form", True),
}
NUM_ALONE = 50  # units that are hidden one at a time
PASSES = (0, 12, 25, 50, 100, 200, 400)  # over the training trials; 0: rows in closed form, no step


def animals(part: str, runs: Path) -> tuple[list[Session], list[Session]]:
    """(left out, known) sessions of a part."""
    if part == "synthetic":
        sessions = synthetic.make_sessions(SPEC, seed=SEED)
        return sessions[:4], sessions[8:]
    files = sorted((RECORDINGS / "steinmetz2019_sessions").glob("session*.npz"))
    root = runs / "mice_data"
    if not root.is_dir():
        if not files:
            raise SystemExit(f"no recordings in {RECORDINGS}; set NEUROJAX_DATA to the folder that holds them")
        if main(["convert", "arrays", *map(str, files), f"--out={root}", "--bin_ms=20"]):
            raise SystemExit(2)
    sessions = open_dataset(root).sessions
    is_out = [session.info["subject_id"] == LEFT_OUT_MOUSE for session in sessions]
    return [s for s, out in zip(sessions, is_out, strict=True) if out], [
        s for s, out in zip(sessions, is_out, strict=True) if not out
    ]


def pretrained(part: str, known: list[Session], runs: Path) -> Pretrained:
    """The model of a part, from its newest checkpoint."""
    size, num_steps, _, _, fields = PARTS[part]
    entries = (f"train.num_steps={num_steps}", "train.validate_every_steps=0", *fields)
    file = f"--config={REPOSITORY / 'configs/mtm.py'}:size={size}"
    config = declarations.load([file, *(f"--config.{entry}" for entry in entries)])
    folder = runs / "pretrained" / part
    run.train(config, folder, dataset=dataset_of(known))
    return load(folder)


def scored_pairs(session: Session, share: float) -> np.ndarray:
    """Pairs of test trial and unit that are scored in tasks that leave out units, bool [K, N]."""
    rng = np.random.default_rng(SEED)
    return rng.random((len(session.trials_of(TEST)), session.num_units)) < share


def scores(rates: Mapping[str, np.ndarray], session: Session, only: np.ndarray, split: int = TEST) -> dict[str, float]:
    """Pooled bits/spike of each task above the mean of each unit over all trials of the split."""
    trials = session.trials_of(split)
    counts = session.gather_trials(trials)[0]
    found = {}
    for task, predicted in rates.items():
        scored = protocols.scored_entries(session, task, trials)  # whatever else was predicted
        asked = scored & (True if task == "forward" else only[:, None])
        every = scored if task == "forward" else np.ones(predicted.shape, bool)
        mean = np.where(every, counts, 0).sum((0, 1)) / np.maximum(every.sum((0, 1)), 1)  # [N]
        spikes = np.where(asked & (mean > 0), counts, 0)
        logs = [np.log(np.maximum(np.where(asked, r, 1), 1e-9)) for r in (predicted, np.maximum(mean, 1e-9))]
        gain = (spikes * (logs[0] - logs[1])).sum() - np.where(asked & (mean > 0), predicted - mean, 0).sum()
        found[task] = round(float(gain / np.log(2) / spikes.sum()), 4)
    return found


def stack_rates(fewer: Session, session: Session, fraction: float, runs: Path) -> dict[str, np.ndarray]:
    """Rates of the stack on the test trials, kept in `runs`; units silent in the share at their mean."""
    path = runs / "stack" / f"{session.session_id}_{fraction:g}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        rates = baselines.fit_and_predict(fewer, ("stack",))["stack"]
        np.savez(path, **{task: values.astype(np.float32) for task, values in rates.items()})
    means = mean_counts(fewer)
    with np.load(path) as kept:
        return {task: np.where(np.isfinite(kept[task]), kept[task], means) for task in kept.files}


def read(path: Path) -> list[dict]:
    """One dict a finished arm."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, entry: Mapping) -> None:
    """Adds a line; the file is the old one or the new one, whatever happens."""
    before = path.read_bytes() if path.exists() else b""
    write_bytes(path, before + (json.dumps({**entry, **about()}, allow_nan=False) + "\n").encode())
    print(json.dumps(entry), flush=True)


def about() -> dict[str, str]:
    """Where a line comes from."""
    asked = ["git", "describe", "--always", "--exclude=*"]
    commit = subprocess.run(asked, cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", ":(glob)**/*.py"], cwd=REPOSITORY).returncode
    return {
        "commit": commit + "-dirty" * bool(changed),
        "date": datetime.date.today().isoformat(),
        "hardware": f"{os.cpu_count()} CPU cores, {platform.machine()}",
    }


def compare(
    part: str, runs: Path, results: Path, fractions: tuple[float, ...], cpu_minutes: float, arms: tuple[str, ...]
) -> None:
    """Every (fraction, session, arm) of a part that has no line yet."""
    left_out, known = animals(part, runs)
    base = pretrained(part, known, runs)
    _, _, steps, share, _ = PARTS[part]
    done = {(e["part"], e["fraction"], e["session"], e["arm"]) for e in read(results) if "arm" in e}
    for fraction in fractions:
        for session in left_out:
            fewer, only = splits.with_train_fraction(session, fraction, SEED), scored_pairs(session, share)
            for arm in arms:
                if (part, fraction, session.session_id, arm) in done:
                    continue
                if time.process_time() > 60 * cpu_minutes:
                    print("the minutes of CPU time are over; the same command goes on", flush=True)
                    return
                begun = time.process_time()
                if arm == "stack":
                    rates = stack_rates(fewer, session, fraction, runs)
                    cpu_s = time.process_time() - begun
                else:
                    new_rows, trained = ARMS[arm]
                    asked = {"steps": steps, "strategy": "gradual_unfreeze"} if trained else {"steps": 0}
                    model = base.adapt(fewer, new_rows=new_rows, known_sessions=known, **asked)
                    cpu_s = time.process_time() - begun
                    rates = activity.predict_session(model.predictor(session), session, only=only)
                entry = {"part": part, "fraction": fraction, "session": session.session_id, "arm": arm}
                entry |= {"cpu_s": round(cpu_s, 1), "units": session.num_units}
                append(results, entry | {"scores": scores(rates, session, only)})


def passes(runs: Path, results: Path, fractions: tuple[float, ...], cpu_minutes: float) -> None:
    """Fine-tuning by its length, on validation trials of animals that are neither known nor tested."""
    known = animals("synthetic", runs)[1]
    base = pretrained("synthetic", known, runs)
    further = synthetic.make_sessions(SPEC, seed=SEED)[4:8]
    batch = base.weights.config["data"]["trials_per_batch"]
    tried = [("closed_form", number) for number in PASSES] + [("pca", 100)]
    kept = [entry for entry in read(results) if entry["part"] == "passes"]
    done = {(e["fraction"], e["session"], e.get("start", "closed_form"), e["passes"]) for e in kept}
    for fraction in fractions:
        for session in further:
            fewer = splits.with_train_fraction(session, fraction, SEED)
            every = np.ones((len(session.trials_of(VALIDATION)), session.num_units), bool)
            for start, number in tried:
                if (fraction, session.session_id, start, number) in done:
                    continue
                if time.process_time() > 60 * cpu_minutes:
                    print("the minutes of CPU time are over; the same command goes on", flush=True)
                    return
                steps = round(number * len(fewer.trials_of(TRAIN)) / batch)
                asked = {"steps": steps, "strategy": "gradual_unfreeze"} if steps else {"steps": 0}
                asked |= {"new_rows": start, "most_passes": 0}
                model = base.adapt(fewer, known_sessions=known, **asked)
                rates = activity.predict_session(model.predictor(session), session, split=VALIDATION)
                entry = {"part": "passes", "fraction": fraction, "session": session.session_id, "passes": number}
                entry |= {"start": start, "steps": steps}
                append(results, entry | {"scores": scores(rates, session, every, VALIDATION)})


def eighths(runs: Path, results: Path) -> None:
    """Rows of 50 units of a mouse, from states that hide an eighth of the units and from states that hide one.

    Both are fitted to the question `neuron` alone and scored on validation trials with one unit hidden.
    """
    left_out, known = animals("mice", runs)
    session = left_out[1]
    if any(entry["part"] == "eighths" for entry in read(results)):
        return
    base = pretrained("mice", known, runs).adapt(session, steps=0, new_rows="pca", known_sessions=known)
    model, found, means = base.predictor(session), asked_states.recorded(session), mean_counts(session)
    prior = poisson_rows.prior_of(base.weights.arrays["tables/read_out"][: -session.num_units])
    eligible = np.flatnonzero(found.eligible)
    units = np.sort(np.random.default_rng(SEED).choice(eligible, NUM_ALONE, replace=False))
    part, every = asked_states.dealt(session, SEED), np.arange(len(found.trials))
    asked = asked_states.recorded(session.with_fields(split=np.where(session.split == VALIDATION, 0, 9)))
    known_of, fits = {}, {"eighths": [], "one": []}
    losses, scales = {"eighths": 0.0, "one": 0.0, "mean": 0.0}, []
    for unit in units:
        offset = np.full((len(found.counts), 1), means[unit], np.float32)
        number = part[unit]
        if number not in known_of:
            known_of[number] = asked_states.states_of(model, found, every, found.eligible & (part != number), NEURON)
        others = found.eligible & (np.arange(session.num_units) != unit)
        alone = asked_states.states_of(model, found, every, others, NEURON)
        unseen = asked_states.states_of(model, asked, np.arange(len(asked.trials)), others, NEURON).values
        spikes, tested = found.counts[:, [unit]], asked.counts[:, unit]
        drives = {}
        for name, states in (("eighths", known_of[number]), ("one", alone)):
            row = poisson_rows.fit(states.values, spikes, offset, found.trial, prior).read_out[0]
            fits[name].append(row)
            drives[name] = unseen @ row
            losses[name] += float((means[unit] * np.exp(drives[name]) - tested * drives[name]).sum())
        losses["mean"] += float(means[unit] * len(tested))
        scales.append(float(drives["eighths"] @ drives["one"] / (drives["eighths"] @ drives["eighths"])))
    spikes = float(asked.counts[:, units].sum())
    rows = {name: np.stack(found_rows) for name, found_rows in fits.items()}
    cosine = [float(a @ b / np.sqrt((a @ a) * (b @ b))) for a, b in zip(rows["eighths"], rows["one"], strict=True)]
    append(results, {
        "part": "eighths", "session": session.session_id, "units": NUM_ALONE,
        "bits_per_spike": {n: round((losses["mean"] - losses[n]) / np.log(2) / spikes, 4) for n in ("eighths", "one")},
        "median_cosine": round(float(np.median(cosine)), 4),
        "median_scale": round(float(np.median(scales)), 4),
        "norm_ratio": round(float(np.linalg.norm(rows["one"]) / np.linalg.norm(rows["eighths"])), 4),
    })  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=(*PARTS, "eighths", "passes"), required=True)
    parser.add_argument("--runs", type=Path, default=REPOSITORY / "runs" / "adapt")
    parser.add_argument("--results", type=Path, default=HERE / "results.jsonl")
    parser.add_argument("--fractions", type=lambda text: tuple(map(float, text.split(","))), default=(1.0, 0.1))
    parser.add_argument("--arms", type=lambda text: tuple(text.split(",")), default=("stack", *ARMS))
    parser.add_argument("--cpu_minutes", type=float, default=float("inf"))
    given = parser.parse_args()
    os.makedirs(given.runs, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(given.runs / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    try:
        if given.part == "eighths":
            eighths(given.runs, given.results)
        elif given.part == "passes":
            passes(given.runs, given.results, given.fractions, given.cpu_minutes)
        else:
            compare(given.part, given.runs, given.results, given.fractions, given.cpu_minutes, given.arms)
    except (InputError, Interrupted) as stopped:
        raise SystemExit(f"{stopped}; the same command goes on") from None
