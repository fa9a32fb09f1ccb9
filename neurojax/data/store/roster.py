"""Who owns the rows of a model: what `sessions.json` says of every session, so that weights can be
told apart from the recordings they came from, long after those are out of reach.

    {"schema": 1, "sessions": [{"session_id", "num_units", "units_sha256", "region", "bin_size_s",
        "subject_id", "species", "licence", "source", "num_trials", "content_sha256",
        "counts_sha256"}, ..]}

Entries are in row order.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.data.batching import session_table
from neurojax.data.session import SPLIT_NAMES, Session
from neurojax.data.store import cards
from neurojax.data.store.checksums import array_record
from neurojax.data.store.session_format import Digests, digests_of
from neurojax.data.store.session_rules import check_session_id
from neurojax.errors import require
from neurojax.files import read_json, write_json

ROSTER_NAME = "sessions.json"
SCHEMA = 1
MAX_BYTES = 256 << 20
OF_TEXTS = "texts"  # what a roster without sessions says of itself under "of": no rows to own
_TEXTS = ("subject_id", "species", "licence", "source")


def entries_of(
    sessions: Sequence[Session], known: Mapping[str, Digests] | None = None
) -> list[dict[str, Any]]:
    """One entry a session: who owns its rows, the regions of its units, where it is from.

    Args:
        sessions: in row order.
        known: session id -> digests, of those that are known; others are computed.
    """
    digests = [(known or {}).get(s.session_id) or digests_of(s) for s in sessions]
    return [
        row
        | {"region": [str(label) for label in session.region]}
        | {"bin_size_s": float(session.bin_size_s)}
        | {name: None if text is None else str(text)[:1000] for name, text in _origin(session)}
        | {"num_trials": {n: len(session.trials_of(code)) for code, n in enumerate(SPLIT_NAMES)}}
        | found._asdict()
        for session, row, found in zip(sessions, session_table(sessions), digests, strict=True)
    ]


def _origin(session: Session) -> list[tuple[str, Any]]:
    """What the session says of where it is from, by field."""
    told = {name: session.info.get(name) for name in _TEXTS}
    return list((told | {"source": cards.source_words(session.info)}).items())


def counts_digest(session: Session) -> str:
    """Hex digest of the counts (or values) alone: a recording under another name has the same."""
    return array_record(session.recorded)["sha256"]


def joined(
    known: Sequence[Mapping[str, Any]],
    sessions: Sequence[Session],
    digests: Mapping[str, Digests] | None = None,
) -> list[dict[str, Any]]:
    """`known` entries as they are, then one for each other session, in the order given."""
    # Known rows stay where they are: weights are addressed by their place.
    names = {entry["session_id"] for entry in known}
    return [dict(entry) for entry in known] + entries_of(
        [s for s in sessions if s.session_id not in names], digests
    )


def content_of(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the file holds; without an entry it says why."""
    listed = {"schema": SCHEMA, "sessions": [dict(entry) for entry in entries]}
    return listed if entries else listed | {"of": OF_TEXTS}


def write(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Writes `sessions.json` atomically."""
    write_json(path, content_of(entries))


def read(path: Path) -> list[dict[str, Any]]:
    """Reads and checks `sessions.json`; what comes back is safe to index and to name files after.

    Raises:
        InputError: missing, too large, another schema, or entries that do not say who owns which
            rows.
    """
    content = read_json(path, MAX_BYTES)
    require(
        content.get("schema") == SCHEMA,
        f"{path} has schema {str(content.get('schema'))[:40]}, expected {SCHEMA}; update neurojax",
    )
    entries = content.get("sessions")
    known = isinstance(entries, list) and (entries or content.get("of") == OF_TEXTS)
    require(known, f"{path} lists no session; use another copy")
    for number, entry in enumerate(entries):
        _check(entry, f"{path} entry {number}")
    names = [entry["session_id"] for entry in entries]
    require(len(set(names)) >= len(names), f"{path} lists a session twice; use another copy")
    return entries


def _check(entry: Any, where: str) -> None:
    """Raises InputError unless an entry has the fields and types of `entries_of`."""
    require(isinstance(entry, dict), f"{where} is no object; use another copy")
    check_session_id(entry.get("session_id"))
    units, regions, trials = entry.get("num_units"), entry.get("region"), entry.get("num_trials")
    # `type`, since isinstance takes True for a whole number; rows are numbered in int32.
    whole = type(units) is int and 0 < units < 2**31
    labels = (
        isinstance(regions, list)
        and all(isinstance(label, str) for label in regions)
        and len(regions) == units
    )
    counted = isinstance(trials, dict) and all(
        type(trials.get(name)) is int and trials[name] >= 0 for name in SPLIT_NAMES
    )
    digests = all(
        isinstance(entry.get(f"{name}_sha256"), str) for name in ("units", "content", "counts")
    )
    texts = all(entry.get(name) is None or isinstance(entry[name], str) for name in _TEXTS)
    require(
        whole and labels and counted and digests and texts,
        f"{where} does not say who owns its rows (units, regions, trials, digests); use another "
        "copy",
    )
