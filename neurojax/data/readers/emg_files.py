"""A file of surface EMG: its arrays, checked; see `readers.emg` for the layout."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.data.binning import whole_numbers
from neurojax.data.readers.parts import PART, leave_out
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.npz_streams import StreamedArray, open_npz
from neurojax.errors import InputError, require

REQUIRED = frozenset(("emg", "segment_offsets", "gesture", "gesture_names", "sampling_rate_hz"))
_SEGMENT_COLUMNS = ("gesture", "repetition", "round")
_TEXTS = ("sex", "half", "licence", "citation", "consent")
_LARGE = ("emg", "time_s")  # not read before they are asked for
_MAX_NAME = 256
_UNEVEN = 0.5  # of a step: jitter of the clock below it is none of the samples'
_OTHER_RATE = 0.01


class Person(NamedTuple):
    """What a file holds, checked.

    Attributes:
        emg: numbers [samples, C], on disk until they are asked for.
        segment_offsets: int64 [segments + 1].
        columns: name -> int16 [segments].
        gesture_names: text, one a gesture.
        sampling_hz: samples per second.
        texts: unit, sex, ... as far as they are there.
    """

    emg: StreamedArray
    segment_offsets: np.ndarray
    columns: dict[str, np.ndarray]
    gesture_names: list[str]
    sampling_hz: float
    texts: dict[str, str]


def read_person(source: str, spec: ReadSpec, odd: dict[str, int]) -> Person:
    """The arrays of a file; optional ones that are bad are left out and added to `odd`.

    Raises:
        InputError: an array is missing, damaged, or disagrees with the others.
    """
    arrays = open_npz(Path(source), _LARGE)
    if missing := REQUIRED - arrays.keys():
        expected = ", ".join(sorted(REQUIRED))
        has = ", ".join(sorted(arrays))[:200]
        raise InputError(
            f"{source} lacks the array {min(missing)!r}; expected {expected}, but it holds {has}"
        )
    emg = arrays["emg"]
    require(
        emg.ndim == 2 and emg.size != 0 and emg.dtype.kind in "iuf",
        f"{source}: emg is {emg.dtype} {list(emg.shape)}, expected numbers [samples, channels], "
        "segments end to end",
    )
    offsets = _whole(arrays["segment_offsets"], "segment_offsets", None, source)
    ends = offsets[[0, -1]].tolist() if len(offsets) > 1 else []
    require(
        ends != [0, emg.shape[1]] or emg.shape[0] == emg.shape[1],
        f"{source}: emg is {list(emg.shape)}, but segment_offsets end at {emg.shape[1]}; expected "
        "[samples, channels], transpose it",
    )
    require(
        ends == [0, emg.shape[0]] and not np.any(offsets[1:] <= offsets[:-1]),
        f"{source}: segment_offsets holds {len(offsets)} numbers with the ends {ends}, expected "
        f"rising ones from 0 to the {emg.shape[0]} samples",
    )
    segments = len(offsets) - 1
    columns = {}
    for name in [name for name in _SEGMENT_COLUMNS if name in arrays]:
        try:
            columns[name] = _whole(arrays[name], name, segments, source).astype(np.int16)
        except InputError as error:
            if name in REQUIRED:
                raise
            leave_out(odd, PART, name, error, spec, source)
    names = arrays["gesture_names"]
    is_text = names.ndim == 1 and names.dtype.kind == "U" and names.dtype.itemsize <= 4 * _MAX_NAME
    require(
        is_text and len(set(names.tolist())) == len(names),
        f"{source}: gesture_names is {names.dtype} {list(names.shape)}, expected different names",
    )
    gesture = columns["gesture"]
    require(
        0 <= gesture.min() and gesture.max() < len(names),
        f"{source}: gesture runs from {gesture.min()} to {gesture.max()}, expected 0 to "
        f"{len(names) - 1}, the places of gesture_names",
    )
    rate = arrays["sampling_rate_hz"]
    rate_hz = float(rate.item()) if rate.size == 1 and rate.dtype.kind in "iuf" else np.nan
    said = " ".join(str(rate).split())[:60]
    require(
        0 < rate_hz < np.inf, f"{source}: sampling_rate_hz is {said}, expected a number above 0"
    )
    if "time_s" in arrays:
        _require_even(arrays["time_s"], offsets, rate_hz, source)
    texts = {"unit": "a.u."}
    given = {name: arrays[name] for name in ("unit", *_TEXTS) if name in arrays}
    texts |= {n: str(v.item()) for n, v in given.items() if v.size == 1 and v.dtype.kind == "U"}
    return Person(emg, offsets, columns, names.tolist(), rate_hz, texts)


def _require_even(times: StreamedArray, offsets: np.ndarray, rate_hz: float, source: str) -> None:
    """Raises InputError where samples of a segment are not as far apart as their rate says."""
    require(
        times.shape == (offsets[-1],) and times.dtype.kind in "iuf",
        f"{source}: time_s is {times.dtype} {list(times.shape)}, expected seconds [{offsets[-1]}]",
    )
    number = uneven = slow = fast = 0
    usual, last, first = 1 / rate_hz, np.zeros(0), 0
    for block in times.blocks():
        seconds = np.append(last, block.astype(np.float64))
        ends = offsets[1:-1] - 1 - first  # the last samples of segments: no step follows
        steps = np.delete(np.diff(seconds), ends[(ends >= 0) & (ends < len(seconds) - 1)]) * rate_hz
        if not number and len(steps):
            usual = float(np.median(steps)) / rate_hz  # told; what is asked counts all of them
        number += len(steps)
        uneven += int((~(np.abs(steps - 1) < _UNEVEN)).sum())
        slow += int((~(steps < 1 + _OTHER_RATE)).sum())
        fast += int((steps <= 1 - _OTHER_RATE).sum())
        first, last = first + len(seconds) - 1, seconds[-1:]
    require(
        not uneven and 2 * max(slow, fast) < max(number, 1),
        f"{source}: {uneven} of {number} steps of time_s are not the {1000 / rate_hz:g} ms of "
        f"sampling_rate_hz (the usual one is {1000 * usual:g} ms); resample evenly, or end "
        "segments where samples are missing",
    )


def _whole(values: np.ndarray, name: str, number: int | None, source: str) -> np.ndarray:
    """Whole numbers of 16 bits (64 of offsets) [number], or of any length."""
    if values.ndim != 1 or number not in (None, len(values)):
        shape = "[segments + 1]" if number is None else f"[{number}], one a segment"
        raise InputError(
            f"{source}: {name} is {values.dtype} {list(values.shape)}, expected {shape}"
        )
    given = whole_numbers(values, f"{source}: {name}", "whole numbers")
    limit = 2**62 if number is None else 2**15
    if given.size and (given.min() < -limit or given.max() >= limit):
        raise InputError(f"{source}: {name} holds {given.max()}, expected numbers below {limit}")
    return given.astype(np.int64)
