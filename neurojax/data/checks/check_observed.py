"""What of a session was not observed: how much, of which units, and what is left of each split."""

from typing import Any

import numpy as np

from neurojax.data.checks.findings import Finding
from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, Session

_LITTLE = 0.5  # share of the entries; below it most of a session is missing
_LEFT_OUT = "left out of training and scores"


def observed_facts(session: Session) -> dict[str, Any] | None:
    """Numbers about observed time, JSON-ready; None where every unit was observed throughout.

    Returns:
        share, of bins x units of the recording that were observed; units that were not always;
        stretches, different ones in which some units were not; longest_s, of a stretch.
    """
    if session.validity is None:
        return None
    total, gaps = len(session.recorded), _gaps(session)
    lengths = gaps[:, 2] - gaps[:, 1]
    return {
        "share": 1 - float(lengths.sum()) / (total * session.num_units),
        "units": len(np.unique(gaps[:, 0])),
        "stretches": len(np.unique(gaps[:, 1:], axis=0)),
        "longest_s": float(lengths.max(initial=0)) * session.bin_size_s,
    }


def spikes_due(session: Session, rates: np.ndarray) -> np.ndarray:
    """Spikes that the observed units fire in each bin on average, float64 [total_bins].

    Args:
        rates: mean spikes of each unit in an observed bin, float64 [N].
    """
    total = len(session.recorded)
    if session.validity is None:
        return np.full(total, rates.sum())
    steps, own = np.zeros(total + 1), rates[session.validity.unit_index]
    np.add.at(steps, session.validity.start_bin, own)
    np.add.at(steps, session.validity.stop_bin, -own)
    return np.maximum(np.cumsum(steps)[:total], 0)


def observed_findings(facts: dict[str, Any] | None, session: Session) -> list[Finding]:
    """About entries that were not observed; `facts` of `observed_facts`."""
    if facts is None:
        return []
    sentence = (
        f"not observed: {100 * (1 - facts['share']):.1f} % of bins x units ({facts['units']} of "
        f"{session.num_units} units, {facts['stretches']} stretches of up to "
        f"{facts['longest_s']:.1f} s)"
    )
    level = "note" if facts["share"] >= _LITTLE else "warning"
    remedy = f"these entries are {_LEFT_OUT}; meta.json says from when on, under observed_time"
    return [Finding(level, "partly_observed", sentence, remedy), *_unseen_in_splits(session)]


def _unseen_in_splits(session: Session) -> list[Finding]:
    """About units of which a split has no observed bin."""
    if session.observation != "counts":
        return []
    found = []
    for code, lost in ((TRAIN, "learned"), (TEST, "scored")):
        if len(session.trials_of(code)):
            unseen = int((session.totals(code)[1] == 0).sum())
            name = SPLIT_NAMES[code]
            sentence = (
                f"{unseen} of {session.num_units} units were not observed in any {name} trial"
            )
            remedy = f"they cannot be {lost}: split with --split=random, or leave them out"
            found += [Finding("warning", f"unobserved_{name}", sentence, remedy)] * (unseen > 0)
    return found


def _gaps(session: Session) -> np.ndarray:
    """(unit, first bin, bin after the last) of each stretch not observed, int64 [gaps, 3]."""
    unit, start, stop = (np.asarray(column, np.int64) for column in session.validity)
    units, total = np.arange(session.num_units), len(session.recorded)
    # From the end of each interval (or the beginning) to the start of the next (or the end).
    before = np.concatenate([np.zeros(len(units), np.int64), stop])
    after = np.concatenate([start, np.full(len(units), total)])
    owner_before, owner_after = np.concatenate([units, unit]), np.concatenate([unit, units])
    before = before[np.lexsort((before, owner_before))]
    order = np.lexsort((after, owner_after))
    gaps = np.stack([owner_after[order], before, after[order]], axis=1)
    return gaps[gaps[:, 1] < gaps[:, 2]]
