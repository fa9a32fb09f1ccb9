"""The table of scores that an evaluation prints."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from neurojax.evals import best_baseline, tables
from neurojax.evals.best_baseline import Best, Paired
from neurojax.evals.tables import Score, is_oracle, label, mean_scores, shorten
from neurojax.report import headlines

_WIDTH = 100
_AT_ONCE = len(tables.TASK_LABELS)  # tasks beside each other


def terminal_table(evaluation: Mapping[str, Any]) -> str:
    """Model beside baselines and oracle in the mean over sessions, a line a session; at most 100
    columns.

    All numbers are the tasks' headlines, for most of them bits/spike pooled over units and bins; +-
    is half of the 95 % interval over what the legend says; "-" where there is no score.
    """
    sessions = evaluation["sessions"]
    tasks = tables.tasks_of(evaluation)
    chosen = best_baseline.best_baselines(sessions, tasks)
    lines, shown = [], []
    for first in range(0, len(tasks), _AT_ONCE):
        part = tasks[first : first + _AT_ONCE]
        means = {task: mean_scores(evaluation, task, None) for task in part}
        shown += [score for scores in means.values() for score in scores.values()]
        rows = [
            *_mean_rows(evaluation, means),
            *_paired_rows(evaluation, part),
            [""] * (len(part) + 1),
        ]
        rows.append(["session, units, test trials", *map(label, part)])
        for key, session in zip(tables.short_names(sessions, 18), sessions.values(), strict=True):
            size = f"{session.get('num_units', '-')}, {session.get('num_test_trials', '-')}"
            rows.append(
                [
                    f"{key}, {size}",
                    *(_session_cell(session, task, chosen.get(task)) for task in part),
                ]
            )
        lines += [*tables.align(rows), ""]
    lines += headlines.legend({label(task): tables.headline(evaluation, task) for task in tasks})
    if words := tables.interval_words(shown, evaluation):
        lines.append(f"+- {words}{_fewer(evaluation, tasks)}")
    if any("*" in line for line in lines):
        lines.append("* mean over fewer sessions than the model")
    lines += _legend_of_paired(evaluation, tasks, list(chosen.values()))
    return "\n".join(part for line in lines for part in _wrapped(line))


def _mean_rows(
    evaluation: Mapping[str, Any], means: Mapping[str, Mapping[str, Score]]
) -> list[list[str]]:
    sessions = evaluation["sessions"]
    has_model = any(session.get("tasks") for session in sessions.values())
    most = {
        task: max(score.num_sessions for score in scores.values()) for task, scores in means.items()
    }
    predictors = tables.predictors_of(evaluation)
    rows = [
        [
            "one session" if len(sessions) == 1 else f"mean of {len(sessions)} sessions",
            *map(label, means),
        ]
    ]
    for name in (name for name in predictors if name != "model" or has_model):
        rows.append(
            [shorten(label(name), 24), *(_starred(means[task][name], most[task]) for task in means)]
        )
    for name in filter(is_oracle, predictors):
        shares = (tables.share(evaluation, name, task, None) for task in means)
        rows.append([f"model / {shorten(label(name), 16)}", *shares])
    return rows


def _starred(score: Score, most: int) -> str:
    """A mean with half of its interval in few columns: a star where sessions are missing."""
    return tables.mean_text(score, score.num_sessions) + "*" * (0 < score.num_sessions < most)


def _paired_rows(evaluation: Mapping[str, Any], tasks: Sequence[str]) -> list[list[str]]:
    """The model minus the chosen baseline: the difference, whose it is, over animals, signs and
    what Holm leaves."""
    pairs = [best_baseline.paired(evaluation, task) for task in tasks]
    known = [pair for pair in pairs if pair.score.value is not None]
    if not known:
        return []
    bests = [pair.best for pair in known]
    rows = [
        [
            f"model - {best_baseline.common_name(bests)}",
            *(tables.difference_text(pair.score) for pair in pairs),
        ]
    ]
    if best_baseline.names_of(bests):
        rows.append(["  which", *best_baseline.names_of([pair.best for pair in pairs])])
    if any(pair.animals for pair in known):
        number = max(pair.num_animals for pair in known if pair.animals)
        cells = (
            "-" if pair.animals is None else tables.difference_text(pair.animals) for pair in pairs
        )
        rows.append([f"  over {number} animals", *cells])
    rows.append(
        ["  sessions above", *(f"{pair.above} of {pair.score.num_sessions}" for pair in pairs)]
    )
    if any(pair.score.over == "sessions" for pair in known):
        rows.append(["  over sessions, Holm", *map(verdict_text, pairs)])
    return rows


def verdict_text(pair: Paired) -> str:
    """`above, p 0.012` or `not resolved`; a dash without a difference."""
    if pair.score.value is None:
        return "-"
    return (
        pair.verdict if pair.verdict == "not resolved" else f"{pair.verdict}, p {pair.p_holm:.2g}"
    )


def _legend_of_paired(
    evaluation: Mapping[str, Any], tasks: Sequence[str], chosen: Sequence[Best]
) -> list[str]:
    pairs = [best_baseline.paired(evaluation, task) for task in tasks]
    bests = [pair.best for pair in pairs if pair.score.value is not None]
    lines = []
    if bests:
        name = best_baseline.common_name(bests)
        lines.append(f"model - {name}: paired within sessions; {best_baseline.how_chosen(bests)}")
    if any(pair.score.over == "sessions" for pair in pairs):
        lines.append(
            "above, below: intervals over sessions, animals exclude zero; p < 0.05 (paired t, "
            "Holm over tasks)"
        )
    if chosen:
        lines.append(f"per session: model, in brackets {best_baseline.common_name(chosen)}")
    return lines


def _wrapped(line: str) -> list[str]:
    return [line] if len(line) <= _WIDTH else textwrap.wrap(line, _WIDTH, subsequent_indent="  ")


def _fewer(evaluation: Mapping[str, Any], tasks: Sequence[str]) -> str:
    """`; inter-region over 3`, for the tasks that fewer sessions score."""
    found = [
        f"{label(task)} over {n}"
        for task in tasks
        if 0 < (n := _most(evaluation, task)) < _all(evaluation)
    ]
    return f"; {', '.join(found)}" if found else ""


def _most(evaluation: Mapping[str, Any], task: str) -> int:
    return max(score.num_sessions for score in mean_scores(evaluation, task, None).values())


def _all(evaluation: Mapping[str, Any]) -> int:
    return len(evaluation["sessions"])


def _session_cell(session: Mapping[str, Any], task: str, best: Best | None) -> str:
    model = tables.session_score(session, "model", task, None).value
    other = (
        None if best is None else tables.session_score(session, str(best.name), task, None).value
    )
    return f"{tables.show(model)} ({tables.show(other)})"
