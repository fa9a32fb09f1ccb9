"""Which trials a run was trained on: digests kept with it, for any later evaluation.

    trained_trials.json   {"schema": 1, "digests": [32 hex digits, ...]}

A digest is of a trial's counts (or values) and shape (`check.trial_digest`): a trial with other
bins or units has another one. Trials of few spikes (or changes of a value), which may be equal by
chance, are left out.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from neurojax.data.checks import check
from neurojax.data.session import TRAIN, Session
from neurojax.errors import InputError, require
from neurojax.files import read_json, write_json

NAME = "trained_trials.json"
SCHEMA = 1
MAX_BYTES = 1 << 30


def telling_digests(session: Session, split: int) -> dict[bytes, int]:
    """Digest -> trial, of the trials of a split with enough spikes not to be equal by chance."""
    return {digest: trial for trial, digest in _telling(session, session.trials_of(split))}


def among(session: Session, digests: Collection[bytes]) -> np.ndarray:
    """Trials, of whatever split, whose digest is one of these, ascending."""
    # Hashing every trial takes a while; with nothing to find it is left out.
    everything = range(session.num_trials) if digests else ()
    return np.asarray(
        [trial for trial, digest in _telling(session, everything) if digest in digests], int
    )


def _telling(session: Session, trials: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    for trial in map(int, trials):
        if check.trial_evidence(session, trial) >= check.TELLING_SPIKES:
            yield trial, check.trial_digest(session, trial)


def write(folder: Path, sessions: Sequence[Session], known: Iterable[bytes] | None = ()) -> None:
    """Writes the digests of the sessions' training trials, and of those `known` before, atomically.

    Where those before are not known (None), no list would be whole, so none is kept.
    """
    if known is None:
        # An incomplete list would pass trials that were seen; no list says that nothing is known.
        (folder / NAME).unlink(missing_ok=True)
        return
    digests = set(known).union(*(telling_digests(session, TRAIN) for session in sessions))
    write_json(
        folder / NAME, {"schema": SCHEMA, "digests": sorted(digest.hex() for digest in digests)}
    )


def read(folder: Path) -> frozenset[bytes] | None:
    """The digests of a run; None where it, or one it started from, kept none.

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
    digests = content.get("digests")
    require(
        content.get("schema") == SCHEMA and isinstance(digests, list),
        f"{path} is no list of digests of schema {SCHEMA}; restore it, or remove it and train on",
    )
    try:
        return frozenset(bytes.fromhex(digest) for digest in digests)
    except (TypeError, ValueError):
        raise InputError(
            f"{path} holds an entry that is no digest; restore it, or remove it and train on"
        ) from None
