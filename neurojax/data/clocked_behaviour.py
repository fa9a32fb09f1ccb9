"""Behaviour that comes with its own time stamps, `{"speed": (times_s, values)}`, brought into the
bins of a session."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.clock import in_seconds
from neurojax.data.observed import within
from neurojax.data.observed_units import intervals_s
from neurojax.data.readers.signals import bin_starts, clean_signal, mean_in_bins
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.object_columns import require_one_index
from neurojax.data.store.session_fields import named_columns, plain_array
from neurojax.errors import require


def behaviour_in_bins(
    behaviour: Mapping[str, Any] | None,
    trial_start_s: np.ndarray,
    trial_num_bins: np.ndarray,
    bin_size_s: float,
    where: str,
    *,
    max_gap_s: float | None = None,
    unit_s: float | None = None,
    findings: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Behaviour by name: a tuple (times, values) becomes float32 [total_bins, dims], NaN where it
    is not known, see `signals.mean_in_bins`; anything else, one value a bin, is left as it is.

    Args:
        behaviour: name -> (times [samples], values [samples (, dims)]), or values of bins. A third
            member, [n, 2], says between which times it was recorded; other time is not bridged.
        trial_start_s: float64 [trials], on the clock of the times.
        trial_num_bins: int64 [trials].
        bin_size_s: seconds.
        where: for messages.
        max_gap_s: samples further apart leave the bins between them unknown.
        unit_s: seconds of one unit of the times; None: they are seconds.
        findings: what was odd in the samples is added to it.

    Raises:
        InputError: no numbers, other lengths, or samples that all lie outside of the trials.
    """
    ReadSpec(max_gap_s=max_gap_s)  # raises unless it is a number above 0
    made = {}
    for name, given in named_columns(behaviour, "behaviour", where).items():
        if not isinstance(given, tuple):
            made[name] = given
            continue
        said = f"{where}: behaviour {name!r}"
        require(
            len(given) in (2, 3),
            f"{said} is a tuple of {len(given)}, expected (times_s, values) of its samples",
        )
        require_one_index(*given[:2], ("times", "values"), said)
        times, values = (
            plain_array(part, f"{what} of behaviour {name!r}", where)
            for part, what in zip(given[:2], ("times", "values"), strict=True)
        )
        require(
            times.dtype.kind in "iuf" and values.dtype.kind in "biuf",
            f"{said} has times {times.dtype} and values {values.dtype}, expected seconds and "
            "numbers",
        )
        require(
            np.shape(trial_start_s) == np.shape(trial_num_bins),
            f"{where}: {len(trial_start_s)} trial starts for {len(trial_num_bins)} trials; give "
            "one each",
        )
        starts = bin_starts(trial_start_s, trial_num_bins, bin_size_s)
        values = values.reshape(len(values), -1) if values.ndim > 2 else values
        times_s, values = clean_signal(in_seconds(times, unit_s), values, said, findings)
        made[name] = mean_in_bins(times_s, values, starts, bin_size_s, max_gap_s)
        if len(given) == 3:
            known_s = intervals_s(given[2], f"recorded time of behaviour {name!r}", unit_s, where)
            made[name][_bridged(times_s, known_s, starts, bin_size_s)] = np.nan
        _require_shared_time(times_s, made[name], starts, bin_size_s, said)
    return made


def _bridged(
    times_s: np.ndarray, known_s: np.ndarray, starts: np.ndarray, bin_size_s: float
) -> np.ndarray:
    """Bins without a sample whose centre lies outside of the recorded time, bool [bins]."""
    centre = starts + bin_size_s / 2
    number = np.diff(np.searchsorted(times_s, np.stack([starts, starts + bin_size_s])), axis=0)[0]
    return ~within(known_s, centre, centre) & (number == 0)


def _require_shared_time(
    times_s: np.ndarray, made: np.ndarray, starts: np.ndarray, bin_size_s: float, said: str
) -> None:
    """Raises InputError where samples say nothing about any bin because they lie elsewhere."""
    if not len(times_s) or np.isfinite(made).any():
        return
    first, last = float(starts.min()), float(starts.max() + bin_size_s)
    within = (times_s[-1] > first) and (times_s[0] < last)
    require(
        within,
        f"{said} has samples from {times_s[0]:,.6g} to {times_s[-1]:,.6g} s, none within the "
        f"trials, {first:,.6g} to {last:,.6g} s; give both on one clock, in seconds "
        '(from_spike_times takes time_unit="behavior=ms")',
    )
