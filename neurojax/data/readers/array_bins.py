"""Binned counts of a file as trials, windows and observed entries, before bins are merged."""

import dataclasses
from typing import Any

import numpy as np

from neurojax.data.checks.findings import FELL_SILENT
from neurojax.data.clock import LOWEST_HZ, TimeUnit, in_seconds
from neurojax.data.readers.array_observed import all_of, take_declared, told_by_counts
from neurojax.data.readers.roles import Axes
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.readers.trials import Arrays, trials_in_bins, whole_times
from neurojax.data.store.session_fields import counts_and_observed, seconds, without_padding
from neurojax.data.store.session_rules import check_bin_size
from neurojax.errors import InputError, require

_LONG_BIN_S, _ENOUGH_SPIKES = 0.5, 50
_TICKS_PER_BIN = 20  # a clock must resolve at least so many steps in a bin


@dataclasses.dataclass(frozen=True)
class Binned:
    """Spikes per bin as the file has them, before bins are merged.

    Attributes:
        counts: uint8 or uint16 [total_bins, N], trials end to end.
        lengths: int64 [trials], bins of each trial.
        starts_s: float64 [trials].
        starts_source: where the starts come from.
        bin_size_s: seconds of a bin after merging.
        factor: bins merged into one.
        axes: lengths that the file's other arrays may have.
        rows: which bins of the file belong to trials, for arrays of one row a bin.
        observed: bool [total_bins, N]; None where all was.
        findings, spikes_dropped: name -> number, for `info`; zeros are not told.
        keep: bool [trials], False where a trial has no known time; None where all have.
        short: bool [trials], True where a trial holds no bin; None where all hold one.
        bins_outside: bins of the file that lie in no trial or window, without those that pad.
    """

    counts: np.ndarray
    lengths: np.ndarray
    starts_s: np.ndarray
    starts_source: str
    bin_size_s: float
    factor: int
    axes: Axes
    rows: np.ndarray | slice
    observed: np.ndarray | None = None
    findings: dict[str, int] = dataclasses.field(default_factory=dict)
    spikes_dropped: dict[str, int] = dataclasses.field(default_factory=dict)
    bins_outside: int = 0
    keep: np.ndarray | None = None
    short: np.ndarray | None = None


def common(lengths: np.ndarray) -> int | None:
    """The bins of every trial, or None when trials differ."""
    return int(lengths[0]) if np.all(lengths == lengths[0]) else None


def bin_counts(arrays: Arrays, spec: ReadSpec, num_units: int | None, where: str) -> Binned:
    """Takes counts and what belongs to them out of a file's arrays.

    Raises:
        InputError: they do not fit together, or lack what says where trials lie.
    """
    require(
        spec.align is None,
        f"{where}: align={spec.align!r} needs spike_times_s, but the file holds binned counts",
    )
    bin_size_s = check_bin_size(_stated_bin_size_s(arrays, spec, where), where)
    final_bin_s = bin_size_s if spec.bin_ms is None else spec.bin_ms / 1000
    factor = whole_times(final_bin_s, bin_size_s, f"{where}: bin_ms={final_bin_s * 1000:g}")
    counts, seen = counts_and_observed(arrays.pop("counts"), where)
    flat = counts.reshape(-1, counts.shape[-1])  # [total_bins, N]
    clock = TimeUnit.of(spec.time_unit).trials
    declared = take_declared(arrays, clock, where)
    windows = counts.ndim == 2 and "trial_offsets" not in arrays
    grid = trials_in_bins(counts, arrays, spec, final_bin_s, factor, where)
    bin_times = _bin_times(arrays, counts, bin_size_s, clock, where)
    rows, lengths = _rows(counts, seen, grid, bin_times if windows else None, bin_size_s, where)
    first = np.cumsum(lengths) - lengths
    source, starts = "end to end", first * bin_size_s
    if bin_times is not None:
        source, starts = "file", bin_times[rows][first]
    elif "trial_start_s" in arrays:
        starts = in_seconds(seconds(arrays.pop("trial_start_s"), "trial_start_s", where), clock)
        source = "file"
        require(
            starts.shape == lengths.shape,
            f"{where}: trial_start_s is {starts.dtype} {list(starts.shape)}, expected "
            f"[{len(lengths)}], one a trial",
        )
    jumps = 0 if bin_times is None or windows else _jumps_within(bin_times[rows], first, bin_size_s)
    _require_likely_bins(flat, seen, bin_size_s, spec, where)
    trial_bins = common(grid) if grid.sum() == len(flat) else None
    kept = np.ascontiguousarray(flat[rows])
    given = None if seen is None else seen.reshape(-1, flat.shape[1])[rows]
    mask = declared.mask_of(counts.shape, where)
    mask = None if mask is None else mask[rows]
    timed = declared.entries(starts, lengths, bin_size_s, flat.shape[1], where)
    observed = all_of((given, mask, timed), kept.shape)
    fell_silent = 0
    if not declared.says() and spec.silence != "keep":
        heard = told_by_counts(kept, bin_size_s, arrays.get("unit_probe"))
        if heard is not None:
            silent = ~heard if observed is None else observed & ~heard
            fell_silent = int(silent.any(axis=1).sum())
            observed = all_of((observed, heard), kept.shape)
    odd = declared.odd(starts.min(), (starts + lengths * bin_size_s).max())
    return Binned(
        kept,
        lengths,
        starts,
        source,
        final_bin_s,
        factor,
        Axes(len(lengths), len(flat), flat.shape[1], trial_bins),
        rows,
        observed,
        {FELL_SILENT: fell_silent, "bins whose times jump within a trial": jumps, **odd},
        bins_outside=0 if counts.ndim == 3 else len(flat) - len(kept),
    )


def _stated_bin_size_s(arrays: Arrays, spec: ReadSpec, where: str) -> Any:
    """`bin_size_s` of the file, or of the option where the file has none."""
    typed = spec.option("bin_size_s")
    stored = arrays.pop("bin_size_s", None)
    if stored is None:
        tensors = arrays.get("tensors")  # names of them, see `tensors`
        require(
            typed is not None or tensors is None,
            f"{where}: {tensors} do not say the width of a bin; say it in seconds with "
            "--options=bin_size_s=0.005 (--bin_ms merges bins)",
        )
        require(
            typed is not None,
            f"{where} holds counts without bin_size_s; add to the file what a bin is, in seconds, "
            "or say it with --options=bin_size_s=0.005 (--bin_ms merges bins)",
        )
        return as_number(typed)
    same = typed is None or (stored.size == 1 and np.isclose(float(stored), as_number(typed)))
    require(same, f"{where} says bin_size_s={stored}, the option {typed}; leave the option out")
    return stored


def _require_likely_bins(
    flat: np.ndarray, seen: np.ndarray | None, bin_size_s: float, spec: ReadSpec, where: str
) -> None:
    """Asks about bins of half a second and more in which too few spikes lie for seconds."""
    if spec.time_unit is not None or bin_size_s < _LONG_BIN_S:
        return
    num_spikes, num_firing = int(flat.sum(dtype=np.int64)), int(flat.any(axis=0).sum())
    share = 1.0 if seen is None else float(seen.mean())
    rate_hz = num_spikes / max(num_firing * len(flat) * share * bin_size_s, 1e-12)
    require(
        num_spikes < _ENOUGH_SPIKES or rate_hz >= LOWEST_HZ,
        f"{where}: {num_spikes:,} spikes of {num_firing} units in bins of {bin_size_s:g} s are "
        f"{rate_hz:.3g} Hz a unit, so bin_size_s is likely in milliseconds; correct it, or say "
        "--time_unit=s where it is so",
    )


def _bin_times(
    arrays: Arrays, counts: np.ndarray, bin_size_s: float, clock: float | None, where: str
) -> np.ndarray | None:
    """Start of every bin of the file, float64 [total_bins], seconds; None without bin_times_s."""
    if "bin_times_s" not in arrays:
        return None
    times, grid = arrays.pop("bin_times_s"), counts.shape[:-1]
    total = int(np.prod(grid))
    require(
        times.shape in ((total,), grid),
        f"{where}: bin_times_s has shape {list(times.shape)}, expected the time of every bin:"
        f" [{total}]" + (f" or {list(grid)}" if len(grid) == 2 else ""),
    )
    flat = seconds(times.ravel(), "bin_times_s", where)
    if times.dtype.kind == "f" and clock in (None, 1.0):
        step_s = float(np.spacing(np.abs(times).max()))
        require(
            step_s * _TICKS_PER_BIN <= bin_size_s,
            f"{where}: bin_times_s is {times.dtype}, which steps by {1000 * step_s:.3g} ms at "
            f"{flat.max():,.6g} s, too coarse for bins of {1000 * bin_size_s:g} ms; store it as "
            "float64 or from a zero nearby",
        )
    flat = in_seconds(flat, clock)
    steps = np.diff(flat)
    if len(grid) == 2:
        steps = np.diff(flat.reshape(grid), axis=1)
    if steps.size and not np.isclose(np.median(steps), bin_size_s, rtol=0.01, atol=0):
        raise InputError(
            f"{where}: bin_times_s advances by {np.median(steps):g} s a bin, but bin_size_s is "
            f"{bin_size_s:g}; correct one of them, or say the unit with --time_unit=ms"
        )
    return flat


def _rows(
    counts: np.ndarray,
    seen: np.ndarray | None,
    grid: np.ndarray,
    bin_times: np.ndarray | None,
    bin_size_s: float,
    where: str,
) -> tuple[np.ndarray | slice, np.ndarray]:
    """Which bins of the file belong to trials, and bins of each trial: without the bins that pad
    [trials, bins, N] with NaN, and in windows that end where bin times jump."""
    if counts.ndim == 3 and seen is not None:
        rows, lengths = without_padding(seen)
        rows[lengths == 0] = True  # such trials leave as never observed
        return rows.ravel(), np.where(lengths == 0, counts.shape[1], lengths)
    if bin_times is None:
        return slice(0, int(grid.sum())), grid
    jumps = np.flatnonzero(np.abs(np.diff(bin_times) - bin_size_s) > bin_size_s / 2) + 1
    edges = np.concatenate([[0], jumps, [len(bin_times)]])
    window = int(grid[0])
    number = np.diff(edges) // window
    require(
        number.sum(), f"{where}: no stretch between jumps of bin_times_s is as long as a window"
    )
    keep = np.zeros(len(bin_times), bool)
    for first, windows in zip(edges[:-1], number, strict=True):
        keep[first : first + windows * window] = True
    return keep, np.full(int(number.sum()), window, np.int64)


def _jumps_within(bin_times: np.ndarray, first: np.ndarray, bin_size_s: float) -> int:
    """Steps within trials that are not one bin."""
    steps = np.abs(np.diff(bin_times) - bin_size_s) > bin_size_s / 2
    steps[first[1:] - 1] = False
    return int(steps.sum())
