"""Windows of a torch_brain file: laid inside the intervals of its domains, around events, or as
BrainWideBench scores them."""

from typing import Any, NamedTuple

import numpy as np

from neurojax.data import bench_windows
from neurojax.data.clock import TimeUnit, in_seconds
from neurojax.data.readers import hdf5
from neurojax.data.readers.brainwide_tables import intervals_of_group, table_of
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import counted_drops, kept_windows, windows_within
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.errors import InputError, require

DEFAULT_WINDOW_S = 1.0
TOO_SHORT = "intervals of a domain shorter than a window"
_SPLITS = {"train": TRAIN, "val": VALIDATION, "valid": VALIDATION, "test": TEST}
_SCOPES = ("ts2_", "", "ts1_", "pretrain_")
_ROUNDING_S = 1e-6
_ALIGNED = "task_aligned_intervals"

Domains = dict[int, np.ndarray]  # split -> [intervals, 2], seconds


class Windows(NamedTuple):
    """Windows of a recording.

    Attributes:
        starts, stops: float64 [trials], seconds.
        split: int8 [trials].
        conditions: name -> [trials].
        dropped: reason -> number of windows left out.
        skipped: columns of the trials that are no condition, name -> reason.
    """

    starts: np.ndarray
    stops: np.ndarray
    split: np.ndarray
    conditions: dict[str, np.ndarray]
    dropped: dict[str, int]
    skipped: dict[str, str]


def domains_of(
    file: Any, spec: ReadSpec, recorded_s: tuple[float, float], where: str
) -> tuple[Domains, str]:
    """Intervals of each split and the scope they belong to; all the recording as TRAIN when a split
    is to be drawn.

    Args:
        file: open.
        spec: its `split`, and the options scope and as_test, decide.
        recorded_s: the recording, where the file has no domain, seconds.
        where: for messages.
    """
    unit_s = TimeUnit.of(spec.time_unit).trials
    if spec.split != "file":
        whole = intervals_of_group(file, "domain", unit_s)
        return {TRAIN: np.array([recorded_s]) if whole is None else whole}, ""
    asked = spec.option("scope")
    scopes = _SCOPES if asked is None else (f"{asked}_" if asked else "",)
    for scope in scopes:
        found = {
            code: intervals
            for name, code in _SPLITS.items()
            if (intervals := intervals_of_group(file, f"{scope}{name}_domain", unit_s)) is not None
            and len(intervals)
        }
        if TRAIN in found:
            break
    else:
        named = sorted(name for name in file if name.endswith("_domain"))
        raise InputError(
            f"{where} has no split domains {scopes[0]}train_domain ... (it has "
            f"{', '.join(named) or 'none'}); name its set with --options=scope=NAME, or draw a "
            "split with --split=blocks:300s"
        )
    require(
        spec.option("as_test", "val") == "val", f"as_test={spec.option('as_test')!r}; expected val"
    )
    if TEST not in found:
        require(
            spec.option("as_test") is not None and VALIDATION in found,
            f"{where}: its {scope or 'plain '}domains have no test time; give "
            "--options=as_test=val to test on its validation windows, or draw a split with "
            "--split=blocks:300s",
        )
        found[TEST] = found.pop(VALIDATION)
    return found, f"{scope}*_domain"


def windows_of(
    file: Any,
    domains: Domains,
    spec: ReadSpec,
    bin_size_s: float,
    where: str,
    findings: dict[str, int],
) -> Windows:
    """Windows inside of domains, or around events.

    Windows of a stored split lie within one of its intervals. Where the split is drawn, windows
    around events stay as far as they reach into the domain: what lies outside was not observed.
    """
    if spec.option("windows") is not None:
        return _of_benchmark(file, domains, spec, bin_size_s, where, findings)
    if spec.align is None:
        return _laid(domains, spec, bin_size_s, where, findings)
    group_name, _, column = spec.align.rpartition(".")
    parent = hdf5.group(file, group_name or "trials")
    table, skipped = ({}, {}) if parent is None else table_of(parent, spec, findings, (column,))
    named = ", ".join(sorted(table)) or "no columns"
    require(
        column in table and table[column].dtype.kind in "iuf",
        f"{where}: align names {spec.align!r}, but {group_name or 'trials'} has {named}",
    )
    events = in_seconds(table.pop(column), TimeUnit.of(spec.time_unit).trials)
    starts, stops = events + spec.window[0], events + spec.window[1]
    split, touches = np.full(len(events), -1, np.int8), np.zeros(len(events), bool)
    for code, intervals in domains.items():
        for start, end in intervals:
            split[(starts >= start - _ROUNDING_S) & (stops <= end + _ROUNDING_S)] = code
            touches |= (stops > start) & (starts < end)
    with_event = np.isfinite(starts)
    if spec.split == "file":
        faults = {"window not within one split domain": with_event & (split < 0)}
        keep, dropped = counted_drops({"no event": ~with_event} | faults, "trial", where)
    else:
        faults = {"window outside of the domain": with_event & ~touches}
        endless = (-np.inf, np.inf)
        keep, dropped = kept_windows(starts, stops, endless, faults, spec, bin_size_s, where)
    times = {
        str(name) for name in np.char.decode(np.asarray(parent.attrs.get("timekeys", [b""]), "S"))
    }
    skipped |= {name: "a time of the session's clock" for name in table.keys() & times}
    conditions = {
        name: values[keep] for name, values in table.items() if name not in times | {"split"}
    }
    return Windows(starts[keep], stops[keep], split[keep], conditions, dropped, skipped)


def _laid(
    domains: Domains, spec: ReadSpec, bin_size_s: float, where: str, findings: dict[str, int]
) -> Windows:
    """Windows end to end within each interval."""
    length_s = DEFAULT_WINDOW_S if spec.window_s is None else spec.window_s
    intervals_s = np.concatenate(list(domains.values()))
    codes = np.repeat(list(domains), [len(intervals) for intervals in domains.values()])
    starts, row = windows_within(intervals_s, length_s, bin_size_s, where)
    if too_short := len(intervals_s) - len(np.unique(row)):
        findings[TOO_SHORT] = too_short
    return Windows(starts, starts + length_s, codes[row].astype(np.int8), {}, {}, {})


def _of_benchmark(
    file: Any,
    domains: Domains,
    spec: ReadSpec,
    bin_size_s: float,
    where: str,
    findings: dict[str, int],
) -> Windows:
    """Windows of one second inside the task-aligned intervals; those of the test split whole, see
    `bench_windows`."""
    asked = spec.option("windows")
    require(asked == "benchmark", f"windows={asked!r}; expected benchmark")
    plain = spec.align is None and spec.window_s is None and spec.split == "file"
    require(
        plain and bin_size_s == bench_windows.STEP_S,
        f"{where}: windows=benchmark are 1 s in bins of 20 ms, of the file's own split; leave out "
        "--align, --window_s, --split and --bin_ms",
    )
    parent = hdf5.group(file, _ALIGNED)
    unit_s = TimeUnit.of(spec.time_unit).trials
    aligned = None if parent is None else intervals_of_group(parent, "domain", unit_s)
    require(
        aligned is not None and len(aligned),
        f"{where} has no {_ALIGNED}/domain, in which the benchmark lays its windows; leave out "
        "--options=windows=benchmark",
    )
    starts, stops, split, of_interval, short = [], [], [], [], 0
    for code, intervals in domains.items():
        for start, end in bench_windows.overlap(aligned, intervals).tolist():
            if not len(bench_windows.grid_starts(start, end)):
                short += 1
                continue
            first, last = bench_windows.trials_of_interval(start, end)
            if code != TEST:  # whole windows, end to end
                whole = int((end - start) / DEFAULT_WINDOW_S + _ROUNDING_S)
                first, last = first[:whole], last[:whole]
            starts.append(first)
            stops.append(last)
            split.append(np.full(len(first), code, np.int8))
            of_interval.append(np.tile([start, end], (len(first), 1)))
    require(starts, f"{where}: no task-aligned interval of a split lasts one second")
    if short:
        findings[TOO_SHORT] = short
    edges = np.concatenate(of_interval)
    conditions = dict(zip(bench_windows.INTERVAL, edges.T, strict=True))
    together = (np.concatenate(parts) for parts in (starts, stops, split))
    return Windows(*together, conditions, {}, {})
