"""What would make every score a lie, looked for in every evaluation.

influence   the counts an entry is scored on move its own prediction, by as little as a bit
trained     a test trial is one the run was trained on, whatever the split says now, or shares time
            with one in the same recording, however that is named, cut and binned now
copies      a test trial repeats a train trial, of its own session or of another
overlap     trials of different splits share bins of the recording
normalised  what is known of a unit beforehand (its mean rate, whether it is scored) moves with
            test counts
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.data.observed import entries_of
from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, Session
from neurojax.data.store import trained_trials
from neurojax.data.store.session_format import Digests, digests_of
from neurojax.data.store.trained_trials import Trained, telling_digests
from neurojax.errors import InputError, require
from neurojax.evals import activity, passes, protocols

CASES = 3  # of each task and session; they share a forward pass


class LeakError(RuntimeError):
    """The counts an entry is scored on move its own prediction: a defect of the program."""


def check_evaluation(
    model: passes.Model,
    sessions: Sequence[Session],
    *,
    seed: int,
    trials_per_pass: int | None = None,
    protocol: protocols.Protocol = protocols.MTM,
    trained: Trained | None = None,
    digests: Mapping[str, Digests] | None = None,
) -> dict[str, dict[str, Any]]:
    """Runs every check on the sessions of an evaluation.

    Args:
        model: what is evaluated.
        sessions: what it is evaluated on.
        seed: which cases are drawn.
        trials_per_pass: as in the evaluation, whose compiled programs are used.
        protocol: what is hidden.
        trained: what the run was trained on; None where it keeps no list.
        digests: session id -> digests, of those that are known.

    Returns:
        session id -> {"trained": "passed" or "not known ...", "normalised": "passed", "influence":
        "passed", "influence_cases": {task: cases}, "copies": "passed", "copies_cases": test trials
        compared, "overlap": "passed", "overlap_cases": trials}.

    Raises:
        LeakError: a scored entry moved its own prediction, or test counts what is known beforehand.
        InputError: trials that were trained on, copies or overlaps in the data.
    """
    known = {s.session_id: (digests or {}).get(s.session_id) or digests_of(s) for s in sessions}
    require_unseen(sessions, trained, known)
    compared = require_no_copies(sessions)
    found = {}
    for session in sessions:
        require_train_normalisation(session, protocol)
        counts_sha256 = known[session.session_id].counts_sha256
        unknown = trained_trials.why_not_known(session, trained, counts_sha256)
        found[session.session_id] = {
            "trained": f"not known: {unknown}" if unknown else "passed",
            "normalised": "passed",
            "influence": "passed",
            "influence_cases": require_no_influence(
                model, session, seed=seed, trials_per_pass=trials_per_pass, protocol=protocol
            ),
            "copies": "passed",
            "copies_cases": compared[session.session_id],
            "overlap": "passed",
            "overlap_cases": require_no_overlap(session),
        }
    return found


def require_no_copies(sessions: Sequence[Session]) -> dict[str, int]:
    """No test trial repeats a train trial of any session; near-silent ones may by chance.

    Returns:
        session id -> test trials with enough spikes to tell.

    Raises:
        InputError: a test trial's counts are those of a train trial.
    """
    # Of every session: a copy in another recording tells as much as one in its own.
    known = {
        digest: (session.session_id, trial)
        for session in sessions
        for digest, trial in telling_digests(session, TRAIN).items()
    }
    compared = {}
    for session in sessions:
        tested = telling_digests(session, TEST)
        for digest, trial in tested.items():
            if digest in known:
                other, seen = known[digest]
                raise InputError(
                    f"test trial {trial} of session {session.session_id} repeats train trial "
                    f"{seen} of session "
                    f"{other}, so it was seen in training; convert the recording again without "
                    "the copies"
                )
        compared[session.session_id] = len(tested)
    return compared


def require_unseen(
    sessions: Sequence[Session],
    trained: Trained | None,
    digests: Mapping[str, Digests] | None = None,
) -> None:
    """No test trial is one of those a run was trained on, nor shares time with one.

    Args:
        sessions: to be tested.
        trained: None where it is not known, and nothing is asked.
        digests: session id -> digests, of those that are known.

    Raises:
        InputError: one is.
    """
    for session in sessions:
        known = (digests or {}).get(session.session_id)
        found = trained_trials.among(session, trained, known.counts_sha256 if known else None)
        seen = np.intersect1d(found, session.trials_of(TEST)).tolist()
        if seen:
            listed = ", ".join(map(str, seen[:5])) + (
                f" and {len(seen) - 5} more" if len(seen) > 5 else ""
            )
            raise InputError(
                f"the run was trained on {len(seen)} test trial{'s' * (len(seen) > 1)} of session "
                f"{session.session_id} ({listed}), or on some of their time, so their scores "
                "would mean nothing; evaluate it on the split it was trained with, or train it "
                "again with this one"
            )


def require_train_normalisation(
    session: Session, protocol: protocols.Protocol = protocols.MTM
) -> None:
    """Each unit's mean rate and whether it is scored come from the train split alone.

    Raises:
        LeakError: they moved when counts of other splits changed.
    """
    counts = np.array(session.counts)
    rows = np.ones(len(counts), bool)
    for trial in session.trials_of(TRAIN):
        rows[
            session.trial_start_bin[trial] : session.trial_start_bin[trial]
            + session.trial_num_bins[trial]
        ] = False
    # Every count outside train changes, zeros too: whatever reads one of them will move.
    counts[rows] = np.where(counts[rows] == 0, 3, 0)
    # An entry that was not observed keeps its zero: nothing is known there, and nothing reads it.
    if session.validity is not None:
        seen = entries_of(session.validity, *counts.shape)
        counts = np.where(seen, counts, session.counts)
    changed = dataclasses.replace(session, counts=counts)
    same = np.array_equal(session.mean_counts(), changed.mean_counts()) and np.array_equal(
        protocols.scored_units(session, protocol), protocols.scored_units(changed, protocol)
    )
    if not same:
        raise LeakError(
            f"session {session.session_id}: train means or the scored units moved when counts "
            "outside the train split "
            "changed; report this as a defect"
        )


def require_no_overlap(session: Session) -> int:
    """Trials of different splits share no bin of the recording; returns the number of trials.

    Raises:
        InputError: two trials of different splits share bins.
    """
    owner = np.full(len(session.counts), -1, np.int64)  # trial that came last over each bin
    for split in range(len(SPLIT_NAMES)):
        for trial in session.trials_of(split):
            rows = slice(
                session.trial_start_bin[trial],
                session.trial_start_bin[trial] + session.trial_num_bins[trial],
            )
            before = owner[rows]
            strange = before[(before >= 0) & (session.split[before] != split)]
            if len(strange):
                raise InputError(
                    f"trials {strange[0]} and {trial} of session {session.session_id} share "
                    f"{len(strange)} bins but "
                    f"are of the splits {SPLIT_NAMES[session.split[strange[0]]]} and "
                    f"{SPLIT_NAMES[split]}; split it "
                    "again"
                )
            owner[rows] = trial
    return session.num_trials


@dataclasses.dataclass(frozen=True)
class Case:
    """Entries of one test trial, and what a task hides to predict them.

    Attributes:
        place: of the trial among the trials probed.
        hidden: bool [T, N], entries the prediction must not depend on.
        scored: bool [T, N], entries predicted.
    """

    place: int
    hidden: np.ndarray
    scored: np.ndarray


def require_no_influence(
    model: passes.Model,
    session: Session,
    *,
    seed: int,
    trials_per_pass: int | None = None,
    protocol: protocols.Protocol = protocols.MTM,
) -> dict[str, int]:
    """Other counts in what a task hides must leave the rates it is scored on equal to the last bit.

    The rates come from the code that makes the scored ones, twice, from the same program and the
    same rows.

    Returns:
        task -> number of (trial, unit), (trial, bins) or (trial, region) cases.

    Raises:
        LeakError: a rate moved.
        InputError: a rate is not finite.
    """
    generator = np.random.default_rng([seed, len(session.counts), session.num_units])
    test = session.trials_of(TEST)
    trial_ids = np.sort(generator.permutation(test)[:CASES])
    drawn = draw_cases(session, trial_ids, generator, protocol)
    options = {"protocol": protocol, "trial_ids": trial_ids, "trials_per_pass": trials_per_pass}
    for task, cases in drawn.items():
        only = np.zeros((len(trial_ids), session.num_units), bool)
        for case in cases:
            only[case.place] = case.scored.any(0)
        if not cases:
            continue
        contents = (session, _with_other_counts(session, trial_ids, cases))
        # One program on both: equal inputs give equal bits, so that the smallest leak is seen.
        rates = [_asked(model, content, task, only, options) for content in contents]
        for case in cases:
            # What a read-out starts from is compared whole: every unit or latent in the scored
            # bins.
            entries = case.scored if task in protocol.activity_tasks else case.scored.any(1)
            before, after = (found[case.place][entries] for found in rates)
            wrong = int((~np.isfinite(before)).sum())
            require(
                not wrong,
                f"{task} of session {session.session_id}: {wrong} of {len(before)} rates are not "
                "finite, so training diverged; train again with a lower optimizer.learning_rate",
            )
            if not np.array_equal(before, after):
                raise LeakError(
                    f"{task} of session {session.session_id}, trial {trial_ids[case.place]}: the "
                    "rates of "
                    f"{np.sum(before != after)} of {len(before)} scored entries moved when "
                    "counts that were hidden "
                    "from them changed, so the score sees what it scores; report this as a defect"
                )
    return {task: len(cases) for task, cases in drawn.items()}


def _asked(model, session, task, only, options) -> np.ndarray:
    """Rates [K, T, N]; for a read-out task the rates or latents [K, T, D] it starts from."""
    if task in options["protocol"].activity_tasks:
        return activity.predict_with_spread(model, session, (task,), only=only, **options)[0][task]
    latents = task in options["protocol"].read_out_tasks
    return activity.beside_held_out(model, session, latents=latents, **options)


def draw_cases(
    session: Session,
    trial_ids: np.ndarray,
    generator: np.random.Generator,
    protocol: protocols.Protocol = protocols.MTM,
) -> dict[str, list[Case]]:
    """At most one case of each task in each of the trials.

    A unit left out fires in its trial: one that is silent there may share a pass with others. The
    cases of `intra_region` are of one region, so that they too share a pass. Entries that were not
    observed are no part of a case.
    """
    counts, _ = session.gather_trials(trial_ids)
    observed = session.entry_valid(trial_ids)
    drawn: dict[str, list[Case]] = {}
    for task, asked in protocol.tasks.items():
        questions = protocols.questions(session, task, protocol)
        scored = protocols.scored_entries(session, task, trial_ids, protocol)
        cases: list[Case] = []
        question = None  # that the last case is of
        for place in range(len(trial_ids)):
            units = np.flatnonzero(scored[place].any(0) & counts[place].any(0))
            if asked.hides.within_region and cases:
                units = units[question.asked[units]]
            if not len(units):
                continue
            unit = np.arange(session.num_units) == generator.choice(units)
            question = next(one for one in questions if one.asked[unit].any())
            alone = unit & question.visible & (not asked.hides.last_bins)  # left out of those shown
            hidden = np.broadcast_to(~question.visible | alone, scored[place].shape)
            if asked.hides.last_bins:
                bins = protocols.forward_bins(session, trial_ids, protocol)[place]
                hidden = hidden | bins[:, None]
            wanted = alone if alone.any() else question.asked
            if session.validity is not None:
                hidden = hidden & observed[place]
            cases.append(Case(place, hidden, scored[place] & wanted))
        drawn[task] = cases
    return drawn


def _with_other_counts(session: Session, trial_ids: np.ndarray, cases: Sequence[Case]) -> Session:
    """The session with other counts in every hidden entry of the cases' trials."""
    counts = np.array(session.counts)
    for case in cases:
        start, length = (
            session.trial_start_bin[trial_ids[case.place]],
            session.trial_num_bins[trial_ids[case.place]],
        )
        rows, hidden = counts[start : start + length], case.hidden[:length]
        # Always another count, and never zero: a silent unit may share a pass with others.
        rows[hidden] = np.where(rows[hidden] == 1, 3, 1)
    return dataclasses.replace(session, counts=counts)
