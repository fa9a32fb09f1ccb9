"""Files of the safetensors format, from anywhere: what they hold, before any memory is taken."""

import json
import math
from pathlib import Path
from typing import Any

from neurojax.errors import InputError, require

MAX_HEADER_BYTES = 16 << 20


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every array of a safetensors file; the header's sizes must be those of the
    file.

    Raises:
        InputError: no such file, a header longer than the file, an array that is not float32, sizes
            that do not add up.
    """
    damaged = f"{path} is no sound safetensors file of float32 arrays; use another copy"
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            require(size >= 8 and length <= min(size - 8, MAX_HEADER_BYTES), damaged)
            header = json.loads(file.read(length))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected a folder of `neurojax export`") from None
    except (OSError, ValueError, RecursionError):
        raise InputError(damaged) from None
    require(isinstance(header, dict), damaged)
    header.pop("__metadata__", None)
    found, spans = {}, []
    for name, entry in header.items():
        require(isinstance(entry, dict) and entry.get("dtype") == "F32", damaged)
        shape, span = entry.get("shape"), entry.get("data_offsets")
        require(_are_sizes(shape) and _are_sizes(span) and len(span) == 2, damaged)
        require(span[1] - span[0] == 4 * math.prod(shape), damaged)
        found[name] = tuple(shape)
        spans.append(span)
    ends = [0, *(end for _, end in sorted(spans))]
    lie_end_to_end = [start for start, _ in sorted(spans)] == ends[:-1]
    require(lie_end_to_end and ends[-1] == size - 8 - length, damaged)
    return found


def _are_sizes(numbers: Any) -> bool:
    short = isinstance(numbers, list) and len(numbers) <= 8
    return short and all(type(n) is int and n >= 0 for n in numbers)


def library():
    """The package that writes and loads such files; raises InputError where it is missing."""
    try:
        import safetensors.numpy
    except ImportError:
        raise InputError(
            'released weights need the package safetensors: pip install "neurojax[hub]"'
        ) from None
    return safetensors.numpy
