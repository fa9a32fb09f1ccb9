"""Text tables of ALF folders: .tsv, .csv and .htsv, as columns of numbers or text."""

import csv
import io
from pathlib import Path

import numpy as np

from neurojax.data.store.array_files import open_input
from neurojax.errors import InputError, require

SEPARATORS = {"csv": ",", "tsv": "\t", "htsv": "\t"}
_MAX_BYTES = 2**27
_MAX_TEXT = 256  # characters of a cell
# First lines of tables that hold text alone: names of columns, not values.
_NAMES = frozenset(
    {"acronym", "allen_ontology", "brainlocation", "group", "id", "label", "location", "name"}
    | {"cluster_id", "brain_region", "brain_area", "region", "area", "annotation"}
)


def read_text_table(path: Path, attribute: str) -> dict[str, np.ndarray]:
    """Columns by name: float64 [rows] where every cell is a number or empty (NaN), else str [rows].

    The first line names the columns when none of its cells is a number; without such a line
    (ALF's own .tsv) one column has the name of the file's attribute, several `attribute_0`, ...

    Raises:
        InputError: damaged, too large, no table, or no text.
    """
    rows = rows_of(path)
    names, is_named = names_of(rows, path, attribute)
    rows = rows[is_named:]
    for number, row in enumerate(rows):
        require(
            len(row) == len(names),
            f"{path}: row {number} has {len(row)} cells, expected {len(names)}; correct the table",
        )
    return {name: _values([row[k].strip() for row in rows]) for k, name in enumerate(names)}


def names_of(rows: list[list[str]], path: Path, attribute: str) -> tuple[list[str], bool]:
    """(names of the columns, whether the first line holds them), of the first two rows or more.

    Raises:
        InputError: no row, or two columns of one name.
    """
    require(rows, f"{path} is empty; expected a table")
    names, is_named = [cell.strip() for cell in rows[0]], _is_header(rows, path, attribute)
    if not is_named:
        single = len(names) == 1
        names = [attribute if single else f"{attribute}_{k}" for k in range(len(names))]
    require(
        len(set(names)) == len(names),
        f"{path} has columns of one name ({', '.join(names)[:100]}); name each differently",
    )
    return names, is_named


def rows_of(path: Path) -> list[list[str]]:
    """Cells of a text table as they stand, empty lines left out; InputError as of
    `read_text_table`."""
    with open_input(path) as file:
        content = file.read(_MAX_BYTES + 1)
    require(len(content) <= _MAX_BYTES, f"{path} has more than {_MAX_BYTES} bytes; too large")
    separator = SEPARATORS[path.suffix.lower().removeprefix(".")]
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        return [row for row in csv.reader(text, delimiter=separator) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        reason = " ".join(str(error).split())[:80]
        raise InputError(f"{path} cannot be read as a table ({reason}); export it again") from None


def _is_header(rows: list[list[str]], path: Path, attribute: str) -> bool:
    """Whether the first line names the columns."""
    numeric = [any(number_in(cell) is not None for cell in row) for row in rows[:2]]
    is_named = any(cell.strip().lower() in _NAMES | {attribute.lower()} for cell in rows[0])
    return path.suffix.lower() == ".htsv" or (not numeric[0] and (any(numeric) or is_named))


def number_in(cell: str) -> float | None:
    """The number that a cell holds; None where it holds something else."""
    try:
        return float(cell)
    except ValueError:
        return None


def _values(cells: list[str]) -> np.ndarray:
    numbers = [number_in(cell) if cell else np.nan for cell in cells]
    if None in numbers or not any(cells):
        return np.array([cell[:_MAX_TEXT] for cell in cells], dtype=str)
    return np.array(numbers, np.float64)
