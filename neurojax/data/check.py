"""Is a dataset fit to train and to evaluate on? A pure function that gives a JSON-ready report."""

import collections
import dataclasses
import hashlib
from typing import Any

import numpy as np

from neurojax.data.dataset import Dataset
from neurojax.data.splits import later_trials_within
from neurojax.types import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Session, names_a_region

TELLING_SPIKES = 8  # trials with fewer may be equal by chance
MAX_PLAUSIBLE_HZ = 200.0
_MAX_SILENT_FRACTION = 0.5


def check_dataset(dataset: Dataset) -> dict[str, Any]:
    """Looks for what would make scores wrong or impossible.

    Returns:
        {"schema", "fingerprint", "bin_size_s", "num_sessions", "num_units", "num_trials", "usable",
        "sessions": {id: facts}}; the facts of a session hold "errors" (it is unusable) and "warnings",
        lists of sentences. No value is NaN: what cannot be computed is None.
    """
    surveys = [_survey(session) for session in dataset.sessions]
    sessions = {session.session_id: survey.facts for session, survey in zip(dataset.sessions, surveys, strict=True)}
    _compare_sessions(dataset.sessions, surveys)
    return {
        "schema": 1,
        "fingerprint": dataset.fingerprint,
        "bin_size_s": dataset.bin_size_s,
        "num_sessions": len(sessions),
        "num_units": sum(facts["num_units"] for facts in sessions.values()),
        "num_trials": sum(facts["num_trials"] for facts in sessions.values()),
        "usable": not any(facts["errors"] for facts in sessions.values()),
        "sessions": sessions,
    }


def unit_rates_hz(session: Session) -> np.ndarray:
    """Mean rate of each unit over all trials, float64 [N]."""
    spikes = sum(trial_spikes(session, trial) for trial in range(session.num_trials))
    return spikes / (session.trial_num_bins.sum() * session.bin_size_s)


@dataclasses.dataclass
class _Survey:
    """Facts of one session, and a digest of each trial that has spikes: trial -> (digest, spikes)."""

    facts: dict[str, Any]
    digests: dict[int, tuple[bytes, int]]


def _survey(session: Session) -> _Survey:
    spikes = np.zeros((len(SPLIT_NAMES), session.num_units), np.int64)
    digests = {}
    for trial, split in enumerate(session.split.tolist()):
        in_trial = trial_spikes(session, trial)
        spikes[split] += in_trial
        if total := int(in_trial.sum()):  # silent trials are equal without being copies
            digests[trial] = (trial_digest(session, trial), total)
    num_bins, per_split = session.trial_num_bins, np.bincount(session.split, minlength=len(SPLIT_NAMES))
    labels = collections.Counter(label for label in session.region.tolist() if names_a_region(label))
    facts = {
        "num_trials": session.num_trials,
        "num_units": session.num_units,
        "num_bins": int(num_bins.sum()),
        "num_spikes": int(spikes.sum()),
        "mean_rate_hz": float(spikes.sum() / (num_bins.sum() * session.bin_size_s) / session.num_units),
        "silent_units": int((spikes.sum(0) == 0).sum()),
        "silent_units_train": int((spikes[TRAIN] == 0).sum()),
        "regions": dict(sorted(labels.items())),
        "units_without_region": session.num_units - sum(labels.values()),
        "trial_bins": {
            "min": int(num_bins.min()),
            "median": float(np.median(num_bins)),
            "max": int(num_bins.max()),
        },
        "trials_per_split": dict(zip(SPLIT_NAMES, per_split.tolist(), strict=True)),
        "duplicate_trials": _duplicates(session, digests),
        "overlapping_trials_across_splits": _overlaps(session),
        "non_finite_behaviour": _non_finite(session),
        "errors": [],
        "warnings": [],
    }
    _judge(facts, spikes, session)
    return _Survey(facts, digests)


def _judge(facts: dict[str, Any], spikes: np.ndarray, session: Session) -> None:
    """Fills errors and warnings of one session."""
    errors, warnings = facts["errors"], facts["warnings"]
    for code in (TRAIN, TEST):
        if facts["trials_per_split"][SPLIT_NAMES[code]] == 0:
            errors.append(f"no {SPLIT_NAMES[code]} trial")
    if facts["num_spikes"] == 0:
        errors.append("no spikes")
    elif spikes[TRAIN].sum() == 0:
        errors.append("no spikes in the train trials")
    elif spikes[TEST].sum() == 0:
        errors.append("no spikes in the test trials")
    duplicates = facts["duplicate_trials"]
    if duplicates["across_splits"]:
        errors.append(f"trials that repeat one of another split: {duplicates['across_splits']}")
    if duplicates["within_split"]:
        warnings.append(f"trials that repeat one of their own split: {duplicates['within_split']}")
    if duplicates["by_chance"]:
        warnings.append(f"{duplicates['by_chance']} trials of under {TELLING_SPIKES} spikes equal another one")
    if overlaps := facts["overlapping_trials_across_splits"]:
        errors.append(
            f"pairs of trials of different splits that share time: {overlaps}; convert with --split=blocks:300s or"
            " shorter windows, or correct the trials' starts"
        )
    if session.num_trials > 1 and np.ptp(session.trial_start_s) == 0:
        warnings.append("all trials start at one time: whether they share time is unknown")
    if facts["trials_per_split"][SPLIT_NAMES[VALIDATION]] == 0:
        warnings.append("no validation trial")
    if session.num_units < 2:
        warnings.append("one unit: nothing to predict it from")
    if not facts["regions"]:
        warnings.append("no unit has a region: region tasks are skipped")
    if facts["silent_units"] > _MAX_SILENT_FRACTION * session.num_units:
        warnings.append(f"{facts['silent_units']} of {session.num_units} units are silent")
    if facts["mean_rate_hz"] > MAX_PLAUSIBLE_HZ:
        warnings.append(f"mean rate {facts['mean_rate_hz']:.0f} Hz: check bin_size_s")
    for name, num_bad in facts["non_finite_behaviour"].items():
        if num_bad:
            warnings.append(f"behaviour {name!r} has {num_bad} bins with NaN or infinity")
    for name, values in session.behaviour.items():
        if not np.isfinite(values[session.behaviour_valid[name]]).all():
            errors.append(f"behaviour {name!r} has NaN or infinity in bins marked valid")


def _compare_sessions(sessions: tuple[Session, ...], surveys: list[_Survey]) -> None:
    """Adds an error to each session that repeats trials of an earlier one: scores would count them twice."""
    seen: dict[bytes, str] = {}
    for session, survey in zip(sessions, surveys, strict=True):
        telling = {digest for digest, spikes in survey.digests.values() if spikes >= TELLING_SPIKES}
        repeated = collections.Counter(seen[digest] for digest in telling if digest in seen)
        for other, num_trials in sorted(repeated.items()):
            survey.facts["errors"].append(f"trials that repeat one of session {other}: {num_trials}")
        seen |= {digest: session.session_id for digest in telling if digest not in seen}


def _duplicates(session: Session, digests: dict[int, tuple[bytes, int]]) -> dict[str, int]:
    """Trials that equal an earlier one, by where that one is; trials of few spikes may be equal by chance."""
    groups = collections.defaultdict(list)
    for trial, (digest, spikes) in digests.items():
        groups[digest, spikes >= TELLING_SPIKES].append(int(session.split[trial]))
    found = {"within_split": 0, "across_splits": 0, "by_chance": 0}
    for (_, telling), splits in groups.items():
        across = len(set(splits)) - 1
        if telling:
            found["across_splits"] += across
            found["within_split"] += len(splits) - 1 - across
        else:
            found["by_chance"] += len(splits) - 1
    return found


def _overlaps(session: Session) -> int:
    """Pairs of trials of different splits whose times overlap: a bin counted in both leaks."""
    return int(
        later_trials_within(session.trial_start_s, session.trial_num_bins, session.bin_size_s, session.split).sum()
    )


def _non_finite(session: Session) -> dict[str, int]:
    return {name: int((~np.isfinite(values).all(axis=1)).sum()) for name, values in session.behaviour.items()}


def _trial_rows(session: Session, trial: int) -> np.ndarray:
    start = session.trial_start_bin[trial]
    return session.counts[start : start + session.trial_num_bins[trial]]  # [bins, N]


def trial_spikes(session: Session, trial: int) -> np.ndarray:
    """Spikes of each unit in a trial, int64 [N]."""
    return _trial_rows(session, trial).sum(0, dtype=np.int64)


def trial_digest(session: Session, trial: int) -> bytes:
    """Digest of a trial's counts and shape, alike for uint8 and uint16."""
    rows = np.ascontiguousarray(_trial_rows(session, trial), dtype="<u2")
    return hashlib.blake2b(rows.tobytes(), digest_size=16, salt=rows.shape[1].to_bytes(8, "little")).digest()
