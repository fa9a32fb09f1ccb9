"""Sorting folders as phy and SpikeInterface write them, small, with anything changed."""

import json
import os
from pathlib import Path

import numpy as np

from neurojax.data.readers import phy
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import Session

RATE_HZ = 30000.0
PARAMS = "dat_path = 'raw.dat'\nn_channels_dat = 2\ndtype = 'int16'\noffset = 0\nsample_rate = 30000.0\n"
RECORD = [("sample_index", "<i8"), ("unit_index", "<i8"), ("segment_index", "<i8")]


def phy_folder(folder: Path, seconds: float = 60.0, units: int = 5, hz: float = 15.0, seed: int = 0, **files) -> Path:
    """`units` clusters of `hz`; `files` are written beside them in their order, a minute apart: name with `__` for a
    dot -> text."""
    folder.mkdir(parents=True, exist_ok=True)
    samples, clusters = spikes(seconds, units, hz, seed)
    np.save(folder / "spike_times.npy", samples.astype(np.uint64))
    np.save(folder / "spike_clusters.npy", clusters.astype(np.int32))
    (folder / "params.py").write_text(
        "dat_path = 'raw.dat'\nn_channels_dat = 2\ndtype = 'int16'\nsample_rate = 30000.0\n"
    )
    for number, (name, text) in enumerate(files.items()):
        path = folder / name.replace("__", ".")
        path.write_text(text)
        os.utime(path, (10**9 + 60 * number,) * 2)
    return folder


def spikes(seconds: float, units: int, hz: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples of spikes, rising, and the unit of each."""
    rng = np.random.default_rng(seed)
    number = int(seconds * units * hz)
    return np.sort(rng.integers(0, int(seconds * RATE_HZ), number)), rng.integers(0, units, number)


def numpy_folder(
    folder: Path, lengths_s: tuple[float, ...] = (60.0,), units: int = 5, seed: int = 0, **properties
) -> Path:
    """A sorting of SpikeInterface of one segment a length, units "u0", "u1", ..."""
    (folder / "properties").mkdir(parents=True, exist_ok=True)
    parts = []
    for segment, seconds in enumerate(lengths_s):
        samples, rows = spikes(seconds, units, 15.0, seed + segment)
        part = np.zeros(len(samples), RECORD)
        part["sample_index"], part["unit_index"], part["segment_index"] = samples, rows, segment
        parts.append(part)
    np.save(folder / "spikes.npy", np.concatenate(parts))
    info = {"unit_ids": [f"u{k}" for k in range(units)], "sampling_frequency": RATE_HZ, "num_segments": len(lengths_s)}
    (folder / "numpysorting_info.json").write_text(json.dumps(info))
    for name, values in properties.items():
        np.save(folder / "properties" / f"{name}.npy", values)
    return folder


def npz_folder(folder: Path, lengths_s: tuple[float, ...] = (60.0,), units: int = 5, seed: int = 0) -> Path:
    """The same spikes as SpikeInterface saved them before 0.99."""
    folder.mkdir(parents=True, exist_ok=True)
    names = np.array([f"u{k}" for k in range(units)])
    arrays = {"unit_ids": names, "num_segment": [len(lengths_s)], "sampling_frequency": [RATE_HZ]}
    for segment, seconds in enumerate(lengths_s):
        samples, rows = spikes(seconds, units, 15.0, seed + segment)
        arrays |= {f"spike_indexes_seg{segment}": samples, f"spike_labels_seg{segment}": names[rows]}
    np.savez(folder / "sorting_cached.npz", **arrays)
    return folder


def read(folder: Path, options: dict[str, str] | None = None, window_s: float | None = 2.0, **fields) -> Session:
    """The session of a folder, cut into windows of 2 s; None takes its table of trials."""
    return phy.read_session(str(folder), ReadSpec(window_s=window_s, **fields, options=tuple((options or {}).items())))
