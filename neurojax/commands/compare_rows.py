"""The numbers of `neurojax compare`: means of every run, and later runs minus the first."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from neurojax.evals import paired_runs, seeds, sign_test, tables
from neurojax.evals.headlines import score_words
from neurojax.evals.score_groups import score_groups

Records = Mapping[str, Mapping[str, Any]]  # name of a run -> its evaluation


class Part(NamedTuple):
    """One metric of the tasks that have it.

    Attributes:
        metric: its name.
        head: the tasks, each with the number of sessions that every run scores.
        means: a row a run.
        over: a row a later run, what it is above the first.
    """

    metric: str
    head: list[str]
    means: list[list[str]]
    over: list[list[str]]


def parts_of(evaluations: Records, session_ids: Sequence[str], sign: str = "+-") -> list[Part]:
    """The comparison metric by metric, the headlines first.

    A task's mean takes the sessions where every run has a score, so that runs are compared on equal terms.

    Args:
        evaluations: name of a run -> its evaluation; the first is the one the others are held against.
        session_ids: sessions of all.
        sign: before a standard error.
    """
    groups = score_groups(*evaluations.values())
    return [_part(evaluations, session_ids, sign, metric, tasks) for metric, tasks in groups.items()]


def _part(evaluations: Records, session_ids: Sequence[str], sign: str, metric: str, tasks: Sequence[str]) -> Part:
    first = next(iter(evaluations.values()))
    scored = {task: scored_by_all(evaluations, session_ids, task, metric) for task in tasks}
    head = [f"{tables.label(task)} (n={len(scored[task])})" for task in tasks]
    means, over = [], []
    for name, evaluation in evaluations.items():
        scores = {task: tables.mean_score(evaluation, "model", task, metric, scored[task]) for task in tasks}
        means.append([name, *(tables.mean_text(scores[task], len(scored[task]), sign) for task in tasks)])
        if evaluation is not first:
            found = [paired_runs.difference(evaluation, first, scored[task], task, metric) for task in tasks]
            over.append([name, *map(_difference_text, found)])
    return Part(metric, head, means, over)


def _difference_text(found: paired_runs.Difference | None) -> str:
    """`+0.040 [+0.010, +0.070], 8 of 9`: the mean difference, its interval where there is one, sessions above."""
    if found is None:
        return "-"
    ends = "" if found.ci95 is None else f" [{found.ci95[0]:+.3f}, {found.ci95[1]:+.3f}]"
    return f"{found.mean:+.3f}{ends}, {found.above} of {len(found.sessions)}"


def comparison_table(evaluations: Records, session_ids: Sequence[str]) -> str:
    """The comparison as aligned plain text; where it is of several metrics, each table says its own first."""
    reference = next(iter(evaluations))
    parts = parts_of(evaluations, session_ids)
    lines = []
    for part in parts:
        blank = [""] * (len(part.head) + 1)
        rows = [["model", *part.head], *part.means, blank]
        rows += [[f"over {tables.shorten(reference, 22)}", *part.head], *part.over]
        lines += [f"{score_words(part.metric)}:"] * (len(parts) > 1)
        lines += [*tables.align([[tables.shorten(row[0], 28), *row[1:]] for row in rows]), ""]
    unit = f"{score_words(parts[0].metric)}, " if len(parts) == 1 else ""
    notes = [
        f"{unit}+- bootstrap se over trials; n sessions that all runs score",
        "over: mean difference of a session [95 %, paired over draws of trials], and in how many it is positive",
        *notes_on(evaluations, session_ids),
        sign_test.sentence(len(session_ids)),
    ]
    return "\n".join([*lines, *notes])


def notes_on(evaluations: Records, session_ids: Sequence[str]) -> list[str]:
    """A line a run of several seeds with their interval, and one a run whose differences have no interval, and why."""
    first = next(iter(evaluations.values()))
    lines = [
        f"{name}: mean of {len(evaluation['seeds'])} seeds, 95 % over seeds: {seeds.intervals(evaluation)}"
        for name, evaluation in evaluations.items()
        if isinstance(evaluation.get("seeds"), list)
    ]
    groups = score_groups(*evaluations.values())
    for name, evaluation in list(evaluations.items())[1:]:
        reasons: dict[str, list[str]] = {}
        for metric, tasks in groups.items():
            found = [paired_runs.difference(evaluation, first, session_ids, task, metric) for task in tasks]
            for reason in {one.reason for one in found if one is not None and one.reason}:
                reasons.setdefault(reason, []).append(score_words(metric))
        for reason, metrics in sorted(reasons.items()):
            of = "" if set(metrics) == {score_words("bps_pooled")} else f" in {'; '.join(metrics)}"
            lines.append(f"no interval for {name}{of}: {reason}")
    return lines


def scored_by_all(evaluations: Records, session_ids: Sequence[str], task: str, metric: str) -> list[str]:
    """The sessions where every run has a score."""
    return [key for key in session_ids if all(value(e, key, task, metric) is not None for e in evaluations.values())]


def value(evaluation: Mapping[str, Any], session_id: str, task: str, metric: str) -> float | None:
    """The model's score in one session."""
    return tables.session_score(evaluation["sessions"][session_id], "model", task, metric).value
