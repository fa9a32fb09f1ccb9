"""Writing so that a killed process leaves the old file or the new one, never half of either."""

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from neurojax.errors import InputError, require

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux's renameat2
_MAX_NAME_BYTES, _MAX_PATH_BYTES = 255, 4096  # of Linux's file systems
_FULL = "free space"
_SHUT = "fix its permissions, or choose another folder"
_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "take a disk, or a limit of the shell, that allows files so large",
    errno.EACCES: _SHUT,
    errno.EPERM: _SHUT,
}


def fsync_folder(folder: Path) -> None:
    """Makes renames inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def told(error: OSError) -> str:
    """What the system says of a failed call, and what to do about it."""
    words = error.strerror or str(error) or type(error).__name__
    return f"({words}); {_REMEDIES.get(error.errno, 'choose another folder')}"


def as_path(given: Any, name: str) -> Path:
    """A path of what a caller gives.

    Args:
        given: text or a path.
        name: of the argument, for the message.

    Raises:
        InputError: neither, or no file system takes it: a zero byte, half of a surrogate pair, a
            name of more than 255 bytes.
    """
    require(
        isinstance(given, str | os.PathLike) and isinstance(os.fspath(given), str),
        f"{name} is {type(given).__name__}, expected a path",
    )
    try:
        in_bytes = os.fsencode(given)
    except UnicodeEncodeError:
        in_bytes = b"\0"
    longest = max(map(len, in_bytes.split(b"/")))
    require(
        b"\0" not in in_bytes and longest <= _MAX_NAME_BYTES and len(in_bytes) < _MAX_PATH_BYTES,
        f"{name} {os.fspath(given)[:60]!r} is no path that a file system takes; give another",
    )
    return Path(given)


def require_text(path: str | Path, name: str) -> None:
    """Raises InputError where a path is no text: its bytes are not valid UTF-8, and no file that
    records it could be written.

    Args:
        path: any path.
        name: of the option it came with, for the message.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise InputError(
            f"{name} {shown} is not valid UTF-8, so no record could name it; rename it"
        ) from None


def require_writable(path: Path, *, folder: bool = False) -> None:
    """Says before the work what would only show after it: that `path` cannot be written.

    Args:
        path: a file to be written, or with `folder` a folder of files; missing parents are fine.

    Raises:
        InputError: the nearest existing parent is no folder or is write-protected, or `path` is of
            the other kind.
    """
    require(
        folder or not path.is_dir(), f"{path} is a folder, expected the name of a file to write"
    )
    present = next(
        parent
        for parent in ([path] if folder else []) + [*path.absolute().parents]
        if parent.exists()
    )
    require(
        present.is_dir() and os.access(present, os.W_OK),
        f"{path} cannot be written: {present} is no folder or is write-protected; choose another",
    )


def write_bytes(path: Path, content: bytes) -> None:
    """Writes `content` to a temporary name beside `path`, fsyncs it and renames it over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _leftover_name(path)
    # 0o666 less the umask, as any other file: who asked for privacy has it.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file, held(temporary):
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)  # while it is held: let go of, it would be a leftover
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a write does not say where
            error.filename = str(path)
        raise
    fsync_folder(path.parent)


def _leftover_name(path: Path) -> Path:
    """A name beside `path` that `remove_leftovers` knows and nobody else takes."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def temporary_folder(final: Path) -> Path:
    """A new folder beside `final`, with the permissions that the umask gives (`mkdtemp` would let
    nobody else in, for ever)."""
    temporary = _leftover_name(final)
    temporary.mkdir()
    return temporary


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes strict JSON (a NaN is a defect, not a value) atomically."""
    write_bytes(path, json_bytes(content))


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """Strict JSON as `write_json` writes it."""
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()


def read_json(path: Path, max_bytes: int | None = None) -> dict[str, Any]:
    """Reads one JSON object; raises InputError that names the file when it is missing, damaged or
    longer than `max_bytes`."""
    # Before it is parsed: JSON takes many times its size in memory.
    if max_bytes is not None and path.is_file() and path.stat().st_size > max_bytes:
        raise InputError(
            f"{path} has {path.stat().st_size:,} bytes, expected at most {max_bytes:,}; use "
            "another copy"
        )
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} cannot be read as JSON ({error}); restore it or remove it"
        ) from None
    require(
        isinstance(content, dict),
        f"{path} holds a JSON {type(content).__name__}, expected an object; restore it or remove "
        "it",
    )
    return content


def publish_folder(temporary: Path, final: Path) -> None:
    """Fsyncs every file below `temporary`, then gives it the name `final`; what was there is
    removed.

    Both lie in one folder. On Linux the two names are exchanged in one call, so `final` is there at
    every moment. Where the system cannot, the old folder is set aside first: a process killed
    between the two renames leaves `final` missing, which readers report and the next conversion
    makes again.
    """
    for path in sorted(temporary.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    fsync_folder(temporary)
    if not final.exists():
        os.replace(temporary, final)
    elif not _exchange(temporary, final):
        retired = temporary_folder(final)
        os.replace(final, retired)
        os.replace(temporary, final)
        shutil.rmtree(retired)
    else:
        shutil.rmtree(temporary)
    fsync_folder(final.parent)


def _exchange(first: Path, second: Path) -> bool:
    """Exchanges two names in one step; False where the system or the file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    return (
        renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
        == 0
    )


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Marks a temporary file or folder as in use until the block or its process ends:
    `remove_leftovers` spares it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: its leftovers stay
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Removes what killed writers of `folder/name` left: temporary files and folders that no
    process holds.

    Without a name, those of every writer in this folder.
    """
    pattern = re.compile(rf"\.{re.escape(name) if name else '.+'}\.[a-z0-9_]{{8}}\.tmp")
    for path in (
        [path for path in folder.iterdir() if pattern.fullmatch(path.name)]
        if folder.is_dir()
        else []
    ):
        with contextlib.suppress(OSError):  # in use, or gone already
            # a named pipe would wait for a writer
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            finally:
                os.close(descriptor)


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes, read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
