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

from neurojax.data.readers import one_file
from neurojax.data.readers.array_bins import bin_counts
from neurojax.data.readers.array_session import session_of_bins
from neurojax.data.readers.array_spikes import bin_spikes
from neurojax.data.readers.containers import SUFFIXES, load_arrays
from neurojax.data.readers.own_clock import take_timed
from neurojax.data.readers.roles import assign_roles
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import Session
from neurojax.errors import require

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
    if (probe := arrays.get("unit_probe")) is not None and probe.dtype.kind == "U":
        arrays["unit_probe"] = np.unique(probe, return_inverse=True)[1]  # by name, in order
    num_units = next((labels.size for labels in units.values()), None)
    binned = (bin_spikes if has_spikes else bin_counts)(arrays, spec, num_units, where)
    stored_split = arrays.pop("split", None)
    timed = take_timed(arrays, binned.axes, spec)
    named = tuple(name for name in spec.behavior if name not in timed)
    roles = assign_roles(arrays, binned.axes, dataclasses.replace(spec, behavior=named), where)
    if roles.notes:
        info["notes"] = roles.notes
    return session_of_bins(binned, roles, timed, stored_split, units, info, spec, session_id, where)
