"""What the arrays of a file say of observed time, or what its spikes tell where they say nothing.

observed          true or false for every bin, or every bin and unit: the shape of counts
observed_s        [n, 2] seconds, from when to when all units were observed
unit_observed_s   [units, 2], or [units, n, 2] padded with NaN, seconds: of each unit
invalid_s         [n, 2] seconds that count for nothing
"""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from neurojax.data.checks.findings import BAD_ELSEWHERE
from neurojax.data.clock import in_seconds
from neurojax.data.observed import (
    SWITCHED_OFF_S,
    elsewhere,
    entries_inside,
    gaps_of,
    heard,
    inside_bins,
    merged,
    probes_of,
)
from neurojax.errors import require

NAMES = ("observed", "observed_s", "unit_observed_s", "invalid_s")


@dataclasses.dataclass(frozen=True)
class Declared:
    """What a file says; None where it says nothing.

    Attributes:
        mask: bool, the shape of counts or of their bins.
        watched_s: float64 [n, 2] of each unit, or one for all.
        valid_s: float64 [n, 2], the time outside of the bad times.
    """

    mask: np.ndarray | None = None
    watched_s: tuple[np.ndarray, ...] | None = None
    valid_s: np.ndarray | None = None

    def says(self) -> bool:
        """Whether it is said when units were observed; bad times alone leave that to the spikes."""
        return not (self.mask is None and self.watched_s is None)

    def odd(self, first_s: float, last_s: float) -> dict[str, int]:
        """What is odd about the bad times of a recording from `first_s` to `last_s`, for
        `info["findings"]`."""
        number = 0 if self.valid_s is None else elsewhere(self.valid_s, first_s, last_s)
        return {BAD_ELSEWHERE: number} if number else {}

    def entries(
        self,
        starts_s: np.ndarray,
        lengths: np.ndarray,
        bin_size_s: float,
        num_units: int,
        where: str,
    ) -> np.ndarray | None:
        """Entries of trials that were observed as the intervals say, bool [total_bins, N] or
        [total_bins, 1]; None where they say nothing. `num_units` is N."""
        require(
            self.watched_s is None or len(self.watched_s) in (1, num_units),
            f"{where}: unit_observed_s has {len(self.watched_s or ())} units, but there are "
            f"{num_units}",
        )
        known = []
        for intervals in (self.watched_s, None if self.valid_s is None else (self.valid_s,)):
            if intervals is not None:
                bins = [inside_bins(own, starts_s, lengths, bin_size_s) for own in intervals]
                known.append(np.stack(bins, axis=1))
        return np.logical_and.reduce(np.broadcast_arrays(*known)) if known else None

    def mask_of(self, shape: tuple[int, ...], where: str) -> np.ndarray | None:
        """The mask as bool [total_bins, N] or [total_bins, 1], for counts of a shape."""
        if self.mask is None:
            return None
        total, num_units = math.prod(shape[:-1]), shape[-1]
        per_bin = self.mask.shape in ((total,), shape[:-1])
        require(
            per_bin or self.mask.shape in ((total, num_units), shape),
            f"{where}: observed has shape {list(self.mask.shape)}, but counts {list(shape)}; give "
            "it the shape of counts, or of their bins",
        )
        return self.mask.reshape(total, 1 if per_bin else num_units)


def all_of(parts: Iterable[np.ndarray | None], shape: tuple[int, int]) -> np.ndarray | None:
    """Entries observed by all that say so, bool [total_bins, N]; None where all are."""
    said = [np.broadcast_to(part, shape) for part in parts if part is not None]
    entries = np.logical_and.reduce(said) if said else np.ones((), bool)
    return None if entries.all() else entries


def take_declared(arrays: dict[str, np.ndarray], unit_s: float | None, where: str) -> Declared:
    """Takes the arrays of NAMES out of a file's.

    Args:
        arrays: of the file; those named here are removed.
        unit_s: seconds of one unit of the file's clock, see `clock.in_seconds`.
        where: for messages.

    Raises:
        InputError: one of them is not what its name says.
    """
    mask = arrays.pop("observed", None)
    if mask is not None:
        require(
            mask.dtype.kind in "biuf" and np.isin(mask, (0, 1)).all(),
            f"{where}: observed is {mask.dtype} {list(mask.shape)}, expected true or false for "
            "every bin (and unit) of counts",
        )
        mask = mask.astype(bool)
        require(mask.any(), f"{where}: observed is false throughout; nothing was observed")
    watched = None
    if "observed_s" in arrays:
        watched = (_intervals(arrays.pop("observed_s"), "observed_s", unit_s, where),)
    if "unit_observed_s" in arrays:
        require(watched is None, f"{where} holds observed_s and unit_observed_s; give one of them")
        watched = _of_units(arrays.pop("unit_observed_s"), unit_s, where)
    valid = None
    if "invalid_s" in arrays:
        valid = gaps_of(_intervals(arrays.pop("invalid_s"), "invalid_s", unit_s, where))
    return Declared(mask, watched, valid)


def _intervals(values: np.ndarray, name: str, unit_s: float | None, where: str) -> np.ndarray:
    """float64 [n, 2], rising and apart; NaN pads."""
    pairs = values.reshape(1, 2) if values.shape == (2,) else values  # MATLAB's one row
    pairs = np.empty((0, 2)) if values.size == 0 else pairs
    require(
        pairs.dtype.kind in "iuf" and pairs.ndim == 2 and pairs.shape[1] == 2,
        f"{where}: {name} is {values.dtype} {list(values.shape)}, expected [n, 2], from when to "
        "when in seconds",
    )
    seconds = in_seconds(pairs, unit_s)
    reversed_ones = int((seconds[:, 0] > seconds[:, 1]).sum())
    require(
        not reversed_ones,
        f"{where}: {reversed_ones} intervals of {name} end before they begin; expected [n, 2], "
        "starts and stops",
    )
    return merged(seconds)


def _of_units(values: np.ndarray, unit_s: float | None, where: str) -> tuple[np.ndarray, ...]:
    of_one = values[None] if values.shape == (2,) else values
    require(
        of_one.ndim in (2, 3) and of_one.shape[-1] == 2,
        f"{where}: unit_observed_s has shape {list(values.shape)}, expected [units, 2], or [units, "
        "n, 2] padded with NaN",
    )
    units = of_one[:, None] if of_one.ndim == 2 else of_one
    return tuple(_intervals(own.reshape(-1, 2), "unit_observed_s", unit_s, where) for own in units)


def _never_silent(counts: np.ndarray, bin_size_s: float) -> bool:
    """Whether a few of the bins already show that no silence is long enough to tell of a gap."""
    step = max(1, int(SWITCHED_OFF_S / bin_size_s / 4))
    quiet = ~counts[::step].any(axis=1)
    runs = quiet[:-2] & quiet[1:-1] & quiet[2:]  # three in a row fit into any such silence
    return bool(counts[0].any() and counts[-1].any() and not runs.any())


def told_by_counts(
    counts: np.ndarray, bin_size_s: float, probe: np.ndarray | None = None
) -> np.ndarray | None:
    """`heard_by_probe` of binned spikes, trials end to end: entries observed, bool [total_bins, N];
    None where all are."""
    if probe is None and _never_silent(counts, bin_size_s):
        return None
    total, of_unit, told = len(counts), probes_of(probe, counts.shape[1]), []
    for number in range(int(of_unit.max(initial=0)) + 1):
        own = counts if not of_unit.any() else counts[:, of_unit == number]
        fires = own.any(axis=1)
        centres = (np.flatnonzero(fires) + 0.5) * bin_size_s
        num_firing, num_spikes = int(own.any(axis=0).sum()), int(own.sum(dtype=np.int64))
        intervals = heard(centres, num_firing, num_spikes)
        # Silence at an end that outlasts the margin begins with the last spike.
        if intervals[-1, 1] < total * bin_size_s:
            intervals[-1, 1] = centres[-1]
        if intervals[0, 0] > 0:
            intervals[0, 0] = centres[0]
        told.append(intervals + np.array([-0.5, 0.5]) * bin_size_s)  # whole bins
    of_units = [told[number] for number in of_unit.tolist()]
    return entries_inside(of_units, np.zeros(1), np.array([total]), bin_size_s)
