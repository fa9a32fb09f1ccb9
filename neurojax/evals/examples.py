"""What the figures show of one session: a trial, PSTHs, per-unit scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.evals import protocols
from neurojax.scores import metrics

MAX_CONDITIONS, MIN_TRIALS = 4, 8  # conditions drawn; trials in the rarest of them
_CONDITION_NAMES = ("choice", "contrast_left", "feedback", "target", "stimulus")


def first_look_task(protocol: protocols.Protocol) -> str | None:
    """The task drawn for single units: one that scores whole trials, if the protocol has one."""
    tasks = {protocol.tasks[name].kind: name for name in protocol.activity_tasks}
    return tasks.get("co_smoothing") or tasks.get("held_out")


def unit_scores(
    session: Session,
    rates: np.ndarray,
    task: str = "co_smoothing",
    protocol: protocols.Protocol = protocols.MTM,
) -> np.ndarray:
    """Bits per spike of every unit on a task: rates [test trials, T, N] -> float64 [N], NaN where
    not scored."""
    trial_ids = session.trials_of(TEST)
    counts, _ = session.gather_trials(trial_ids)
    return metrics.bits_per_spike(
        rates, counts, protocols.scored_entries(session, task, trial_ids, protocol)
    )


def of_session(
    session: Session,
    predictions: Mapping[str, np.ndarray],
    baseline_unit_scores: Mapping[str, np.ndarray],
    protocol: protocols.Protocol = protocols.MTM,
    baseline: str | None = None,
) -> dict[str, Any]:
    """The `examples` record of report.figures.report_figures.draw_figures.

    Args:
        session: the recording.
        predictions: task -> [test trials, T, N] of the model.
        baseline_unit_scores: baseline -> [N] bits/spike.
        protocol: of the predictions; empty where it has no task to draw (`first_look_task`).
        baseline: which of them units are drawn against; the last one listed where it has no scores
            of units.
    """
    task = first_look_task(protocol)
    if task is None:
        return {}
    trial_ids = session.trials_of(TEST)
    counts, bin_valid = session.gather_trials(trial_ids)
    rates = predictions[task]
    length = session.trial_num_bins[trial_ids]
    spikes = np.where(length == length.max(), counts.sum((1, 2), dtype=np.int64), -1)
    # a typical one: median spikes, full length
    shown = int(np.argsort(spikes)[-max(1, np.sum(spikes >= 0) // 2)])
    record: dict[str, Any] = {
        "session_id": session.session_id,
        "bin_size_s": session.bin_size_s,
        "counts": counts[shown],
        "predicted": rates[shown],
        "true": _true_rates(session, trial_ids[shown]),
        "region": session.region,
        "bps_unit_model": unit_scores(session, rates, task, protocol),
    }
    entries = bin_valid[..., None]
    if session.validity is not None:
        entries = session.entry_valid(trial_ids)
        record["observed"] = entries[shown]
    if baseline_unit_scores:
        name = baseline if baseline in baseline_unit_scores else list(baseline_unit_scores)[-1]
        record |= {"baseline": name, "bps_unit_baseline": baseline_unit_scores[name]}
    record |= _psth(session, trial_ids, counts, entries, rates)
    return record


def _true_rates(session: Session, trial: int) -> np.ndarray | None:
    if session.true_rates is None:
        return None
    start = session.trial_start_bin[trial]
    return np.asarray(session.true_rates[start : start + session.trial_num_bins[trial]])


def _psth(session: Session, trial_ids, counts, entries, rates) -> dict[str, Any]:
    """Trial averages per condition (of the first column with few values and enough trials), or over
    all trials; NaN where a unit was observed in none of them."""
    labels, names = np.zeros(len(trial_ids), int), ["all trials"]
    for column in _CONDITION_NAMES:
        if column in session.conditions:
            values, codes = np.unique(session.conditions[column][trial_ids], return_inverse=True)
            if 1 < len(values) <= MAX_CONDITIONS and np.bincount(codes).min() >= MIN_TRIALS:
                labels, names = codes, [f"{column} {value}" for value in values.tolist()]
                break
    observed, predicted = [], []
    for code in range(len(names)):
        weight = entries & (labels == code)[:, None, None]
        total = np.maximum(weight.sum(0), 1)
        means = [(counts * weight).sum(0), np.where(weight, np.nan_to_num(rates), 0).sum(0)]
        means = [mean / total for mean in means]
        if entries.shape[2] > 1:  # padded bins of a trial that is observed throughout stay zero
            means = [np.where(weight.any(0), mean, np.nan) for mean in means]
        observed.append(means[0])
        predicted.append(means[1])
    return {
        "conditions": names,
        "psth_observed": np.stack(observed),
        "psth_predicted": np.stack(predicted),
    }
