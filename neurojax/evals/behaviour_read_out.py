"""A behaviour read linearly from rates: how much of it the inferred activity of a population holds.

The rates are what a predictor makes of the held-in units; ridge from them to the behaviour is
fitted on train trials and scored on test trials, bin by bin, without a lag. The baseline reads the
held-in spikes themselves, smoothed.

Source: Pei et al. 2021 (NLB), velocity decoding.
"""

from typing import Any

import numpy as np

from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.evals import protocols
from neurojax.evals.baselines.folds import smooth_around
from neurojax.evals.decoding.search import widths
from neurojax.evals.decoding.targets import behaviour_of_trials
from neurojax.evals.protocol_record import Task
from neurojax.evals.scoring import entry
from neurojax.scores import bootstrap, metrics


def behaviour_of(session: Session, task: Task) -> str | None:
    """The first of the task's behaviours that a session has."""
    return next((name for name in task.reads if name in session.behaviour), None)


def score(
    session: Session,
    task: Task,
    train: np.ndarray,
    test: np.ndarray,
    *,
    seed: int,
    num_boot: int = 500,
) -> dict[str, Any]:
    """The block of a task that reads a behaviour.

    Args:
        train: features [train trials, T, p], rates or smoothed spikes.
        test: features [test trials, T', p].
        seed: of the bootstrap over test trials.
        num_boot: draws; 0 for no interval.

    Returns:
        {"behaviour_r2": mean over dimensions of R2 on test, "behaviour_r2_se", "behaviour_r2_ci95",
        "behaviour": its name}; None with a reason where the session has no such behaviour or it
        does not vary. Each dimension is fitted and scored where it is known; of those that are not
        scored `behaviour_dimensions_left_out` says how many there are.
    """
    name = behaviour_of(session, task)
    if name is None:
        has = ", ".join(sorted(session.behaviour)) or "none"
        reason = f"no behaviour named {', '.join(task.reads)}; the session has {has}"
        return entry("behaviour_r2", float("nan"), reason)
    observed, bin_valid = behaviour_of_trials(session, name, session.trials_of(TRAIN))
    target, _ = behaviour_of_trials(session, name, session.trials_of(TEST))
    predicted = metrics.linear_read_out(
        train[bin_valid], observed[bin_valid], test.reshape(-1, test.shape[-1])
    )
    predicted = predicted.reshape(target.shape)
    weights = bootstrap.trial_weights(len(target), num_boot, seed=seed) if num_boot else []
    each_once = np.ones((1, len(target)))
    point, *drawn = _r2_of_draws(
        predicted, target, np.concatenate([each_once, weights]) if num_boot else each_once
    )
    block = entry(
        "behaviour_r2",
        float(point),
        f"{name} has under ten train bins, or does not vary on test trials",
    )
    if num_boot and np.isfinite(point):
        se, ci95 = bootstrap.interval(np.asarray(drawn), float(point))
        if np.isfinite(se):
            block |= {"behaviour_r2_se": se, "behaviour_r2_ci95": list(ci95)}
    block["behaviour"] = name
    if np.isfinite(point):
        scored = np.isfinite(metrics.r2(*(x.reshape(-1, x.shape[-1]) for x in (predicted, target))))
        if not scored.all():
            block["behaviour_dimensions_left_out"] = int((~scored).sum())
    return block


def _r2_of_draws(predicted: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over dimensions of R2 [draws], each trial [K, T, dims] counting as often as `weights`
    [draws, K] say."""
    usable = np.isfinite(target) & np.isfinite(predicted)
    centre = np.where(usable, target, 0).sum((0, 1)) / np.maximum(usable.sum((0, 1)), 1)
    y = np.where(usable, target - centre, 0.0)
    number, total, square, residual = (
        weights @ x.sum(1)
        for x in (usable.astype(float), y, y**2, np.where(usable, target - predicted, 0.0) ** 2)
    )  # [draws, dims]
    variation = square - total**2 / np.maximum(number, 1)
    varies = variation > 1e-12 * np.maximum(square, 1e-300)
    values = np.where(varies, 1 - residual / np.where(varies, variation, 1.0), np.nan)
    known = np.isfinite(values)
    return np.where(
        known.any(1), np.where(known, values, 0).sum(1) / np.maximum(known.sum(1), 1), np.nan
    )


def of_smoothed_spikes(
    session: Session,
    protocol: protocols.Protocol,
    task: Task,
    *,
    seed: int,
    num_boot: int = 500,
) -> dict[str, Any]:
    """The block of the held-in units' smoothed spikes, and "width_s": of those in seconds the best
    on validation."""
    name = behaviour_of(session, task)
    if name is None:
        return score(session, task, np.zeros((0, 0, 0)), np.zeros((0, 0, 0)), seed=seed)
    held_in = protocols.scored_units(session, protocol) & ~protocols.held_out_units(
        session, protocol
    )
    parts = {}
    for split in (TRAIN, VALIDATION, TEST):
        trial_ids = session.trials_of(split)
        counts, bin_valid = session.gather_trials(trial_ids)
        seen = None if session.validity is None else session.entry_valid(trial_ids)[:, :, held_in]
        parts[split] = counts[:, :, held_in].astype(np.float32), bin_valid, seen
    mean = session.mean_counts()[held_in]
    observed, train_valid = behaviour_of_trials(session, name, session.trials_of(TRAIN))
    tuned, tuned_valid = behaviour_of_trials(session, name, session.trials_of(VALIDATION))
    smoothed = {
        width: {
            split: smooth_around(x, valid, width / session.bin_size_s, seen, mean)
            for split, (x, valid, seen) in parts.items()
        }
        for width in widths(session.bin_size_s)
    }

    def on_validation(width: float) -> float:
        features = smoothed[width]
        rows = features[TRAIN][train_valid], observed[train_valid]
        asked = features[VALIDATION][tuned_valid], tuned[tuned_valid]
        found = metrics.velocity_r2(*rows, *asked)
        return found if np.isfinite(found) else -np.inf

    best = max(smoothed, key=on_validation)
    features = smoothed[best]
    return score(session, task, features[TRAIN], features[TEST], seed=seed, num_boot=num_boot) | {
        "width_s": best
    }
