"""A dataset: sessions of one kind and one bin size, sorted by name, with one fingerprint."""

import dataclasses
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.session import TRAIN, Session
from neurojax.data.store import card_schema
from neurojax.data.store.cards import CARD_NAME, dataset_card, is_human
from neurojax.data.store.meta import READS, SCHEMA, observation_of, read_meta
from neurojax.data.store.session_format import Digests, digests_of, open_recorded
from neurojax.data.store.session_rules import check_session_id
from neurojax.errors import InputError, require
from neurojax.files import as_path, read_json, remove_leftovers, told, write_bytes, write_json

INDEX_NAME = "dataset.json"
_SHOWN = ("session_id", "content_sha256", "num_trials", "num_units", "num_bins")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Sessions sorted by name, and a hex digest of their content (not of where they lie).

    Attributes:
        sessions, fingerprint: as above.
        digests: session id -> `session_format.Digests`, where every byte was compared with them;
            {} where only some were, and whoever needs a digest computes it.
    """

    sessions: tuple[Session, ...]
    fingerprint: str
    digests: Mapping[str, Digests] = dataclasses.field(default_factory=dict, compare=False)

    @property
    def bin_size_s(self) -> float:
        return self.sessions[0].bin_size_s

    @property
    def observation(self) -> str:
        """What all sessions hold, "counts" or "real"; see `Session.observation`."""
        return self.sessions[0].observation

    @property
    def to_read(self) -> tuple[Session, ...]:
        """What a source reads; of a corpus of texts, which has no sessions, the corpus."""
        return self.sessions

    @property
    def contents(self) -> str:
        """`4 sessions`."""
        return f"{len(self.sessions)} sessions"

    @property
    def num_bytes(self) -> int:
        """Of all recordings."""
        return sum(session.recorded.nbytes for session in self.sessions)

    def to_train(self, num_bins: int) -> str:
        """What there is to train on, in words."""
        trials = sum(len(session.trials_of(TRAIN)) for session in self.sessions)
        bins = f"up to {num_bins} bins of {self.bin_size_s * 1000:g} ms"
        return f"{trials:,} training trials of {bins}"

    @property
    def files_of_run(self) -> dict[str, bytes]:
        """What a run keeps of its data beside the roster: nothing."""
        return {}


def dataset_of(sessions: Iterable[Session]) -> Dataset:
    """Collects sessions in memory; written and opened again they have the same fingerprint.

    Raises:
        InputError: no session, a name twice, counts beside real values, or different bin sizes.
    """
    given = list(sessions) if np.iterable(sessions) else [sessions]
    strange = [type(session).__name__ for session in given if not isinstance(session, Session)]
    require(not strange, f"dataset: {strange[:1]} is no Session; expected sessions")
    ordered = tuple(sorted(given, key=lambda session: session.session_id))
    _check_collection(list(map(_told_of, ordered)), "dataset")
    found = {session.session_id: digests_of(session) for session in ordered}
    return _of_digests(ordered, found)


def subset(dataset: Dataset, names: Collection[str]) -> Dataset:
    """The sessions of these names; what is known of their bytes is kept."""
    kept = tuple(session for session in dataset.sessions if session.session_id in names)
    if not dataset.digests:
        return dataset_of(kept)
    return _of_digests(kept, {s.session_id: dataset.digests[s.session_id] for s in kept})


def _of_digests(sessions: tuple[Session, ...], digests: Mapping[str, Digests]) -> Dataset:
    content = {name: found.content_sha256 for name, found in digests.items()}
    return Dataset(sessions, _fingerprint(content), digests)


def open_dataset(root: str | Path, verify: str = "sampled") -> Dataset:
    """Opens the sessions that `<root>/dataset.json` lists.

    Args:
        root: folder that `neurojax convert` wrote.
        verify: as in `open_session`.

    Raises:
        InputError: no index, a session missing, damaged, changed or not listed, or different bin
            sizes.
    """
    root = as_path(root, "root")
    path = root / INDEX_NAME
    require(
        not root.is_dir() or path.exists(),
        f"{root} has no {INDEX_NAME}; expected a folder written by neurojax convert",
    )
    index = read_json(path)
    known = type(index.get("schema")) is int and index["schema"] in READS
    require(
        known,
        f"{path} has schema {str(index.get('schema'))[:60]!r}, expected 1 or {SCHEMA}; run "
        "neurojax convert again",
    )
    entries = index.get("sessions")
    require(
        isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries),
        f"{path} holds no list of sessions; run neurojax convert again",
    )
    # Names are checked before any becomes a path.
    listed = {
        check_session_id(entry.get("session_id")): str(entry.get("content_sha256"))
        for entry in entries
    }
    # A folder that nobody listed may be half a conversion: silence would leave it out.
    if unlisted := [name for name in session_folders(root) if name not in listed]:
        raise InputError(
            f"{path} does not list {', '.join(unlisted[:5])}; run neurojax convert again to "
            "refresh it"
        )
    # Each folder against its own meta.json, then against the digest that the index knows.
    if gone := [name for name in sorted(listed) if not (root / name).is_dir()]:
        raise InputError(
            f"{path} lists {', '.join(gone[:5])}, but {root} has no such folder; put it back, or "
            "run neurojax convert again"
        )
    opened = [open_recorded(root / name, verify) for name in sorted(listed)]
    for session, recorded in opened:
        require(
            recorded.content_sha256 == listed[session.session_id],
            f"{root / session.session_id} has changed since {path} was written; run neurojax "
            "convert again to refresh it",
        )
    sessions = tuple(session for session, _ in opened)
    _check_collection(list(map(_told_of, sessions)), str(root))
    fingerprint = _fingerprint(listed)
    require(
        index.get("fingerprint") == fingerprint,
        f"{path}: the fingerprint does not match its sessions; run neurojax convert again to "
        "refresh it",
    )
    known = {session.session_id: digests for session, digests in opened}
    return Dataset(sessions, fingerprint, known if verify == "full" else {})


def write_dataset_index(root: str | Path) -> str:
    """Writes `<root>/dataset.json` and CARD.md over the sessions there; returns the fingerprint.

    Several processes may do so at once (shards of one conversion), each after its own sessions are
    there: whoever writes looks again and writes again until nothing has changed, so the last to
    write has seen all.

    Raises:
        InputError: no session, a damaged meta.json, different bin sizes, or `root` cannot be
            written.
    """
    root = as_path(root, "root")
    for name in (INDEX_NAME, CARD_NAME):
        remove_leftovers(root, name)
    metas = _metas(root)
    while True:
        index = {
            "schema": SCHEMA,
            "observation": observation_of(metas[0]),
            "bin_size_s": metas[0]["bin_size_s"],
            "fingerprint": _fingerprint({m["session_id"]: m["content_sha256"] for m in metas}),
            "sessions": [{key: meta.get(key) for key in _SHOWN} for meta in metas],
        }
        try:
            write_bytes(root / CARD_NAME, _card(root, metas, index["fingerprint"]).encode())
            write_json(root / INDEX_NAME, index)
        except OSError as error:
            raise InputError(f"{root / INDEX_NAME} cannot be written {told(error)}") from None
        written, metas = metas, _metas(root)
        if written == metas:
            return index["fingerprint"]


def _card(root: Path, metas: Sequence[Mapping[str, Any]], fingerprint: str) -> str:
    """CARD.md of a dataset, with every field that a card must have."""
    fields = card_schema.fields_of(metas, card_schema.read_stated(root))
    of_people = any(map(is_human, metas))
    schema = ["", "## What a card must say", "", *card_schema.lines(fields, of_people)]
    return dataset_card(metas, fingerprint) + "\n".join(schema) + "\n"


def _metas(root: Path) -> list[dict[str, Any]]:
    metas = [read_meta(root / name) for name in session_folders(root)]
    told = [(meta["session_id"], meta["bin_size_s"], observation_of(meta)) for meta in metas]
    _check_collection(told, str(root))
    return metas


def session_folders(root: Path) -> list[str]:
    """Names of the session folders in `root`, sorted; hidden (temporary) folders are not listed."""
    return sorted(
        path.parent.name
        for path in root.glob("*/meta.json")
        if not path.parent.name.startswith(".")
    )


def _told_of(session: Session) -> tuple[str, float, str]:
    return session.session_id, session.bin_size_s, session.observation


def _check_collection(told: list[tuple[str, float, str]], where: str) -> None:
    """Raises InputError unless (name, bin_size_s, observation) of the sessions belong together."""
    require(told, f"{where} holds no session; convert a recording first")
    names = [name for name, _, _ in told]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"{where} holds the session {repeated[0]!r} twice; give each recording its own name"
        )
    # The first session of each kind, to be named in the message.
    kinds = {kind: name for name, _, kind in reversed(told)}
    if len(kinds) > 1:
        raise InputError(
            f"{where} mixes counts ({kinds['counts']}) and real values ({kinds['real']}); give "
            "each kind of recording its own --out"
        )
    sizes = {size: name for name, size, _ in reversed(told)}
    listed = ", ".join(f"{size:g} s ({name})" for size, name in sorted(sizes.items()))
    require(
        # Compared as floats: 0.02 and 20 / 1000 are one bin size.
        max(sizes) - min(sizes) <= 1e-9 * max(sizes),
        f"{where} mixes bin sizes {listed}; expected one: convert with one --bin_ms",
    )


def _fingerprint(content: dict[str, str]) -> str:
    # Names and content alone: the same data in another folder have the same fingerprint.
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(content.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
