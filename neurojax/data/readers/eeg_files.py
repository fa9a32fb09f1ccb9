"""Files of EEG as recordings: .npz archives, .csv runs, EDF and BDF, folders in BIDS.

.npz      eeg [samples, C] (eeg_uv: in uV), sampling_rate_hz, channel_names; optional run_offsets
          [runs + 1], event_sample [events] and event_NAME [events], channel_xy [C, 2] in head
          radii, speech [samples, F], unit, licence, subject_id
.csv      see `eeg_csv`; a folder of .csv files is one person
.edf .bdf read by mne (the extra `eeg`); annotations are events
BIDS      a folder sub-NAME: its *_eeg.edf and .bdf files are runs, of whatever task; channels.tsv
          (types), electrodes.tsv (places, x right and y forward) and events.tsv (trial_type) beside
          them are read; units, status, coordsystem.json and electrodes of a named space are not

Samples are read in blocks. With a folder they stay in a file there, so that memory does not grow
with the recording; features of speech are held whole.
"""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.binning import whole_numbers
from neurojax.data.optional import needed
from neurojax.data.readers import alf_text, edf_header
from neurojax.data.readers.eeg_recording import (
    Recording,
    checked,
    flat_map,
    joined,
    microvolts,
    site_positions,
)
from neurojax.data.readers.kept_rows import kept
from neurojax.data.row_blocks import rows_of
from neurojax.data.store.npz_streams import open_npz
from neurojax.errors import InputError, require

NO_MNE = "EDF and BDF files are read by mne; pip install 'neurojax[eeg]'"
_LARGE = ("eeg", "eeg_uv")  # not read before they are asked for
_CUT = "a record that the file ends in"
_EEG_TYPES = ("eeg", "emg")  # of channels.tsv; others (triggers, eyes) are left out
_TEXTS = ("licence", "subject_id", "citation", "consent")


def read_npz_file(path: Path, folder: Path | None = None) -> Recording:
    """One person's archive; InputError where arrays are missing or disagree."""
    arrays = open_npz(path, _LARGE)
    name = "eeg_uv" if "eeg_uv" in arrays else "eeg"
    for wanted in (name, "sampling_rate_hz", "channel_names"):
        require(
            wanted in arrays,
            f"{path} lacks the array {wanted!r}; expected eeg (or eeg_uv), sampling_rate_hz and "
            f"channel_names, but it holds {', '.join(sorted(arrays))[:200]}",
        )
    values = arrays[name]
    require(
        values.ndim == 2 and values.size and values.dtype.kind in "iuf",
        f"{path}: {name} is {values.dtype} {list(values.shape)}, expected numbers [samples, "
        "channels]",
    )
    channel = arrays["channel_names"]
    require(
        channel.dtype.kind == "U" and channel.shape == values.shape[1:],
        f"{path}: channel_names is {channel.dtype} {list(channel.shape)}, expected text "
        f"[{values.shape[1]}], one for each column of {name}",
    )
    rate = arrays["sampling_rate_hz"]
    require(rate.size == 1 and rate.dtype.kind in "iuf", f"{path}: sampling_rate_hz is no number")
    offsets = np.array([0, len(values)])
    if "run_offsets" in arrays:
        offsets = _whole(arrays["run_offsets"], "run_offsets", path)
    right = len(offsets) > 1 and offsets[0] == 0 and offsets[-1] == len(values)
    require(
        right and (np.diff(offsets) > 0).all(),
        f"{path}: run_offsets go from {offsets[:1]} to {offsets[-1:]}, expected rising numbers "
        f"from 0 to {len(values)}",
    )
    events = {}
    sample = _whole(arrays.get("event_sample", np.zeros(0, int)), "event_sample", path)
    for key, column in arrays.items():
        if key.startswith("event_") and key != "event_sample":
            require(
                column.shape == sample.shape and column.dtype.kind in "iufU",
                f"{path}: {key} is {column.dtype} {list(column.shape)}, expected numbers or text "
                f"[{len(sample)}], one an event",
            )
            require(
                key != "event_run", f"{path}: event_run; run is the number of the run, rename it"
            )
            events[key.removeprefix("event_")] = column
    unit = str(arrays["unit"]) if "unit" in arrays and arrays["unit"].ndim == 0 else ""
    scale, unit = microvolts("uV" if name == "eeg_uv" else unit)
    blocks = (block.astype(np.float32) * scale for block in values.blocks(folder))
    names = tuple(str(one) for one in channel)
    texts = {key: str(arrays[key]) for key in _TEXTS if key in arrays and arrays[key].ndim == 0}
    found = Recording(
        values=kept(blocks, len(names), folder, len(values)),
        sampling_hz=float(rate.reshape(())),
        channel=names,
        position=_places(arrays.get("channel_xy"), names, path),
        run_offsets=offsets,
        event_sample=sample,
        events=events,
        unit=unit,
        speech=_speech(arrays.get("speech"), len(values), path),
        texts=texts,
    )
    return checked(found, str(path))


def read_edf(
    path: Path, kinds: Mapping[str, str] | None = None, folder: Path | None = None
) -> Recording:
    """One EDF or BDF file.

    Args:
        path: its name ends in .edf or .bdf.
        kinds: channel -> type of channels.tsv; channels of other types than EEG and EMG are left
            out. None keeps all but triggers.
        folder: for the samples; None keeps them in memory.

    Raises:
        InputError: without mne, or a file that it cannot read.
    """
    mne = needed("mne", NO_MNE)
    samples, cut = edf_header.records_of(path)
    read = mne.io.read_raw_bdf if path.suffix.lower() == ".bdf" else mne.io.read_raw_edf
    with _blaming(path):
        raw = read(path, preload=False, verbose="ERROR", stim_channel="auto")
        keep = [
            name
            for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True)
            if kind != "stim" and (kinds or {}).get(name, "eeg").lower() in _EEG_TYPES
        ]
    require(keep, f"{path}: no channel is EEG; it has {', '.join(raw.ch_names)[:120]}")
    # A slower channel mne brings to the rate of the others, and a part's ends otherwise: whole.
    piece, of_record = raw.n_times, max(samples, default=0)
    if _own_samples(raw, keep, samples) == {of_record}:
        rows = rows_of(8 * len(keep))
        piece = rows // of_record * of_record or rows  # whole records; of a long one a part
    # What goes wrong in writing is no fault of the file.
    values = kept(_pieces(raw, keep, piece, path), len(keep), folder, raw.n_times)
    sample = np.round(np.asarray(raw.annotations.onset) * raw.info["sfreq"]).astype(np.int64)
    said = np.array([str(one)[:256] for one in raw.annotations.description], dtype=str)
    inside = (sample >= 0) & (sample < len(values))
    names = tuple(str(name).strip() for name in keep)
    found = Recording(
        values,
        float(raw.info["sfreq"]),
        names,
        site_positions(names),
        np.array([0, len(values)]),
        sample[inside],
        {"description": said[inside].astype(str)} if inside.any() else {},
        odd=_left_out(inside) | ({_CUT: 1} if cut else {}),
    )
    return checked(found, str(path))


def _pieces(raw: Any, keep: list[str], number: int, path: Path) -> Iterator[np.ndarray]:
    """Samples of some channels in uV, float32 [n, C], so many at a time of mne's float64."""
    for first in range(0, raw.n_times, number):
        with _blaming(path):
            found = raw.get_data(picks=keep, start=first, stop=min(first + number, raw.n_times))
            found = (1e6 * found.T).astype(np.float32)
        yield found


def _own_samples(raw: Any, keep: list[str], samples: tuple[int, ...]) -> set[int]:
    """Samples of a record of some channels; of all signals where mne does not name each."""
    if len(samples) != len(raw.ch_names):
        return set(samples)
    return {number for name, number in zip(raw.ch_names, samples, strict=True) if name in keep}


@contextlib.contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Whatever a damaged file leads mne to becomes an InputError that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MemoryError:
        raise  # which is no fault of the file
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path} cannot be read as EDF or BDF ({reason})") from None


def read_bids(place: Path, folder: Path | None = None) -> Recording:
    """All runs of a BIDS folder of one person (or of one session of it)."""
    files = bids_files(place)
    require(files, f"{place} holds no *_eeg.edf or *_eeg.bdf; other formats are not read")
    runs = (_bids_run(path, folder) for path in files)
    return next(runs) if len(files) == 1 else joined(runs, str(place), folder)


def bids_files(folder: Path) -> list[Path]:
    """EEG files below a folder, in order of their names."""
    found = [path for ending in ("edf", "bdf") for path in folder.rglob(f"*_eeg.{ending}")]
    return sorted(path for path in found if path.is_file())


def bids_tables(path: Path) -> dict[str, Path]:
    """Tables beside an EEG file of BIDS: name -> path of those that there are."""
    stem = path.name.rpartition("_eeg.")[0]
    parts = stem.split("_")
    found = {}
    for name in ("channels", "events", "electrodes"):
        # Electrodes belong to a session, not to a task or run.
        short = "_".join(part for part in parts if part.partition("-")[0] in ("sub", "ses"))
        for start in dict.fromkeys((stem, short)):
            place = path.with_name(f"{start}_{name}.tsv")
            if place.exists():
                found[name] = place
                break
    return found


def _bids_run(path: Path, folder: Path | None) -> Recording:
    tables = {
        name: alf_text.read_text_table(place, "name") for name, place in bids_tables(path).items()
    }
    kinds = None
    if "channels" in tables:
        kinds = dict(
            zip(
                _column(tables["channels"], "name", path),
                _column(tables["channels"], "type", path),
                strict=True,
            )
        )
    recording = read_edf(path, kinds, folder)
    if "electrodes" in tables:
        places = tables["electrodes"]
        axes = [_numbers(places, axis, path) for axis in ("x", "y", "z")]
        known = dict(zip(_column(places, "name", path), flat_map(np.stack(axes, 1)), strict=True))
        nowhere = np.full(2, np.nan)
        recording = recording._replace(
            position=np.stack([known.get(name, nowhere) for name in recording.channel])
        )
    if "events" in tables:
        events = tables["events"]
        onset = _numbers(events, "onset", path)
        sample = np.round(onset * recording.sampling_hz)
        inside = np.isfinite(sample) & (sample >= 0) & (sample < len(recording.values))
        told = "trial_type" if "trial_type" in events else "value"
        columns = {"trial_type": np.asarray(events[told]).astype(str)} if told in events else {}
        order = np.flatnonzero(inside)[np.argsort(sample[inside], kind="stable")]
        cut = {words: number for words, number in recording.odd.items() if words == _CUT}
        recording = recording._replace(
            event_sample=sample[order].astype(np.int64),
            events={name: column[order] for name, column in columns.items()},
            odd=_left_out(inside) | cut,
        )
    return recording


def _left_out(inside: np.ndarray) -> dict[str, int]:
    """Events that are not kept, counted."""
    number = int((~inside).sum())
    return {"events outside their recording, or without a time": number} if number else {}


def _whole(numbers: np.ndarray, name: str, path: Path) -> np.ndarray:
    require(
        numbers.ndim == 1,
        f"{path}: {name} is {numbers.dtype} {list(numbers.shape)}, expected whole numbers [n]",
    )
    return whole_numbers(numbers, f"{path}: {name}", "whole numbers").astype(np.int64)


def _places(given: Any, names: tuple[str, ...], path: Path) -> np.ndarray:
    if given is None:
        return site_positions(names)
    require(
        given.shape == (len(names), 2) and given.dtype.kind in "iuf" and not np.isinf(given).any(),
        f"{path}: channel_xy is {given.dtype} {list(given.shape)}, expected numbers "
        f"[{len(names)}, 2] in head radii, NaN where a place is not known",
    )
    return given.astype(np.float64)


def _speech(given: Any, num_samples: int, path: Path) -> np.ndarray | None:
    if given is None:
        return None
    require(
        given.ndim == 2 and len(given) == num_samples and given.dtype.kind in "iuf",
        f"{path}: speech is {given.dtype} {list(given.shape)}, expected numbers [{num_samples}, "
        "features], a row a sample",
    )
    return given.astype(np.float32)


def _column(table: Mapping[str, np.ndarray], name: str, path: Path) -> list[str]:
    require(
        name in table,
        f"a table beside {path} has no column {name!r}, it has {', '.join(table)[:120]}",
    )
    return [str(cell).strip() for cell in table[name]]


def _numbers(table: Mapping[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    found = np.full(len(next(iter(table.values()))), np.nan)
    for place, cell in enumerate(_column(table, name, path)):
        try:
            found[place] = float(cell)
        except ValueError:  # n/a
            continue
    return found
