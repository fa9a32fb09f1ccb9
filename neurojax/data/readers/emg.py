"""Reads surface EMG of people making gestures: one .npz a person becomes a session of windows.

A file holds, without pickles:
    emg [samples, C], numbers: segments end to end, not contiguous in time
    segment_offsets [segments + 1]: segment k is emg[segment_offsets[k]:segment_offsets[k + 1]]
    gesture [segments], whole numbers: index into gesture_names; gesture_names text [gestures]
    repetition, round [segments], whole numbers; optional
    sampling_rate_hz; optional sex, half, unit, licence, citation, consent, text
Beside it may lie people.csv (columns person and fold: fold 4 tests, or that of the option
test_fold; the one before it validates, the others train) and LICENSE.source.txt. A person is of
one split; windows never reach over a segment.

Source of the layout: 27 people of the Myo armband data set, Cote-Allard et al. 2019, IEEE TNSRE
27:760-771, in windows of 260 ms every 50 ms.
"""

import csv
import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.data.binning import whole_numbers
from neurojax.data.readers import one_file
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.real_values import from_values
from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Session
from neurojax.data.store.array_files import open_input, read_npz
from neurojax.errors import InputError, require
from neurojax.files import sha256_file

VERSION = "emg/1"
OPTIONS = {
    "window_ms": "length of a window in ms, default 260",
    "step_ms": "from the start of a window to that of the next in ms, default 50",
    "test_fold": "the fold of people.csv whose people test, default 4; the one before it validates",
    "consent": "what the people agreed to, where the file does not say",
}
UNUSED = ("bin_ms", "align", "window", "window_s", "behavior", "trial_columns")
_WINDOW_MS, _STEP_MS = 260.0, 50.0
_TEST_FOLD = 4
_SHARES = (0.6, 0.2, 0.2)  # of people: train, validation, test
_PEOPLE, _LICENCE = "people.csv", "LICENSE.source.txt"
_MAX_TEXT_BYTES, _MAX_NAME = 2**20, 256
_TEXTS = ("sex", "half", "licence", "citation", "consent")
_REQUIRED = frozenset(("emg", "segment_offsets", "gesture", "gesture_names", "sampling_rate_hz"))
_SEGMENT_COLUMNS = ("gesture", "repetition", "round")


def find(path: str) -> list[str]:
    """The .npz files of a folder, or the file itself; InputError where there is none."""
    place = Path(path)
    if not place.is_dir():
        open_input(place).close()
        return [path]
    found = sorted(str(file) for file in place.glob("*.npz"))
    require(found, f"{path} holds no .npz file; expected one for each person")
    return found


session_name = one_file.session_name  # the person


def source_sha256(source: str) -> str:
    """Hex digest of the recording and of the two files that may lie beside it."""
    open_input(Path(source)).close()  # a pipe among the files of a folder would be read for ever
    digest = hashlib.sha256(sha256_file(Path(source)).encode())
    for name in (_LICENCE, _PEOPLE):
        content = _beside(source, name)
        digest.update(b"" if content is None else f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def read_session(source: str, spec: ReadSpec) -> Session:
    """One person's recording, each sample stored once, as windows with a gesture each."""
    person = _read_person(source)
    window = _samples(spec, "window_ms", _WINDOW_MS, person.sampling_hz, source)
    step = _samples(spec, "step_ms", _STEP_MS, person.sampling_hz, source)
    start_bin, segment = segment_windows(person.segment_offsets, window, step)
    if not len(start_bin):
        longest = int(np.diff(person.segment_offsets).max())
        raise InputError(
            f"{source}: no segment is as long as a window of {window} samples, the longest has "
            f"{longest}; give a shorter --options=window_ms"
        )
    split, split_source = _split(source, spec)
    short = int((np.diff(person.segment_offsets) < window).sum())
    conditions = {name: column[segment] for name, column in person.columns.items()}
    info = {
        "subject_id": session_name(source),
        "species": "human",
        "source": {"file": Path(source).name},
        "licence": _licence(source),
        "split_source": split_source,
        "condition_names": {"gesture": person.gesture_names},
        "window_ms": 1000 * window / person.sampling_hz,
        "step_ms": 1000 * step / person.sampling_hz,
        "clock": "samples counted end to end; segments are not contiguous in time",
        "trials_dropped": {"segment shorter than a window": short} if short else {},
        "consent": spec.option("consent"),
        **person.texts,
    }
    return from_values(
        person.emg,
        sampling_hz=person.sampling_hz,
        unit=info.pop("unit"),
        session_id=session_name(source),
        trial_start_bin=start_bin,
        trial_num_bins=window,
        split=split,
        region=np.full(person.emg.shape[1], "forearm"),
        conditions={**conditions, "segment": segment},
        info=info,
    )


def segment_windows(
    segment_offsets: np.ndarray, window: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Windows of `window` samples every `step` samples, each within one segment.

    Args:
        segment_offsets: int64 [segments + 1], first sample of each segment and the end of the last.
        window, step: samples, at least one.

    Returns:
        first sample and segment of each window, int64 [windows] twice, in order.
    """
    lengths = np.diff(segment_offsets)
    number = np.maximum((lengths - window) // step + 1, 0)  # windows of each segment
    segment = np.repeat(np.arange(len(lengths)), number)
    place = np.arange(int(number.sum())) - np.repeat(np.cumsum(number) - number, number)
    return segment_offsets[segment] + place * step, segment


class _Person(NamedTuple):
    """What a file holds, checked.

    Attributes:
        emg: numbers [samples, C].
        segment_offsets: int64 [segments + 1].
        columns: name -> int16 [segments].
        gesture_names: text, one a gesture.
        sampling_hz: samples per second.
        texts: unit, sex, ... as far as they are there.
    """

    emg: np.ndarray
    segment_offsets: np.ndarray
    columns: dict[str, np.ndarray]
    gesture_names: list[str]
    sampling_hz: float
    texts: dict[str, str]


def _read_person(source: str) -> _Person:
    arrays = read_npz(Path(source))
    if missing := _REQUIRED - arrays.keys():
        expected = ", ".join(sorted(_REQUIRED))
        raise InputError(f"{source} lacks the array {min(missing)!r}; expected {expected}")
    emg = arrays["emg"]
    require(
        emg.ndim == 2 and emg.size != 0 and emg.dtype.kind in "iuf",
        f"{source}: emg is {emg.dtype} {list(emg.shape)}, expected numbers [samples, channels]",
    )
    offsets = _whole(arrays["segment_offsets"], "segment_offsets", None, source)
    ends = offsets[[0, -1]].tolist() if len(offsets) > 1 else []
    require(
        ends == [0, len(emg)] and not np.any(offsets[1:] <= offsets[:-1]),
        f"{source}: segment_offsets holds {len(offsets)} numbers with the ends {ends}, expected "
        f"rising ones from 0 to the {len(emg)} samples",
    )
    segments = len(offsets) - 1
    columns = {
        name: _whole(arrays[name], name, segments, source).astype(np.int16)
        for name in _SEGMENT_COLUMNS
        if name in arrays
    }
    names = arrays["gesture_names"]
    is_text = names.ndim == 1 and names.dtype.kind == "U" and names.dtype.itemsize <= 4 * _MAX_NAME
    require(
        is_text and len(set(names.tolist())) == len(names),
        f"{source}: gesture_names is {names.dtype} {list(names.shape)}, expected different names",
    )
    gesture = columns["gesture"]
    if gesture.min() < 0 or gesture.max() >= len(names):
        raise InputError(
            f"{source}: gesture runs from {gesture.min()} to {gesture.max()}, expected 0 to "
            f"{len(names) - 1}, the places of gesture_names"
        )
    rate = arrays["sampling_rate_hz"]
    if rate.size != 1 or rate.dtype.kind not in "iuf" or not 0 < float(rate.reshape(())) < np.inf:
        shown = " ".join(str(rate).split())[:60]
        raise InputError(f"{source}: sampling_rate_hz is {shown}, expected a number above 0")
    texts = {"unit": "a.u."}
    for name in ("unit", *_TEXTS):
        if name in arrays and arrays[name].size == 1 and arrays[name].dtype.kind == "U":
            texts[name] = str(arrays[name].reshape(()))
    return _Person(emg, offsets, columns, names.tolist(), float(rate.reshape(())), texts)


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


def _samples(spec: ReadSpec, name: str, default_ms: float, sampling_hz: float, where: str) -> int:
    """An option in ms as a whole number of samples."""
    typed = spec.option(name)
    try:
        length_ms = default_ms if typed is None else float(typed)
    except ValueError:
        length_ms = 0.0
    samples = length_ms * sampling_hz / 1000
    if not 0.5 < samples < 1e9 or abs(samples - round(samples)) > 1e-6 * samples:
        shown = f"{default_ms:g}" if typed is None else typed[:60]
        raise InputError(
            f"{where}: {name}={shown} is no whole number of samples at {sampling_hz:g} Hz; give "
            f"--options={name}=... in steps of {1000 / sampling_hz:g} ms"
        )
    return round(samples)


def _split(source: str, spec: ReadSpec) -> tuple[int, str]:
    """The split of a person and the rule behind it: the fold in people.csv, or the name's hash."""
    require(
        spec.split_block_s() is None,
        f"split={spec.split!r}; EMG is split by person, expected file or random",
    )
    content, typed = _beside(source, _PEOPLE), spec.option("test_fold")
    if spec.split == "file" and content is not None:
        path = Path(source).with_name(_PEOPLE)
        fold, folds = _folds(content, session_name(source), path)
        tested = str(_TEST_FOLD) if typed is None else typed
        if tested not in map(str, folds) or len(folds) < 3:
            raise InputError(
                f"{path} has the folds {folds[:20]}, expected three or more and {tested[:60]!r} "
                "among them; give another --options=test_fold=..., or --split=random"
            )
        validated = folds[folds.index(int(tested)) - 1]  # of the first fold, the last
        split = {int(tested): TEST, validated: VALIDATION}.get(fold, TRAIN)
        return split, f"person: {_PEOPLE}, fold {tested} test, {validated} validation"
    if typed is not None:
        raise InputError(
            f"test_fold={typed[:60]} came without a {_PEOPLE} that is read; leave it out"
        )
    digest = hashlib.sha256(session_name(source).encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    split = int(np.searchsorted(np.cumsum(_SHARES)[: len(SPLIT_NAMES) - 1], share, side="right"))
    return split, "person: hash of the name, 60/20/20"


def _folds(content: bytes, person: str, path: Path) -> tuple[int, list[int]]:
    """The fold of a person, and all folds of the table, rising."""
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True))
        folds = [int(row["fold"]) for row in rows]
        own = [fold for row, fold in zip(rows, folds, strict=True) if row["person"] == person]
    except (UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:80]
        raise InputError(
            f"{path} cannot be read as a table with the columns person and fold ({reason}); "
            "correct it, or draw the split with --split=random"
        ) from None
    require(
        len(own) == 1,
        f"{path} has {len(own)} rows for {person!r}, expected one; correct it, or draw the split "
        "with --split=random",
    )
    return own[0], sorted(set(folds))


def _licence(source: str) -> str | None:
    """The first two lines of the licence beside the recordings; None without one."""
    content = _beside(source, _LICENCE)
    lines = [] if content is None else content[:1000].decode("utf-8", "replace").splitlines()
    told = [" ".join(line.split()) for line in lines if line.strip()]
    return ", ".join(told[:2]) or None


def _beside(source: str, name: str) -> bytes | None:
    """The bytes of a small file beside a recording; None where there is none."""
    path = Path(source).with_name(name)
    if not path.exists() and not path.is_symlink():
        return None
    with open_input(path) as file:
        content = file.read(_MAX_TEXT_BYTES + 1)
    require(
        len(content) <= _MAX_TEXT_BYTES,
        f"{path} has more than {_MAX_TEXT_BYTES} bytes; expected a short text",
    )
    return content
