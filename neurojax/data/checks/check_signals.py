"""What there is to know and to warn of in a recording of real values (EMG, EEG, fMRI)."""

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np

from neurojax.data.checks.check_behaviour import behaviour_findings
from neurojax.data.checks.check_rules import (
    consent_findings,
    copy_findings,
    findings_of,
)
from neurojax.data.checks.findings import Finding
from neurojax.data.observed import entries_of
from neurojax.data.row_blocks import row_blocks
from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Session

_MAX_CLIPPED = 0.01  # share of the samples at either end of the range
_MAX_CONDITION_VALUES = 50  # of a condition whose values are counted
_CHUNK_ROWS = 2**16
_SPLIT_AGAIN = "convert with --split=random, or give more people"


def signal_facts(session: Session) -> dict[str, Any]:
    """Numbers about the values of a session, JSON-ready; None where they are not finite.

    Returns:
        observation, unit, sampling_hz; channel_mean and channel_sd, lists [C] in the unit of the
        values; constant_channels; clipped_share, of samples at the smallest or the largest value
        of their recording; condition_counts, name -> value -> trials.
    """
    mean, sd = channel_moments(session)
    finite = bool(np.isfinite(mean).all() and np.isfinite(sd).all())
    return {
        "observation": "real",
        "unit": session.unit_of_values,
        "sampling_hz": session.sampling_hz,
        "num_bins": len(session.values),
        "channel_mean": mean.tolist() if finite else None,
        "channel_sd": sd.tolist() if finite else None,
        "constant_channels": int((sd == 0).sum()),
        "clipped_share": _clipped_share(session.values) if finite else None,
        "condition_counts": _condition_counts(session),
        "drift": None,
    }


def channel_moments(session: Session) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel over its observed samples, float64 [C] twice.

    The values are read in pieces, so a memory map stays on disk.
    """
    values = session.values
    seen = entries_of(session.validity, *values.shape)
    if seen is not None:
        return _moments_of_observed(values, seen)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = sum(piece.sum(0, dtype=np.float64) for _, piece in row_blocks(values, _CHUNK_ROWS))
        mean = mean / len(values)
        # Around the mean in a second pass: the difference of two large sums would lose the digits.
        squares = sum(((piece - mean) ** 2).sum(0) for _, piece in row_blocks(values, _CHUNK_ROWS))
    return mean, np.sqrt(squares / len(values))


def _moments_of_observed(values: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pieces = [slice(i, i + _CHUNK_ROWS) for i in range(0, len(values), _CHUNK_ROWS)]
    number = np.maximum(seen.sum(0), 1)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = (
            sum(np.where(seen[i], values[i], 0).sum(0, dtype=np.float64) for i in pieces) / number
        )
        squares = sum((np.where(seen[i], values[i] - mean, 0) ** 2).sum(0) for i in pieces)
    return mean, np.sqrt(squares / number)


def signal_findings(facts: dict[str, Any], session: Session) -> list[Finding]:
    """About the splits, windows and channels of one session of real values."""
    trials = facts["trials_per_split"]
    # A session of one split is a person of one split: see `split_over_sessions`.
    divided = sum(trials[name] > 0 for name in SPLIT_NAMES) > 1
    across, constant = facts["overlapping_trials_across_splits"], facts["constant_channels"]
    clipped = facts["clipped_share"] or 0
    return [
        *findings_of(
            [
                (
                    facts["channel_mean"] is None,
                    "error",
                    "values_not_finite",
                    "values hold NaN or infinity",
                    "leave these samples out, or fill them",
                ),
                *(
                    (
                        divided and not trials[name],
                        "error",
                        f"no_{name}_trial",
                        f"no {name} trial",
                        _SPLIT_AGAIN,
                    )
                    for name in (SPLIT_NAMES[TRAIN], SPLIT_NAMES[TEST])
                ),
            ]
        ),
        *copy_findings(facts),
        *findings_of(
            [
                (
                    across,
                    "error",
                    "trials_share_time_across_splits",
                    f"pairs of windows of different splits that share time: {across}",
                    "split whole segments or whole people",
                ),
                (
                    facts["overlapping_trials"] and not across,
                    "note",
                    "windows_share_samples",
                    "neighbouring windows share samples",
                    "nothing to do: scores are of people, never of windows as if they were "
                    "independent",
                ),
            ]
        ),
        *consent_findings(session),
        *findings_of(
            [
                (
                    constant,
                    "warning",
                    "constant_channels",
                    f"{constant} of {session.num_units} channels never change",
                    "check the electrodes, or leave them out",
                ),
                (
                    clipped > _MAX_CLIPPED,
                    "warning",
                    "clipped",
                    f"{100 * clipped:.1f} % of the samples lie at the ends of the range",
                    "nothing to do, or lower the gain next time",
                ),
            ]
        ),
        *behaviour_findings(session),
    ]


def split_over_sessions(trials_per_split: Sequence[dict[str, int]]) -> list[Finding]:
    """About a dataset whose sessions are people of one split each: is there one of each split?

    Args:
        trials_per_split: split name -> trials, of every session.
    """
    levels = ((TRAIN, "error"), (TEST, "error"), (VALIDATION, "warning"))
    return findings_of(
        (
            not any(trials[name] for trials in trials_per_split),
            level,
            f"no_{name}_session",
            f"no session of the dataset has a {name} trial",
            _SPLIT_AGAIN,
        )
        for name, level in ((SPLIT_NAMES[code], level) for code, level in levels)
    )


def _clipped_share(values: np.ndarray) -> float:
    low = min(piece.min() for _, piece in row_blocks(values))
    high, number = max(piece.max() for _, piece in row_blocks(values)), 0
    for _, piece in row_blocks(values):
        number += int(((piece == low) | (piece == high)).sum())
    return number / values.size


def _condition_counts(session: Session) -> dict[str, dict[str, int]]:
    """Trials of each value of the conditions that are text or whole numbers and have few values."""
    found = {}
    for name, column in session.conditions.items():
        if column.dtype.kind in "biuU":
            counts = collections.Counter(map(str, column.tolist()))
            if len(counts) <= _MAX_CONDITION_VALUES:
                found[name] = dict(sorted(counts.items()))
    return found
