"""pynapple's objects in and out: a TsGroup with its metadata becomes a session, a session a TsGroup
and its company.

Source: Viejo et al. 2023, eLife 12:RP85786 (pynapple).
"""

from typing import Any

import numpy as np

from neurojax.data.optional import needed
from neurojax.data.session import Session
from neurojax.data.spike_trains import from_spike_times
from neurojax.errors import InputError, require

# names of the metadata, the first that is there
_REGIONS = ("region", "brain_region", "location", "area", "acronym")


def from_pynapple(
    group: Any, bin_ms: float = 20.0, *, trials: Any = None, regions: Any = None, **fields: Any
) -> Session:
    """Builds a session from a `pynapple.TsGroup`.

    Args:
        group: spike times by unit; numeric metadata become `unit_metadata`, and the column `region`
            (or brain_region, location, area, acronym) the regions.
        bin_ms: width of a bin in milliseconds.
        trials: `pynapple.IntervalSet`; its metadata become conditions. Without it give `window_s`.
        regions: name of another column, or what `from_spike_times` takes.
        **fields: as in `from_spike_times`: session_id, window_s, split, conditions, info, ...

    Raises:
        InputError: pynapple is not installed, `group` is no TsGroup, or anything that
            `from_spike_times` refuses.
    """
    nap = _pynapple("from_pynapple")
    require(
        isinstance(group, nap.TsGroup) and (trials is None or isinstance(trials, nap.IntervalSet)),
        f"from_pynapple got {type(group).__name__} and trials {type(trials).__name__}, expected a "
        "TsGroup and an IntervalSet or None",
    )
    units = [int(unit) for unit in group.keys()]  # noqa: SIM118 (a TsGroup iterates otherwise)
    columns = _metadata(group, {"rate"})
    if regions is None:
        regions = next((name for name in _REGIONS if name in columns), None)
    if isinstance(regions, str):
        require(
            regions in columns,
            f"from_pynapple: regions={regions!r}, but the group's metadata are {sorted(columns)}",
        )
        regions = dict(zip(units, columns[regions].astype(str).tolist(), strict=True))
    numbers = {key: values for key, values in columns.items() if values.dtype.kind in "biuf"}
    fields["unit_metadata"] = numbers | (fields.get("unit_metadata") or {})
    if trials is not None:
        named = _metadata(trials, set())
        if "split_code" in named:  # as `to_pynapple` leaves it
            fields.setdefault("split", named.pop("split_code"))
        fields["conditions"] = named | (fields.get("conditions") or {})
        trials = np.stack([np.asarray(trials.start), np.asarray(trials.end)], axis=1)
    times = {unit: np.asarray(group[unit].index.values) for unit in units}
    return from_spike_times(times, bin_ms=bin_ms, trials=trials, regions=regions, **fields)


def to_pynapple(session: Session) -> dict[str, Any]:
    """The session as pynapple's objects.

    Returns:
        "units": TsGroup with region and unit metadata; a bin's spikes lie evenly within it, so that
        counting in the same bins gives the same counts. "counts": TsdFrame at the bins' centres.
        "trials": IntervalSet with conditions and `split_code`. Each behaviour: TsdFrame at the
        bins' centres.

    Raises:
        InputError: pynapple is not installed, or trials share time, which an IntervalSet cannot
            say.
    """
    nap = _pynapple("to_pynapple")
    order = np.argsort(session.trial_start_s, kind="stable")
    lengths, starts = session.trial_num_bins[order], session.trial_start_s[order]
    stops = starts + lengths * session.bin_size_s
    if num_sharing := int((starts[1:] < stops[:-1] - 1e-9).sum()):
        raise InputError(
            f"session {session.session_id}: {num_sharing} trials share time with the one before, "
            "which pynapple's intervals cannot say; convert with shorter windows"
        )
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = np.repeat(session.trial_start_bin[order], lengths) + within  # [bins], in order of time
    left_s = np.repeat(starts, lengths) + within * session.bin_size_s
    counts, centres_s = np.asarray(session.counts)[rows], left_s + session.bin_size_s / 2
    trains = {
        unit: nap.Ts(_spread(counts[:, unit], left_s, session.bin_size_s))
        for unit in range(session.num_units)
    }
    support = nap.IntervalSet(float(starts[0]), float(stops.max()))
    names = ("unit_id", "region", "region_group")
    columns = {name: getattr(session, name) for name in names} | {**session.unit_metadata}
    units = nap.TsGroup(trains, time_support=support)
    units.set_info(**{name: values.tolist() for name, values in columns.items()})
    # an IntervalSet has a method `split`
    trials = {"split_code": session.split, **session.conditions}
    made = {
        "units": units,
        "counts": nap.TsdFrame(
            t=centres_s, d=counts, columns=session.unit_id.tolist(), time_support=support
        ),
        "trials": nap.IntervalSet(
            starts, stops, metadata={key: value[order] for key, value in trials.items()}
        ),
    }
    if taken := sorted(made.keys() & session.behaviour.keys()):
        raise InputError(
            f"session {session.session_id}: behaviour {taken[0]!r} has a name that is taken; "
            "rename it"
        )
    return made | {
        name: nap.TsdFrame(t=centres_s, d=values[rows], time_support=support)
        for name, values in session.behaviour.items()
    }


def _spread(counts: np.ndarray, left_s: np.ndarray, bin_size_s: float) -> np.ndarray:
    """Times of a unit's spikes, float64 [spikes]: n of a bin in the middles of its n equal
    parts."""
    number = counts.astype(np.int64)
    bins = np.repeat(np.arange(len(number)), number)
    place = np.arange(len(bins)) - np.repeat(np.cumsum(number) - number, number)
    return left_s[bins] + (place + 0.5) / number[bins] * bin_size_s


def _metadata(holder: Any, without: set[str]) -> dict[str, np.ndarray]:
    """Columns of numbers or text; others are left aside."""
    columns = {
        name: np.asarray(holder.get_info(name))
        for name in holder.metadata_columns
        if name not in without
    }
    texts = {name: values.astype(str) for name, values in columns.items() if values.dtype == object}
    return {
        name: values for name, values in (columns | texts).items() if values.dtype.kind in "biufU"
    }


def _pynapple(caller: str) -> Any:
    return needed("pynapple", f'{caller} needs pynapple; pip install "neurojax[pynapple]"')
