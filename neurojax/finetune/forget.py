"""Weights without the rows of a subject, and the proof that all else is as it was.

What is removed: rows of the subject's units and recordings, entries of the roster, fingerprints of
the recordings. What cannot be: the shared weights were trained on them too.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.data import pictures
from neurojax.data.session import TRAIN, Session
from neurojax.data.store import trained_trials
from neurojax.data.store.trained_trials import Trained
from neurojax.errors import InputError, require
from neurojax.facts import of_table
from neurojax.finetune.weights import Weights, rows_of
from neurojax.runs import state_io
from neurojax.train import settings, state

KEPT = ("params", "tables", "buffers")  # optimiser's moments of a run are left behind


class Forgotten(NamedTuple):
    """Attributes:
    weights: what remains.
    sessions: names of the recordings whose rows are gone; for the eyes of who asked, not kept.
    proof: JSON, without a name: "recordings", "unit_rows", "arrays_with_rows",
        "shared_arrays_unchanged" (numbers), "sha256_of_rest" (of all remaining values),
        "trial_digests_removed" (None where the recordings were not at hand).
    """

    weights: Weights
    sessions: tuple[str, ...]
    proof: dict[str, Any]


def without(source: Weights, subject: str, recordings: Sequence[Session] = ()) -> Forgotten:
    """Weights without the rows of a subject.

    Args:
        source: of a run or an export, adapters merged.
        subject: `subject_id` of recordings.
        recordings: those of the subject and of others, as far as at hand: digests of the subject's
            trials, which no file says whose they are, are found by them.

    Raises:
        InputError: no recording of that subject, or of nobody else.
    """
    gone = [entry.get("subject_id") == subject for entry in source.entries]
    known = sorted({str(e["subject_id"]) for e in source.entries if e.get("subject_id")})
    if not any(gone):
        shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
        raise InputError(
            f"no recording is of subject {subject[:60]!r}; these weights have rows of "
            f"{shown or 'recordings without a subject'}"
        )
    require(
        not all(gone),
        f"every recording is of subject {subject[:60]!r}, so nothing would remain; delete the "
        "folder instead",
    )
    entries = [entry for entry, is_gone in zip(source.entries, gone, strict=True) if not is_gone]
    names = tuple(
        e["session_id"] for e, is_gone in zip(source.entries, gone, strict=True) if is_gone
    )
    arrays, with_rows = _arrays(source, entries, np.array(gone))
    trained, removed = _trained(source, names, recordings)
    rest = source._replace(arrays=arrays, entries=entries, table=rows_of(entries), trained=trained)
    num_units = sum(entry["num_units"] for entry in source.entries)
    proof = {
        "recordings": len(names),
        "unit_rows": num_units - sum(entry["num_units"] for entry in entries),
        "arrays_with_rows": len(with_rows),
        "shared_arrays_unchanged": len(arrays) - len(with_rows),
        "sha256_of_rest": digest_of(arrays),
        "trial_digests_removed": removed,
    }
    return Forgotten(rest, names, proof)


def require_proven(before: Weights, after: Weights) -> None:
    """Compares what was written with what it was made of, bit by bit.

    Args:
        before: the weights of everybody.
        after: as read back from disk, without one subject.

    Raises:
        InputError: a remaining value differs, or a recording has gone that should not.
    """
    names = {entry["session_id"] for entry in after.entries}
    gone = np.array([entry["session_id"] not in names for entry in before.entries])
    expected, _ = _arrays(before, after.entries, gone)
    same = expected.keys() == after.arrays.keys() and all(
        expected[name].tobytes() == np.ascontiguousarray(after.arrays[name]).tobytes()
        for name in expected
    )
    require(same, "the weights that were written differ from those they were made of; try again")


def digest_of(arrays: Mapping[str, np.ndarray]) -> str:
    """Hex sha256 over names, shapes and values, in the order of the names."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def lines(proof: Mapping[str, Any]) -> list[str]:
    """What a card says of it."""
    digests = proof["trial_digests_removed"]
    told = (
        "digests of its trials could not be told from those of others and remain in "
        "trained_trials.json"
        if digests is None
        else f"{digests:,} digests of its trials were removed"
    )
    return [
        f"**A subject was removed on request**: {proof['recordings']} recordings, "
        f"{proof['unit_rows']:,} rows of units in {proof['arrays_with_rows']} tables; {told}. "
        f"All that remains is equal to the bit to what it was ({proof['shared_arrays_unchanged']} "
        f"shared arrays untouched; sha256 of the rest `{proof['sha256_of_rest']}`). **The shared "
        "weights were trained on that subject too and were not trained again**: what they keep of "
        "it is measured by no more than the attacks below.",
    ]


def _arrays(
    source: Weights, entries: Sequence[Mapping[str, Any]], gone: np.ndarray
) -> tuple[dict[str, np.ndarray], list[str]]:
    """(arrays without the rows of some recordings, names of those that had such rows)."""
    shapes = [_shapes(source, some) for some in (source.entries, entries)]
    sizes = [entry["num_units"] for entry in source.entries]
    keep = {"unit": ~np.repeat(gone, sizes), "session": ~gone}
    kept, with_rows = {}, []
    for name, array in source.arrays.items():
        if name.split("/")[0] not in KEPT or name not in shapes[0]:
            continue
        before, after = shapes[0][name], shapes[1][name]
        require(
            tuple(array.shape) == before,
            f"{name} is {array.shape}, its config wants {before}; use another copy",
        )
        if before == after:
            kept[name] = np.array(array)
            continue
        axis = next(k for k, (a, b) in enumerate(zip(before, after, strict=True)) if a != b)
        rows = next(
            rows
            for rows in keep.values()
            if len(rows) == before[axis] and rows.sum() == after[axis]
        )
        kept[name] = np.ascontiguousarray(np.compress(rows, array, axis))
        with_rows.append(name)
    return kept, with_rows


def _shapes(source: Weights, entries: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every array of a model with rows for these recordings."""
    known = of_table(rows_of(list(entries)), source.num_bins, source.bin_size_s, source.facts)
    members = settings.members_of(source.config)
    found = state.abstract_trained(settings.model_of(source.config), known, members)
    return {name: tuple(leaf.shape) for name, leaf in state_io.named_leaves(found).items()}


def _trained(
    source: Weights, names: Sequence[str], recordings: Sequence[Session]
) -> tuple[Trained | None, int | None]:
    """(what is still told of training trials, how many digests of trials were removed)."""
    if source.trained is None:
        return None, 0
    listed = {entry["session_id"] for entry in source.entries}
    at_hand = {s.session_id: s for s in recordings if s.session_id in listed}
    own, others, removed = set(), set(), None
    shown = source.trained.shown
    if set(names) <= set(at_hand):
        for name, session in at_hand.items():
            digests = set(trained_trials.telling_digests(session, TRAIN))
            (own if name in names else others).update(digests)
        own = (own - others) & source.trained.digests
        removed = len(own)
        # Others may have seen the same pictures: which ones is known where all are at hand. Without
        # a digest a later person would be tested on a picture that these weights were trained on.
        everybody = listed | {one.session_id for one in source.trained.recordings}
        if source.origin is None and everybody <= set(at_hand):
            seen = {name: pictures.shown(session, TRAIN) for name, session in at_hand.items()}
            kept = set().union(*(seen[name] for name in seen if name not in names))
            shown = shown - set().union(*(seen[name] for name in names)).difference(kept)
    rest = tuple(one for one in source.trained.recordings if one.session_id not in names)
    return Trained(source.trained.digests - own, rest, False, shown), removed
