"""The armband sits otherwise: turned, the other way round, an electrode lost or louder; and false activations at rest.

    python experiments/gestures/audit.py [--runs=runs/gestures] [--ring=runs/gestures_rest]

people  every tenth window of the people whom each network of run.py never saw (run it first), under each change of
        evals.electrode_shifts: as worn, and in the order of electrodes that is found without labels.
rest    an hour of made-up rest, half an hour each of two made-up people whom a network of sixteen others never saw,
        with drift and twitches, with drift, with neither: how often it acts, beside a reader who knows the person's
        patterns, and how many of their gestures it acts. A person is known by 60 s of gestures first, then by its past.

Writes audit.json after every person; a repeated command goes on where it was.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from neurojax.commands import config as configs
from neurojax.data import emg_features, ring_orders
from neurojax.data.conversion import convert_session
from neurojax.data.readers.emg import segment_windows
from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import signals
from neurojax.data.store.dataset import dataset_of, open_dataset, write_dataset_index
from neurojax.data.synthetic import ring
from neurojax.evals import electrode_shifts, false_activations, gesture_trust, ring_order
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.scores import activations
from neurojax.scores.intervals import t_interval
from neurojax.train import run, run_folder

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
EVERY = 10
SPEC, SEED, TRAINED, RESTS = ring.RingSpec(num_people=18), 5, 16, 2
REST_S = 1800.0  # of each
STEPS, MIN_STEP, WINDOW, STEP = 600, 0.1, 52, 10
KNOWN_S = 60


def of_people(runs: Path, kept: dict) -> None:
    """Adds the scores of every person under every change."""
    for folder in sorted(runs.glob("fold_*")):
        config = run_folder.read_run(folder)
        sessions = run_folder.load_data(config).sessions
        names, labels = signals.classes_of(sessions, config["data"]["label"])
        model, _ = run_folder.load_predictor(folder, config, dataset_of(sessions))
        answers = ring_order.answers_of(model, config["data"]["trials_per_batch"])
        columns = np.stack([emg_features.reordered(one) for one in ring_orders.orders(sessions[0].num_units)])
        for session, label in zip(sessions, labels, strict=True):
            trials = session.trials_of(TEST)[::EVERY]
            if len(trials) and session.session_id not in kept["people"]:
                windows = session.gather_trials(trials)[0].astype(np.float32)
                own = (answers, windows, label[trials], len(names), config["data"]["min_step"], columns)
                kept["people"][session.session_id] = electrode_shifts.scores(*own)
                print(session.session_id, flush=True)
                write_json(HERE / "audit.json", kept)
    kept["electrodes"] = {}
    for kind in next(iter(kept["people"].values())):
        parts = {name: [one[kind][name] for one in kept["people"].values()] for name in ("as_worn", "ring")}
        spread = {name: t_interval(values) for name, values in parts.items()}
        kept["electrodes"][kind] = {
            name: {"balanced_accuracy": one.mean, "balanced_accuracy_ci95": list(one.ci95)}
            for name, one in spread.items()
        }


def of_rest(folder: Path, kept: dict) -> None:
    """Adds false activations in an hour of rest of people who were not trained on."""
    ring.write_people(folder / "files", SPEC, SEED)
    for path in sorted((folder / "files").glob("*.npz")):
        convert_session(path, kind="emg", out=folder / "people")
    write_dataset_index(folder / "people")
    sessions = open_dataset(folder / "people").sessions
    asked = configs.load([f"--config={REPOSITORY / 'configs' / 'emg.py'}"])
    asked["data"] |= {"order": "as_worn", "min_step": MIN_STEP, "trials_per_batch": 256}
    asked["train"] |= {"num_steps": STEPS, "validate_every_steps": 0}
    asked["eval"] |= {"floors": ""}
    split = {f"person-{k}": TRAIN if k < TRAINED else TEST for k in range(SPEC.num_people)}
    people = dataset_of([s.with_fields(split=np.full_like(s.split, split[s.session_id])) for s in sessions])
    run.train(asked, folder / "run", dataset=people, log=lambda line: None)
    model, _ = run_folder.load_predictor(folder / "run", run_folder.read_run(folder / "run"), people)
    answers = ring_order.answers_of(model, ring_order.windows_per_pass(1))
    typical, neutral = np.asarray(model.buffers["feature_scale"]), list(ring.GESTURES).index("rest")
    long = ring.RestSpec(seconds=REST_S)
    still = dataclasses.replace(long, twitches_per_hour=0.0)
    steady = dataclasses.replace(still, drift_std=0.0)
    kinds = {"drift and twitches": long, "drift": still, "noise alone": steady}
    for name, asked_for in kinds.items():
        counts = dict.fromkeys((*(f"hold_{hold}" for hold in gesture_trust.HOLDS), gesture_trust.GATE), 0)
        best = dict(counts)
        for person in range(TRAINED, TRAINED + RESTS):
            known = ring.recording(SPEC, SEED, person)["emg"][: round(KNOWN_S * SPEC.sampling_hz)]
            rest = ring.rest(SPEC, asked_for, SEED, person)["emg"]
            raw = [features_of(samples) for samples in (known, rest)]
            worn = np.arange(typical.shape[1])[None]
            told = ring_order.by_past(answers, np.concatenate(raw), worn, typical).probability[len(raw[0]) :]
            add_activations(counts, told, neutral)
            add_activations(best, of_best_reader(rest, person), neutral)
        hours = RESTS * asked_for.seconds / 3600
        kept["rest"][name] = {
            "model": {way: false_activations.per_hour(n, hours) for way, n in counts.items()},
            "who knows the patterns": {way: false_activations.per_hour(n, hours) for way, n in best.items()},
        }
        print(name, kept["rest"][name], flush=True)
        write_json(HERE / "audit.json", kept)
    kept["rest"]["gestures"] = of_gestures(sessions, answers, typical)


def of_gestures(sessions, answers, typical) -> dict:
    """What the gate makes of the gestures of the same people, each known by the past."""
    found = {}
    for session in sessions:
        number = int(session.session_id.rpartition("-")[2])
        if number >= TRAINED:
            trials = np.arange(session.num_trials)
            raw = emg_features.all_features(session.gather_trials(trials)[0].astype(np.float32), MIN_STEP)
            told = ring_order.by_past(answers, raw, np.arange(typical.shape[1])[None], typical).probability
            label = np.asarray(session.conditions["gesture"])
            found[session.session_id] = gesture_trust.windows_of(session, trials, told, label)
    return gesture_trust.found_by_gate(found, list(ring.GESTURES).index("rest"))


def add_activations(counts: dict, probability: np.ndarray, neutral: int) -> None:
    """Counts the activations of [windows, K] in each way to begin one."""
    for hold in gesture_trust.HOLDS:
        counts[f"hold_{hold}"] += false_activations.begun(probability.argmax(1), neutral, hold)
    acted = activations.acted(probability, neutral)
    counts[gesture_trust.GATE] += false_activations.begun(acted, neutral, 1)


def of_best_reader(samples: np.ndarray, person: int) -> np.ndarray:
    """Probabilities of a reader who knows the person's patterns and nothing of drift, [windows, K]."""
    starts, _ = segment_windows(np.array([0, len(samples)]), WINDOW, STEP)
    patterns = ring.patterns(SPEC, SEED, person)
    pieces = np.array_split(starts, max(1, len(starts) // 4096))
    return np.concatenate(
        [ring.best_probability(samples[piece[:, None] + np.arange(WINDOW)], patterns) for piece in pieces]
    )


def features_of(samples: np.ndarray) -> np.ndarray:
    """Features of the windows of samples [n, C], float32 [windows, F]."""
    starts, _ = segment_windows(np.array([0, len(samples)]), WINDOW, STEP)
    pieces = np.array_split(starts, max(1, len(starts) // 4096))
    return np.concatenate(
        [emg_features.all_features(samples[piece[:, None] + np.arange(WINDOW)], MIN_STEP) for piece in pieces]
    )


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/gestures"))
    parser.add_argument("--ring", type=Path, default=Path("runs/gestures_rest"))
    parser.add_argument("--part", default="people,rest")
    return parser.parse_args()


if __name__ == "__main__":
    options = parsed()
    where = HERE / "audit.json"
    results = read_json(where) if where.is_file() else {"people": {}, "rest": {}}
    results |= {"command": "python experiments/gestures/audit.py", **provenance(HERE)}
    if "people" in options.part:
        of_people(options.runs, results)
    if "rest" in options.part:
        of_rest(options.ring, results)
    write_json(where, results)
