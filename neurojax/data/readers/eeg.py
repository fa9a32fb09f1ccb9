"""Reads EEG: archives, .csv runs of a headset, EDF and BDF, BIDS; windows about events.

What a file may hold is told in `readers.eeg_files`; which channels are kept in `eeg_channels`; what
is done to the samples in `eeg_steps`, whose words the card keeps. A window lies within one run. A
run is of one split: the last one tests, the one before it validates, the others train (of two runs
the last one tests, a single one trains). With --split=random a person is of one split, by a hash of
the name.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neurojax.data.readers import (
    eeg_channels,
    eeg_csv,
    eeg_files,
    eeg_steps,
    gathered,
    kept_rows,
    one_file,
)
from neurojax.data.readers.eeg_recording import Recording, joined, microvolts
from neurojax.data.readers.seen import npz_names
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.real_values import from_values
from neurojax.data.row_blocks import CheckedMap, row_blocks
from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.data.store.array_files import open_input
from neurojax.data.store.session_rules import validate_session
from neurojax.errors import InputError, require
from neurojax.files import sha256_file

VERSION = "eeg/2"
OPTIONS = {
    "sampling_hz": "rate of the recorder, of .csv files, whose times jitter",
    "unit": "of the channels of .csv files, which do not say it, such as uV; default a.u.",
    "channels": "names with + between, in the order to keep; default all",
    "drop": "channels to leave out, with + between; others that nobody asked for are refused",
    "rename": "OLD:NEW, with + between",
    "muscle": "channels that lie on muscles, with + between",
    "band_hz": "band-pass, such as 1-40",
    "resample_hz": "another sampling rate",
    "scale": "robust: each channel less its median, over its interquartile range",
    "window_ms": "FROM:TO about each event, default 0:1000; without events one after another",
    "test_run": "the run that tests, counted from 0; default the last one",
    "licence": "of the recording, where the file does not say",
    "consent": "what the people agreed to, where the file does not say",
}
UNUSED = (
    *("bin_ms", "align", "window", "window_s", "behavior", "trial_columns"),
    *("time_unit", "max_gap_s", "silence", "strict"),
)
EXAMPLE = "eeg people/p1 --out=data/eeg --options=sampling_hz=256,band_hz=1-40,window_ms=-100:800"
_SUFFIXES = (".npz", ".csv", ".edf", ".bdf")
_WINDOW_MS = "0:1000"
_SHARES = (0.6, 0.2, 0.2)  # of people: train, validation, test


def find(path: str) -> list[str]:
    """Recordings of people at a path: files, folders of .csv runs, folders sub-NAME of BIDS.

    Raises:
        InputError: nothing there that is read.
    """
    place = Path(path)
    if not place.is_dir():
        open_input(place).close()
        return [path]
    if place.name.startswith("sub-"):
        return [path]
    people = sorted(p for p in place.glob("sub-*") if p.is_dir() and eeg_files.bids_files(p))
    if people:
        return [str(person) for person in people]
    found = []
    for entry in sorted([place, *(p for p in place.rglob("*") if p.is_dir())]):
        files = sorted(f for f in entry.iterdir() if f.suffix.lower() in _SUFFIXES and f.is_file())
        runs = [f for f in files if f.suffix.lower() == ".csv"]
        found += [str(entry)] if runs else []
        found += [str(f) for f in files if f not in runs]
    require(
        found,
        f"{path} holds no .npz, .csv, .edf or .bdf, and no sub-* folder of BIDS; check the path",
    )
    return found


def session_name(source: str) -> str:
    """The person: of a folder named after a session, the folder around it as well."""
    place = Path(source)
    if place.is_dir() and place.name.lower().startswith("ses"):
        return one_file.session_name(f"{place.parent.name}_{place.name}")
    return one_file.session_name(source)


def source_sha256(source: str) -> str:
    """Digest of every file that is read, with their names."""
    digest = hashlib.sha256()
    for path in _files(Path(source)):
        open_input(path).close()
        name = path.relative_to(Path(source)) if Path(source).is_dir() else path.name
        digest.update(f"{name} {sha256_file(path)}\n".encode())
    return digest.hexdigest()


def read_session(source: str, spec: ReadSpec) -> Session:
    """One person's recording, each sample stored once, as windows about events; see
    `read_in_blocks`."""
    return read_in_blocks(source, spec, None)


def read_in_blocks(source: str, spec: ReadSpec, folder: Path | None) -> Session:
    """`read_session`, whose values stay in a file of `folder`; memory does not grow with them.

    Raises:
        InputError: a file that cannot be read, a channel that is missing or was not asked for, one
            that never changes, a step that cannot be made, or no window.
    """
    recording = _read(Path(source), spec, folder)
    names = _pairs(spec, "rename", source)
    recording = recording._replace(channel=eeg_channels.renamed(recording.channel, names, source))
    dropped = _names(spec, "drop")
    places = eeg_channels.chosen(recording.channel, _names(spec, "channels"), dropped, source)
    values = recording.values
    if places != list(range(len(recording.channel))):
        blocks = (block[:, places] for _, block in row_blocks(values))
        values = kept_rows.kept(blocks, len(places), folder, len(values))
    recording = recording._replace(
        values=values,
        channel=tuple(recording.channel[place] for place in places),
        position=recording.position[places],
    )
    eeg_channels.require_alive(recording.values, recording.channel, source)
    asked = {name: spec.option(name) for name in eeg_steps.NAMES}
    recording, steps = eeg_steps.applied(recording, asked, source, folder)
    muscle = _names(spec, "muscle")
    for name in muscle:
        require(
            name in recording.channel,
            f"{source} has no channel {name!r} on a muscle, it keeps "
            f"{', '.join(recording.channel)[:120]}",
        )
    start, length, event, dropped_windows = windows(recording, spec, source)
    run = np.searchsorted(recording.run_offsets, start, side="right") - 1
    told = recording.events if len(recording.event_sample) else {}  # at rest there is no event
    split, split_source = _split(run, len(recording.run_offsets) - 1, source, spec)
    values, validity = recording.values, None
    if folder is not None:
        values, validity = _looked_at(values, folder)
    session = from_values(
        values,
        sampling_hz=recording.sampling_hz,
        unit=recording.unit,
        session_id=session_name(source),
        trial_start_bin=start,
        trial_num_bins=length,
        split=split,
        channel=np.array(recording.channel),
        region=np.array(["jaw" if name in muscle else "scalp" for name in recording.channel]),
        conditions={name: column[event] for name, column in told.items()} | {"run": run},
        info={
            "subject_id": session_name(source),
            "species": "human",
            "source": {"file": Path(source).name},
            "licence": spec.option("licence"),
            "consent": spec.option("consent"),
            "split_source": split_source,
            "steps": steps,
            "channels_dropped": list(dropped),
            "channels_renamed": dict(names),
            "clock": "samples counted end to end; runs are not contiguous in time",
            "trials_dropped": dropped_windows,
            **({"findings": dict(recording.odd)} if recording.odd else {}),
            **recording.texts,
        },
    )
    at = recording.position
    fields = {"unit_metadata": {"head_x": at[:, 0], "head_y": at[:, 1]}}
    if validity is not None:
        fields["validity"] = validity
    if recording.speech is not None:
        fields["behaviour"] = {"speech": recording.speech}
        fields["behaviour_valid"] = {"speech": np.isfinite(recording.speech).all(1)}
    return validate_session(session.with_fields(**fields))


def recognises(path: str) -> str | None:
    """What tells that a path holds EEG."""
    place = Path(path)
    if place.suffix.lower() in (".edf", ".bdf"):
        return f"a {place.suffix.lower()} file"
    archives = sorted(place.glob("*.npz"))[:3] if place.is_dir() else [place]
    for archive in archives:
        held = npz_names(archive) if archive.suffix.lower() == ".npz" else set()
        if {"channel_names", "sampling_rate_hz"} <= held and held & {"eeg", "eeg_uv"}:
            return f"{archive.name} with eeg and channel_names"
    if place.is_dir() and (found := eeg_files.bids_files(place)):
        return f"BIDS with {len(found)} files of EEG, such as {found[0].name}"
    return None


def windows(
    recording: Recording, spec: ReadSpec, where: str
) -> tuple[np.ndarray, int, np.ndarray, dict[str, int]]:
    """Windows that lie within one run each.

    Returns:
        (first sample of each, rising, int64 [windows]; samples of all; the event of each, int64;
        reason -> events without a window).
    """
    typed = spec.option("window_ms", _WINDOW_MS)
    ends = [as_number(part) for part in typed.split(":")]
    steps = [end * recording.sampling_hz / 1000 for end in ends]
    require(
        len(ends) == 2
        and np.less(np.abs(steps), 2**31).all()
        and round(steps[1]) - round(steps[0]) >= 2,
        f"{where}: window_ms={typed[:40]!r}; expected FROM:TO, such as -100:800, of two samples or "
        "more",
    )
    before, length = round(steps[0]), round(steps[1]) - round(steps[0])
    offsets = recording.run_offsets
    if not len(recording.event_sample):
        number = np.diff(offsets) // length
        start = np.concatenate(
            [
                first + length * np.arange(count)
                for first, count in zip(offsets[:-1], number, strict=True)
            ]
        ).astype(np.int64)
        event = np.zeros(len(start), np.int64)
    else:
        event = np.arange(len(recording.event_sample))
        start = recording.event_sample + before
        run = np.searchsorted(offsets, recording.event_sample, side="right") - 1
        inside = (start >= offsets[run]) & (start + length <= offsets[run + 1])
        event, start = event[inside], start[inside]
        first = np.diff(start, prepend=-1) > 0  # two events at one sample make one window
        event, start = event[first], start[first]
    lost = max(0, len(recording.event_sample) - len(start))
    require(
        len(start),
        f"{where}: no window of {length} samples lies within a run, the longest has "
        f"{np.diff(offsets).max()}; give a shorter --options=window_ms",
    )
    reasons = {"window reaches over its run, or begins with another": lost} if lost else {}
    return start, length, event, reasons


def _read(place: Path, spec: ReadSpec, folder: Path | None) -> Recording:
    typed, kind = spec.option("sampling_hz"), place.suffix.lower()
    files = _files(place)
    is_csv = bool(files) and files[0].suffix.lower() == ".csv"
    for name, meant in (("sampling_hz", "rate"), ("unit", "unit")):
        told = spec.option(name)
        require(
            is_csv or told is None,
            f"{name}={str(told)[:40]} came for {place}, whose {meant} is in the file; leave it out",
        )
    if is_csv:
        rate = as_number(typed or "")
        require(
            0 < rate < 1e6,
            f"{place} says no exact rate; give --options=sampling_hz=..., that of the recorder",
        )
        unit = spec.option("unit", "")
        known = not unit or microvolts(unit)[1] == "uV"
        require(known, f"unit={unit[:40]!r}; expected V, mV, uV or nV, or leave it out")
        runs = (eeg_csv.read_csv_run(file, rate, unit, folder) for file in files)
        return next(runs) if len(files) == 1 else joined(runs, str(place), folder)
    if place.is_dir():
        return eeg_files.read_bids(place, folder)
    if kind in (".edf", ".bdf"):
        return eeg_files.read_edf(place, folder=folder)
    return eeg_files.read_npz_file(place, folder)


def _looked_at(
    values: np.ndarray, folder: Path
) -> tuple[CheckedMap, gathered.ObservedIntervals | None]:
    """A memory map as `from_values` would have it, and when each channel was observed."""
    stretches, half, whole = gathered.Stretches(values.shape[1]), True, True
    for _, block in row_blocks(values):
        known = ~np.isnan(block)
        stretches.add(known)
        whole = whole and bool(known.all())
        half = half and gathered.is_half(np.where(known, block, 0))
    if half or not whole:
        blocks = (np.where(np.isnan(block), 0, block) for _, block in row_blocks(values))
        dtype = np.float16 if half else np.float32
        values = kept_rows.kept(blocks, values.shape[1], folder, dtype=dtype)
    channel, start, stop = stretches.found()
    validity = gathered.ObservedIntervals(channel.astype(np.int32), start, stop)
    return values.view(CheckedMap), None if whole else validity


def _files(place: Path) -> list[Path]:
    """Every file that a source is read from."""
    if not place.is_dir():
        return [place]
    if runs := sorted(f for f in place.iterdir() if f.suffix.lower() == ".csv" and f.is_file()):
        return runs
    listed = eeg_files.bids_files(place)
    tables = {table for path in listed for table in eeg_files.bids_tables(path).values()}
    return sorted([*listed, *tables])


def _split(
    run: np.ndarray, num_runs: int, source: str, spec: ReadSpec
) -> tuple[np.ndarray | int, str]:
    """(split of each window, or of the person; the rule)."""
    require(
        spec.split_block_s() is None,
        f"split={spec.split!r}; EEG is split by run (file) or by person (random)",
    )
    typed = spec.option("test_run")
    if spec.split == "random":
        require(typed is None, f"test_run={str(typed)[:40]} came with --split=random; choose one")
        digest = hashlib.sha256(session_name(source).encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        split = int(np.searchsorted(np.cumsum(_SHARES)[:-1], share, side="right"))
        return split, "person: hash of the name, 60/20/20"
    test = num_runs - 1 if num_runs > 1 else -1
    if typed is not None:
        known = typed.isdecimal() and int(typed) < num_runs > 1
        require(known, f"test_run={typed[:40]!r}; expected 0 to {num_runs - 1} of two runs or more")
        test = int(typed)
    validated = (test - 1) % num_runs if num_runs > 2 else -1
    split = np.full(len(run), TRAIN)
    split[run == validated], split[run == test] = VALIDATION, TEST
    return split, f"run: {test} tests, {validated} validates (-1: none)"


def _names(spec: ReadSpec, option: str) -> Sequence[str]:
    return tuple(name for name in (spec.option(option) or "").split("+") if name)


def _pairs(spec: ReadSpec, option: str, where: str) -> dict[str, str]:
    found = {}
    for pair in _names(spec, option):
        old, colon, new = pair.rpartition(":")
        if not (old and colon and new):
            raise InputError(f"{where}: {option}={pair[:60]!r}; expected OLD:NEW with + between")
        found[old] = new
    return found
