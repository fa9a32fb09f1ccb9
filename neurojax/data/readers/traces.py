"""Traces of cells from two-photon imaging become a recording of real values: suite2p's folders and
CaImAn's files.

    suite2p     a folder with F.npy [cells, frames], Fneu.npy, spks.npy, iscell.npy [cells, 2], or
                with folders plane0, plane1, ... of them, or Fall.mat. stat.npy and ops.npy are
                pickles and are not read
    CaImAn      .hdf5 with estimates/C, S, F_dff [cells, frames] and idx_components; or .mat

A sample is a frame. Trials come from a table beside the traces (trials.csv, .tsv or .npz with
start_s and stop_s, or start_frame and stop_frame), else the recording is cut by --window_s. Frames
of a cell that are NaN were not observed.
"""

import dataclasses
import hashlib
import re
from pathlib import Path

import numpy as np

from neurojax.data.binning import bins_that_fit
from neurojax.data.clock import TimeUnit
from neurojax.data.observed import intervals_of
from neurojax.data.readers.side_tables import (
    Clock,
    TrialTable,
    behaviour_of,
    table_beside,
    trials_of,
)
from neurojax.data.readers.signals import FILL_SAMPLES, without_fill
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.readers.trace_files import (
    CAIMAN,
    Traces,
    is_caiman,
    is_suite2p,
    read_file,
    read_suite2p,
)
from neurojax.data.readers.trials import choose_split, counted_drops, kept_windows
from neurojax.data.real_values import from_values
from neurojax.data.session import Session
from neurojax.data.splits import later_trials_within, random_split
from neurojax.data.store.array_files import open_input
from neurojax.data.store.session_rules import check_session_id, validate_session
from neurojax.errors import require
from neurojax.files import sha256_file

VERSION = "traces/1"
EXAMPLE = "traces day1/suite2p --out=data/imaging --options=sampling_hz=30 --window_s=4"
OPTIONS = {
    "signal": "suite2p: corrected (F - neuropil * Fneu, the default), F, Fneu or spks; CaImAn: "
    "F_dff, C or S, the first that is there; .mat: a path",
    "neuropil": "how much of Fneu is taken off, default 0.7",
    "sampling_hz": "frames a second (of each plane), where the files do not say",
    "start_s": "time of the first frame on the clock of the trials, default 0",
    "cells": "accepted, as iscell or idx_components say (the default), or all",
    "trials": "table of trials (.csv, .tsv, .npz) beside the traces; default: trials.csv, .tsv or "
    ".npz",
    "behavior": "tables of behaviour with a column time_s, wheel.csv+pupil.csv, beside the traces",
    "unit": "what the values are measured in, default a.u.",
}
UNUSED = ("bin_ms", "behavior", "trial_columns", "silence", "window_from_s")
_NO_NAMES = re.compile(r"suite2p|plane\d+|combined|F|Fall", re.IGNORECASE)
_SPLIT = "trial_split"  # what a column `split` of a table is called
_TABLES = ("trials.csv", "trials.tsv", "trials.npz")
_ENDINGS = (".csv", ".tsv", ".npz")
_LOWEST_HZ, _HIGHEST_HZ = 0.05, 20_000.0  # frames; outside, another unit is likelier


def find(path: str) -> list[str]:
    """A file or a folder of suite2p stands for itself, another folder for all such below it."""
    place = Path(path)
    require(place.exists(), f"{path} does not exist; check the path")
    if place.is_file() or is_suite2p(place):
        return [path]
    inner = sorted(entry for entry in place.rglob("*") if entry.is_dir() and is_suite2p(entry))
    inner = [entry for entry in inner if not any(above in inner for above in entry.parents)]
    files = [entry for entry in sorted(place.rglob("*")) if entry.suffix in CAIMAN[:2]]
    found = [str(entry) for entry in inner or files]
    require(found, f"{path} holds neither a suite2p folder (F.npy) nor an .hdf5 file of CaImAn")
    return found


def recognises(path: str) -> str | None:
    """What tells that a path holds traces; None where nothing does."""
    place = Path(path)
    if place.is_dir() and is_suite2p(place):
        return (
            "a suite2p folder: F.npy, traces of cells (give --window_s=4 or trials.csv, and the "
            "frames a second, --options=sampling_hz=30)"
        )
    if place.is_file() and place.suffix in CAIMAN[:2] and is_caiman(place):
        return "CaImAn's estimates (give --window_s=4 or trials.csv)"
    return None


def session_name(source: str) -> str:
    """The last part of the path that is a name: `day1` of day1/suite2p/plane0."""
    place = Path(source).absolute()
    parts = [place.stem if place.is_file() or place.suffix in CAIMAN else place.name]
    parts += [above.name for above in place.parents]
    name = next((part for part in parts if part and not _NO_NAMES.fullmatch(part)), parts[0])
    return check_session_id(re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip("._-")[:128] or name)


def source_sha256(source: str) -> str:
    """Digest of all files that may be read, with their names."""
    place = Path(source)
    require(place.exists(), f"{source} does not exist; check the path")
    folder = place if place.is_dir() else place.parent
    beside = [entry for entry in folder.iterdir() if entry.suffix in _ENDINGS]
    names = ("F.npy", "Fneu.npy", "spks.npy", "iscell.npy")
    own = [entry for name in names for entry in place.rglob(name)] if place.is_dir() else [place]
    digest = hashlib.sha256()
    for entry in sorted({*beside, *own}):
        open_input(entry).close()
        digest.update(f"{entry.relative_to(folder)} {sha256_file(entry)}\n".encode())
    return digest.hexdigest()


def read_session(source: str, spec: ReadSpec) -> Session:
    """Reads one recording of cells.

    Raises:
        InputError: no traces, no rate of frames, no trials, or nothing is left.
    """
    place = Path(source)
    require(place.exists(), f"{source} does not exist; check the path")
    traces = read_suite2p(place, spec) if place.is_dir() else read_file(place, spec)
    rate_hz = _rate_hz(traces, spec, source)
    start_s = as_number(spec.option("start_s", "0"))
    require(np.isfinite(start_s), f"start_s={spec.option('start_s')!r}; expected seconds")
    num_fill = without_fill(traces.values)[1]
    traces, dropped = _cells(traces, spec, source)
    folder = place if place.is_dir() else place.parent
    # Times of a table are on the clock of the session; frames count from the first one.
    clock = Clock(np.zeros(1), (0,), rate_hz, TimeUnit.of(spec.time_unit), spec.time_unit or "")
    windows = _windows(folder, clock, start_s, len(traces.values), spec, source)
    known = np.isfinite(traces.values)
    placed = _placed(windows, known, start_s, rate_hz, spec, source)
    order, first, length, split, split_source, dropped_trials = placed
    made, odd = _behaviour(folder, clock, start_s, len(known), spec)
    info = {
        "source": {"file" if place.is_file() else "folder": place.name, "signal": traces.signal},
        "traces": traces.kind,
        "units_dropped": dropped,
        "trials_dropped": windows.dropped | dropped_trials,
        "findings": windows.findings | ({FILL_SAMPLES: num_fill} if num_fill else {}) | odd,
        "trial_columns_skipped": windows.skipped,
        "split_source": split_source,
    }
    # What was not observed lies at the cell's median: no end of its range, and never read.
    filled = np.where(known, traces.values, np.nanmedian(traces.values, axis=0))
    session = from_values(
        filled,
        sampling_hz=rate_hz,
        unit=spec.option("unit", traces.unit),
        session_id=session_name(source),
        trial_start_bin=first[order],
        trial_num_bins=length[order],
        split=split,
        trial_start_s=windows.starts_s[order],
        channel=traces.channel,
        conditions={
            name: values[order] for name, values in windows.conditions.items() if name != _SPLIT
        },
        info=info,
    )
    session = session.with_fields(
        validity=intervals_of(known),
        behaviour=made,
        behaviour_valid={name: np.isfinite(values).any(axis=1) for name, values in made.items()},
    )
    return validate_session(session)


def _rate_hz(traces: Traces, spec: ReadSpec, where: str) -> float:
    typed = spec.option("sampling_hz")
    require(
        typed is not None or traces.sampling_hz is not None,
        f"{where}: the files do not say how many frames a second there are (ops.npy is a pickle "
        "and is not read); say it with --options=sampling_hz=30",
    )
    rate_hz = as_number(typed) if typed is not None else traces.sampling_hz
    require(
        _LOWEST_HZ <= rate_hz <= _HIGHEST_HZ,
        f"{where}: sampling_hz={typed or traces.sampling_hz}; expected frames a second, "
        f"{_LOWEST_HZ:g} to {_HIGHEST_HZ:,.0f}",
    )
    return float(rate_hz)


def _cells(traces: Traces, spec: ReadSpec, where: str) -> tuple[Traces, dict[str, int]]:
    """The cells that count, and reason -> number of the others."""
    wanted = spec.option("cells", "accepted")
    require(wanted in ("accepted", "all"), f"cells={wanted!r}; expected accepted or all")
    reasons = {
        "not accepted as a cell": ~traces.accepted & (wanted == "accepted"),
        "never observed": ~np.isfinite(traces.values).any(axis=0),
    }
    require(
        not np.any(list(reasons.values()), axis=0).all(),
        f"{where}: none of {len(traces.channel)} cells is left; take all with --options=cells=all",
    )
    keep, told = counted_drops(reasons, "cell", where)
    kept = dataclasses.replace(
        traces,
        values=traces.values[:, keep],
        channel=traces.channel[keep],
        accepted=traces.accepted[keep],
    )
    return kept, told


def _windows(
    folder: Path, clock: Clock, start_s: float, num_frames: int, spec: ReadSpec, where: str
) -> TrialTable:
    """Trials of the table, in its order, that can be used; or windows."""
    rate_hz, name = clock.sample_rate_hz, spec.option("trials")
    end_s = start_s + num_frames / rate_hz
    path = next((folder / table for table in _TABLES if (folder / table).is_file()), None)
    if name is not None:
        path = table_beside(folder, name, "trials", "trials")
    if path is None or (name is None and spec.window_s is not None):
        require(
            spec.window_s is not None,
            f"{where}: traces without trials; add trials.csv with start_s and stop_s, or cut them "
            "with --window_s=4",
        )
        num_samples = int(round(spec.window_s * rate_hz))
        number = num_frames // max(num_samples, 1)
        require(
            num_samples >= 1 and number >= 1,
            f"{where}: {num_frames} frames of {rate_hz:g} a second hold no window of "
            f"{spec.window_s:g} s; change window_s",
        )
        starts = start_s + np.arange(number) * (num_samples / rate_hz)
        return TrialTable(starts, starts + num_samples / rate_hz, {}, {}, {}, [])
    require(
        spec.window_s is None,
        f"{where}: window_s={spec.window_s} cuts recordings without trials, but {path.name} has "
        "trials",
    )
    table = trials_of(path, clock, spec)
    starts, stops = table.starts_s, table.stops_s
    if _counts_frames(path):
        starts, stops = starts + start_s, stops + start_s
    keep, dropped = kept_windows(
        starts, stops, (start_s, end_s + 0.5 / rate_hz), {}, spec, 1 / rate_hz, f"{path}"
    )
    return table._replace(
        starts_s=starts[keep],
        stops_s=stops[keep],
        conditions={name: values[keep] for name, values in table.conditions.items()},
        dropped=table.dropped | dropped,
    )


def _counts_frames(path: Path) -> bool:
    """Whether a table's trials are in frames, by the name of their start."""
    if path.suffix == ".npz":
        return False
    with open_input(path) as file:
        header = file.readline(2**16).decode("utf-8", "replace").lower()
    return bool(re.search(r"start_(frame|sample)s?\b", header))


def _placed(
    windows: TrialTable,
    known: np.ndarray,
    start_s: float,
    rate_hz: float,
    spec: ReadSpec,
    where: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, str, dict[str, int]]:
    """Trials that stay, in order of time; first frame and frames of all; the split of those that
    stay and its source; reason -> number of the others.

    Args:
        windows: of the recording.
        known: bool [frames, cells], where a cell was observed.
        start_s, rate_hz: of the frames.
        spec: its `split` decides.
        where: for messages.
    """
    first = np.rint((windows.starts_s - start_s) * rate_hz).astype(np.int64)
    fit = bins_that_fit(windows.starts_s, windows.stops_s, 1 / rate_hz).astype(np.int64)
    length = np.minimum(fit, len(known) - first)
    seen = np.array([known[a : a + n].any() for a, n in zip(first, length, strict=True)], bool)
    keep, dropped = counted_drops(
        {"shorter than a frame": length < 1, "never observed": ~seen}, "trial", where
    )
    order = np.flatnonzero(keep)[np.argsort(first[keep], kind="stable")]
    stored = windows.conditions.get(_SPLIT)
    stored = None if stored is None else stored[order]
    split, source = choose_split(stored, windows.starts_s[order], spec, where)
    split = random_split(len(order), 0, where) if split is None else split
    across = later_trials_within(first[order] / rate_hz, length[order], 1 / rate_hz, split) > 0
    if across.any():
        dropped["reach into another split"] = int(across.sum())
    return order[~across], first, length, split[~across], source, dropped


def _behaviour(
    folder: Path, clock: Clock, start_s: float, num_frames: int, spec: ReadSpec
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Behaviour of the tables that the option names, in every frame, and what was odd."""
    names = spec.option("behavior")
    names = [] if names is None else names.split("+")
    paths = [table_beside(folder, name, "behavior", "behav") for name in names]
    start, one = np.array([start_s]), np.array([num_frames])
    return behaviour_of(paths, clock, spec, start, one, 1 / clock.sample_rate_hz)
