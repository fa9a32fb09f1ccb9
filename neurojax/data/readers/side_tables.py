"""Trials and behaviour in tables beside a sorting: .csv, .tsv or .npz files with one line a trial,
or one line a sample.

A column says its unit at the end of its name (start_s, go_ms, stop_samples), else it is in seconds,
or in what --time_unit says. `segment` says which segment of the recording a line is of.
"""

import array
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.data.checks.findings import LEFT_OUT
from neurojax.data.clock import TimeUnit, in_seconds
from neurojax.data.readers.signals import bin_starts, clean_signal, mean_in_bins
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.readers.text_tables import cells_of, decoded, named_once, read_rows, separator_of
from neurojax.data.store.array_files import check_array_name, open_input, read_npz
from neurojax.errors import InputError, require

_ENDINGS = (".csv", ".tsv", ".npz")
_STARTS = ("start", "trial_start", "start_time", "t_start", "begin")
_STOPS = ("stop", "trial_stop", "stop_time", "t_stop", "end", "trial_end", "end_time", "t_end")
_TIMES = ("time", "times", "t", "timestamp", "timestamps")
_UNIT = re.compile(r"(.+)_(s|sec|seconds|ms|us|samples?|frames?)", re.IGNORECASE)
_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6}
_MAX_BYTES, _MAX_TEXT = 2**31, 256
# columns of a session, which no condition may be called
_RESERVED = {
    "start_s": "trial_start_s",
    "split": "trial_split",
    "start_bin": "trial_start_bin",
    "num_bins": "trial_num_bins",
}
# names in info["findings"]
ODD_TRIALS = "rows of the table of trials that are cut short, skipped"
RENAMED = "columns of the trials whose name a session keeps for itself, kept as trial_<name>"
ODD_COLUMNS = "columns of the trials that are not one value each"


class Clock(NamedTuple):
    """Where the clock of a table lies on the session's.

    Attributes:
        segment_start_s: float64 [segments], start of each on the session's clock.
        segments: numbers of the segments that were read, in order.
        sample_rate_hz: samples a second; None where it is not known.
        unit: from --time_unit.
        typed: what was typed there, or "".
    """

    segment_start_s: np.ndarray
    segments: tuple[int, ...]
    sample_rate_hz: float | None
    unit: TimeUnit
    typed: str

    def seconds(self, values: np.ndarray, name: str, kind: str, path: Path) -> np.ndarray:
        """Times of a column as seconds, float64 [rows]."""
        require(
            values.dtype.kind in "iuf" and values.ndim == 1,
            f"{path}: column {name!r} is text, expected seconds",
        )
        said = None if f"{kind}=" in self.typed else self.unit_of(name, path)
        return in_seconds(values, getattr(self.unit, kind) if said is None else said)

    def unit_of(self, name: str, path: Path) -> float | None:
        """Seconds of the unit that a column's name ends in; None where it says none."""
        match = _UNIT.fullmatch(name)
        if match is None:
            return None
        ending = match[2].lower()
        if ending in _SECONDS:
            return _SECONDS[ending]
        require(
            self.sample_rate_hz,
            f"{path}: column {name!r} is in samples, and the sample rate is not known; give "
            "--options=sample_rate_hz=30000 (or what it is)",
        )
        return 1 / self.sample_rate_hz

    def shifts(self, table: dict[str, np.ndarray], num_rows: int, path: Path) -> np.ndarray:
        """Start of the segment of each row, float64 [rows], NaN where that was not read; takes the
        column `segment` out of the table."""
        said = table.pop("segment", None)
        if said is None:
            require(
                len(self.segments) == 1,
                f"{path} has no column segment, but the recording has {len(self.segments)}; add "
                "one (0, 1, ...), with times from the start of each, or take one segment with "
                "--options=segment=0",
            )
            return np.full(num_rows, self.segment_start_s[0])
        require(said.dtype.kind in "iuf", f"{path}: column segment is text, expected 0, 1, ...")
        place = np.minimum(np.searchsorted(self.segments, said), len(self.segments) - 1)
        is_read = np.asarray(self.segments)[place] == said
        return np.where(is_read, self.segment_start_s[place], np.nan)


class TrialTable(NamedTuple):
    """Trials as a table has them.

    Attributes:
        starts_s, stops_s: float64 [trials], seconds on the session's clock, NaN where not known.
        dropped: reason -> number of trials that are not among them.
        conditions: name -> [trials].
        findings: name -> number.
        skipped: columns that were left out.
    """

    starts_s: np.ndarray
    stops_s: np.ndarray
    dropped: dict[str, int]
    conditions: dict[str, np.ndarray]
    findings: dict[str, int]
    skipped: list[str]


def table_beside(folder: Path, name: str, option: str, above: str) -> Path:
    """The file of an option: its name in the folder of the sorting, or in the one above, where it
    must begin as `above` says (all that is read there is part of the recording's digest)."""
    plain = Path(name).name == name and Path(name).suffix in _ENDINGS
    places = (folder / name, *([folder.parent / name] if name.startswith(above) else []))
    path = next((place for place in places if plain and place.is_file()), None)
    require(
        path is not None,
        f"{option}={name!r}; expected the name of a .csv, .tsv or .npz file in {folder}, or of "
        f"one called {above}* in the folder above it",
    )
    return path


def files_above(folder: Path) -> list[Path]:
    """Tables of the folder above a sorting that an option may name, sorted."""
    patterns = [f"{stem}*{ending}" for stem in ("trials", "behav") for ending in _ENDINGS]
    found = [path for pattern in patterns for path in folder.parent.glob(pattern)]
    return sorted({path for path in found if path.is_file()})


def trials_of(path: Path, clock: Clock, spec: ReadSpec) -> TrialTable:
    """Starts, stops and conditions of a table of trials.

    Raises:
        InputError: it holds no trial or no times.
    """
    table, findings, skipped = _trial_columns(path, spec.strict)
    num_rows = len(next(iter(table.values())))
    shift_s = clock.shifts(table, num_rows, path)
    is_read = np.isfinite(shift_s)
    require(is_read.any(), f"{path}: no trial is of a segment that is read; correct its segments")
    table, shift_s = {n: values[is_read] for n, values in table.items()}, shift_s[is_read]
    dropped = {"of a segment that was not read": int((~is_read).sum())}
    if spec.align is not None:
        require(
            spec.align in table,
            f"{path}: align names {spec.align!r}, but its columns are {', '.join(table)}",
        )
        events = clock.seconds(table[spec.align], spec.align, "trials", path)
        starts, stops = (events + edge for edge in spec.window)
    else:
        names = {"start_s": _column_of(table, _STARTS), "stop_s": _column_of(table, _STOPS)}
        lacking = [wanted for wanted, name in names.items() if name is None]
        require(
            not lacking,
            f"{path} has no column {(lacking or [''])[0]}; add start_s and stop_s, or give --align "
            f"and --window (columns: {', '.join(table)})"[:300],
        )
        starts, stops = (
            clock.seconds(table.pop(name), name, "trials", path) for name in names.values()
        )
    conditions = {_RESERVED.get(name, name): values for name, values in table.items()}
    if renamed := len(_RESERVED.keys() & table.keys()):
        findings = {**findings, RENAMED: renamed}
    dropped = {reason: number for reason, number in dropped.items() if number}
    return TrialTable(starts + shift_s, stops + shift_s, dropped, conditions, findings, skipped)


def _trial_columns(
    path: Path, strict: bool
) -> tuple[dict[str, np.ndarray], dict[str, int], list[str]]:
    """Columns of one value a trial, what was odd, and the columns that were left out."""
    if path.suffix == ".npz":
        given, odd_rows = read_npz(path), 0
        times = [name for name in given if _column_of({name: 0}, _STARTS + _STOPS)]
        likely = [len(given[name]) for name in (times or given) if given[name].ndim]
        num_rows = likely[0] if likely else 0
    else:
        rows, odd_rows = read_rows(path)
        given = {name: _cells([row[name] for row in rows]) for name in (rows[0] if rows else ())}
        num_rows = len(rows)
    require(num_rows, f"{path} has no trial; expected one line a trial")
    require(not strict or not odd_rows, f"{path}: {odd_rows} rows are cut short; correct them")
    table, skipped = {}, []
    for name, values in given.items():
        fits = values.shape == (num_rows,) and not (
            values.dtype.kind in "US" and values.dtype.itemsize > 4 * _MAX_TEXT
        )
        if name and fits:
            table[_plain_name(name, table)] = values
        elif name:
            require(not strict, f"{path}: {name!r} is {list(values.shape)}, or text too long")
            skipped.append(name)
    findings = {ODD_TRIALS: odd_rows, ODD_COLUMNS: len(skipped)}
    return table, {name: number for name, number in findings.items() if number}, skipped


def _cells(cells: list[str]) -> np.ndarray:
    """Numbers where every cell is one (blank: NaN), else text."""
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return np.array(cells)


def _column_of(table: Mapping[str, object], bases: tuple[str, ...]) -> str | None:
    """The first column whose name is one of `bases`, with a unit behind it or without."""
    found = {}
    for name in table:
        match = _UNIT.fullmatch(name)
        found.setdefault((match[1] if match else name).lower(), []).append(name)
    names = [name for base in bases for name in found.get(base, ())]
    return next(iter(sorted(names, key=lambda name: not name.endswith("_s"))), None)


def _plain_name(name: str, taken: Mapping[str, object]) -> str:
    """A name of letters, digits, `_`, `.`, `-` and spaces: "reaction time (s)" has others."""
    plain = re.sub(r"[^A-Za-z0-9_. -]", "_", name)[:96].strip(" .-") or "column"
    plain = plain if re.match(r"[A-Za-z0-9_]", plain) else f"_{plain}"
    while plain in taken:
        plain += "_"
    check_array_name(plain, "column")
    return plain


def behaviour_of(
    paths: list[Path],
    clock: Clock,
    spec: ReadSpec,
    starts_s: np.ndarray,
    num_bins: np.ndarray,
    bin_size_s: float,
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Behaviour of tables in the bins of trials, float32 [total_bins, dims], NaN where it is not
    known; and what was odd.

    Raises:
        InputError: a table has no column of times, or none of values.
    """
    made: dict[str, np.ndarray] = {}
    findings = Counter()
    starts = bin_starts(starts_s, num_bins, bin_size_s)
    for path in paths:
        table, odd_rows = _samples(path)
        findings["samples of behaviour without a time or a value"] += odd_rows
        time_name = _column_of(table, _TIMES)
        require(
            time_name is not None,
            f"{path} has no column time_s; name the times of its samples so (columns: "
            f"{', '.join(table)})"[:300],
        )
        times_s = clock.seconds(table.pop(time_name), time_name, "behavior", path)
        times_s = times_s + clock.shifts(table, len(times_s), path)
        num_before = len(made)
        for name, values in table.items():
            own_times = table.get(f"{name}_times_s", times_s)
            if name.endswith("_times_s") and name.removesuffix("_times_s") in table:
                continue
            fits = values.dtype.kind in "biuf" and values.ndim in (1, 2)
            if not name or not fits or len(values) != len(own_times):
                require(not spec.strict, f"{path}: {name!r} is no number of each sample")
                findings[f"{LEFT_OUT} ({name or path.name}: no numbers, one a sample)"] = 1
                continue
            own = clean_signal(own_times, values, f"{path}, {name}", findings)
            plain = _plain_name(name, made)
            plain = f"{plain}_" if plain.endswith("_valid") else plain
            made[plain] = mean_in_bins(*own, starts, bin_size_s, max_gap_s=spec.max_gap_s)
        require(
            len(made) > num_before, f"{path} has no column of numbers beside {time_name!r}; add one"
        )
    return made, dict(+findings)


def _samples(path: Path) -> tuple[dict[str, np.ndarray], int]:
    """Columns of samples, and how many lines were cut short; text is read a line at a time."""
    if path.suffix == ".npz":
        return dict(read_npz(path)), 0
    with open_input(path) as file:
        require(
            path.stat().st_size <= _MAX_BYTES,
            f"{path} has more than {_MAX_BYTES} bytes; write it as .npz",
        )
        try:
            lines = (decoded(line) for line in file)
            header = next(lines, "")
            mark = separator_of(header)
            names = named_once(cells_of(header, mark), path)
            if (numbers := _numbers_alone(path, mark, len(names))) is not None:
                return dict(zip(names, numbers.T, strict=True)), 0
            columns, odd = [array.array("d") for _ in names], 0
            text = Counter()  # cells of a column that are no numbers
            for row in (cells_of(line, mark) for line in lines):
                if len(row) != len(names):
                    odd += any(row)
                elif any(row):
                    for name, column, cell in zip(names, columns, row, strict=True):
                        column.append(as_number(cell))
                        text[name] += np.isnan(column[-1]) and cell.lower() not in ("", "nan")
        except (UnicodeDecodeError, OSError):
            raise InputError(f"{path} is not a table of text; write it again") from None
    made = {}
    for name, column in zip(names, columns, strict=True):
        values = np.array(column)
        # a column of words is no behaviour; a stray word in one of numbers is a missing value
        is_text = text[name] > np.isfinite(values).sum()
        made[name] = np.full(len(values), "") if is_text else values
    return made, odd


def _numbers_alone(path: Path, mark: str, num_columns: int) -> np.ndarray | None:
    """A table whose every cell is a number, float64 [rows, columns], read at once; None where one
    is not."""
    try:
        made = np.loadtxt(
            path, delimiter=mark, skiprows=1, comments=None, ndmin=2, encoding="utf-8"
        )
    except (ValueError, OSError):
        return None
    return made if made.shape[1] == num_columns and len(made) else None
