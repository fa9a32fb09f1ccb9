"""Which trials of a sorting are read, and when each of its probes was recorded."""

from pathlib import Path

import numpy as np

from neurojax.data.binning import bins_that_fit
from neurojax.data.checks.findings import FELL_SILENT, REACHING, counted_as_silence
from neurojax.data.observed import inside_bins
from neurojax.data.readers.side_tables import Clock, TrialTable, table_beside, trials_of
from neurojax.data.readers.sorted_spikes import SortedSpikes, add_counts
from neurojax.data.readers.sorting_clock import Timed, heard_of, windows
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import kept_windows
from neurojax.data.store.session_fields import seconds
from neurojax.errors import require

_DEFAULT_TRIALS = ("trials.csv", "trials.tsv", "trials.npz")
# names in info["findings"]
OUTSIDE = "bins outside of the recording, not observed"


def table_of_trials(folder: Path, spec: ReadSpec, where: str) -> Path | None:
    """The table of trials; None where the recording is cut into windows."""
    typed = spec.option("trials")
    there = [folder / name for name in _DEFAULT_TRIALS if (folder / name).is_file()]
    path = table_beside(folder, typed, "trials", "trials") if typed else next(iter(there), None)
    require(
        path is not None or spec.align is None,
        f"{where} has no trials.csv for align={spec.align!r}; put one there, or give --window_s=2",
    )
    require(
        path is not None or spec.window_s is not None,
        f"{where}: spike times without trials; put trials.csv there (start_s, stop_s), name a "
        "table with --options=trials=FILE.csv, or cut windows with --window_s=2",
    )
    return path if spec.window_s is None else None


def sorting_trials(
    path: Path | None,
    side: Clock,
    clock: Timed,
    times_s: np.ndarray,
    spec: ReadSpec,
    bin_size_s: float,
    where: str,
) -> TrialTable:
    """Windows, or the trials of a table that can be used; `times_s` [spikes] rise."""
    if path is None:
        starts = windows(clock, times_s, spec.window_s, bin_size_s, where)
        return TrialTable(starts, starts + spec.window_s, {}, {}, {}, [])
    table = trials_of(path, side, spec)
    starts, stops = table.starts_s, table.stops_s
    known = np.isfinite(starts) & np.isfinite(stops)
    short = np.zeros(len(starts), bool)
    short[known] = bins_that_fit(starts[known], stops[known], bin_size_s) < 1
    # what lies outside of the recording is not observed: `session_of` leaves out such trials
    keep, dropped = kept_windows(
        starts, stops, (-np.inf, np.inf), {"shorter than one bin": short}, spec, bin_size_s, where
    )
    return table._replace(
        starts_s=seconds(starts[keep], "start_s", where),
        stops_s=seconds(stops[keep], "stop_s", where),
        conditions={name: values[keep] for name, values in table.conditions.items()},
        dropped=table.dropped | dropped,
    )


def observed_bins(
    clock: Timed,
    spikes: SortedSpikes,
    probe: np.ndarray,
    keep: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    bin_size_s: float,
    spec: ReadSpec,
) -> tuple[np.ndarray | None, dict[str, int]]:
    """Entries that were observed, bool [total_bins] or [total_bins, N], None where all were; and
    what was marked.

    Args:
        clock: of the recording.
        spikes: of all units, also of those that are left out: noise says that a probe was on.
        probe: str [all units].
        keep: bool [all units], units that stay.
        starts, lengths: of the trials, float64 and int64 [trials].
        bin_size_s: seconds.
        spec: its `silence`.
    """
    said = inside_bins(clock.recorded_s, starts, lengths, bin_size_s)
    findings = {OUTSIDE: int((~said).sum())}
    inside, fell_silent = {}, np.zeros(len(said), bool)
    for name in np.unique(probe):
        times_s, rows = spikes.times_s, spikes.rows
        if (probe != name).any():
            own = (probe == name)[rows]
            times_s, rows = times_s[own], rows[own]
        time = clock.recorded_s if spec.silence == "keep" else heard_of(clock, times_s, rows)
        inside[name] = inside_bins(time, starts, lengths, bin_size_s)
        fell_silent |= said & ~inside[name]
    findings[FELL_SILENT] = int(fell_silent.sum())
    ends = starts + lengths * bin_size_s
    outside = (ends <= spikes.times_s[0]) | (starts >= spikes.times_s[-1])
    seen = np.stack([*inside.values()], axis=1)
    findings[REACHING] = counted_as_silence(outside, lengths, seen)
    findings = add_counts(findings)
    if all(bins.all() for bins in inside.values()):
        return None, findings
    if len(inside) == 1:
        return next(iter(inside.values())), findings
    return np.stack([inside[name] for name in probe[keep]], axis=1), findings
