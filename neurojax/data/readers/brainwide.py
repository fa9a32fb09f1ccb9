"""HDF5 recordings of torch_brain, brainsets and BrainWideBench: one `.h5` file a session, by h5py.

Such a file holds `spikes` (timestamps, unit_index), `units` (id, region columns), intervals such as
`trials`, series such as `wheel`, and domains that say which time trains, validates and tests:
`train_domain`, or one set for each use, `ts2_train_domain`. They are kept: windows are laid inside
the intervals of a domain and never reach out of one. By default 1 s windows, the benchmark's own,
end to end; with `--align=trials.stim_on_time --window=-0.5,1.5` one around each event. The domain
of the spikes says when they were observed; where it is only their first and last, and wherever a
whole probe falls silent, the spikes tell (`observed.heard`).
Source: BrainWideBench's data pipeline, schema of `{scope}_{split}_domain`; temporaldata.
"""

from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.checks.findings import FELL_SILENT
from neurojax.data.clock import TimeUnit, in_seconds, require_seconds
from neurojax.data.observed import (
    EVERYTHING,
    entries_inside,
    heard_by_probe,
    merged,
    probes_of,
    shared,
)
from neurojax.data.readers import hdf5, one_file
from neurojax.data.readers.brainwide_tables import (
    intervals_of_group,
    numbers,
    read_behaviour,
    series_in,
    table_of,
)
from neurojax.data.readers.brainwide_windows import DEFAULT_WINDOW_S, domains_of, windows_of
from neurojax.data.readers.signals import bin_starts
from neurojax.data.readers.sorted_spikes import SortedSpikes, sorted_spikes
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import session_of
from neurojax.data.session import Session
from neurojax.data.store.session_fields import spike_counts
from neurojax.errors import require

VERSION = "brainwide/2"
OPTIONS = {
    "scope": "which set of split domains: ts2, ts1, pretrain; default: ts2, else the plain ones, "
    "ts1, pretrain",
    "as_test": "val: a file without test domain tests on its validation windows",
    "regions": "allen, beryl (default) or cosmos: which region column becomes `region`",
    "windows": "benchmark: only task-aligned time, and every test window of the benchmark can be "
    "made, as `evaluate --submission` needs",
}
UNUSED = ("trial_columns",)  # every column of the trials becomes a condition
_COARSER = {"allen": "beryl", "beryl": "cosmos", "cosmos": "cosmos"}
_PLAIN_REGIONS = ("brain_region", "region", "brain_area", "area", "location_label", "acronym")
_PROBES = ("probe", "probe_id", "probe_name", "insertion", "pid")
_OUTSIDE = "spikes outside of the observed time"  # in info["findings"]
_MAX_LISTED = 64


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
        odd: dict[str, int] = {}
        spikes, units = _spikes(spike_group, unit_group, spec, odd, where)
        num_units = len(next(iter(units.values())))
        recorded_s = float(spikes.times_s[0]), float(spikes.times_s[-1])
        domains, scope = domains_of(file, spec, recorded_s, where)
        windows = windows_of(file, domains, spec, bin_size_s, where, odd)
        starts, stops = windows.starts, windows.stops
        if spec.time_unit is None:
            raw = np.ravel(hdf5.array(spike_group, "timestamps"))
            firing = len(np.unique(spikes.rows))
            require_seconds(raw, firing, bin_size_s, where, starts, stops)
        counts, lengths = spike_counts(
            spikes.times_s, spikes.rows, num_units, starts, stops, bin_size_s, where
        )
        heard_s = _heard(spikes, units, spec)
        watched_s = _watched(file, spikes, heard_s, spec, odd)
        observed = entries_inside(watched_s, starts, lengths, bin_size_s)
        silent = entries_inside(heard_s, starts, lengths, bin_size_s)
        series = series_in(file)
        in_bins = bin_starts(starts, lengths, bin_size_s)
        behaviour, of_behaviour = read_behaviour(
            series, spec, starts, lengths, in_bins, bin_size_s, where
        )
        skipped = "columns of the trials that are not one value each"
        odd |= {skipped: number} if (number := len(windows.skipped)) else {}
        if silent is not None:
            odd[FELL_SILENT] = int((~silent.all(axis=1)).sum())
        findings = spikes.findings | odd | of_behaviour
        info = _info(file, source, spikes.dropped, findings, windows.dropped) | {
            "trial_columns_skipped": windows.skipped,
            "time_series": sorted(series)[:_MAX_LISTED],
        }
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
        stored_split=windows.split,
        session_id=session_id,
        bin_size_s=bin_size_s,
        unit_id=units.get("id", np.arange(num_units)).astype(str),
        region=region,
        region_group=region_group,
        region_source=np.where(region == "unknown", "unknown", "file"),
        conditions=windows.conditions,
        behaviour=behaviour,
        unit_metadata={
            name: values
            for name, values in units.items()
            if values.dtype.kind in "biuf" and name != "id"
        },
        observed=observed,
    )


def _spikes(
    spike_group: Any, unit_group: Any, spec: ReadSpec, odd: dict[str, int], where: str
) -> tuple[SortedSpikes, dict[str, np.ndarray]]:
    """Spikes in seconds, and columns of the units, [N] each."""
    times, index = numbers(spike_group, "timestamps"), hdf5.array(spike_group, "unit_index")
    is_number = index.dtype.kind in "iuf" and index.size and np.isfinite(index).all()
    least_rows = int(index.max()) + 1 if is_number else 0
    units, _ = table_of(unit_group, spec, odd, (), least_rows)
    require(units, f"{where}: units has no columns of one length; expected one row a unit")
    seconds = in_seconds(times, TimeUnit.of(spec.time_unit).spikes)
    return sorted_spikes(seconds, index, where, len(next(iter(units.values())))), units


def _heard(spikes: SortedSpikes, units: dict[str, np.ndarray], spec: ReadSpec) -> list[np.ndarray]:
    """Of each unit, the time in which its probe was recorded, as the spikes tell."""
    num_units = len(next(iter(units.values())))
    if spec.silence == "keep":
        return [EVERYTHING] * num_units
    probe = next((units[name] for name in _PROBES if name in units), None)
    return heard_by_probe(spikes.times_s, spikes.rows, probes_of(probe, num_units))


def _watched(
    file: Any,
    spikes: SortedSpikes,
    heard_s: list[np.ndarray],
    spec: ReadSpec,
    odd: dict[str, int],
) -> list[np.ndarray]:
    """Of each unit, when it was observed, float64 [n, 2]: in the domain of the spikes, or of the
    file, and while its probe was heard (`heard_s`)."""
    unit = TimeUnit.of(spec.time_unit)
    domain = intervals_of_group(file["spikes"], "domain", unit.spikes)
    if domain is None:
        domain = intervals_of_group(file, "domain", unit.trials)
    ends = [spikes.times_s[0], spikes.times_s[-1]]
    # From the first spike to the last: made of the spikes, and says no more than they do.
    if domain is None or (len(domain) == 1 and np.allclose(domain[0], ends, rtol=0, atol=1e-6)):
        return heard_s
    domain = merged(domain)
    last = np.searchsorted(domain[:, 0], spikes.times_s, side="right") - 1
    outside = (last < 0) | (spikes.times_s > domain[last, 1])
    if number := int(outside.sum()):
        odd[_OUTSIDE] = number
    return [shared(domain, own) for own in heard_s]


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
