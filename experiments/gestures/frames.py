"""Events and velocity frame by frame, of made-up people (configs/emg.py:events, :velocity), beside linear readers.

    python experiments/gestures/frames.py [--runs=runs/gestures]   # about 5 minutes of CPU time; resumes

Both are trained as `neurojax train --config=configs/emg.py:NAME` is, on four people; a fifth validates. Scored are ten
people made afresh, whom no choice has seen. Beside the networks a linear reader of the same samples (log power of
frames of 80 ms, the last 16 frames): logistic regression for each kind of event, whose threshold is the best on the
fifth person, and ridge regression for the velocity, whose penalty is. Other numbers of steps are asked of the fifth
person alone. The sixth person of the config was looked at before its steps were chosen: `seen_before`. Writes
frames.json.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from run import HERE, REPOSITORY, step
from sklearn.linear_model import LogisticRegression, Ridge

from neurojax.commands import config as declarations
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.sources import frames, made_up
from neurojax.data.store.dataset import dataset_of
from neurojax.data.synthetic import ring_moves
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.scores import events
from neurojax.scores.intervals import t_interval
from neurojax.train import run_folder

FRAME_BINS, LAGS = 16, 16
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
PENALTIES = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0, 1e4)
STEPS = {"events": (300, 1000, 2000), "velocity": (300, 1000)}  # asked of the person who validates
FRESH_SEED, NUM_FRESH = 2000, 10


class Part(NamedTuple):
    """Windows of one split: log power of the last frames [windows, S, C * LAGS], targets [windows, S, K], answers of
    the network of that shape (none without one), and whose each window is, [windows]."""

    power: np.ndarray
    target: np.ndarray
    answer: np.ndarray | None
    person: np.ndarray


def read(source: frames.FrameSource, split: int, own: frames.Config, model=None) -> Part:
    powers, targets, answers, people = [], [], [], []
    for one in source.passes(split):
        there = one.session >= 0
        values = np.asarray(one.batch.trials["values"][0][there], np.float64)  # [windows, T, C]
        sums = np.pad((values**2).cumsum(1), ((0, 0), (1, 0), (0, 0)))  # of the first n samples
        ends = np.arange(own.hop_bins, values.shape[1] + 1, own.hop_bins)  # a frame ends with the sample before
        power = np.log((sums[:, ends] - sums[:, np.maximum(ends - FRAME_BINS, 0)]) / FRAME_BINS + 1e-3)
        padded = np.pad(power, ((0, 0), (LAGS - 1, 0), (0, 0)), mode="edge")
        number = power.shape[1]
        powers.append(np.concatenate([padded[:, lag : lag + number] for lag in range(LAGS)], axis=2))
        targets.append(one.batch.trials[own.target][0][there])
        people.append(one.session[there])
        if model is not None:
            answers.append(np.asarray(model.mean(one.batch, ()), np.float64)[0][there])
    answer = np.concatenate(answers) if answers else None
    return Part(np.concatenate(powers), np.concatenate(targets), answer, np.concatenate(people))


def flat(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1, array.shape[-1])


def event_error(probability: np.ndarray, pulses: np.ndarray, threshold: float, settings: dict) -> float:
    said, true = (
        [events.found(own, settings["frame_s"], at, settings["apart_s"]) for own in array]
        for array, at in ((probability, threshold), (pulses, 0.5))
    )
    return events.error(said, true, settings["tolerance_s"])


def velocity_error(said: np.ndarray, velocity: np.ndarray) -> float:
    return float(np.abs(said - velocity).mean())


def linear_events(train: Part, validation: Part, fresh: Part, settings: dict) -> tuple[np.ndarray, dict]:
    """Logistic regression; the threshold is the best on the person who validates."""
    power, pulses = flat(train.power), flat(train.target)
    centre, spread = power.mean(0), power.std(0)
    fits = [LogisticRegression(max_iter=300).fit((power - centre) / spread, own > 0.5) for own in pulses.T]

    def said(part: Part) -> np.ndarray:
        given = (flat(part.power) - centre) / spread
        return np.stack([fit.predict_proba(given)[:, 1] for fit in fits], axis=1).reshape(part.target.shape)

    given = said(validation)
    errors = {at: event_error(given, validation.target, at, settings) for at in THRESHOLDS}
    best = min(errors, key=errors.get)
    return said(fresh), {"threshold": best, "validation_event_error": errors}


def linear_velocity(train: Part, validation: Part, fresh: Part) -> tuple[np.ndarray, dict]:
    """Ridge regression; the penalty is the best on the person who validates."""
    fits = {one: Ridge(alpha=one).fit(flat(train.power), flat(train.target)) for one in PENALTIES}

    def said(fit: Ridge, part: Part) -> np.ndarray:
        return fit.predict(flat(part.power)).reshape(part.target.shape)

    errors = {one: velocity_error(said(fit, validation), validation.target) for one, fit in fits.items()}
    best = min(errors, key=errors.get)
    return said(fits[best], fresh), {"penalty": best, "validation_mean_absolute_error": errors}


def fresh_people(config: dict) -> list:
    """People of the config's kind from seeds of their own, all of the test split."""
    spec = made_up.spec_of(ring_moves.MovesSpec, config["data"])
    last = spec.num_people - 1  # the one who tests
    made = (ring_moves.session_of(spec, FRESH_SEED + number, last) for number in range(NUM_FRESH))
    return [one.with_fields(session_id=f"fresh-{number}") for number, one in enumerate(made)]


def over_people(errors: list[float]) -> dict:
    found = t_interval(errors)
    return {"mean": found.mean, "ci95": list(found.ci95), "people": errors}


def trained(name: str, steps: int, runs: Path) -> tuple[Path, dict]:
    """(folder of a run of some steps, its config)."""
    folder = runs / "frames" / f"{name}_{steps}"
    given = [f"--config={REPOSITORY / 'configs' / 'emg.py'}:{name}", f"--config.train.num_steps={steps}"]
    step("train", *given, f"--workdir={folder}")
    return folder, declarations.load(given)


def measured(name: str, runs: Path) -> dict:
    """Scores of the config and of the linear reader of one target."""
    default = declarations.load([f"--config={REPOSITORY / 'configs' / 'emg.py'}:{name}"])
    dataset, data = frames.open_data(default["data"], default["seed"]), default["data"]
    own = frames.Config(data["trials_per_batch"], data["target"], data["hop_bins"], data["normalise"])
    source = frames.FrameSource(dataset.sessions, own, 0)
    others = frames.FrameSource(dataset_of(fresh_people(default)).sessions, own, 0)
    settings = {**default["eval"], "frame_s": own.hop_bins * source.facts.bin_size_s}

    def error(said: np.ndarray, true: np.ndarray, threshold: float) -> float:
        return event_error(said, true, threshold, settings) if name == "events" else velocity_error(said, true)

    curve, steps = {}, default["train"]["num_steps"]
    for number in STEPS[name]:
        folder, config = trained(name, number, runs)
        model, _ = run_folder.load_predictor(folder, config, dataset)
        asked = read(source, VALIDATION, own, model)
        curve[number] = error(asked.answer, asked.target, settings["threshold"])
        if number == steps:  # the default: no other one meets the fresh people
            evaluation, fresh = read_json(folder / "evaluation.json"), read(others, TEST, own, model)
    train, validation = read(source, TRAIN, own), read(source, VALIDATION, own)
    if name == "events":
        said, linear = linear_events(train, validation, fresh, settings)
    else:
        said, linear = linear_velocity(train, validation, fresh)
    found = {}
    for reader, given, at in (
        ("network", fresh.answer, settings["threshold"]), ("linear", said, linear.get("threshold", 0.0)),
    ):  # fmt: skip
        everybody = [fresh.person == number for number in range(NUM_FRESH)]
        found[reader] = [error(given[one], fresh.target[one], at) for one in everybody]
    less = [one - other for one, other in zip(found["network"], found["linear"], strict=True)]
    if name == "velocity":
        middle = np.median(flat(train.target), axis=0)
        found["median"] = [velocity_error(middle, fresh.target[one]) for one in everybody]
    return {
        "num_steps": steps,
        "cost": evaluation.get("cost", {}),
        "score": "event error" if name == "events" else "mean absolute error",
        **{reader: over_people(errors) for reader, errors in found.items()},
        "network_minus_linear": over_people(less),
        "validation_by_steps": curve,
        "linear_choice": linear,
        "seen_before": evaluation["frames"]["sessions"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/gestures"))
    runs = parser.parse_args().runs
    results = {"command": "python experiments/gestures/frames.py", **provenance(HERE)}
    for name in ("events", "velocity"):
        results[name] = measured(name, runs)
        print(name, results[name], flush=True)
    write_json(HERE / "frames.json", results)


if __name__ == "__main__":
    main()
