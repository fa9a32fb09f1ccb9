"""Spikes of named units in memory, as a caller has them, become a time and a unit a spike."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.store.object_columns import as_array, require_one_index
from neurojax.data.store.session_fields import plain_array, seconds
from neurojax.errors import InputError, require

MASKED = "masked"  # why spikes were left out


class FlatSpikes(NamedTuple):
    """All spikes together.

    Attributes:
        times: [spikes] of the caller's own dtype and clock, finite.
        rows: integers [spikes], row of each spike's unit among the labels.
        labels: of units.
        masked: spikes that were left out, as their time or their unit is masked.
    """

    times: np.ndarray
    rows: np.ndarray
    labels: list[Any]
    masked: int


def flat_spikes(times: Any, unit_ids: Any, where: str) -> FlatSpikes:
    """Spikes of `from_spike_times`: times and the unit of each, or unit -> its times.

    Raises:
        InputError: other lengths, times that are not finite numbers, units that are no labels, or
            pandas columns of different indexes.
    """
    if isinstance(times, Mapping):
        return _of_units(times, unit_ids, where)
    require(
        unit_ids is not None,
        f"{where}: times without unit_ids; give one unit a spike, or times as unit -> spike times",
    )
    require_one_index(times, unit_ids, ("times", "unit_ids"), where)
    times, unit_ids, masked = _without_masked(times, unit_ids, where)
    given, of_spikes = _times(times, "times", where), plain_array(unit_ids, "unit_ids", where)
    require(
        of_spikes.shape == given.shape,
        f"{where}: {len(given)} times and unit_ids {list(of_spikes.shape)}, expected one each a "
        "spike",
    )
    if of_spikes.dtype.kind == "f":
        fractions = of_spikes[(of_spikes != np.floor(of_spikes)) | ~np.isfinite(of_spikes)]
        if len(fractions):
            raise InputError(
                f"{where}: unit_ids holds {fractions[0]:g} ({len(fractions)} such), expected "
                "labels of units"
            )
        of_spikes = of_spikes.astype(np.int64)
    seen, rows = np.unique(of_spikes, return_inverse=True)
    return FlatSpikes(given, rows.ravel(), seen.tolist(), masked)


def _of_units(times: Mapping[Any, Any], unit_ids: Any, where: str) -> FlatSpikes:
    require(unit_ids is None, f"{where}: unit_ids came with times by unit; give one of them")
    require(times, f"{where}: no units; expected unit -> spike times")
    for label in times:
        require_label(label, where)
    masked = sum(int(np.sum(_mask(train))) for train in times.values())
    shown = {name: _shown(train) for name, train in times.items()}
    trains = [_times(train, f"times of unit {name}", where) for name, train in shown.items()]
    flat = np.concatenate(trains)
    require(len(flat) or not masked, f"{where}: times is masked throughout; no spike is left")
    rows = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
    if not any((train[1:] < train[:-1]).any() for train in trains):
        order = np.argsort(flat, kind="stable")  # trains in order are spikes in order
        flat, rows = flat[order], rows[order]
    return FlatSpikes(flat, rows, list(times), masked)


def _without_masked(times: Any, unit_ids: Any, where: str) -> tuple[Any, Any, int]:
    """Times and units of the spikes of which neither is masked, and how many are not."""
    given = times, unit_ids
    if not any(np.any(_mask(one)) for one in given):
        return times, unit_ids, 0
    shapes = [as_array(one, "times or unit_ids", where).shape for one in given]
    if shapes[0] != shapes[1] or len(shapes[0]) != 1:
        return times, unit_ids, 0  # refused with the rest of what does not fit
    hidden = _mask(times) | _mask(unit_ids)
    require(not hidden.all(), f"{where}: times or unit_ids is masked throughout; no spike is left")
    times, unit_ids = (
        (one.data if isinstance(one, np.ma.MaskedArray) else as_array(one, "units", where))[~hidden]
        for one in given
    )
    return times, unit_ids, int(hidden.sum())


def _mask(values: Any) -> np.ndarray | bool:
    """Which are masked, bool of their shape; False for what has no mask."""
    return np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else False


def _shown(values: Any) -> Any:
    """`values` without those that are masked."""
    one_axis = isinstance(values, np.ma.MaskedArray) and values.ndim == 1
    return values.compressed() if one_axis else values


def _times(values: Any, name: str, where: str) -> np.ndarray:
    """Finite times [n] of their own dtype, so that their precision can be judged."""
    seconds(values, name, where)  # raises unless they are finite numbers
    return plain_array(values, name, where)


def require_label(label: Any, where: str) -> None:
    """Raises InputError for what names no unit."""
    one = isinstance(label, str | int | np.integer) and not isinstance(label, bool)
    one = one or isinstance(label, float | np.floating) and float(label).is_integer()
    hint = ', such as f"{probe}/{cluster}"' if isinstance(label, tuple) else ""
    require(
        one,
        f"{where}: a unit is named {str(label)[:60]} ({type(label).__name__}), expected text or a "
        f"whole number{hint}",
    )
