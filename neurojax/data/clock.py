"""What the numbers of time mean: the unit of a recording's clock, and whether it can be seconds.

Readers hand in times as they lie in the file. Without a unit they are taken as seconds, and a clock
that cannot be in seconds is asked about; with one (`--time_unit`) they are converted, unjudged.
"""

import math
from typing import NamedTuple

import numpy as np

from neurojax.errors import InputError, require

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0}
_KINDS = ("spikes", "trials", "behavior")
GRAMMAR = (
    "s, ms, us, ns, min, or samples:RATE_HZ (samples:30000); spikes=ms,trials=s where they differ"
)

# Sorted units of any brain fire between these on average; outside, another unit is likelier.
LOWEST_HZ, HIGHEST_HZ = 0.1, 400.0
_ENOUGH_SPIKES = 50  # fewer say nothing about a rate
_TICKS_PER_BIN = 20  # a clock must resolve at least so many steps in a bin


class TimeUnit(NamedTuple):
    """Seconds of one unit of the clock of spikes, trials and behaviour; None: not said.

    `of` reads what a user types: "ms", "samples:30000", or "spikes=samples:30000,trials=s".
    """

    spikes: float | None = None
    trials: float | None = None
    behavior: float | None = None

    @classmethod
    def of(cls, text: str | None) -> "TimeUnit":
        """Raises InputError for what is no unit."""
        require(
            text is None or isinstance(text, str),
            f'time_unit={text!r}; expected text, such as "ms"',
        )
        if text is None:
            return cls()
        if "=" not in text:
            return cls(*[_unit_s(text)] * len(_KINDS))
        found = {}
        for part in text.split(","):
            kind, _, unit = part.partition("=")
            require(
                kind in _KINDS and kind not in found,
                f"time_unit={text!r}; expected {', '.join(_KINDS)}, each at most once, as in "
                "spikes=ms,trials=s",
            )
            found[kind] = _unit_s(unit)
        return cls(**found)


def _unit_s(text: str) -> float:
    name, _, rate = text.partition(":")
    if name in _SECONDS and not rate:
        return _SECONDS[name]
    try:
        rate_hz = float(rate) if name == "samples" else math.nan
    except ValueError:
        rate_hz = math.nan
    require(0 < rate_hz < math.inf, f"time_unit={text!r}; expected {GRAMMAR}")
    return 1 / rate_hz


def in_seconds(times: np.ndarray, unit_s: float | None) -> np.ndarray:
    """Times of a file as float64 seconds."""
    seconds = np.asarray(times, np.float64)
    return seconds if unit_s in (None, 1.0) else seconds * unit_s


def require_seconds(
    times: np.ndarray,
    num_units: int,
    bin_size_s: float,
    where: str,
    trial_start_s: np.ndarray | None = None,
    trial_stop_s: np.ndarray | None = None,
    num_spikes: int | None = None,
) -> None:
    """Raises InputError where spike times cannot be seconds, or are too coarse for the bins.

    Args:
        times: [spikes] as the file has them, of its own dtype; finite ones are judged.
        num_units: of units that fire.
        bin_size_s: seconds.
        where: for messages.
        trial_start_s, trial_stop_s: float64 [trials], where the recording has trials.
        num_spikes: where `times` is a sample that holds the first and the last spike, how many
            there are.
    """
    times = np.asarray(times)
    finite = times[np.isfinite(times)] if times.dtype.kind == "f" else times
    number = len(finite) if num_spikes is None else num_spikes
    if number < _ENOUGH_SPIKES or not num_units or not len(finite):
        return
    _require_resolution(finite, bin_size_s, where)
    first, last = float(finite.min()), float(finite.max())
    said = f"{where}: {number:,} spikes of {num_units} units span {last - first:,.6g} seconds"
    remedy = "give --time_unit=ms or --time_unit=samples:30000, or --time_unit=s where it is so"
    # Judged before rates: whole numbers are what samples and milliseconds look like.
    if last - first > number**0.5 and (finite == np.floor(finite)).all():
        raise InputError(
            f"{said}, all at whole seconds, so they are likely milliseconds or samples; {remedy}"
        )
    rate_hz = number / num_units / max(last - first, 1e-12)
    if rate_hz > HIGHEST_HZ:
        remedy = "give --time_unit=min, or --time_unit=s where it is so"
    if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
        raise InputError(
            f"{said}, {rate_hz:.3g} Hz a unit, so their time unit is likely another; {remedy}"
        )
    if trial_start_s is None:
        return
    require_one_clock(trial_start_s, trial_stop_s, (first, last), "spikes", where)


def require_one_clock(
    trial_start_s: np.ndarray,
    trial_stop_s: np.ndarray,
    recorded_s: tuple[float, float],
    what: str,
    where: str,
) -> None:
    """Raises InputError where most trials, float64 [trials] twice, lie outside of the time in which
    `what` (spikes, traces) was recorded."""
    first, last = recorded_s
    inside = (np.asarray(trial_stop_s) > first) & (np.asarray(trial_start_s) < last)
    if len(inside) and inside.mean() < 0.5:
        begin, end = np.nanmin(trial_start_s), np.nanmax(trial_stop_s)
        raise InputError(
            f"{where}: {int((~inside).sum())} of {len(inside)} trials lie outside of the {what} "
            f"(trials {begin:,.6g} to {end:,.6g} s, {what} {first:,.6g} to {last:,.6g} s); give "
            "both on one clock, in seconds, or say their units with --time_unit=spikes=s,trials=ms"
        )


def _require_resolution(times: np.ndarray, bin_size_s: float, where: str) -> None:
    """float32 times late in a recording step by a bin and more; so do float64 made of them."""
    if times.dtype.kind != "f":
        return
    largest = float(np.abs(times).max())
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, and differs
        as_single = times.astype(np.float32)
    kind = np.float32 if (as_single == times).all() else np.float64
    step_s = float(np.spacing(kind(largest)))
    require(
        # Whole numbers that float32 holds exactly are samples or milliseconds: not judged here.
        step_s * _TICKS_PER_BIN <= bin_size_s or (step_s <= 1 and _is_coarse_grid(times)),
        f"{where}: spike times up to {largest:,.6g} s are {kind.__name__}, which steps by "
        f"{1000 * step_s:.3g} ms there, too coarse for bins of {1000 * bin_size_s:g} ms; store "
        "them as float64 or from a zero nearby, take wider bins, or take them as they are with "
        "--time_unit=s",
    )


def _is_coarse_grid(times: np.ndarray) -> bool:
    """Whether times are so round (whole seconds) that float32 holds them exactly by chance."""
    return bool((times == np.floor(times)).all())
