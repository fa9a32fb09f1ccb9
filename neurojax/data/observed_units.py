"""When each unit was observed, as a caller says or as the spikes tell, in intervals of seconds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.data.clock import in_seconds
from neurojax.data.observed import different, gaps_of, heard, inside_bins, merged, shared_of_units
from neurojax.data.store.session_fields import plain_array
from neurojax.errors import InputError, require

_ALWAYS = np.array([[-np.inf, np.inf]])


def intervals_s(values: Any, name: str, unit_s: float | None, where: str) -> np.ndarray:
    """float64 [n, 2], seconds, rising and apart.

    Args:
        values: [n, 2], starts and stops in any order; or one pair; may be infinite at its ends.
        name: for messages.
        unit_s: seconds of one unit of the clock; None: seconds.
        where: for messages.

    Raises:
        InputError: other shapes, no numbers, NaN, or stops before starts.
    """
    pairs = plain_array(values, name, where)
    pairs = np.empty((0, 2)) if pairs.size == 0 else pairs
    pairs = pairs[None] if pairs.shape == (2,) else pairs
    require(
        pairs.dtype.kind in "iuf" and pairs.ndim == 2 and pairs.shape[1] == 2,
        f"{where}: {name} is {pairs.dtype} {list(pairs.shape)}, expected [n, 2]: from when to "
        "when, in seconds",
    )
    times = in_seconds(pairs, unit_s)
    wrong = int((~(times[:, 0] <= times[:, 1])).sum())
    require(
        not wrong,
        f"{where}: {wrong} intervals of {name} hold NaN or stop before they start; expected [n, "
        "2]: starts and stops",
    )
    return merged(times)


def watched_s(
    observed: Any, invalid: Any, names: Sequence[str], unit_s: float | None, where: str
) -> list[np.ndarray] | None:
    """When each unit was observed, float64 [n, 2] of each; None where nothing is said.

    Args:
        observed: [n, 2] of all units, or unit -> [n, 2] of every one.
        invalid: [n, 2] of all units, or unit -> [n, 2] of some.
        names: of the units, in order.
        unit_s: seconds of one unit of the clock; None: seconds.
        where: for messages.

    Raises:
        InputError: see `intervals_s`; a unit that is not there, or is left out of `observed`.
    """
    said = _of_units(observed, "observed", names, unit_s, where)
    bad = _of_units(invalid, "invalid", names, unit_s, where)
    if said is not None:
        missing = [name for name in names if name not in said]
        require(
            not missing,
            f"{where}: observed leaves out {len(missing)} of {len(names)} units, such as "
            f"{missing[:1]}; give the intervals of every one, [] for one that was never observed",
        )
        require(
            any(len(own) for own in said.values()),
            f"{where}: observed has no interval; nothing was observed",
        )
    if said is None and bad is None:
        return None
    good = {name: gaps_of(own) for name, own in (bad or {}).items()}
    return shared_of_units(
        [_ALWAYS if said is None else said[name] for name in names],
        [good.get(name, _ALWAYS) for name in names],
    )


def _of_units(
    given: Any, what: str, names: Sequence[str], unit_s: float | None, where: str
) -> dict[str, np.ndarray] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, intervals_s(given, what, unit_s, where))
    known = {str(name): values for name, values in given.items()}
    if strange := sorted(known.keys() - set(names)):
        raise InputError(
            f"{where}: {what} names the unit {strange[0]!r}, which is not among the "
            f"{len(names)} units"
        )
    return {
        name: intervals_s(values, f"{what} of unit {name}", unit_s, where)
        for name, values in known.items()
    }


def with_heard(
    watched: list[np.ndarray] | None,
    times_s: np.ndarray,
    rows: np.ndarray,
    num_units: int,
    trial_start_s: np.ndarray,
    trial_num_bins: np.ndarray,
    bin_size_s: float,
) -> tuple[list[np.ndarray] | None, int]:
    """When units were observed, without stretches in which all fall silent against all odds, and
    how many bins of trials that are not left out already these take; see `observed.heard`.

    Args:
        watched: of each unit, float64 [n, 2]; None: always.
        times_s: float64 [spikes], seconds, in any order.
        rows: integers [spikes], row of each spike's unit.
        num_units: N.
        trial_start_s, trial_num_bins: [trials], seconds and bins.
        bin_size_s: seconds.
    """
    told = heard(np.sort(times_s), np.count_nonzero(np.bincount(rows)))
    bins = inside_bins(told, trial_start_s, trial_num_bins, bin_size_s)
    if bins.all():
        return watched, 0
    if watched is None:
        return [told] * num_units, int((~bins).sum())
    grid = trial_start_s, trial_num_bins, bin_size_s
    within = np.any([inside_bins(own, *grid) for own in different(watched)[0]], axis=0)
    return shared_of_units(watched, [told] * num_units), int((within & ~bins).sum())
