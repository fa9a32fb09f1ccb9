"""Rules for what was recorded: counts or real values, kept spike times, observed intervals."""

from typing import Any

import numpy as np

from neurojax.data.observed import ObservedIntervals, entries_of
from neurojax.data.row_blocks import row_blocks
from neurojax.data.session import Session, SpikeTimes
from neurojax.errors import InputError, require

VALUE_DTYPES = (np.dtype(np.float32), np.dtype(np.float16))
SPIKE_COLUMNS = {"time_s": np.dtype(np.float64), "unit_index": np.dtype(np.int32)}
VALIDITY_COLUMNS = {
    "unit_index": np.dtype(np.int32),
    "start_bin": np.dtype(np.int64),
    "stop_bin": np.dtype(np.int64),
}
_MAX_UNIT_TEXT = 32
_CHUNK_ROWS = 2**16


def check_recorded(session: Session, where: str) -> None:
    """Raises InputError unless the session holds counts alone or real values with rate and unit."""
    if session.values is None:
        given = (session.sampling_hz, session.unit_of_values)
        require(
            not any(field is not None for field in given),
            f"{where}: sampling_hz and unit_of_values belong to real values, but there are none; "
            "give values, or leave them out",
        )
        counts = vars(session)["counts"]
        require(
            isinstance(counts, np.ndarray),
            f"{where} has neither counts nor values; give one of them",
        )
        require(
            counts.ndim == 2 and counts.dtype in (np.uint8, np.uint16) and 0 not in counts.shape,
            f"{where}: counts is {counts.dtype} {list(counts.shape)}, expected uint8 or uint16 "
            "[total_bins, units] with at least one of each",
        )
        return
    require(
        vars(session)["counts"] is None and session.true_rates is None,
        f"{where} has counts or true rates beside real values; a session holds one kind, write "
        "two sessions",
    )
    values = session.values
    require(
        isinstance(values, np.ndarray) and values.ndim == 2 and 0 not in values.shape,
        f"{where}: values has shape {list(np.shape(values))}, expected [total_bins, channels] "
        "with at least one of each",
    )
    require(
        values.dtype in VALUE_DTYPES,
        f"{where}: values is {values.dtype}, expected float32 or float16; cast it",
    )
    # Both are kept because people think in hertz and code in seconds; they must agree.
    hz = session.sampling_hz
    is_number = isinstance(hz, int | float) and not isinstance(hz, bool)
    require(
        is_number and np.isclose(hz * session.bin_size_s, 1, rtol=1e-9, atol=0),
        f"{where}: sampling_hz is {str(hz)[:60]} with bins of {session.bin_size_s:g} s; real "
        "values have one sample a bin, so give bin_size_s = 1 / sampling_hz",
    )
    check_unit_of_values(session.unit_of_values, where)


def check_finite(values: np.ndarray, where: str) -> None:
    """Raises InputError when a value [total_bins, C] is NaN or infinite; reads all of them."""
    # A block at a time: the values may be a memory map larger than memory.
    for first, block in row_blocks(values, _CHUNK_ROWS):
        finite = np.isfinite(block)
        if not finite.all():
            row, channel = np.argwhere(~finite)[0].tolist()
            raise InputError(
                f"{where}: values holds NaN or infinity, first in sample {first + row}, channel "
                f"{channel}; leave these samples out or fill them before converting"
            )


def check_unit_of_values(unit: Any, where: str) -> str:
    """Returns the unit; raises InputError unless it is a short printable text such as "uV"."""
    shown = " ".join(str(unit).split())[:60]
    require(
        isinstance(unit, str) and unit.isprintable() and 0 < len(unit) <= _MAX_UNIT_TEXT,
        f"{where}: the unit of the values is {shown!r}, expected 1 to {_MAX_UNIT_TEXT}"
        ' characters, such as "uV", or "a.u." where it has none',
    )
    return unit


def check_windows(session: Session, where: str) -> None:
    """Raises InputError unless trials are in order and none shares bins with one it may not.

    Trials of counts never share bins. Trials of real values may be windows that overlap, but a
    sample that is trained on is never validated or tested on.
    """
    start, length, split = session.trial_start_bin, session.trial_num_bins, session.split
    if session.observation == "counts":
        require(
            not np.any(start[1:] < start[:-1] + length[:-1]),
            f"{where}: trials share bins or are out of order; expected trials end to end, check "
            "the trial offsets",
        )
        return
    require(
        not np.any(start[1:] < start[:-1]),
        f"{where}: windows are out of order; sort them by their first sample",
    )
    for code in np.unique(split):
        # The furthest sample that any earlier window of another split reaches.
        others = np.maximum.accumulate(np.where(split != code, start + length, 0))
        if number := int(((split == code) & (start < others)).sum()):
            raise InputError(
                f"{where}: {number} windows share samples with one of another split; split whole "
                "segments or whole people, never the windows of one stretch"
            )


def check_spikes(session: Session, where: str) -> None:
    """Raises InputError unless kept spike times are finite, sorted, and of units that are there."""
    if session.spikes is None:
        return
    require(
        session.observation == "counts",
        f"{where} has spike times beside real values; keep them with counts",
    )
    require(
        isinstance(session.spikes, SpikeTimes),
        f"{where}: spikes is {type(session.spikes).__name__}, expected SpikeTimes(time_s, "
        "unit_index)",
    )
    _check_columns(session.spikes._asdict(), SPIKE_COLUMNS, "spikes", where)
    time_s, unit_index = session.spikes
    require(
        np.isfinite(time_s).all(),
        f"{where}: spikes/time_s holds NaN or infinity; leave these spikes out",
    )
    require(
        not np.any(time_s[1:] < time_s[:-1]),
        f"{where}: spikes are not sorted by time; sort time_s and unit_index",
    )
    _check_units_exist(unit_index, session.num_units, "spikes", where)


def check_validity(session: Session, where: str) -> None:
    """Raises InputError unless observed intervals are sorted, apart, and within the recording."""
    if session.validity is None:
        return
    came = type(session.validity).__name__
    require(
        isinstance(session.validity, ObservedIntervals),
        f"{where}: validity is {came}, expected ObservedIntervals; give `observed` to from_counts, "
        "or observed.intervals_of(bool [total_bins, units])",
    )
    _check_columns(session.validity._asdict(), VALIDITY_COLUMNS, "validity", where)
    unit, start, stop = session.validity
    _check_units_exist(unit, session.num_units, "validity", where)
    require(
        not np.any(start < 0)
        and not np.any(stop <= start)
        and not np.any(stop > len(session.recorded)),
        f"{where}: an observed interval is empty or leaves the {len(session.recorded)} bins of "
        "the recording; expected 0 <= start_bin < stop_bin",
    )
    require(len(unit), f"{where}: validity has no interval; nothing was observed")
    # Once sorted by unit and bin, only neighbours can overlap: one pass checks both.
    same = unit[1:] == unit[:-1]
    require(
        not np.any(unit[1:] < unit[:-1]) and not np.any(same & (start[1:] < stop[:-1])),
        f"{where}: observed intervals overlap or are out of order; sort them by unit, then by "
        "bin, and join those of a unit that overlap",
    )


def check_unobserved(session: Session, where: str) -> None:
    """Raises InputError where counts tell of spikes in entries that were not observed; reads all of
    them."""
    if session.validity is None or session.observation != "counts":
        return
    unit, start, stop = session.validity
    for first in range(0, len(session.counts), _CHUNK_ROWS):
        block = session.counts[first : first + _CHUNK_ROWS]
        begin, end = np.clip(np.stack([start, stop]) - first, 0, len(block))
        inside = ObservedIntervals(unit, begin, end)
        inside = ObservedIntervals(*(column[begin < end] for column in inside))
        seen = entries_of(inside, *block.shape)
        if number := int(block[~seen].sum(dtype=np.int64)):
            raise InputError(
                f"{where}: counts holds {number} spikes where its units were not observed "
                f"(validity); set these entries to 0, or build the session with from_counts(..., "
                "observed=...), which does"
            )


def _check_columns(
    columns: dict[str, Any], expected: dict[str, np.dtype], name: str, where: str
) -> None:
    """Raises InputError unless all columns [n] have their dtype and one length."""
    for key, column in columns.items():
        is_array = isinstance(column, np.ndarray)
        came = f"{column.dtype} {list(column.shape)}" if is_array else type(column).__name__
        require(
            is_array and column.dtype == expected[key] and column.ndim == 1,
            f"{where}: {name}/{key} is {came}, expected {expected[key]} [n]",
        )
    lengths = {key: len(column) for key, column in columns.items()}
    require(
        len(set(lengths.values())) <= 1,
        f"{where}: {name} has columns of {lengths} entries, expected equally long ones",
    )


def _check_units_exist(unit_index: np.ndarray, num_units: int, name: str, where: str) -> None:
    if unit_index.size and not 0 <= unit_index.min() <= unit_index.max() < num_units:
        raise InputError(
            f"{where}: {name}/unit_index runs from {unit_index.min()} to {unit_index.max()}, "
            f"expected rows of the {num_units} units, counted from 0"
        )
