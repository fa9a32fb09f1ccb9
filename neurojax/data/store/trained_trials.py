"""Which trials a run was trained on: kept with it, for any later evaluation.

    trained_trials.json   {"schema": 2, "all_times_known": true, "digests": [32 hex digits, ...],
        "recordings": [{"session_id", "counts_sha256", "stretch_s": [start, stop, start, ...],
            "above": [hex digits of each unit], "rates_hz": [of each unit],
            "trained_s": [start, stop, ...],
            "watched": [hex digits of each unit], where a unit was not observed throughout}, ...],
        "shown": [32 hex digits, ...] of the pictures, where there were some}

A digest is of a trial's counts (or values) and shape (`check.trial_digest`): a trial with other
bins or units has another one. Trials of few spikes (or changes of a value), which may be equal by
chance, are left out. A recording is known again by `checks.known_recording`, also cut, binned or
named otherwise, so that trained time is found where no trial is equal. Schema 1 had digests alone.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.data import pictures
from neurojax.data.checks import check
from neurojax.data.checks.known_recording import (
    UNKNOWN,
    KnownRecording,
    compared,
    found_again,
    known_recording,
    trials_trained_on,
)
from neurojax.data.checks.sums import spikes_of_trials
from neurojax.data.observed import merged
from neurojax.data.session import TRAIN, Session
from neurojax.data.store.session_format import Digests, digests_of
from neurojax.errors import InputError, require
from neurojax.files import read_json, write_bytes

NAME = "trained_trials.json"
SCHEMA = 2
MAX_BYTES = 1 << 30


class Trained(NamedTuple):
    """What a run was trained on.

    Attributes:
        digests: of trials.
        recordings: that these trials are of, a recording once.
        all_times_known: whether the recordings hold all that was trained on; not those of a run
            that began when digests alone were kept.
        shown: digests of pictures (`data.pictures.shown`); none of a run of before they were kept.
    """

    digests: frozenset[bytes] = frozenset()
    recordings: tuple[KnownRecording, ...] = ()
    all_times_known: bool = True
    shown: frozenset[bytes] = frozenset()


NOTHING = Trained()


def telling_digests(session: Session, split: int) -> dict[bytes, int]:
    """Digest -> trial, of the trials of a split with enough spikes not to be equal by chance."""
    return {digest: trial for trial, digest in _telling(session, session.trials_of(split))}


def among(
    session: Session, trained: Trained | None, counts_sha256: str | None = None
) -> np.ndarray:
    """Trials, of whatever split, that were trained on: equal ones, and those that share time with
    one in the same recording; int [trials found], ascending.

    Args:
        session: counts or values.
        trained: None where nothing is known.
        counts_sha256: of its recording; computed where it is not given.
    """
    # Hashing every trial takes a while; with nothing to find it is left out.
    if trained is None or trained == NOTHING:
        return np.empty(0, int)
    everything = range(session.num_trials) if trained.digests else ()
    equal = [trial for trial, digest in _telling(session, everything) if digest in trained.digests]
    found = np.isin(np.arange(session.num_trials), equal)
    if trained.recordings:
        digest = counts_sha256 or digests_of(session).counts_sha256
        for one, ahead_s in found_again(trained.recordings, session, digest):
            found |= trials_trained_on(one, session, ahead_s)
    return np.flatnonzero(found)


def why_not_known(session: Session, trained: Trained | None, counts_sha256: str) -> str:
    """Why it is not known whether trials of a session were trained on; "" where it is."""
    if trained is None:
        return "the run keeps no digests of its trials"
    if any(one.counts_sha256 == counts_sha256 for one in trained.recordings):
        return ""
    if not trained.all_times_known:
        return "the run began when only equal trials were kept, none of which is here"
    blind = [one.session_id for one in trained.recordings if not len(one.stretch_s)]
    if blind or (session.num_trials > 1 and np.ptp(session.trial_start_s) == 0):
        named = blind[0] if blind else session.session_id
        return f"no trial is equal to one trained on, but session {named} has no clock to compare"
    own = [one for one in trained.recordings if one.session_id == session.session_id]
    if own and not any(found_again(own, session, counts_sha256)):
        # Of several cuts, the nearest says what it is.
        if min(compared(one, session, counts_sha256) for one in own)[0] == UNKNOWN:
            return (
                f"session {session.session_id} has other counts than the one of that name in the "
                "run, and too few spikes at the same times to tell whether they share trials"
            )
    return ""


def _telling(session: Session, trials: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    trials = np.asarray(list(trials), np.int64)
    if session.observation == "counts":
        evidence = spikes_of_trials(session, trials).sum(1)
    else:
        evidence = np.array([check.trial_evidence(session, trial) for trial in trials.tolist()])
    for trial in trials[evidence >= check.TELLING_SPIKES].tolist():
        yield trial, check.trial_digest(session, trial)


def joined(
    before: Trained | None, sessions: Sequence[Session], known: Mapping[str, Digests]
) -> Trained | None:
    """What was trained on before, and the training trials of sessions.

    Args:
        before: None where it is not known: then no list would be whole, and none is given.
        sessions: to train on.
        known: session id -> digests, of those that are known.
    """
    # An incomplete list would pass trials that were seen; no list says that nothing is known.
    if before is None:
        return None
    own: set[bytes] = set().union(*(telling_digests(s, TRAIN) for s in sessions))
    recordings = {(one.session_id, one.counts_sha256): one for one in before.recordings}
    for session in sessions:
        digests = known.get(session.session_id) or digests_of(session)
        made = known_recording(session, digests.counts_sha256, session.trials_of(TRAIN))
        key = made.session_id, made.counts_sha256
        if key in recordings:
            times_s = np.concatenate([recordings[key].trained_s, made.trained_s])
            made = made._replace(trained_s=merged(times_s))
        recordings[key] = made
    # Where all trials known before are among these, so is their time.
    whole = before.all_times_known or before.digests <= own
    seen = before.shown.union(*(pictures.shown(session, TRAIN) for session in sessions))
    return Trained(before.digests | own, tuple(recordings.values()), whole, seen)


def bytes_of(trained: Trained) -> bytes:
    """What the file holds."""
    content = {
        "schema": SCHEMA,
        "all_times_known": trained.all_times_known,
        "digests": sorted(digest.hex() for digest in trained.digests),
        "recordings": [
            {
                "session_id": one.session_id,
                "counts_sha256": one.counts_sha256,
                "stretch_s": one.stretch_s.ravel().round(6).tolist(),
                "above": _hex_of(one.above),
                "rates_hz": [float(f"{rate:.4g}") for rate in one.rates_hz],
                "trained_s": one.trained_s.ravel().round(6).tolist(),
            }
            | ({} if one.watched is None else {"watched": _hex_of(one.watched)})
            for one in trained.recordings
        ],
    }
    if trained.shown:
        content["shown"] = sorted(digest.hex() for digest in trained.shown)
    # Not for people: without line breaks it is written five times as fast.
    return (json.dumps(content, allow_nan=False) + "\n").encode()


def _hex_of(bits: np.ndarray) -> list[str]:
    """Hex digits of each unit, of bool [P, N]."""
    return [np.packbits(own).tobytes().hex() for own in bits.T]


def write(folder: Path, sessions: Sequence[Session], before: Trained | None = NOTHING) -> None:
    """Writes `joined` atomically; where nothing is known, no file."""
    trained = joined(before, sessions, {})
    if trained is None:
        (folder / NAME).unlink(missing_ok=True)
    else:
        write_bytes(folder / NAME, bytes_of(trained))


def read(folder: Path) -> Trained | None:
    """What a run was trained on; None where it, or one it started from, kept no list.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_BYTES:
        raise InputError(
            f"{path} has {path.stat().st_size:,} bytes, expected at most {MAX_BYTES:,}; use "
            "another copy"
        )
    content = read_json(path)
    schema, digests = content.get("schema"), content.get("digests")
    require(
        type(schema) is int and schema in (1, SCHEMA) and isinstance(digests, list),
        f"{path} is no list of digests of schema 1 or {SCHEMA}; restore it, or remove it and train "
        "on",
    )
    try:
        known = frozenset(bytes.fromhex(digest) for digest in digests)
        if schema == 1:
            return Trained(known, (), all_times_known=not known)
        recordings = tuple(map(_recording, content["recordings"]))
        shown = frozenset(bytes.fromhex(digest) for digest in content.get("shown", ()))
        return Trained(known, recordings, content["all_times_known"] is True, shown)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        raise InputError(
            f"{path} holds an entry that is no digest or recording; restore it, or remove it and "
            "train on"
        ) from None


def _recording(entry: Mapping[str, Any]) -> KnownRecording:
    """A recording as the file has it; raises what conversions raise of one that is none."""
    stretch_s, trained_s = (_intervals_s(entry[name]) for name in ("stretch_s", "trained_s"))
    rates_hz = np.asarray(entry["rates_hz"], np.float64)
    named = isinstance(entry["session_id"], str) and isinstance(entry["counts_sha256"], str)
    if not named or rates_hz.ndim != 1:
        raise ValueError("not a recording")
    above = _bits_of(entry["above"], len(stretch_s), len(rates_hz))
    watched = None
    if "watched" in entry:
        watched = _bits_of(entry["watched"], len(stretch_s), len(rates_hz))
    return KnownRecording(
        entry["session_id"], entry["counts_sha256"], stretch_s, above, rates_hz, trained_s, watched
    )


def _bits_of(digits: Sequence[str], num_stretches: int, num_units: int) -> np.ndarray:
    """bool [P, N] of the hex digits of each unit; raises ValueError where they are not so many."""
    bits = [np.frombuffer(bytes.fromhex(unit), np.uint8) for unit in digits]
    if len(bits) != num_units or any(len(unit) != -(-num_stretches // 8) for unit in bits):
        raise ValueError("not one bit a stretch and unit")
    found = [np.unpackbits(unit, count=num_stretches).astype(bool) for unit in bits]
    return np.asarray(found, bool).reshape(num_units, num_stretches).T


def _intervals_s(flat: Any) -> np.ndarray:
    found = np.asarray(flat, np.float64).reshape(-1, 2)
    if not np.isfinite(found).all() or (found[:, 0] > found[:, 1]).any():
        raise ValueError("not intervals of time")
    return found
