"""phy's params.py, which is Python: parsed for constants, never run; and the length of the raw
recording that it points to."""

import ast
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.readers.text_tables import read_text
from neurojax.errors import InputError

_WANTED = ("sample_rate", "dat_path", "n_channels_dat", "dtype", "offset")
_ERRORS = (SyntaxError, ValueError, TypeError, OverflowError, MemoryError, RecursionError)


class Params(NamedTuple):
    """What params.py says.

    Attributes:
        sample_rate_hz: samples a second; None where it is not there.
        dat_paths: raw files, which may be gone.
        frame_bytes: of one sample of all channels; 0 where it is not known.
        offset_bytes: in front of the first sample of each file.
    """

    sample_rate_hz: float | None = None
    dat_paths: tuple[str, ...] = ()
    frame_bytes: int = 0
    offset_bytes: int = 0


def params_of(path: Path) -> Params:
    """Reads params.py; all is unknown where there is none.

    Raises:
        InputError: it is no Python, or its sample rate is no number.
    """
    if not path.exists():
        return Params()
    try:
        said = _constants(read_text(path))
        rate = float(said["sample_rate"]) if "sample_rate" in said else None
    except _ERRORS as error:
        told = " ".join(str(error).split()).partition(": <ast")[0][:80]
        raise InputError(
            f"{path} does not say sample_rate = NUMBER ({told}); correct it, or give "
            "--options=sample_rate_hz=30000"
        ) from None
    try:
        paths = said.get("dat_path", ())
        paths = (paths,) if isinstance(paths, str) else tuple(paths)
        frame = int(said["n_channels_dat"]) * np.dtype(said.get("dtype", "int16")).itemsize
        return Params(rate, tuple(map(str, paths)), max(frame, 0), int(said.get("offset", 0)))
    except (KeyError, *_ERRORS):
        return Params(rate)  # the raw file's length is not known, and nothing else needs it


def num_samples_of(params: Params, folder: Path) -> int | None:
    """Samples of the raw recording, from the size of its files; None where they are not there or
    are no whole number of samples."""
    if not params.dat_paths or not params.frame_bytes:
        return None
    total = 0
    for name in params.dat_paths:
        # as written, or moved along with the folder; written on Windows too
        places = (folder / name, folder / name.replace("\\", "/").rpartition("/")[2])
        try:
            size = next(place.stat().st_size for place in places if place.is_file())
        except (StopIteration, OSError, ValueError):
            return None
        samples, rest = divmod(size - params.offset_bytes, params.frame_bytes)
        if rest or samples <= 0:
            return None
        total += samples
    return total


def _constants(text: str) -> dict[str, Any]:
    """Names that are given a constant; `sample_rate` must be one, others are passed over."""
    found: dict[str, Any] = {}
    assigned = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    for node in assigned:
        for name in {getattr(target, "id", None) for target in node.targets} & {*_WANTED}:
            try:
                found[name] = ast.literal_eval(node.value)
            except _ERRORS:
                if name == "sample_rate":
                    raise
    return found
