"""Kilosort, phy and SpikeInterface sorting folders as sessions.

A sorting knows spikes, not trials. A file `trials.csv` (.tsv, .npz) in the folder gives them, with
a line of names and one line a trial, on the recording's clock (sample 0 is 0 s): `start_s` and
`stop_s`, or event times for `--align=COLUMN --window=-0.5,1.5`; other columns become conditions.
Without it: `--window_s=2`. Segments are read end to end, with a gap between them.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.clock import TimeUnit
from neurojax.data.readers.cluster_tables import (
    REGIONS,
    Clusters,
    label_column,
    plain_label,
    probe_column,
)
from neurojax.data.readers.side_tables import (
    Clock,
    TrialTable,
    behaviour_of,
    files_above,
    table_beside,
)
from neurojax.data.readers.sorted_spikes import (
    SortedSpikes,
    add_counts,
    keep_units,
    sorted_spikes,
)
from neurojax.data.readers.sorting_clock import (
    Timed,
    judge,
    rate_of,
    timed,
)
from neurojax.data.readers.sorting_folders import (
    MARKERS,
    files_of,
    is_sorting,
    read_sorting,
)
from neurojax.data.readers.sorting_trials import (
    observed_bins,
    sorting_trials,
    table_of_trials,
)
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import counted_drops, session_of
from neurojax.data.session import Session
from neurojax.data.store.session_fields import spike_counts
from neurojax.data.store.session_rules import check_session_id
from neurojax.errors import InputError, require
from neurojax.files import sha256_file

VERSION = "phy/2"
OPTIONS = {
    "groups": "labels to keep, such as good+mua; default: all but noise",
    "labels": "the one table or column of labels that counts, such as cluster_group.tsv; default: "
    "the curator's before the sorter's, the newest table where two disagree",
    "sample_rate_hz": "samples a second, where the folder does not say",
    "length_s": "seconds of the recording, where the folder does not say; of several segments "
    "600+1200",
    "times": "file of the spike times in the folder, such as spike_times_sec_adj.npy",
    "region": "brain region of all units, where the unit table has no column of regions",
    "trials": "table of trials in the folder (.csv, .tsv, .npz), or trials* in the one above; "
    "default: trials.csv, .tsv or .npz",
    "behavior": "tables of behaviour with a column time_s, wheel.csv+pupil.csv, in the folder, or "
    "behav* in the one above",
    "segment": "the one segment to read, from 0; default: all, end to end",
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
    "sorting_analyzer",
    "analyzer",
}
# Folders that say which probe or sorter it is, and not which recording: imec0_ks4, probe00.
_PART = re.compile(
    r"(?:(?:imec|probe|shank|array|port|kilosort|ks|phy|sorted|sorter|sorting|output|curated)"
    r"\d{0,2}(?:\.5)?[a-d]?(?:[_ -]|$))+",
    re.IGNORECASE,
)
_NUMBERS = {
    "depth": "depth_um",
    "ch": "channel",
    "amp": "amplitude",
    "ContamPct": "contamination_percent",
}
_USUAL_LABELS = {"good", "mua", "noise", "unsorted"}
_MAX_DEPTH = 4


def find(path: str) -> list[str]:
    """A sorting folder stands for itself, another folder for the sortings below it."""
    root = Path(path)
    require(
        root.is_dir(),
        f"{path} is not a folder; expected a sorting folder with one of {', '.join(MARKERS)}",
    )
    found = []
    for place, inside, _ in os.walk(root, onerror=_unlisted):
        if is_sorting(Path(place)):
            found.append(str(Path(place)))
        if found[-1:] == [place] or len(Path(place).relative_to(root).parts) == _MAX_DEPTH:
            inside.clear()
    require(found, f"{path} holds no sorting folder; expected one of {', '.join(MARKERS)}")
    return sorted(found)


def _unlisted(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be listed ({error.strerror}); check its permissions")


def session_name(source: str) -> str:
    """The folder's name, or of names like `phy` or `sorter_output` the next one above; a probe's
    name (`imec0`) comes behind that of the recording."""
    parts = Path(source).absolute().parts[1:]
    named = [part for part in parts if part.lower() not in _GENERIC] or list(parts)
    of_recording = [part for part in named if not _PART.fullmatch(part)]
    name = named[-1]
    if of_recording and name != of_recording[-1]:
        name = f"{of_recording[-1]}_{name}"
    # signs that no id may have: "M1 (copy)"
    return check_session_id(re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip("._-") or name)


def source_sha256(source: str) -> str:
    """Digest of every file of the folder that may be used, of tables of trials and behaviour above
    it, of the length of the raw recording, and of the order in time of tables that disagree."""
    folder, total = Path(source), hashlib.sha256()
    for path in files_of(folder):
        total.update(f"{path.relative_to(folder).as_posix()}\0{sha256_file(path)}\n".encode())
    for path in files_above(folder):
        total.update(f"../{path.name}\0{sha256_file(path)}\n".encode())
    try:
        sorting = read_sorting(folder, ReadSpec())
        facts = sorting.tables.order, [n for n in sorting.num_samples if n is not None]
    except InputError:  # damaged, as `read_session` will say
        facts = ()
    for fact in facts:
        total.update(f"{fact}\n".encode() if fact else b"")
    return total.hexdigest()


def read_session(source: str, spec: ReadSpec) -> Session:
    """Reads the sorting in a folder.

    Raises:
        InputError: files are missing, damaged or disagree, or the options leave nothing.
    """
    folder, where, session_id = Path(source), str(source), session_name(source)
    sorting = read_sorting(folder, spec)
    bin_size_s = spec.bin_size_s(where)
    rate_hz = rate_of(sorting, spec, where)
    clock = timed(sorting, spec, rate_hz, where)
    names = sorting.unit_ids
    # SpikeInterface names units without spikes too
    everything = sorted_spikes(clock.times_s, clock.clusters, where, names and len(names))
    group = _labels(sorting.tables, everything, spec, where)
    keep, units_dropped = counted_drops(_group_faults(group, spec), "unit", where)
    spikes = keep_units(everything, keep)
    side = Clock(
        clock.start_s, clock.segments, rate_hz, TimeUnit.of(spec.time_unit), spec.time_unit or ""
    )
    table = table_of_trials(folder, spec, where)
    if table is None:  # before windows are cut on a clock of another unit
        judge(sorting, everything, spec, bin_size_s, where, None)
    trials = sorting_trials(table, side, clock, everything.times_s, spec, bin_size_s, where)
    if table is not None:
        times = trials.starts_s, trials.stops_s
        judge(sorting, everything, spec, bin_size_s, where, times)
    counts, lengths = spike_counts(
        spikes.times_s,
        spikes.rows,
        len(spikes.cluster_id),
        trials.starts_s,
        trials.stops_s,
        bin_size_s,
        where,
    )
    probe = _column(everything, [probe_column(sorting.tables)], "")
    observed, odd_time = observed_bins(
        clock, everything, probe, keep, trials.starts_s, lengths, bin_size_s, spec
    )
    typed = spec.option("behavior")
    paths = (
        [table_beside(folder, n, "behavior", "behav") for n in typed.split("+")] if typed else []
    )
    behaviour, odd_behaviour = behaviour_of(paths, side, spec, trials.starts_s, lengths, bin_size_s)
    regions = [sorting.tables.columns.get(name, {}) for name in REGIONS]
    region = _column(spikes, regions, spec.option("region", "unknown"))
    unit_id = [str(u) if names is None else names[u] for u in spikes.cluster_id.tolist()]
    findings = add_counts(spikes.findings, sorting.findings, odd_time, odd_behaviour)
    info = {
        "source": {"folder": folder.name},
        "units_dropped": units_dropped,
        "spikes_dropped": add_counts(sorting.dropped, clock.dropped, spikes.dropped),
        **_described(sorting.tables, clock, trials, findings),
    }
    return session_of(
        counts,
        lengths,
        trials.starts_s,
        spec,
        where,
        info=info,
        session_id=session_id,
        bin_size_s=bin_size_s,
        unit_id=np.array(unit_id),
        region=region,
        region_source=np.where(region == "unknown", "unknown", "file"),
        conditions=trials.conditions,
        behaviour=behaviour,
        unit_metadata=_unit_metadata(sorting.tables, spikes, group[keep]),
        observed=observed,
    )


def _described(
    tables: Clusters, clock: Timed, trials: TrialTable, findings: dict[str, int]
) -> dict[str, Any]:
    """What `info` says of tables, segments and trials, beside the findings of spikes."""
    segments = [
        {"segment": number, "start_s": float(start)}
        for number, start in zip(clock.segments, clock.start_s, strict=True)
    ]
    told = {
        "label_tables_newest_first": tables.order,
        "segments": segments if len(segments) > 1 else [],
        "trial_columns_skipped": trials.skipped,
    }
    return {
        "trials_dropped": trials.dropped,
        "findings": add_counts(findings, tables.findings, clock.findings, trials.findings),
        **{name: said for name, said in told.items() if said},
    }


def _column(spikes: SortedSpikes, columns: list[dict[int, str]], default: str) -> np.ndarray:
    """Text of each unit, from the first of the columns that says something about it."""
    return np.array(
        [
            next((c[unit].strip() for c in columns if unit in c), default)
            for unit in spikes.cluster_id.tolist()
        ],
        dtype=str,
    )


def _labels(tables: Clusters, spikes: SortedSpikes, spec: ReadSpec, where: str) -> np.ndarray:
    """Label of each unit in one spelling, str [N]; "unsorted" where none is known."""
    columns = label_column(tables, spec.option("labels"), where)
    given = _column(spikes, columns, "unsorted").tolist()
    return np.array([plain_label(text) for text in given], dtype=str)


def _group_faults(group: np.ndarray, spec: ReadSpec) -> dict[str, np.ndarray]:
    wanted = spec.option("groups")
    if wanted is None:
        return {"labelled noise": group == "noise"}
    names = [plain_label(name) for name in wanted.split("+")]
    # a session may have no unit of a usual label; another word is likely a slip
    if unknown := sorted(set(names) - set(group.tolist()) - _USUAL_LABELS):
        raise InputError(
            f"groups names {unknown[0]!r}, but the units are "
            f"{', '.join(sorted(set(group.tolist())))}"
        )
    others = sorted(set(group.tolist()) - set(names))
    return {f"labelled {label}": group == label for label in others or ["otherwise"]}


def _unit_metadata(
    tables: Clusters, spikes: SortedSpikes, group: np.ndarray
) -> dict[str, np.ndarray]:
    """Numeric columns, NaN where there is none; `quality` is 2 good, 1 mua, 0 otherwise."""
    made = {"quality": np.select([group == "good", group == "mua"], [2, 1], 0).astype(np.int8)}
    for name, ours in _NUMBERS.items():
        if name in tables.columns:
            values = [tables.columns[name].get(unit, "nan") for unit in spikes.cluster_id.tolist()]
            try:
                made[ours] = np.array(values, np.float32)
            except ValueError:
                continue  # text: somebody's own column
    return made
