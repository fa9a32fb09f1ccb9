"""Kilosort, phy and SpikeInterface sorting folders as sessions.

A sorting knows spikes, not trials. A file `trials.csv` or `trials.tsv` in the folder gives them,
with a line of names and one line a trial, seconds on the recording's clock (sample 0 is 0 s):
`start_s` and `stop_s`, or event times for `--align=COLUMN --window=-0.5,1.5`; other columns become
conditions. Without it: `--window_s=2`.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.readers.sorted_spikes import SortedSpikes, keep_units, sorted_spikes
from neurojax.data.readers.sorting_folders import (
    MARKERS,
    Sorting,
    files_of,
    read_rows,
    read_sorting,
)
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.readers.trials import counted_drops, kept_windows, session_of, trials_in_seconds
from neurojax.data.session import Session
from neurojax.data.store.session_fields import seconds, spike_counts
from neurojax.data.store.session_rules import check_session_id
from neurojax.errors import InputError, require
from neurojax.files import sha256_file

VERSION = "phy/1"
OPTIONS = {
    "groups": "labels to keep, such as good+mua; default: all but noise",
    "sample_rate_hz": "samples a second, where the folder does not say",
    "region": "brain region of all units, where the unit table has no column of regions",
    "trials": "table of trials in the folder; default: trials.csv or trials.tsv",
    "segment": "segment of a SpikeInterface sorting; default: 0",
}
UNUSED = ("behavior", "trial_columns")  # every column of trials.csv becomes a condition
_GENERIC = {
    "phy",
    "sorting",
    "sorter_output",
    "output",
    "kilosort",
    "kilosort2",
    "kilosort2.5",
    "kilosort3",
    "kilosort4",
    "in_container_sorting",
    "curated",
}
_GROUPS = ("group", "KSLabel", "quality")  # the curator's word before the sorter's
_REGIONS = ("region", "brain_region", "brain_area", "acronym", "location")
_NUMBERS = {
    "depth": "depth_um",
    "ch": "channel",
    "amp": "amplitude",
    "ContamPct": "contamination_percent",
}
_MAX_DEPTH = 4


def find(path: str) -> list[str]:
    """A sorting folder stands for itself, another folder for the sortings below it."""
    root = Path(path)
    require(
        root.is_dir(),
        f"{path} is not a folder; expected a sorting folder with one of {', '.join(MARKERS)}",
    )
    found, waiting = [], [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        if any((folder / marker).is_file() for marker in MARKERS):
            found.append(str(folder))
        elif depth < _MAX_DEPTH:
            waiting += [
                (entry, depth + 1)
                for entry in folder.iterdir()
                if entry.is_dir() and not entry.is_symlink()
            ]
    require(found, f"{path} holds no sorting folder; expected one of {', '.join(MARKERS)}")
    return sorted(found)


def session_name(source: str) -> str:
    """The folder's name, or of names like `phy` or `sorter_output` the next one above."""
    parts = Path(source).absolute().parts[1:]
    named = [part for part in parts if part.lower() not in _GENERIC] or list(parts)
    return check_session_id(named[-1].replace(" ", "_"))


def source_sha256(source: str) -> str:
    """Digest of every file of the folder that may be used."""
    folder, total = Path(source), hashlib.sha256()
    for path in files_of(folder):
        total.update(f"{path.relative_to(folder).as_posix()}\0{sha256_file(path)}\n".encode())
    return total.hexdigest()


def read_session(source: str, spec: ReadSpec) -> Session:
    """Reads the sorting in a folder.

    Raises:
        InputError: files are missing, damaged or disagree, or the options leave nothing.
    """
    folder, where, session_id = Path(source), str(source), session_name(source)
    typed = spec.option("segment", "0")
    require(typed.isdigit() and len(typed) <= 6, f"segment={typed!r}; expected a number from 0")
    sorting = read_sorting(folder, int(typed))
    bin_size_s = spec.bin_size_s(where)
    # SpikeInterface names units without spikes too
    num_listed = len(sorting.table.get("unit_id", ())) or None
    spikes = sorted_spikes(_times(sorting, spec, where), sorting.clusters, where, num_listed)
    group = _column(sorting, spikes, _GROUPS, "unsorted")
    keep, units_dropped = counted_drops(_group_faults(group, spec), "unit", where)
    spikes = keep_units(spikes, keep)
    starts, stops, conditions, dropped = _trials(folder, spikes, spec, bin_size_s, where)
    counts, lengths = spike_counts(
        spikes.times_s, spikes.rows, len(spikes.cluster_id), starts, stops, bin_size_s, where
    )
    region = _column(sorting, spikes, _REGIONS, spec.option("region", "unknown"))
    named = sorting.table.get("unit_id", {})
    return session_of(
        counts,
        lengths,
        starts,
        spec,
        where,
        info={
            "source": {"folder": folder.name},
            "units_dropped": units_dropped,
            "trials_dropped": dropped,
            "spikes_dropped": spikes.dropped,
            "findings": spikes.findings,
        },
        session_id=session_id,
        bin_size_s=bin_size_s,
        unit_id=np.array([named.get(unit, str(unit)) for unit in spikes.cluster_id.tolist()]),
        region=region,
        region_source=np.where(region == "unknown", "unknown", "file"),
        conditions=conditions,
        unit_metadata=_unit_metadata(sorting, spikes, group[keep]),
    )


def _times(sorting: Sorting, spec: ReadSpec, where: str) -> np.ndarray:
    """Seconds of each spike, float64 [spikes]."""
    given, rate_hz = spec.option("sample_rate_hz"), sorting.sample_rate_hz
    if given is not None:
        rate_hz = as_number(given)
        require(
            not np.isnan(rate_hz),
            f"sample_rate_hz={given!r}; expected samples a second, such as 30000",
        )
    require(
        rate_hz is not None,
        f"{where} does not say its sample rate; give --options=sample_rate_hz=30000 (or what it "
        "is)",
    )
    require(
        0 < rate_hz < 1e7,
        f"{where}: the sample rate is {rate_hz:g} Hz, expected samples a second, such as 30000",
    )
    samples = np.asarray(sorting.samples)
    require(
        not (samples.dtype.kind == "f" and np.any(samples[np.isfinite(samples)] % 1)),
        f"{where}: spike times are no whole samples; write samples, or convert as `arrays`",
    )
    return samples / rate_hz if samples.dtype.kind in "iuf" else samples


def _column(
    sorting: Sorting, spikes: SortedSpikes, names: tuple[str, ...], default: str
) -> np.ndarray:
    """Text of each unit, from the first of the columns that says something about it."""
    columns = [sorting.table[name] for name in names if name in sorting.table]
    return np.array(
        [
            next((c[unit] for c in columns if unit in c), default)
            for unit in spikes.cluster_id.tolist()
        ],
        dtype=str,
    )


def _group_faults(group: np.ndarray, spec: ReadSpec) -> dict[str, np.ndarray]:
    wanted = spec.option("groups")
    if wanted is None:
        return {"labelled noise": np.char.lower(group) == "noise"}
    names = wanted.split("+")
    if unknown := sorted(set(names) - set(group.tolist())):
        raise InputError(
            f"groups names {unknown[0]!r}, but the units are "
            f"{', '.join(sorted(set(group.tolist())))}"
        )
    return {
        f"labelled {label}": group == label for label in sorted(set(group.tolist()) - set(names))
    }


def _unit_metadata(
    sorting: Sorting, spikes: SortedSpikes, group: np.ndarray
) -> dict[str, np.ndarray]:
    """Numeric columns, NaN where there is none; `quality` is 2 good, 1 mua, 0 otherwise."""
    made = {"quality": np.select([group == "good", group == "mua"], [2, 1], 0).astype(np.int8)}
    for name, ours in _NUMBERS.items():
        if name in sorting.table:
            values = [sorting.table[name].get(unit, "nan") for unit in spikes.cluster_id.tolist()]
            try:
                made[ours] = np.array(values, np.float32)
            except ValueError:
                continue  # text: somebody's own column
    return made


def _trials(
    folder: Path, spikes: SortedSpikes, spec: ReadSpec, bin_size_s: float, where: str
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], dict[str, int]]:
    """Starts and stops, float64 [trials], conditions of the kept trials, and why others are left
    out."""
    names = (spec.option("trials"),) if spec.option("trials") else ("trials.csv", "trials.tsv")
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if spec.option("trials") and (
        path is None or Path(names[0]).name != names[0] or path.suffix not in (".csv", ".tsv")
    ):
        raise InputError(
            f"trials={names[0]!r}; expected the name of a .csv or .tsv file in {where}"
        )
    if spec.window_s is not None or path is None:
        require(
            spec.align is None,
            f"{where} has no trials.csv for align={spec.align!r}; put one there, or give "
            "--window_s=2",
        )
        return *trials_in_seconds({}, spikes.times_s, spec, bin_size_s, where), {}, {}
    table = _table(path)
    if spec.align is not None:
        require(
            spec.align in table,
            f"{path}: align names {spec.align!r}, but its columns are {', '.join(table)}",
        )
        events = _numbers(table[spec.align], spec.align, path)
        starts, stops = events + spec.window[0], events + spec.window[1]
    else:
        if missing := [name for name in ("start_s", "stop_s") if name not in table]:
            raise InputError(
                f"{path} has no column {missing[0]}; add start_s and stop_s, or give --align and "
                "--window"
            )
        starts, stops = (_numbers(table.pop(name), name, path) for name in ("start_s", "stop_s"))
    recorded_s = min(0.0, float(spikes.times_s[0])), np.inf
    keep, dropped = kept_windows(starts, stops, recorded_s, {}, spec, bin_size_s, where)
    reserved = {"start_s": "trial_start_s", "split": "trial_split"}
    conditions = {reserved.get(name, name): values[keep] for name, values in table.items()}
    return (
        seconds(starts[keep], "start_s", where),
        seconds(stops[keep], "stop_s", where),
        conditions,
        dropped,
    )


def _table(path: Path) -> dict[str, np.ndarray]:
    """Columns as numbers where every cell is one (blank: NaN), else as text."""
    rows, table = read_rows(path), {}
    for name in rows[0] if rows else ():
        cells = [row[name] for row in rows]
        try:
            table[name] = np.array([float(cell) if cell else np.nan for cell in cells])
        except ValueError:
            table[name] = np.array(cells)
    require(table, f"{path} has no trial; expected one line a trial")
    return table


def _numbers(values: np.ndarray, name: str, path: Path) -> Any:
    require(values.dtype.kind == "f", f"{path}: column {name!r} is text, expected seconds")
    return values
