"""The manifest that makes a folder a checkpoint, and what is done to folders that fail it.

    <checkpoints>/<step>/state/...                 written by orbax, renamed into place when whole
    <checkpoints>/<step>/neurojax_manifest.json    written last; without it the folder is a leftover
    <checkpoints>/<step>.damaged-<k>/              failed verification; kept for a person to see
    <checkpoints>/.<step>.deleting/                on its way out; a killed deletion is resumed

A flipped bit in a tensor file restores silently as a wrong number, hence a checksum of every byte,
the manifest's own included. The checksums find damage; they are no defence against a forger.
"""

import contextlib
import datetime
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from neurojax.errors import InputError, require
from neurojax.files import fsync_folder, sha256_file, write_bytes

MANIFEST_NAME = "neurojax_manifest.json"
STATE_NAME = "state"
SCHEMA = 1
MAX_MANIFEST_BYTES = 64 << 20
FOREIGN = "is not in the manifest"  # how the problem of an extra file ends
RESERVED_KEYS = frozenset({"schema", "step", "saved_utc", "arrays", "files", "manifest_sha256"})

_NO_DIGEST = "0" * 64
_STEP_NAME = re.compile(r"0|[1-9][0-9]{0,17}")
_DELETING_NAME = re.compile(r"\.[0-9]+\.deleting")


class CheckpointError(InputError):
    """A checkpoint could not be written or read: full disk, vanished folder, failed write."""


class DamagedManifestError(InputError):
    """A manifest that is missing or is not what was written."""


def write_manifest(
    step_dir: Path, step: int, arrays: Mapping[str, Any], record: Mapping[str, Any]
) -> None:
    """Hashes and fsyncs every file below `step_dir`, then publishes the manifest in one rename.

    Args:
        step_dir: a folder whose content is final.
        step: the training step it holds.
        arrays: name -> {"shape": [...], "dtype": "float32"} of every array of the state.
        record: JSON-ready facts of the run; its keys land at the top level of the manifest.
    """
    files = {}
    for path in sorted(_files_below(step_dir)):
        # A rename may reach the disk before the data do: without fsync a power cut could leave a
        # manifest beside empty files.
        with path.open("rb") as file:
            os.fsync(file.fileno())
        name = path.relative_to(step_dir).as_posix()
        files[name] = {"size": path.stat().st_size, "sha256": sha256_file(path)}
    for folder, _, _ in os.walk(step_dir, topdown=False):
        fsync_folder(Path(folder))
    # The folder's own entry, too: a file without a name in it is lost.
    fsync_folder(step_dir.parent)
    content = {
        "schema": SCHEMA,
        "step": step,
        "saved_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **record,
        "arrays": dict(arrays),
        "files": files,
        "manifest_sha256": _NO_DIGEST,
    }
    # The digest is of the file with zeros in its own place, which it then takes.
    blank = (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()
    digest = hashlib.sha256(blank).hexdigest()
    write_bytes(step_dir / MANIFEST_NAME, _with_digest(blank, _NO_DIGEST, digest))


def read_manifest(step_dir: Path) -> dict[str, Any]:
    """Reads and checks the manifest of one step.

    Raises:
        DamagedManifestError: missing or not what was written.
        InputError: it may not be read, or another version of neurojax wrote it.
    """
    path = step_dir / MANIFEST_NAME
    damaged = DamagedManifestError(f"{path} is damaged; use another step")
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise damaged
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DamagedManifestError(
            f"{path} is missing, so this is no checkpoint; use another step"
        ) from None
    except PermissionError:
        raise InputError(f"{path} may not be read; fix its permissions") from None
    except OSError as error:
        raise DamagedManifestError(
            f"{path} cannot be read ({error.strerror}); use another step"
        ) from None
    try:
        content = json.loads(raw)
        digest = content["manifest_sha256"]
        known = re.fullmatch(r"[0-9a-f]{64}", digest)
        blank = _with_digest(raw, digest, _NO_DIGEST)
        sound = known and hashlib.sha256(blank).hexdigest() == digest
    except (ValueError, TypeError, KeyError, RecursionError):
        sound = False
    if not sound:
        raise damaged
    require(
        content.get("schema") == SCHEMA,
        f"{path} has schema {content.get('schema')!r}, expected {SCHEMA}; update neurojax",
    )
    tables = (content.get("files"), content.get("arrays"))
    if not isinstance(content.get("step"), int) or not all(map(_is_table, tables)):
        raise damaged
    return content


def verify_step(step_dir: Path | str) -> list[str]:
    """Compares every byte below a step folder with its manifest.

    Returns:
        one line a problem: a missing, extra or linked file, a wrong size, a wrong hash, a damaged
        manifest. Empty when the checkpoint is what was saved.

    Raises:
        InputError: a file may not be read, or the manifest's schema is unknown; neither means
            damage.
    """
    step_dir = Path(step_dir)
    if step_dir.is_symlink():
        return [f"{step_dir} is a link, expected a folder"]
    try:
        manifest = read_manifest(step_dir)
    except DamagedManifestError as error:
        return [str(error)]
    problems = []
    # A folder that was renamed, or copied to where another step belongs.
    if str(manifest["step"]) != step_dir.name:
        problems.append(f"the manifest is that of step {manifest['step']}")
    found = {path.relative_to(step_dir).as_posix(): path for path in _files_below(step_dir)}
    problems += [f"{name} is missing" for name in sorted(manifest["files"].keys() - found.keys())]
    # Only paths met on the walk are opened: a hostile manifest cannot name one outside the folder.
    for name, path in sorted(found.items()):
        problems += _compare_file(name, path, manifest["files"].get(name))
    return problems


def steps_on_disk(directory: Path | str) -> list[int]:
    """Steps that have a manifest, ascending; whether they are whole is what `verify_step` says."""
    return _steps(Path(directory), has_manifest=True)


def unfinished_steps(directory: Path | str) -> list[int]:
    """Steps whose save was cut short (a folder without a manifest), ascending."""
    return _steps(Path(directory), has_manifest=False)


def quarantined(directory: Path | str) -> list[str]:
    """Names of the folders set aside as damaged."""
    directory = Path(directory)
    return sorted(path.name for path in directory.glob("*.damaged-*")) if directory.is_dir() else []


def quarantine(step_dir: Path) -> Path:
    """Renames a damaged step out of the way, to `<step>.damaged-<k>`, and returns the new path."""
    k = 1
    while (aside := step_dir.with_name(f"{step_dir.name}.damaged-{k}")).exists():
        k += 1
    os.rename(step_dir, aside)
    fsync_folder(aside.parent)
    return aside


def delete_step(step_dir: Path) -> None:
    """Renames, then deletes: killed half-way, no half-empty step has a manifest."""
    # A rename is all or nothing, a deletion is not.
    doomed = step_dir.with_name(f".{step_dir.name}.deleting")
    shutil.rmtree(doomed, ignore_errors=True)
    os.rename(step_dir, doomed)
    fsync_folder(doomed.parent)
    shutil.rmtree(doomed, ignore_errors=True)


def retire_old_steps(directory: Path, keep: int, spared: int | None = None) -> None:
    """Deletes steps beyond the newest `keep`, save `spared`, older leftovers, half-deleted folders.

    A folder that cannot be deleted now (a reader on a network disk holds it) is left for the next
    call.
    """
    complete = steps_on_disk(directory)
    leftovers = [step for step in unfinished_steps(directory) if complete and step < complete[-1]]
    for step in [old for old in complete[:-keep] if old != spared] + leftovers:
        with contextlib.suppress(OSError):
            delete_step(directory / str(step))
    for path in list(directory.iterdir()):
        if _DELETING_NAME.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _with_digest(raw: bytes, old: str, new: str) -> bytes:
    """Swaps the last occurrence of a digest; the field is written last."""
    head, found, tail = raw.rpartition(old.encode())
    return head + new.encode() + tail if found else raw


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values())


def _compare_file(name: str, path: Path, expected: Mapping[str, Any] | None) -> list[str]:
    if expected is None:
        return [f"{name} {FOREIGN}"]
    if path.is_symlink():
        return [f"{name} is a link, expected a file"]
    try:
        # Sizes before digests: most damage is a file cut short, which costs no reading.
        size = path.stat().st_size
        if size != expected.get("size"):
            return [f"{name} has {size} bytes, expected {expected.get('size')}"]
        same = sha256_file(path) == expected.get("sha256")
    except PermissionError:
        raise InputError(f"{path} may not be read; fix its permissions") from None
    except OSError as error:
        return [f"{name} cannot be read ({error.strerror})"]
    return [] if same else [f"{name} differs from what was saved (sha256)"]


def _files_below(step_dir: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(step_dir):  # os.walk does not enter linked folders
        links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        for name in names + links:
            path = Path(folder, name)
            if path != step_dir / MANIFEST_NAME:
                yield path


def _steps(directory: Path, has_manifest: bool) -> list[int]:
    folders = [path for path in directory.iterdir() if path.is_dir()] if directory.is_dir() else []
    return sorted(
        int(path.name)
        for path in folders
        if _STEP_NAME.fullmatch(path.name) and (path / MANIFEST_NAME).is_file() == has_manifest
    )
