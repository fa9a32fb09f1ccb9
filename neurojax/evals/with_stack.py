"""The model together with the stack: a mean of their log-rates, its weight chosen on validation.

log rate = (1 - share) log rate of the stack + share x log rate of the model. The share of the model
is one number a session and task, from a grid that holds 0 (the stack alone) and 1 (the model
alone): of a few validation trials more weights would fit noise, which is what the stack's own
way of weighing its parts does with these two.

Predictions that err apart are better together, and the stack is cheap: what one recording can
learn, linear models and a network find differently.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from neurojax.data.session import TEST, VALIDATION, Session
from neurojax.errors import require
from neurojax.evals import leave_out, protocols, scoring, tables
from neurojax.evals.baselines.stack import LEAST_RATE
from neurojax.evals.baselines_cache import SessionBaselines
from neurojax.evals.best_baseline import Best

SHARES = np.linspace(0, 1, 9)  # of the model
# The share would be chosen by rates that see less than those that are scored, and the correction is
# of the model's loss, not of a mixture's.
IN_PARTS = "units were hidden in parts (eval.leave_out=groups); the model alone is corrected for it"


def require_sound(settings: Mapping[str, Any]) -> None:
    """Raises InputError where an `eval` block asks for a mixture that cannot be made."""
    mixed_with = settings.get("mixed_with", "")
    require(
        mixed_with in ("", "stack"),
        f"eval.mixed_with={mixed_with!r}; expected stack, or nothing for the model alone",
    )


def of_session(
    session: Session,
    left: leave_out.LeftOut,
    on_validation: Callable[[str], np.ndarray],
    baselines: SessionBaselines,
    best: Mapping[str, Best],
    protocol: protocols.Protocol,
    boot: Mapping[str, int],
) -> dict[str, Any]:
    """Blocks of a session in evaluation.json: scores of the mixture, the model's share in it, and
    how it stands to the baseline that the model is held against. Tasks whose units were hidden in
    parts have no mixture, and say so.

    Args:
        session, on_validation, protocol: see `mix`.
        left: what the model predicts of test trials.
        baselines: of this session, with the stack's rates.
        best: task -> the baseline chosen for it.
        boot: `seed` and `num_boot`.
    """
    of_stack = baselines.stack.read()
    exact = {task: rates for task, rates in left.rates.items() if task not in left.corrections}
    rates, shares = mix(session, exact, on_validation, of_stack, protocol)
    without = [task for task in left.corrections if task in of_stack]
    sums = scoring.sums_of(session, rates, protocol)
    blocks = scoring.score_session(session, rates, protocol=protocol, sums=sums, **boot)
    unscored = {
        task: scoring.with_headline(scoring.unscored(IN_PARTS), task, protocol) for task in without
    }
    sums |= {task: scoring.TaskSums(None, IN_PARTS) for task in without}
    return {
        tables.WITH_STACK: blocks | unscored,
        "model_shares": shares,
        "paired_with_stack": scoring.compare_with_best(sums, best, baselines.excess, **boot),
    }


def mix(
    session: Session,
    on_test: Mapping[str, np.ndarray],
    on_validation: Callable[[str], np.ndarray],
    of_stack: Mapping[str, Mapping[int, np.ndarray]],
    protocol: protocols.Protocol,
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Mixes what the model and the stack predict of every task that both predict.

    Args:
        session: the recording.
        on_test: task -> float32 [K, T, N] of the model, expected spikes per bin of test trials.
        on_validation: of a task the same of validation trials, see `activity.on_validation`.
        of_stack: task -> VALIDATION and TEST -> the same of the stack; NaN where nothing is scored.
        protocol: what the tasks hide.

    Returns:
        (task -> float32 [K, T, N] of test trials, task -> the model's share).
    """
    tasks = [task for task in on_test if task in of_stack]
    trial_ids = session.trials_of(VALIDATION)
    counts, _ = session.gather_trials(trial_ids)
    rates, shares = {}, {}
    for task in tasks:
        scored = protocols.scored_entries(session, task, trial_ids, protocol)
        if not scored.any():
            continue
        of_two = on_validation(task)[scored], of_stack[task][VALIDATION][scored]
        shares[task] = share_of_model(*of_two, counts[scored])
        rates[task] = mean(on_test[task], of_stack[task][TEST], shares[task])
    return rates, shares


def share_of_model(of_model: np.ndarray, of_stack: np.ndarray, counts: np.ndarray) -> float:
    """The share whose mixture explains counts best, of equals the smallest.

    Args:
        of_model, of_stack: float32 [n], expected spikes of the same entries.
        counts: [n].
    """
    losses = [_loss(mean(of_model, of_stack, share), counts) for share in SHARES]
    return float(SHARES[int(np.argmin(losses))])


def mean(of_model: np.ndarray, of_stack: np.ndarray, share: float) -> np.ndarray:
    """Mean of two rates in logs, float32; NaN where either is."""
    ours, theirs = (np.log(np.maximum(one, LEAST_RATE)) for one in (of_model, of_stack))
    return np.exp(np.float32(share) * ours + np.float32(1 - share) * theirs)


def _loss(rates: np.ndarray, counts: np.ndarray) -> float:
    """Poisson negative log-likelihood in nats, less what no rate changes."""
    return float((rates - counts * np.log(rates)).sum(dtype=np.float64))


def line(evaluation: Mapping[str, Any]) -> str:
    """What the mixture is made of, and which sessions have none, in words; empty where none was
    asked for."""
    sessions = evaluation["sessions"]
    found = [
        share for one in sessions.values() for share in (one.get("model_shares") or {}).values()
    ]
    without = [
        name
        for name, one in sessions.items()
        if "stack" in (one.get("baselines") or {}) and not one.get("model_shares")
    ]
    asked = bool((evaluation.get("eval") or {}).get("mixed_with"))
    if not found and not (asked and without):
        return ""
    missing = ", ".join(without[:3]) + (f" and {len(without) - 3} more" if without[3:] else "")
    told = (
        f"not in the mean of model and stack: {missing} (the stack's rates are too large to keep, "
        "units were hidden in parts, or no validation trial is scored)"
    )
    if not found:
        return told
    number = Counter(found)
    mixed = (
        f"model and stack: mean of log-rates, the model's share chosen on validation trials "
        f"(median {np.median(found):.2g}; the stack alone in {number[0.0]}, the model alone in "
        f"{number[1.0]} of {len(found)} sessions and tasks)"
    )
    return f"{mixed}; {told}" if without else mixed
