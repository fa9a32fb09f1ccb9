"""Runs of a headset in .csv files: a column a channel, one row a sample, read a few rows at a time.

`timestamps` (seconds) and a marker column (Marker, Marker0, ...: 0 for none) are no channels. A
file is one run, or several where the times have a hole.
"""

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from neurojax.data.order_statistics import ranked
from neurojax.data.readers import alf_text
from neurojax.data.readers.eeg_recording import Recording, checked, microvolts, site_positions
from neurojax.data.readers.kept_rows import Rows
from neurojax.data.row_blocks import row_blocks, rows_of
from neurojax.data.store.array_files import open_input
from neurojax.errors import InputError, require

_TIMES = ("timestamps", "timestamp", "time", "time_s")
_MOST_LINE = 2**22  # characters
_CELL_BYTES = 128  # about what a cell of text takes in memory
HOLE_S = 0.25  # of times; the radio packets of headsets jitter by less
RATE_TOLERANCE = 0.02  # of the step between times, off what the rate says


def read_csv_run(
    path: Path, sampling_hz: float, unit: str = "", folder: Path | None = None
) -> Recording:
    """One file: one run, or several where the times have a hole.

    Args:
        path: the file.
        sampling_hz: of the recorder, for the times of a headset jitter.
        unit: of the channels, such as "uV", which the file does not say.
        folder: for the samples; None keeps them in memory.

    Raises:
        InputError: text where numbers are expected, or times of another rate.
    """
    rows = _rows(path)
    first = list(itertools.islice(rows, 2))
    columns, is_named = alf_text.names_of(first, path, path.stem)
    markers = [name for name in columns if name.lower().startswith("marker")]
    times = [name for name in columns if name.lower() in _TIMES]
    names = tuple(name for name in columns if name not in (*markers, *times))
    require(
        names and len(markers) <= 1 and len(times) <= 1,
        f"{path} has the columns {', '.join(columns)[:120]}; expected channels, and at most one "
        "marker and one column of times",
    )
    own = [columns.index(name) for name in names]
    scale, unit = microvolts(unit)
    told = np.zeros(len(columns), bool)  # columns that hold anything
    found: list[tuple[np.ndarray, np.ndarray]] = []  # samples with a marker, and which
    number = 0
    with Rows(folder, len(names)) as kept, Rows(folder, 1, dtype=np.float64) as seconds:
        for block in _blocks(itertools.chain(first[is_named:], rows), len(columns), path):
            numbers = _numbers(block, columns, path)
            told |= np.array([any(cells) for cells in zip(*block, strict=True)])
            kept.add(numbers[:, own].astype(np.float32) * scale)
            if times:
                seconds.add(numbers[:, [columns.index(times[0])]])
            if markers:
                marker = numbers[:, columns.index(markers[0])]
                at = np.flatnonzero(np.nan_to_num(marker) != 0)
                found.append((at + number, marker[at].astype(np.int64)))
            number += len(block)
        for name, known in zip(columns, told, strict=True):
            require(known, _holds_text(name, path, columns))
        begins = _after_holes(seconds.array(), sampling_hz, path) if times else []
        values = kept.array()
    sample, events = np.zeros(0, np.int64), {}
    if markers:
        sample = np.concatenate([at for at, _ in found])
        events = {"marker": np.concatenate([which for _, which in found])}
    offsets, places = np.array([0, *begins, number]), site_positions(names)
    run = Recording(values, sampling_hz, names, places, offsets, sample, events, unit)
    return checked(run, str(path))


def _rows(path: Path) -> Iterator[list[str]]:
    """Cells of the lines of a file, empty lines left out, as of `alf_text.rows_of`."""
    with open_input(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        try:
            yield from (row for row in csv.reader(_lines(text, path)) if any(row))
        except (UnicodeDecodeError, csv.Error) as error:
            reason = " ".join(str(error).split())[:80]
            raise InputError(
                f"{path} cannot be read as a table ({reason}); export it again"
            ) from None


def _lines(text: io.TextIOBase, path: Path) -> Iterator[str]:
    while line := text.readline(_MOST_LINE):
        require(
            len(line) < _MOST_LINE,
            f"{path} has a line of {_MOST_LINE} characters or more; expected a row a sample",
        )
        yield line


def _blocks(rows: Iterator[list[str]], width: int, path: Path) -> Iterator[list[list[str]]]:
    """A few rows at a time, each of so many cells without blanks around them."""
    number, most = 0, rows_of(_CELL_BYTES * width)
    while block := list(itertools.islice(rows, most)):
        for place, row in enumerate(block):
            require(
                len(row) == width,
                f"{path}: row {number + place} has {len(row)} cells, expected {width}; correct the "
                "table",
            )
        number += len(block)
        yield [[cell.strip() for cell in row] for row in block]


def _numbers(block: list[list[str]], columns: Sequence[str], path: Path) -> np.ndarray:
    """Cells as float64 [rows, columns], NaN where one is empty; InputError for text."""
    cells = [[alf_text.number_in(cell) if cell else np.nan for cell in row] for row in block]
    for row in cells:
        if None in row:
            raise InputError(_holds_text(columns[row.index(None)], path, columns))
    return np.array(cells, np.float64)


def _holds_text(name: str, path: Path, columns: Sequence[str]) -> str:
    """What is said of a column with a cell that is no number, or with none at all."""
    if name.lower() in _TIMES:
        return f"{path}: a time is no number; expected seconds in every row"
    if name.lower().startswith("marker"):
        return f"{path}: {name} holds text; expected numbers"
    return f"{path}: column {name!r} holds text; expected numbers, drop it from the file"


def _after_holes(time_s: np.ndarray, sampling_hz: float, path: Path) -> list[int]:
    """Samples before which nothing was recorded for a while; InputError for another rate.

    Args:
        time_s: float64 [samples, 1], seconds.
    """
    known = all(np.isfinite(block).all() for _, block in row_blocks(time_s))
    require(known, f"{path}: a time is no number; expected seconds in every row")
    number = len(time_s) - 1
    if number < 1:
        return []

    def steps() -> Iterator[np.ndarray]:
        last = time_s[:0]
        for _, block in row_blocks(time_s):
            yield np.diff(np.concatenate([last, block]), axis=0)
            last = block[-1:].copy()

    limit = max(HOLE_S, 2.5 / sampling_hz)
    holes, between, total = [], 0, 0.0
    first = 0
    for step in steps():
        hole = np.abs(step[:, 0]) > limit
        holes.append(np.flatnonzero(hole) + first + 1)
        between, total = between + int((~hole).sum()), total + float(step[~hole].sum())
        first += len(step)
    # Of rounded times the median is off, where samples got lost the mean: one of them must agree.
    median = float(ranked(steps, [(number - 1) // 2, number // 2]).mean())
    measures = [median] + ([total / between] if between else [])
    off = [abs(one * sampling_hz - 1) for one in measures]
    told = f", which is {1 / median:.4g} Hz" if median > 0 else ""
    require(
        min(off) <= RATE_TOLERANCE,
        f"{path}: half of the times step by {median:.4g} s or less{told}, but "
        f"sampling_hz={sampling_hz:g}; give the rate of the recorder, and times in seconds",
    )
    return np.concatenate(holes).tolist()
