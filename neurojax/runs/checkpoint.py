"""Checkpoints, saved in the background: orbax writes arrays, a manifest vouches for them.

A save has three moments: the arrays are copied to the host (inside `save`), orbax writes them and
renames `<step>/state` into place (its own threads), then one thread hashes what lies on disk,
writes the manifest and only then deletes older steps. Killed at any point, the run finds the older
step whole.

States are pytrees of arrays, known by their paths: what was saved from one tree restores into
another of the same names and shapes, on any mesh. Random keys are not saved: they follow from the
seed and the step. Every process calls save and restore; process 0 alone writes manifests, deletes
and renames.
"""

import errno
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from neurojax.errors import InputError, require
from neurojax.runs import manifest, state_io
from neurojax.runs.workdir import LOCK_NAME

_SAID_OF_A_DISK = [
    os.strerror(code)
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EIO)
]
FREE_SPACE_FACTOR = 3  # the older step, the one being written and room for the metrics
_GO, _ALREADY_THERE, _REFUSED = 0, 1, 2


class Checkpointer:
    """Saves states under `<directory>/<step>/` in the background; use it as a context manager.

    Args:
        directory: the `checkpoints` folder of a run; created.
        keep: complete steps left on disk, the newest; 2 survives damage to one of them.
        close_timeout_s: how long `close` waits for a save before giving it up.
    """

    def __init__(self, directory: Path | str, keep: int = 2, close_timeout_s: float = 600.0):
        require(
            keep >= 1, f"keep is {keep}, expected at least 1; set it to 2 to survive a damaged step"
        )
        self.directory = Path(directory).absolute()
        self.keep = keep
        self.close_timeout_s = close_timeout_s
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            # Held open: the number of a deleted folder is given to the next one that is made.
            self._folder: int | None = os.open(
                self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            )
        except OSError as error:
            raise InputError(
                f"{directory} cannot be made ({error.strerror}); use another workdir"
            ) from None
        # see workdir.hold; a folder without one is not watched
        self._lock = self.directory.parent / LOCK_NAME
        self._lock_stat = _stat(self._lock)
        self._writer: Any = None  # see state_io.new_writer
        self._pending: _Pending | None = None

    def save(
        self, step: int, state: Any, record: Mapping[str, Any], spared: int | None = None
    ) -> bool:
        """Starts saving `state`, after the save before; arrays may be donated once it returns.

        Args:
            step: training step, >= 0.
            state: pytree of jax or numpy arrays, without typed random keys.
            record: JSON-ready facts for the manifest: config_hash, dataset_fingerprint, sessions,
                seed, versions, mesh.
            spared: an older step that stays beside the newest `keep`.

        Returns:
            True, or False when a complete checkpoint of this step is there already and nothing was
            written.

        Raises:
            CheckpointError: the save before failed, the disk lacks room or the folder vanished.
        """
        self.wait()
        # Refused here, in the training thread, rather than later in that of the save.
        record = json.loads(json.dumps(dict(record), allow_nan=False))
        if taken := manifest.RESERVED_KEYS & record.keys():
            raise ValueError(
                f"the record uses {sorted(taken)}, names that the manifest fills itself"
            )
        leaves = state_io.named_leaves(state)
        step_dir = self.directory / str(step)
        decision, reason = _GO, ""
        if jax.process_index() == 0:
            decision, reason = self._prepare(step_dir, sum(leaf.nbytes for leaf in leaves.values()))
        # Orbax's write is collective: one process that skips it would leave the others waiting.
        decision = state_io.from_process_0(decision)
        if decision == _ALREADY_THERE:
            return False
        if decision == _REFUSED:
            raise manifest.CheckpointError(
                f"step {step} was not saved: {reason or 'process 0 refused it'}"
            )
        try:
            self._writer = writer = self._writer or state_io.new_writer()
            state_io.start_writing(writer, step_dir / manifest.STATE_NAME, leaves)
        except Exception as error:
            self._writer = None
            raise manifest.CheckpointError(self._save_failed(step, error)) from error
        arrays = state_io.describe(leaves)
        self._pending = _Pending(step, lambda: self._finish(writer, step, arrays, record, spared))
        return True

    def poll(self) -> None:
        """For every step: costs nothing while a save runs; raises CheckpointError if it failed."""
        if self._pending is not None and not self._pending.thread.is_alive():
            self._collect()

    def wait(self) -> None:
        """Blocks until the save under way is on disk; raises CheckpointError if it failed."""
        if self._pending is not None:
            self._pending.thread.join()
            self._collect()

    def close(self) -> None:
        """Waits for the save under way, at most `close_timeout_s`, so that the process can end."""
        try:
            self._close_writer()
        finally:
            if self._folder is not None:
                os.close(self._folder)
                self._folder = None

    def _close_writer(self) -> None:
        if self._pending is not None:
            pending = self._pending
            pending.thread.join(self.close_timeout_s)
            if pending.thread.is_alive():
                self._pending = self._writer = None
                _exit_even_if_stuck(grace_s=10.0)
                raise manifest.CheckpointError(
                    f"the save of step {pending.step} did not end within {self.close_timeout_s:g} "
                    "s and was given up; older checkpoints stand; check the disk, then run again "
                    "to resume"
                )
            self._collect()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> "Checkpointer":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        try:
            self.close()
        except manifest.CheckpointError as close_error:
            if error is None:
                raise
            error.add_note(str(close_error))  # the first error is the one to show

    def _prepare(self, step_dir: Path, state_bytes: int) -> tuple[int, str]:
        """Process 0: whether to save; removes what a save cut short left under this step."""
        # Orbax makes missing folders: one moved or deleted during a save would come back, without
        # its run.
        if not self._stands():
            return (
                _REFUSED,
                f"{self.directory} is gone; restore the folder or start again in a new workdir",
            )
        if self._lock_stat and not _same(_stat(self._lock), self._lock_stat):
            return _REFUSED, (
                f"{self._lock} was deleted under the run, perhaps with the rest of the folder, "
                "and a second run may have started there; see that none has, then run again to "
                "resume"
            )
        # A run that went back a step comes past one it has saved; a whole one stays as it is.
        if (step_dir / manifest.MANIFEST_NAME).exists():
            return _ALREADY_THERE, ""
        try:
            if os.path.lexists(step_dir):
                manifest.delete_step(step_dir)
            free = shutil.disk_usage(self.directory).free
        except OSError as error:
            return (
                _REFUSED,
                f"{self.directory} cannot be written ({error.strerror}); check the disk",
            )
        # Before anything is written: a full disk in the middle would cost the metrics too.
        if free < FREE_SPACE_FACTOR * state_bytes:
            return _REFUSED, (
                f"{self.directory} has {free / 1e6:.1f} MB free, expected {FREE_SPACE_FACTOR} "
                f"times the state's {state_bytes / 1e6:.1f} MB; free some space and run again to "
                "resume"
            )
        return _GO, ""

    def _finish(
        self,
        writer: Any,
        step: int,
        arrays: Mapping[str, Any],
        record: Mapping[str, Any],
        spared: int | None,
    ) -> None:
        """In a save's thread: waits for orbax, publishes the manifest, deletes old steps."""
        writer.wait_until_finished()
        if not self._stands():
            raise FileNotFoundError(f"{self.directory} is gone")
        if jax.process_index() == 0:
            # A step counts once its manifest is there; only then may older ones go.
            manifest.write_manifest(self.directory / str(step), step, arrays, record)
            manifest.retire_old_steps(self.directory, self.keep, spared)

    def _stands(self) -> bool:
        """Whether the folder is still the one that was opened, under its name."""
        return self._folder is not None and _same(_stat(self.directory), _stat(self._folder))

    def _collect(self) -> None:
        pending, self._pending = self._pending, None
        if pending.error is not None:
            self._writer = None  # orbax keeps state of a failed save: begin the next one afresh
            raise manifest.CheckpointError(
                self._save_failed(pending.step, pending.error)
            ) from pending.error

    def _save_failed(self, step: int, error: BaseException) -> str:
        """One sentence; of what the storage says of a disk, the reason alone."""
        reason = next(
            (said for said in _SAID_OF_A_DISK if said in str(error)), state_io.one_line(error)
        )
        return (
            f"the checkpoint of step {step} could not be written to {self.directory} ({reason}); "
            "older checkpoints stand; check the disk, then run again to resume"
        )


def _stat(place: Path | int) -> os.stat_result | None:
    try:
        return os.stat(place)
    except OSError:
        return None


def _same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    """Whether two are of one file; a file that is gone is no other's equal."""
    return one is not None and other is not None and os.path.samestat(one, other)


class _Pending:
    """One save under way: a daemon thread and the error it met."""

    def __init__(self, step: int, work: Callable[[], None]):
        self.step = step
        self.error: BaseException | None = None
        # A daemon: a save that hangs on a dead disk must not keep the process from ending.
        self.thread = threading.Thread(
            target=self._run, args=(work,), name=f"checkpoint_{step}", daemon=True
        )
        self.thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        # reported by poll(), wait() or close() in the training thread
        except BaseException as error:
            self.error = error


def _exit_even_if_stuck(grace_s: float) -> None:
    """Ends the process even if one of orbax's threads, which Python waits for, never ends."""

    def watch() -> None:
        threading.main_thread().join()
        time.sleep(grace_s)
        # os._exit flushes nothing.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)

    threading.Thread(target=watch, name="exit_watchdog", daemon=True).start()
