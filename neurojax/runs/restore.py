"""Reading checkpoints back: the newest one that is whole, onto whatever devices there are now."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from neurojax.errors import InputError, require
from neurojax.runs import state_io
from neurojax.runs.manifest import (
    MANIFEST_NAME,
    STATE_NAME,
    CheckpointError,
    quarantined,
    read_manifest,
    steps_on_disk,
    unfinished_steps,
    verify_step,
)
from neurojax.runs.manifest import quarantine as move_aside

# Weights and their moments hardly compress; a state of zeros, as a test has, does.
MIN_STATE_BYTES, MAX_EXPANSION = 64 << 20, 100
_NUMBERS = {
    name: np.dtype(getattr(jax.numpy, name))
    for name in (
        *("bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("bfloat16", "float16", "float32", "float64"),
    )
}
_NUMBERS["bool"] = _NUMBERS.pop("bool_")


def restore_latest(
    directory: Path | str,
    abstract_state: Any,
    log: Callable[[str], Any] = print,
    quarantine: bool = True,
    judge: Callable[[Mapping[str, Any]], Any] = lambda manifest: None,
) -> tuple[Any, dict[str, Any]] | None:
    """Restores the newest checkpoint that passes verification.

    A damaged step is renamed to `<step>.damaged-<k>` (with `quarantine`; readers of someone else's
    run pass False), a line is logged and the next older one is tried.

    Args:
        directory: the `checkpoints` folder of a run.
        abstract_state: pytree of jax.ShapeDtypeStruct; each leaf lands on its `sharding` (without
            one, on the first device).
        log: takes one line.
        quarantine: rename what is damaged.
        judge: takes the manifest of the one that is whole, and may refuse it.

    Returns:
        (state, manifest), or None when the run has no checkpoint yet.

    Raises:
        InputError: every checkpoint is damaged, or names, shapes or dtypes differ from
            `abstract_state`.
    """
    directory = Path(directory).absolute()
    step = _newest_good_step(directory, log, quarantine)
    if step is None:
        return None
    step_dir = directory / str(step)
    manifest = read_manifest(step_dir)
    judge(manifest)
    wanted = state_io.named_leaves(abstract_state)
    # By name and before anything is read, so that an error says which arrays differ.
    _require_same_arrays(step_dir, manifest["arrays"], state_io.describe(wanted))
    first_device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    targets = {}
    for name, leaf in wanted.items():
        sharding = getattr(leaf, "sharding", None) or first_device
        targets[name] = jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
    restored = _read(step_dir, targets)
    leaves = [restored[name] for name in wanted]
    return jax.tree.unflatten(jax.tree.structure(abstract_state), leaves), manifest


def newest_manifest(directory: Path | str) -> dict[str, Any] | None:
    """The manifest of the newest checkpoint that is whole; None where none is."""
    directory = Path(directory).absolute()
    for step in reversed(steps_on_disk(directory)):
        if not verify_step(directory / str(step)):
            return read_manifest(directory / str(step))
    return None


def set_aside_newer(
    directory: Path | str, step: int | None, log: Callable[[str], Any] = print
) -> None:
    """Renames the checkpoints newer than `step`, the newest that is whole: they are damaged, and
    the run goes on past them. None where there is no checkpoint."""
    directory = Path(directory).absolute()
    if jax.process_index() or step is None:
        return
    for newer in [found for found in steps_on_disk(directory) if found > step]:
        log(f"checkpoint {newer} is damaged: {_set_aside(directory / str(newer))}")


def load_arrays(
    directory: Path | str, step: int | None = None, log: Callable[[str], Any] = print
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads a checkpoint on the host without knowing its tree: (path -> array, manifest).

    Takes the newest step that passes verification, or `step`, which must; renames nothing.
    Raises InputError when there is none.
    """
    directory = Path(directory).absolute()
    if step is None:
        step = _newest_good_step(directory, log, quarantine=False)
        require(step is not None, f"{directory} holds no checkpoint; train first or check the path")
    # A step asked for by number is never replaced by another: damage is an error.
    elif problems := verify_step(directory / str(step)):
        raise InputError(
            f"checkpoint {step} in {directory} is damaged: {problems[0]}; use another step"
        )
    step_dir = directory / str(step)
    manifest = read_manifest(step_dir)
    targets = _credible_targets(step_dir, manifest)
    _require_stored(step_dir, targets)
    return _read(step_dir, targets), manifest


def _credible_targets(step_dir: Path, manifest: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Name -> shape and dtype without the memory, of a manifest that may come from anywhere.

    Raises InputError on a name that is no path inside the state, a type that is no number, or sizes
    that the files could not fill.
    """
    targets: dict[str, np.ndarray] = {}
    size_on_disk = sum(path.stat().st_size for path in step_dir.rglob("*") if path.is_file())
    left = MIN_STATE_BYTES + MAX_EXPANSION * size_on_disk
    for name, entry in manifest["arrays"].items():
        shape, dtype = entry.get("shape"), _NUMBERS.get(str(entry.get("dtype")))
        is_path = all(part not in ("", ".", "..") for part in name.split("/")) and "\0" not in name
        is_shape = (
            isinstance(shape, list)
            and len(shape) <= 16
            and all(type(n) is int and n >= 0 for n in shape)
        )
        require(
            is_path and is_shape and dtype,
            f"{step_dir}: {str(name)[:80]!r} is {str(entry)[:80]}, no array of a state; use "
            "another step",
        )
        left -= math.prod(shape) * dtype.itemsize
        require(
            left >= 0,
            f"{step_dir}: the arrays up to {name[:80]!r} would take far more than the "
            f"{size_on_disk:,} bytes on disk can hold; use another step",
        )
        # One zero with strides of 0: a shape and a dtype, without the memory that they claim.
        targets[name] = np.broadcast_to(np.zeros((), dtype), shape)
    return targets


def _require_stored(step_dir: Path, targets: Mapping[str, np.ndarray]) -> None:
    """Raises InputError unless the files hold what the manifest says: readers allocate that."""
    try:
        stored = state_io.stored_arrays(step_dir / STATE_NAME)
    except Exception as error:
        raise CheckpointError(
            f"{step_dir} cannot be read ({state_io.one_line(error)}); use another step"
        ) from error
    wanted = {name: target for name, target in targets.items() if target.size}
    for name in sorted(wanted.keys() | stored.keys()):
        expected = (
            (wanted[name].shape, str(wanted[name].dtype)) if name in wanted else "no such array"
        )
        shape, dtype, chunk = stored.get(name, ((), "absent", ()))
        # A reader allocates whole chunks, so that one larger than its array could fill memory.
        chunk_fits = len(chunk) == len(shape) and all(
            part <= size for part, size in zip(chunk, shape, strict=True)
        )
        require(
            (shape, dtype) == expected and chunk_fits,
            f"{step_dir}: the files hold {name[:80]!r} as {dtype} {list(shape)}, the manifest "
            f"says {expected}; use another step",
        )


def _newest_good_step(directory: Path, log: Callable[[str], Any], quarantine: bool) -> int | None:
    """Process 0 verifies and decides; all processes get its answer."""
    step = -1
    if jax.process_index() == 0:
        complete = steps_on_disk(directory)
        for unfinished in unfinished_steps(directory):
            # An older leftover was already replaced by a later save; it is not worth a line.
            if not complete or unfinished > complete[-1]:
                log(
                    f"checkpoint {unfinished} was not finished (stopped while saving); it is not "
                    "used"
                )
        for candidate in reversed(complete):
            problems = verify_step(directory / str(candidate))
            if not problems:
                step = candidate
                break
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            fate = _set_aside(directory / str(candidate)) if quarantine else "skipped"
            log(
                f"checkpoint {candidate} is damaged: {problems[0]}{more}; {fate}, trying the next "
                "older one"
            )
        if step < 0 and (complete or quarantined(directory)):
            step = -2
    # One number for all processes: a step, -1 without a checkpoint, -2 without a whole one.
    step = state_io.from_process_0(step)
    require(
        step != -2,
        f"every checkpoint in {directory} is damaged, expected at least one whole; restore a copy "
        "of a step folder, or start again in a new workdir",
    )
    return None if step < 0 else step


def _set_aside(step_dir: Path) -> str:
    try:
        return f"kept as {move_aside(step_dir).name}"
    except OSError as error:
        return f"left in place ({error.strerror})"


def _require_same_arrays(
    step_dir: Path, saved: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    differences = [
        f"{name} is only in the checkpoint" for name in sorted(saved.keys() - wanted.keys())
    ]
    differences += [f"{name} is only in the model" for name in sorted(wanted.keys() - saved.keys())]
    for name in sorted(saved.keys() & wanted.keys()):
        there, here = (f"{e.get('dtype')} {e.get('shape')}" for e in (saved[name], wanted[name]))
        if there != here:
            differences.append(f"{name} is {there} in the checkpoint, {here} in the model")
    more = f"; and {len(differences) - 5} more" if len(differences) > 5 else ""
    require(
        not differences,
        f"checkpoint {step_dir} does not fit the model: {'; '.join(differences[:5])}{more}; use "
        "the config and data of that run, or a new workdir",
    )


def _read(step_dir: Path, targets: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return state_io.read_arrays(step_dir / STATE_NAME, targets)
    except Exception as error:
        raise CheckpointError(
            f"{step_dir} is whole but cannot be restored ({state_io.one_line(error)}); compare "
            f"the versions in its {MANIFEST_NAME}"
        ) from error
