"""The evaluation of answers to every frame: when events begin, or how fast something moves.

An evaluator; see evals.spikes for what its five functions are for. Sessions that training never saw
are read from the first frame of a window on, each frame by its past.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.sources import frames
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import Dataset
from neurojax.errors import InputError, require
from neurojax.evals import leaks, tables
from neurojax.report import page, score_page
from neurojax.scores import events
from neurojax.scores.intervals import t_interval

Log = Callable[[str], Any]
SETTINGS = ("threshold", "apart_s", "tolerance_s")  # of events, see `scores.events`
_NO_EVENT = "no event begins in its test windows"
_UNKNOWN = "no target is known in its test windows"
ABOUT = {
    "pulses": "event error: missed, invented and mistaken events for each true one (it may pass "
    "1), nats for each kind and frame; floor: the share of frames in training",
    "velocity": "mean absolute error in the unit of the target; floor: the median in training",
}


def about(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the `eval` block; nothing more than the block itself tells evaluations apart.

    Raises:
        InputError: a number that is none, or a threshold that is no probability.
    """
    for name in SETTINGS:
        value = settings.get(name)
        require(
            isinstance(value, int | float) and 0 <= value < np.inf,
            f"eval.{name}={value!r}; expected a number, see configs/emg.py:events",
        )
    threshold = settings["threshold"]
    require(0 < threshold < 1, f"eval.threshold={threshold}; expected over 0 and below 1")
    return {}


def prepare(
    dataset: Dataset, settings: Mapping[str, Any], *, run: Path | None = None, log: Log = print
) -> Dataset:
    """All sessions; tells of people without an event to be found, raises InputError for counts and
    where nobody is there to be tested."""
    for session in dataset.sessions:
        require(
            session.observation == "real",
            f"eval.evaluator=frames scores real values, session {session.session_id} holds counts "
            "of spikes; set eval.evaluator=spikes",
        )
    require(
        any(len(session.trials_of(TEST)) for session in dataset.sessions),
        "no session has a test trial; expected windows of split 2",
    )
    for session in dataset.sessions:
        if _lacks_events(session):
            log(
                f"session {session.session_id}: {_NO_EVENT}; of pulses it will have nats and no "
                "event error"
            )
    return dataset


def _lacks_events(session: Session) -> bool:
    """Whether a session has pulses, and none in its test windows."""
    name, trials = "pulses", session.trials_of(TEST)
    if name not in session.behaviour or not len(trials):
        return False
    starts, lengths = session.trial_start_bin[trials], session.trial_num_bins[trials]
    pulses, valid = session.behaviour[name], session.behaviour_valid[name]
    windows = [slice(first, first + number) for first, number in zip(starts, lengths, strict=True)]
    return not any(((pulses[own] >= 0.5) & valid[own, None]).any() for own in windows)


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
    """Predicts the frames of test windows, session by session.

    Args:
        model: a predictor that knows what its batches are (`source_config`).
        dataset: people, those trained on among them for the floor; without them it has none.
        settings, seed, folder, root, log: as of `evals.spikes.evaluate`; nothing is drawn.

    Returns:
        {"frames": {"target", "frame_s", "num_windows", mean over sessions of each score with
        "<score>_ci95" (t) and, where some have none, "<score>_num_sessions"; "sessions": {name:
        scores}}}. Of pulses these are event_error, num_events, nats and floor_nats, of a velocity
        mean_absolute_error and correlation, floor_mean_absolute_error. What cannot be said is None
        with "<score>_reason".

    Raises:
        InputError: a test window was trained on, or another source.
    """
    config = model.source_config
    if not isinstance(config, frames.Config):
        raise InputError("eval.evaluator=frames needs data.source=frames; see configs/emg.py")
    leaks.require_unseen(dataset.sessions, trained_trials.read(folder), dataset.digests)
    source = frames.FrameSource(dataset.sessions, config, seed)
    frame_s = config.hop_bins * source.facts.bin_size_s
    answers, targets = _answered(model, source, config.target)
    floor, why = _floor(source, config.target)
    score = _pulse_scores if config.target == "pulses" else _velocity_scores
    blocks = {}
    for name, own in targets.items():
        found = score(answers[name], own, frame_s, settings)
        blocks[name] = found | _floor_scores(config.target, floor, why, own)
    block: dict[str, Any] = {"target": config.target, "frame_s": frame_s}
    block["num_windows"] = sum(len(one) for one in targets.values())
    return {"frames": block | _means(list(blocks.values())) | {"sessions": blocks}}


def _means(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean of each score over the sessions that have it, its interval, and how many have it where
    some have not."""
    found: dict[str, Any] = {}
    for name in [key for key in blocks[0] if not key.endswith("_reason")]:
        values = [one[name] for one in blocks if one[name] is not None]
        if not values:
            found |= {name: None, f"{name}_reason": blocks[0][f"{name}_reason"]}
            continue
        found[name] = float(np.mean(values))
        if len(values) < len(blocks):
            found[f"{name}_num_sessions"] = len(values)
        if over := t_interval(values):
            found[f"{name}_ci95"] = list(over.ci95)
    return found


def _answered(model, source: frames.FrameSource, target: str):
    """(session -> answers float64 [windows, S, K], session -> targets of the same shape)."""
    answers: dict[str, list] = {}
    targets: dict[str, list] = {}
    for step in source.passes(TEST):
        found = np.asarray(model.mean(step.batch, ()), np.float64)[0]
        for number in np.unique(step.session[step.session >= 0]):
            own, name = step.session == number, source.sessions[number].session_id
            answers.setdefault(name, []).append(found[own])
            targets.setdefault(name, []).append(step.batch.trials[target][0][own])
    joined = ({n: np.concatenate(parts) for n, parts in one.items()} for one in (answers, targets))
    return tuple(joined)


def _floor(source: frames.FrameSource, target: str) -> tuple[np.ndarray | None, str]:
    """(what training says of each column, float64 [K]: the share of frames with a pulse, or the
    median velocity; why there is none, "" where there is)."""
    if not any(len(session.trials_of(TRAIN)) for session in source.sessions):
        return None, "no session of these data has a train window"
    parts = [step.batch.trials[target][0][step.session >= 0] for step in source.passes(TRAIN)]
    values = np.concatenate(parts).astype(np.float64)
    values = values.reshape(-1, values.shape[-1])  # [frames, K]
    known = _known(values, target)
    if not known.any(0).all():
        return None, "no train window of these data has a known target of each column"
    middle = np.nanmean if target == "pulses" else np.nanmedian
    return middle(np.where(known, values, np.nan), axis=0), ""


def _known(values: np.ndarray, target: str) -> np.ndarray:
    return values >= 0 if target == "pulses" else np.isfinite(values)


def _entry(name: str, value: float | None, why: str) -> dict[str, Any]:
    """A score, or None with its reason."""
    return {name: None, f"{name}_reason": why} if value is None else {name: value}


def _floor_scores(
    target: str, floor: np.ndarray | None, why: str, values: np.ndarray
) -> dict[str, Any]:
    """Score of the floor [K] on one session's targets [windows, S, K]."""
    name = "floor_nats" if target == "pulses" else "floor_mean_absolute_error"
    known = _known(values, target)
    if floor is None or not known.any():
        return _entry(name, None, why or _UNKNOWN)
    said = np.broadcast_to(floor, values.shape)[known]
    if target == "pulses":
        return {name: _nats(said, values[known])}
    return {name: float(np.abs(said - values[known]).mean())}


def _pulse_scores(
    probability: np.ndarray, pulses: np.ndarray, frame_s: float, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Event error and nats of one session."""
    threshold, apart_s, tolerance_s = (float(settings[name]) for name in SETTINGS)
    known = pulses >= 0
    # What is said where nobody knows is neither right nor invented.
    asked = np.where(known, probability, 0)
    said = [events.found(own, frame_s, threshold, apart_s) for own in asked]
    true = [events.found(own, frame_s, 0.5, apart_s) for own in pulses]
    number = sum(map(len, true))
    error = events.error(said, true, tolerance_s) if number else None
    nats = _nats(probability[known], pulses[known]) if known.any() else None
    return {
        **_entry("event_error", error, _NO_EVENT),
        "num_events": number,
        **_entry("nats", nats, _UNKNOWN),
    }


def _nats(probability: np.ndarray, pulse: np.ndarray) -> float:
    inside = np.clip(probability, 1e-7, 1 - 1e-7)
    return float(-(pulse * np.log(inside) + (1 - pulse) * np.log1p(-inside)).mean())


def _velocity_scores(
    answers: np.ndarray, velocity: np.ndarray, frame_s: float, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Mean absolute error of one session, and a correlation."""
    known = np.isfinite(velocity)
    if not known.any():
        none = (_entry(name, None, _UNKNOWN) for name in ("mean_absolute_error", "correlation"))
        return {name: value for one in none for name, value in one.items()}
    spread = answers[known].std() * velocity[known].std()
    return {
        "mean_absolute_error": float(np.abs(answers - velocity)[known].mean()),
        "correlation": float(np.corrcoef(answers[known], velocity[known])[0, 1]) if spread else 0.0,
    }


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _rows(block: Mapping[str, Any]) -> list[list[str]]:
    first = block["sessions"][next(iter(block["sessions"]))]
    named = [key for key in first if not key.endswith("_reason")]
    listed = [["session", *(key.replace("_", " ") for key in named)]]
    listed += [[n, *(_shown(one[key]) for key in named)] for n, one in block["sessions"].items()]
    return [*listed, ["mean", *(_shown(block[key]) for key in named)]]


def _reasons(block: Mapping[str, Any]) -> list[str]:
    """`person-3: no event error: no event begins in its test windows`; of nobody without a name."""
    end = "_reason"
    told = [("", key, why) for key, why in block.items() if key.endswith(end)]
    for name, one in block["sessions"].items():
        own = [key for key in one if key.endswith(end) and key not in block]
        told += [(f"{name}: ", key, one[key]) for key in own]
    return [f"{who}no {key.removesuffix(end).replace('_', ' ')}: {why}" for who, key, why in told]


def show(evaluation: Mapping[str, Any], log: Log = print) -> None:
    """Tells the scores of a record."""
    block = evaluation["frames"]
    lines = [*tables.align(_rows(block)), *_reasons(block), ABOUT[block["target"]]]
    log("\n".join(lines))


def draw(
    folder: Path,
    evaluation: Mapping[str, Any],
    example: Any,
    metrics: Sequence[Mapping[str, Any]],
    *,
    suffix: str = "",
    log: Log = print,
) -> None:
    """Writes report<suffix>.html of a record into a workdir; there is no figure."""
    block = evaluation["frames"]
    head, *rows = _rows(block)
    told = " ".join([*(f"{one}." for one in _reasons(block)), ABOUT[block["target"]]])
    blocks = [page.table(head, rows), page.paragraph(told, soft=True)]
    score_page.write(Path(folder), evaluation, None, blocks, [], suffix=suffix, log=log)
