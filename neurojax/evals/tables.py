"""Scores out of an evaluation record: who was scored, means over sessions, the table for a terminal.

An evaluation record is the content of a run's `evaluation.json` (schema 1).
"""

import math
import os.path
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from neurojax.evals import headlines

TASK_LABELS = {
    "co_smoothing": "co-smoothing",
    "forward": "forward",
    "inter_region": "inter-region",
    "intra_region": "intra-region",
}
_ACRONYMS = ("psth", "glm", "pc", "gpfa", "ar", "nlb")


class Score(NamedTuple):
    """A score of one predictor, in the unit of its metric; a part that is not known is None."""

    value: float | None
    se: float | None = None
    ci95: tuple[float, float] | None = None
    num_sessions: int = 1


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
    """Tasks that any session scores, by the model or else by baselines: the four of MtM first, then others."""
    sessions = evaluation["sessions"].values()
    found = [task for session in sessions for task in session.get("tasks") or {}]
    found = found or [task for s in sessions for blocks in (s.get("baselines") or {}).values() for task in blocks]
    return [task for task in TASK_LABELS if task in found] + list(
        dict.fromkeys(task for task in found if task not in TASK_LABELS)
    )


def predictors_of(evaluation: Mapping[str, Any]) -> list[str]:
    """The model, then the baselines in the order first met, then what knows the truth (see `is_oracle`)."""
    baselines: dict[str, None] = {}
    oracles: dict[str, None] = {}
    for session in evaluation["sessions"].values():
        for name in session.get("baselines") or {}:
            (oracles if is_oracle(name) else baselines)[name] = None
        oracles |= dict.fromkeys(name for name in session if is_oracle(name) and session[name])
    return ["model", *baselines, *sorted(oracles)]


def task_block(session: Mapping[str, Any], predictor: str, task: str) -> Mapping[str, Any]:
    """The metrics of one predictor on one task of one session; empty where there are none."""
    if predictor == "model":
        blocks = session.get("tasks")
    else:
        blocks = (session.get("baselines") or {}).get(predictor) or session.get(predictor)
    return (blocks or {}).get(task) or {}


def headline(evaluation: Mapping[str, Any], task: str) -> str:
    """The metric that tables show of a task: what its blocks name, else `bps_pooled`."""
    sessions = evaluation["sessions"].values()
    blocks = (task_block(session, name, task) for session in sessions for name in predictors_of(evaluation))
    return next((str(block["headline"]) for block in blocks if "headline" in block), "bps_pooled")


def session_score(session: Mapping[str, Any], predictor: str, task: str, metric: str | None = "bps_pooled") -> Score:
    """One predictor's score on one task of one session; metric None means the task's headline."""
    block = task_block(session, predictor, task)
    metric = metric or str(block.get("headline", "bps_pooled"))
    ends = [number(end) for end in block.get(f"{metric}_ci95") or ()]
    interval = (ends[0], ends[1]) if len(ends) == 2 and None not in ends else None
    return Score(number(block.get(metric)), number(block.get(f"{metric}_se")), interval)


def mean_score(
    evaluation: Mapping[str, Any],
    predictor: str,
    task: str,
    metric: str | None = "bps_pooled",
    session_ids: Iterable[str] | None = None,
) -> Score:
    """Mean of a score over the sessions where it is known.

    The standard error is that of the mean given these sessions, sqrt(sum of se^2) / n with each session's own
    bootstrap over trials; it says nothing of other animals. None when a session has no standard error.

    Args:
        evaluation: the record.
        predictor: "model", a baseline or an oracle.
        task: name of the task.
        metric: name of the metric, None for the task's headline; its standard error is `<metric>_se`.
        session_ids: only these sessions; default all.
    """
    ids = evaluation["sessions"] if session_ids is None else session_ids
    scores = [session_score(evaluation["sessions"][key], predictor, task, metric) for key in ids]
    known = [score for score in scores if score.value is not None]
    if not known:
        return Score(None, num_sessions=0)
    value = sum(score.value for score in known) / len(known)
    errors = [score.se for score in known]
    se = None if None in errors else math.sqrt(sum(error**2 for error in errors)) / len(known)
    interval = known[0].ci95 if len(known) == 1 else None
    if interval is None and se is not None:
        interval = (value - 1.96 * se, value + 1.96 * se)
    return Score(value, se, interval, len(known))


def mean_scores(evaluation: Mapping[str, Any], task: str, metric: str | None = "bps_pooled") -> dict[str, Score]:
    """Means of all predictors on one task, over the sessions where the model has a score, else all."""
    sessions = evaluation["sessions"]
    scored = [key for key in sessions if session_score(sessions[key], "model", task, metric).value is not None]
    keys = scored or list(sessions)
    return {name: mean_score(evaluation, name, task, metric, keys) for name in predictors_of(evaluation)}


def mean_text(score: Score, most: int, sign: str = "+-") -> str:
    """A mean with its standard error, and with its number of sessions where that is below `most`."""
    if score.value is None:
        return "-"
    error = "" if score.se is None else f" {sign}{show(score.se)}"
    fewer = "" if score.num_sessions == most else f" (n={score.num_sessions})"
    return show(score.value) + error + fewer


def wins(evaluation: Mapping[str, Any], baseline: str, task: str, metric: str | None = "bps_pooled") -> tuple[int, int]:
    """(sessions where the model is above the baseline, sessions that score both); metric None: the headline."""
    pairs = [
        tuple(session_score(session, name, task, metric).value for name in ("model", baseline))
        for session in evaluation["sessions"].values()
    ]
    known = [(model, other) for model, other in pairs if model is not None and other is not None]
    return sum(model > other for model, other in known), len(known)


def paired(evaluation: Mapping[str, Any], task: str) -> tuple[Score, int]:
    """(mean over sessions of the model minus each session's best baseline, sessions where it is above)."""
    block = ((evaluation.get("mean") or {}).get(task) or {}).get("paired_mean") or {}
    ends = [number(end) for end in block.get("ci95") or ()]
    interval = (ends[0], ends[1]) if len(ends) == 2 and None not in ends else None
    num_sessions = int(number(block.get("num_sessions")) or 0)
    score = Score(number(block.get("bps_pooled")), number(block.get("bps_pooled_se")), interval, num_sessions)
    return score, int(number(block.get("num_above")) or 0)


def difference_text(score: Score, sign: str = "+-") -> str:
    """A difference with its own sign and standard error."""
    if score.value is None:
        return "-"
    return f"{score.value:+.3f}" + ("" if score.se is None else f" {sign}{show(score.se)}")


def best_baseline(session: Mapping[str, Any], task: str, metric: str | None = "bps_pooled") -> tuple[str, float] | None:
    """Name and score of the strongest baseline of a session on a task; oracles do not count."""
    scores = {
        name: session_score(session, name, task, metric).value
        for name in session.get("baselines") or {}
        if not is_oracle(name)
    }
    known = {name: value for name, value in scores.items() if value is not None}
    best = max(known, key=known.__getitem__, default=None)
    return None if best is None else (best, known[best])


def show(value: float | None, digits: int = 3) -> str:
    """A number with fixed digits (one from 10 on), "-" for None; no negative zero."""
    if value is None:
        return "-"
    text = f"{value:.{digits if abs(value) < 10 else 1}f}"
    return text.lstrip("-") if float(text) == 0 else text


def short_names(names: Iterable[str], width: int) -> list[str]:
    """Names cut to `width`, by what they share at their ends where that suffices, else in the middle."""
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


def _session_cell(session: Mapping[str, Any], task: str) -> str:
    best = best_baseline(session, task, None)
    return f"{show(session_score(session, 'model', task, None).value)} ({show(best[1]) if best else '-'})"


def terminal_table(evaluation: Mapping[str, Any]) -> str:
    """Model beside baselines and oracle in the mean over sessions, a line a session; at most 100 columns.

    All numbers are the tasks' headlines, for most of them bits/spike pooled over units and bins, with bootstrap
    standard errors over trials in the means; "-" where there is no score.
    """
    sessions = evaluation["sessions"]
    predictors, tasks = predictors_of(evaluation), tasks_of(evaluation)
    has_model = any(session.get("tasks") for session in sessions.values())
    word = "session" if len(sessions) == 1 else f"{len(sessions)} sessions"
    lines = []
    for first in range(0, len(tasks), len(TASK_LABELS)):
        part = tasks[first : first + len(TASK_LABELS)]
        heads = [label(task) for task in part]
        means = {task: mean_scores(evaluation, task, None) for task in part}
        most = {task: max(score.num_sessions for score in means[task].values()) for task in part}
        rows = [[f"mean of {word}" if len(sessions) != 1 else "one session", *heads]]
        for name in (name for name in predictors if name != "model" or has_model):
            cells = [_starred(means[task][name], most[task]) for task in part]
            rows.append([shorten(label(name), 24), *cells])
        for name in predictors:
            if is_oracle(name):
                rows.append(
                    [f"model / {shorten(label(name), 16)}", *(share(evaluation, name, task, None) for task in part)]
                )
        pairs = [paired(evaluation, task) for task in part]
        if any(score.value is not None for score, _ in pairs):
            rows.append(["model - best baseline", *(difference_text(score) for score, _ in pairs)])
            rows.append(["  sessions above", *(f"{above} of {score.num_sessions}" for score, above in pairs)])
        rows.append(["", *[""] * len(part)])
        rows.append(["session, units, test trials", *heads])
        for key, session in zip(short_names(sessions, 18), sessions.values(), strict=True):
            size = f"{session.get('num_units', '-')}, {session.get('num_test_trials', '-')}"
            rows.append([f"{key}, {size}", *(_session_cell(session, task) for task in part)])
        lines += [*align(rows), ""]
    if any(line.startswith("model - best") for line in lines):
        lines.append("model - best baseline: of each session, paired over the same draws of trials")
    lines += headlines.legend({label(task): headline(evaluation, task) for task in tasks})
    if any("*" in line for line in lines):
        lines.append("* mean over fewer sessions than the model")
    return "\n".join(lines)


def _starred(score: Score, most: int) -> str:
    """A mean with its standard error in few columns: a star where sessions are missing."""
    return mean_text(score, score.num_sessions) + "*" * (0 < score.num_sessions < most)


def share(evaluation: Mapping[str, Any], oracle: str, task: str, metric: str | None = "bps_pooled") -> str:
    """Mean of the model as a percentage of an oracle's, over sessions that have both; "-" if undefined."""
    both = [
        key
        for key, session in evaluation["sessions"].items()
        if None not in (session_score(session, name, task, metric).value for name in ("model", oracle))
    ]
    model = mean_score(evaluation, "model", task, metric, both).value
    reached = mean_score(evaluation, oracle, task, metric, both).value
    return f"{100 * model / reached:.0f} %" if both and reached > 0 else "-"
