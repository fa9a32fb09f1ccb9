"""The evaluation of gestures: windows of people that training never saw, person by person, beside
floors.

An evaluator; see evals.spikes for what its five functions are for.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data import emg_features, ring_orders
from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import emg, signals
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import Dataset, dataset_of
from neurojax.errors import InputError, require
from neurojax.evals import emg_floors, floor_names, gesture_trust, leaks, ring_order
from neurojax.evals.gesture_scores import gestures_block
from neurojax.report import gesture_report

FLOORS = {
    "lda": emg_floors.lda_floor,
    "perceptron": emg_floors.perceptron_floor,
    "perceptron_ring": emg_floors.perceptron_ring_floor,
}
Log = Callable[[str], Any]
_NAMES = ("session_id", "counts_sha256")  # of a recording


def about(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the `eval` block; nothing more than the block itself tells evaluations apart.

    Raises:
        InputError: an unknown floor, or a least step that is none.
    """
    floor_names.chosen(settings, FLOORS)
    step = settings.get("min_step", emg_features.MIN_STEP)
    require(
        isinstance(step, int | float) and 0 < step < np.inf,
        f"eval.min_step={step!r}; expected the least step between two samples that counts, in the "
        "unit of the recordings",
    )
    return {}


def prepare(
    dataset: Dataset, settings: Mapping[str, Any], *, run: Path | None = None, log: Log = print
) -> Dataset:
    """All sessions; raises InputError for counts, and where no person is there to be tested.

    Where a run knows nobody of a dataset, everybody is tested, whatever the split of the conversion
    says: it divides people to train on. A person who is split in time stays so.
    """
    for session in dataset.sessions:
        require(
            session.observation == "real",
            f"eval.evaluator=gestures scores real values, session {session.session_id} holds "
            "counts of spikes; set eval.evaluator=spikes",
        )
    if run is not None and _are_strangers(dataset, trained_trials.read(run)):
        everybody = [
            s if len(np.unique(s.split)) > 1 else s.with_fields(split=np.full_like(s.split, TEST))
            for s in dataset.sessions
        ]
        dataset = dataset_of(everybody)
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
    class_names, per_session = signals.classes_of(dataset.sessions, model.source_config.label)
    require_same_classes(class_names, model.source_config.label, model.facts)
    number = len(class_names)
    if isinstance(model.source_config, emg.Config):
        found, past, labels, more = _read_people(model, dataset, per_session, number)
    else:
        source = signals.SignalSource(dataset.sessions, model.source_config, seed)
        (found, labels), more, past = predicted(model, source), {}, None
    # A source of samples has no such setting: emg.py:filters has it beside its floors.
    own = settings.get("min_step", emg_features.MIN_STEP)
    min_step = getattr(model.source_config, "min_step", own)
    floors, reasons = _floors(dataset, settings, per_session, number, seed, min_step)
    block = gestures_block(found, labels, number, floors)
    more |= {"num_calibrated": _num_calibrated(trained_trials.read(folder), found)}
    more |= _trust(dataset, (found, past), labels, class_names, block["people"])
    for name, reason in reasons.items():
        block["floors"][name] = {"balanced_accuracy": None, "balanced_accuracy_reason": reason}
    return {"gestures": block | more | {"class_names": list(class_names)}}


def _are_strangers(dataset: Dataset, trained: trained_trials.Trained | None) -> bool:
    """Whether a run has trained on nobody of a dataset, by name or by recording."""
    if trained is None:
        return False
    known = [one for one in trained.recordings if len(one.trained_s)]  # the others were tested
    names, recorded = ({getattr(one, part) for one in known} for part in _NAMES)
    own = {found.counts_sha256 for found in dataset.digests.values()}
    ids = {session.session_id for session in dataset.sessions}
    return bool(names) and not (names & ids) and not (recorded & own)


def _num_calibrated(trained: trained_trials.Trained | None, tested: Mapping[str, Any]) -> int:
    """How many of the tested people a run was trained on, with other windows."""
    known = trained.recordings if trained else ()
    return len({one.session_id for one in known if len(one.trained_s)} & tested.keys())


def _read_people(
    model, dataset: Dataset, per_session: Sequence[np.ndarray], num_classes: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Any]]:
    """(probabilities, the same of people known by the past alone, labels) as of `predicted`, and
    what the block says beside: scores by the past alone and in the order as worn, and the order in
    which each person was read: of who calibrated that which the calibration told, of all others
    one that is found without labels."""
    sessions, config = dataset.sessions, model.source_config
    features = emg.Features(sessions, config.min_step)
    answers = ring_order.answers_of(model, config.trials_per_batch)
    in_order, told = config.in_order, emg.given_orders(config.order) or {}
    if in_order:
        emg.require_ring(sessions)
    columns = features.columns if in_order else features.columns[:1]
    in_pieces = ring_order.answers_of(model, ring_order.windows_per_pass(len(columns)))
    typical = np.asarray(model.buffers["feature_scale"]).reshape(-1, 2, columns.shape[1])[0]
    found, past, worn, labels, orders = {}, {}, {}, {}, {}
    for number, session in enumerate(sessions):
        trials, name = session.trials_of(TEST), session.session_id
        if not len(trials):
            continue
        values = features.standardised(number)[trials]
        order = told.get(name)  # of who calibrated
        whole = ring_order.by_recording(answers, values, columns, order)
        found[name], labels[name] = whole.probability, per_session[number][trials]
        # The past of a tested window holds those that the person calibrated with, too.
        time = np.argsort(session.trial_start_bin, kind="stable")
        as_it_goes = ring_order.by_past(
            in_pieces, features.raw(number)[time], columns, typical, order
        )
        in_place = np.empty_like(as_it_goes.probability)
        in_place[time] = as_it_goes.probability
        past[name] = in_place[trials]
        orders[name] = ring_orders.name_of(int(whole.order[0]), session.num_units)
        worn[name] = whole.probability if whole.order[0] == 0 else answers(values)
    more = {"past": _alone(past, labels, num_classes), "order": orders}
    if in_order:
        more["as_worn"] = _alone(worn, labels, num_classes)
    return found, past, labels, more


def _trust(
    dataset: Dataset,
    read: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray] | None],
    labels: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    people: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """The parts of `gesture_trust`; the interval of each person is added to its scores.

    Args:
        read: probabilities that are scored, and those of people known by the past alone or None.
    """
    scored, past = read
    windows: dict[str, gesture_trust.Windows] = {}
    live: dict[str, gesture_trust.Windows] | None = None if past is None else {}
    for session in dataset.sessions:
        name = session.session_id
        both = (scored,) if past is None else (scored, past)
        if name not in labels or not all(np.isfinite(one[name]).all() for one in both):
            continue
        trials = session.trials_of(TEST)
        own = gesture_trust.windows_of(session, trials, scored[name], labels[name])
        if own is not None:
            windows[name] = own
            if live is not None:
                live[name] = gesture_trust.windows_of(session, trials, past[name], labels[name])
    if not windows:
        return {"trust": None, "trust_reason": "no segment of the recordings is named"}
    found = gesture_trust.blocks_of(windows, class_names, live)
    for name, ends in found.pop("intervals").items():
        people[name]["balanced_accuracy_ci95_segments"] = ends
    return {"trust": found | {"known_by": None if past is None else "past"}}


def _alone(probabilities, labels, num_classes: int) -> dict[str, Any]:
    """A block of scores without floors."""
    block = gestures_block(probabilities, labels, num_classes)
    return {name: value for name, value in block.items() if name not in ("floors", "chance")}


def _floors(
    dataset: Dataset,
    settings: Mapping[str, Any],
    per_session: Sequence[np.ndarray],
    num_classes: int,
    seed: int,
    min_step: float,
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    """(floor -> probabilities, floor -> why there are none)."""
    floors, reasons = {}, {}
    for name in floor_names.chosen(settings, FLOORS):
        if not any(len(session.trials_of(TRAIN)) for session in dataset.sessions):
            reasons[name] = "these data hold no person to train on"
            continue
        more = {"min_step": min_step} | ({} if name == "lda" else {"seed": seed})
        try:
            floors[name] = FLOORS[name](dataset.sessions, per_session, num_classes, TEST, **more)
        except InputError as error:  # the model's own scores stand without it
            reasons[name] = str(error)
    return floors, reasons


def require_same_classes(names: Sequence[str], label: str, facts: Mapping[str, Any]) -> None:
    """Raises InputError unless the data have the run's classes in the run's order; older runs kept
    their number alone."""
    trained = facts["num_classes"]
    require(
        len(names) == trained,
        f"the data have {len(names)} classes of {label!r}, the run was trained on {trained}; "
        "convert them with the same gestures",
    )
    for number, (here, there) in enumerate(
        zip(names, facts.get("class_names") or names, strict=True)
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
