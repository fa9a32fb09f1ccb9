"""Reading checkpoints back: the newest one that is whole, onto whatever devices there are now."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from neurojax.errors import InputError
from neurojax.train import manifest as manifests
from neurojax.train import state_io
from neurojax.train.manifest import (
    MANIFEST_NAME,
    STATE_NAME,
    CheckpointError,
    read_manifest,
    steps_on_disk,
    verify_step,
)


def restore_latest(
    directory: Path | str, abstract_state: Any, log: Callable[[str], Any] = print, quarantine: bool = True
) -> tuple[Any, dict[str, Any]] | None:
    """Restores the newest checkpoint that passes verification.

    A damaged step is renamed to `<step>.damaged-<k>` (with `quarantine`; readers of someone else's
    run pass False), a line is logged and the next older one is tried.

    Args:
        directory: the `checkpoints` folder of a run.
        abstract_state: pytree of jax.ShapeDtypeStruct; each leaf lands on its `sharding` (without one, on
            the first device).
        log: takes one line.
        quarantine: rename what is damaged.

    Returns:
        (state, manifest), or None when the run has no checkpoint yet.

    Raises:
        InputError: every checkpoint is damaged, or names, shapes or dtypes differ from `abstract_state`.
    """
    directory = Path(directory).absolute()
    step = _newest_good_step(directory, log, quarantine)
    if step is None:
        return None
    manifest = read_manifest(directory / str(step))
    wanted = state_io.named_leaves(abstract_state)
    _require_same_arrays(directory / str(step), manifest["arrays"], state_io.describe(wanted))
    first_device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    targets = {}
    for name, leaf in wanted.items():
        sharding = getattr(leaf, "sharding", None) or first_device
        targets[name] = jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
    restored = _read(directory / str(step), targets)
    state = jax.tree.unflatten(jax.tree.structure(abstract_state), [restored[name] for name in wanted])
    return state, manifest


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
        if step is None:
            raise InputError(f"{directory} holds no checkpoint; train first or check the path")
    elif problems := verify_step(directory / str(step)):
        raise InputError(f"checkpoint {step} in {directory} is damaged: {problems[0]}; use another step")
    manifest = read_manifest(directory / str(step))
    targets = {  # shape and dtype without the memory
        name: np.broadcast_to(np.zeros((), jax.numpy.dtype(entry["dtype"])), entry["shape"])
        for name, entry in manifest["arrays"].items()
    }
    return _read(directory / str(step), targets), manifest


def _newest_good_step(directory: Path, log: Callable[[str], Any], quarantine: bool) -> int | None:
    """Process 0 verifies and decides; all processes get its answer."""
    step, damaged = -1, []
    if jax.process_index() == 0:
        complete = steps_on_disk(directory)
        for unfinished in manifests.unfinished_steps(directory):
            if not complete or unfinished > complete[-1]:
                log(f"checkpoint {unfinished} was not finished (stopped while saving); it is not used")
        for candidate in reversed(complete):
            problems = verify_step(directory / str(candidate))
            if not problems:
                step = candidate
                break
            damaged.append(candidate)
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            fate = _set_aside(directory / str(candidate)) if quarantine else "skipped"
            log(f"checkpoint {candidate} is damaged: {problems[0]}{more}; {fate}, trying the next older one")
        if step < 0 and (damaged or manifests.quarantined(directory)):
            step = -2
    step = state_io.from_process_0(step)
    if step == -2:
        raise InputError(
            f"every checkpoint in {directory} is damaged, expected at least one whole; "
            "restore a copy of a step folder, or start again in a new workdir"
        )
    return None if step < 0 else step


def _set_aside(step_dir: Path) -> str:
    try:
        return f"kept as {manifests.quarantine(step_dir).name}"
    except OSError as error:
        return f"left in place ({error.strerror})"


def _require_same_arrays(step_dir: Path, saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    differences = [f"{name} is only in the checkpoint" for name in sorted(saved.keys() - wanted.keys())]
    differences += [f"{name} is only in the model" for name in sorted(wanted.keys() - saved.keys())]
    for name in sorted(saved.keys() & wanted.keys()):
        there, here = (f"{entry.get('dtype')} {entry.get('shape')}" for entry in (saved[name], wanted[name]))
        if there != here:
            differences.append(f"{name} is {there} in the checkpoint, {here} in the model")
    if differences:
        more = f"; and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise InputError(
            f"checkpoint {step_dir} does not fit the model: {'; '.join(differences[:5])}{more}; "
            "use the config and data of that run, or a new workdir"
        )


def _read(step_dir: Path, targets: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return state_io.read_arrays(step_dir / STATE_NAME, targets)
    except Exception as error:
        raise CheckpointError(
            f"{step_dir} is whole but cannot be restored ({state_io.one_line(error)}); "
            f"compare the versions in its {MANIFEST_NAME}"
        ) from error
