"""What a start writes into a workdir: judged first, then written all at once."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.data import belongs
from neurojax.data.store import roster, trained_trials
from neurojax.data.store.dataset import Dataset
from neurojax.data.store.session_format import Digests, digests_of
from neurojax.data.store.trained_trials import Trained
from neurojax.errors import InputError, require
from neurojax.evals import unseen
from neurojax.files import json_bytes, told
from neurojax.finetune import release
from neurojax.finetune.weights import Weights
from neurojax.runs import processes, state_io, together, workdir
from neurojax.runs.manifest import steps_on_disk
from neurojax.train import plan as planning


def _trained_before(
    folder: Path, config: Mapping[str, Any], begun: bool, base: Weights | None = None
) -> Trained | None:
    """What this run, or the one it starts from, was trained on; None: unknown."""
    own = trained_trials.read(folder) if begun else None
    if own is None and base is not None:
        return base.trained
    if own is not None or not config["init_from"]:
        return own or trained_trials.NOTHING
    return release.read_trained(Path(config["init_from"]))


@contextlib.contextmanager
def held(
    folder: Path,
    plan: planning.Plan,
    allow_dataset_change: bool,
    base: Weights | None = None,
    log: Callable[[str], Any] = print,
) -> Iterator[Callable[[], None]]:
    """Process 0 locks the workdir and judges; what it refuses, all refuse.

    Args:
        folder: the workdir.
        plan: what is to be trained.
        allow_dataset_change: whether a run that was trained may go on with changed data.
        base: weights in memory that it starts from.
        log: takes what is not known of changed data.

    Yields:
        what writes the files of the run, all of them or none: to be called when nothing is left
        that may be refused.
    """
    contents: dict[str, bytes | None] = {}
    with contextlib.ExitStack() as stack:
        refusal = None
        if processes.is_first():
            try:
                stack.enter_context(workdir.hold(folder))
                contents, notes = _files_of_run(folder, plan, allow_dataset_change, base)
                for line in notes:
                    log(line)
            except InputError as error:
                refusal = error
        _refuse_together(folder, refusal)
        same = (workdir.config_hash(plan.config), plan.config["train"], plan.dataset.fingerprint)
        digest = hashlib.sha256(repr(same).encode()).hexdigest()
        processes.require_agreement("config or data", digest)

        def commit() -> None:
            failed = None
            if processes.is_first():
                try:
                    together.replace(folder, contents)
                except OSError as error:
                    failed = InputError(f"{folder} cannot be written {told(error)}")
            _refuse_together(folder, failed)

        yield commit


def _refuse_together(folder: Path, refusal: InputError | None) -> None:
    if state_io.from_process_0(int(refusal is not None)):
        raise refusal or InputError(f"process 0 refused {folder}; its message says why")


def require_same_run(
    folder: Path, config: Mapping[str, Any], dataset: Dataset, allow_dataset_change: bool
) -> Sequence[str]:
    """Raises InputError where a folder holds another run, see `workdir.require_same_run`, or one
    that was trained for longer; returns what changed and may."""
    trained = steps_on_disk(folder / "checkpoints")
    reached, num_steps = max(trained, default=0), config["train"]["num_steps"]
    require(
        reached <= num_steps,
        f"train.num_steps={num_steps}, but {folder} has trained {reached}; set it to that or more, "
        "or use a new workdir",
    )
    # Until something is trained, a workdir may still change its config.
    if not trained:
        return ()
    digests = dataset.digests or {s.session_id: digests_of(s) for s in dataset.sessions}
    content = {name: found.content_sha256 for name, found in digests.items()}
    return workdir.require_same_run(
        folder, config, dataset.fingerprint, content, allow_dataset_change
    )


def _files_of_run(
    folder: Path, plan: planning.Plan, allow_dataset_change: bool, base: Weights | None
) -> tuple[dict[str, bytes | None], list[str]]:
    """Config, roster and trained trials as they will stand, and a line of each session of which it
    is not known whether its units are those of the run; raises InputError for another run."""
    config, dataset = plan.config, plan.dataset
    digests = dataset.digests or {s.session_id: digests_of(s) for s in dataset.sessions}
    fingerprints = {name: found.content_sha256 for name, found in digests.items()}
    known = (folder, config, dataset.fingerprint, fingerprints)
    trained = steps_on_disk(folder / "checkpoints")
    notes = require_same_run(folder, config, dataset, allow_dataset_change)
    before = _trained_before(folder, config, bool(trained), base)
    doubts = _units_not_known(folder, dataset, before, digests) if trained else []
    # as evaluation asks, but before training
    unseen.require_unseen(config["eval"], dataset.sessions, before, digests)
    contents = {workdir.CONFIG_NAME: workdir.config_bytes(*known, [*notes, *doubts])}
    contents |= dataset.files_of_run
    if allow_dataset_change or not (trained and (folder / roster.ROSTER_NAME).is_file()):
        contents[roster.ROSTER_NAME] = json_bytes(roster.content_of(plan.entries))
    kept = trained_trials.joined(before, dataset.sessions, digests)
    told_of = None if kept is None else trained_trials.bytes_of(kept)
    return contents | {trained_trials.NAME: told_of}, doubts


def _units_not_known(
    folder: Path, dataset: Dataset, before: Trained | None, digests: Mapping[str, Digests]
) -> list[str]:
    """A line of each session that has rows in a run and may, or may not, be of the same units.

    Raises:
        InputError: the units of a session are others, as its spikes tell: its rows are not theirs.
    """
    path = folder / roster.ROSTER_NAME
    entries = {e["session_id"]: e for e in roster.read(path)} if path.is_file() else {}
    known = entries.keys() | {one.session_id for one in (before or Trained()).recordings}
    lines = []
    for session in (one for one in dataset.sessions if one.session_id in known):
        name = session.session_id
        found = belongs.units_of_run(session, entries.get(name), before, digests[name])
        require(not found.fault, f"session {name} {found.fault}, or train it in a new workdir")
        if found.told.startswith(belongs.NOT_CHECKED):
            lines.append(found.line(name))
    return lines
