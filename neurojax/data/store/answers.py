"""Stored answers to the fixed questions of training: log-rates, one folder a session.

Whoever answers (an ensemble, a linear model) is asked the questions of `data.questions` once; the
source `answered` joins the answers to the batches of trials they belong to.

<root>/<session_id>/
  co_smoothing.npy  float32 [K, T, N], log of the expected spikes per bin: unit n of trial k as
  forward.npy       answered to the one question of the task that asks for unit n; NaN where
  inter_region.npy  nothing was answered (a bin past a trial's end, a unit that was not observed,
  intra_region.npy  a unit without a region). Tasks that were not answered have no file
  trial_id.npy      int64 [K], rising: the trials answered, indices in the session
  last_bins.npy     bool [K, T], the bins that `forward` hides
  eighth.npy        int32 [N], `questions.eighths` as whoever answered knew them
  answers.json      schema 1, session_id, content_sha256 of the recording, answerer (a record of who
                    answered: "name", "sha256" and whatever else tells), sha256 of each array

A folder is written whole or not at all. On reading, every byte is compared with its checksum, and
the recording with the one that was answered.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.questions import TASKS, eighths
from neurojax.data.session import Session
from neurojax.data.store.array_files import open_npy, write_npy
from neurojax.data.store.session_format import digests_of
from neurojax.errors import InputError, require
from neurojax.files import (
    held,
    publish_folder,
    read_json,
    remove_leftovers,
    sha256_file,
    temporary_folder,
    told,
    write_json,
)

SCHEMA = 1
RECORD_NAME = "answers.json"
_MAX_RECORD_BYTES = 2**20
_ALWAYS = {"trial_id": (np.int64, 1), "last_bins": (np.bool_, 2), "eighth": (np.int32, 1)}
_AGAIN = "write the answers again"


class Answers(NamedTuple):
    """What was answered of one session.

    Attributes:
        trial_id: int64 [K], rising.
        last_bins: bool [K, T], the bins that `forward` hides.
        log_rates: task -> float32 [K, T, N], NaN where nothing was answered; may be memory maps.
        answerer: record of who answered.
        sha256: over the checksums of the arrays, by name; "" where they were not read from disk.
    """

    trial_id: np.ndarray
    last_bins: np.ndarray
    log_rates: Mapping[str, np.ndarray]
    answerer: Mapping[str, Any]
    sha256: str = ""


def write_answers(root: Path, session: Session, answers: Answers) -> None:
    """Writes the answers of a session in place of those that are there.

    Args:
        root: folder of the answers of all sessions.
        session: the recording.
        answers: sound ones; `answerer` is JSON-ready.

    Raises:
        InputError: arrays do not fit the session or each other, or the folder cannot be written.
    """
    arrays = {
        "trial_id": np.asarray(answers.trial_id, np.int64),
        "last_bins": np.asarray(answers.last_bins, bool),
        "eighth": eighths(session),
        **{task: np.asarray(values, np.float32) for task, values in answers.log_rates.items()},
    }
    _check(arrays, session, f"answers of session {session.session_id}")
    final = Path(root) / session.session_id
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(final.parent, final.name)
        temporary = temporary_folder(final)
    except OSError as error:
        raise InputError(f"{final} cannot be written {told(error)}") from None
    try:
        with held(temporary):
            for name, array in arrays.items():
                write_npy(temporary / f"{name}.npy", array)
            record = {
                "schema": SCHEMA,
                "session_id": session.session_id,
                "content_sha256": digests_of(session).content_sha256,
                "answerer": dict(answers.answerer),
                "arrays": {name: sha256_file(temporary / f"{name}.npy") for name in arrays},
            }
            write_json(temporary / RECORD_NAME, record)
            publish_folder(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def read_answers(root: Path, session: Session) -> Answers:
    """Opens the answers of a session.

    Raises:
        InputError: none are there, they are damaged, or they are of another recording.
    """
    folder = Path(root) / session.session_id
    require(
        (folder / RECORD_NAME).is_file(),
        f"{root} holds no answers of session {session.session_id}; write them with neurojax "
        "predict --format=answers",
    )
    record = read_json(folder / RECORD_NAME, _MAX_RECORD_BYTES)
    schema, sums = record.get("schema"), record.get("arrays")
    require(
        schema == SCHEMA and isinstance(sums, dict) and isinstance(record.get("answerer"), dict),
        f"{folder / RECORD_NAME} has schema {str(schema)[:60]!r}, expected {SCHEMA} with arrays "
        f"and answerer; {_AGAIN}",
    )
    digest = digests_of(session).content_sha256
    require(
        record.get("content_sha256") == digest,
        f"{folder} answers another recording of the name {session.session_id} (content "
        f"{str(record.get('content_sha256'))[:8]}, here {digest[:8]}); {_AGAIN}",
    )
    strange = sorted(sums.keys() - {*TASKS, *_ALWAYS}) + sorted(_ALWAYS.keys() - sums.keys())
    require(
        not strange, f"{folder / RECORD_NAME}: array {strange[:1]}, expected {_named()}; {_AGAIN}"
    )
    arrays = {name: _opened(folder, name, str(sum_)) for name, sum_ in sums.items()}
    _check(arrays, session, str(folder))
    tasks = {task: arrays[task] for task in TASKS if task in arrays}
    content = hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()
    return Answers(arrays["trial_id"], arrays["last_bins"], tasks, record["answerer"], content)


def _named() -> str:
    return ", ".join([*_ALWAYS, "and any of", *TASKS])


def _opened(folder: Path, name: str, sha256: str) -> np.ndarray:
    """One array, every byte compared with its checksum."""
    path = folder / f"{name}.npy"
    kind, axes = _ALWAYS.get(name, (np.float32, 3))
    array = open_npy(path, (np.dtype(kind),), axes)
    require(sha256_file(path) == sha256, f"{path} is damaged: its checksum is another; {_AGAIN}")
    # What is a few kilobytes need not stay a map.
    return array if axes == 3 else np.array(array)


def _check(arrays: Mapping[str, np.ndarray], session: Session, where: str) -> None:
    """Raises InputError unless the arrays fit each other and the session."""
    trial_id, last_bins = arrays["trial_id"], arrays["last_bins"]
    require(
        trial_id.ndim == 1
        and len(trial_id)
        and 0 <= trial_id[0]
        and trial_id[-1] < session.num_trials
        and (np.diff(trial_id) > 0).all(),
        f"{where}: trial_id is no rising list of trials of {session.num_trials}; {_AGAIN}",
    )
    num_bins = int(session.trial_num_bins[trial_id].max())
    shape = (len(trial_id), num_bins, session.num_units)
    tasks = [task for task in arrays if task not in _ALWAYS]
    require(tasks, f"{where}: no task is answered, expected some of {', '.join(TASKS)}; {_AGAIN}")
    for task in tasks:
        require(task in TASKS, f"{where}: task {task!r}; expected some of {', '.join(TASKS)}")
        found = arrays[task].shape
        require(found == shape, f"{where}: {task} has shape {found}, expected {shape}; {_AGAIN}")
        endless = np.isinf(arrays[task]).any()
        require(not endless, f"{where}: {task} holds infinity, expected log-rates; {_AGAIN}")
    require(
        last_bins.shape == shape[:2],
        f"{where}: last_bins has shape {last_bins.shape}, expected {shape[:2]}; {_AGAIN}",
    )
    require(
        np.array_equal(arrays["eighth"], eighths(session)),
        f"{where}: units are divided into other eighths than this version does; {_AGAIN}",
    )
