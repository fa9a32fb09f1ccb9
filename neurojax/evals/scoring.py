"""Predictions -> the score blocks of evaluation.json: JSON-ready, never NaN."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.errors import require
from neurojax.evals import reliability
from neurojax.evals.best_baseline import Best
from neurojax.evals.protocols import MTM, Protocol, scored_entries
from neurojax.scores import bootstrap, metrics

SCORES = (
    "bps_unit_mean",
    "bps_unit_median",
    "bps_pooled",
    "bps_pooled_train_null",
    "bps_unit_mean_train_null",
    "bps_unit_mean_ge1hz",
    "bps_unit_median_ge1hz",
    "bps_pooled_ge1hz",
    "d2_unit_mean",
    "d2_pooled",
)
# Sums over all pairs of a trial and a unit; what these lack is known where no single unit's is.
POOLED = ("bps_pooled", "bps_pooled_train_null", "d2_pooled")
_LN2 = math.log(2.0)
COUNTS = ("num_units_scored", "num_units_ge1hz", "num_spikes")


class TaskSums(NamedTuple):
    """A task's predictions reduced over bins, or why they have no score; one of the two is None."""

    sums: metrics.PoissonSums | None
    reason: str | None = None


def score_session(
    session: Session,
    predictions: Mapping[str, np.ndarray],
    *,
    seed: int,
    num_boot: int = 500,
    protocol: Protocol = MTM,
    corrections: Mapping[str, np.ndarray] | None = None,
    sums: Mapping[str, TaskSums] | None = None,
) -> dict[str, dict[str, Any]]:
    """Scores one session's predictions under a protocol on the test split.

    Args:
        predictions: task -> float [K, T, N], expected spikes per bin, K test trials in file order,
            T bins of the longest, N units in file order. Values outside the scored entries are
            ignored.
        seed: of the bootstrap over trials; the same seed draws the same trials for every
            prediction.
        num_boot: draws; 0 for no intervals.
        protocol: what the tasks score.
        corrections: see `sums_of`; of the scores in POOLED alone, the others are those of the
            predictions as they are.
        sums: those of `sums_of`, without corrections, where they were made already.

    Returns:
        task -> block: the scores of `metrics.poisson_scores` with `<name>_se` and `<name>_ci95`
        (bootstrap, nulls recomputed in every draw, see `bootstrap.interval`) and the counts behind
        them; the protocol's R2 scores without an interval; `headline`, the score to show, where it
        is not `bps_pooled`. A score that cannot be computed is None, with `<name>_reason` beside
        it.

    Raises:
        InputError: an unknown task, a wrong shape, or no test trial.
    """
    blocks = {}
    sums = sums_of(session, predictions, protocol) if sums is None else sums
    for task, (own, reason) in sums.items():
        boot = {"seed": seed, "num_boot": num_boot}
        block = unscored(reason) if own is None else score_sums(session, [own], **boot)
        nats = (corrections or {}).get(task)
        if own is not None and nats is not None:
            block |= score_sums(session, [_corrected(own, nats)], **boot, names=POOLED)
        if own is not None and protocol.scores:
            block |= r2_block(session, task, predictions[task], protocol)
        blocks[task] = with_headline(block, task, protocol)
    return blocks


def with_headline(block: dict[str, Any], task: str, protocol: Protocol) -> dict[str, Any]:
    """The block with the name of the score to show, where that is not `bps_pooled`."""
    headline = protocol.task(task).headline
    return block if headline == "bps_pooled" else {"headline": headline, **block}


def excess_nll(session: Session, sums: TaskSums) -> np.ndarray:
    """NLL minus that of each unit's evaluated mean, nats: what later comparisons need.

    Returns:
        float32 [K, N], summed over the scored bins of each test trial; NaN where the task cannot be
        scored.
    """
    if sums.sums is None:
        return np.full((len(session.trials_of(TEST)), session.num_units), np.nan, np.float32)
    return sums.sums.model_excess.astype(np.float32)


def compare_with_best(
    sums: Mapping[str, TaskSums],
    best: Mapping[str, Best],
    excess: Mapping[str, Mapping[str, np.ndarray]],
    *,
    seed: int,
    num_boot: int = 500,
) -> dict[str, dict[str, Any]]:
    """Predictions minus the baseline chosen for each task, paired over the same draws of trials.

    Args:
        sums: task -> those of a session, see `sums_of`.
        best: task -> the baseline, see `best_baseline.best_baselines`; a task without one is None
            with a reason.
        excess: baseline -> task -> float32 [K, N] of `excess_nll`.

    Returns:
        task -> {"baseline", "chosen_on", "bps_pooled" (difference, bits/spike), "bps_pooled_se",
        "ci95"}; standard error and interval are over this session's trials.
    """
    blocks = {}
    for task, (ours, reason) in sums.items():
        name, chosen_on = best.get(task, Best(None, None))
        blocks[task] = {"baseline": name, "chosen_on": chosen_on}
        reference = excess.get(name, {}).get(task)
        if name is None:
            reason = reason or "no listed baseline has a score"
        elif reference is None or not np.isfinite(reference).any():
            reason = reason or f"{name}, chosen for all sessions, has no score in this one"
        if reason:
            blocks[task] |= {"bps_pooled": None, "bps_pooled_reason": reason}
            continue
        # Counts and nulls are the same; a baseline differs in its excess NLL alone.
        theirs = dataclasses.replace(ours, model_excess=reference.astype(np.float64))
        weights = bootstrap.trial_weights(len(ours.spikes), max(num_boot, 2), seed=seed)
        gain, *spread = bootstrap.paired_difference(ours, theirs, weights)
        blocks[task] |= entry("bps_pooled", gain, "no unit is left to score")
        blocks[task] |= interval("bps_pooled_se", "ci95", *spread)
    return blocks


def score_sums(
    session: Session,
    every: Sequence[metrics.PoissonSums],
    *,
    seed: int,
    num_boot: int = 500,
    names: Sequence[str] = SCORES,
) -> dict[str, Any]:
    """The Poisson scores of a block, with intervals.

    Args:
        every: sums of one prediction, or of several draws of it on the same entries. Of several,
            scores are means over them, each resample of trials takes as many of the draws with
            replacement, and the block has `num_draws` and each draw's pooled score,
            `bps_pooled_draws`.
        names: of the scores.
    """
    floor = metrics.RATE_FLOOR_HZ * session.bin_size_s
    points = [metrics.poisson_scores(one, None, floor) for one in every]
    point = {
        name: np.mean([of_draw[name] for of_draw in points], axis=0) for name in (*names, *COUNTS)
    }
    drawn = {}
    if num_boot:
        weights = bootstrap.trial_weights(len(every[0].spikes), num_boot, seed=seed)
        resampled = [metrics.poisson_scores(one, weights, floor) for one in every]
        # Draws are resampled too: their spread is part of what the score does not know.
        taken = np.random.default_rng([seed, len(every)]).integers(
            len(every), size=(len(every), num_boot)
        )
        for name in names:
            values = np.stack([of_draw[name] for of_draw in resampled])  # [draws, resamples]
            drawn[name] = np.take_along_axis(values, taken, 0).mean(0)
    block = {}
    for name in names:
        block |= entry(name, float(point[name]), _why_missing(name, point))
        if block[name] is not None and name in drawn:
            spread = bootstrap.interval(drawn[name], block[name])
            block |= interval(f"{name}_se", f"{name}_ci95", *spread)
    block |= {name: int(point[name]) for name in COUNTS} | _silent_units(every)
    if len(every) > 1:
        block |= {
            "num_draws": len(every),
            "bps_pooled_draws": [float(of_draw["bps_pooled"]) for of_draw in points],
        }
    return block


def _silent_units(every: Sequence[metrics.PoissonSums]) -> dict[str, Any]:
    """How many units lack a spike and so a score, and what counting them would cost.

    The cost, in bits/spike of the pooled score, is that of the spikes predicted of them; mean over
    draws.
    """
    # What is predicted of units that stay silent costs nats that no bits per spike can show.
    silent = ~every[0].fires & (every[0].num_entries.sum(0) > 0)
    predicted = np.mean(
        [(one.model_excess + one.num_entries * one.null_mean)[:, silent].sum() for one in every]
    )
    spikes = every[0].spikes.sum()
    cost = float(predicted / (_LN2 * spikes)) if spikes else math.nan
    return {
        "num_units_silent": int(silent.sum()),
        **entry("silent_units_cost_bps", cost, "no spike to share it"),
    }


def unscored(reason: str) -> dict[str, Any]:
    """The block of a task that has no score."""
    block: dict[str, Any] = {}
    for name in SCORES:
        block |= {name: None, f"{name}_reason": reason}
    return block | dict.fromkeys(COUNTS, 0)


def sums_of(
    session: Session,
    predictions: Mapping[str, np.ndarray],
    protocol: Protocol = MTM,
    corrections: Mapping[str, np.ndarray] | None = None,
) -> dict[str, TaskSums]:
    """`task_sums` of every task of the predictions, as in `score_session`.

    Args:
        corrections: task -> float [K, N], nats that are added to the loss of its predictions, see
            `leave_out.LeftOut`: right in sums over all pairs. A task may have none.
    """
    found = {task: task_sums(session, task, rates, protocol) for task, rates in predictions.items()}
    return found | corrected(found, corrections or {})


def corrected(
    sums: Mapping[str, TaskSums], corrections: Mapping[str, np.ndarray]
) -> dict[str, TaskSums]:
    """The sums of tasks that have a correction, with it; see `sums_of`."""
    return {
        task: sums[task]._replace(sums=_corrected(sums[task].sums, nats))
        for task, nats in corrections.items()
        if sums[task].sums is not None
    }


def _corrected(sums: metrics.PoissonSums, nats: np.ndarray) -> metrics.PoissonSums:
    return dataclasses.replace(sums, model_excess=sums.model_excess + nats)


def task_sums(session: Session, task: str, rates: np.ndarray, protocol: Protocol = MTM) -> TaskSums:
    """One task's rates [K, T, N] of the test trials, reduced over bins."""
    trial_ids = session.trials_of(TEST)
    require(
        len(trial_ids),
        f"session {session.session_id} has no test trial, expected at least one; split it again",
    )
    counts, _ = session.gather_trials(trial_ids)
    require(
        np.shape(rates) == counts.shape,
        f"session {session.session_id}, {task}: predictions have shape {np.shape(rates)}, "
        "expected "
        f"{counts.shape} (test trials, bins of the longest, units)",
    )
    scored = scored_entries(session, task, trial_ids, protocol)
    if not scored.any():
        if protocol.task(task).hides.by_region:
            return TaskSums(None, "no known region has enough units with a train spike")
        if session.validity is not None:
            return TaskSums(None, "no unit that the task asks for was observed in a test trial")
        return TaskSums(None, "no unit has a train spike")
    # One hole refuses the score: leaving out hard entries would otherwise pay.
    missing = int((~np.isfinite(rates[scored])).sum())
    if missing:
        reason = f"{missing} of {int(scored.sum())} scored entries have no finite prediction"
        return TaskSums(None, reason)
    return TaskSums(metrics.poisson_sums(rates, counts, session.mean_counts(), scored))


def _why_missing(name: str, point: Mapping[str, np.ndarray]) -> str:
    if point["num_units_scored"] == 0:
        return "no scored unit has a spike in the evaluated entries"
    if name.endswith("_ge1hz"):
        return f"no scored unit has a train rate of {metrics.RATE_FLOOR_HZ:g} Hz or more"
    return "every scored unit has constant counts, so the null deviance is zero"


def entry(name: str, value: float, reason: str) -> dict[str, Any]:
    """The score under its name, or None with `<name>_reason` where it is not finite."""
    return {name: value} if math.isfinite(value) else {name: None, f"{name}_reason": reason}


def interval(se_name: str, ci95_name: str, se: float, ci95: tuple[float, float]) -> dict[str, Any]:
    """Standard error and interval of a score, or None with reasons where they do not exist."""
    if math.isfinite(se):
        return {se_name: se, ci95_name: list(ci95)}
    reason = "fewer than two bootstrap draws can be scored"
    return entry(se_name, math.nan, reason) | entry(ci95_name, math.nan, reason)


def r2_block(session: Session, task: str, rates: np.ndarray, protocol: Protocol) -> dict[str, Any]:
    """The R2 scores a protocol asks for, over the entries a task scores on the test split.

    `psth_r2_unit_mean`: mean over units of R2 between condition averages of rates and of counts.
    `single_trial_r2_unit_mean`: the same of single trials, after the condition averages are taken
        out of both.
    `psth_condition`: the trial column averaged over (the first usable one of
        `reliability.CONDITIONS`), or "none", one average over all trials; trials of rare conditions
        are left out.

    Args:
        rates: float [K, T, N], expected spikes per bin of the test trials.

    Source: Pei et al. 2021 (PSTH R2); Zhang et al. 2024 (both).
    """
    trial_ids = session.trials_of(TEST)
    name, codes = reliability.condition_codes(session) or (
        "none",
        np.zeros(session.num_trials, int),
    )
    codes = codes[trial_ids]
    counts, _ = session.gather_trials(trial_ids)
    evaluated = scored_entries(session, task, trial_ids, protocol) & (codes >= 0)[:, None, None]
    rates = np.where(evaluated, rates, np.nan)
    block: dict[str, Any] = {}
    for score, of_units in (
        ("psth_r2_unit_mean", metrics.psth_r2),
        ("single_trial_r2_unit_mean", metrics.single_trial_r2),
    ):
        if score in protocol.scores:
            values = of_units(rates, counts, codes)
            known = values[np.isfinite(values)]
            mean = float(known.mean()) if len(known) else math.nan
            block |= entry(score, mean, "the counts of no scored unit vary in what this compares")
    return block | {"psth_condition": name}
