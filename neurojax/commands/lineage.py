"""`neurojax lineage`: from a prediction back to training trials, the steps that drew them, and the
raw files they were converted from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.api import lineage as lineages
from neurojax.api.pretrained import Pretrained
from neurojax.data.store.dataset import Dataset
from neurojax.errors import InputError, require
from neurojax.evals.tables import align
from neurojax.files import require_writable, write_json
from neurojax.finetune import adapters, release, weights
from neurojax.runs.progress import Progress
from neurojax.train import run_folder, settings

SCHEMA = 1
_HEAD = ["", "recording", "trial", "starts, s", "states", "gradients", "steps", "raw file"]


def lineage(
    folder: Path,
    *,
    session: str,
    trial: int,
    num: int = 10,
    data: Path | None = None,
    out: Path | None = None,
) -> None:
    """Prints the training trials that stand behind the prediction of one trial.

    Args:
        folder: workdir of a run, or an export; of an export `data` is needed.
        session: name of the recording.
        trial: index in it, as `trial_id` of `neurojax predict`.
        num: trials to print of each of the two measures, see `api.lineage.behind`.
        data: recordings the run was trained on, with all their training trials where it saw a
            share of them (`data.train_fraction`); default: those its config names.
        out: a file for all of it, JSON.

    Raises:
        InputError: no run, no such session or trial, or nothing to compare with.
    """
    folder = Path(folder)
    require(num >= 1, f"--num={num}; expected 1 or more")
    is_run = not release.is_release(folder)
    require(
        is_run or data is not None,
        f"{folder} is an export, which says no place of its recordings; name them with --data=ROOT",
    )
    if out is not None:
        require_writable(Path(out))
    found = adapters.merged(weights.read_run(folder) if is_run else release.read(folder))
    dataset = run_folder.data_of(found.config, data, thinned=True)
    named = {one.session_id: one for one in dataset.sessions}
    if session not in named:
        known = ", ".join(sorted(named)[:10]) + (", ..." if len(named) > 10 else "")
        raise InputError(f"--session={session} is not among the recordings; choose from {known}")
    model = Pretrained(found)
    with Progress(len(dataset.sessions), "training trials", unit="sessions") as progress:
        record = lineages.behind(
            model,
            named[session],
            trial,
            dataset.sessions,
            num_gradients=max(num, lineages.NUM_GRADIENTS),
            progress=progress.update,
        )
    drawn, reason = (
        times_drawn(found, dataset) if is_run else ({}, "an export does not know its batches")
    )
    for one in record["trials"]:
        one["steps_drawn"] = int(drawn[one["session_id"]][one["trial"]]) if drawn else None
    record |= {
        "schema": SCHEMA,
        "step": found.step,
        "weights_sha256": found.digest,
        "dataset_fingerprint": dataset.fingerprint,
        "steps_drawn_reason": reason or None,
    }
    if out is not None:
        write_json(Path(out), record)
    print("\n".join(lines(record, num)))


def times_drawn(found: weights.Weights, dataset: Dataset) -> tuple[dict[str, np.ndarray], str]:
    """(recording -> int [trials], in how many batches of the run each trial was; why not known).

    A batch is a function of the seed, its number and all the recordings, so that they are drawn
    once more.
    """
    if dataset.fingerprint != found.dataset_fingerprint:
        return {}, "the recordings at hand are not those it was trained on"
    if found.origin is not None or found.config.get("init_from"):
        return {}, "the run began with other weights, whose batches it does not know"
    source = settings.open_source(found.config, dataset.to_read)
    if not hasattr(source, "plan"):
        return {}, "batches of this source are not drawn once more"
    counts = [np.zeros(one.num_trials, np.int64) for one in dataset.sessions]
    for step in range(found.step):
        plan = source.plan(step)
        for number, trials in zip(plan.session, plan.trial, strict=True):
            counts[number][np.unique(trials)] += 1
    names = [one.session_id for one in dataset.sessions]
    return dict(zip(names, counts, strict=True)), ""


def lines(record: Mapping[str, Any], num: int) -> list[str]:
    """The record for a terminal."""
    asked, trials = record["asked"], record["trials"]
    by_gradient = sorted(trials, key=lambda one: -one["gradient_cosine"])
    told = [
        f"trial {asked['trial']} ({asked['split']}) of {asked['session_id']}, "
        f"{_raw(asked['raw'])}; converted content sha256 {asked['content_sha256'][:12]}",
        f"nearest of {record['num_train_trials']:,} training trials by the model's states "
        "(1: a usual training trial)",
        *_table(trials[:num]),
        f"of the {len(trials)} nearest, those whose gradients are most alike "
        "(1: the same, 0: nothing in common)",
        *_table(by_gradient[:num]),
    ]
    told += [f"left out: {name}, {reason}" for name, reason in record["left_out"].items()]
    if record["steps_drawn_reason"]:
        told.append(f"steps that drew a trial are not known: {record['steps_drawn_reason']}")
    told.append("Likeness is no proof that a trial made a prediction what it is.")
    return told


def _table(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            str(place),
            one["session_id"],
            str(one["trial"]),
            "-" if one["start_s"] is None else f"{one['start_s']:.2f}",
            f"{one['state_distance']:.3f}",
            f"{one['gradient_cosine']:.3f}",
            "-" if one["steps_drawn"] is None else str(one["steps_drawn"]),
            _raw(one["raw"]),
        ]
        for place, one in enumerate(trials, 1)
    ]
    return align([_HEAD, *rows])


def _raw(raw: Mapping[str, str | None]) -> str:
    digest = f" sha256 {raw['sha256'][:12]}" if raw["sha256"] else ""
    return (raw["file"] or "file not stated") + digest
