"""Does the split let slow drift leak from train to test trials? What an evaluation says of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.checks.check import observed_bins, trial_spikes
from neurojax.data.checks.drift import REMEDY, drift
from neurojax.data.session import Session
from neurojax.evals import tables


def of_session(session: Session) -> dict[str, Any]:
    """`drift` (gain, z_score, interleaved, see `data.checks.drift.Drift`) and `drift_warning`, None
    where nothing leaks."""
    # [trials, N]
    spikes = np.stack([trial_spikes(session, trial) for trial in range(session.num_trials)])
    found = drift(spikes, observed_bins(session), session.trial_start_s, session.split)
    if found is None:
        return {"drift": None, "drift_reason": "too few trials to say", "drift_warning": None}
    warning = f"{found.sentence}; {REMEDY}" if found.leaks else None
    return {"drift": dataclasses.asdict(found), "drift_warning": warning}


def line(evaluation: Mapping[str, Any]) -> str:
    """One line on all sessions whose split leaks, with the remedy and what drift alone reaches;
    empty without any."""
    sessions = evaluation["sessions"]
    found = [
        session["drift"]
        for session in sessions.values()
        if session.get("drift_warning") and session.get("drift")
    ]
    if not found:
        return ""
    gains, z_scores = (
        [tables.number(one.get(name)) or 0.0 for one in found] for name in ("gain", "z_score")
    )
    return (
        f"drift leaks in {len(found)} of {len(sessions)} sessions: test trials lie among train "
        "trials, and those near "
        f"in time are up to {100 * max(gains):.0f} % closer than distant ones "
        f"({max(z_scores):.0f} standard errors); "
        f"{REMEDY}{_reached(evaluation)}"
    )


def _reached(evaluation: Mapping[str, Any]) -> str:
    """What a predictor that sees no spike of a test trial makes of the neighbouring train
    trials."""
    for task in tables.tasks_of(evaluation):
        means = [
            tables.mean_score(evaluation, name, task).value for name in ("drift", "train_mean")
        ]
        if means[0] is not None:
            beside = "" if means[1] is None else f" (train mean {tables.show(means[1])})"
            return (
                "; the drift baseline, which sees no spike of a test trial, reaches "
                f"{tables.show(means[0])} "
                f"bits/spike on {tables.label(task)}{beside}"
            )
    return ""
