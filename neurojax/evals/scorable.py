"""Which sessions of a dataset can be scored: the others are counted aloud, and none left is an
error."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.data import belongs
from neurojax.data.batching import units_digest
from neurojax.data.checks import usable as usability
from neurojax.data.region_names import region_key
from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Session, names_a_region
from neurojax.data.store import roster, trained_trials
from neurojax.data.store.dataset import Dataset, subset
from neurojax.errors import require
from neurojax.evals import leaks, protocols


def scorable(
    dataset: Dataset,
    protocol: protocols.Protocol,
    *,
    with_baselines: bool,
    log: Callable[[str], Any] = print,
) -> Dataset:
    """The sessions that a protocol can score; the others are counted with their reasons.

    Raises:
        InputError: none is left.
    """
    reasons = {
        session.session_id: protocols.reason_against(
            session, protocol, with_baselines=with_baselines
        )
        for session in dataset.sessions
    }
    return keep_sound(dataset, {name: reason for name, reason in reasons.items() if reason}, log)


def keep_sound(
    dataset: Dataset, faults: Mapping[str, str], log: Callable[[str], Any] = print
) -> Dataset:
    """A dataset without the sessions in `faults` (session id -> what follows `session ID`), which
    are counted aloud.

    Raises:
        InputError: no session is left.
    """
    if not faults:
        return dataset
    first, more = next(iter(faults)), len(faults) - 1
    others = f" (and {more} more session{'s' * (more > 1)})" if more else ""
    require(len(faults) < len(dataset.sessions), f"session {first} {faults[first]}{others}")
    named: dict[str, list[str]] = {}
    for name, reason in faults.items():
        named.setdefault(reason, []).append(name)
    for reason, names in named.items():
        listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        log(f"left out {len(names)} of {len(dataset.sessions)} sessions: {listed} {reason}")
    return subset(dataset, {s.session_id for s in dataset.sessions} - set(faults))


def known_to_run(
    folder: Path, dataset: Dataset, protocol: protocols.Protocol, log: Callable[[str], Any] = print
) -> Dataset:
    """The sessions a run has rows for, of the same units by name and by their spikes, with regions
    it was trained on where the protocol asks for regions; says of which it is not known.

    A run without `sessions.json` is left to the checkpoint, which refuses what it does not know.

    Raises:
        InputError: none is left.
    """
    path = folder / roster.ROSTER_NAME
    if not path.is_file():
        return dataset
    entries = {entry["session_id"]: entry for entry in roster.read(path)}
    trained = {region_key(label) for entry in entries.values() for label in entry["region"]}
    by_region = any(task.hides.by_region for task in protocol.tasks.values())
    kept, faults = trained_trials.read(folder), {}
    for session in dataset.sessions:
        labels = {str(label) for label in session.region if names_a_region(label)}
        strange = sorted(label for label in labels if region_key(label) not in trained)
        strange = strange if by_region else []
        if session.session_id not in entries:
            faults[session.session_id] = (
                f"is not among the {len(entries)} sessions the run was trained on; evaluate "
                "those, or fine-tune on it "
                "first"
            )
        elif entries[session.session_id]["units_sha256"] != units_digest(session):
            faults[session.session_id] = (
                "has other units than the one of that name in the run; convert it as it was, or "
                "fine-tune on it under "
                "another name"
            )
        elif fault := _fault_of_units(session, entries, kept, dataset, log):
            faults[session.session_id] = fault
        elif strange:
            faults[session.session_id] = (
                "has regions absent from training "
                f"({', '.join(strange[:4])}{', ...' if len(strange) > 4 else ''}); "
                "convert it with the labels of the run, or leave the region tasks out"
            )
    return keep_sound(dataset, faults, log)


def _fault_of_units(session: Session, entries, kept, dataset: Dataset, log) -> str:
    """Why the units are others than those trained on; says where that is not known."""
    name = session.session_id
    found = belongs.units_of_run(session, entries[name], kept, dataset.digests.get(name))
    if line := found.line(name):
        log(line)
    return found.fault


def known_units(folder: Path, dataset: Dataset, log: Callable[[str], Any] = print) -> Dataset:
    """The sessions whose units are, by their spikes, those a run has rows for; says of which it is
    not known. Sessions that the run has no rows for are left to its checkpoint, which refuses them.

    Raises:
        InputError: none is left.
    """
    path = folder / roster.ROSTER_NAME
    if not path.is_file():
        return dataset
    entries, kept = {e["session_id"]: e for e in roster.read(path)}, trained_trials.read(folder)
    faults = {
        s.session_id: fault
        for s in dataset.sessions
        if s.observation == "counts"
        and s.session_id in entries
        and (fault := _fault_of_units(s, entries, kept, dataset, log))
    }
    return keep_sound(dataset, faults, log)


def usable(dataset: Dataset, log: Callable[[str], Any] = print) -> Dataset:
    """The sessions that `neurojax check` calls usable; the others are counted with their reasons.

    Raises:
        InputError: none is left.
    """
    faults = {}
    for name, errors in usability.errors_of(dataset.sessions).items():
        # Whether there is something to test is asked by what tests, in its own words.
        told = [error for error in errors if error.code not in usability.OF_TESTS]
        if told:
            faults[name] = f"cannot be used: {told[0].sentence}; {told[0].remedy}"
    return keep_sound(dataset, faults, log)


def require_scorable(sessions: Sequence[Session], *, needs_validation: bool) -> None:
    """Every session has what training, baselines and scores need.

    Args:
        sessions: of the dataset.
        needs_validation: baselines are tuned on validation trials.

    Raises:
        InputError: a session lacks trials of a split or train spikes, a test trial repeats a train
            trial, trials of different splits share bins or time, or `neurojax check` calls it
            unusable.
    """
    needed = (TRAIN, VALIDATION, TEST) if needs_validation else (TRAIN, TEST)
    for session in sessions:
        for split in needed:
            remedy = "convert it with another --split"
            if split == VALIDATION:
                remedy += ", or evaluate without baselines: --config.eval.baselines="
            require(
                len(session.trials_of(split)),
                f"session {session.session_id} has no {SPLIT_NAMES[split]} trial; {remedy}",
            )
        leaks.require_no_overlap(session)
    if any(usability.errors_of(sessions).values()):
        for session in sessions:
            require(
                session.mean_counts(TRAIN).any(),
                f"session {session.session_id} has no spike in its train trials; leave it out",
            )
        leaks.require_no_copies(sessions)  # names the trials
        usability.require_usable(sessions)
