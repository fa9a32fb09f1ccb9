"""What a protocol hides and scores in a session: the same answer for models, baselines and oracle.

Every function takes trials in the padded layout of `Session.gather_trials`: K trials, T bins of the
longest one, N units of the session in file order. The record itself is in `protocol_record`, the
protocols of the package in `protocol_files/`.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.region_names import one_spelling
from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Session
from neurojax.errors import InputError, require
from neurojax.evals import protocol_record
from neurojax.evals.protocol_record import Protocol

PROTOCOLS = {name: protocol_record.built_in(name) for name in protocol_record.BUILT_IN}
MTM = PROTOCOLS["mtm"]
TASKS = MTM.activity_tasks
# test trials in a row, on average, from which a split counts as one in time blocks
BLOCK_TRIALS = 3
# a unit observed in fewer train trials is scored, and told
FEW_TRIALS = 10


def get_protocol(name: str | Protocol) -> Protocol:
    """A protocol by its name, or from the file at a path; raises InputError with the nearest known
    name."""
    if isinstance(name, Protocol):
        return name
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    looks_like_a_path = "/" in name or name.endswith(".json")
    if looks_like_a_path and Path(name).is_file():
        return protocol_record.read(Path(name))
    require(
        not looks_like_a_path,
        f"no protocol file {name}; give one of {', '.join(PROTOCOLS)}, or the path of a JSON file",
    )
    hint = protocol_record.nearest(name, tuple(PROTOCOLS))
    raise InputError(
        f"unknown protocol {name!r}{hint}; expected one of: {', '.join(PROTOCOLS)}, or a file's "
        "path"
    )


def protocol_hash(name: str | Protocol) -> str:
    """First 16 hex digits of the SHA-256 of the protocol's content."""
    return protocol_record.content_hash(get_protocol(name))


def fields(protocol: Protocol) -> dict[str, Any]:
    """Name, hash and content of a protocol, as a record of scores keeps them."""
    named = {"protocol": protocol.name, "protocol_hash": protocol_hash(protocol)}
    return named | {"protocol_record": protocol_record.as_json(protocol)}


def of_evaluation(evaluation: Mapping[str, Any]) -> Protocol | None:
    """The protocol that an evaluation record was made under: as it says itself, or by its name;
    else None."""
    try:
        return protocol_record.parse(
            evaluation["protocol_record"], "the evaluation's protocol_record"
        )
    except (InputError, KeyError, TypeError):
        return PROTOCOLS.get(str(evaluation.get("protocol")))


def reason_against(
    session: Session, protocol: Protocol, *, with_baselines: bool = False
) -> str | None:
    """Why a session cannot be scored under a protocol, for `session ID ...`; None where it can."""
    if session.observation == "real":
        return f"holds real values, protocol {protocol.name} needs counts of spikes"
    is_tuned = protocol.behaviour_tasks or (with_baselines and protocol.activity_tasks)
    for split in (TEST, VALIDATION, TRAIN) if is_tuned else (TEST, TRAIN):
        if not len(session.trials_of(split)):
            return f"has no {SPLIT_NAMES[split]} trial; convert it with another --split"
    scored = scored_units(session, protocol)
    if not scored.any():
        return "has no unit with a spike in its train trials; check its counts"
    if session.validity is not None:
        if not session.entry_valid(session.trials_of(TEST))[:, :, scored].any():
            return (
                "has no test trial in which a unit with a train spike was observed; convert it "
                "with another --split"
            )
    if protocol.holds_units_out:
        held_out = held_out_units(session, protocol)
        column = (
            protocol.held_out_column if protocol.held_out_column in session.unit_metadata else ""
        )
        spike = "unit with a train spike" + (f" in its column {column!r}" if column else "")
        if not held_out.any():
            return f"has no held-out {spike}, which protocol {protocol.name} needs"
        if held_out.sum() == scored.sum():
            return f"has no held-in {spike}, which protocol {protocol.name} needs"
    return None


def scored_units(session: Session, protocol: Protocol = MTM) -> np.ndarray:
    """Units with enough spikes in the train split, bool [N]; all others stay hidden in every
    task. Counts where a unit was not observed are none."""
    if session.validity is not None:
        return session.totals(TRAIN)[0] >= protocol.min_train_spikes
    rows = np.zeros(len(session.counts), bool)
    for trial in session.trials_of(TRAIN):
        start = session.trial_start_bin[trial]
        rows[start : start + session.trial_num_bins[trial]] = True
    return session.counts[rows].sum(0, dtype=np.int64) >= protocol.min_train_spikes


def held_out_units(session: Session, protocol: Protocol) -> np.ndarray:
    """Scored units that the protocol holds out, bool [N]; all False where it holds none out.

    They are those of the session's own column, or else the fixed share of its scored units whose
    names come first under a hash of (seed, session, unit): the same whatever the order of units or
    the other sessions.
    """
    scored = scored_units(session, protocol)
    if protocol.held_out_column and protocol.held_out_column in session.unit_metadata:
        return scored & (np.asarray(session.unit_metadata[protocol.held_out_column]) == 1)
    if not protocol.held_out_fraction:
        return np.zeros(session.num_units, bool)
    number = max(1, round(protocol.held_out_fraction * int(scored.sum())))
    drawn = sorted(
        np.flatnonzero(scored),
        key=lambda unit: hashlib.sha256(
            f"{protocol.seed}:{session.session_id}:{session.unit_id[unit]}".encode()
        ).digest(),
    )
    held_out = np.zeros(session.num_units, bool)
    held_out[drawn[:number]] = True
    return held_out


def visible_units(session: Session, task: str, protocol: Protocol = MTM) -> np.ndarray:
    """Units that a task may ever show, bool [N]."""
    asked = protocol.task(task)
    visible = scored_units(session, protocol)
    if asked.hides.held_out or asked.shows == "held_in":
        visible &= ~held_out_units(session, protocol)
    return visible


def region_members(session: Session, protocol: Protocol = MTM) -> dict[str, np.ndarray]:
    """Region label -> bool [N], its scored units (observed in train trials, with spikes there);
    known regions with at least one, sorted by label."""
    labels, _ = one_spelling(session.region)
    known = [label.strip().lower() not in protocol.unknown_regions for label in labels]
    eligible = scored_units(session, protocol) & np.array(known, bool)
    return {str(label): eligible & (labels == label) for label in np.unique(labels[eligible])}


class Question(NamedTuple):
    """A population that a task shows, and the units that it asks it about; bool [N] each. A unit
    that is shown is hidden while it is asked for, by `forward` in the last bins alone."""

    visible: np.ndarray
    asked: np.ndarray


def questions(session: Session, task: str, protocol: Protocol = MTM) -> list[Question]:
    """What a task shows and asks of a session: one population, or one a region."""
    kind, visible = protocol.task(task).hides, visible_units(session, task, protocol)
    if kind.by_region:
        smallest = protocol.min_intra_region_units if kind.within_region else 1
        regions = region_members(session, protocol).values()
        return [
            Question(members if kind.within_region else visible & ~members, members)
            for members in regions
            if members.sum() >= smallest
        ]
    if kind.held_out:
        return [Question(visible, held_out_units(session, protocol))]
    return [Question(visible, scored_units(session, protocol))]


def forward_bins(session: Session, trial_ids: np.ndarray, protocol: Protocol = MTM) -> np.ndarray:
    """The last bins of each trial that `forward` hides, at least one, bool [K, T]."""
    lengths = np.asarray(session.trial_num_bins)[trial_ids]
    bins = np.arange(int(lengths.max(initial=0)))
    in_seconds = int(protocol.last_seconds / session.bin_size_s + 1e-6)
    in_shares = np.floor(lengths * protocol.last_fraction + 1e-9).astype(np.int64)
    hidden = in_shares if protocol.last_fraction else in_seconds
    first_hidden = lengths - np.minimum(np.maximum(1, hidden), np.maximum(lengths // 2, 1))
    return (bins >= first_hidden[:, None]) & (bins < lengths[:, None])


def scored_entries(
    session: Session, task: str, trial_ids: np.ndarray, protocol: Protocol = MTM
) -> np.ndarray:
    """Entries a task scores, bool [K, T, N]: always observed ones, of valid bins and scored units.

    Raises:
        InputError: the protocol has no such task.
    """
    asked = [question.asked for question in questions(session, task, protocol)]
    units = np.any([np.zeros(session.num_units, bool), *asked], axis=0)
    if protocol.task(task).hides.last_bins:
        bins = forward_bins(session, trial_ids, protocol)
    else:
        lengths = np.asarray(session.trial_num_bins)[trial_ids]
        bins = np.arange(int(lengths.max(initial=0))) < lengths[:, None]  # [K, T]
    entries = bins[:, :, None] & units
    # A zero that nobody watched is no silence to predict.
    return entries if session.validity is None else entries & session.entry_valid(trial_ids)


def is_split_in_time_blocks(session: Session) -> bool:
    """Whether test trials lie side by side in time: in runs of BLOCK_TRIALS or more on average."""
    order = np.lexsort((np.arange(session.num_trials), session.trial_start_s))
    test = session.split[order] == TEST
    runs = int((test & ~np.concatenate([[False], test[:-1]])).sum())
    return runs > 0 and int(test.sum()) >= BLOCK_TRIALS * runs


def notes(session: Session, protocol: Protocol) -> list[str]:
    """What a reader of this session's scores must know: where it cannot be as the protocol says."""
    found = []
    if protocol.split_rule == "time_blocks" and not is_split_in_time_blocks(session):
        found.append(
            "the split is not in time blocks, as the protocol wants it: test trials lie between "
            "train trials, so "
            "slow changes help; convert with --split=blocks:300s"
        )
    if protocol.held_out_column and protocol.held_out_column not in session.unit_metadata:
        found.append(
            f"units have no column {protocol.held_out_column!r}: "
            f"{100 * protocol.held_out_fraction:g} % of the units are held out, drawn by seed "
            f"{protocol.seed}"
        )
    return found + _notes_of_gaps(session, protocol)


def _notes_of_gaps(session: Session, protocol: Protocol) -> list[str]:
    """What of a session's scores rests on less than all of its time."""
    if session.validity is None:
        return []
    scored = scored_units(session, protocol)
    trials = {split: session.trials_of(split) for split in (TRAIN, TEST)}
    seen = {split: session.entry_valid(rows)[:, :, scored] for split, rows in trials.items()}
    due = int(session.trial_num_bins[trials[TEST]].sum()) * int(scored.sum())
    lost = 1 - seen[TEST].sum() / max(due, 1)
    found = []
    if lost:
        found.append(
            f"{100 * lost:.2g} % of the scored units' bins in test trials were not observed and "
            "are left out"
        )
    if never := int((~seen[TEST].any((0, 1))).sum()):
        found.append(f"{never} of {int(scored.sum())} scored units were observed in no test trial")
    few = int((seen[TRAIN].any(1).sum(0) < min(FEW_TRIALS, len(trials[TRAIN]))).sum())
    if few:
        found.append(
            f"{few} of {int(scored.sum())} scored units were observed in under {FEW_TRIALS} train "
            "trials: little is known of them"
        )
    return found
