"""The numbers of `neurojax compare`: means of every run, and later runs minus the first."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from neurojax.evals import tables
from neurojax.report import paired_runs, seeds
from neurojax.report.paired_runs import Difference
from neurojax.report.score_groups import score_groups, score_words
from neurojax.scores import intervals, sign_test

Records = Mapping[str, Mapping[str, Any]]  # name of a run -> its evaluation


class Part(NamedTuple):
    """One metric of the tasks that have it.

    Attributes:
        metric: its name.
        head: the tasks, each with the number of sessions that every run scores.
        means: a row a run.
        over: a row a later run, what it is above the first.
        words: what stands after +-; empty where nothing does.
    """

    metric: str
    head: list[str]
    means: list[list[str]]
    over: list[list[str]]
    words: str


def parts_of(evaluations: Records, session_ids: Sequence[str], sign: str = "+-") -> list[Part]:
    """The comparison metric by metric, the headlines first.

    A task's mean takes the sessions where every run has a score, so that runs are compared on equal
    terms.

    Args:
        evaluations: name of a run -> its evaluation; the first is the one the others are held
            against.
        session_ids: sessions of all.
        sign: before half of an interval.
    """
    groups = score_groups(*evaluations.values())
    shared = {name: only(evaluation, session_ids) for name, evaluation in evaluations.items()}
    return [_part(shared, sign, metric, tasks) for metric, tasks in groups.items()]


def only(evaluation: Mapping[str, Any], session_ids: Sequence[str]) -> dict[str, Any]:
    """The record with these sessions alone."""
    return {**evaluation, "sessions": {key: evaluation["sessions"][key] for key in session_ids}}


def _part(evaluations: Records, sign: str, metric: str, tasks: Sequence[str]) -> Part:
    first = next(iter(evaluations.values()))
    scored = {
        task: scored_by_all(evaluations, list(first["sessions"]), task, metric) for task in tasks
    }
    head = [f"{tables.label(task)} (n={len(scored[task])})" for task in tasks]
    means, over, every = [], [], []
    for name, evaluation in evaluations.items():
        scores = {
            task: tables.mean_score(evaluation, "model", task, metric, scored[task])
            for task in tasks
        }
        every += scores.values()
        means.append(
            [name, *(tables.mean_text(scores[task], len(scored[task]), sign) for task in tasks)]
        )
        if evaluation is not first:
            found = above_first(evaluations, name, list(first["sessions"]), metric, tasks)
            adjusted = holm(found)
            over.append([name, *(_difference_text(found[task], adjusted[task]) for task in tasks)])
    return Part(metric, head, means, over, tables.interval_words(every, first))


def above_first(
    evaluations: Records, name: str, session_ids: Sequence[str], metric: str, tasks: Sequence[str]
) -> dict[str, Difference | None]:
    """What a run is above the first in each task, on the sessions that every run scores."""
    first = next(iter(evaluations.values()))
    return {
        task: paired_runs.difference(
            evaluations[name],
            first,
            scored_by_all(evaluations, session_ids, task, metric),
            task,
            metric,
        )
        for task in tasks
    }


def holm(found: Mapping[str, Difference | None]) -> dict[str, float | None]:
    """p over sessions of each task's difference, adjusted for all tasks of the metric."""
    return intervals.holm({task: one and one.p_value for task, one in found.items()})


def _difference_text(found: Difference | None, p_holm: float | None) -> str:
    """`+0.040* [+0.010, +0.070], 8 of 9`: mean difference, star, interval over sessions, sessions
    above."""
    if found is None:
        return "-"
    ends = found.trials_ci95 if len(found.sessions) == 1 else found.ci95
    words = "" if ends is None else f" [{ends[0]:+.3f}, {ends[1]:+.3f}]"
    over_animals = found.animals and found.animals[1]
    star = "*" * (intervals.verdict(found.ci95, p_holm, over_animals) != "not resolved")
    return f"{found.mean:+.3f}{star}{words}, {found.above} of {len(found.sessions)}"


def comparison_table(evaluations: Records, session_ids: Sequence[str]) -> str:
    """The comparison as aligned plain text; where it is of several metrics, each table says its own
    first."""
    reference = next(iter(evaluations))
    parts = parts_of(evaluations, session_ids)
    lines = []
    for part in parts:
        blank = [""] * (len(part.head) + 1)
        rows = [["model", *part.head], *part.means, blank]
        rows += [[f"over {tables.shorten(reference, 22)}", *part.head], *part.over]
        lines += [f"{score_words(part.metric)}:"] * (len(parts) > 1)
        lines += [*tables.align([[tables.shorten(row[0], 28), *row[1:]] for row in rows]), ""]
    if costs := cost_rows(evaluations):
        lines += [*tables.align([[tables.shorten(row[0], 28), *row[1:]] for row in costs]), ""]
    unit = f"{score_words(parts[0].metric)}; " if len(parts) == 1 else ""
    words = next((f"+- {part.words}; " for part in parts if part.words), "")
    notes = [
        f"{unit}{words}n sessions that all runs score",
        f"over: {difference_words(len(session_ids))}",
        *notes_on(evaluations, session_ids),
        sign_test.sentence(len(session_ids)),
    ]
    return "\n".join([*lines, *notes])


def cost_rows(evaluations: Records) -> list[list[str]]:
    """A head, and a row a run: what it has to learn and what learning took; empty where no record
    says, as none did before `cost` was in it."""
    known = {name: evaluation.get("cost") for name, evaluation in evaluations.items()}
    known = {name: cost for name, cost in known.items() if isinstance(cost, dict)}
    head = ["cost", "shared parameters", "in rows", "steps", "training"]
    rows = []
    for name in evaluations if known else ():
        cost = known.get(name, {})
        counts = [tables.number(cost.get(key)) for key in ("shared_parameters", "row_parameters")]
        counts.append(tables.number(evaluations[name].get("step")))
        seconds = tables.number(cost.get("training_s"))
        cells = ["-" if count is None else f"{count:,.0f}" for count in counts]
        rows.append([name, *cells, "-" if seconds is None else f"{seconds:,.0f} s"])
    return [head, *rows] if rows else []


def difference_words(num_sessions: int) -> str:
    """What a cell of a later run over the first is."""
    if num_sessions == 1:
        return (
            "difference [95 % over the trials of this one session, paired]; it says nothing of "
            "other sessions"
        )
    return (
        "mean difference of a session [95 % over sessions (t), paired within them], in how many "
        "it is positive; *: it and the interval over animals exclude zero, p < "
        f"{intervals.MAX_P:g} (paired t over sessions; Holm over tasks, not over runs)"
    )


def notes_on(evaluations: Records, session_ids: Sequence[str]) -> list[str]:
    """A line a run of several seeds with their interval, and for later runs what holds over animals
    and trials."""
    lines = [
        f"{name}: mean of {len(evaluation['seeds'])} seeds, 95 % over seeds (t): "
        f"{seeds.intervals(evaluation)}"
        for name, evaluation in evaluations.items()
        if isinstance(evaluation.get("seeds"), list)
    ]
    groups = score_groups(*evaluations.values())
    for name in list(evaluations)[1:]:
        reasons: dict[str, list[str]] = {}
        for metric, tasks in groups.items():
            found = above_first(evaluations, name, session_ids, metric, tasks)
            known = {task: one for task, one in found.items() if one is not None}
            lines += _over_animals(name, metric, known) + _over_trials(name, known)
            for reason in {one.reason for one in known.values() if one.reason}:
                reasons.setdefault(reason, []).append(score_words(metric))
        for reason, metrics in sorted(reasons.items()):
            of = "" if set(metrics) == {score_words("bps_pooled")} else f" in {'; '.join(metrics)}"
            lines.append(f"no interval over trials for {name}{of}: {reason}")
    return lines


def _over_animals(name: str, metric: str, found: Mapping[str, Difference]) -> list[str]:
    parts = [
        f"{tables.label(task)} {_signed(*one.animals)}"
        for task, one in found.items()
        if one.animals
    ]
    return [
        f"{name}, {score_words(metric)}, mean over animals [95 % over them (t)]: {', '.join(parts)}"
    ] * bool(parts)


def _over_trials(name: str, found: Mapping[str, Difference]) -> list[str]:
    """For these sessions alone, named as such; a single session has it in the table."""
    parts = [
        f"{tables.label(task)} [{one.trials_ci95[0]:+.3f}, {one.trials_ci95[1]:+.3f}]"
        for task, one in found.items()
        if one.trials_ci95 and len(one.sessions) > 1
    ]
    return [f"{name}, 95 % over trials of these sessions alone: {', '.join(parts)}"] * bool(parts)


def _signed(value: float, ends: tuple[float, float]) -> str:
    return f"{value:+.3f} [{ends[0]:+.3f}, {ends[1]:+.3f}]"


def scored_by_all(
    evaluations: Records, session_ids: Sequence[str], task: str, metric: str
) -> list[str]:
    """The sessions where every run has a score."""
    return [
        key
        for key in session_ids
        if all(value(e, key, task, metric) is not None for e in evaluations.values())
    ]


def value(evaluation: Mapping[str, Any], session_id: str, task: str, metric: str) -> float | None:
    """The model's score in one session."""
    return tables.session_score(evaluation["sessions"][session_id], "model", task, metric).value
