"""The units of an NWB file: names, regions, probes, numbers of each, observed time."""

import dataclasses
from typing import Any

import numpy as np

from neurojax.data.clock import TimeUnit
from neurojax.data.observed import merged
from neurojax.data.readers import hdf5, nwb_cells, nwb_file
from neurojax.data.readers.nwb_electrodes import electrodes_of, unit_probes, unit_regions
from neurojax.data.readers.nwb_tables import (
    listed,
    not_among,
    num_rows,
    plain_columns,
    ragged_ends,
)
from neurojax.data.readers.parts import PART, leave_out
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import counted_drops
from neurojax.data.store.session_rules import UNIT_COLUMNS
from neurojax.errors import InputError, require

_QUALITY = ("quality", "group", "KSLabel", "ks_label", "label")
_QUALITY_CODES = {"good": 2, "sua": 2, "mua": 1, "multi": 1}


@dataclasses.dataclass(frozen=True)
class Units:
    """Rows of the units table that stay.

    Attributes:
        spike_times: the dataset, all spikes end to end, seconds.
        first, last: int64 [N], where each unit's spikes begin and end in it.
        unit_id, region, region_source: str [N].
        metadata: name -> numeric [N]; `heldout` bool where the file has it.
        probe: str [N], "" where the file does not say.
        probe_names: of each unit, all that its probe is called, in lower case.
        observed: float64 [intervals, 2] of each unit, rising and apart, seconds; None where the
            file does not say.
        spike_s, interval_s: seconds of one of the file's spike times, and of its intervals'.
        dropped: reason -> number of units left out.
        notes: name -> number; what was odd.
    """

    spike_times: Any
    first: np.ndarray
    last: np.ndarray
    unit_id: np.ndarray
    region: np.ndarray
    region_source: np.ndarray
    metadata: dict[str, np.ndarray]
    probe: np.ndarray
    probe_names: list[frozenset[str]]
    observed: list[np.ndarray] | None
    spike_s: float
    interval_s: float
    dropped: dict[str, int]
    notes: dict[str, int]

    @property
    def heldout(self) -> np.ndarray:
        """bool [N], the benchmark's held-out units."""
        return self.metadata.get("heldout", np.zeros(len(self.first), bool)).astype(bool)


def read_units(file: Any, spec: ReadSpec, where: str) -> Units:
    """The units table without its spikes.

    Raises:
        InputError: no table, no spike times, damage, or the options leave no unit.
    """
    table, place, others = _table(file, spec, where)
    spike_times = nwb_file.entry(table, "spike_times")
    rows = num_rows(table, place)
    ends = ragged_ends(table, "spike_times", rows, place)
    require(
        ends is not None,
        f"{place} has no spike_times with an index; expected sorted spikes of each unit",
    )
    require(
        rows != 0 and ends[-1] != 0,
        f"{place} holds {rows} units and no spikes; check that the sorting was exported",
    )
    require(
        spike_times.ndim == 1 and spike_times.dtype.kind in "iuf",
        f"{place}/spike_times is {spike_times.dtype} {list(spike_times.shape)}, expected seconds",
    )
    columns, skipped = plain_columns(table, rows, place)
    notes = {
        "spikes that belong to no unit": int(len(spike_times) - ends[-1]),
        "other tables of units, not read": others,
    }
    ids = columns.pop("id", np.arange(rows)).astype(str)
    if len(set(ids.tolist())) < rows:
        notes["unit ids used twice, rows taken instead"] = rows - len(set(ids.tolist()))
        ids = np.arange(rows).astype(str)
    sites, members = {}, []
    try:
        sites, members = electrodes_of(file, table, columns, rows, place)
    except InputError as error:
        leave_out(notes, PART, "electrodes of units", error, spec, place)
    region, source = unit_regions(table, columns, sites, members, spec.option("regions"), place)
    if "heldout" in skipped:
        raise InputError(
            f"{place}/heldout is {skipped['heldout']}; expected true or false for each unit"
        )
    probe, probe_names = unit_probes(table, columns, sites, members, rows)
    spike_s, interval_s = (unit_s or 1.0 for unit_s in TimeUnit.of(spec.time_unit)[:2])
    observed = _observed(table, np.diff(ends) > 0, spike_s, place, notes)
    units = Units(
        spike_times=spike_times,
        first=ends[:-1],
        last=ends[1:],
        unit_id=ids,
        region=region,
        region_source=source,
        metadata=_metadata(columns),
        probe=probe,
        probe_names=probe_names,
        observed=observed,
        spike_s=spike_s,
        interval_s=interval_s,
        dropped={},
        notes={name: number for name, number in notes.items() if number},
    )
    return _kept_units(units, columns, spec, place)


def _table(file: Any, spec: ReadSpec, where: str) -> tuple[Any, str, int]:
    """The table of units that was asked for, its place for messages, and how many others there
    are."""
    tables = unit_tables(file)
    asked = spec.option("units")
    if asked is not None:
        require(
            asked in tables,
            f"{where}: units={asked!r} is no table of units; {not_among(asked, tables)}",
        )
        return tables[asked], f"{where}, {asked}", len(tables) - 1
    if "units" in tables:
        return tables["units"], f"{where}, units", len(tables) - 1
    if tables:
        raise InputError(
            f"{where} has no table `units`, but {listed(tables)}; take one with "
            f"--options=units={next(iter(tables))}"
        )
    traces = list(nwb_cells.trace_series(file))
    if traces:
        raise InputError(
            f"{where} has no units table, so no sorted spikes, but traces of cells: convert these "
            f"as real values with --options=traces={traces[0]} (there are {listed(traces)})"
        )
    raise InputError(
        f"{where} has no units table, so no sorted spikes; sort the recording first, or where "
        "another file of this session holds them, copy what you need into that one (docs/nwb.md)"
    )


def unit_tables(file: Any) -> dict[str, Any]:
    """Tables of sorted units by path, `units` first."""
    table = nwb_file.entry(file, "units")
    found = {"units": table} if table is not None and hasattr(table, "keys") else {}
    return found | {
        path: group
        for path, group in nwb_file.groups(file, "processing", "analysis", "scratch")
        if {"spike_times", "spike_times_index"} <= set(hdf5.columns(group))
    }


def _metadata(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Numeric columns; `quality` as 2 good, 1 multi-unit, 0 otherwise, from text."""
    made = {
        name: values
        for name, values in columns.items()
        if values.dtype.kind in "biuf" and name not in UNIT_COLUMNS
    }
    for name in _QUALITY:
        if name in columns and columns[name].dtype.kind == "U" and "quality" not in made:
            codes = [
                _QUALITY_CODES.get(label.strip().lower(), 0) for label in columns[name].tolist()
            ]
            if any(codes):
                made["quality"] = np.array(codes, np.int8)
    if "heldout" in made:
        made["heldout"] = made["heldout"].astype(bool)
    return made


def _observed(
    table: Any, fires: np.ndarray, tick_s: float, where: str, notes: dict[str, int]
) -> list[np.ndarray] | None:
    """`obs_intervals` of each unit, seconds; None where the file has none. Of a unit that fires,
    bool [rows], and has none nothing is said: it counts as observed throughout."""
    ends = ragged_ends(table, "obs_intervals", len(fires), where)
    if ends is None:
        return None
    intervals = nwb_file.values(nwb_file.entry(table, "obs_intervals"), f"{where}/obs_intervals")
    require(
        intervals.ndim == 2 and intervals.shape[1] == 2 and intervals.dtype.kind in "iuf",
        f"{where}/obs_intervals is {intervals.dtype} {list(intervals.shape)}, expected "
        "[intervals, 2]",
    )
    known: dict[bytes, np.ndarray] = {}  # most files repeat one set for every unit
    made = []
    for first, last in zip(ends[:-1], ends[1:], strict=True):
        own = intervals[first:last].astype(np.float64) * tick_s
        made.append(known.setdefault(own.tobytes(), merged(own)))
    if not any(len(own) for own in made):
        return None
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(intervals).all(axis=1) & (intervals[:, 0] < intervals[:, 1])
    untold = [unit for unit, own in enumerate(made) if not len(own) and fires[unit]]
    notes["obs_intervals that end before they begin, or nowhere"] = int((~whole).sum())
    notes["units that fire, but have no obs_intervals"] = len(untold)
    for unit in untold:
        made[unit] = np.array([[-np.inf, np.inf]])
    return made


def select(units: Units, keep: np.ndarray, dropped: dict[str, int]) -> Units:
    """The units where `keep`, bool [N], is True."""
    rows = np.flatnonzero(keep)
    return dataclasses.replace(
        units,
        **{
            name: getattr(units, name)[rows]
            for name in ("first", "last", "unit_id", "region", "region_source", "probe")
        },
        probe_names=[units.probe_names[row] for row in rows],
        metadata={name: values[rows] for name, values in units.metadata.items()},
        observed=None if units.observed is None else [units.observed[row] for row in rows],
        dropped={**units.dropped, **dropped},
    )


def _kept_units(units: Units, columns: dict[str, np.ndarray], spec: ReadSpec, where: str) -> Units:
    asked = spec.option("keep")
    if asked is None:
        return units
    name, colon, wanted = asked.partition(":")
    require(
        name in columns and colon,
        f"{where}: keep={asked!r}; expected COLUMN:VALUE of its columns, "
        f"{not_among(name, columns)}",
    )
    labels = columns[name].astype(str)
    values = wanted.split("+")
    if unknown := sorted(set(values) - set(labels.tolist())):
        raise InputError(
            f"{where}: keep names {unknown[0]!r}, but {name} holds "
            f"{', '.join(sorted(set(labels))[:20])}"
        )
    keep, dropped = counted_drops(
        {f"{name} is not {wanted}": ~np.isin(labels, values)}, "unit", where
    )
    return select(units, keep, dropped)
