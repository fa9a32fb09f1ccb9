"""What a user would pick instead of a neural network: fitted on train, tuned on validation.

Two rules hold for all: a unit's own counts never enter its own prediction (in the forward task its
past does), and only units the task leaves visible are used.
"""

from collections.abc import Callable, Sequence

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.errors import require
from neurojax.evals.baselines import (
    ahead,
    autoregression,
    benchmark,
    coupling,
    drift,
    features,
    leave_out,
    poisson_glm,
    psth,
    smoothed_spikes,
    stack,
)
from neurojax.evals.baselines.folds import PARTS, Fit, Fitted, Folds, make_folds
from neurojax.evals.protocols import MTM, Protocol
from neurojax.evals.task_kinds import KINDS

DEFAULT = ("train_mean", "psth", "drift", "stack")  # what an evaluation shows beside a model
NAMES = (
    *(
        "train_mean",
        "psth",
        "drift",
        "smoothed_spikes",
        "history",
        "autoregression",
        "population_coupling",
    ),
    *("ridge", "factor_analysis", "reduced_rank", "poisson_glm", "average", "stack"),
)
KNOWN = NAMES + benchmark.NAMES  # those of BrainWideBench on request alone
_OF_FORWARD = ("smoothed_spikes", "history", "autoregression")
_OWN_PAST = "it knows a unit's own past alone, and the task hides the whole unit"
_HELD_OUT_ALONE = "the benchmark has it for held-out units, and the task holds none out"
_NO_DYNAMICS = "its factors have no dynamics to look ahead with"
_NEEDS = {
    "reduced_rank": ("ridge",),
    "average": stack.AVERAGED,
    "stack": (*leave_out.NAMES, "population_coupling", "autoregression"),
}
_MEMORIES_IN_STACK = 2  # of ridge and of the GLM, in the forward task


def reason_against(name: str, kind: str) -> str | None:
    """Why a baseline cannot do tasks of a kind; None where it can."""
    if kind not in KINDS:
        return None
    if name in benchmark.OF_HELD_OUT and not KINDS[kind].held_out:
        return _HELD_OUT_ALONE
    if name in (*_OF_FORWARD, *benchmark.OF_FORWARD) and not KINDS[kind].last_bins:
        return _OWN_PAST
    return _NO_DYNAMICS if name == "factor_analysis" and KINDS[kind].last_bins else None


def fit_and_predict(
    session: Session,
    names: Sequence[str] = NAMES,
    tasks: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
    protocol: Protocol = MTM,
) -> dict[str, dict[str, np.ndarray]]:
    """Fits the named baselines to one session and predicts its test split; see `fit_baselines`.

    Returns:
        name -> task -> float [K, T, N], expected spikes per bin of the test trials in file order,
        NaN where the task scores nothing. Tasks that a baseline cannot do (`reason_against`) are
        left out.
    """
    fitted = fit_baselines(session, names, tasks, progress, protocol)
    return {
        name: {task: fit.rates[TEST] for task, fit in fits.items()} for name, fits in fitted.items()
    }


def fit_baselines(
    session: Session,
    names: Sequence[str] = DEFAULT,
    tasks: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
    protocol: Protocol = MTM,
) -> dict[str, dict[str, Fit]]:
    """Fits the named baselines to one session: on train, every choice on validation.

    Args:
        names: of KNOWN, any order.
        tasks: of the protocol's `activity_tasks`; default all.
        progress: called with a line before each fit.
        protocol: what is hidden and scored.

    Returns:
        name -> task -> rates of VALIDATION and TEST, float [K, T, N], spikes per bin of the trials
        in file order, NaN where the task scores nothing; and what was chosen, times in seconds.

    Raises:
        InputError: an unknown name or task, a split without trials, no unit with a train spike.
    """
    every = protocol.activity_tasks
    for what, given, known in (("baseline", names, KNOWN), ("task", tasks or (), every)):
        for name in given:
            require(name in known, f"unknown {what} {name!r}, expected one of: {', '.join(known)}")
    # Inside, a task is known by its kind, of which a protocol has one.
    name_of = {protocol.tasks[task].kind: task for task in (every if tasks is None else tasks)}
    folds = make_folds(session, tuple(name_of), protocol)
    fitted = _fit_all(folds, names, tuple(name_of), progress)
    return {
        name: {
            name_of[kind]: Fit(
                {
                    part: _expand(folds, kind, part, rates)
                    for part, rates in fitted[name][kind].rates.items()
                },
                fitted[name][kind].chosen,
            )
            for kind in name_of
            if kind in fitted.get(name, {})
        }
        for name in names
    }


def _fit_all(folds: Folds, names, kinds, progress) -> dict[str, Fitted]:
    """name -> kind of task -> fit, over the scored units."""
    needed = {*names, *(part for name in names for part in _NEEDS.get(name, ()))}
    leave = tuple(kind for kind in kinds if not KINDS[kind].last_bins)
    smoothing = psth.tuned_smoothing(folds)
    # What the others start from: they predict the surplus over it, or scale it.
    offset = psth.shrunk_psth(folds, smoothing)
    family = features.Family(folds.session.bin_size_s, False, False)  # of the GLM's past

    def say(what):
        if progress:
            progress(f"session {folds.session.session_id}: fitting {what}")

    means = {part: np.broadcast_to(folds.mean, folds.parts[part].counts.shape) for part in PARTS}
    fitted: dict[str, Fitted] = {"train_mean": dict.fromkeys(kinds, Fit(means, {}))}
    if "psth" in needed:
        fitted["psth"] = psth.fit(folds, kinds, smoothing)
    if "drift" in needed:
        fitted["drift"] = drift.fit(folds, kinds, offset)
    if "population_coupling" in needed:
        say("population_coupling")
        # The stack takes coupling as a part of the forward task alone.
        wanted = (
            kinds
            if "population_coupling" in names
            else tuple(kind for kind in kinds if kind == "forward")
        )
        fitted["population_coupling"] = coupling.fit(folds, wanted, offset)
    together = [name for name in leave_out.NAMES if name in needed]
    several = {}
    if together:
        say(", ".join(together))
        several = leave_out.fit(folds, leave, smoothing, offset, together)
    several |= {name: {} for name in _OF_FORWARD if name in needed and "forward" in kinds}
    forward = {
        "smoothed_spikes": lambda: [smoothed_spikes.fit(folds)],
        "history": lambda: [coupling.fit_forward(folds, offset, with_population=False)],
        "autoregression": lambda: [autoregression.fit(folds, offset)],
        "ridge": lambda: ahead.fit_ridge(folds, offset),
        "reduced_rank": lambda: [
            ahead.fit_reduced_rank(folds, offset, several["ridge"]["forward"][0])
        ],
        "poisson_glm": lambda: poisson_glm.fit_forward(
            folds, offset, features.make_activity(folds, smoothing, family).gram
        ),
    }
    for name in forward if "forward" in kinds else ():
        if name in needed:
            say(f"{name}, forward")
            several[name]["forward"] = forward[name]()
    # The best on validation stands for its method; the stack reads the others too.
    fitted |= {
        name: {kind: fits[0] for kind, fits in fits_of.items()} for name, fits_of in several.items()
    }
    fitted |= {
        name: {
            kind: benchmark.fit(folds, name) for kind in kinds if reason_against(name, kind) is None
        }
        for name in benchmark.NAMES
        if name in needed
    }
    if "average" in needed:
        fitted["average"] = {
            kind: stack.average(folds, kind, *(fitted[name][kind].rates for name in stack.AVERAGED))
            for kind in kinds
        }
    if "stack" in needed:
        say("stack")
        parts = {
            kind: {name: several[name][kind] for name in together if kind in several[name]}
            for kind in kinds
        }
        if "forward" in parts:
            parts["forward"] = {
                name: fits[:_MEMORIES_IN_STACK] for name, fits in parts["forward"].items()
            }
            for name in ("population_coupling", "autoregression"):
                parts["forward"][name] = [fitted[name]["forward"]]
        fitted["stack"] = {kind: stack.fit(folds, kind, parts[kind]) for kind in kinds}
    return fitted


def _expand(folds, kind, part, rates):
    """Rates [K, T, n] of scored units -> [K, T, N], NaN outside the scored entries."""
    expanded = np.full((*rates.shape[:2], folds.session.num_units), np.nan, rates.dtype)
    expanded[:, :, folds.units] = np.where(folds.parts[part].scored[kind], rates, np.nan)
    return expanded
