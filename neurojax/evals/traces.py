"""The evaluation of traces: cells, last bins and regions of test trials, predicted beside floors.

An evaluator; see evals.spikes for what its five functions are for.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.data.sources.traces import standardised
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import Dataset
from neurojax.errors import InputError, require
from neurojax.evals import floor_names, leaks
from neurojax.evals.trace_floors import FLOORS
from neurojax.evals.trace_scores import session_blocks, traces_block
from neurojax.evals.trace_tasks import TASKS, WHY_NOT, predictions, questions
from neurojax.report import trace_report
from neurojax.runs.progress import Progress

SIZES = {"trials_per_pass": 1, "memory_mb": 1, "num_boot": 0}  # least values
MAX_EXAMPLE_TRIALS = 8
Log = Callable[[str], Any]


def about(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the `eval` block; nothing more than the block itself tells evaluations apart.

    Raises:
        InputError: an unknown floor, or a size that is none.
    """
    for name, least in SIZES.items():
        value = settings.get(name)
        require(
            isinstance(value, int) and not isinstance(value, bool) and value >= least,
            f"eval.{name}={value!r}; expected a whole number of at least {least}, see "
            "configs/traces.py",
        )
    floor_names.chosen(settings, FLOORS)
    return {}


def prepare(
    dataset: Dataset, settings: Mapping[str, Any], *, run: Path | None = None, log: Log = print
) -> Dataset:
    """All sessions; raises InputError for counts, trials of different splits that share samples,
    and a session without a test trial."""
    for session in dataset.sessions:
        leaks.require_no_overlap(standardised(session))
        require(
            len(session.trials_of(TEST)),
            f"session {session.session_id} has no test trial; convert it with a split such as "
            "--split=blocks:60s",
        )
    return dataset


def evaluate(
    model,
    dataset: Dataset,
    settings: Mapping[str, Any],
    seed: int,
    *,
    folder: Path,
    root: str,
    log: Log = print,
) -> dict[str, Any]:
    """Predicts and scores the test trials of every session.

    Args:
        model: a predictor of a Gaussian head; rows for every session.
        dataset: from `prepare`.
        settings: the `eval` block, sound.
        seed: of the bootstrap.
        folder, root, log: as of `evals.spikes.evaluate`.

    Returns:
        {"traces": see `trace_scores.traces_block`, "example": arrays for the figure, which are not
        part of the record}.

    Raises:
        InputError: another head, a test trial that was trained on or repeats a train trial, or a
            forward pass that does not fit into memory.
    """
    if model.recipe.head != "gaussian":
        raise InputError(f"head.name={model.recipe.head}: R2 of traces needs head.name=gaussian")
    leaks.require_unseen(dataset.sessions, trained_trials.read(folder), dataset.digests)
    leaks.require_no_copies(dataset.sessions)
    largest = max(session.num_units for session in dataset.sessions)
    memory_mb, at_most = settings["memory_mb"], settings["trials_per_pass"]
    size = model.pass_size(largest, memory_mb=memory_mb, at_most=at_most)
    log(f"evaluation: {size.trials} trials a forward pass (eval.memory_mb={memory_mb})")
    sessions, example = {}, None
    with Progress(len(dataset.sessions), "evaluating", unit="sessions") as progress:
        for number, session in enumerate(dataset.sessions):
            block, own = _session(model, standardised(session), settings, seed, size.trials)
            sessions[session.session_id] = block
            example = example or own
            progress.update(number + 1)
    block = traces_block(sessions, TASKS, floor_names.chosen(settings, FLOORS))
    return {"traces": block, "example": example}


def _session(
    model, view: Session, settings: Mapping[str, Any], seed: int, trials_per_pass: int
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """(block of a session, its example: None where no cell is predicted)."""
    trial_ids, asked = view.trials_of(TEST), questions(view)
    values, _ = view.gather_trials(trial_ids)
    predicted = predictions(model, view, asked, trial_ids, trials_per_pass)
    floors: dict[str, dict[str, Any]] = {}
    for name in floor_names.chosen(settings, FLOORS):
        predict, tasks = FLOORS[name]
        floors[name] = {}
        for task in (task for task in tasks if task in predicted):
            try:
                floors[name][task] = predict(view, task, asked[task])
            except InputError as error:  # the model's own scores stand without it
                floors[name][task] = str(error)
    boot = {"seed": seed, "num_boot": settings["num_boot"]}
    tasks, beside = session_blocks(predicted, floors, values, **boot)
    for task, reason in WHY_NOT.items():
        tasks.setdefault(task, {"r2": None, "r2_reason": reason})
    block = {
        "num_cells": int(view.counts.any(0).sum()),
        "num_test_trials": len(trial_ids),
        "tasks": {task: tasks[task] for task in TASKS},
        "floors": beside,
    }
    if "co_smoothing" not in predicted:
        return block, None
    some = slice(0, MAX_EXAMPLE_TRIALS)
    shown = np.where(view.entry_valid(trial_ids), values, np.nan)
    example = {"measured": shown[some], "predicted": predicted["co_smoothing"][some]}
    names = {"session_id": view.session_id, "unit_id": view.unit_id, "bin_size_s": view.bin_size_s}
    return block, example | names


def show(evaluation: Mapping[str, Any], log: Log = print) -> None:
    """Tells the scores of a record."""
    log(trace_report.terminal_table(evaluation["traces"]))


def draw(
    folder: Path,
    evaluation: Mapping[str, Any],
    example: Mapping[str, Any] | None,
    metrics: Sequence[Mapping[str, Any]],
    *,
    suffix: str = "",
    log: Log = print,
) -> None:
    """Writes figures<suffix>/ and report<suffix>.html of a record into a workdir."""
    trace_report.write(Path(folder), evaluation, example, suffix=suffix, log=log)


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """Runs side by side, for `neurojax compare`: see `trace_report.compared`."""
    return trace_report.compared(records)
