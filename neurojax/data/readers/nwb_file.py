"""NWB files read with distrust: links are followed inside the file only, sizes are bounded before
memory is asked for.

Everything is read with h5py, a column or a block of rows at a time; pynwb would build objects for
all of a file.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.readers import hdf5, nwb_remote
from neurojax.data.store.session_fields import plain_array
from neurojax.errors import InputError, require

MAX_ROWS = 10**7  # of one table
MAX_TEXT = 256  # characters kept of one cell
_MAX_CHUNK_BYTES = 2**28  # the library unpacks whole chunks
_MAX_SOFT_LINKS = 8
_MAX_DEPTH = 8
_MAX_ENTRIES = 100_000
_TEXT_ROWS = 1024  # cells of text read at a time
_BLOCK = 2**22  # numbers read at a time for a digest
_ZARR = (".zgroup", ".zattrs", "zarr.json", ".zmetadata")
# Raw signals and pictures: never read.
RAW_TYPES = frozenset(
    (
        "ElectricalSeries",
        "SpikeEventSeries",
        "ImageSeries",
        "OpticalSeries",
        "TwoPhotonSeries",
        "OnePhotonSeries",
    )
    + (
        "ImageMaskSeries",
        "IndexSeries",
        "Images",
        "Image",
        "GrayscaleImage",
        "RGBImage",
        "RGBAImage",
    )
    + ("PatchClampSeries", "VoltageClampSeries", "CurrentClampSeries", "VoltageClampStimulusSeries")
    + ("CurrentClampStimulusSeries", "IZeroClampSeries")
)
_SPECIFICATIONS = "specifications"
_NOT_DIGESTED = ("waveform", "image_mask", "pixel_mask", "voxel_mask")  # how names begin


@contextlib.contextmanager
def open_nwb(source: str) -> Iterator[Any]:
    """Opens a local file or an address for reading.

    Raises:
        InputError: missing, out of reach, damaged, a Zarr folder, or no NWB 2 file; also for what
            goes wrong inside.
    """
    if nwb_remote.is_url(source):
        with nwb_remote.stream(source) as stream, hdf5.open_hdf5(source, stream) as file:
            yield _checked(file, source)
        return
    require(
        not is_zarr(Path(source)),
        f"{source} is NWB in a Zarr folder; export it to HDF5 with hdmf-zarr, or fetch the .nwb "
        "file",
    )
    with hdf5.open_hdf5(Path(source)) as file:
        yield _checked(file, source)


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return path.is_dir() and any((path / name).exists() for name in _ZARR)


def _checked(file: Any, source: str) -> Any:
    version = hdf5.text_attribute(file, "nwb_version") or text(file, "nwb_version")
    require(
        version is not None,
        f"{source} is HDF5, but does not say its nwb_version; expected an NWB 2 file",
    )
    require(
        version.lstrip("NWB-").startswith("2"),
        f"{source} is NWB version {version[:20]}, expected 2; convert it with the tools of its "
        "source",
    )
    return file


def entry(parent: Any, path: str, num_links: int = 0) -> Any | None:
    """The group or dataset at a path, None when there is none.

    Raises:
        InputError: the way there leaves the file, or soft links lead in a circle.
    """
    import h5py

    here = parent.file["/"] if path.startswith("/") else parent
    for name in filter(None, path.split("/")):
        if not isinstance(here, h5py.Group) or not here.id.links.exists(name.encode()):
            return None
        link = here.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink):
            require(
                num_links < _MAX_SOFT_LINKS,
                f"{parent.file.filename}, {path}: soft links lead in a circle",
            )
            here = entry(here, link.path, num_links + 1)
        elif isinstance(link, h5py.HardLink):
            here = here[name]
        else:
            elsewhere = str(getattr(link, "filename", "elsewhere"))[:100]
            raise InputError(
                f"{parent.file.filename}: {here.name.rstrip('/')}/{name} lies in another file "
                f"({elsewhere}), which is not opened; export the file with its links resolved"
            )
    return here if isinstance(here, h5py.Group | h5py.Dataset) else None


def walk(parent: Any, skip: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """(path, group or dataset) of everything below, in order of names; raw signals and links
    elsewhere are left out."""
    import h5py

    waiting, seen = [("", parent, 0)], 0
    while waiting:
        path, here, depth = waiting.pop()
        for name in sorted(here, reverse=True):
            seen += 1
            require(
                seen <= _MAX_ENTRIES,
                f"{parent.file.filename} holds more than {_MAX_ENTRIES} entries; it is damaged",
            )
            if (not path and name in skip) or not isinstance(
                here.get(name, getlink=True), h5py.HardLink
            ):
                continue
            child, below = here[name], f"{path}/{name}".lstrip("/")
            if isinstance(child, h5py.Group):
                if (
                    hdf5.text_attribute(child, "neurodata_type") not in RAW_TYPES
                    and depth < _MAX_DEPTH
                ):
                    yield below, child
                    waiting.append((below, child, depth + 1))
            elif isinstance(child, h5py.Dataset):
                yield below, child


def groups(file: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """(path, group) of every group below groups of these names that are there, see `walk`."""
    import h5py

    for name in names:
        parent = entry(file, name)
        for path, found in walk(parent) if isinstance(parent, h5py.Group) else ():
            if isinstance(found, h5py.Group):
                yield f"{name}/{path}", found


def referred(holder: Any, name: str) -> Any | None:
    """What an attribute refers to inside the file; None where it refers to nothing."""
    import h5py

    if not isinstance(holder, h5py.Dataset) or name not in holder.attrs:
        return None
    reference = holder.attrs.get_id(name)
    if reference.shape != () or h5py.check_ref_dtype(reference.dtype) is not h5py.Reference:
        return None
    return at_reference(holder.file, holder.attrs[name])


def at_reference(file: Any, reference: Any) -> Any | None:
    """The group or dataset that a reference names; None where it refers to nothing."""
    try:
        return file[reference]
    except (ValueError, KeyError, OSError, RuntimeError):
        return None


def check_dataset(dataset: Any, where: str) -> Any:
    """Returns the dataset; raises InputError unless it is an array of numbers or text that lies in
    this file."""
    import h5py

    require(
        isinstance(dataset, h5py.Dataset)
        and dataset.shape is not None
        and not dataset.is_virtual
        and not dataset.external,
        f"{where} holds no data of its own; expected an array of numbers or text",
    )
    require(
        h5py.check_string_dtype(dataset.dtype) is not None or dataset.dtype.kind in "biufS",
        f"{where} is {str(dataset.dtype)[:60]}, expected numbers or text",
    )
    require(
        not (
            dataset.chunks
            and int(np.prod(dataset.chunks, dtype=np.float64)) * dataset.dtype.itemsize
            > _MAX_CHUNK_BYTES
        ),
        f"{where} is stored in pieces above {_MAX_CHUNK_BYTES} bytes; it is damaged, or repack it",
    )
    require(
        not dataset.size or dataset.id.get_storage_size(),
        f"{where} claims {dataset.size} values, but holds none; it was never written, or is "
        "damaged",
    )
    return dataset


def values(dataset: Any, where: str, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Rows start to stop of a dataset as numbers or text (cut to MAX_TEXT characters); of an
    enumeration its words.

    Raises:
        InputError: more than MAX_ROWS rows of text or numbers were asked for, or see
            `check_dataset`.
    """
    import h5py

    check_dataset(dataset, where)
    words = h5py.check_enum_dtype(dataset.dtype)
    if dataset.shape == ():
        value = dataset[()]
        is_text = isinstance(value, bytes | str)
        return np.array(_decoded(value)) if is_text else plain_array(value, "value", where)
    stop = len(dataset) if stop is None else stop
    per_row = dataset.size // max(len(dataset), 1)
    require(
        (stop - start) * max(per_row, 1) <= MAX_ROWS * 4,
        f"{where} claims {(stop - start) * per_row} values, expected at most {MAX_ROWS * 4}",
    )
    if h5py.check_string_dtype(dataset.dtype) is None:
        rows = plain_array(dataset[start:stop], where.rpartition("/")[2], where)
        if words is not None:
            return hdf5.worded(rows, {number: word for word, number in words.items()})
        return (
            rows.astype(np.float64) if rows.dtype.kind == "f" and rows.dtype.itemsize > 8 else rows
        )
    cells: list[str] = []
    for first in range(start, stop, _TEXT_ROWS):
        block = np.asarray(dataset[first : min(first + _TEXT_ROWS, stop)])
        cells += [_decoded(cell) for cell in block.ravel()]
    return np.array(cells, dtype=str).reshape(stop - start, *dataset.shape[1:])


def _decoded(cell: Any) -> str:
    whole = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
    return whole.rstrip("\0")[:MAX_TEXT]


def text(file: Any, path: str) -> str | None:
    """Text of a scalar, or of a short list with commas between; None where there is none."""
    import h5py

    dataset = entry(file, path)
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None or dataset.size > 32:
        return None
    if h5py.check_string_dtype(dataset.dtype) is None and dataset.dtype.kind not in "biufS":
        return None
    cells = [str(cell) for cell in np.atleast_1d(values(dataset, path)).ravel().tolist()]
    return ", ".join(cell.strip() for cell in cells if cell.strip()) or None


def digest(file: Any) -> str:
    """Hex digest of everything a reader may use: tables, series, metadata; not of raw signals,
    waveforms and masks of pixels."""
    import h5py

    total = hashlib.sha256()
    for path, found in walk(file, (_SPECIFICATIONS,)):
        if path.rpartition("/")[2].startswith(_NOT_DIGESTED):
            continue
        total.update(f"{path}\0".encode())
        for name in sorted(found.attrs):
            if name not in ("object_id", "namespace"):
                total.update(f"{name}={hdf5.text_attribute(found, name)}\0".encode())
        if isinstance(found, h5py.Dataset):
            total.update(f"{found.dtype} {found.shape}\0".encode())
            _digest_values(found, path, total)
    return total.hexdigest()


def _digest_values(dataset: Any, path: str, total: Any) -> None:
    try:
        check_dataset(dataset, path)
        if dataset.shape == ():
            return total.update(np.ascontiguousarray(values(dataset, path)).tobytes())
        rows = max(1, _BLOCK // max(dataset.size // max(len(dataset), 1), 1))
        for start in range(0, len(dataset), rows):
            block = values(dataset, path, start, min(start + rows, len(dataset)))
            total.update(
                "\0".join(block.ravel()).encode() if block.dtype.kind == "U" else block.tobytes()
            )
    except (InputError, OSError):
        total.update(b"not readable")  # whoever needs it says so
