"""Which of a recording's trials can be used: drops counted by reason, windows inside the recording,
time not shared."""

import numpy as np

from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError


def counted_drops(
    tests: dict[str, np.ndarray], what: str, where: str
) -> tuple[np.ndarray, dict[str, int]]:
    """Which units or trials stay and why the others go; each is counted at the first reason that
    names it.

    Args:
        tests: reason -> bool [n], True where it names one.
        what: "unit" or "trial", for the message.
        where: for the message.

    Returns:
        bool [n], True where it stays, and reason -> number.

    Raises:
        InputError: none stays.
    """
    dropped: dict[str, int] = {}
    gone = np.zeros(len(next(iter(tests.values()))), bool)
    for reason, names in tests.items():
        if number := int((names & ~gone).sum()):
            dropped[reason] = number
        gone |= names
    if gone.all():
        listed = (
            ", ".join(f"{reason}: {number}" for reason, number in dropped.items())
            or "there were none"
        )
        raise InputError(
            f"{where}: no {what} is left of {len(gone)} ({listed}); check them, or loosen the "
            "options"
        )
    return ~gone, dropped


def kept_windows(
    starts_s: np.ndarray,
    stops_s: np.ndarray,
    recorded_s: tuple[float, float],
    faults: dict[str, np.ndarray],
    spec: ReadSpec,
    bin_size_s: float,
    where: str,
) -> tuple[np.ndarray, dict[str, int]]:
    """Windows that are known, lie within the recording and, where the split is drawn at random,
    share no time.

    Args:
        starts_s, stops_s: float64 [trials], seconds; NaN where the event is missing.
        recorded_s: first and last time of the recording, seconds.
        faults: further reasons to leave trials out -> bool [trials].
        spec: its split decides whether windows may share time; blocks keep neighbours together.
        bin_size_s: half of it is tolerated, since clocks round.
        where: for messages.

    Returns:
        bool [trials], True for kept ones, and reason -> number of dropped ones.
    """
    with np.errstate(invalid="ignore"):
        outside = (starts_s < recorded_s[0]) | (stops_s > recorded_s[1])
    tests = {
        "no event": ~(np.isfinite(starts_s) & np.isfinite(stops_s)),
        "window leaves the recording": outside,
    }
    tests |= faults
    keep = ~np.any(list(tests.values()), axis=0)
    if spec.split_block_s() is None:
        tests["window begins within the one before"] = _shares_time(
            starts_s, stops_s, keep, bin_size_s / 2
        )
    return counted_drops(tests, "trial", where)


def _shares_time(
    starts_s: np.ndarray, stops_s: np.ndarray, keep: np.ndarray, tolerance_s: float
) -> np.ndarray:
    """Kept windows that begin before the kept window before them ends, bool [trials]."""
    shared, free_from_s = np.zeros(len(starts_s), bool), -np.inf
    for trial in np.argsort(np.where(keep, starts_s, np.inf), kind="stable")[: int(keep.sum())]:
        if starts_s[trial] < free_from_s - tolerance_s:
            shared[trial] = True
        else:
            free_from_s = stops_s[trial]
    return shared
