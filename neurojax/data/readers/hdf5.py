"""HDF5 files read with distrust: no links to elsewhere, no data outside the file, sizes bounded
before reading."""

import contextlib
import mmap
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.optional import needed
from neurojax.data.store.array_files import MAX_FILE_BYTES, open_input
from neurojax.data.store.session_fields import plain_array
from neurojax.errors import InputError, require

_HEAP = b"GCOL\x01\0\0\0"  # signature and version of a global heap
_MAX_SEARCHED_BYTES = 2**30
_MAX_WORD = 256  # characters kept of the name of a number


@contextlib.contextmanager
def open_hdf5(path: Path | str, stream: Any = None) -> Iterator[Any]:
    """Opens a file for reading; what goes wrong inside, with the library or the file, becomes an
    InputError.

    Args:
        path: the file; with a stream its name for messages.
        stream: an open file-like object to read instead.
    """
    h5py = needed(
        "h5py", f'{path} is HDF5, which needs h5py; install it with `pip install "neurojax[nwb]"`'
    )
    if stream is None:
        check_heaps(Path(path))
    try:
        with h5py.File(path if stream is None else stream, "r") as file:
            yield file
    except (
        OSError,
        RuntimeError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        MemoryError,
    ) as error:
        _let_go(error)
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:150]
        raise InputError(
            f"{path} cannot be read as HDF5 ({reason}); it is damaged or incomplete, fetch it again"
        ) from None


def _let_go(error: BaseException | None) -> None:
    """Frees what the frames of an error hold: a stream's settings that live on crash the library
    when Python ends."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def check_heaps(path: Path) -> None:
    """Refuses a file with a text heap that would keep the HDF5 library in a loop for ever.

    A heap ("GCOL") is a chain of objects: id (2 bytes), references (2), nothing (4), size (8),
    content. The library follows it by sizes and stays where free space, id 0, has none. Files above
    1 GiB are not searched.

    Raises:
        InputError: there is such a heap; or the file is missing or not a file.
    """
    with open_input(path) as file:
        if not 0 < path.stat().st_size <= _MAX_SEARCHED_BYTES:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            place = content.find(_HEAP)
            while place >= 0:
                require(
                    not _stands_still(content, place),
                    f"{path}: a heap of texts at byte {place} is damaged; fetch the file again, "
                    "or write it anew with h5repack",
                )
                place = content.find(_HEAP, place + len(_HEAP))


def _stands_still(content: Any, start: int) -> bool:
    """Whether the chain of objects of the heap at `start` comes to free space without a size."""
    end = min(start + int.from_bytes(content[start + 8 : start + 16], "little"), len(content))
    place = start + 16
    while place + 16 <= end:
        number = int.from_bytes(content[place : place + 2], "little")
        size = int.from_bytes(content[place + 8 : place + 16], "little")
        if number == 0 and size == 0:
            return True
        place += 16 + -(-size // 8) * 8 if number else size
    return False


def group(parent: Any, name: str) -> Any | None:
    """A group inside its parent, None when there is none; a link to elsewhere is refused."""
    import h5py

    if name not in parent:
        return None
    require(
        isinstance(parent.get(name, getlink=True), h5py.HardLink),
        f"{parent.file.filename}, {parent.name}: {name!r} is a link; expected data of the file's "
        "own",
    )
    entry = parent[name]
    return entry if isinstance(entry, h5py.Group) else None


def columns(parent: Any) -> list[str]:
    """Names of the datasets of a group that are its own, not links; a link elsewhere is not
    followed."""
    import h5py

    own = [name for name in parent if isinstance(parent.get(name, getlink=True), h5py.HardLink)]
    return [name for name in own if parent.get(name, getclass=True) is h5py.Dataset]


def array(parent: Any, name: str) -> np.ndarray:
    """A dataset as numbers or text; of an enumeration its words.

    Raises:
        InputError: it is not there, is a link, lies outside the file, is too large, or holds
            something else.
    """
    import h5py

    where = f"{parent.file.filename}, {parent.name.rstrip('/')}/{name}"
    require(
        name in parent and isinstance(parent.get(name, getlink=True), h5py.HardLink),
        f"{where} is not there, or is a link; expected a dataset of the file's own",
    )
    dataset = parent[name]
    require(
        isinstance(dataset, h5py.Dataset)
        and dataset.shape is not None
        and not dataset.is_virtual
        and not dataset.external,
        f"{where} holds no data of its own; expected a dataset of numbers or text",
    )
    require(
        dataset.size * max(dataset.dtype.itemsize, 1) <= MAX_FILE_BYTES,
        f"{where} claims {dataset.size} values, more than {MAX_FILE_BYTES} bytes hold",
    )
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return np.array(dataset.asstr(errors="replace")[()], dtype=str)
    values = plain_array(dataset[()], name, where)
    words = h5py.check_enum_dtype(dataset.dtype)
    return values if words is None else worded(values, {code: word for word, code in words.items()})


def worded(codes: np.ndarray, words: Mapping[int, str]) -> np.ndarray:
    """Text for the whole numbers of an enumeration, str of the same shape; a number without a word
    is written out."""
    known, place = np.unique(codes, return_inverse=True)
    named = [str(words.get(code, code))[:_MAX_WORD] for code in known.tolist()]
    return np.array(named, dtype=str)[place].reshape(codes.shape)


def scalar_attribute(parent: Any, name: str) -> Any | None:
    """An attribute that is one number or one text; None where there is none, or it is anything
    else.

    Its type is looked at first: the library crashes on damaged attributes of other types.
    """
    import h5py

    if name not in parent.attrs:
        return None
    attribute = parent.attrs.get_id(name)
    is_text = h5py.check_string_dtype(attribute.dtype) is not None
    if attribute.shape not in ((), (1,)) or not (is_text or attribute.dtype.kind in "biuf"):
        return None
    return np.ravel(parent.attrs[name])[0]


MATLAB_NUMBERS = frozenset(
    (
        "double",
        "single",
        "logical",
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    )
)


def matlab_class(dataset: Any) -> str:
    """What MATLAB says a dataset of a v7.3 file is: "double" where it says nothing, "" where it
    says it badly."""
    value = dataset.attrs.get("MATLAB_class", b"double")
    value = value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else b""
    return value.decode("ascii", "replace")


def text_attribute(parent: Any | None, name: str) -> str | None:
    """An attribute of a group as text; None where there is none, or it is no single word or
    number."""
    value = None if parent is None else scalar_attribute(parent, name)
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return None if value is None else str(value)[:256]
