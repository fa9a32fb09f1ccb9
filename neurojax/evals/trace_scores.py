"""The block `traces` of an evaluation: how much of each cell's trace is predicted.

R2 of a cell is one less its squared error over its squared deviation from its own mean, both over
the scored entries of the test trials; a session's score is the mean over its cells. Intervals of a
session are of a bootstrap over its trials, those of a mean over sessions Student's t.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.errors import InputError, require
from neurojax.evals.scoring import entry, interval
from neurojax.scores import bootstrap
from neurojax.scores.intervals import t_interval
from neurojax.scores.metrics import ratio

_FLAT = 1e-9  # mean squared deviation below which a cell has nothing to explain


class Sums(NamedTuple):
    """What R2 needs of each trial and cell, float64 [K, N]."""

    number: np.ndarray
    error: np.ndarray  # squared
    total: np.ndarray
    squares: np.ndarray


def sums_of(predicted: np.ndarray, values: np.ndarray) -> Sums:
    """Sums over bins of predictions float [K, T, N], NaN where not scored, and values there."""
    scored = np.isfinite(predicted)
    known = np.where(scored, values, 0).astype(np.float64)
    error = np.where(scored, predicted - known, 0)
    parts = scored, np.square(error), known, np.square(known)
    return Sums(*(part.sum(1, dtype=np.float64) for part in parts))


def cells_r2(sums: Sums, weights: np.ndarray | None = None) -> np.ndarray:
    """R2 of each cell, float64 [N], or [D, N] of trials weighted by [D, K]; NaN without a score."""
    weights = np.ones(len(sums.number)) if weights is None else weights
    number, error, total, squares = (weights @ part for part in sums)
    deviation = squares - ratio(total**2, number)
    return 1 - ratio(error, np.where(deviation > _FLAT * number, deviation, 0))


def session_blocks(
    model: Mapping[str, np.ndarray],
    floors: Mapping[str, Mapping[str, np.ndarray | str]],
    values: np.ndarray,
    *,
    seed: int,
    num_boot: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(task -> block of the model, floor -> task -> block) of a session.

    Args:
        model: task -> predictions float [K, T, N], NaN where not scored.
        floors: floor -> task -> the same, or the reason why there is none.
        values: float [K, T, N], in the same unit.
        seed, num_boot: of the bootstrap over trials.

    Returns:
        blocks {"r2", "r2_se", "r2_ci95", "r2_cell_median", "num_cells", "r2_cells"}, of a floor
        also "difference" (model minus floor, paired over trials) with "_se" and "_ci95". What
        cannot be computed is None with `<name>_reason`.
    """
    weights = bootstrap.trial_weights(len(values), num_boot, seed=seed)
    tasks, drawn = {}, {}
    for task, predicted in model.items():
        tasks[task], drawn[task] = _scored(sums_of(predicted, values), weights)
    found: dict[str, Any] = {}
    for name, of_tasks in floors.items():
        found[name] = {}
        for task, predicted in of_tasks.items():
            if isinstance(predicted, str):
                missing = (entry(part, math.nan, predicted) for part in ("r2", "difference"))
                found[name][task] = {key: value for part in missing for key, value in part.items()}
                continue
            block, draws = _scored(sums_of(predicted, values), weights)
            values_of = [one["r2"] for one in (tasks[task], block)]
            gain = math.nan if None in values_of else values_of[0] - values_of[1]
            block |= _with_interval("difference", gain, drawn[task] - draws)
            found[name][task] = block
    return tasks, found


def _scored(sums: Sums, weights: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """(block of predictions, their score in each draw of trials [D])."""
    cells = cells_r2(sums)
    known = cells[np.isfinite(cells)]
    by_draw = cells_r2(sums, weights)
    there = np.isfinite(by_draw)
    draws = ratio(np.where(there, by_draw, 0).sum(-1), there.sum(-1))
    mean, median = (float(f(known)) if len(known) else math.nan for f in (np.mean, np.median))
    block = _with_interval("r2", mean, draws)
    block |= entry("r2_cell_median", median, "no cell has a score")
    listed = [value if math.isfinite(value) else None for value in cells.tolist()]
    return block | {"num_cells": len(known), "r2_cells": listed}, draws


def _with_interval(name: str, value: float, draws: np.ndarray) -> dict[str, Any]:
    ends = interval(f"{name}_se", f"{name}_ci95", *bootstrap.interval(draws, value))
    return entry(name, value, "no cell has a score") | ends


def traces_block(
    sessions: Mapping[str, Mapping[str, Any]], tasks: Sequence[str], floors: Sequence[str]
) -> dict[str, Any]:
    """The block of all sessions.

    Args:
        sessions: id -> {"tasks": task -> block, "floors": floor -> task -> block, ...}.
        tasks, floors: names.

    Returns:
        {"r2" (of co-smoothing) ..., "tasks": task -> {"r2", "r2_se", "r2_ci95" (t over sessions),
        "r2_trials_se", "r2_trials_ci95" (over the trials of these sessions), "num_sessions"},
        "floors": floor -> {"tasks": task -> the same, and "difference"}, "sessions"}.
    """
    means = {task: _mean("r2", [one["tasks"][task] for one in sessions.values()]) for task in tasks}
    beside: dict[str, Any] = {}
    for name in floors:
        having = [
            task for task in tasks if any(task in s["floors"][name] for s in sessions.values())
        ]
        blocks = {t: [s["floors"][name].get(t, {}) for s in sessions.values()] for t in having}
        beside[name] = {
            "tasks": {t: _mean("r2", own) | _mean("difference", own) for t, own in blocks.items()}
        }
    return {**means["co_smoothing"], "tasks": means, "floors": beside, "sessions": dict(sessions)}


def _mean(name: str, blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean of a score over the sessions that have it, and its intervals."""
    known = [block for block in blocks if block.get(name) is not None]
    if not known:
        reasons = [block.get(f"{name}_reason") for block in blocks]
        why = next(filter(None, reasons), "no session has this score")
        return entry(name, math.nan, why) | {"num_sessions": 0}
    values = [block[name] for block in known]
    over, mean = t_interval(values), math.fsum(values) / len(values)
    found = {name: mean, "num_sessions": len(known)}
    found |= {f"{name}_se": over and over.se, f"{name}_ci95": over and list(over.ci95)}
    if over is None:
        why = f"one session; over its trials see {name}_trials_ci95"
        found |= {f"{name}_se_reason": why, f"{name}_ci95_reason": why}
    errors = [block.get(f"{name}_se") for block in known]
    if None not in errors:
        se = math.sqrt(sum(error**2 for error in errors)) / len(errors)
        ends = known[0][f"{name}_ci95"] if len(known) == 1 else [mean - 1.96 * se, mean + 1.96 * se]
        found |= {f"{name}_trials_se": se, f"{name}_trials_ci95": ends}
    return found


def compared(
    blocks: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Runs on the sessions that all of them scored: task -> run -> {"r2", "difference" (minus the
    first run, paired over sessions), each with "_se" and "_ci95"}.

    Raises:
        InputError: no session was scored by all, or a block is damaged.
    """
    try:
        scores = {
            run: {key: {t: b.get("r2") for t, b in one["tasks"].items()} for key, one in s.items()}
            for run, s in ((run, block["sessions"]) for run, block in blocks.items())
        }
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            "an evaluation of traces has no scores of sessions; evaluate the run again"
        ) from None
    first = next(iter(scores.values()))
    shared = [key for key in first if all(key in own for own in scores.values())]
    require(shared, "the runs share no session; evaluate them on the same data")
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for task in dict.fromkeys(task for key in shared for task in first[key]):
        keys = [
            k
            for k in shared
            if all(isinstance(own[k].get(task), int | float) for own in scores.values())
        ]
        found[task] = {
            run: _mean("r2", [{"r2": own[k][task]} for k in keys])
            | _mean("difference", [{"difference": own[k][task] - first[k][task]} for k in keys])
            for run, own in scores.items()
        }
    return found
