"""A first look at all spikes of an NWB file, in the memory of one block: their span, a sample for
judging the clock, and when each probe was heard."""

from typing import NamedTuple

import numpy as np

from neurojax.data import observed
from neurojax.data.clock import in_seconds
from neurojax.data.readers.nwb_spikes import raw_blocks
from neurojax.data.readers.nwb_units import Units
from neurojax.errors import require

_SAMPLED_SPIKES = 2**14
_CELL_S = 4.0  # of each, the first and the last spike tell all about gaps of ten seconds
_FEW_UNITS = 8  # probes below are heard together: tetrodes


class Survey(NamedTuple):
    """What all spikes tell.

    Attributes:
        first_s, last_s: first and last spike, seconds.
        sample: [at most about 2**14] of the times as the file has them, the first and last of each
            unit among them.
        num_spikes: how many have a finite time.
        num_firing: units with a spike.
        heard: probe -> float64 [intervals, 2], see `observed.heard`.
    """

    first_s: float
    last_s: float
    sample: np.ndarray
    num_spikes: int
    num_firing: int
    heard: dict[str, np.ndarray]


def survey_spikes(units: Units, where: str) -> Survey:
    """Looks at every spike once.

    Raises:
        InputError: no spike time is finite, or the file is damaged.
    """
    stride = 1 + int((units.last - units.first).sum()) // _SAMPLED_SPIKES
    sample, of_unit = [], []
    number = np.zeros(len(units.first), np.int64)
    for first, trains in raw_blocks(units, where):
        for unit, train in enumerate(trains, start=first):
            times = train if np.isfinite(train).all() else train[np.isfinite(train)]
            times = times if (times[1:] >= times[:-1]).all() else np.sort(times)
            number[unit] = len(times)
            # copies: a view would hold the whole block
            sample += [times[::stride].copy(), times[-1:].copy()]
            of_unit.append(_thinned(in_seconds(times, units.spike_s)))
    require(number.any(), f"{where}: no spike time is finite; check the file")
    ends = np.concatenate(of_unit)
    return Survey(
        float(ends.min()),
        float(ends.max()),
        np.concatenate(sample).astype(units.spike_times.dtype.newbyteorder("="), copy=False),
        int(number.sum()),
        int((number > 0).sum()),
        _heard(units.probe, of_unit, number),
    )


def _thinned(times: np.ndarray) -> np.ndarray:
    """The first and last spike of every few seconds, float64 in no order, of rising times in
    seconds."""
    if not len(times):
        return times
    first, last = np.floor(times[[0, -1]] / _CELL_S)
    if last - first >= len(times):
        return times.copy()
    place = np.searchsorted(times, np.arange(first, last + 2) * _CELL_S)
    begin, end = place[:-1], place[1:] - 1
    return times[np.concatenate([begin[begin <= end], end[begin <= end]])]


def _heard(
    probe: np.ndarray, of_unit: list[np.ndarray], number: np.ndarray
) -> dict[str, np.ndarray]:
    """When each probe was heard; those of few units are one population."""
    names = sorted(set(probe.tolist()))
    rows = {name: np.flatnonzero((probe == name) & (number > 0)) for name in names}
    small = [name for name in names if len(rows[name]) < _FEW_UNITS]
    together = np.sort(np.concatenate([rows[name] for name in small])) if small else None
    made = {}
    for name in names:
        own = together if name in small else rows[name]
        times = np.sort(np.concatenate([np.empty(0), *(of_unit[row] for row in own.tolist())]))
        made[name] = observed.heard(times, len(own), int(number[own].sum()))
    return made
