"""The evaluation of gestures: windows of people that training never saw, person by person, beside
floors.

An evaluator; see evals.spikes for what its five functions are for.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import signals
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import Dataset
from neurojax.errors import InputError, require
from neurojax.evals import emg_floors, floor_names, leaks
from neurojax.evals.gesture_scores import gestures_block
from neurojax.report import gesture_report

FLOORS = {"lda": emg_floors.lda_floor, "perceptron": emg_floors.perceptron_floor}
Log = Callable[[str], Any]


def about(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the `eval` block; nothing more than the block itself tells evaluations apart.

    Raises:
        InputError: an unknown floor.
    """
    floor_names.chosen(settings, FLOORS)
    return {}


def prepare(
    dataset: Dataset, settings: Mapping[str, Any], *, run: Path | None = None, log: Log = print
) -> Dataset:
    """All sessions; raises InputError for counts, and where no person is there to be tested."""
    for session in dataset.sessions:
        require(
            session.observation == "real",
            f"eval.evaluator=gestures scores real values, session {session.session_id} holds "
            "counts of spikes; set eval.evaluator=spikes",
        )
    require(
        any(len(session.trials_of(TEST)) for session in dataset.sessions),
        "no session has a test trial; expected people of split 2, convert with more people",
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
    """Predicts the test windows of every person.

    Args:
        model: a predictor of class logits that knows what its batches are (`source_config`).
        dataset: people, those trained on among them for the floors.
        settings: the `eval` block.
        seed: of a floor's draws.
        folder, root, log: as of `evals.spikes.evaluate`; `log` takes one line.

    Returns:
        {"gestures": see `gesture_scores.gestures_block`}; a floor that cannot be fitted has a
        reason.

    Raises:
        InputError: a test window was trained on, or the classes are not those of the run.
    """
    leaks.require_unseen(dataset.sessions, trained_trials.read(folder), dataset.digests)
    source = signals.SignalSource(dataset.sessions, model.source_config, seed)
    _require_same_classes(source.class_names, model)
    probabilities, labels = predicted(model, source)
    floors, reasons = {}, {}
    for name in floor_names.chosen(settings, FLOORS):
        if not any(len(session.trials_of(TRAIN)) for session in dataset.sessions):
            reasons[name] = "these data hold no person to train on"
            continue
        per_session = signals.classes_of(dataset.sessions, model.source_config.label)[1]
        more = {"seed": seed} if name == "perceptron" else {}
        try:
            floors[name] = FLOORS[name](
                dataset.sessions, per_session, len(source.class_names), TEST, **more
            )
        except InputError as error:  # the model's own scores stand without it
            reasons[name] = str(error)
    block = gestures_block(probabilities, labels, len(source.class_names), floors)
    for name, reason in reasons.items():
        block["floors"][name] = {"balanced_accuracy": None, "balanced_accuracy_reason": reason}
    return {"gestures": block | {"class_names": list(source.class_names)}}


def _require_same_classes(names: Sequence[str], model) -> None:
    """Raises InputError unless the data have the run's classes in the run's order; older runs kept
    their number alone."""
    label, trained = model.source_config.label, model.facts["num_classes"]
    require(
        len(names) == trained,
        f"the data have {len(names)} classes of {label!r}, the run was trained on {trained}; "
        "convert them with the same gestures",
    )
    for number, (here, there) in enumerate(
        zip(names, model.facts.get("class_names") or names, strict=True)
    ):
        require(
            here == there,
            f"class {number} of {label!r} is {here!r} in the data, {there!r} in the run; convert "
            "them with the same gestures in the same order",
        )


def predicted(
    model, source: signals.SignalSource
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(session id -> float [windows, K] probabilities, session id -> int [windows] labels) of the
    test windows."""
    probabilities, labels = {}, {}
    for step in source.passes(TEST):
        found = np.asarray(model.mean(step.batch, ()))[0]
        for number in np.unique(step.session[step.session >= 0]):
            own, name = step.session == number, source.sessions[number].session_id
            probabilities.setdefault(name, []).append(found[own])
            labels.setdefault(name, []).append(step.label[own])
    joined = [
        {name: np.concatenate(parts) for name, parts in made.items()}
        for made in (probabilities, labels)
    ]
    return joined[0], joined[1]


def show(evaluation: Mapping[str, Any], log: Log = print) -> None:
    """Tells the scores of a record."""
    log(gesture_report.terminal_table(evaluation["gestures"]))


def draw(
    folder: Path,
    evaluation: Mapping[str, Any],
    example: Any,
    metrics: Sequence[Mapping[str, Any]],
    *,
    suffix: str = "",
    log: Log = print,
) -> None:
    """Writes figures<suffix>/ and report<suffix>.html of a record into a workdir."""
    gesture_report.write(Path(folder), evaluation, metrics, suffix=suffix, log=log)


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """Runs side by side, for `neurojax compare`: see `gesture_report.compared`."""
    return gesture_report.compared(records)
