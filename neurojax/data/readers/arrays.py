"""Reads one recording from an .npz, .mat or .h5 file of named arrays; a pure function of the file
and the options.

Names with a meaning of their own:
    counts [trials, bins, units], or [total_bins, units] with trial_offsets [trials + 1], or without
        trials (cut by window_s); needs bin_size_s; optional bin_times_s [trials, bins] or
        [total_bins]. NaN was not observed; where it ends a trial in all units, it pads
    spike_times_s, spike_units [spikes] with trial_start_s, trial_stop_s [trials], or an event
        column (align and window), or without trials (window_s); units are counted from 0.
        spike_trial [spikes], from 0, where time counts from an event of each trial
    unit_region, unit_region_group, unit_region_source, unit_id, unit_<anything numeric> [units];
        units of one unit_probe are judged together where nothing says what was observed
    observed, observed_s, unit_observed_s, invalid_s: see `array_observed`
    NAME and NAME_times_s (or NAME_t), of another length: behaviour with time stamps of its own
    split [trials], or of every bin; subject, date, species, licence, revision, citation, consent
See `roles` for all other arrays, `tensors` for .h5 files of the NLB tools, NDT and LFADS.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.binning import merge_bins, merge_means, merge_valid
from neurojax.data.readers import one_file
from neurojax.data.readers.array_bins import Binned, bin_counts
from neurojax.data.readers.array_spikes import bin_spikes
from neurojax.data.readers.containers import SUFFIXES, load_arrays
from neurojax.data.readers.never_observed import kept_of
from neurojax.data.readers.own_clock import in_bins, take_timed
from neurojax.data.readers.roles import Roles, assign_roles
from neurojax.data.readers.signals import FILL_VALUES, without_fill
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import session_of
from neurojax.data.session import Session
from neurojax.data.store.session_fields import signal, split_codes
from neurojax.errors import InputError, require

VERSION = "arrays/2"
OPTIONS = {"bin_size_s": "seconds of a bin of counts, where the file does not say"}
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


def find(path: str) -> list[str]:
    """A file stands for itself, a folder for the .npz and .mat files in it, or else for .h5
    files: beside arrays these are likelier something else."""
    folder = Path(path)
    first = (
        {entry.suffix for entry in folder.iterdir()} & set(SUFFIXES[:2]) if folder.is_dir() else ()
    )
    return one_file.files_at(path, SUFFIXES[:2] if first else SUFFIXES)


session_name, source_sha256 = one_file.session_name, one_file.source_sha256


def read_session(source: str, spec: ReadSpec) -> Session:
    """Reads the recording in a file; its name is the file's stem.

    Args:
        source: .npz (numpy.savez, compressed or not), .mat v5, .mat v7.3 or .h5 (need h5py).
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
    binned = (bin_spikes if has_spikes else bin_counts)(arrays, spec, num_units, where)
    stored_split = arrays.pop("split", None)
    timed = take_timed(arrays, binned.axes, spec)
    named = tuple(name for name in spec.behavior if name not in timed)
    roles = assign_roles(arrays, binned.axes, dataclasses.replace(spec, behavior=named), where)
    info |= {
        "bins_merged": binned.factor,
        "trial_start_s_source": binned.starts_source,
        **binned.record,
        **({"notes": roles.notes} if roles.notes else {}),
    }
    fields = _merged(binned, roles, info, where)
    counts, lengths, starts = fields.pop("counts"), fields.pop("lengths"), binned.starts_s
    fields["behaviour"] |= in_bins(timed, starts, lengths, binned.bin_size_s, spec, info, where)
    fields |= {"conditions": roles.conditions, "unit_metadata": roles.unit_metadata, **units}
    stored_split, one_split = _split_of_trials(stored_split, binned, spec, where)
    if not one_split.all():
        info["trials_dropped"] = {"reach into another split": int((~one_split).sum())}
        every = np.ones(counts.shape[1], bool)
        counts, lengths, starts, stored_split, fields = kept_of(
            counts, lengths, starts, stored_split, fields, one_split, every
        )
    return session_of(
        counts,
        lengths,
        starts,
        spec,
        where,
        info=info,
        stored_split=stored_split,
        session_id=session_id,
        bin_size_s=binned.bin_size_s,
        **fields,
    )


def _split_of_trials(
    stored: np.ndarray | None, binned: Binned, spec: ReadSpec, where: str
) -> tuple[np.ndarray | None, np.ndarray]:
    """The stored split of each trial, and which trials lie in one split, bool [trials]: a split of
    every bin (-1 or NaN: none) leaves out those that reach into another."""
    num_trials, axes = len(binned.lengths), binned.axes
    every = np.ones(num_trials, bool)
    per_bin = stored is not None and stored.size == axes.total_bins != num_trials
    if not per_bin or spec.split != "file" or stored.dtype.kind not in "iuf":
        return stored, every
    codes = np.where(np.isnan(flat := stored.ravel().astype(np.float64)), -1, flat)[binned.rows]
    split_codes(codes[codes != -1], where)
    first = np.cumsum(binned.lengths) - binned.lengths
    lowest, highest = np.minimum.reduceat(codes, first), np.maximum.reduceat(codes, first)
    one_split = (lowest == highest) & (lowest >= 0)
    require(one_split.any(), f"{where}: no trial or window lies in one split; cut shorter windows")
    return lowest.astype(np.int64), one_split


def _merged(binned: Binned, roles: Roles, info: dict[str, Any], where: str) -> dict[str, Any]:
    """Counts, behaviour, bins of each trial and observed entries, in the final bins; `info` is told
    of bins left over and of fill values."""
    lengths, factor, axes, rows = binned.lengths, binned.factor, binned.axes, binned.rows
    shape = (axes.total_bins, axes.num_units)
    if axes.trial_bins is not None:
        shape = (axes.num_trials, axes.trial_bins, axes.num_units)
    grid = np.broadcast_to(np.uint8(0), shape)  # what the file's arrays are laid out as
    try:
        counts, merged_lengths = merge_bins(binned.counts, lengths, factor)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    info["bins_dropped"] = binned.bins_outside + len(binned.counts) - len(counts) * factor
    behaviour, num_fill = {}, 0
    for name, values in roles.behaviour.items():
        known, number = without_fill(signal(values, name, grid, where).copy())
        behaviour[name] = merge_means(known[rows], lengths, factor)
        num_fill += number
    if num_fill:
        info["findings"] = {**info.get("findings", {}), FILL_VALUES: num_fill}
    valid = {
        name: merge_valid(mask.ravel()[rows], lengths, factor)
        & np.isfinite(behaviour[name]).any(axis=1)
        for name, mask in roles.behaviour_valid.items()
    }
    observed = binned.observed
    made = {
        "counts": counts,
        "lengths": merged_lengths,
        "behaviour": behaviour,
        "behaviour_valid": valid,
    }
    if observed is not None:
        made["observed"] = merge_valid(observed, lengths, factor)
    return made
