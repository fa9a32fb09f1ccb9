"""Compiled programs kept between commands: the second start of a run does not compile again.

jax keeps them in a folder, but a process that is killed while it writes one leaves a torn entry
that is never replaced, and nothing is ever removed. Both are put right here, before a command
begins.
"""

import contextlib
import hashlib
import os
import platform
import stat
import sys
import time
import zlib
from pathlib import Path

MAX_BYTES = 2 * 2**30
MIN_COMPILE_S = "0.3"  # programs that compile faster are not worth a file
OFF = ("0", "false", "off", "no", "n", "f")
_ZSTD = b"\x28\xb5\x2f\xfd"  # what an entry begins with where Python has zstd


def keep_compiled() -> None:
    """Names the folder in the environment, before jax is imported; in what jax is told already,
    nothing changes.

    `JAX_COMPILATION_CACHE_DIR=DIR` chooses another folder, `JAX_ENABLE_COMPILATION_CACHE=false`
    keeps nothing. A home that cannot be written keeps nothing either. A folder in which others can
    write is not used, whoever named it: what lies there is run.
    """
    is_off = os.environ.get("JAX_ENABLE_COMPILATION_CACHE", "true").lower() in OFF
    named = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if is_off or named is not None:
        if named and not is_off and (reason := untrusted(Path(named))):
            _leave_out(reason)
        return
    try:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = caches / "neurojax" / f"compiled_{_processor()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if reason := untrusted(folder):
            _leave_out(reason)
            return
        tidy(folder)
    except (OSError, RuntimeError):
        return
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", MIN_COMPILE_S)


def untrusted(folder: Path) -> str | None:
    """Why programs in a folder are not run: others than its user can put some there. None where
    nothing speaks against them, or where the folder is not there yet or in a store."""
    try:
        facts = folder.stat()
    except OSError:
        return None
    if facts.st_uid not in (os.getuid(), 0):
        return f"{folder} belongs to user {facts.st_uid}, not to you ({os.getuid()})"
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others can write in {folder} (mode {stat.filemode(facts.st_mode)})"
    return None


def _leave_out(reason: str) -> None:
    """Keeps and takes no compiled programs in this command, and says why."""
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    print(
        f"neurojax: compiled programs are neither kept nor taken: {reason}; chmod 700 it, or set "
        "JAX_COMPILATION_CACHE_DIR to a folder of your own",
        file=sys.stderr,
    )


def tidy(folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Removes torn entries among those written since the last call, and the oldest ones beyond
    `max_bytes`.

    Raises:
        OSError: the folder cannot be written.
    """
    began_s, checked = time.time(), folder / "checked"
    known_s = checked.stat().st_mtime if checked.exists() else 0.0
    entries = []
    for path in folder.glob("*-cache"):
        with contextlib.suppress(FileNotFoundError):  # another command tidies too
            facts = path.stat()
            if facts.st_mtime >= known_s and not _is_whole(path):
                path.unlink()
            else:
                entries.append((facts.st_mtime, facts.st_size, path))
    left = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if left <= max_bytes:
            break
        path.unlink(missing_ok=True)
        left -= size
    checked.touch()
    os.utime(checked, (began_s, began_s))  # an entry written meanwhile is looked at next time


def _is_whole(path: Path) -> bool:
    content = path.read_bytes()
    if content.startswith(_ZSTD):
        return True  # left to jax, which compiles again when it cannot read an entry
    try:
        zlib.decompress(content)
    except zlib.error:
        return False
    return True


def _processor() -> str:
    """Programs for a CPU use what that CPU can do; hosts that share a home may differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        found = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        found = platform.processor()
    return hashlib.sha256(f"{platform.machine()} {found}".encode()).hexdigest()[:12]
