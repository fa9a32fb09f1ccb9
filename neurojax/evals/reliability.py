"""How well a recording's own PSTHs repeat: the ceiling of what their prediction can reach on real
data.

A unit's trials of each condition are halved at random; its PSTH over (condition, bin) in one half
is correlated with that in the other, the correlation averaged over many halvings and corrected to
the whole number of trials by Spearman and Brown, 2 r / (1 + r).

Source: Spearman 1910, Brown 1910; the use with neural data as in Hsu, Borst & Theunissen 2004.
"""

from typing import Any

import numpy as np

from neurojax.data.session import Session
from neurojax.scores.metrics import RATE_FLOOR_HZ

# the first usable one counts
CONDITIONS = ("choice", "contrast_left", "feedback", "target", "stimulus")
MAX_CONDITIONS = 16  # more are hardly repeated
MIN_TRIALS = 4  # of a condition, two a half
NUM_HALVINGS = 20


def psth_reliability(session: Session, *, seed: int) -> dict[str, Any]:
    """The block of evaluation.json: JSON-ready, over all trials of the recording.

    Returns:
        {"psth_reliability": mean over units with a train rate of RATE_FLOOR_HZ or more, in (-inf,
        1], or None with "psth_reliability_reason"; "psth_reliability_condition";
        "psth_reliability_num_units"; .._num_trials}.
    """
    found = condition_codes(session)
    if found is None:
        listed = ", ".join(CONDITIONS)
        reason = (
            f"no condition column with 2 to {MAX_CONDITIONS} repeated values (looked for {listed})"
        )
        return {"psth_reliability": None, "psth_reliability_reason": reason}
    name, codes = found
    fast = session.mean_counts() >= RATE_FLOOR_HZ * session.bin_size_s
    if not fast.any():
        reason = f"no unit has a train rate of {RATE_FLOOR_HZ:g} Hz or more"
        return {"psth_reliability": None, "psth_reliability_reason": reason}
    trials = np.flatnonzero(codes >= 0)
    counts, valid = session.gather_trials(trials)
    if session.validity is not None:
        valid = session.entry_valid(trials)[:, :, fast]
    values = split_half_reliability(counts[:, :, fast], valid, codes[trials], seed=seed)
    known = values[np.isfinite(values)]
    if not len(known):
        return {
            "psth_reliability": None,
            "psth_reliability_reason": "every PSTH is constant in one of the halves",
        }
    return {
        "psth_reliability": float(known.mean()),
        "psth_reliability_condition": name,
        "psth_reliability_num_units": len(known),
        "psth_reliability_num_trials": len(trials),
    }


def condition_codes(session: Session) -> tuple[str, np.ndarray] | None:
    """The first column of CONDITIONS with repeated values: (name, int64 [trials], -1 = value too
    rare or missing)."""
    for name in CONDITIONS:
        if name not in session.conditions:
            continue
        column = np.asarray(session.conditions[name])
        known = np.isfinite(column) if column.dtype.kind == "f" else np.ones(len(column), bool)
        values, code, times = np.unique(column[known], return_inverse=True, return_counts=True)
        rank = np.where(times >= MIN_TRIALS, np.cumsum(times >= MIN_TRIALS) - 1, -1)
        if 2 <= (rank >= 0).sum() <= MAX_CONDITIONS:
            codes = np.full(len(column), -1)
            codes[known] = rank[code]
            return name, codes
    return None


def split_half_reliability(
    counts: np.ndarray, valid: np.ndarray, codes: np.ndarray, *, seed: int
) -> np.ndarray:
    """Spearman-Brown corrected correlation of the PSTHs of two halves of the trials, float64 [N].

    Args:
        counts: [K, T, N], spikes per bin, zero where padded or not observed.
        valid: bool [K, T], or [K, T, N] where some unit was not observed throughout: its PSTHs are
            then compared in the bins that were observed in both halves.
        codes: int [K], condition of each trial, 0 to C - 1, each with at least two trials.
        seed: of the halvings.

    Returns:
        NaN for a unit whose PSTH is constant in a half of every halving.
    """
    generator = np.random.default_rng(seed)
    num_codes, flat = codes.max() + 1, counts.reshape(len(counts), -1).astype(np.float32)
    total, halvings = np.zeros(counts.shape[2]), np.zeros(counts.shape[2])
    for _ in range(NUM_HALVINGS):
        half = np.zeros((2, num_codes, len(codes)))  # which trials are in a half of a condition
        for code in range(num_codes):
            order = generator.permutation(np.flatnonzero(codes == code))
            half[0, code, order[: len(order) // 2]] = 1
            half[1, code, order[len(order) // 2 :]] = 1
        half = half.reshape(-1, len(codes)).astype(np.float32)  # sums of counts stay exact
        spikes = (half @ flat).reshape(2, -1, counts.shape[2]).astype(np.float64)
        if valid.ndim == 2:
            num_trials = (half @ valid).reshape(2, -1)  # [2, conditions * T]
            cells = (num_trials > 0).all(0)
            psth = spikes[:, cells] / num_trials[:, cells, None]
            psth -= psth.mean(1, keepdims=True)
        else:
            psth = _centred_psths(
                spikes, (half @ valid.reshape(len(valid), -1)).reshape(spikes.shape)
            )
        variance = (psth**2).sum(1)  # [2, N]
        usable = (variance > 1e-12).all(0)
        scale = np.sqrt(np.where(usable, variance, 1.0).prod(0))
        total += np.where(usable, (psth[0] * psth[1]).sum(0) / scale, 0.0)
        halvings += usable
    r = np.where(halvings > 0, total / np.maximum(halvings, 1), np.nan)
    return 2 * r / (1 + r)


def _centred_psths(spikes: np.ndarray, num_trials: np.ndarray) -> np.ndarray:
    """PSTHs of both halves less their means, [2, conditions * T, N], zero in the cells that a unit
    was not observed in by both."""
    cells = (num_trials > 0).all(0)
    psth = np.where(cells, spikes / np.maximum(num_trials, 1), 0.0)
    mean = psth.sum(1, keepdims=True) / np.maximum(cells.sum(0), 1)
    return np.where(cells, psth - mean, 0.0)
