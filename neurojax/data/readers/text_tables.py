"""Small files of text: tables with a line of names (.csv, .tsv), JSON."""

import csv
import json
import re
from pathlib import Path
from typing import Any

from neurojax.data.store.array_files import MAX_FILE_BYTES, open_input
from neurojax.errors import InputError, require

_MAX_TEXT_BYTES = 2**26
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def read_rows(path: Path) -> tuple[list[dict[str, str]], int]:
    """Rows of a .tsv or .csv file with a header, blanks around cells removed, and how many others
    have more or fewer cells than the header. The header says what separates cells.

    Raises:
        InputError: not text, too large, or empty.
    """
    lines = read_text(path).splitlines()
    mark = separator_of(next((line for line in lines if line.strip()), ""))
    cells = [cells_of(line, mark) for line in lines]
    rows = [row for row in cells if any(row)]
    require(rows, f"{path} is empty; expected a line of names and one line a row")
    names = named_once(rows[0], path)
    # editors leave separators behind the last cell
    trimmed = [row[: len(names)] if not any(row[len(names) :]) else row for row in rows[1:]]
    whole = [row for row in trimmed if len(row) == len(names)]
    return [dict(zip(names, row, strict=True)) for row in whole], len(rows) - 1 - len(whole)


def named_once(names: list[str], path: Path) -> list[str]:
    """The cells of a line of names; raises InputError where they name a column twice or none."""
    given = [name for name in names if name]
    require(
        given and len(set(given)) == len(given), f"{path} names a column twice or none; rename one"
    )
    return names


def separator_of(header: str) -> str:
    """What separates the cells of a table, as its line of names tells."""
    return next((mark for mark in ("\t", ",", ";") if mark in header), ",")


def cells_of(line: str, mark: str) -> list[str]:
    """Cells of one line, without blanks around them. A quote that nothing closes is a letter: it
    must not swallow the lines behind it."""
    if line.count('"') % 2 == 0 and '"' in line:
        try:
            return [cell.strip() for cell in next(csv.reader([line], delimiter=mark))]
        except csv.Error:  # a cell longer than that module takes
            pass
    cells = [cell.strip() for cell in line.rstrip("\r\n").split(mark)]
    return [c[1:-1].strip() if len(c) > 1 and c[0] == c[-1] == '"' else c for c in cells]


def read_json(path: Path) -> Any:
    """Content of a JSON file."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} cannot be read as JSON ({str(error)[:80]}); save the sorting again"
        ) from None


def read_text(path: Path) -> str:
    """Content of a file of text of a sane size."""
    with open_input(path) as file:
        require(
            path.stat().st_size <= min(_MAX_TEXT_BYTES, MAX_FILE_BYTES),
            f"{path} has {path.stat().st_size} bytes, more than such a file holds; check it",
        )
        try:
            return decoded(file.read())
        except (UnicodeDecodeError, OSError):
            raise InputError(f"{path} is not text; write it again") from None


def decoded(content: bytes) -> str:
    """Text of bytes: UTF-8, else what Windows programs write in Europe (Latin-1), which holds no
    control characters.

    Raises:
        UnicodeDecodeError: it is no text.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if _CONTROL.search(content):
            raise
        return content.decode("latin-1")
