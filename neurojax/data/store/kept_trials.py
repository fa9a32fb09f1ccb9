"""A session without some of its trials: all that belongs to a trial goes with it."""

import numpy as np

from neurojax.data.observed import entries_of, intervals_of
from neurojax.data.session import Session
from neurojax.data.store.session_rules import validate_session


def kept_trials(session: Session, keep: np.ndarray, reason: str) -> Session:
    """The session without the other trials, which lie end to end; `info["trials_dropped"]` says how
    many went.

    Args:
        session: counts, each bin in one trial.
        keep: bool [trials].
        reason: why the others leave.
    """
    rows = np.repeat(keep, session.trial_num_bins)
    num_bins = session.trial_num_bins[keep]
    dropped = dict(session.info.get("trials_dropped") or {})
    dropped[reason] = dropped.get(reason, 0) + int((~keep).sum())
    entries = entries_of(session.validity, len(session.counts), session.num_units)
    rates = session.true_rates
    return validate_session(
        session.with_fields(
            counts=session.counts[rows],
            validity=None if entries is None else intervals_of(entries[rows]),
            true_rates=None if rates is None else rates[rows],
            trial_start_bin=np.cumsum(num_bins) - num_bins,
            trial_num_bins=num_bins,
            trial_start_s=session.trial_start_s[keep],
            split=session.split[keep],
            conditions={name: values[keep] for name, values in session.conditions.items()},
            behaviour={name: values[rows] for name, values in session.behaviour.items()},
            behaviour_valid={name: v[rows] for name, v in session.behaviour_valid.items()},
            info={**session.info, "trials_dropped": dropped},
        )
    )
