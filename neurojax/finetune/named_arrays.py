"""Weights in one file from anywhere, safetensors or .npz, by name; no pickle is ever opened."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.data.store import array_files
from neurojax.errors import require
from neurojax.finetune import safetensors_file
from neurojax.finetune.safetensors_file import Entry

ENDINGS = (".safetensors", ".npz")
PICKLED = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt")
PAGE = "docs/importing.md"
_KINDS_OF_NPZ = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16"}


class NamedArrays(NamedTuple):
    """Attributes:
    path: of the file.
    entries: name -> type of its numbers and shape.
    read: name -> the array as it is stored; only within `opened`.
    """

    path: Path
    entries: Mapping[str, Entry]
    read: Callable[[str], np.ndarray]


def file_of(path: Path) -> Path:
    """The file of weights that a path names, or that alone is in the folder it names.

    Raises:
        InputError: nothing there, several, a pickled checkpoint, or a file of another kind.
    """
    if path.is_dir():
        there = sorted(one for one in path.iterdir() if one.suffix in ENDINGS)
        pickled = sorted(one for one in path.iterdir() if one.suffix in PICKLED)
        if not there and pickled:
            _refuse_pickled(pickled[0])
        names = ", ".join(one.name for one in there[:3]) or "none"
        require(
            len(there) == 1,
            f"{path} has {len(there)} files of weights ({names}), expected one .safetensors or "
            f".npz; name the file, or see {PAGE}",
        )
        return there[0]
    if path.suffix in PICKLED:
        _refuse_pickled(path)
    require(path.exists(), f"{path} does not exist; check the path")
    require(
        path.suffix in ENDINGS,
        f"{path} is no .safetensors or .npz file; {PAGE} says how to make one",
    )
    return path


def _refuse_pickled(path: Path) -> None:
    require(
        False,
        f"{path} is a pickled checkpoint, which may run code when it is opened, and is never read; "
        f"{PAGE} says how to make a .safetensors file of it",
    )


@contextlib.contextmanager
def opened(path: Path) -> Iterator[NamedArrays]:
    """The arrays of a file; those of safetensors are read one at a time, those of .npz at once.

    Raises:
        InputError: damaged, larger than it says, a name that stands twice, pickled objects.
    """
    if path.suffix == ".npz":
        arrays = array_files.read_npz(path)
        kinds = {name: _KINDS_OF_NPZ.get(one.dtype, str(one.dtype)) for name, one in arrays.items()}
        entries = {name: Entry(kinds[name], one.shape) for name, one in arrays.items()}
        yield NamedArrays(path, entries, arrays.__getitem__)
        return
    entries = safetensors_file.entries(path, safetensors_file.ALL_KINDS, "arrays of numbers")
    with safetensors_file.opened(path) as file:
        yield NamedArrays(path, entries, file.get_tensor)
