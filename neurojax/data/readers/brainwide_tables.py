"""Tables and series of a torch_brain file: columns of one length, intervals, samples on a clock."""

from typing import Any

import numpy as np

from neurojax.data.clock import TimeUnit, in_seconds
from neurojax.data.observed import inside_bins, merged
from neurojax.data.readers import hdf5
from neurojax.data.readers.parts import BEHAVIOUR, PART, leave_out, usual_rows
from neurojax.data.readers.signals import in_bins
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError, require

_SERIES = ("IrregularTimeSeries", "RegularTimeSeries")
_MAX_DIMS = 16  # columns of one behaviour


def table_of(
    parent: Any,
    spec: ReadSpec,
    findings: dict[str, int],
    needed: tuple[str, ...] = (),
    least_rows: int = 0,
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Columns with one value a row, and why others (waveforms) are left aside: name -> reason.

    Of columns that differ in rows, those that most share are right; the others are left out and
    told.

    Args:
        parent: a group.
        spec: its `strict` decides.
        findings: what is left out is added to it.
        needed: columns that must be sound.
        least_rows: fewer cannot be.
    """
    table, skipped = {}, {}
    where, place = str(parent.file.filename), parent.name.strip("/")
    for name in hdf5.columns(parent):
        if parent[name].ndim != 1:
            skipped[name] = "several values a row"
            continue
        try:
            table[name] = hdf5.array(parent, name)
        except InputError as error:
            if name in needed:
                raise
            leave_out(findings, PART, f"{place}/{name}", error, spec, where)
    usual = usual_rows({name: len(values) for name, values in table.items()}, (), least_rows)
    for name in [name for name, values in table.items() if len(values) != usual]:
        error = InputError(
            f"{parent.file.filename}, {parent.name} has columns of different lengths, {name} "
            f"{len(table[name])} and the others {usual}"
        )
        if name in needed:
            raise error
        leave_out(findings, PART, f"{place}/{name}", error, spec, where)
        del table[name]
    return table, skipped


def intervals_of_group(file: Any, name: str, unit_s: float | None) -> np.ndarray | None:
    """Start and end of each interval, seconds, float64 [intervals, 2], in order of time; None
    where there is no such group.

    Raises:
        InputError: starts and ends are not numbers of one length, finite and in order.
    """
    parent = hdf5.group(file, name)
    if parent is None:
        return None
    start, end = (np.atleast_1d(hdf5.array(parent, edge)) for edge in ("start", "end"))
    fits = (
        start.shape == end.shape
        and start.ndim == 1
        and {start.dtype.kind, end.dtype.kind} <= set("iuf")
    )
    require(
        fits and (np.isfinite(start).all() and np.isfinite(end).all() and (start <= end).all()),
        f"{file.file.filename}: {name} has no finite starts and ends, one of each an interval",
    )
    pairs = np.stack([start, end], axis=1)[np.argsort(start, kind="stable")]
    return in_seconds(pairs, unit_s)


def series_in(file: Any) -> dict[str, tuple[Any, str]]:
    """Series of a file, "group.field" -> the group and the field."""
    series = {}
    for name in file:
        parent = hdf5.group(file, name)
        is_series = parent is not None and hdf5.text_attribute(parent, "object") in _SERIES
        if is_series and name != "spikes":
            fields = [field for field in hdf5.columns(parent) if not field.startswith("timestamp")]
            series |= {f"{name}.{field}": (parent, field) for field in fields}
    return series


def read_behaviour(
    series: dict[str, tuple[Any, str]],
    spec: ReadSpec,
    trial_start_s: np.ndarray,
    lengths: np.ndarray,
    starts: np.ndarray,
    bin_size_s: float,
    where: str,
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Series by their last name: those asked for as group.name, else every one of few columns; and
    what is odd or left out.

    Args:
        series: see `series_in`.
        spec: `behavior`, `max_gap_s`, `time_unit` and `strict`.
        trial_start_s, lengths: [trials], seconds and bins.
        starts: float64 [bins], start of every bin, seconds.
        bin_size_s: seconds.
        where: for messages.

    Raises:
        InputError: a name is not there, or with `strict` a series is of no use.
    """
    if missing := [name for name in spec.behavior if name not in series]:
        raise InputError(
            f"{where}: behavior names {missing[0]!r}, but the series are "
            f"{', '.join(sorted(series))}"
        )
    made, odd = {}, {}
    unit_s = TimeUnit.of(spec.time_unit).behavior
    for name, (parent, field) in series.items():
        if name not in spec.behavior and (spec.behavior or not _is_small(parent[field])):
            continue
        short = name.rpartition(".")[2]
        try:
            values, said = hdf5.array(parent, field), f"{where}: {name}"
            domain = intervals_of_group(parent, "domain", unit_s)
            times = _sample_times(parent, domain, len(values), unit_s, where)
            gap_s = spec.max_gap_s
            binned = in_bins(times, values, starts, bin_size_s, said, odd, gap_s)
        except InputError as error:
            leave_out(odd, BEHAVIOUR, name, error, spec, where)
            continue
        if domain is not None and len(domain) > 1:  # nothing is known between parts
            inside = inside_bins(merged(domain), trial_start_s, lengths, bin_size_s)
            binned = np.where(inside[:, None], binned, np.nan)
        made[name if short in made else short] = binned
    return made, odd


def _is_small(dataset: Any) -> bool:
    return (
        dataset.dtype.kind in "biuf"
        and dataset.ndim in (1, 2)
        and (dataset.ndim == 1 or dataset.shape[1] <= _MAX_DIMS)
    )


def _sample_times(
    parent: Any, domain: np.ndarray | None, num_samples: int, unit_s: float | None, where: str
) -> np.ndarray:
    """Seconds of each sample, float64 [samples]: its time stamp, or its place in the domain."""
    if "timestamps" in parent:
        return in_seconds(numbers(parent, "timestamps"), unit_s)
    rate_hz = parent.attrs.get("sampling_rate")
    require(
        isinstance(rate_hz, float | int | np.number)
        and 0 < float(rate_hz) < 1e9
        and domain is not None
        and len(domain) > 0,
        f"{where}, {parent.name} has neither timestamps nor a sampling_rate and a domain",
    )
    rate_hz = float(rate_hz)
    if len(domain) == 1:
        return domain[0, 0] + np.arange(num_samples) / rate_hz
    steps = np.rint((domain[:, 1] - domain[:, 0]) * rate_hz).astype(np.int64)
    extra = {int(steps.sum()): 0, int((steps + 1).sum()): 1}.get(num_samples)
    require(
        extra is not None,
        f"{where}, {parent.name} has {num_samples} samples at {rate_hz:g} Hz, but its domain of "
        f"{len(domain)} parts holds {int(steps.sum())}; write timestamps",
    )
    parts = zip(domain[:, 0], steps + extra, strict=True)
    return np.concatenate([start + np.arange(number) / rate_hz for start, number in parts])


def numbers(parent: Any, name: str) -> np.ndarray:
    """A dataset of numbers; InputError for text."""
    values = hdf5.array(parent, name)
    require(
        values.dtype.kind in "iuf",
        f"{parent.file.filename}, {parent.name}/{name} is {values.dtype}, expected numbers",
    )
    return values
