"""Recordings that are one file each: found in folders, named by their stem, digested whole."""

import re
from pathlib import Path

from neurojax.data.store.array_files import open_input
from neurojax.data.store.session_rules import check_session_id
from neurojax.errors import require
from neurojax.files import sha256_file


def files_at(path: str, suffixes: tuple[str, ...], below: bool = False) -> list[str]:
    """A file stands for itself, a folder for its files of these suffixes.

    Args:
        path: of a file or a folder.
        suffixes: such as (".npz", ".mat").
        below: whether files in folders below count too.

    Raises:
        InputError: a folder without such a file.
    """
    folder = Path(path)
    if not folder.is_dir():
        return [path]
    entries = folder.rglob("*") if below else folder.iterdir()
    found = sorted(str(e) for e in entries if e.suffix in suffixes and e.is_file())
    require(found, f"{path} holds no {' or '.join(suffixes)} file; check the path")
    return found


def session_name(source: str) -> str:
    """The stem of the file's name; signs that no session id has become `_`."""
    stem = Path(source).stem
    return check_session_id(re.sub(r"[^A-Za-z0-9._-]", "_", stem).lstrip("._-")[:128] or stem)


def source_sha256(source: str) -> str:
    """Digest of the file."""
    with open_input(Path(source)):  # says what is wrong with it
        return sha256_file(Path(source))
