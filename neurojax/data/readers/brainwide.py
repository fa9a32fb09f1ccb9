"""HDF5 recordings of torch_brain, brainsets and BrainWideBench: one `.h5` file a session, by h5py.

Such a file holds `spikes` (timestamps, unit_index), `units` (id, region columns), intervals such as
`trials`, series such as `wheel`, and domains that say which time trains, validates and tests:
`train_domain`, or one set for each use, `ts2_train_domain`. They are kept: windows are laid inside
the intervals of a domain and never reach out of one. By default 1 s windows, the benchmark's own,
end to end; with `--align=trials.stim_on_time --window=-0.5,1.5` one around each event.
Source: BrainWideBench's data pipeline, schema of `{scope}_{split}_domain`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.readers import hdf5, one_file
from neurojax.data.readers.signals import bin_starts, clean_signal, mean_in_bins
from neurojax.data.readers.sorted_spikes import sorted_spikes
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import counted_drops, kept_windows, session_of, whole_times
from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.data.store.session_fields import spike_counts
from neurojax.errors import InputError, require

VERSION = "brainwide/1"
OPTIONS = {
    "scope": "which set of split domains: ts2, ts1, pretrain; default: ts2, else the plain ones, "
    "ts1, pretrain",
    "as_test": "val: a file without test domain tests on its validation windows",
    "regions": "allen, beryl (default) or cosmos: which region column becomes `region`",
}
UNUSED = ("trial_columns",)  # every column of the trials becomes a condition
DEFAULT_WINDOW_S = 1.0
_SPLITS = {"train": TRAIN, "val": VALIDATION, "valid": VALIDATION, "test": TEST}
_SCOPES = ("ts2_", "", "ts1_", "pretrain_")
_COARSER = {"allen": "beryl", "beryl": "cosmos", "cosmos": "cosmos"}
_PLAIN_REGIONS = ("brain_region", "region", "brain_area", "area", "location_label", "acronym")
_SERIES = ("IrregularTimeSeries", "RegularTimeSeries")
_MAX_DIMS = 16  # columns of one behaviour
_ROUNDING_S = 1e-6
_MAX_WINDOWS = 10**7

Domains = dict[int, np.ndarray]  # split -> [intervals, 2], seconds


def find(path: str) -> list[str]:
    """A file stands for itself, a folder for the .h5 files below it."""
    return one_file.files_at(path, (".h5",), below=True)


session_name, source_sha256 = one_file.session_name, one_file.source_sha256


def read_session(source: str, spec: ReadSpec) -> Session:
    """Reads the recording in a file.

    Raises:
        InputError: damaged, without spikes, or nothing is left.
    """
    session_id, where = session_name(source), str(source)
    bin_size_s = spec.bin_size_s(where)
    with hdf5.open_hdf5(Path(source)) as file:
        spike_group, unit_group = hdf5.group(file, "spikes"), hdf5.group(file, "units")
        require(
            spike_group is not None and unit_group is not None,
            f"{where} has no groups spikes and units; expected a recording of torch_brain",
        )
        units = _table(unit_group)
        require(units, f"{where}: units has no columns of one length; expected one row a unit")
        num_units = len(next(iter(units.values())))
        spikes = sorted_spikes(
            hdf5.array(spike_group, "timestamps"),
            hdf5.array(spike_group, "unit_index"),
            where,
            num_units,
        )
        domains, scope = _domains(
            file, spec, (float(spikes.times_s[0]), float(spikes.times_s[-1])), where
        )
        starts, stops, split, conditions, dropped = _windows(file, domains, spec, bin_size_s, where)
        counts, lengths = spike_counts(
            spikes.times_s, spikes.rows, num_units, starts, stops, bin_size_s, where
        )
        behaviour, odd = _behaviour(
            file, spec, bin_starts(starts, lengths, bin_size_s), bin_size_s, where
        )
        info = _info(file, source, spikes.dropped, spikes.findings | odd, dropped)
        if spec.align is None:
            info["window_s"] = DEFAULT_WINDOW_S if spec.window_s is None else spec.window_s
    region, region_group = _regions(units, spec.option("regions", "beryl"), num_units)
    return session_of(
        counts,
        lengths,
        starts,
        spec,
        where,
        info=info | {"split_domains": scope if spec.split == "file" else None},
        stored_split=split,
        session_id=session_id,
        bin_size_s=bin_size_s,
        unit_id=units.get("id", np.arange(num_units)).astype(str),
        region=region,
        region_group=region_group,
        region_source=np.where(region == "unknown", "unknown", "file"),
        conditions=conditions,
        behaviour=behaviour,
        unit_metadata={
            name: values
            for name, values in units.items()
            if values.dtype.kind in "biuf" and name != "id"
        },
    )


def _table(parent: Any) -> dict[str, np.ndarray]:
    """Columns with one value a row; those of other shapes (waveforms) are left aside."""
    table = {
        name: hdf5.array(parent, name) for name in hdf5.columns(parent) if parent[name].ndim == 1
    }
    lengths = {name: len(values) for name, values in table.items()}
    require(
        len(set(lengths.values())) <= 1,
        f"{parent.file.filename}, {parent.name} has columns of different lengths, {lengths}",
    )
    return table


def _domains(
    file: Any, spec: ReadSpec, recorded_s: tuple[float, float], where: str
) -> tuple[Domains, str]:
    """Intervals of each split and the scope they belong to; all the recording as TRAIN when a split
    is to be drawn."""
    if spec.split != "file":
        whole = _intervals(file, "domain")
        return {TRAIN: np.array([recorded_s]) if whole is None else whole}, ""
    asked = spec.option("scope")
    scopes = _SCOPES if asked is None else (f"{asked}_" if asked else "",)
    for scope in scopes:
        found = {
            code: intervals
            for name, code in _SPLITS.items()
            if (intervals := _intervals(file, f"{scope}{name}_domain")) is not None
            and len(intervals)
        }
        if TRAIN in found:
            break
    else:
        named = sorted(name for name in file if name.endswith("_domain"))
        raise InputError(
            f"{where} has no split domains {scopes[0]}train_domain ... (it has "
            f"{', '.join(named) or 'none'}); name its set with --options=scope=NAME, or draw a "
            "split with --split=blocks:300s"
        )
    require(
        spec.option("as_test", "val") == "val", f"as_test={spec.option('as_test')!r}; expected val"
    )
    if TEST not in found:
        require(
            spec.option("as_test") is not None and VALIDATION in found,
            f"{where}: its {scope or 'plain '}domains have no test time; give "
            "--options=as_test=val to test on its validation windows, or draw a split with "
            "--split=blocks:300s",
        )
        found[TEST] = found.pop(VALIDATION)
    return found, f"{scope}*_domain"


def _intervals(file: Any, name: str) -> np.ndarray | None:
    """Start and end of each interval, float64 [intervals, 2], in order of time."""
    parent = hdf5.group(file, name)
    if parent is None:
        return None
    start, end = (np.atleast_1d(hdf5.array(parent, edge)) for edge in ("start", "end"))
    fits = (
        start.shape == end.shape
        and start.ndim == 1
        and {start.dtype.kind, end.dtype.kind} <= set("iuf")
    )
    require(
        fits and (np.isfinite(start).all() and np.isfinite(end).all() and (start <= end).all()),
        f"{file.filename}: {name} has no finite starts and ends, one of each an interval",
    )
    return np.stack([start, end], axis=1).astype(np.float64)[np.argsort(start, kind="stable")]


def _windows(
    file: Any, domains: Domains, spec: ReadSpec, bin_size_s: float, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray], dict[str, int]]:
    """Start, stop and split of each window, conditions, and why windows are left out."""
    if spec.align is None:
        length_s = DEFAULT_WINDOW_S if spec.window_s is None else spec.window_s
        whole_times(length_s, bin_size_s, f"{where}: window_s={length_s:g}")
        laid = [(code, *interval) for code, intervals in domains.items() for interval in intervals]
        number = [int((end - start + _ROUNDING_S) // length_s) for _, start, end in laid]
        require(
            1 <= sum(number) <= _MAX_WINDOWS,
            f"{where}: {sum(number)} windows of {length_s:g} s fit its domains; change window_s",
        )
        starts = np.concatenate(
            [start + np.arange(n) * length_s for (_, start, _), n in zip(laid, number, strict=True)]
        )
        split = np.repeat([code for code, *_ in laid], number)
        order = np.argsort(starts, kind="stable")
        return starts[order], starts[order] + length_s, split[order].astype(np.int8), {}, {}
    group_name, _, column = spec.align.rpartition(".")
    parent = hdf5.group(file, group_name or "trials")
    table = {} if parent is None else _table(parent)
    named = ", ".join(sorted(table)) or "no columns"
    require(
        column in table and table[column].dtype.kind in "iuf",
        f"{where}: align names {spec.align!r}, but {group_name or 'trials'} has {named}",
    )
    events = table.pop(column).astype(np.float64)
    starts, stops = events + spec.window[0], events + spec.window[1]
    split = np.full(len(events), -1, np.int8)
    for code, intervals in domains.items():
        for start, end in intervals:
            split[(starts >= start - _ROUNDING_S) & (stops <= end + _ROUNDING_S)] = code
    with_event = np.isfinite(starts)
    faults = {"window not within one split domain": with_event & (split < 0)}
    if spec.split == "file":
        keep, dropped = counted_drops({"no event": ~with_event} | faults, "trial", where)
    else:
        keep, dropped = kept_windows(
            starts, stops, (-np.inf, np.inf), faults, spec, bin_size_s, where
        )
    times = {
        str(name) for name in np.char.decode(np.asarray(parent.attrs.get("timekeys", [b""]), "S"))
    }
    conditions = {
        name: values[keep] for name, values in table.items() if name not in times | {"split"}
    }
    return starts[keep], stops[keep], split[keep], conditions, dropped


def _behaviour(
    file: Any, spec: ReadSpec, starts: np.ndarray, bin_size_s: float, where: str
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Series by their last name: those asked for as group.name, else every one of few columns; and
    what is odd."""
    series = {}
    for name in file:
        parent = hdf5.group(file, name)
        if (
            parent is not None
            and name != "spikes"
            and hdf5.text_attribute(parent, "object") in _SERIES
        ):
            fields = [field for field in hdf5.columns(parent) if not field.startswith("timestamp")]
            series |= {f"{name}.{field}": (parent, field) for field in fields}
    if missing := [name for name in spec.behavior if name not in series]:
        raise InputError(
            f"{where}: behavior names {missing[0]!r}, but the series are "
            f"{', '.join(sorted(series))}"
        )
    made, odd = {}, {}
    for name, (parent, field) in series.items():
        dataset = parent[field]
        fits = (
            dataset.dtype.kind in "biuf"
            and dataset.ndim in (1, 2)
            and (dataset.ndim == 1 or dataset.shape[1] <= _MAX_DIMS)
        )
        if name not in spec.behavior and (spec.behavior or not fits):
            continue
        values = hdf5.array(parent, field)
        times, values = clean_signal(
            _sample_times(parent, len(values), where), values, f"{where}: {name}", odd
        )
        short = name.rpartition(".")[2]
        made[name if short in made else short] = mean_in_bins(times, values, starts, bin_size_s)
    return made, odd


def _sample_times(parent: Any, num_samples: int, where: str) -> np.ndarray:
    if "timestamps" in parent:
        return hdf5.array(parent, "timestamps")
    rate_hz = parent.attrs.get("sampling_rate")
    domain = hdf5.group(parent, "domain")
    require(
        isinstance(rate_hz, float | int | np.number)
        and 0 < float(rate_hz) < 1e9
        and domain is not None,
        f"{where}, {parent.name} has neither timestamps nor a sampling_rate and a domain",
    )
    start = np.ravel(hdf5.array(domain, "start"))
    require(
        len(start) and start.dtype.kind in "iuf",
        f"{where}, {parent.name}/domain/start is {start.dtype} [{len(start)}], expected seconds",
    )
    return float(start[0]) + np.arange(num_samples) / float(rate_hz)


def _regions(
    units: dict[str, np.ndarray], level: str, num_units: int
) -> tuple[np.ndarray, np.ndarray]:
    require(level in _COARSER, f"regions={level!r}; expected {', '.join(_COARSER)}")
    unknown = np.full(num_units, "unknown")
    plain = next((units[name] for name in _PLAIN_REGIONS if name in units), unknown)
    region = units.get(f"region_{level}", plain)
    return region.astype(str), units.get(f"region_{_COARSER[level]}", region).astype(str)


def _info(
    file: Any, source: str, spikes_dropped: dict, findings: dict, trials_dropped: dict
) -> dict[str, Any]:
    groups = {name: hdf5.group(file, name) for name in ("brainset", "subject", "session")}
    place = {"file": Path(source).name, "brainset": hdf5.text_attribute(groups["brainset"], "id")}
    return {
        "source": place | {"session": hdf5.text_attribute(groups["session"], "id")},
        "subject_id": hdf5.text_attribute(groups["subject"], "id"),
        "species": hdf5.text_attribute(groups["subject"], "species"),
        "date": hdf5.text_attribute(groups["session"], "recording_date"),
        "revision": hdf5.text_attribute(groups["brainset"], "derived_version"),
        "unit_filtering": hdf5.text_attribute(groups["brainset"], "unit_filtering"),
        "spikes_dropped": spikes_dropped,
        "trials_dropped": trials_dropped,
        "findings": findings,
    }
