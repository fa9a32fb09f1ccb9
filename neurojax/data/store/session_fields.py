"""What a caller hands over, turned into the arrays of a `Session`; never rounded, never guessed."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.binning import (
    MAX_COUNTS,
    UNIT_ROWS,
    bin_spike_times,
    bins_that_fit,
    count_dtype,
    whole_numbers,
)
from neurojax.data.store.object_columns import (
    SECONDS_OF_DATES,
    as_array,
    end_to_end,
    num_missing,
    of_objects,
)
from neurojax.errors import InputError, require


def plain_array(values: Any, name: str, where: str, missing: str = "") -> np.ndarray:
    """`values` as numbers or text in native byte order.

    Columns of pandas, polars, xarray and lists are taken with their missing values (None, NaN,
    pandas.NA, masked): NaN among numbers, `missing` among text. A column that is missing throughout
    is NaN. Records, dates, complex numbers, lists in a column are refused.
    """
    array = as_array(values, name, where)
    if array.dtype == object:
        array = of_objects(array, name, where, missing)
    # HDF5 and MATLAB files give text as bytes.
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    require(
        array.dtype.kind not in "mM",
        f"{where}: {name} is {array.dtype}, dates or durations; {SECONDS_OF_DATES}",
    )
    require(
        array.dtype.kind in "biufU", f"{where}: {name} is {array.dtype}, expected numbers or text"
    )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def counts_and_observed(counts: Any, where: str) -> tuple[np.ndarray, np.ndarray | None]:
    """(uint8 or uint16 of the same shape, 0 where not observed; bool of that shape, None where all
    is observed).

    NaN and masked entries were not observed: they are told apart from silence.
    """
    values = plain_array(counts, "counts", where)
    require(
        values.ndim in (2, 3) and values.size != 0,
        f"{where}: counts has shape {list(values.shape)}, expected [trials, bins, units] or "
        "[total_bins, units] with at least one of each",
    )
    require(
        values.dtype.kind in "biuf",
        f"{where}: counts is {values.dtype}, expected whole numbers of spikes",
    )
    if values.dtype.kind != "f" or not (missing := np.isnan(values)).any():
        return _whole(values, where), None
    require(not missing.all(), f"{where}: counts is NaN throughout; nothing was observed")
    return _whole(np.where(missing, 0, values), where), ~missing


def _whole(values: np.ndarray, where: str) -> np.ndarray:
    """uint8 or uint16 of the same shape."""
    if values.dtype.kind == "f" and (num_bad := int(np.isinf(values).sum())):
        raise InputError(
            f"{where}: counts holds {num_bad} NaN or infinite values, expected whole numbers of "
            "spikes"
        )
    if values.dtype.kind == "f" and np.any(fractional := values != np.floor(values)):
        raise InputError(
            f"{where}: counts holds {values[fractional][0]:g}, expected whole numbers of "
            "spikes per bin; rates are not counts"
        )
    if values.min() < 0:
        raise InputError(
            f"{where}: counts holds {values.min():g}, expected 0 or more spikes per bin"
        )
    try:
        return values.astype(count_dtype(int(values.max())), copy=False)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def without_padding(observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bins of equal trials that are not padding, bool [trials, bins], and bins of each trial: what
    follows the last bin in which any unit was observed, bool [trials, bins, N], is padding."""
    rows = np.cumsum(observed.any(2)[:, ::-1], axis=1)[:, ::-1] > 0
    return rows, rows.sum(1, dtype=np.int64)


def trial_bins(starts: np.ndarray, stops: np.ndarray, bin_size_s: float, where: str) -> np.ndarray:
    """Whole bins of each trial, int64 [trials]; a last one that does not fit is dropped."""
    require(
        starts.shape == stops.shape and len(starts) != 0,
        f"{where}: {len(starts)} trial starts and {len(stops)} stops, expected one of each a trial",
    )
    num_bins = bins_that_fit(starts, stops, bin_size_s)
    lengths_s = stops - starts
    require(
        num_bins.min() >= 1 and num_bins.max() <= MAX_COUNTS,
        f"{where}: trials last {lengths_s.min():g} to {lengths_s.max():g} s, expected at least "
        f"one bin of {bin_size_s:g} s and no more than memory holds; check the stops and the time "
        "unit",
    )
    return num_bins.astype(np.int64)


def spike_counts(
    spike_times_s: Any,
    spike_units: Any,
    num_units: int | None,
    starts: np.ndarray,
    stops: np.ndarray,
    bin_size_s: float,
    where: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Bins spikes from each trial's start; a last bin that does not fit its trial is dropped.

    Returns:
        counts, uint8 or uint16 [total_bins, N], and bins of each trial, int64 [trials]. Without
        `num_units`, N is the largest unit seen plus one.
    """
    lengths = trial_bins(starts, stops, bin_size_s, where)
    times, units = (
        plain_array(spike_times_s, "spike_times_s", where),
        plain_array(spike_units, "spike_units", where),
    )
    require(times.dtype.kind in "iuf", f"{where}: spike_times_s is {times.dtype}, expected seconds")
    units = whole_numbers(units, f"{where}: spike_units", UNIT_ROWS)
    # Row numbers alone cannot tell of silent units after the last one that fires.
    if num_units is None:
        num_units = int(units.max()) + 1 if units.size else 0
    require(
        num_units >= 1,
        f"{where}: {len(times)} spikes of {num_units} units, expected spikes of at least one unit",
    )
    try:
        return bin_spike_times(times, units, num_units, starts, lengths, bin_size_s), lengths
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def trial_lengths(counts: np.ndarray, trial_offsets: Any, where: str) -> np.ndarray:
    """Bins of each trial, int64 [trials], from the shape of counts or from offsets."""
    if counts.ndim == 3:
        require(
            trial_offsets is None,
            f"{where}: trial_offsets came with counts {list(counts.shape)}, expected counts "
            "[total_bins, units]",
        )
        return np.full(counts.shape[0], counts.shape[1], np.int64)
    require(
        trial_offsets is not None,
        f"{where}: counts is {list(counts.shape)} without trial_offsets; add trial_offsets "
        "[trials + 1], or cut the recording into windows (window_s)",
    )
    offsets = plain_array(trial_offsets, "trial_offsets", where)
    require(
        offsets.ndim == 1 and len(offsets) >= 2,
        f"{where}: trial_offsets is {offsets.dtype} {list(offsets.shape)}, expected integers "
        "[trials + 1]",
    )
    expected = "integers [trials + 1], the first bin of each trial"
    offsets = whole_numbers(offsets, f"{where}: trial_offsets", expected).astype(np.int64)
    require(
        offsets[0] == 0 and offsets[-1] == len(counts) and not np.any(offsets[1:] <= offsets[:-1]),
        f"{where}: trial_offsets runs from {offsets[0]} to {offsets[-1]}, expected rising numbers "
        f"from 0 to {len(counts)}, the bins of counts, with no trial empty",
    )
    return np.diff(offsets)


def named_columns(values: Any, what: str, where: str) -> dict[str, Any]:
    """Columns by name, of a dict or a table (pandas, polars); None is no column."""
    if values is None:
        return {}
    if not isinstance(values, Mapping) and hasattr(values, "columns"):
        values = {name: values[name] for name in values.columns}
    require(
        isinstance(values, Mapping),
        f"{where}: {what} is {type(values).__name__}, expected name -> values",
    )
    if strange := [name for name in values if not isinstance(name, str)]:
        raise InputError(
            f"{where}: {what} has the name {str(strange[0])[:60]!r} ({type(strange[0]).__name__}), "
            "expected text"
        )
    return dict(values)


def columns(values: Any, what: str, where: str) -> dict[str, np.ndarray]:
    """Named columns as plain arrays."""
    given = named_columns(values, what, where)
    return {name: plain_array(column, name, where) for name, column in given.items()}


def labels(values: Any, name: str, where: str, default: np.ndarray) -> np.ndarray:
    """Labels as text; numbers (cluster ids) are written out. A missing one is "unknown", but not
    the name of a unit."""
    if values is None:
        return default
    given = plain_array(values, name, where, missing="unknown")
    if name in ("unit_id", "channel") and (number := num_missing(values)):
        raise InputError(f"{where}: {name} lacks {number} of {given.size} names; give each one")
    if given.dtype.kind != "f" or not (missing := np.isnan(given)).any():
        return given.astype(str)
    # pandas turns whole numbers beside a missing one into floats.
    whole = np.where(missing, 0, given)
    written = (whole.astype(np.int64) if (whole == np.floor(whole)).all() else whole).astype(str)
    return np.where(missing, "unknown", written)


def seconds(values: Any, name: str, where: str) -> np.ndarray:
    """Finite float64 [n]."""
    array = plain_array(values, name, where)
    require(
        array.ndim == 1 and array.dtype.kind in "iuf" and np.isfinite(array).all(),
        f"{where}: {name} is {array.dtype} {list(array.shape)}, expected one axis of finite "
        "seconds, no NaN",
    )
    return array.astype(np.float64, copy=False)


def require_fine_starts(starts: Any, bin_size_s: float, where: str) -> None:
    """Raises InputError where trial starts, of the caller's own dtype, step by a bin and more:
    float32 late on a clock."""
    given = plain_array(starts, "trial_start_s", where)
    if given.dtype.kind != "f" or given.dtype.itemsize > 4 or not given.size:
        return
    step_s = float(np.spacing(np.abs(given).max()))
    require(
        step_s < bin_size_s,
        f"{where}: trial_start_s up to {float(given.max()):,.6g} s is {given.dtype}, which steps "
        f"by {step_s:.3g} s there, more than a bin of {bin_size_s:g} s; give it as float64",
    )


def split_codes(split: Any, where: str) -> np.ndarray:
    """int8, every value 0, 1 or 2."""
    codes = plain_array(split, "split", where)
    wrong = codes.ravel() if codes.dtype.kind not in "iuf" else codes[~np.isin(codes, (0, 1, 2))]
    require(
        not wrong.size,
        f"{where}: split holds {wrong.tolist()[:3]}, expected 0 train, 1 validation, 2 test",
    )
    return codes.astype(np.int8)


def signal(
    values: Any, name: str, counts: np.ndarray, where: str, rows: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """A behaviour as float32 [total_bins, dims]; [trials, bins, dims] is laid end to end as
    `counts` is, without the bins of padding: `rows`, bool [trials * bins], says which stay."""
    laid = end_to_end(values)  # a list of trials
    array = plain_array(values if laid is None else laid[0], f"behaviour {name!r}", where)
    if counts.ndim == 3 and array.ndim in (2, 3) and array.shape[:2] == counts.shape[:2]:
        array = array.reshape(counts.shape[0] * counts.shape[1], -1)[rows]
    require(
        array.dtype.kind in "biuf" and array.ndim in (1, 2),
        f"{where}: behaviour {name!r} is {array.dtype} {list(array.shape)}, expected numbers "
        "[total_bins, dims]",
    )
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite and is marked invalid
        return np.ascontiguousarray(array if array.ndim == 2 else array[:, None], dtype=np.float32)


def expected_rates(true_rates: Any, counts: np.ndarray, where: str) -> np.ndarray:
    """True rates as float32 [total_bins, N]."""
    rates = plain_array(true_rates, "true_rates", where)
    if (
        rates.shape != counts.shape
        or rates.dtype.kind != "f"
        or not np.isfinite(rates).all()
        or rates.min() < 0
    ):
        raise InputError(
            f"{where}: true_rates is {rates.dtype} {list(rates.shape)}, expected finite floats of "
            f"0 or more of the shape of counts {list(counts.shape)}"
        )
    return np.ascontiguousarray(rates.reshape(-1, counts.shape[-1]), dtype=np.float32)
