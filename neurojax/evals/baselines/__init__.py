"""What a user would pick instead of a neural network: fitted on train, tuned on validation.

Two rules hold for all: a unit's own counts never enter its own prediction (in the forward task its past
does), and only units the task leaves visible are used.
"""

from collections.abc import Callable, Sequence

import numpy as np

from neurojax.errors import InputError
from neurojax.evals.baselines import (
    autoregression,
    average,
    coupling,
    factor_analysis,
    mean_rate,
    poisson_glm,
    psth,
    reduced_rank,
    ridge,
    smoothed_spikes,
)
from neurojax.evals.baselines.folds import Fitted, make_folds
from neurojax.evals.protocol_record import KINDS
from neurojax.evals.protocols import MTM, Protocol
from neurojax.types import TEST, Session

NAMES = (
    *("train_mean", "psth", "ridge", "population_coupling", "poisson_glm", "average"),
    *("smoothed_spikes", "autoregression", "reduced_rank", "factor_analysis"),
)
_OWN_PAST = "it knows a unit's own past alone, and the task hides the whole unit"
_NO_DYNAMICS = "its factors have no dynamics to look ahead with"
_CANNOT = {
    "smoothed_spikes": dict.fromkeys((task for task in KINDS if task not in smoothed_spikes.TASKS), _OWN_PAST),
    "autoregression": dict.fromkeys((task for task in KINDS if task not in autoregression.TASKS), _OWN_PAST),
    "factor_analysis": dict.fromkeys((task for task in KINDS if task not in factor_analysis.TASKS), _NO_DYNAMICS),
}
_ON_PSTH = {
    "ridge": ridge.fit,
    "population_coupling": coupling.fit,
    "poisson_glm": poisson_glm.fit,
    "reduced_rank": reduced_rank.fit,
    "factor_analysis": factor_analysis.fit,
}


def reason_against(name: str, kind: str) -> str | None:
    """Why a baseline cannot do tasks of a kind; None where it can."""
    return _CANNOT.get(name, {}).get(kind)


def fit_and_predict(
    session: Session,
    names: Sequence[str] = NAMES,
    tasks: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
    protocol: Protocol = MTM,
) -> dict[str, dict[str, np.ndarray]]:
    """Fits the named baselines to one session and predicts its test split.

    Args:
        names: of NAMES, any order.
        tasks: of the protocol's `activity_tasks`; default all.
        progress: called with a line before each fit.
        protocol: what is hidden and scored.

    Returns:
        name -> task -> float [K, T, N], expected spikes per bin of the test trials in file order, NaN where
        the task scores nothing. Tasks that a baseline cannot do (`reason_against`) are left out.

    Raises:
        InputError: an unknown name or task, a split without trials, no unit with a train spike.
    """
    every = protocol.activity_tasks
    for what, given, known in (("baseline", names, NAMES), ("task", tasks or (), every)):
        for name in given:
            if name not in known:
                raise InputError(f"unknown {what} {name!r}, expected one of: {', '.join(known)}")
    # Inside, a task is known by its kind, of which a protocol has one.
    name_of = {protocol.tasks[task].kind: task for task in (every if tasks is None else tasks)}
    tasks = tuple(name_of)
    folds = make_folds(session, tasks, protocol)
    offset = psth.tuned_psth(folds)
    needed = {*names, *(average.PARTS if "average" in names else ())}
    fitted: dict[str, Fitted] = {}
    for name in (name for name in NAMES if name in needed):
        if progress:
            progress(f"session {session.session_id}: fitting {name}")
        able = tuple(task for task in tasks if reason_against(name, task) is None)
        if name == "train_mean":
            fitted[name] = mean_rate.fit(folds, tasks)
        elif name == "psth":
            fitted[name] = psth.fit(folds, tasks)
        elif name == "average":
            fitted[name] = average.fit(folds, tasks, fitted)
        elif name == "smoothed_spikes":
            fitted[name] = smoothed_spikes.fit(folds) if able else {}
        elif name == "autoregression":
            fitted[name] = autoregression.fit(folds, offset) if able else {}
        else:
            fitted[name] = _ON_PSTH[name](folds, able, offset)
    return {
        name: {name_of[kind]: _expand(folds, kind, fitted[name][kind][TEST]) for kind in tasks if kind in fitted[name]}
        for name in names
    }


def _expand(folds, kind, rates):
    """Rates [K, T, n] of the scored units -> [K, T, N] of all, NaN outside the task's scored entries."""
    expanded = np.full((*rates.shape[:2], folds.session.num_units), np.nan, rates.dtype)
    expanded[:, :, folds.units] = np.where(folds.parts[TEST].scored[kind], rates, np.nan)
    return expanded
