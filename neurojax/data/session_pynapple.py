"""pynapple's objects in and out: a TsGroup with its metadata becomes a session, a session a TsGroup
and its company.

Source: Viejo et al. 2023, eLife 12:RP85786 (pynapple).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.observed import entries_of, merged, shared
from neurojax.data.optional import needed
from neurojax.data.session import Session
from neurojax.data.session_export import bins_of_trials
from neurojax.data.session_parts import Part, joined, plain_columns, where_of
from neurojax.data.store.session_fields import named_columns
from neurojax.errors import InputError, require


def from_pynapple(
    group: Any,
    bin_ms: float = 20.0,
    *,
    trials: Any = None,
    regions: Any = None,
    behaviour: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Session:
    """Builds a session from a `pynapple.TsGroup`.

    Time outside of a time support, of the group or of one of its units, was not observed. An end of
    a support at the very first or last spike says nothing: pynapple puts it there by itself. Where
    no support says anything, the spikes do, see `silence` of `from_spike_times`.

    Args:
        group: spike times by unit; numeric metadata become `unit_metadata`, and the column `region`
            (or brain_region, location, area, acronym) the regions. Columns of lists are left out.
        bin_ms: width of a bin in milliseconds.
        trials: `pynapple.IntervalSet`; its metadata become conditions. Without it give `window_s`.
        regions: name of another column, or what `from_spike_times` takes.
        behaviour: name -> Tsd, TsdFrame or TsdTensor on a clock of its own; or what
            `from_spike_times` takes.
        **fields: as in `from_spike_times`: session_id, window_s, split, conditions, observed, info,
            ...

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
    where = where_of(fields)
    times = {unit: np.asarray(group[unit].index.values) for unit in map(int, group.keys())}
    columns, left_out = _metadata(group, "rate", where)
    if trials is not None:
        named, of_trials = _metadata(trials, None, where)
        left_out += of_trials
        if "split_code" in named:  # as `to_pynapple` leaves it
            fields.setdefault("split", named.pop("split_code"))
        given = named_columns(fields.get("conditions"), "conditions", where)
        fields["conditions"] = named | given
        trials = np.stack([np.asarray(trials.start), np.asarray(trials.end)], axis=1)
    if fields.get("observed") is None:
        fields["observed"] = _supports(group, times)
    signals = named_columns(behaviour, "behaviour", where)
    fields["behaviour"] = {name: _own_clock(values, nap) for name, values in signals.items()}
    part = Part({str(unit): train for unit, train in times.items()}, 0.0, None, {})
    return joined([part], columns, left_out, trials, regions, "keep", bin_ms, where, fields)


def _own_clock(values: Any, nap: Any) -> Any:
    """A Tsd, TsdFrame or TsdTensor as times, values and recorded time; anything else as it is."""
    if not isinstance(values, nap.Tsd | nap.TsdFrame | nap.TsdTensor):
        return values
    return np.asarray(values.index.values), np.asarray(values.values), values.time_support.values


def _supports(group: Any, times: Mapping[int, np.ndarray]) -> dict[int, np.ndarray] | None:
    """When each unit was observed, float64 [n, 2], as the supports of the group and of its units
    say; None where they say nothing."""
    # Of all units: the group's support, which pynapple hands on to each, ends at any of them.
    times_s = np.unique(np.concatenate(list(times.values())))
    of_group = _told(group.time_support, times_s)
    said = {unit: shared(of_group, _told(group[unit].time_support, times_s)) for unit in times}
    if all(len(own) == 1 and np.isinf(own).all() for own in said.values()):
        return None
    return said


def _told(support: Any, times_s: np.ndarray) -> np.ndarray:
    """A support without the ends that pynapple takes from the spikes, float64 [n, 2]."""
    if support is None or not len(support):
        return np.array([[-np.inf, np.inf]])
    edges = np.array(support.values, np.float64)
    place = np.minimum(np.searchsorted(times_s, edges), max(len(times_s) - 1, 0))
    inferred = times_s[place] == edges if len(times_s) else np.zeros(edges.shape, bool)
    edges[0, 0] = -np.inf if inferred[0, 0] else edges[0, 0]
    edges[-1, 1] = np.inf if inferred[-1, 1] else edges[-1, 1]
    # A gap between two spikes is one of a union of inferred supports.
    gaps = ~(inferred[:-1, 1] & inferred[1:, 0])
    starts, stops = edges[np.append(True, gaps), 0], edges[np.append(gaps, True), 1]
    return np.stack([starts, stops], axis=1)


def to_pynapple(session: Session) -> dict[str, Any]:
    """The session as pynapple's objects.

    Returns:
        "units": TsGroup with region and unit metadata; a bin's spikes lie evenly within it, so that
        counting in the same bins gives the same counts; the time support of each unit leaves out
        what was not observed. "counts": TsdFrame at the bins' centres, NaN where not observed.
        "trials": IntervalSet with conditions and `split_code`. Each behaviour: TsdFrame at the
        bins' centres.

    Raises:
        InputError: pynapple is not installed, or trials share time, which an IntervalSet cannot
            say.
    """
    nap = _pynapple("to_pynapple")
    order = np.argsort(session.trial_start_s, kind="stable")
    starts = session.trial_start_s[order]
    stops = starts + session.trial_num_bins[order] * session.bin_size_s
    if num_sharing := int((starts[1:] < stops[:-1] - 1e-9).sum()):
        raise InputError(
            f"session {session.session_id}: {num_sharing} trials share time with the one before, "
            "which pynapple's intervals cannot say; convert with shorter windows"
        )
    rows, _, left_s = bins_of_trials(session, order)
    counts, centres_s = np.asarray(session.counts)[rows], left_s + session.bin_size_s / 2
    whole = nap.IntervalSet(float(starts[0]), float(stops.max()))
    support = [whole] * session.num_units
    seen = entries_of(session.validity, len(session.counts), session.num_units)
    if seen is not None:
        seen = seen[rows]
        support = [_support(own, left_s, session.bin_size_s, whole, nap) for own in seen.T]
        counts = np.where(seen, counts, np.nan)
    trains = {
        unit: nap.Ts(
            _spread(np.nan_to_num(counts[:, unit]), left_s, session.bin_size_s),
            time_support=support[unit],
        )
        for unit in range(session.num_units)
    }
    names = ("unit_id", "region", "region_group")
    columns = {name: getattr(session, name) for name in names} | {**session.unit_metadata}
    # Unchecked, so that each unit keeps the support it has.
    units = nap.TsGroup(trains, time_support=whole, bypass_check=True)
    units.set_info(**{name: values.tolist() for name, values in columns.items()})
    # an IntervalSet has a method `split`
    trials = {"split_code": session.split, **session.conditions}
    made = {
        "units": units,
        "counts": nap.TsdFrame(
            t=centres_s, d=counts, columns=session.unit_id.tolist(), time_support=whole
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
        name: nap.TsdFrame(t=centres_s, d=values[rows], time_support=whole)
        for name, values in session.behaviour.items()
    }


def _spread(counts: np.ndarray, left_s: np.ndarray, bin_size_s: float) -> np.ndarray:
    """Times of a unit's spikes, float64 [spikes]: n of a bin in the middles of its n equal
    parts."""
    number = counts.astype(np.int64)
    bins = np.repeat(np.arange(len(number)), number)
    place = np.arange(len(bins)) - np.repeat(np.cumsum(number) - number, number)
    return left_s[bins] + (place + 0.5) / number[bins] * bin_size_s


def _support(seen: np.ndarray, left_s: np.ndarray, bin_size_s: float, whole: Any, nap: Any) -> Any:
    """The time support of a unit: all but the bins in which it was not observed."""
    gone = np.flatnonzero(~seen)
    if not len(gone):
        return whole
    gaps = merged(np.stack([left_s[gone], left_s[gone] + bin_size_s], axis=1))
    return whole.set_diff(nap.IntervalSet(gaps[:, 0], gaps[:, 1]))


def _metadata(
    holder: Any, without: str | None, where: str
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Columns of numbers or text, and the names of others (lists, dates)."""
    names = [name for name in holder.metadata_columns if name != without]
    return plain_columns({str(n): _column(holder, n) for n in names}, len(holder), where)


def _column(holder: Any, name: str) -> Any:
    try:
        return holder.get_info(name)
    except ValueError:  # pynapple makes an array of lists of different lengths
        return None


def _pynapple(caller: str) -> Any:
    return needed("pynapple", f'{caller} needs pynapple; pip install "neurojax[pynapple]"')
