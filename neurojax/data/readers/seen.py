"""What lies at a path that is of no kind of recording: names and headers, never the data."""

import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from neurojax.data.readers import hdf5
from neurojax.data.store.array_files import open_input

_MAX_ENTRIES, _MAX_DEPTH = 3000, 5  # of a folder
_RAW = {
    (".ap.bin", ".lf.bin", ".dat", ".bin", ".rhd", ".rhs", ".ns5", ".ns6", ".raw", ".continuous"):
        "raw voltage; sort its spikes first (Kilosort, SpikeInterface)",
    (".plx", ".nev", ".nex", ".nex5", ".pl2", ".smr", ".abf", ".ncs", ".ntt"):
        "a file of an acquisition system; neo or SpikeInterface read it, and "
        "nj.Session.from_spike_times takes the spike times",
    (".tif", ".tiff", ".avi", ".mp4"): "images; extract traces or positions first",
    (".pkl", ".pickle", ".joblib"): "a pickle, which is a program and never opened; save its "
    "arrays with numpy.savez",
    (".csv", ".tsv", ".txt", ".xlsx", ".parquet"): "a table; give its columns to "
    "nj.Session.from_spike_times (docs/your_data.md)",
}  # fmt: skip


def seen(path: str) -> str:
    """What lies at a path that is of no kind."""
    place = Path(path)
    if urlsplit(path).scheme in ("http", "https", "s3"):
        return "an address; only NWB files are read from afar (their names end in .nwb)"
    if place.is_dir():
        suffixes = Counter(entry.suffix or "no suffix" for entry in below(place))
        if not suffixes:
            return "an empty folder"
        told = ", ".join(f"{number} {suffix}" for suffix, number in suffixes.most_common(6))
        return f"a folder of {suffixes.total()} files ({told})"
    if not place.is_file():
        return (
            "nothing: there is no such file or folder" if not place.exists() else "no regular file"
        )
    name, size = place.name.lower(), place.stat().st_size
    size_told = f"a file of {size:,} bytes"
    for suffixes, what in _RAW.items():
        if name.endswith(suffixes):
            return f"{size_told}, {what}"
    with open_input(place) as file:
        start = file.read(128)
    if start.startswith(b"\x89HDF"):
        try:
            with hdf5.open_hdf5(place) as content:
                return f"an HDF5 file with {', '.join(list(content)[:12]) or 'nothing in it'}"
        except Exception:
            return f"{size_told}, damaged HDF5"
    if start.startswith(b"PK"):
        names = npz_names(place)
        return f"an archive of {', '.join(sorted(names)[:12])}" if names else "a damaged archive"
    return f"{size_told} ending in {place.suffix or 'nothing'!r}"


def below(folder: Path) -> Iterator[Path]:
    """Files of a folder and those below it, hidden ones aside, in order; not without end."""
    waiting, number = [(folder, 0)], 0
    while waiting and number < _MAX_ENTRIES:
        place, depth = waiting.pop(0)
        try:
            entries = sorted(place.iterdir())
        except OSError:
            continue
        for entry in entries:
            number += 1
            if entry.name.startswith("."):
                continue
            if entry.is_dir() and depth < _MAX_DEPTH:
                waiting.append((entry, depth + 1))
            elif entry.is_file():
                yield entry


def npz_names(path: Path) -> set[str]:
    """Names of the arrays of an .npz file; none of a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile, ValueError):
        return set()
