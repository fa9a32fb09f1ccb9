"""Text files as documents, one after another: no file has to fit into memory.

.txt     one document a file; with documents=lines one a line, with documents=blank_lines one
         between two blank lines
.jsonl   {"text": "..."} a line
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from neurojax.data.readers import json_lines
from neurojax.errors import InputError, require

KINDS = (".txt", ".jsonl")
CUTS = ("files", "lines", "blank_lines")
MAX_BYTES = 64 << 20  # of a document, and of a line


def find(paths: Sequence[str | Path]) -> list[Path]:
    """Text files that paths stand for: a file itself, or all below a folder, sorted.

    Raises:
        InputError: no path, one that does not exist, or a folder without a text file.
    """
    require(paths, "no paths; expected .txt or .jsonl files, or folders that hold them")
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            below = sorted(p for p in path.rglob("*") if p.suffix in KINDS and p.is_file())
            require(below, f"{path} holds no text; expected files {' or '.join(KINDS)}")
            found += below
            continue
        require(path.is_file(), f"{path} does not exist; expected a text file or a folder")
        require(
            path.suffix in KINDS,
            f"{path} is no text file that is known; expected {' or '.join(KINDS)}",
        )
        found.append(path)
    return found


def documents(files: Sequence[Path], cut: str) -> Iterator[str]:
    """The documents of text files, without blanks at their ends; empty ones are left out.

    Args:
        files: of `find`.
        cut: of CUTS, what parts .txt files.

    Raises:
        InputError: a file that cannot be read or is not UTF-8, a zero byte, a document or a line of
            more than 64 MiB, or a line of JSON without a text.
    """
    for path in files:
        try:
            with path.open("rb") as file:
                parts = _of_lines(file, path) if path.suffix == ".jsonl" else _of(file, path, cut)
                for number, content in parts:
                    text = content.strip()
                    where = f"{path}, line {number}"
                    require("\0" not in text, f"{where} has a zero byte; expected plain text")
                    if text:
                        yield text
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); name a file") from None


def _of(file: BinaryIO, path: Path, cut: str) -> Iterator[tuple[int, str]]:
    """(its last line, document) of a .txt file."""
    lines: list[str] = []
    size = number = 0
    for number, line in _lines(file, path):
        ends = cut == "lines" or (cut == "blank_lines" and not line.strip())
        lines.append(line)
        size += len(line)
        require(
            size <= MAX_BYTES,
            f"{path}, line {number}: a document of more than {MAX_BYTES >> 20} MiB; cut it with "
            "--options=documents=lines or documents=blank_lines",
        )
        if ends:
            yield number, "".join(lines)
            lines, size = [], 0
    yield number, "".join(lines)


def _of_lines(file: BinaryIO, path: Path) -> Iterator[tuple[int, str]]:
    """(line, document) of a .jsonl file."""
    for number, line in _lines(file, path):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        text = json_lines.entry_of(line, where).get("text")
        require(isinstance(text, str), f'{where} has no text; expected {{"text": "..."}}')
        yield number, text.encode("utf-8", "replace").decode()  # half of a surrogate pair is none


def _lines(file: BinaryIO, path: Path) -> Iterator[tuple[int, str]]:
    """(its number, line) of a file in UTF-8."""
    number = 0
    while line := file.readline(MAX_BYTES + 1):
        number += 1
        require(
            len(line) <= MAX_BYTES,
            f"{path}, line {number}: more than {MAX_BYTES >> 20} MiB without an end; cut the line",
        )
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path}, line {number} is not UTF-8; save it as UTF-8") from None
