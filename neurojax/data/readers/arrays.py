"""Reads one recording from an .npz or .mat file of named arrays; a pure function of the file and
the options.

Names with a meaning of their own:
    counts [trials, bins, units], or [total_bins, units] with trial_offsets [trials + 1], or without
        trials (cut by window_s); needs bin_size_s; optional bin_times_s [trials, bins] or
        [total_bins]
    spike_times_s, spike_units [spikes] with trial_start_s, trial_stop_s [trials], or an event
        column (align and window), or without trials (window_s); units are counted from 0
    unit_region, unit_region_group, unit_region_source, unit_id, unit_<anything numeric> [units]
    split [trials]; subject, date, species, licence, revision, citation, consent
See `roles` for all other arrays.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.binning import merge_bins, merge_means, merge_valid
from neurojax.data.checks.findings import spike_findings
from neurojax.data.readers import one_file
from neurojax.data.readers.containers import SUFFIXES, load_arrays
from neurojax.data.readers.roles import Axes, Roles, assign_roles
from neurojax.data.readers.spec import DEFAULT_BIN_SIZE_S, ReadSpec
from neurojax.data.readers.trials import (
    Arrays,
    session_of,
    stored_starts,
    trials_in_bins,
    trials_in_seconds,
    whole_times,
)
from neurojax.data.session import Session
from neurojax.data.store.session_fields import signal, spike_counts, whole_counts
from neurojax.data.store.session_rules import check_bin_size
from neurojax.errors import InputError, require

VERSION = "arrays/1"
OPTIONS: dict[str, str] = {}
_UNIT_TEXT = {
    "unit_id": "unit_id",
    "unit_region": "region",
    "unit_region_group": "region_group",
    "unit_region_source": "region_source",
}
_PROVENANCE = {
    "subject": "subject_id",
    "date": "date",
    "species": "species",
    "licence": "licence",
    "license": "licence",
    "revision": "revision",
    "citation": "citation",
    "consent": "consent",
}


@dataclasses.dataclass(frozen=True)
class _Binned:
    """Spikes per bin as the file has them, before bins are merged.

    Attributes:
        counts: uint8 or uint16 [total_bins, N]; bins after the last window belong to no trial.
        lengths: int64 [trials], bins of each trial; trials lie end to end.
        starts_s: float64 [trials].
        starts_source: where the starts come from.
        bin_size_s: seconds of a bin after merging.
        factor: bins merged into one.
        axes: lengths that the file's other arrays may have.
        record: what goes to `info` about the spikes.
    """

    counts: np.ndarray
    lengths: np.ndarray
    starts_s: np.ndarray
    starts_source: str
    bin_size_s: float
    factor: int
    axes: Axes
    record: dict[str, Any] = dataclasses.field(default_factory=dict)


def find(path: str) -> list[str]:
    """A file stands for itself, a folder for the .npz and .mat files in it."""
    return one_file.files_at(path, SUFFIXES)


session_name, source_sha256 = one_file.session_name, one_file.source_sha256


def read_session(source: str, spec: ReadSpec) -> Session:
    """Reads the recording in a file; its name is the file's stem.

    Args:
        source: .npz (numpy.savez, compressed or not), .mat v5, or .mat v7.3 (needs h5py).
        spec: options; by default binned arrays keep their bin, spike times get 20 ms.

    Raises:
        InputError: anything missing, damaged, ambiguous or impossible, with what came in.
    """
    path, session_id = Path(source), session_name(source)
    arrays, where = load_arrays(path), str(path)
    has_spikes = "spike_times_s" in arrays or "spike_units" in arrays
    came = "both counts and spike times" if has_spikes else f"the arrays {sorted(arrays)}"
    require(
        ("counts" in arrays) != has_spikes,
        f"{where} holds {came}, expected counts, or spike_times_s and spike_units",
    )
    info: dict[str, Any] = {"source": {"file": path.name}}
    for name, key in _PROVENANCE.items():
        if name in arrays and arrays[name].size == 1:
            info[key] = str(arrays.pop(name).item())
    units = {field: arrays.pop(name) for name, field in _UNIT_TEXT.items() if name in arrays}
    num_units = next((labels.size for labels in units.values()), None)
    binned = (_bin_spikes if has_spikes else _bin_counts)(arrays, spec, num_units, where)
    stored_split = arrays.pop("split", None)
    roles = assign_roles(arrays, binned.axes, spec, where)
    merged = _merged(binned, roles, where)
    info |= {
        "bins_merged": binned.factor,
        "trial_start_s_source": binned.starts_source,
        "bins_dropped": len(binned.counts) - len(merged["counts"]) * binned.factor,
        **binned.record,
        **({"notes": roles.notes} if roles.notes else {}),
    }
    return session_of(
        merged.pop("counts"),
        merged.pop("lengths"),
        binned.starts_s,
        spec,
        where,
        info=info,
        stored_split=stored_split,
        session_id=session_id,
        bin_size_s=binned.bin_size_s,
        conditions=roles.conditions,
        unit_metadata=roles.unit_metadata,
        **merged,
        **units,
    )


def _bin_counts(arrays: Arrays, spec: ReadSpec, num_units: int | None, where: str) -> _Binned:
    require(
        spec.align is None,
        f"{where}: align={spec.align!r} needs spike_times_s, but the file holds binned counts",
    )
    require(
        "bin_size_s" in arrays,
        f"{where} holds counts without bin_size_s; add to the file what a bin is, in seconds "
        "(--bin_ms merges bins)",
    )
    bin_size_s = check_bin_size(arrays.pop("bin_size_s"), where)
    final_bin_s = bin_size_s if spec.bin_ms is None else spec.bin_ms / 1000
    factor = whole_times(final_bin_s, bin_size_s, f"{where}: bin_ms={final_bin_s * 1000:g}")
    counts = whole_counts(arrays.pop("counts"), where)
    flat = counts.reshape(-1, counts.shape[-1])  # [total_bins, N]
    lengths = trials_in_bins(counts, arrays, spec, final_bin_s, factor, where)
    trial_bins = _common(lengths) if lengths.sum() == len(flat) else None
    axes = Axes(len(lengths), len(flat), flat.shape[1], trial_bins)
    starts = stored_starts(arrays, lengths, axes, bin_size_s, where)
    source = "end to end" if starts is None else "file"
    starts = (np.cumsum(lengths) - lengths) * bin_size_s if starts is None else starts
    return _Binned(flat, lengths, starts, source, final_bin_s, factor, axes)


def _bin_spikes(arrays: Arrays, spec: ReadSpec, num_units: int | None, where: str) -> _Binned:
    if missing := [name for name in ("spike_times_s", "spike_units") if name not in arrays]:
        raise InputError(
            f"{where} lacks {missing[0]}; expected spike_times_s and spike_units, one each a spike"
        )
    stored_bin_s = arrays.pop("bin_size_s", DEFAULT_BIN_SIZE_S)
    bin_size_s = check_bin_size(stored_bin_s if spec.bin_ms is None else spec.bin_ms / 1000, where)
    times, units, num_lost = _finite_spikes(arrays.pop("spike_times_s"), arrays.pop("spike_units"))
    starts, stops = trials_in_seconds(arrays, times, spec, bin_size_s, where)
    counts, lengths = spike_counts(times, units, num_units, starts, stops, bin_size_s, where)
    axes = Axes(len(lengths), len(counts), counts.shape[1], _common(lengths))
    source = spec.align or ("windows" if spec.window_s else "file")
    odd = spike_findings(times, units, counts.shape[1], starts, stops)
    told = {"findings": odd, "spikes_dropped": {"time is not finite": num_lost} if num_lost else {}}
    record = {name: numbers for name, numbers in told.items() if numbers}
    return _Binned(counts, lengths, starts, source, bin_size_s, 1, axes, record)


def _finite_spikes(times: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Spikes without those at NaN or infinity, which pad MATLAB's matrices, and how many these
    were."""
    if times.ndim != 1 or times.shape != units.shape or times.dtype.kind != "f":
        return times, units, 0  # refused, or whole, further on
    finite = np.isfinite(times)
    if finite.all() or not finite.any():
        return times, units, 0
    return times[finite], units[finite], int((~finite).sum())


def _merged(binned: _Binned, roles: Roles, where: str) -> dict[str, Any]:
    """Counts, behaviour and bins of each trial, in the final bins."""
    lengths, factor, axes = binned.lengths, binned.factor, binned.axes
    rows = slice(0, int(lengths.sum()))  # without what is left after the last window
    grid = binned.counts
    if axes.trial_bins is not None:
        grid = grid.reshape(axes.num_trials, axes.trial_bins, axes.num_units)
    try:
        counts, merged_lengths = merge_bins(binned.counts[rows], lengths, factor)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    signals = {name: signal(values, name, grid, where) for name, values in roles.behaviour.items()}
    return {
        "counts": counts,
        "lengths": merged_lengths,
        "behaviour": {
            name: merge_means(values[rows], lengths, factor) for name, values in signals.items()
        },
        "behaviour_valid": {
            name: merge_valid(mask.ravel()[rows], lengths, factor)
            for name, mask in roles.behaviour_valid.items()
        },
    }


def _common(lengths: np.ndarray) -> int | None:
    """The bins of every trial, or None when trials differ."""
    return int(lengths[0]) if np.all(lengths == lengths[0]) else None
