"""Is a dataset fit to train and to evaluate on? A pure function that gives a JSON-ready report."""

import collections
import dataclasses
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.data.checks.check_behaviour import behaviour_findings
from neurojax.data.checks.check_observed import (
    observed_facts,
    observed_findings,
    spikes_due,
)
from neurojax.data.checks.check_rules import TELLING_SPIKES, split_findings, value_findings
from neurojax.data.checks.check_signals import signal_facts, signal_findings, split_over_sessions
from neurojax.data.checks.drift import drift
from neurojax.data.checks.findings import LEVELS, Finding, recorded_findings
from neurojax.data.checks.same_units import Outline, pairs_alike, repeated_units
from neurojax.data.checks.sums import spikes_of_trials
from neurojax.data.region_names import one_spelling
from neurojax.data.row_blocks import let_go
from neurojax.data.session import SPLIT_NAMES, TRAIN, Session, names_a_region
from neurojax.data.splits import later_trials_within
from neurojax.data.store.checksums import array_record
from neurojax.data.store.dataset import Dataset

_DUE_SPIKES = 50  # in a stretch at the session's mean rate, for its silence to be a gap
_SHORTEST_GAP_S = 0.5
_TRIALS_HELD = 1000  # of a memory map, before its pages are given back


def check_dataset(dataset: Dataset) -> dict[str, Any]:
    """Looks for what would make scores wrong or impossible.

    Returns:
        {"schema", "fingerprint", "observation", "bin_size_s", "num_sessions", "num_units" (channels
        of real values), "num_trials", "usable",
        "sessions": {id: facts}}; the facts of a session hold "findings", a list of {"level",
        "code", "sentence", "remedy"}, and the sentences of two levels again as "errors" (it is
        unusable) and "warnings". No value is NaN: what cannot be computed is None.
    """
    surveys = surveys_of(dataset.sessions)
    _compare_spellings(dataset.sessions, surveys)
    sessions = {
        session.session_id: survey.report()
        for session, survey in zip(dataset.sessions, surveys, strict=True)
    }
    return {
        "schema": 2,
        "fingerprint": dataset.fingerprint,
        "observation": dataset.observation,
        "bin_size_s": dataset.bin_size_s,
        "num_sessions": len(sessions),
        "num_units": sum(facts["num_units"] for facts in sessions.values()),
        "num_trials": sum(facts["num_trials"] for facts in sessions.values()),
        "usable": not any(facts["errors"] for facts in sessions.values()),
        "sessions": sessions,
    }


def session_findings(session: Session) -> list[Finding]:
    """What `check_dataset` finds in one session alone, errors first."""
    return survey_of(session).ranked()


def compare_datasets(datasets: Mapping[str, Dataset]) -> list[Finding]:
    """Warnings about recordings that are in more than one dataset, also under other names and
    bins."""
    remedy = "never train on one and score on the other"
    held = [
        (root, f"{root}/{session.session_id}", session)
        for root, dataset in datasets.items()
        for session in dataset.sessions
    ]
    outlines = {name: Outline.of(s) for _, name, s in held if s.observation == "counts"}
    digests = {n: array_record(s.values)["sha256"] for _, n, s in held if n not in outlines}
    found = []
    for (root, name, _), (other_root, other, _) in itertools.combinations(held, 2):
        both = f"{name} and {other} hold the same"
        if root == other_root or (name in outlines) != (other in outlines):
            continue
        if name in digests and digests[name] == digests[other]:
            found.append(Finding("warning", "same_samples_in_two_roots", f"{both} samples", remedy))
        number = repeated_units(outlines[name], outlines[other]) if name in outlines else 0
        if number:
            told = f"{both} {number} units"
            found.append(Finding("warning", "same_units_in_two_roots", told, remedy))
    return found


def unit_rates_hz(session: Session) -> np.ndarray:
    """Mean rate of each unit over all trials, float64 [N], Hz of the time it was observed in."""
    spikes = sum(trial_spikes(session, trial) for trial in range(session.num_trials))
    if session.validity is None:
        return spikes / (session.trial_num_bins.sum() * session.bin_size_s)
    return spikes / (np.maximum(observed_bins(session).sum(0), 1) * session.bin_size_s)


@dataclasses.dataclass
class _Survey:
    """One pass over a session.

    Attributes:
        facts: numbers about the session, JSON-ready.
        digests: trial -> (digest, evidence) of each trial that is not silent.
        outline: for the comparison with other sessions of counts; None of real values.
        findings: what there is to say.
    """

    facts: dict[str, Any]
    digests: dict[int, tuple[bytes, int]]
    outline: Outline | None
    findings: list[Finding]

    def report(self) -> dict[str, Any]:
        ranked = self.ranked()
        levels = {
            f"{level}s": [f.sentence for f in ranked if f.level == level]
            for level in ("error", "warning")
        }
        return {**self.facts, "findings": [finding.as_json() for finding in ranked], **levels}

    def ranked(self) -> list[Finding]:
        return sorted(self.findings, key=lambda finding: LEVELS.index(finding.level))


def surveys_of(sessions: Sequence[Session], errors_only: bool = False) -> list[_Survey]:
    """`survey_of` each of some sessions of one kind, and what is wrong between them."""
    surveys = [survey_of(session, errors_only) for session in sessions]
    compare_sessions(sessions, surveys)
    if sessions[0].observation == "real":
        splits = [survey.facts["trials_per_split"] for survey in surveys]
        surveys[0].findings.extend(split_over_sessions(splits))
    return surveys


def survey_of(session: Session, errors_only: bool = False) -> _Survey:
    """One session; with `errors_only` without what only warns, which takes most of the time."""
    if session.observation == "counts":
        return _survey_of_counts(session, errors_only)
    return _survey_of_real(session)


def _survey_of_real(session: Session) -> _Survey:
    digests = {}
    for trial in range(session.num_trials):
        if number := trial_evidence(session, trial):
            digests[trial] = trial_digest(session, trial), number
        if trial % _TRIALS_HELD == 0:
            let_go(session.values)  # a recording may be larger than memory
    facts = {**_shared_facts(session, digests), **signal_facts(session)}
    findings = [*signal_findings(facts, session), *recorded_findings(session.info)]
    findings += observed_findings(facts["observed"], session)
    return _Survey(facts, digests, None, findings)


def _shared_facts(session: Session, digests: dict[int, tuple[bytes, int]]) -> dict[str, Any]:
    """Facts about the trials and columns of either kind of recording."""
    num_bins = session.trial_num_bins
    times = session.trial_start_s, num_bins, session.bin_size_s
    per_split = np.bincount(session.split, minlength=len(SPLIT_NAMES))
    labels = collections.Counter(
        label for label in session.region.tolist() if names_a_region(label)
    )
    return {
        "num_trials": session.num_trials,
        "num_units": session.num_units,
        "num_bins": int(num_bins.sum()),
        "regions": dict(sorted(labels.items())),
        "units_without_region": session.num_units - sum(labels.values()),
        "trial_bins": {
            "min": int(num_bins.min()),
            "median": float(np.median(num_bins)),
            "max": int(num_bins.max()),
        },
        "trials_per_split": dict(zip(SPLIT_NAMES, per_split.tolist(), strict=True)),
        "duplicate_trials": _duplicates(session, digests),
        "overlapping_trials": int(later_trials_within(*times).sum()),
        "overlapping_trials_across_splits": int(later_trials_within(*times, session.split).sum()),
        "observed": observed_facts(session),
        "non_finite_behaviour": {
            name: int((~np.isfinite(values).all(axis=1)).sum())
            for name, values in session.behaviour.items()
        },
    }


def _survey_of_counts(session: Session, errors_only: bool = False) -> _Survey:
    per_trial = spikes_of_trials(session)
    totals = enumerate(per_trial.sum(1).tolist())
    # silent trials are equal without being copies
    digests = {t: (trial_digest(session, t), total) for t, total in totals if total}
    spikes = np.stack(
        [per_trial[session.split == split].sum(0) for split in range(len(SPLIT_NAMES))]
    )
    outline = Outline.of(session)
    facts = _shared_facts(session, digests)
    if errors_only:
        findings = split_findings(facts, spikes, None, session)
        findings += behaviour_findings(session, errors_only=True)
        return _Survey(facts, digests, outline, findings)
    share = 1.0 if facts["observed"] is None else facts["observed"]["share"]
    change = drift(per_trial, observed_bins(session), session.trial_start_s, session.split)
    facts |= {
        "observation": "counts",
        "num_spikes": int(spikes.sum()),
        "mean_rate_hz": float(
            spikes.sum()
            / (session.trial_num_bins.sum() * session.bin_size_s * session.num_units * share)
        ),
        "max_count": max(
            int(session.counts[row : row + 65536].max())
            for row in range(0, len(session.counts), 65536)
        ),
        "silent_units": int((spikes.sum(0) == 0).sum()),
        "silent_units_train": int((spikes[TRAIN] == 0).sum()),
        "silent_stretches": _silent_stretches(session, outline, spikes.sum(0)),
        "drift": None if change is None else dataclasses.asdict(change),
    }
    findings = [*split_findings(facts, spikes, change, session), *value_findings(facts, session)]
    findings += observed_findings(facts["observed"], session) + recorded_findings(session.info)
    return _Survey(facts, digests, outline, findings)


def compare_sessions(sessions: Sequence[Session], surveys: Sequence[_Survey]) -> None:
    """Adds an error to each session that repeats an earlier one: scores would count its units
    twice."""
    seen: dict[bytes, str] = {}
    outlines = [survey.outline for survey in surveys]
    alike = pairs_alike(outlines) if None not in outlines else set()
    for index, (session, survey) in enumerate(zip(sessions, surveys, strict=True)):
        telling = {
            digest for digest, evidence in survey.digests.values() if evidence >= TELLING_SPIKES
        }
        repeated = collections.Counter(seen[digest] for digest in telling if digest in seen)
        told = [
            (f"trials that repeat one of session {other}: {number}", "leave one of the two out")
            for other, number in sorted(repeated.items())
        ]
        for earlier in (surveys[other] for other in range(index) if (other, index) in alike):
            name = earlier.outline.session.session_id
            if name not in repeated and (number := repeated_units(earlier.outline, survey.outline)):
                sentence = f"units that are those of session {name}, binned or cut in another way: "
                remedy = "the two are one recording: leave one of them out"
                told.append((f"{sentence}{number}", remedy))
        survey.findings += [Finding("error", "repeats_a_session", *words) for words in told]
        seen = dict.fromkeys(telling, session.session_id) | seen


def _compare_spellings(sessions: tuple[Session, ...], surveys: list[_Survey]) -> None:
    """Adds a note to sessions whose regions other sessions spell in another way."""
    _, mapping = one_spelling(np.concatenate([session.region for session in sessions]))
    for session, survey in zip(sessions, surveys, strict=True):
        own = sorted(set(session.region.tolist()) & mapping.keys())
        if own:
            pairs = ", ".join(f"{label!r} is {mapping[label]!r}" for label in own[:5])
            sentence = f"regions that other sessions spell in another way: {len(own)} ({pairs})"
            remedy = "nothing to do: they are one region in training and scores"
            survey.findings.append(Finding("note", "region_spellings", sentence, remedy))


def _duplicates(session: Session, digests: dict[int, tuple[bytes, int]]) -> dict[str, int]:
    """Trials that equal an earlier one, by where that one is; trials of few spikes may be equal by
    chance."""
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


def _silent_stretches(session: Session, outline: Outline, totals: np.ndarray) -> dict[str, float]:
    """Times within trials in which all units are silent although many spikes were due: gaps of the
    recording. `totals` are the spikes of each unit, [N]."""
    due = spikes_due(session, totals / np.maximum(observed_bins(session).sum(0), 1))
    before = np.append(0.0, np.cumsum(due))
    number, silent_bins = 0, 0
    for start, length in zip(
        session.trial_start_bin.tolist(), session.trial_num_bins.tolist(), strict=True
    ):
        quiet = np.diff(outline.cumulative[start : start + length + 1]) == 0
        quiet &= due[start : start + length] > 0  # where nobody watched there is no silence
        begin, end = start + np.flatnonzero(np.diff(np.pad(quiet, 1))).reshape(-1, 2).T
        bins = (end - begin)[before[end] - before[begin] >= _DUE_SPIKES]
        bins = bins[bins * session.bin_size_s >= _SHORTEST_GAP_S]
        number, silent_bins = number + len(bins), silent_bins + int(bins.sum())
    return {"number": number, "total_s": silent_bins * session.bin_size_s}


def _trial_rows(session: Session, trial: int) -> np.ndarray:
    start = session.trial_start_bin[trial]
    return session.recorded[start : start + session.trial_num_bins[trial]]  # [bins, N]


def trial_spikes(session: Session, trial: int) -> np.ndarray:
    """Spikes of each unit in a trial, int64 [N]; counts where it was not observed are none."""
    rows = _trial_rows(session, trial)
    if session.validity is not None:
        rows = np.where(session.entry_valid(np.array([trial]))[0], rows, 0)
    return rows.sum(0, dtype=np.int64)


def observed_bins(session: Session) -> np.ndarray:
    """Bins of each trial, int64 [trials]; where not all was observed, those of each unit in it,
    int64 [trials, N]."""
    if session.validity is None:
        return session.trial_num_bins
    # A few trials at a time: the entries of all would be a second copy of the recording.
    parts = np.array_split(np.arange(session.num_trials), -(-session.num_trials // 64))
    return np.concatenate([session.entry_valid(part).sum(1) for part in parts])


def trial_evidence(session: Session, trial: int) -> int:
    """How much there is in a trial to tell it from another: its spikes, or changes of its
    values."""
    if session.observation == "counts":
        return int(trial_spikes(session, trial).sum())
    rows = _trial_rows(session, trial)
    return int(np.count_nonzero(rows[1:] != rows[:-1]))


def trial_digest(session: Session, trial: int) -> bytes:
    """Digest of a trial's counts or values and its shape, alike for every dtype of a kind."""
    dtype = "<u2" if session.observation == "counts" else "<f4"
    rows = np.ascontiguousarray(_trial_rows(session, trial), dtype=dtype)
    return hashlib.blake2b(
        rows.tobytes(), digest_size=16, salt=rows.shape[1].to_bytes(8, "little")
    ).digest()
