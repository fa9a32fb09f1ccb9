"""Files of the safetensors format, from anywhere: what they hold, before any memory is taken."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from neurojax.errors import InputError, require

MAX_HEADER_BYTES = 16 << 20
# Types of numbers -> bytes of one: those that weights are stored as, and all that there are.
KINDS = {"F32": 4, "F16": 2, "BF16": 2}
ALL_KINDS = KINDS | {"F64": 8, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}
ALL_KINDS |= {"I8": 1, "U8": 1, "BOOL": 1}


class Entry(NamedTuple):
    """Attributes:
    kind: type of its numbers, as in `KINDS`.
    shape: of the array.
    """

    kind: str
    shape: tuple[int, ...]


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every array of a safetensors file of float32, see `entries`."""
    expected = "expected a folder of `neurojax export`"
    found = entries(path, {"F32": 4}, "float32 arrays", expected)
    return {name: entry.shape for name, entry in found.items()}


def entries(
    path: Path, kinds: Mapping[str, int], words: str, expected: str = "check the path"
) -> dict[str, Entry]:
    """What a safetensors file holds, by name; the header's sizes must be those of the file.

    Args:
        path: the file.
        kinds: types of numbers that are taken -> bytes of one.
        words: what the file should be of, for messages.
        expected: what to do about a file that is not there, for messages.

    Raises:
        InputError: no such file, a header longer than the file, a name that stands twice, numbers
            of another type, sizes that do not add up.
    """
    damaged = f"{path} is no sound safetensors file of {words}; use another copy"
    require(not path.exists() or path.is_file(), f"{path} is not a file; check the path")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            require(size >= 8 and length <= min(size - 8, MAX_HEADER_BYTES), damaged)
            header = json.loads(file.read(length), object_pairs_hook=_each_once)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {expected}") from None
    except _TwiceError as error:
        raise InputError(f"{path} holds {error} twice; use another copy") from None
    except (OSError, ValueError, RecursionError):
        raise InputError(damaged) from None
    require(isinstance(header, dict), damaged)
    header.pop("__metadata__", None)
    found, spans = {}, []
    for name, entry in header.items():
        require(isinstance(entry, dict), damaged)
        kind, shape, span = (entry.get(field) for field in ("dtype", "shape", "data_offsets"))
        require(isinstance(kind, str) and kind in kinds, damaged)
        require(_are_sizes(shape) and _are_sizes(span) and len(span) == 2, damaged)
        require(span[1] - span[0] == kinds[kind] * math.prod(shape), damaged)
        found[name] = Entry(kind, tuple(shape))
        spans.append(span)
    ends = [0, *(end for _, end in sorted(spans))]
    lie_end_to_end = [start for start, _ in sorted(spans)] == ends[:-1]
    require(lie_end_to_end and ends[-1] == size - 8 - length, damaged)
    return found


class _TwiceError(ValueError):
    """A name that a header holds twice."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; readers differ in which of two equal names they take."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _TwiceError(repr(name[:80]))
        found[name] = value
    return found


def _are_sizes(numbers: Any) -> bool:
    short = isinstance(numbers, list) and len(numbers) <= 8
    return short and all(type(n) is int and n >= 0 for n in numbers)


def opened(path: Path):
    """A mapped safetensors file, to be closed; its header is judged by the library.

    Raises:
        InputError: it cannot be read, or safetensors is missing.
    """
    library()
    import safetensors

    try:
        return safetensors.safe_open(path, framework="np")
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        told = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} is no sound safetensors file ({told}); use another copy"
        ) from None


def library():
    """The package that writes and loads such files; raises InputError where it is missing."""
    try:
        import safetensors.numpy
    except ImportError:
        raise InputError(
            'released weights need the package safetensors: pip install "neurojax[hub]"'
        ) from None
    return safetensors.numpy
