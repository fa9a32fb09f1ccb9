"""Reads surface EMG of people making gestures: one .npz a person becomes a session of windows.

A file holds, without pickles:
    emg [samples, C], numbers: segments end to end, not contiguous in time
    segment_offsets [segments + 1]: segment k is emg[segment_offsets[k]:segment_offsets[k + 1]]
    gesture [segments], whole numbers: index into gesture_names; gesture_names text [gestures]
    repetition, round [segments], whole numbers; optional
    sampling_rate_hz; optional sex, half, unit, licence, citation, consent, text
    time_s [samples], optional: steps within a segment must be even
NaN in emg was not observed: such entries are marked, and a channel of nothing else leaves. Channels
that never change stay and are told: all people share their channels.

Beside the file may lie people.csv (columns person and fold: fold 4 tests, or that of the option
test_fold; the one before it validates, the others train) and LICENSE.source.txt. A person is of
one split; windows never reach over a segment. The fold is kept: a run may take another one to test
(`data.fold`). The option calibrate=K splits each person in time instead: K repetitions of every
gesture in the first round train, later rounds test (later repetitions, where there is one round),
what lies between is left out.

Source of the layout: 27 people of the Myo armband data set, Cote-Allard et al. 2019, IEEE TNSRE
27:760-771, in windows of 260 ms every 50 ms.
"""

import csv
import hashlib
import io
from pathlib import Path

import numpy as np

from neurojax.data import splits
from neurojax.data.readers import one_file
from neurojax.data.readers.emg_files import REQUIRED, Person, read_person
from neurojax.data.readers.gathered import gather, seen_before
from neurojax.data.readers.signals import FILL_SAMPLES
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.real_values import from_values
from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Session
from neurojax.data.store.array_files import open_input
from neurojax.data.store.session_rules import validate_session
from neurojax.errors import InputError, require
from neurojax.files import sha256_file

VERSION = "emg/2"
OPTIONS = {
    "window_ms": "length of a window in ms, default 260",
    "step_ms": "from the start of a window to that of the next in ms, default 50",
    "test_fold": "the fold of people.csv whose people test, default 4; the one before it validates",
    "calibrate": "repetitions of each person's first round that train, later rounds then test",
    "consent": "what the people agreed to, where the file does not say",
}
UNUSED = (
    *("bin_ms", "align", "window", "window_s", "behavior", "trial_columns"),
    *("time_unit", "max_gap_s", "silence", "strict"),
)
_WINDOW_MS, _STEP_MS = 260.0, 50.0
_TEST_FOLD = 4
_SHARES = (0.6, 0.2, 0.2)  # of people: train, validation, test
_PEOPLE, _LICENCE = "people.csv", "LICENSE.source.txt"
_MAX_TEXT_BYTES = 2**20


def find(path: str) -> list[str]:
    """The .npz files of a folder, or the file itself; InputError where there is none."""
    place = Path(path)
    if not place.is_dir():
        open_input(place).close()
        return [path]
    found = sorted(str(file) for file in place.glob("*.npz"))
    kinds = sorted({file.suffix for file in place.iterdir() if file.suffix})
    has = f" (it has {', '.join(kinds)[:60]})" if kinds else ""
    require(
        found,
        f"{path} holds no .npz file{has}; expected one for each person, with the arrays "
        f"{', '.join(sorted(REQUIRED))}",
    )
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
    return read_in_blocks(source, spec, None)


def read_in_blocks(source: str, spec: ReadSpec, folder: Path | None) -> Session:
    """`read_session`, whose values stay in a file of `folder`; memory does not grow with them."""
    odd: dict[str, int] = {}
    person = read_person(source, spec, odd)
    window = _samples(spec, "window_ms", _WINDOW_MS, person.sampling_hz, source)
    require(
        window >= 2,
        f"{source}: a window of {1000 * window / person.sampling_hz:g} ms holds one sample at "
        f"{person.sampling_hz:g} Hz, expected two or more; give a longer --options=window_ms",
    )
    step = _samples(spec, "step_ms", _STEP_MS, person.sampling_hz, source)
    start_bin, segment = segment_windows(person.segment_offsets, window, step)
    lengths = np.diff(person.segment_offsets)
    require(
        len(start_bin),
        f"{source}: no segment is as long as a window of {window} samples, the longest has "
        f"{lengths.max()}; give a shorter --options=window_ms",
    )
    shape = person.emg.shape
    found = gather(person.emg.blocks(folder), shape, folder, f"{source}: emg")
    channel = found.channel
    seen = [seen_before(found.watched, edge) for edge in (start_bin, start_bin + window)]
    watched = seen[1] > seen[0]
    require(watched.any(), f"{source}: no window of {window} samples holds a sample that is known")
    reasons = {
        "segment shorter than a window": int((lengths < window).sum()),
        "never observed": int((~watched).sum()),
    }
    of_segment, split_source, fold = _split(source, spec, person)
    reasons["neither calibration nor test"] = int(
        (of_segment[segment[watched]] == splits.UNUSED).sum()
    )
    watched &= of_segment[segment] != splits.UNUSED
    start_bin, segment = start_bin[watched], segment[watched]
    odd |= {"channels that never change": int(found.flat.sum()), FILL_SAMPLES: found.num_fill}
    odd = {name: number for name, number in odd.items() if number}
    missing = shape[1] - len(channel)
    info = {
        "subject_id": session_name(source),
        "species": "human",
        "source": {"file": Path(source).name},
        "licence": _licence(source),
        "split_source": split_source,
        **({} if fold is None else {"fold": fold}),
        "condition_names": {"gesture": person.gesture_names},
        "window_ms": 1000 * window / person.sampling_hz,
        "step_ms": 1000 * step / person.sampling_hz,
        "clock": "samples counted end to end; segments are not contiguous in time",
        "trials_dropped": {reason: number for reason, number in reasons.items() if number},
        **({"units_dropped": {"never observed": missing}} if missing else {}),
        **({"findings": odd} if odd else {}),
        "consent": spec.option("consent"),
        **person.texts,
    }
    session = from_values(
        found.values,
        sampling_hz=person.sampling_hz,
        unit=info.pop("unit"),
        session_id=session_name(source),
        trial_start_bin=start_bin,
        trial_num_bins=window,
        split=of_segment[segment],
        channel=channel.astype(str),
        region=np.full(len(channel), "forearm"),
        conditions={name: column[segment] for name, column in person.columns.items()}
        | {"segment": segment},
        info=info,
    )
    return validate_session(session.with_fields(validity=found.validity))


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


def _samples(spec: ReadSpec, name: str, default_ms: float, sampling_hz: float, where: str) -> int:
    """An option in ms as a whole number of samples."""
    typed = spec.option(name)
    length_ms = default_ms if typed is None else as_number(typed)
    samples = length_ms * sampling_hz / 1000
    if not 0.5 < samples < 1e9 or abs(samples - round(samples)) > 1e-6 * samples:
        shown = f"{default_ms:g}" if typed is None else typed[:60]
        raise InputError(
            f"{where}: {name}={shown} is no whole number of samples at {sampling_hz:g} Hz; give "
            f"--options={name}=... in steps of {1000 / sampling_hz:g} ms"
        )
    return round(samples)


def _split(source: str, spec: ReadSpec, person: Person) -> tuple[np.ndarray, str, int | None]:
    """The split of every segment of a person [segments], the rule behind it (the fold in
    people.csv, the name's hash, or what calibrates) and the fold."""
    require(
        spec.split_block_s() is None,
        f"split={spec.split!r}; EMG is split by person, expected file or random",
    )
    content, typed = _beside(source, _PEOPLE), spec.option("test_fold")
    known = content if spec.split == "file" else None
    number, fold = len(person.segment_offsets) - 1, None
    if (calibrate := spec.option("calibrate")) is not None:
        require(
            typed is None, f"test_fold={typed} came with calibrate, which tests everybody; drop it"
        )
        if known is not None:
            fold, _ = _folds(known, session_name(source), Path(source).with_name(_PEOPLE))
        return (*_within(person, calibrate, source), fold)
    if known is not None:
        path = Path(source).with_name(_PEOPLE)
        fold, folds = _folds(known, session_name(source), path)
        tested = str(_TEST_FOLD) if typed is None else typed
        if tested not in map(str, folds) or len(folds) < 3:
            raise InputError(
                f"{path} has the folds {folds[:20]}, expected three or more and {tested[:60]!r} "
                "among them; give another --options=test_fold=..., or --split=random"
            )
        validated = folds[folds.index(int(tested)) - 1]  # of the first fold, the last
        split = {int(tested): TEST, validated: VALIDATION}.get(fold, TRAIN)
        rule = f"person: {_PEOPLE}, fold {tested} test, {validated} validation"
        return np.full(number, split), rule, fold
    if typed is not None:
        raise InputError(
            f"test_fold={typed[:60]} came without a {_PEOPLE} that is read; leave it out"
        )
    digest = hashlib.sha256(session_name(source).encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    split = int(np.searchsorted(np.cumsum(_SHARES)[: len(SPLIT_NAMES) - 1], share, side="right"))
    return np.full(number, split), "person: hash of the name, 60/20/20", None


def _within(person: Person, typed: str, source: str) -> tuple[np.ndarray, str]:
    """The split of every segment where a person calibrates and is tested, and its rule."""
    wanted = as_number(typed)
    require(
        1 <= wanted < 2**15 and wanted == int(wanted),
        f"{source}: calibrate={typed[:60]}; expected a number of repetitions, 1 or more",
    )
    columns = person.columns
    require(
        "repetition" in columns,
        f"{source} has no repetition of its segments, which calibrate needs; add the array",
    )
    repetition = columns["repetition"]
    rounds = columns.get("round", np.zeros_like(repetition))
    is_first = rounds == rounds.min()
    calibrates = is_first & np.isin(repetition, np.unique(repetition[is_first])[: int(wanted)])
    is_tested = ~is_first if np.any(~is_first) else is_first & ~calibrates
    require(
        is_tested.any(),
        f"{source}: calibrate={typed[:60]} leaves nothing to test; give fewer repetitions",
    )
    split = np.select([calibrates, is_tested], [TRAIN, TEST], splits.UNUSED)
    where = "later rounds" if np.any(~is_first) else "later repetitions"
    return split, f"time: {int(wanted)} repetitions of the first round train, {where} test"


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
