"""What is shown of an evaluation: every metric that its protocol asks for, in words, with the tasks
that have it."""

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
    every = [(one, tables.tasks_of(one), tables.predictors_of(one)) for one in evaluations]
    headlines = {
        task: next(tables.headline(one, task) for one, having, _ in every if task in having)
        for task in tasks
    }
    groups: dict[str, list[str]] = {}
    for task, metric in headlines.items():
        groups.setdefault(metric, []).append(task)
    for metric in _BESIDE:
        for task in tasks:
            known = (
                tables.session_score(session, name, task, metric).value is not None
                for one, _, names in every
                for session in one["sessions"].values()
                for name in names
            )
            if metric != headlines[task] and any(known):
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


SCORE_WORDS = {
    "bps_pooled": "bits/spike, pooled",
    "bps_unit_mean": "bits/spike, mean of units",
    "bps_unit_median": "bits/spike, median of units",
    "bps_pooled_train_null": "bits/spike over the train mean, pooled",
    "bps_unit_mean_train_null": "bits/spike over the train mean, mean of units",
    "bps_pooled_ge1hz": "bits/spike, pooled over units of 1 Hz or more",
    "bps_unit_mean_ge1hz": "bits/spike, mean of units of 1 Hz or more",
    "d2_unit_mean": "Poisson D2, mean of units",
    "d2_pooled": "Poisson D2, pooled",
    "psth_r2_unit_mean": "R2 of PSTHs, mean of units",
    "single_trial_r2_unit_mean": "R2 of single trials less PSTHs, mean of units",
    "behaviour_r2": "R2 of the behaviour, mean of its dimensions",
}


def score_words(metric: str) -> str:
    """A metric for people, with its unit."""
    return SCORE_WORDS.get(metric, metric.replace("_", " "))


def short_words(metric: str) -> str:
    """The same for an axis."""
    return score_words(metric).replace(", mean of its dimensions", "").replace(" less PSTHs", "")


def legend(shown: Mapping[str, str]) -> list[str]:
    """The lines below a table that say which scores it shows.

    Args:
        shown: task, in words -> the metric shown of it.
    """
    if set(shown.values()) <= {"bps_pooled"}:
        return ["bits/spike, pooled"]
    tasks_of: dict[str, list[str]] = {}
    for task, metric in shown.items():
        tasks_of.setdefault(metric, []).append(task)
    lines = (f"{', '.join(tasks)}: {score_words(metric)}" for metric, tasks in tasks_of.items())
    return [*lines, "differences: bits/spike, pooled"]
