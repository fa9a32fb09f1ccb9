"""One run, one folder: its lock, its config, and whether a second start is the same run.

<workdir>/.lock          held with flock while a run lives; the kernel drops it with the process
<workdir>/config.json    the config, plus under "run" what the checkpoints rest on
"""

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.errors import InputError, require
from neurojax.files import (
    json_bytes,
    read_json,
    remove_leftovers,
    require_text,
    told,
    write_bytes,
)
from neurojax.runs import together
from neurojax.runs.manifest import DamagedManifestError, read_manifest, steps_on_disk
from neurojax.runs.versions import package_versions
from neurojax.runs.versions import provenance as provenance  # experiments look for it here

LOCK_NAME = ".lock"
MAX_HOLDER_BYTES = 4096
CONFIG_NAME = "config.json"
EXPORT_NAME = "model.safetensors"  # in a folder of `neurojax export`, which is no workdir
RUN_KEY = "run"
SCHEMA = 1

# The blocks of a config stand here and nowhere else. LEARNED says what is trained, and on what
# task; with seed and data it says what a set of weights is.
LEARNED = ("model", "objective", "head", "optimizer")
OF_WEIGHTS = ("seed", "members", "data", *LEARNED)
BLOCKS = (*OF_WEIGHTS, "init_from", "sharding", "train", "eval")
PLAIN = ("seed", "members", "init_from")  # single values, where the others hold entries

# What may change under a checkpoint, entry by entry; all else decides what is learned, new blocks
# too. train.num_steps is among them so that a run can be made longer: a learning-rate schedule
# spread over num_steps then continues on the longer schedule from the step reached.
MAY_CHANGE = (
    *("sharding", "eval"),
    *("data.root", "data.placement", "data.num_threads"),  # where the bytes lie and how they travel
    *("train.num_steps", "train.most_passes", "train.log_every_steps", "train.save_every_steps"),
    *("train.validate_every_steps", "train.keep_checkpoints"),
)


@contextlib.contextmanager
def hold(workdir: Path | str, log: Callable[[str], Any] = print) -> Iterator[Path]:
    """Creates `workdir`, holds it until the context ends, and sweeps up after killed writers.

    With several processes on one workdir, the first alone holds it.

    Raises:
        InputError: the folder cannot be created or written, or another run holds it.
    """
    workdir = Path(workdir)
    require_text(workdir, "workdir")
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        # mkdir is content with a folder that is there, even one that may not be read.
        os.listdir(workdir)
        # No links followed: the target of one named .lock would be overwritten below.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(workdir / LOCK_NAME, flags, 0o644)
    except OSError as error:
        raise InputError(
            f"workdir {workdir} is not a folder that can be read and written ({error.strerror}); "
            "choose another --workdir or fix its permissions"
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"workdir {workdir} is in use by {_holder(descriptor)}; wait for that run, stop "
                "it, or choose another --workdir"
            ) from None
        except OSError as error:  # some network disks have no locks
            log(
                f"workdir {workdir} cannot be locked ({error.strerror}); see that no second run "
                "uses it"
            )
        # For people: the lock itself is the kernel's, this only says who to ask.
        before = os.pread(descriptor, MAX_HOLDER_BYTES, 0)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "started_utc": now}
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, (json.dumps(holder) + "\n").encode(), 0)
        except OSError as error:
            raise InputError(
                f"workdir {workdir} cannot be written ({error.strerror}); make room on its disk"
            ) from None
        remove_leftovers(workdir)
        _complete(workdir)
        try:
            yield workdir
        except InputError:
            if before:  # what is refused leaves no byte changed
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, before, 0)
            raise
    finally:
        # drops the lock; the file stays, removing it would race with the next run
        os.close(descriptor)


def _complete(workdir: Path) -> None:
    try:
        together.complete(workdir)
    except OSError as error:
        raise InputError(
            f"workdir {workdir}: a start that was killed cannot be completed {told(error)}"
        ) from None


def _holder(descriptor: int) -> str:
    try:
        found = json.loads(os.pread(descriptor, MAX_HOLDER_BYTES, 0))
        return f"process {found['pid']} on {found['host']} since {found['started_utc']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return "another run"


def require_blocks(config: Mapping[str, Any], where: str, blocks: Sequence[str] = BLOCKS) -> None:
    """Raises InputError for a config that lacks one of these blocks or has a value for one.

    Args:
        config: nested dict.
        where: names the config in the error.
        blocks: of BLOCKS.
    """
    missing = [block for block in blocks if block not in config]
    require(
        not missing,
        f"{where} has no {', '.join(missing)}; expected the blocks that every file of configs/ has",
    )
    for block in blocks:
        require(
            block in PLAIN or isinstance(config[block], dict),
            f"{where}: {block} is {str(config[block])[:40]}, expected a block as in configs/",
        )


def config_content(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a config that decides what is learned, in the types JSON has."""
    content = {name: value for name, value in config.items() if name not in MAY_CHANGE}
    for block, entry in (name.split(".") for name in MAY_CHANGE if "." in name):
        if isinstance(content.get(block), Mapping):
            content[block] = {
                name: value for name, value in content[block].items() if name != entry
            }
    # the weights it started from are known by their digest, wherever they lay
    if "finetune" in content:
        content.pop("init_from", None)
    # as are stored answers; a run of before they were has their folder instead
    if isinstance(content.get("data"), Mapping) and "answers_sha256" in content["data"]:
        content["data"] = {n: value for n, value in content["data"].items() if n != "answers"}
    return json.loads(json.dumps(content))


def config_hash(config: Mapping[str, Any]) -> str:
    """sha256 over `config_content`; equal for two runs that learn the same from the same data."""
    return hashlib.sha256(json.dumps(config_content(config), sort_keys=True).encode()).hexdigest()


def require_own_config(
    folder: Path, config: Mapping[str, Any], manifest: Mapping[str, Any]
) -> None:
    """Raises InputError unless a checkpoint was trained with this config, in all that counts."""
    trained = manifest.get("config_hash")
    require(
        trained in (None, config_hash(config)),
        f"{folder / CONFIG_NAME} has config_hash {config_hash(config)[:12]}, its checkpoint of "
        f"step {manifest.get('step')} was trained with {str(trained)[:12]}; undo the edit, or "
        "remove the file and repeat the train command, which writes it again",
    )


def config_diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """`masking.ratio: 0.3 in the run, 0.1 now`, one line for each entry that differs."""
    before, now = _flat(old), _flat(new)
    lines = []
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            was = f"{before[name]} in the run" if name in before else "not in the run"
            lines.append(f"{name}: {was}, {f'{now[name]} now' if name in now else 'absent now'}")
    return lines


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mappings -> dotted name: value as JSON; an empty mapping has no entry."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = json.dumps(value)
    return flat


def write_config(
    workdir: Path | str,
    config: Mapping[str, Any],
    dataset_fingerprint: str,
    session_fingerprints: Mapping[str, str],
    notes: tuple[str, ...] | list[str] = (),
) -> None:
    """Writes config.json atomically; see `config_bytes`."""
    content = config_bytes(workdir, config, dataset_fingerprint, session_fingerprints, notes)
    write_bytes(Path(workdir) / CONFIG_NAME, content)


def config_bytes(
    workdir: Path | str,
    config: Mapping[str, Any],
    dataset_fingerprint: str,
    session_fingerprints: Mapping[str, str],
    notes: tuple[str, ...] | list[str] = (),
) -> bytes:
    """What config.json will hold; `notes` (more steps, changed data) join earlier ones."""
    if RUN_KEY in config:
        raise ValueError(f"config.{RUN_KEY} is a name that config.json uses itself")
    path = Path(workdir) / CONFIG_NAME
    # Notes are never replaced: what a run went through stays with it.
    earlier = read_run(workdir).get("notes", []) if path.exists() else []
    run = {
        "schema": SCHEMA,
        "config_hash": config_hash(config),
        "dataset_fingerprint": dataset_fingerprint,
        "sessions": dict(session_fingerprints),
        "notes": [*earlier, *notes],
        "versions": package_versions(),
    }
    return json_bytes({**config, RUN_KEY: run})


def read_config(workdir: Path | str) -> dict[str, Any]:
    """The config a run was started with; raises InputError when there is none."""
    return {
        key: value
        for key, value in read_json(Path(workdir) / CONFIG_NAME).items()
        if key != RUN_KEY
    }


def read_run(workdir: Path | str) -> dict[str, Any]:
    """What the run rests on: config_hash, dataset_fingerprint, sessions, notes, versions."""
    path = Path(workdir) / CONFIG_NAME
    run = read_json(path).get(RUN_KEY, {})
    parts = (("sessions", dict), ("notes", list)) if isinstance(run, dict) else ()
    require(
        parts and all(isinstance(run.get(name, kind()), kind) for name, kind in parts),
        f"{path} has a damaged entry {RUN_KEY!r}; restore it, or remove the file and train again",
    )
    return run


def require_same_run(
    workdir: Path | str,
    config: Mapping[str, Any],
    dataset_fingerprint: str,
    session_fingerprints: Mapping[str, str],
    allow_dataset_change: bool = False,
) -> list[str]:
    """Checks that a workdir that was trained in before goes on with the same model and data.

    Returns:
        what changed and may (a line each: more steps, data with `allow_dataset_change`), to be
        recorded with `write_config`; empty for a new workdir.

    Raises:
        InputError: what is learned differs (with the difference), or the data (naming the
            sessions).
    """
    workdir = Path(workdir)
    if not (workdir / CONFIG_NAME).exists():
        return _recovered(workdir, config_hash(config), dataset_fingerprint)
    old, run = read_config(workdir), read_run(workdir)
    differences = config_diff(config_content(old), config_content(config))
    require(
        not differences,
        f"the config differs from the one {workdir} was trained with: {'; '.join(differences)}; "
        "set these back, or use a new workdir",
    )
    notes = [line for line in config_diff(old, config) if line.startswith("train.num_steps:")]
    if run.get("dataset_fingerprint") in (None, dataset_fingerprint):
        return notes
    change = f"the data differ from those {workdir} was trained on: " + _session_changes(
        run.get("sessions", {}), session_fingerprints
    )
    require(
        allow_dataset_change,
        f"{change}; restore the data, use a new workdir, or continue with --allow_dataset_change",
    )
    return [*notes, change]


def _recovered(workdir: Path, hash_now: str, dataset_fingerprint: str) -> list[str]:
    """Lets a lost config.json be written again if a checkpoint has this config and data."""
    steps = steps_on_disk(workdir / "checkpoints")
    known = {"config_hash": hash_now, "dataset_fingerprint": dataset_fingerprint}
    for step in reversed(steps):
        try:
            saved = read_manifest(workdir / "checkpoints" / str(step))
        except DamagedManifestError:
            continue
        # The newest manifest that can be read decides: older steps may have had another config.
        if all(saved.get(name) == value for name, value in known.items()):
            same = f"checkpoint {step} has the same config and data"
            return [f"{CONFIG_NAME} was lost and written again; {same}"]
        break
    require(
        not steps,
        f"{workdir} has checkpoints but no {CONFIG_NAME}, and they were not made with this config "
        "on these data; restore the file, repeat the command that started the run, or use a new "
        "workdir",
    )
    return []


def _session_changes(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    found = {
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
        "missing": sorted(old.keys() - new.keys()),
        "new": sorted(new.keys() - old.keys()),
    }
    parts = [
        f"{what} {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"
        for what, names in found.items()
        if names
    ]
    return "; ".join(parts) or "the same sessions with another fingerprint"
