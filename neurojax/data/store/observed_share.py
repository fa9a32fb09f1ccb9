"""How much of a session was observed, and since when each part of its units was not: what meta.json
and cards say."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.session import Session

_MOST_PARTS = 5


def observed_record(session: Session) -> dict[str, Any] | None:
    """What meta.json says of observed time, JSON-ready; None where all was observed.

    Returns:
        {"share": of bins x units of trials, "parts": [{"units", "share", "not_from_s"}, ..],
        "units_in_other_parts"}: units that share their observed time are a part; the largest five,
        `share` of their bins, and the first time (session clock) at which they were not observed.
    """
    if session.validity is None:
        return None
    in_trial = _trial_bins_before(session)
    unit, start, stop = session.validity
    first = np.searchsorted(unit, np.arange(session.num_units + 1))
    parts: dict[bytes, list[int]] = {}
    for number in range(session.num_units):
        own = slice(first[number], first[number + 1])
        parts.setdefault(start[own].tobytes() + stop[own].tobytes(), []).append(number)
    total = int(in_trial[-1])
    told, seen_entries = [], 0
    for members in sorted(parts.values(), key=len, reverse=True):
        own = slice(first[members[0]], first[members[0] + 1])
        seen = int((in_trial[stop[own]] - in_trial[start[own]]).sum())
        seen_entries += seen * len(members)
        if seen < total:
            since_s = _first_unobserved_s(session, in_trial, start[own], stop[own])
            told.append({"units": len(members), "share": seen / total, "not_from_s": since_s})
    rest = sum(part["units"] for part in told[_MOST_PARTS:])
    return {
        "share": seen_entries / (total * session.num_units),
        "parts": told[:_MOST_PARTS],
        **({"units_in_other_parts": rest} if rest else {}),
    }


def observed_words(record: Any) -> str | None:
    """The record of meta.json in words; None where all was observed, or it is damaged."""
    if not isinstance(record, Mapping) or not isinstance(record.get("share"), float):
        return None
    words = [f"{100 * record['share']:.1f} % of bins x units"]
    parts = record.get("parts")
    for part in parts if isinstance(parts, list) else ():
        numbers = [part.get(key) for key in ("units", "share", "not_from_s")]
        if all(isinstance(number, int | float) for number in numbers):
            units, share, since_s = numbers
            words.append(f"{units} units not from {since_s:.1f} s ({100 * share:.0f} % of bins)")
    if rest := record.get("units_in_other_parts"):
        words.append(f"{rest} more in other parts")
    return "; ".join(words)


def _trial_bins_before(session: Session) -> np.ndarray:
    """Bins that belong to a trial before each row, int64 [total_bins + 1]."""
    steps = np.zeros(len(session.recorded) + 1, np.int64)
    np.add.at(steps, session.trial_start_bin, 1)
    np.add.at(steps, session.trial_start_bin + session.trial_num_bins, -1)
    return np.concatenate([[0], np.cumsum(np.cumsum(steps)[:-1] > 0)])


def _first_unobserved_s(
    session: Session, in_trial: np.ndarray, start: np.ndarray, stop: np.ndarray
) -> float:
    """When a unit with these intervals was first not observed in a trial, seconds."""
    before = np.append(0, stop)
    after = np.append(start, len(in_trial) - 1)
    gap = int(np.argmax(in_trial[after] > in_trial[before]))
    row = int(np.searchsorted(in_trial, in_trial[before[gap]], side="right")) - 1
    trial = int(np.searchsorted(session.trial_start_bin, row, side="right")) - 1
    within = row - int(session.trial_start_bin[trial])
    return float(session.trial_start_s[trial] + within * session.bin_size_s)
