"""The evaluation of a digital twin: responses to test images beside what repeats allow, and to
kinds of images that were not trained on.

An evaluator; see evals.spikes for what its five functions are for.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.sources import stimuli as sources
from neurojax.data.sources.spikes import mean_counts
from neurojax.data.store import stimuli as store
from neurojax.data.store import trained_trials
from neurojax.data.store.stimuli import StimulusDataset
from neurojax.errors import InputError, require
from neurojax.evals import leaks, response_floors
from neurojax.report import response_report
from neurojax.scores import responses as scores
from neurojax.scores.intervals import t_interval

Log = Callable[[str], Any]
WITH_INTERVAL = ("correlation", "explainable_share")


def about(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the `eval` block; nothing more than the block itself tells evaluations apart.

    Raises:
        InputError: `trials_per_pass` is no size.
    """
    value = settings.get("trials_per_pass")
    require(
        isinstance(value, int) and not isinstance(value, bool) and value >= 1,
        f"eval.trials_per_pass={value!r}; expected a whole number of at least 1, see "
        "configs/twin.py",
    )
    return {}


def prepare(
    dataset: StimulusDataset,
    settings: Mapping[str, Any],
    *,
    run: Path | None = None,
    log: Log = print,
) -> StimulusDataset:
    """All sessions; raises InputError for recordings without images, or without a test trial."""
    require(
        isinstance(dataset, StimulusDataset),
        "eval.evaluator=responses scores responses to images, not recordings alone; set "
        "eval.evaluator=spikes",
    )
    for session in dataset.sessions:
        require(
            len(session.trials_of(TEST)),
            f"session {session.session_id} has no test trial; give some images the split 2",
        )
    return dataset


def evaluate(
    model,
    dataset: StimulusDataset,
    settings: Mapping[str, Any],
    seed: int,
    *,
    folder: Path,
    root: str,
    log: Log = print,
) -> dict[str, Any]:
    """Predicts the responses of test trials and scores them, session by session.

    Args:
        model: a predictor of a head of counts; rows for every session.
        dataset: from `prepare`.
        settings: the `eval` block, sound.
        seed, root, log: as of `evals.spikes.evaluate`; nothing is drawn.
        folder: of the run.

    Returns:
        {"responses": scores on kinds of images that were trained on, `out_of_distribution` by kind
        on the others, floors, sessions; "example": arrays for the figure}.

    Raises:
        InputError: another head, or a test trial that was trained on.
    """
    if model.recipe.head != "poisson":
        raise InputError(f"head.name={model.recipe.head}: responses need head.name=poisson")
    leaks.require_unseen(dataset.sessions, trained_trials.read(folder), dataset.digests)
    sessions, neurons, example = {}, {}, None
    for number, session in enumerate(dataset.sessions):
        predicted = of_session(model, dataset, number, session.trials_of(TEST), settings)
        line = response_floors.linear(session, dataset.stimuli, session.trials_of(TEST))
        block, own, shown = _session(dataset.stimuli, session, predicted, line)
        sessions[session.session_id] = block
        for kind, values in own.items():
            neurons.setdefault(kind, []).append(values)
        example = example or shown
    blocks = {kind: _block(values) for kind, values in neurons.items()}
    trained = blocks.pop("", None)
    block = trained or {"correlation": None, "correlation_reason": "no test image of such a kind"}
    block |= {"out_of_distribution": blocks, "sessions": sessions}
    return {"responses": block, "example": example}


def of_session(
    model, dataset: StimulusDataset, number: int, trials: np.ndarray, settings: Mapping[str, Any]
) -> np.ndarray:
    """Expected responses of one session in trials, float64 [trials, N]."""
    session, size = dataset.sessions[number], settings["trials_per_pass"]
    found = []
    for first in range(0, len(trials), size):
        own = trials[first : first + size]
        parts = (dataset, number, model.layout, own, model.bucket_units, size)
        rates = model.mean(sources.session_batch(*parts), ())
        found.append(np.asarray(rates, np.float64)[0, : len(own), 0, : session.num_units])
    return np.concatenate(found)


def _session(
    stimuli: store.Stimuli, session: Session, predicted: np.ndarray, line: np.ndarray | None
) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]], dict[str, Any] | None]:
    """(block of a session; kind -> scores of each neuron, "" for all kinds trained on; arrays for
    the figure)."""
    trials, image = session.trials_of(TEST), store.shown(session)
    rows = session.trial_start_bin[trials]
    measured = np.where(session.entry_valid(trials)[:, 0], np.asarray(session.counts)[rows], np.nan)
    if not np.isfinite(measured).all():  # neurons that were not observed throughout have no score
        measured[:, ~np.isfinite(measured).all(0)] = 0
    known = np.unique(stimuli.kind[image[session.trials_of(TRAIN)]])
    kind = stimuli.kind[image[trials]]
    parts = {"": np.isin(kind, known)}
    others = np.setdiff1d(kind, known)
    parts |= {stimuli.kinds[one]: kind == one for one in others}
    found, truth = {}, session.true_rates
    for name, own in parts.items():
        if not own.any():
            continue
        found[name] = scores.per_neuron(measured[own], predicted[own], image[trials][own])
        floor = np.broadcast_to(mean_counts(session), measured[own].shape)
        of_floor = scores.per_neuron(measured[own], floor, image[trials][own])
        found[name]["floor_explainable_share"] = of_floor["explainable_share"]
        if line is not None:
            of_line = scores.per_neuron(measured[own], line[own], image[trials][own])
            found[name] |= {f"linear_{one}": of_line[one] for one in WITH_INTERVAL}
        if truth is not None:
            rates = np.asarray(truth)[rows][own]
            error = np.square(predicted[own] - rates).mean(0)
            found[name]["true_share"] = 1 - error / np.maximum(rates.var(0), 1e-12)
    block = {
        "num_neurons": session.num_units,
        "num_test_trials": len(trials),
        "num_test_images": len(np.unique(image[trials])),
        **(scores.means(found[""]) if "" in found else {}),
    }
    own = parts[""]
    example = None
    if own.any():
        example = _example(session, found[""], measured[own], predicted[own], image[trials][own])
    return block, found, example


def _example(session: Session, found, measured, predicted, image) -> dict[str, Any]:
    """Arrays of the figure: means over repeats of six neurons from the best to the median."""
    _, place = np.unique(image, return_inverse=True)
    number = np.bincount(place)[:, None]

    def averaged(values):
        summed = np.zeros((len(number), values.shape[1]))
        np.add.at(summed, place, values)
        return summed / number

    order = np.argsort(-np.nan_to_num(found["correlation"], nan=-1))
    chosen = order[np.linspace(0, len(order) // 2, min(6, len(order))).astype(int)]
    return {
        "session_id": session.session_id,
        "unit_id": session.unit_id[chosen],
        "measured": averaged(measured)[:, chosen],
        "predicted": averaged(predicted)[:, chosen],
        "correlation": found["correlation"],
        "oracle_correlation": found["oracle_correlation"],
    }


def _block(sessions: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """Scores over the neurons of all sessions, with intervals over neurons."""
    common = [name for name in sessions[0] if all(name in one for one in sessions)]
    joined = {name: np.concatenate([one[name] for one in sessions]) for name in common}
    block: dict[str, Any] = scores.means(joined)
    floor = block.pop("floor_explainable_share")
    line = {one: block.pop(f"linear_{one}", None) for one in WITH_INTERVAL}
    for name in WITH_INTERVAL:
        known = joined[name][np.isfinite(joined[name])]
        if found := t_interval(known):
            block |= {f"{name}_se": found.se, f"{name}_ci95": list(found.ci95)}
        if block[name] is None:
            block[f"{name}_reason"] = "no neuron varied, or no image was repeated"
    if block["correlation"] is not None and block["oracle_correlation"]:
        block["share_of_oracle"] = block["correlation"] / block["oracle_correlation"]
    block["num_neurons"] = len(joined["correlation"])
    block["floors"] = {"train mean": {"correlation": 0.0, "explainable_share": floor}}
    if line["correlation"] is not None:
        block["floors"]["linear"] = line
    return block


def show(evaluation: Mapping[str, Any], log: Log = print) -> None:
    """Tells the scores of a record."""
    log(response_report.terminal_table(evaluation["responses"]))


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
    response_report.write(Path(folder), evaluation, example, suffix=suffix, log=log)


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """Runs side by side, for `neurojax compare`: see `response_report.compared`."""
    found = response_report.compared(records)
    if len(found[0]) < 2:
        raise InputError("no run has scores of responses; evaluate them again")
    return found
