"""The model together with the stack: a log-linear mixture of the two, its weights on validation.

log rate = c + log mean + a (log rate of the model - log mean) + b (log rate of the stack - log
mean), a and b not negative, a task and a session at a time, chosen as the stack chooses the weights
of its parts (`baselines.stack`): of validation trials, drawn to equal weights. Where the model adds
nothing a is near zero and the mixture is the stack.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.session import TEST, VALIDATION, Session
from neurojax.errors import require
from neurojax.evals import activity, protocols, scoring, tables
from neurojax.evals.baselines import stack
from neurojax.evals.baselines.folds import PARTS, Fit, make_folds
from neurojax.evals.baselines_cache import SessionBaselines
from neurojax.evals.best_baseline import Best


def require_sound(settings: Mapping[str, Any]) -> None:
    """Raises InputError where an `eval` block asks for a mixture that cannot be made."""
    mixed_with = settings.get("mixed_with", "")
    require(
        mixed_with in ("", "stack"),
        f"eval.mixed_with={mixed_with!r}; expected stack, or nothing for the model alone",
    )
    require(
        not mixed_with or mixed_with in settings["baselines"].split(","),
        f"eval.mixed_with={mixed_with} needs that baseline; add it to eval.baselines",
    )


def of_session(
    model,
    session: Session,
    predictions: Mapping[str, np.ndarray],
    baselines: SessionBaselines,
    best: Mapping[str, Best],
    protocol: protocols.Protocol,
    settings: Mapping[str, Any],
    boot: Mapping[str, int],
) -> dict[str, Any]:
    """Blocks of a session in evaluation.json: scores of the mixture, its weights, and how it stands
    to the baseline that the model is held against.

    Args:
        model, session, protocol, settings: see `mix`.
        predictions: task -> what the model predicts of test trials.
        baselines: of this session, with the stack's rates.
        best: task -> the baseline chosen for it.
        boot: `seed` and `num_boot`.
    """
    rates, weights = mix(model, session, predictions, baselines.stack.read(), protocol, settings)
    sums = scoring.sums_of(session, rates, protocol)
    return {
        tables.WITH_STACK: scoring.score_session(session, rates, protocol=protocol, **boot),
        "mixture": weights,
        "paired_with_stack": scoring.compare_with_best(sums, best, baselines.excess, **boot),
    }


def mix(
    model,
    session: Session,
    on_test: Mapping[str, np.ndarray],
    of_stack: Mapping[str, Mapping[int, np.ndarray]],
    protocol: protocols.Protocol,
    settings: Mapping[str, Any],
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Mixes what the model and the stack predict of every task that both predict.

    Args:
        model: see `passes.Model`.
        session: the recording.
        on_test: task -> float32 [K, T, N] of the model, expected spikes per bin of test trials.
        of_stack: task -> VALIDATION and TEST -> the same of the stack; NaN where nothing is scored.
        protocol: what the tasks hide.
        settings: the `eval` block of a config: `trials_per_pass`.

    Returns:
        (task -> float32 [K, T, N] of test trials, task -> {"model", "stack", "offset"}, weights).
    """
    tasks = [task for task in on_test if task in of_stack]
    kinds = {task: protocol.tasks[task].kind for task in tasks}
    folds = make_folds(session, tuple(kinds.values()), protocol)
    on_validation = activity.predict_session(
        model,
        session,
        tasks,
        protocol=protocol,
        split=VALIDATION,
        trials_per_pass=settings["trials_per_pass"],
    )
    rates, weights = {}, {}
    for task, kind in kinds.items():
        if not folds.parts[TEST].scored[kind].any():
            continue
        ours = {VALIDATION: on_validation[task], TEST: on_test[task]}
        parts = {
            name: [Fit({part: given[part][:, :, folds.units] for part in PARTS}, {})]
            for name, given in (("model", ours), ("stack", of_stack[task]))
        }
        found = stack.fit(folds, kind, parts)
        of_all = np.full(on_test[task].shape, np.nan, np.float32)
        scored = folds.parts[TEST].scored[kind]
        of_all[:, :, folds.units] = np.where(scored, found.rates[TEST], np.nan)
        rates[task] = of_all
        weights[task] = {part["name"]: part["weight"] for part in found.chosen["parts"]}
        weights[task]["offset"] = round(found.chosen["offset"], 4)
    return rates, weights
