"""What is shown of an evaluation: every metric that its protocol asks for, with the tasks that have
it."""

from collections.abc import Mapping
from typing import Any

from neurojax.evals import tables
from neurojax.evals.protocol_record import EXTRA_SCORES

# shown of a task whose headline is another, where it is known
_BESIDE = ("bps_pooled", *EXTRA_SCORES)


def score_groups(*evaluations: Mapping[str, Any]) -> dict[str, list[str]]:
    """Metric -> tasks: the tasks' headlines first, then what is scored beside them; of records of
    one protocol."""
    tasks = list(
        dict.fromkeys(task for evaluation in evaluations for task in tables.tasks_of(evaluation))
    )
    headlines = {task: _headline(evaluations, task) for task in tasks}
    groups: dict[str, list[str]] = {}
    for task, metric in headlines.items():
        groups.setdefault(metric, []).append(task)
    for metric in _BESIDE:
        for task in tasks:
            if metric != headlines[task] and any(
                _is_known(evaluation, task, metric) for evaluation in evaluations
            ):
                groups.setdefault(metric, []).append(task)
    return groups


def drawn_groups(*evaluations: Mapping[str, Any]) -> dict[str, list[str]]:
    """The part of `score_groups` that figures show: the R2 scores without an interval are for
    tables alone."""
    return {
        metric: tasks
        for metric, tasks in score_groups(*evaluations).items()
        if metric not in EXTRA_SCORES
    }


def _headline(evaluations, task: str) -> str:
    having = [evaluation for evaluation in evaluations if task in tables.tasks_of(evaluation)]
    return tables.headline(having[0], task)


def _is_known(evaluation: Mapping[str, Any], task: str, metric: str) -> bool:
    sessions, names = evaluation["sessions"].values(), tables.predictors_of(evaluation)
    return any(
        tables.session_score(one, name, task, metric).value is not None
        for one in sessions
        for name in names
    )
