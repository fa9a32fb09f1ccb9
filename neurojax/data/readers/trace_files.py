"""Files of suite2p and CaImAn as traces [frames, cells]; no pickle is read."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.readers import hdf5
from neurojax.data.readers.matlab_values import Cell, described, load_matlab, shown, value_at
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.store.array_files import map_npy
from neurojax.errors import InputError, require

CAIMAN = (".hdf5", ".h5", ".mat")
_CAIMAN_SIGNALS = ("F_dff", "C", "S")
_SUITE2P_SIGNALS = ("corrected", "F", "Fneu", "spks")
_NEUROPIL = 0.7
_MAX_VALUES = 2**31


@dataclasses.dataclass(frozen=True)
class Traces:
    """Traces of one recording.

    Attributes:
        values: floating [frames, cells]; NaN where a cell was not observed.
        channel: str [cells].
        accepted: bool [cells], what the software or a person calls a cell.
        sampling_hz: frames a second; None where the files do not say.
        signal: which of the software's traces these are.
        kind: "suite2p" or "CaImAn".
        unit: of the values.
    """

    values: np.ndarray
    channel: np.ndarray
    accepted: np.ndarray
    sampling_hz: float | None
    signal: str
    kind: str
    unit: str = "a.u."


def is_suite2p(folder: Path) -> bool:
    """Whether a folder is one of suite2p's, or has planes of it."""
    return (folder / "F.npy").is_file() or bool(_planes(folder))


def is_caiman(path: Path) -> bool:
    """Whether an HDF5 file has CaImAn's group of estimates."""
    with hdf5.open_hdf5(path) as file:
        estimates = hdf5.group(file, "estimates")
        return estimates is not None and "C" in hdf5.columns(estimates)


def _planes(folder: Path) -> list[Path]:
    found = [plane for plane in folder.glob("plane*") if (plane / "F.npy").is_file()]
    return sorted(found, key=lambda plane: (len(plane.name), plane.name))


def read_suite2p(folder: Path, spec: ReadSpec) -> Traces:
    """All planes of a folder side by side; planes that have a frame less or two end the others."""
    planes = [folder] if (folder / "F.npy").is_file() else _planes(folder)
    require(
        planes, f"{folder} holds no F.npy; expected a folder of suite2p, such as suite2p/plane0"
    )
    signal = _signal(spec, _SUITE2P_SIGNALS, folder)
    read = [_plane(plane, signal, spec, plane.name if len(planes) > 1 else "") for plane in planes]
    lengths = [len(plane.values) for plane in read]
    require(
        max(lengths) - min(lengths) <= 1,
        f"{folder}: planes have {lengths} frames, expected as many in each; read one plane alone",
    )
    values = np.concatenate([plane.values[: min(lengths)] for plane in read], axis=1)
    return Traces(
        values,
        np.concatenate([plane.channel for plane in read]),
        np.concatenate([plane.accepted for plane in read]),
        None,
        signal,
        "suite2p",
    )


def _signal(spec: ReadSpec, known: tuple[str, ...], where: Path) -> str:
    typed = spec.option("signal", known[0])
    require(typed in known, f"{where}: signal={typed!r}; expected one of {', '.join(known)}")
    return typed


def _plane(plane: Path, signal: str, spec: ReadSpec, name: str) -> Traces:
    made = _of_fluorescence(
        lambda part: _npy(plane / f"{part}.npy") if (plane / f"{part}.npy").is_file() else None,
        signal,
        spec,
        str(plane),
    )
    channel = np.arange(made.values.shape[1]).astype(str)
    if name:
        channel = np.char.add(f"{name}-", channel)
    return dataclasses.replace(made, channel=channel)


def _npy(path: Path) -> np.ndarray:
    values = map_npy(path, "biuf")
    require(
        values.ndim == 2 and values.size <= _MAX_VALUES,
        f"{path} has shape {list(values.shape)}, expected [cells, frames]",
    )
    return values


def _of_fluorescence(part: Any, signal: str, spec: ReadSpec, where: str) -> Traces:
    """suite2p's arrays, `part(name)` [cells, frames] or None, as traces."""
    wanted = ("F", "Fneu") if signal == "corrected" else (signal,)
    arrays = [part(name) for name in wanted]
    for name, values in zip(wanted, arrays, strict=True):
        require(
            values is not None,
            f"{where} lacks {name}; take another signal, such as --options=signal=F",
        )
        require(
            values.ndim == 2 and values.shape == arrays[0].shape and values.size,
            f"{where}: {name} is {list(values.shape)}, expected {list(arrays[0].shape)}, one row a "
            "cell",
        )
    values = arrays[0].T.astype(np.float32)
    if signal == "corrected":
        share = as_number(spec.option("neuropil", str(_NEUROPIL)))
        require(0 <= share <= 2, f"neuropil={spec.option('neuropil')!r}; expected 0 to 2")
        values = values - np.float32(share) * arrays[1].T.astype(np.float32)
    accepted, is_cell = np.ones(values.shape[1], bool), part("iscell")
    if is_cell is not None:
        first = is_cell[:, 0] if is_cell.ndim == 2 else is_cell
        require(
            first.shape == accepted.shape,
            f"{where}: iscell has {len(first)} rows, but there are {len(accepted)} cells",
        )
        accepted = np.asarray(first) > 0
    channel = np.arange(len(accepted)).astype(str)
    return Traces(values, channel, accepted, None, signal, "suite2p")


def read_file(path: Path, spec: ReadSpec | None) -> Traces:
    """A file of CaImAn, or suite2p's Fall.mat."""
    spec = ReadSpec() if spec is None else spec
    require(
        path.suffix in CAIMAN,
        f"{path} ends in {path.suffix or 'nothing'!r}, expected a suite2p folder or {CAIMAN}",
    )
    return _of_matlab(path, spec) if path.suffix == ".mat" else _of_caiman(path, spec)


def _of_caiman(path: Path, spec: ReadSpec) -> Traces:
    with hdf5.open_hdf5(path) as file:
        estimates = hdf5.group(file, "estimates")
        require(
            estimates is not None,
            f"{path} has no group estimates; expected what CaImAn's cnm.save writes",
        )
        there = [name for name in _CAIMAN_SIGNALS if name in hdf5.columns(estimates)]
        arrays = {name: hdf5.array(estimates, name) for name in there}
        there = [name for name in there if arrays[name].ndim == 2 and arrays[name].size > 1]
        require(there, f"{path}: estimates has none of {', '.join(_CAIMAN_SIGNALS)}")
        signal = spec.option("signal", there[0])
        require(signal in there, f"{path}: signal={signal!r}; it has {', '.join(there)}")
        values = arrays[signal].T.astype(np.float32)
        accepted = _accepted(estimates, values.shape[1])
        rate_hz = _caiman_rate_hz(file)
    unit = "dF/F" if signal == "F_dff" else "a.u."
    channel = np.arange(len(accepted)).astype(str)
    return Traces(values, channel, accepted, rate_hz, signal, "CaImAn", unit)


def _accepted(estimates: Any, num_cells: int) -> np.ndarray:
    """Components that CaImAn's evaluation kept; all where there was none."""
    made = np.ones(num_cells, bool)
    if "idx_components" not in hdf5.columns(estimates):
        return made
    kept = hdf5.array(estimates, "idx_components")
    if kept.dtype.kind not in "iu" or not kept.size or kept.max() >= num_cells or kept.min() < 0:
        return made  # None, or of an estimate before components were removed
    made[:] = False
    made[kept.ravel()] = True
    return made


def _caiman_rate_hz(file: Any) -> float | None:
    """Frames a second of params/data/fr."""
    place = hdf5.group(file, "params")
    place = None if place is None else hdf5.group(place, "data")
    if place is None or "fr" not in hdf5.columns(place):
        return None
    value = hdf5.array(place, "fr")
    is_number = value.size == 1 and value.dtype.kind in "iuf"
    return float(value.ravel()[0]) if is_number else None


def _of_matlab(path: Path, spec: ReadSpec) -> Traces:
    root = load_matlab(path)
    if {"F", "iscell"} <= root.keys():
        signal = _signal(spec, _SUITE2P_SIGNALS, path)
        made = _of_fluorescence(root.get, signal, spec, str(path))
        ops = root.get("ops")
        rate = ops.get("fs") if isinstance(ops, dict) else None
        known = isinstance(rate, np.ndarray) and rate.size == 1
        return dataclasses.replace(made, sampling_hz=float(rate.item()) if known else None)
    signal = spec.option("signal") or _found(root)
    require(
        signal is not None,
        f"{path}: name the traces with --options=signal=PATH; it has {shown(described(root))}",
    )
    value = value_at(root, signal, str(path))
    require(
        isinstance(value, np.ndarray) and value.ndim == 2 and value.dtype.kind in "biuf",
        f"{path}: {signal} is no matrix, expected [cells, frames]",
    )
    require(not isinstance(value, Cell) and value.size, f"{path}: {signal} is empty")
    if value.shape[0] > value.shape[1]:
        raise InputError(
            f"{path}: {signal} is {list(value.shape)}, more cells than frames; expected [cells, "
            "frames], save it transposed"
        )
    values = value.T.astype(np.float32)
    channel = np.arange(values.shape[1]).astype(str)
    unit = "dF/F" if "df" in signal.lower() else "a.u."
    return Traces(values, channel, np.ones(len(channel), bool), None, signal, "CaImAn", unit)


def _found(root: dict[str, Any]) -> str | None:
    """The path of CaImAn's traces in a .mat file: F_dff, C_df, C at the top or in one struct."""
    for name in ("F_dff", "C_df", "C_raw", "C"):
        places = ["", *(f"{key}." for key, value in root.items() if isinstance(value, dict))]
        for place in places:
            struct = root if not place else root[place[:-1]]
            if isinstance(struct.get(name), np.ndarray):
                return place + name
    return None
