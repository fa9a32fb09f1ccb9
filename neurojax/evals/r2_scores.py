"""Entries of a task's block, and its R2 scores: what rates say of PSTHs, and of how trials of a
condition differ."""

import math
from typing import Any

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.evals import reliability
from neurojax.evals.protocols import Protocol, scored_entries
from neurojax.scores import metrics


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

    `psth_r2_unit_mean`: mean over units of R2 between the condition averages of rates and of
        counts.
    `single_trial_r2_unit_mean`: the same of single trials once the condition averages are taken out
        of both.
    `psth_condition`: the trial column averaged over (the first usable one of
        `reliability.CONDITIONS`), or "none",
    one average over all trials; trials of rare conditions are left out.

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
