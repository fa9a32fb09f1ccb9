"""The arms and the linear models, and how they are scored: four tasks, and behaviour read out of frozen latents."""

import datetime
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from neurojax.api.pretrained import Pretrained, load
from neurojax.commands import config as declarations
from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.sources import spikes
from neurojax.data.store.dataset import Dataset, dataset_of
from neurojax.errors import InputError
from neurojax.evals import activity, baselines, protocols, scoring
from neurojax.evals.decoding import decoder, features, scores, signals, targets
from neurojax.files import write_bytes
from neurojax.train import run

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RECORDINGS = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
ARMS = ("single", "fine-tuned")
LINEAR = ("ridge", "stack")  # of neurojax.evals.baselines.NAMES


def config_of(size: str, fields: Sequence[str]) -> dict:
    """configs/mtm.py of a size with these entries changed."""
    always = ("train.validate_every_steps=0", *fields)
    file = f"--config={REPOSITORY / 'configs/mtm.py'}:size={size}"
    return declarations.load([file, *(f"--config.{field}" for field in always)])


def pretrained(config: Mapping, dataset: Dataset, folder: Path, num_steps: int) -> Pretrained:
    """Trains on all sessions of a dataset, from the newest checkpoint in `folder`."""
    run.train(_with_steps(config, num_steps), folder, dataset=dataset)
    return load(folder)


def from_scratch(config: Mapping, session: Session, num_steps: int) -> Pretrained:
    """Trains on one session alone."""
    with tempfile.TemporaryDirectory() as folder:
        return pretrained(config, dataset_of([session]), Path(folder), num_steps)


def fine_tuned(base: Pretrained, session: Session, num_steps: int, known_sessions: Sequence[Session]) -> Pretrained:
    """The pretrained model adapted to one session: its rows alone for a quarter of the steps, then everything."""
    return base.adapt(
        session, steps=num_steps, strategy="gradual_unfreeze", most_passes=0, known_sessions=known_sessions
    )


def four_tasks(model: Pretrained, session: Session) -> dict[str, float | None]:
    """Pooled bits/spike of each task on the test split, against the test mean; the same units at every fraction."""
    return _pooled(session, activity.predict_session(model.predictor(session), session, protocol=protocols.MTM))


def linear_models(names: Sequence[str], fewer: Session, session: Session) -> dict[str, dict[str, float | None]]:
    """Pooled bits/spike of each linear model and task on the test split, scored as `four_tasks` scores the arms.

    Args:
        names: of LINEAR; those that share a part are fitted together.
        fewer: the session with a share of its training trials, on which they are fitted; all that they choose is chosen
            on its validation trials, which the arms do not use.
        session: the whole one, whose scored units are those of every share. Units without a spike in the share are
            predicted at their mean with one spike more, where the arms start.
    """
    means = spikes.mean_counts(fewer)  # [N]
    predicted = baselines.fit_and_predict(fewer, names)
    return {
        name: _pooled(session, {task: np.where(np.isfinite(rates), rates, means) for task, rates in of_task.items()})
        for name, of_task in predicted.items()
    }


def _pooled(session: Session, predictions: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    blocks = scoring.score_session(session, predictions, seed=0, num_boot=0)
    return {task: block["bps_pooled"] for task, block in blocks.items()}


def decoding(model: Pretrained, session: Session, name: str, *, with_spikes: bool) -> dict[str, float | None]:
    """Score on the test split of a read-out fitted on the training trials at hand: from latents, and from spikes.

    Balanced accuracy of classes, R2 of numbers; None where too few trials or classes are there.
    """
    try:
        target = targets.read_target(session, name)
        split = session.split[target.trial_ids]
        fold = (np.flatnonzero(split == TRAIN), np.flatnonzero(split == TEST))
        latents = signals.of_model(model.predictor(session), session, target.trial_ids, signals.LATENTS)
        read_outs = {"latents": decoder.linear(latents, target, decoder.SAME_BIN)}
        if with_spikes:
            read_outs["spikes"] = decoder.linear(features.spikes(session, target.trial_ids), target, decoder.SAME_BIN)
        unseen = split == TEST
        result = decoder.decode(session, target, read_outs, [fold], unseen, seed=0, num_permutations=0)
    except InputError as error:
        return {"latents": None, "reason": str(error)}
    main = scores.MAIN[target.kind]
    return {read_out: scores.score(found.predicted, target, unseen)[main] for read_out, found in result.decoded.items()}


def read_results(path: Path) -> list[dict]:
    """One dict a finished run."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, entry: Mapping) -> None:
    """Adds a line; the file is the old one or the new one, whatever happens."""
    before = path.read_bytes() if path.exists() else b""
    write_bytes(path, before + (json.dumps(entry, allow_nan=False) + "\n").encode())


def about() -> dict[str, str]:
    """Where a line comes from."""
    command = ["git", "describe", "--always", "--exclude=*"]  # results.jsonl itself changes line by line
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", ":(glob)**/*.py"], cwd=REPOSITORY).returncode
    commit = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()
    return {
        "commit": commit + "-dirty" * bool(changed),
        "date": datetime.date.today().isoformat(),
        "hardware": f"{os.cpu_count()} CPU cores, {platform.machine()}",
    }


def _with_steps(config: Mapping, num_steps: int) -> dict:
    return {**config, "train": {**config["train"], "num_steps": num_steps}}
