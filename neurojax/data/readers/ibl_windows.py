"""Where the windows of an ALF recording lie: around events of its trials, or cut from its time."""

import numpy as np

from neurojax.data.clock import TimeUnit, require_seconds
from neurojax.data.readers.alf_files import NUMBERS_OR_TEXT, AlfFile, read_objects
from neurojax.data.readers.ibl_trials import (
    WINDOW,
    column,
    decoding_faults,
    in_unit,
    intervals,
    is_numeric,
    stimulus_of,
)
from neurojax.data.readers.ibl_units import Probe
from neurojax.data.readers.parts import PART, leave_out
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import kept_windows, trials_in_seconds, windows_within
from neurojax.errors import InputError, require

TRIALS = "trials"
_MAX_JUDGED = 100_000  # spikes that tell what clock they are on


def read_trials(
    files: list[AlfFile], spec: ReadSpec, where: str, odd: dict[str, int]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Columns of the trials, times in seconds, and those that are left aside: name -> reason."""
    table, bad = spec.option("table", TRIALS), {}
    of_table = _of_session(files, table)
    if table != TRIALS:
        known = sorted({file.object for file in files if "/probe" not in file.collection})
        require(of_table, f"{where}: table={table!r}, but the objects are {', '.join(known)[:300]}")
    have = {file.attribute: file for file in of_table}
    needed = (stimulus_of(have) if spec.align is None else spec.align,)
    if spec.window_s is not None:
        needed = () if table == TRIALS else ("intervals",)
    read = read_objects(of_table, table, None, needed, bad, kinds=NUMBERS_OR_TEXT)
    for name in needed:
        if name in read and name != "intervals":
            column(read[name], name)  # raises where it is no column of numbers
    for name in [name for name, values in read.items() if values.dtype.kind in "US"]:
        if is_numeric(name):
            bad[f"{table}.{name}"] = InputError(f"{where}: {table}.{name} is text, not numbers")
            del read[name]
    for name, error in bad.items():
        leave_out(odd, PART, name, error, spec, where)
    return in_unit(read, TimeUnit.of(spec.time_unit).trials)


def _of_session(files: list[AlfFile], name: str) -> list[AlfFile]:
    """An object's files that belong to no probe; where tasks have folders of their own, those of
    the first."""
    of_object = [file for file in files if file.object == name and "/probe" not in file.collection]
    first = min((file.collection for file in of_object), default="")
    return [file for file in of_object if file.collection == first]


def windows_of(
    trials: dict[str, np.ndarray],
    times: np.ndarray,
    probes: list[Probe],
    spec: ReadSpec,
    bin_size_s: float,
    where: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    """Start and stop of every trial, float64 [trials], which are kept, bool [trials], and why
    others are not."""
    if spec.window_s is not None:
        if spec.option("table") is not None:
            starts = windows_within(intervals(trials), spec.window_s, bin_size_s, where)[0]
            stops = starts + spec.window_s
        else:
            starts, stops = trials_in_seconds({}, times, spec, bin_size_s, where)
        return starts, stops, np.ones(len(starts), bool), {}
    align, window = spec.align or stimulus_of(trials), spec.window or WINDOW
    stored = intervals(trials) if trials else np.empty((0, 2))
    as_stored = spec.align is None and align not in trials and np.isfinite(stored).any()
    came = f"have {', '.join(sorted(trials))}" if trials else "are not there"
    require(
        align in trials or as_stored,
        f"{where}: trials.{align} is not there, the trials {came}; give --align, or --window_s=2",
    )
    if as_stored:
        starts, stops = stored.T
    else:
        events = column(trials[align], align)
        starts, stops = events + window[0], events + window[1]
    _require_one_clock(times, starts, stops, probes, spec, bin_size_s, where)
    wanted = spec.option("trials", "all")
    require(
        wanted in ("all", "decoding", "included"),
        f"trials={wanted!r}; expected all, decoding or included",
    )
    faults = decoding_faults(trials, where) if wanted == "decoding" else {}
    if wanted == "included":
        require("included" in trials, f"{where}: trials=included needs trials.included")
        faults = {"not included": column(trials["included"], "included") != 1}
    if spec.silence != "keep":  # few units tell of no gap, but nobody watched before or after all
        with np.errstate(invalid="ignore"):
            outside = (stops <= times[0]) | (starts >= times[-1])
        faults = {"window leaves the recording": outside} | faults
    endless = (-np.inf, np.inf)
    return starts, stops, *kept_windows(starts, stops, endless, faults, spec, bin_size_s, where)


def _require_one_clock(
    times: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    probes: list[Probe],
    spec: ReadSpec,
    bin_size_s: float,
    where: str,
) -> None:
    """Raises InputError where most trials lie outside of the spikes, unless the units are given."""
    if spec.time_unit is not None:
        return
    some = np.append(times[:: max(1, len(times) // _MAX_JUDGED)], times[-1:])
    known = np.isfinite(starts) & np.isfinite(stops)
    firing = sum(len(np.unique(probe.spikes.rows)) for probe in probes)
    require_seconds(some, firing, bin_size_s, where, starts[known], stops[known], len(times))
