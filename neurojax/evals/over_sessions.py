"""Score blocks of sessions -> their means, with intervals over sessions, animals and trials."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.evals import tables
from neurojax.evals.protocol_record import BEHAVIOUR_SCORE, EXTRA_SCORES
from neurojax.evals.scoring import COUNTS, SCORES, entry
from neurojax.scores import intervals

_NO_TEST = (
    f"fewer than {intervals.MIN_SESSIONS_OF_A_TEST} sessions, or differences without any spread"
)


def of_records(sessions: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The `mean` of an evaluation: `mean_over_sessions` of its sessions' blocks, each with
    `paired_mean`, and `paired_with_stack_mean` where the model is mixed with the stack."""
    subjects = tables.subjects_of(sessions)
    tasks = {key: session["tasks"] for key, session in sessions.items()}
    mean = mean_over_sessions(tasks, subjects)
    for part in ("paired", "paired_with_stack"):
        pairs = {key: session[part] for key, session in sessions.items() if part in session}
        for task, block in paired_mean(pairs, subjects).items():
            if task in mean:
                mean[task][f"{part}_mean"] = block
    return mean


def paired_mean(
    sessions: Mapping[str, Mapping[str, Mapping[str, Any]]],
    subjects: Mapping[str, str | None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Averages the differences of `compare_with_best` with equal weight per session; tests them
    over sessions.

    Args:
        sessions: session id -> task -> block.
        subjects: session id -> its animal, None where it is not known.

    Returns:
        task -> {"baseline", "chosen_on", "bps_pooled", "bps_pooled_se" and "ci95" (Student's t over
        sessions), "trials_se" and "trials_ci95" (over the trials of these sessions), "p_value"
        (paired t over sessions, two-sided; None below three), "p_holm" (adjusted for the tasks),
        "animals_ci95" (t over means of animals, with two of them), "num_animals", "num_sessions",
        "num_above", "signs": session id -> 1, 0 or -1}.
    """
    result = {}
    for task in _tasks_of(sessions):
        blocks = {name: tasks[task] for name, tasks in sessions.items() if task in tasks}
        known = {name: block for name, block in blocks.items() if block["bps_pooled"] is not None}
        gains = {name: block["bps_pooled"] for name, block in known.items()}
        found = {
            key: next((b[key] for b in blocks.values() if b.get(key)), None)
            for key in ("baseline", "chosen_on")
        }
        mean = float(np.mean(list(gains.values()))) if known else math.nan
        found |= entry("bps_pooled", mean, "no session has a model and a baseline to compare")
        found |= _over_sessions("", gains, subjects or {}, se="bps_pooled_se")
        found |= _num_animals(gains, subjects or {})
        found |= _over_trials("", list(known.values()), mean, se="bps_pooled_se")
        found |= entry("p_value", _or_nan(intervals.p_value(list(gains.values()))), _NO_TEST)
        signs = {name: int(np.sign(gain)) for name, gain in gains.items()}
        above = sum(sign > 0 for sign in signs.values())
        result[task] = found | {"num_sessions": len(known), "num_above": above, "signs": signs}
    for task, p in intervals.holm(
        {task: block["p_value"] for task, block in result.items()}
    ).items():
        result[task] |= entry("p_holm", _or_nan(p), _NO_TEST)
    return result


def mean_over_sessions(
    sessions: Mapping[str, Mapping[str, Mapping[str, Any]]],
    subjects: Mapping[str, str | None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Averages score blocks with equal weight per session.

    Args:
        sessions: session id -> task -> block of `score_session`.
        subjects: session id -> its animal, None where it is not known.

    Returns:
        task -> block: each score S averaged over the sessions that have it, counts summed,
        `num_sessions` = how many have the headline, `num_animals` = of how many animals. `S_se` and
        `S_ci95` are Student's t over sessions, None with a reason where one session alone has the
        score. `S_animals_ci95` is the same over the means of animals (their mean: `S_animals`),
        where there are two. `S_trials_se` and `S_trials_ci95` cover the draw of
        trials of these sessions alone: sqrt(sum of squares) / n and mean +- 1.96 of it.
    """
    result: dict[str, dict[str, Any]] = {}
    for task in _tasks_of(sessions):
        blocks = {key: tasks[task] for key, tasks in sessions.items() if task in tasks}
        first = next(iter(blocks.values()))
        block: dict[str, Any] = {key: first[key] for key in ("headline",) if key in first}
        shown = block.get("headline", "bps_pooled")
        for name in _named((*SCORES, *EXTRA_SCORES, BEHAVIOUR_SCORE), blocks):
            usable = {key: b for key, b in blocks.items() if b.get(name) is not None}
            values = {key: b[name] for key, b in usable.items()}
            mean = sum(values.values()) / len(values) if values else math.nan
            block |= entry(name, mean, "no session has this score")
            block |= _over_sessions(f"{name}_", values, subjects or {})
            block |= _over_trials(f"{name}_", list(usable.values()), mean)
            if name == shown:
                block |= _num_animals(values, subjects or {})
        for name in _named((*COUNTS, "num_units_silent"), blocks):
            block[name] = sum(b[name] for b in blocks.values() if b.get(name) is not None)
        block["num_sessions"] = sum(b.get(shown) is not None for b in blocks.values())
        result[task] = block
    return result


def _over_sessions(
    prefix: str, values: Mapping[str, float], subjects: Mapping[str, str | None], se: str = ""
) -> dict[str, Any]:
    """Entries of a mean over sessions: its standard error and intervals over sessions and over
    animals."""
    if not values:
        return {}
    over = intervals.t_interval(list(values.values()))
    block: dict[str, Any] = {
        se or f"{prefix}se": over and over.se,
        f"{prefix}ci95": over and list(over.ci95),
    }
    if over is None:
        block |= {
            f"{name}_reason": "one session; over its trials see trials_ci95" for name in list(block)
        }
    animals, _ = intervals.means_of_animals(values, subjects)
    if of_animals := intervals.t_interval(list((animals or {}).values())):
        block[f"{prefix}animals"] = of_animals.mean
        block[f"{prefix}animals_ci95"] = list(of_animals.ci95)
    return block


def _num_animals(values: Mapping[str, float], subjects: Mapping[str, str | None]) -> dict[str, Any]:
    """Of how many animals the sessions with a value are, or why it is not known; {} without one."""
    animals, reason = intervals.means_of_animals(values, subjects)
    known = {"num_animals": len(animals)} if animals else entry("num_animals", math.nan, reason)
    return known if values else {}


def _over_trials(
    prefix: str, blocks: Sequence[Mapping[str, Any]], mean: float, se: str = ""
) -> dict[str, Any]:
    """Entries of a mean over sessions: its error over the trials of these sessions; {} where one
    has none."""
    se = se or f"{prefix}se"
    errors = [block.get(se) for block in blocks]
    if not blocks or None in errors:
        return {}
    together = math.sqrt(sum(error**2 for error in errors)) / len(errors)
    ends = [mean - 1.96 * together, mean + 1.96 * together]
    if len(blocks) == 1:
        ends = blocks[0].get(f"{prefix}ci95") or ends
    return {f"{prefix}trials_se": together, f"{prefix}trials_ci95": ends}


def _named(names: Sequence[str], blocks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Those of the names that any of the blocks has."""
    return [name for name in names if any(name in block for block in blocks.values())]


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _tasks_of(sessions: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(task for tasks in sessions.values() for task in tasks))
