"""The evaluation of answers to every frame: when events begin, or how fast something moves.

An evaluator; see evals.spikes for what its five functions are for. Sessions that training never saw
are read from the first frame of a window on, each frame by its past.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.session import TEST, TRAIN
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
_APART_S = 1e6  # between windows, so that no event of one stands for one of another
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
    """All sessions; raises InputError for counts, and where nobody is there to be tested."""
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
    """Predicts the frames of test windows, session by session.

    Args:
        model: a predictor that knows what its batches are (`source_config`).
        dataset: people, those trained on among them for the floor.
        settings, seed, folder, root, log: as of `evals.spikes.evaluate`; nothing is drawn.

    Returns:
        {"frames": {target, num_windows, the means over sessions of what each has, floors,
        sessions}}.

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
    trained = np.concatenate([one for one in _targets(source, TRAIN, config.target)])
    score = _pulse_scores if config.target == "pulses" else _velocity_scores
    blocks = {
        name: score(answers[name], targets[name], trained, frame_s, settings) for name in answers
    }
    block: dict[str, Any] = {"target": config.target, "frame_s": frame_s}
    block["num_windows"] = sum(len(one) for one in targets.values())
    means = {key: [one[key] for one in blocks.values()] for key in next(iter(blocks.values()))}
    for key, values in means.items():
        block[key] = float(np.mean(values))
        if found := t_interval(values):
            block[f"{key}_ci95"] = list(found.ci95)
    return {"frames": block | {"sessions": blocks}}


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


def _targets(source: frames.FrameSource, split: int, target: str) -> list[np.ndarray]:
    """Targets [b, S, K] of the windows of a split."""
    return [step.batch.trials[target][0][step.session >= 0] for step in source.passes(split)]


def _pulse_scores(
    probability: np.ndarray,
    pulses: np.ndarray,
    trained: np.ndarray,
    frame_s: float,
    settings: Mapping[str, Any],
) -> dict[str, float]:
    """Event error and nats of one session, and nats of the floor."""
    threshold, apart_s, tolerance_s = (float(settings[name]) for name in SETTINGS)
    said, true = [], []
    for number, (own, truth) in enumerate(zip(probability, pulses, strict=True)):
        for events_of, values, limit in ((said, own, threshold), (true, truth, 0.5)):
            found = events.found(values, frame_s, limit, apart_s)
            events_of += [one._replace(time_s=one.time_s + _APART_S * number) for one in found]
    require(true, "no event was there in the test windows; expected one or more")
    known = pulses >= 0
    known_trained = np.where(trained >= 0, trained, np.nan)
    share = np.broadcast_to(np.nanmean(known_trained, axis=(0, 1)), pulses.shape)
    return {
        "event_error": events.error(said, true, tolerance_s),
        "num_events": float(len(true)),
        "nats": _nats(probability[known], pulses[known]),
        "floor_nats": _nats(share[known], pulses[known]),
    }


def _nats(probability: np.ndarray, pulse: np.ndarray) -> float:
    inside = np.clip(probability, 1e-7, 1 - 1e-7)
    return float(-(pulse * np.log(inside) + (1 - pulse) * np.log1p(-inside)).mean())


def _velocity_scores(
    answers: np.ndarray,
    velocity: np.ndarray,
    trained: np.ndarray,
    frame_s: float,
    settings: Mapping[str, Any],
) -> dict[str, float]:
    """Mean absolute error of one session, that of the floor, and a correlation."""
    known = np.isfinite(velocity)
    require(known.any(), "no velocity is known in the test windows; expected some")
    middle = np.broadcast_to(np.nanmedian(trained, axis=(0, 1)), velocity.shape)
    spread = answers[known].std() * velocity[known].std()
    return {
        "mean_absolute_error": float(np.abs(answers - velocity)[known].mean()),
        "floor_mean_absolute_error": float(np.abs(middle - velocity)[known].mean()),
        "correlation": float(np.corrcoef(answers[known], velocity[known])[0, 1]) if spread else 0.0,
    }


def _rows(block: Mapping[str, Any]) -> list[list[str]]:
    named = [key for key in block["sessions"][next(iter(block["sessions"]))]]
    listed = [["session", *(key.replace("_", " ") for key in named)]]
    listed += [[n, *(f"{one[key]:.4g}" for key in named)] for n, one in block["sessions"].items()]
    return [*listed, ["mean", *(f"{block[key]:.4g}" for key in named)]]


def show(evaluation: Mapping[str, Any], log: Log = print) -> None:
    """Tells the scores of a record."""
    block = evaluation["frames"]
    log("\n".join([*tables.align(_rows(block)), ABOUT[block["target"]]]))


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
    blocks = [page.table(head, rows), page.paragraph(ABOUT[block["target"]], soft=True)]
    score_page.write(Path(folder), evaluation, None, blocks, [], suffix=suffix, log=log)
