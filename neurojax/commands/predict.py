"""`neurojax predict`: a run's predicted rates of the test trials, as arrays for other tools."""

import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.commands import hypotheses
from neurojax.commands.predicted_nwb import predictions_as_nwb, require_pynwb
from neurojax.data.questions import TASKS
from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.store import trained_trials
from neurojax.data.store.answers import read_answers, write_answers
from neurojax.errors import InputError, require
from neurojax.evals import (
    activity,
    baseline_scores,
    leaks,
    protocols,
    scorable,
    spikes,
    with_stack,
)
from neurojax.evals.answers import answers_of
from neurojax.files import require_writable, write_bytes
from neurojax.finetune import forget
from neurojax.runs import state_io
from neurojax.runs.progress import Progress
from neurojax.train import run_folder

FORMATS = ("npz", "nwb", "answers")


def predict(
    folder: Path,
    *,
    data: Path | None = None,
    out: Path,
    task: tuple[str, ...] | None = None,
    file_format: str = "npz",
    mixed_with: str = "",
    text: Path | None = None,
    protocol: str | None = None,
) -> None:
    """Writes <out>/<session_id>.npz for every session, or <out>/<session_id>.nwb; or answers for
    a student to learn from, see `write_answers_of`.

    Sessions that the run has no rows for, or without a test trial, are counted and left out.

    An .npz file holds, per task, `<task>_rates_hz`, float32 [test trials, bins, units] in Hz, as an
    .nwb file does (`predicted_nwb.predictions_as_nwb`), and `<task>`, the same in expected spikes
    per bin, which earlier versions wrote alone. Of an ensemble `<task>_rates_hz_spread` is the
    standard deviation over its members of their rates, in Hz; one model has none. All are NaN where
    the task does not score, and where a unit was not observed: then `observed`, bool of the same
    shape, says which. With mixed_with="stack" the rates are those of the model and the stack
    together (`evals.with_stack`), which is fitted where it is not kept; the model's shares are
    printed. Beside them:
    `unit_of_values` (name: unit, one a line), trial_id, unit_id, split, bin_size_s, config_hash.

    With `text` nothing of this is done, but what `hypotheses.expect` does.

    Raises:
        InputError: no run, unknown task or format, other bins, or no session that can be predicted.
    """
    if text is not None:
        plain = task is None and file_format == "npz" and not mixed_with
        require(plain, "--task, --format and --mixed_with are of recordings; leave them out")
        hypotheses.expect(Path(folder), Path(text), data=data, out=Path(out), protocol=protocol)
        return
    require(protocol is None, "--protocol goes with --text=FILE; rates are of the mtm protocol")
    require(file_format in FORMATS, f"format={file_format!r}; expected {' or '.join(FORMATS)}")
    if file_format == "answers":
        require(task is None, "--task is of predictions; answers are to all tasks, leave it out")
        require(not mixed_with, "--mixed_with is of predictions; answers are the run's own")
        write_answers_of(Path(folder), data, Path(out))
        return
    if file_format == "nwb":
        require_pynwb()
    tasks = task or protocols.TASKS
    for name in tasks:
        require(
            name in protocols.TASKS,
            f"task {name!r} is not known; choose from {', '.join(protocols.TASKS)}",
        )
    require(mixed_with in ("", "stack"), f"--mixed_with={mixed_with!r}; expected stack")
    config = run_folder.read_run(Path(folder))
    require_writable(Path(out), folder=True)
    dataset = scorable.usable(run_folder.data_of(config, data))
    asked = dataclasses.replace(
        protocols.MTM, tasks={name: protocols.MTM.tasks[name] for name in tasks}
    )
    dataset = scorable.known_to_run(Path(folder), dataset, asked)
    dataset = scorable.scorable(dataset, asked, with_baselines=bool(mixed_with))
    for session in dataset.sessions:  # before the work: one that cannot be written would cost it
        require_writable(Path(out) / f"{session.session_id}.{file_format}")
    model, manifest = run_folder.load_predictor(Path(folder), config, dataset)
    size = spikes.trials_per_pass(model, dataset, config["eval"], what="prediction")
    stacks = _stacks(dataset, config, data, Path(folder)) if mixed_with else {}
    with Progress(len(dataset.sessions), "predicting", unit="sessions") as progress:
        for number, session in enumerate(dataset.sessions):
            found = activity.predict_with_spread(model, session, tasks, trials_per_pass=size)
            if mixed_with:
                found = _mixed(model, session, found[0], stacks[session.session_id], size)
            write = predictions_as_npz if file_format == "npz" else predictions_as_nwb
            trials = session.trials_of(TEST)
            content = write(session, found[0], trials, manifest["config_hash"], found[1])
            write_bytes(Path(out) / f"{session.session_id}.{file_format}", content)
            progress.update(number + 1)
    print(f"wrote {len(dataset.sessions)} files to {out}")
    if model.recipe.members == 1 and not mixed_with:
        print("no spread beside the rates: one model; train with --ensemble=K for one")


def _stacks(dataset, config, data: Path | None, folder: Path) -> Mapping[str, Any]:
    """Session id -> baselines with what the stack predicts, as the run's evaluation keeps them."""
    settings = {**config["eval"], "protocol": "mtm"}
    if "stack" not in baseline_scores.names_of(settings["baselines"]):
        settings["baselines"] = "stack"
    root = str(data or config["data"]["root"])
    found = baseline_scores.cached_scores(dataset, root, folder, settings, config["seed"])
    large = [name for name, one in found.items() if one.stack is None]
    require(  # before the first file is written
        not large,
        f"session {large[:1]}: the stack's rates are too large to keep; leave out --mixed_with",
    )
    return found


def _mixed(model, session: Session, of_model: Mapping, baselines, size: int) -> tuple[Mapping, Any]:
    """(task -> rates of model and stack together, no spread); says the shares."""
    on_validation = activity.on_validation(model, session, protocols.MTM, size)
    given = (session, of_model, on_validation, baselines.stack.read())
    rates, shares = with_stack.mix(*given, protocols.MTM)
    told = ", ".join(f"{task} {share:g}" for task, share in shares.items())
    print(f"{session.session_id}: the model's share: {told}")
    return rates, None


def write_answers_of(folder: Path, data: Path | None, out: Path) -> None:
    """Writes a run's answers to the fixed questions about the train trials of every session, see
    `data.store.answers`, for configs/student.py. Sound answers of the same run to the same trials
    are kept, so that the same command goes on where it was stopped.

    Raises:
        InputError: no run, other bins, a run that has seen test trials, or no session of it.
    """
    config = run_folder.read_run(folder)
    require_writable(out, folder=True)
    dataset = scorable.usable(run_folder.data_of(config, data))
    dataset = scorable.known_to_run(folder, dataset, protocols.MTM)
    # What has seen a test trial would tell its student of it.
    leaks.require_unseen(dataset.sessions, trained_trials.read(folder), dataset.digests)
    model, manifest = run_folder.load_predictor(folder, config, dataset)
    size = spikes.trials_per_pass(model, dataset, config["eval"], what="answers")
    answerer = {
        "name": f"run of {model.recipe.members} x {model.recipe.model.name}",
        "sha256": manifest["config_hash"],
        "step": manifest["step"],
        # two runs of one config may have seen other recordings, or been trained by other code
        "weights_sha256": _weights_sha256(model),
    }
    with Progress(len(dataset.sessions), "answering", unit="sessions") as progress:
        for number, session in enumerate(dataset.sessions):
            trials = session.trials_of(TRAIN)
            if not _answered(out, session, trials, answerer):
                found = answers_of(model, session, trials, answerer, trials_per_pass=size)
                write_answers(out, session, found)
            progress.update(number + 1)
    print(f"wrote answers of {len(dataset.sessions)} sessions to {out}")


def _weights_sha256(model) -> str:
    """Of every array of a predictor."""
    trained = {"params": model.params, "tables": model.tables, "buffers": model.buffers}
    return forget.digest_of(state_io.named_leaves(trained))


def _answered(out: Path, session: Session, trials: np.ndarray, answerer: Mapping) -> bool:
    """Whether an earlier call wrote these answers, every byte of them."""
    try:
        kept = read_answers(out, session)
    except InputError:  # none, damaged ones, or of another recording: they are written anew
        return False
    same = kept.answerer == answerer and np.array_equal(kept.trial_id, trials)
    return same and set(kept.log_rates) == set(TASKS)


def predictions_as_npz(
    session: Session,
    predictions: Mapping,
    trial_ids: np.ndarray,
    config_hash: str,
    spread: Mapping | None = None,
) -> bytes:
    """Bytes of an .npz file; see `predict`."""
    content = io.BytesIO()
    width = np.float32(session.bin_size_s)
    rates_hz = {f"{task}_rates_hz": expected / width for task, expected in predictions.items()}
    for task, apart in (spread or {}).items():
        rates_hz[f"{task}_rates_hz_spread"] = apart / width
    units = {name: "Hz" for name in rates_hz} | dict.fromkeys(predictions, "spikes per bin")
    if session.validity is not None:
        rates_hz["observed"] = session.entry_valid(trial_ids)
    np.savez_compressed(
        content,
        **rates_hz,
        **predictions,
        unit_of_values=np.asarray([f"{name}: {unit}" for name, unit in sorted(units.items())]),
        trial_id=trial_ids,
        unit_id=session.unit_id,
        split=np.asarray("test"),
        bin_size_s=np.asarray(session.bin_size_s),
        config_hash=np.asarray(config_hash),
    )
    return content.getvalue()
