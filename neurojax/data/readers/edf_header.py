"""Headers of EDF and BDF files: whether they say what the file holds, before it is read.

A header of text, 256 bytes and 256 more for each signal, promises records of some samples of each;
a wrong one would have a reader ask for any amount of memory, or read noise as a signal.

Source: Kemp et al. 1992, Electroencephalogr Clin Neurophysiol 82:391-393.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.data.readers.eeg_recording import MAX_CHANNELS
from neurojax.data.store.array_files import open_input
from neurojax.errors import InputError

_FIXED, _OF_SIGNAL = 256, 256  # bytes
_WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)  # of a signal's fields, in order
_LABELS, _RANGES, _SAMPLES = 0, (3, 4, 5, 6), 8  # fields: names; physical and digital ends; samples
_ANNOTATIONS = (b"EDF Annotations", b"BDF Annotations")
_UNKNOWN = -1  # number of records of a file that is still written to
_MAX_PER_RECORD = 2**24


class Records(NamedTuple):
    """Attributes:
    samples: of a record, of each signal but annotations.
    cut: bytes of a record that the file ends in; 0 where it ends with a whole one.
    """

    samples: tuple[int, ...]
    cut: int


def records_of(path: Path) -> Records:
    """What a header says of its records.

    Raises:
        InputError: a header that is none, or one that promises more than the file has.
    """
    try:
        return _checked(path)
    except _Unsound as error:
        raise InputError(f"{path} cannot be read as EDF or BDF ({error})") from None


class _Unsound(Exception):
    """What is wrong, in words."""


def _checked(path: Path) -> Records:
    with open_input(path) as file:
        fixed = file.read(_FIXED)
        if len(fixed) < _FIXED:
            raise _Unsound(f"{len(fixed)} bytes, its header alone has {_FIXED}")
        signals = _number(fixed[252:256], "number of signals", 1, MAX_CHANNELS)
        records = _number(fixed[236:244], "number of records", _UNKNOWN, 2**40)
        _number(fixed[244:252], "length of a record in s", 0, 1e6, whole=False)
        header_bytes = _FIXED + _OF_SIGNAL * signals
        _number(fixed[184:192], "size of the header", header_bytes, header_bytes)
        rest = file.read(_OF_SIGNAL * signals)
        if len(rest) < _OF_SIGNAL * signals:
            raise _Unsound(f"it ends in its header, of {signals} signals")
        size = path.stat().st_size
    columns = _columns(rest, signals)
    low, high, least, most = (
        [_number(text, "end of a range", -1e12, 1e12, whole=False) for text in columns[field]]
        for field in _RANGES
    )
    for place in range(signals):
        if low[place] == high[place] or least[place] >= most[place]:
            raise _Unsound(f"the range of signal {place} is empty")
    samples = [
        _number(text, "samples of a record", 1, _MAX_PER_RECORD) for text in columns[_SAMPLES]
    ]
    of_record = sum(samples) * (3 if path.suffix.lower() == ".bdf" else 2)
    told = f"{signals} signals of {sum(samples)} samples a record"
    if records == 0 or size < header_bytes + of_record:
        raise _Unsound(f"no whole record is in it, of {told}")
    if records != _UNKNOWN and size < header_bytes + records * of_record:
        there = (size - header_bytes) // of_record
        raise _Unsound(f"{there} whole records of the {records} that its header says, of {told}")
    labels = [text.strip() for text in columns[_LABELS]]
    own = [one for one, label in zip(samples, labels, strict=True) if label not in _ANNOTATIONS]
    return Records(tuple(own), (size - header_bytes) % of_record if records == _UNKNOWN else 0)


def _columns(rest: bytes, signals: int) -> list[list[bytes]]:
    """Fields of all signals: each field of all of them stands together."""
    starts = np.cumsum([0, *_WIDTHS]) * signals
    return [
        [rest[start + width * place : start + width * (place + 1)] for place in range(signals)]
        for start, width in zip(starts.tolist(), _WIDTHS, strict=False)
    ]


def _number(text: bytes, name: str, least: float, most: float, whole: bool = True):
    """A number in a field of text."""
    said = text.decode("ascii", "replace").strip().strip("\0")
    try:
        found = int(said) if whole else float(said)
    except ValueError:
        found = float("nan")
    if not least <= found <= most:
        raise _Unsound(f"{name}: {said[:20]!r}")
    return found
