"""A session of some trials of another, end to end: who asks of a few need not read all."""

import dataclasses

import numpy as np

from neurojax.data.observed import intervals_of
from neurojax.data.session import Session


def trials_alone(session: Session, trials: np.ndarray) -> Session:
    """Some trials end to end, in the order given, with their times and what was observed.

    Args:
        session: of counts, or a view whose `counts` can be read.
        trials: int [K].

    Returns:
        a session of K trials whose counts may be replaced by others of the same shape. Conditions
        and behaviour are those of the whole session and belong to no trial of it.
    """
    lengths = session.trial_num_bins[trials]
    starts = np.cumsum(lengths) - lengths
    pairs = zip(session.trial_start_bin[trials], lengths, strict=True)
    counts = np.concatenate([session.counts[start : start + length] for start, length in pairs])
    seen = None
    if session.validity is not None:
        entries = (session.entry_valid(np.array([trial]))[0] for trial in trials)
        seen = np.concatenate(list(entries))
    return dataclasses.replace(
        session,
        counts=counts,
        trial_start_bin=starts,
        trial_num_bins=lengths,
        trial_start_s=session.trial_start_s[trials],
        split=session.split[trials],
        validity=intervals_of(seen),
    )
