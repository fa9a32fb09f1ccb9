"""Events and velocity frame by frame, of made-up people (configs/emg.py:events, :velocity), beside linear readers.

    python experiments/gestures/frames.py [--runs=runs/gestures]   # a few minutes of CPU time; resumes

Both are trained as `neurojax train --config=configs/emg.py:NAME` is, on four people; a fifth validates and the sixth is
scored. Beside them a linear reader of the same samples (log power of frames of 80 ms, the last 16 frames): logistic
regression for each kind of event, whose threshold is the best on the fifth person, and ridge regression for the
velocity, whose penalty is. Writes frames.json.
"""

import argparse
from pathlib import Path

import numpy as np
from run import HERE, REPOSITORY, step
from sklearn.linear_model import LogisticRegression, Ridge

from neurojax.commands import config as declarations
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.sources import frames
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.scores import events

FRAME_BINS, LAGS = 16, 16
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
PENALTIES = (1.0, 10.0, 100.0, 1000.0)


def read(source: frames.FrameSource, split: int, target: str, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """(log power of the last frames [windows, S, C * LAGS], targets [windows, S, K]) of one split."""
    powers, targets = [], []
    for one in source.passes(split):
        own = one.session >= 0
        values = np.asarray(one.batch.trials["values"][0][own], np.float64)  # [windows, T, C]
        sums = np.pad((values**2).cumsum(1), ((0, 0), (1, 0), (0, 0)))  # of the first n samples
        ends = np.arange(hop, values.shape[1] + 1, hop)  # a frame ends with the sample before
        power = np.log((sums[:, ends] - sums[:, np.maximum(ends - FRAME_BINS, 0)]) / FRAME_BINS + 1e-3)
        padded = np.pad(power, ((0, 0), (LAGS - 1, 0), (0, 0)), mode="edge")
        number = power.shape[1]
        powers.append(np.concatenate([padded[:, lag : lag + number] for lag in range(LAGS)], axis=2))
        targets.append(one.batch.trials[target][0][own])
    return np.concatenate(powers), np.concatenate(targets)


def flat(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1, array.shape[-1])


def event_error(probability: np.ndarray, pulses: np.ndarray, threshold: float, settings: dict) -> float:
    said, true = (
        [events.found(own, settings["frame_s"], at, settings["apart_s"]) for own in array]
        for array, at in ((probability, threshold), (pulses, 0.5))
    )
    return events.error(said, true, settings["tolerance_s"])


def linear_events(parts: dict[int, tuple[np.ndarray, np.ndarray]], settings: dict) -> dict:
    """Logistic regression; the threshold is the best on the person who validates."""
    power, pulses = (flat(array) for array in parts[TRAIN])
    centre, spread = power.mean(0), power.std(0)
    fits = [LogisticRegression(max_iter=300).fit((power - centre) / spread, own > 0.5) for own in pulses.T]

    def said(split: int) -> np.ndarray:
        given = (flat(parts[split][0]) - centre) / spread
        found = np.stack([fit.predict_proba(given)[:, 1] for fit in fits], axis=1)
        return found.reshape(parts[split][1].shape)

    errors = {at: event_error(said(VALIDATION), parts[VALIDATION][1], at, settings) for at in THRESHOLDS}
    best = min(errors, key=errors.get)
    found = event_error(said(TEST), parts[TEST][1], best, settings)
    return {"event_error": found, "threshold": best, "validation_event_error": errors[best]}


def linear_velocity(parts: dict[int, tuple[np.ndarray, np.ndarray]]) -> dict:
    """Ridge regression; the penalty is the best on the person who validates."""
    fits = {one: Ridge(alpha=one).fit(*map(flat, parts[TRAIN])) for one in PENALTIES}

    def error(fit: Ridge, split: int) -> float:
        power, velocity = map(flat, parts[split])
        return float(np.abs(fit.predict(power).reshape(velocity.shape) - velocity).mean())

    best = min(fits, key=lambda one: error(fits[one], VALIDATION))
    return {"mean_absolute_error": error(fits[best], TEST), "penalty": best}


def measured(name: str, runs: Path) -> dict:
    """Scores of the config and of the linear reader of one target."""
    folder, given = runs / "frames" / name, f"--config={REPOSITORY / 'configs' / 'emg.py'}:{name}"
    step("train", given, f"--workdir={folder}")
    evaluation, config = read_json(folder / "evaluation.json"), declarations.load([given])
    dataset = frames.open_data(config["data"], config["seed"])
    data = config["data"]
    own = frames.Config(data["trials_per_batch"], data["target"], data["hop_bins"], data["normalise"])
    source = frames.FrameSource(dataset.sessions, own, 0)
    parts = {split: read(source, split, own.target, own.hop_bins) for split in (TRAIN, VALIDATION, TEST)}
    block = evaluation["frames"]
    if name == "events":
        linear = linear_events(parts, {**config["eval"], "frame_s": block["frame_s"]})
    else:
        linear = linear_velocity(parts)
    steps = config["train"]["num_steps"]
    return {"num_steps": steps, "cost": evaluation.get("cost", {}), **block["sessions"]["person-5"], "linear": linear}


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
