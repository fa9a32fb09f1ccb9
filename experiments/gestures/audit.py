"""The armband sits otherwise: turned, the other way round, an electrode lost or louder; and false activations at rest.

    python experiments/gestures/audit.py [--runs=runs/gestures] [--ring=runs/gestures_rest]

people  every tenth window of the people whom each network of run.py never saw (run it first), under each change of
        evals.electrode_shifts: as worn, and in the order of electrodes that is found without labels.
rest    an hour of made-up rest, half an hour each of two made-up people whom a network of sixteen others never saw,
        with drift and twitches and with drift alone: how often it acts. A person is known by 60 s of gestures first
        and then by its past.

Writes audit.json after every person; a repeated command goes on where it was.
"""

import argparse
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
    answers = ring_order.answers_of(model, 4096)
    typical, neutral = np.asarray(model.buffers["feature_scale"]), list(ring.GESTURES).index("rest")
    still = ring.RestSpec(seconds=REST_S, twitches_per_hour=0.0)
    for long, name in ((ring.RestSpec(seconds=REST_S), "drift and twitches"), (still, "drift")):
        counts = dict.fromkeys(gesture_trust.HOLDS, 0)
        for person in range(TRAINED, TRAINED + RESTS):
            known = ring.recording(SPEC, SEED, person)["emg"][: round(KNOWN_S * SPEC.sampling_hz)]
            raw = [features_of(samples) for samples in (known, ring.rest(SPEC, long, SEED, person)["emg"])]
            worn = np.arange(typical.shape[1])[None]
            said = ring_order.by_past(answers, np.concatenate(raw), worn, typical).probability.argmax(1)
            for hold in counts:
                counts[hold] += false_activations.begun(said[len(raw[0]) :], neutral, hold)
        hours = RESTS * long.seconds / 3600
        kept["rest"][name] = {f"hold_{hold}": false_activations.per_hour(n, hours) for hold, n in counts.items()}
        print(name, kept["rest"][name], flush=True)
        write_json(HERE / "audit.json", kept)


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
