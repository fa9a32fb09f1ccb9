"""Scores out of an evaluation record: who was scored, means over sessions and their intervals,
numbers as text.

An evaluation record is the content of a run's `evaluation.json` (schema 1).
"""

import math
import os.path
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from neurojax.scores import intervals

TASK_LABELS = {
    "co_smoothing": "co-smoothing",
    "forward": "forward",
    "inter_region": "inter-region",
    "intra_region": "intra-region",
}
WITH_STACK = "model_and_stack"  # their mixture, see evals.with_stack
_ACRONYMS = ("psth", "glm", "pc", "gpfa", "ar", "nlb")


class Score(NamedTuple):
    """A score of one predictor, in the unit of its metric; a part that is not known is None.

    Attributes:
        value: the score, or its mean over sessions.
        ci95: its 95 % interval.
        over: what the interval is over, "sessions" (Student's t) or "trials" (bootstrap).
        num_sessions: how many are in the mean.
    """

    value: float | None
    ci95: tuple[float, float] | None = None
    over: str = ""
    num_sessions: int = 1

    @property
    def half(self) -> float | None:
        """Half of the 95 % interval: what stands after +- in every table and is drawn in every
        figure."""
        return None if self.ci95 is None else (self.ci95[1] - self.ci95[0]) / 2


def is_oracle(name: str) -> bool:
    """Whether a predictor knows what no observer of the spikes can: not a competitor."""
    return name.startswith(("oracle", "known_dynamics"))


def number(value: Any) -> float | None:
    """A finite number as float, anything else (null, missing, text) as None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def label(name: str) -> str:
    """A predictor's or a task's name for people."""
    words = (word.upper() if word in _ACRONYMS else word for word in name.split("_"))
    return TASK_LABELS.get(name, " ".join(words)).replace("co smoothing", "co-smoothing")


def tasks_of(evaluation: Mapping[str, Any]) -> list[str]:
    """Tasks that any session scores, by the model or else by baselines: the four of MtM first, then
    others."""
    sessions = evaluation["sessions"].values()
    found = [task for session in sessions for task in session.get("tasks") or {}]
    found = found or [
        task for s in sessions for blocks in (s.get("baselines") or {}).values() for task in blocks
    ]
    return [task for task in TASK_LABELS if task in found] + list(
        dict.fromkeys(task for task in found if task not in TASK_LABELS)
    )


def predictors_of(evaluation: Mapping[str, Any]) -> list[str]:
    """The model, its mixture with the stack where there is one, then the baselines in the order
    first met, then what knows the truth (see `is_oracle`)."""
    baselines: dict[str, None] = {}
    oracles: dict[str, None] = {}
    for session in evaluation["sessions"].values():
        for name in session.get("baselines") or {}:
            (oracles if is_oracle(name) else baselines)[name] = None
        oracles |= dict.fromkeys(name for name in session if is_oracle(name) and session[name])
    mixed = any(WITH_STACK in session for session in evaluation["sessions"].values())
    return ["model", *[WITH_STACK] * mixed, *baselines, *sorted(oracles)]


def task_block(session: Mapping[str, Any], predictor: str, task: str) -> Mapping[str, Any]:
    """The metrics of one predictor on one task of one session; empty where there are none."""
    of_baseline = (session.get("baselines") or {}).get(predictor)
    blocks = session.get("tasks") if predictor == "model" else of_baseline or session.get(predictor)
    return (blocks or {}).get(task) or {}


def headline(evaluation: Mapping[str, Any], task: str) -> str:
    """The metric that tables show of a task: what its blocks name, else `bps_pooled`."""
    sessions = evaluation["sessions"].values()
    blocks = (
        task_block(session, name, task)
        for session in sessions
        for name in predictors_of(evaluation)
    )
    return next((str(block["headline"]) for block in blocks if "headline" in block), "bps_pooled")


def session_score(
    session: Mapping[str, Any], predictor: str, task: str, metric: str | None = "bps_pooled"
) -> Score:
    """One predictor's score on one task of one session; metric None means the task's headline."""
    block = task_block(session, predictor, task)
    metric = metric or str(block.get("headline", "bps_pooled"))
    ends = interval_of(block, f"{metric}_ci95")
    return Score(number(block.get(metric)), ends, "trials" if ends else "")


def interval_of(block: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """A pair of finite numbers of a block; None where there is no such pair."""
    found = block.get(name)
    ends = [number(end) for end in found] if isinstance(found, list | tuple) else []
    return (ends[0], ends[1]) if len(ends) == 2 and None not in ends else None


def mean_score(
    evaluation: Mapping[str, Any],
    predictor: str,
    task: str,
    metric: str | None = "bps_pooled",
    session_ids: Iterable[str] | None = None,
) -> Score:
    """Mean of a score over the sessions where it is known, with Student's t interval over them.

    The record of a single session gives that session's own interval, over its trials; in one of
    several sessions a score that only one of them has gets none, so that an interval means the same
    in a whole table.

    Args:
        evaluation: the record.
        predictor: "model", a baseline or an oracle.
        task: name of the task.
        metric: name of the metric, None for the task's headline.
        session_ids: only these sessions; default all.
    """
    ids = evaluation["sessions"] if session_ids is None else session_ids
    scores = [session_score(evaluation["sessions"][key], predictor, task, metric) for key in ids]
    known = [score for score in scores if score.value is not None]
    if not known:
        return Score(None, num_sessions=0)
    if len(evaluation["sessions"]) == 1:
        return known[0]
    over = intervals.t_interval([score.value for score in known])
    if over is None:
        return Score(known[0].value)
    return Score(over.mean, over.ci95, "sessions", len(known))


def mean_scores(
    evaluation: Mapping[str, Any], task: str, metric: str | None = "bps_pooled"
) -> dict[str, Score]:
    """Means of all predictors on one task, over the sessions where the model has a score, else
    all."""
    sessions = evaluation["sessions"]
    scored = [
        key
        for key in sessions
        if session_score(sessions[key], "model", task, metric).value is not None
    ]
    keys = scored or list(sessions)
    return {
        name: mean_score(evaluation, name, task, metric, keys) for name in predictors_of(evaluation)
    }


def subjects_of(sessions: Mapping[str, Mapping[str, Any]]) -> dict[str, str | None]:
    """Session id -> the animal it is of, None where its record does not say."""
    return {
        key: str(session["subject"]) if session.get("subject") else None
        for key, session in sessions.items()
    }


def num_animals(evaluation: Mapping[str, Any]) -> int | None:
    """Of how many animals the sessions are; None where one does not say."""
    subjects = subjects_of(evaluation["sessions"]).values()
    return len(set(subjects)) if subjects and None not in subjects else None


def interval_words(scores: Iterable[Score], evaluation: Mapping[str, Any]) -> str:
    """What +- is in a table of these scores: the same for all of them; empty where none has an
    interval."""
    over = {score.over for score in scores if score.ci95 is not None}
    if "sessions" in over:
        sessions = intervals.sessions_and_animals(
            len(evaluation["sessions"]), num_animals(evaluation)
        )
        return f"half of the 95 % interval over {sessions} (t)"
    return (
        "half of the 95 % interval over the test trials of this one session (bootstrap)"
        if over
        else ""
    )


def mean_text(score: Score, most: int, sign: str = "+-") -> str:
    """A mean with half of its 95 % interval, and with its number of sessions where that is below
    `most`."""
    if score.value is None:
        return "-"
    error = "" if score.half is None else f" {sign}{show(score.half)}"
    fewer = "" if score.num_sessions == most else f" (n={score.num_sessions})"
    return show(score.value) + error + fewer


def wins(
    evaluation: Mapping[str, Any], baseline: str, task: str, metric: str | None = "bps_pooled"
) -> tuple[int, int]:
    """(sessions where the model is above the baseline, sessions that score both); metric None: the
    headline."""
    pairs = [
        tuple(session_score(session, name, task, metric).value for name in ("model", baseline))
        for session in evaluation["sessions"].values()
    ]
    known = [(model, other) for model, other in pairs if model is not None and other is not None]
    return sum(model > other for model, other in known), len(known)


def difference_text(score: Score, sign: str = "+-") -> str:
    """A difference with its own sign and half of its 95 % interval."""
    if score.value is None:
        return "-"
    return f"{score.value:+.3f}" + ("" if score.half is None else f" {sign}{show(score.half)}")


def show(value: float | None, digits: int = 3) -> str:
    """A number with fixed digits (one from 10 on), "-" for None; no negative zero."""
    if value is None:
        return "-"
    text = f"{value:.{digits if abs(value) < 10 else 1}f}"
    return text.lstrip("-") if float(text) == 0 else text


def with_ends(value: float | None, ends: tuple[float, float] | None, digits: int = 3) -> str:
    """A number and its 95 % interval in brackets, where it has one."""
    if value is None or ends is None:
        return show(value, digits)
    return f"{show(value, digits)} [{show(ends[0], digits)},\u00a0{show(ends[1], digits)}]"


def short_names(names: Iterable[str], width: int) -> list[str]:
    """Names cut to `width`, by what they share at their ends where that suffices, else in the
    middle."""
    names = list(names)
    if all(len(name) <= width for name in names):
        return names
    head = len(os.path.commonprefix(names))
    tail = len(os.path.commonprefix([name[head:][::-1] for name in names]))
    parts = [name[head : len(name) - tail] for name in names]
    if len(names) == 1 or "" in parts:
        parts = names
    else:
        parts = [f"{'..' * (head > 0)}{part}{'..' * (tail > 0)}" for part in parts]
    return [shorten(part, width) for part in parts]


def shorten(name: str, width: int) -> str:
    """A long name with its middle cut out."""
    if len(name) <= width:
        return name
    tail = (width - 2) // 2
    return f"{name[: width - 2 - tail]}..{name[-tail:]}"


def align(rows: Iterable[Iterable[str]], gap: int = 2) -> list[str]:
    """Rows of cells as lines: first column to the left, the others to the right."""
    cells = [list(row) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = []
    for row in cells:
        parts = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append((" " * gap).join(parts).rstrip())
    return lines


def share(
    evaluation: Mapping[str, Any], oracle: str, task: str, metric: str | None = "bps_pooled"
) -> str:
    """Mean of the model as a percentage of an oracle's, over sessions that have both; "-" if
    undefined."""
    both = [
        key
        for key, session in evaluation["sessions"].items()
        if None
        not in (session_score(session, name, task, metric).value for name in ("model", oracle))
    ]
    model = mean_score(evaluation, "model", task, metric, both).value
    reached = mean_score(evaluation, oracle, task, metric, both).value
    return f"{100 * model / reached:.0f} %" if both and reached > 0 else "-"
