"""Steps from a recording to what is kept: band-pass, resampling, robust scaling; each has a name.

Every step works within a run: no sample of one run reaches another. What was done is told in words,
which the card of the session keeps. All go a block at a time, so that a run may be larger than
memory.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from neurojax.data import robust_scale
from neurojax.data.readers import run_filters
from neurojax.data.readers.eeg_recording import Recording
from neurojax.data.readers.kept_rows import Rows, kept
from neurojax.data.readers.spec import as_number
from neurojax.data.row_blocks import row_blocks
from neurojax.errors import InputError, require

ORDER = 4  # of the Butterworth filter, which runs both ways
MOST_RATIO = 1000  # of the whole numbers that a change of rate is made of
NAMES = ("band_hz", "resample_hz", "scale")


def applied(
    recording: Recording, asked: Mapping[str, str | None], where: str, folder: Path | None = None
) -> tuple[Recording, list[str]]:
    """A recording after the steps that are asked for, always in the order of `NAMES`, and their
    words.

    Args:
        recording: with NaN where nothing was recorded; a filter would smear these, so a run with
            one is refused for `band_hz` and `resample_hz`.
        asked: name -> as typed; None for a step that is left out.
        where: the recording, for messages.
        folder: for the samples; None keeps them in memory.

    Raises:
        InputError: a step that cannot be made.
    """
    told = []
    for name in NAMES:
        if asked.get(name) is not None:
            recording, words = _STEPS[name](recording, str(asked[name]), where, folder)
            told.append(words)
    return recording, told


def _band(
    recording: Recording, typed: str, where: str, folder: Path | None
) -> tuple[Recording, str]:
    low, high = (as_number(part) for part in (typed.split("-") + [""])[:2])
    rate = recording.sampling_hz
    require(
        typed.count("-") == 1 and 0 < low < high < rate / 2,
        f"{where}: band_hz={typed[:40]!r}; expected two rising numbers of Hz below half of the "
        f"sampling rate ({rate / 2:g} Hz), such as 1-40",
    )
    _require_whole(recording, "band_hz", where)
    sections = run_filters.band_pass(ORDER, low, high, rate)
    padding = run_filters.padding_of(sections)
    shortest = int(np.diff(recording.run_offsets).min())
    require(
        shortest > padding,
        f"{where}: a run has {shortest} samples, expected more than {padding} for a band-pass; "
        "leave the run out",
    )
    lengths = np.diff(recording.run_offsets).tolist()

    def filtered(run: np.ndarray, put: run_filters.Put) -> None:
        run_filters.both_ways(run, sections, folder, put)

    words = f"band-pass {low:g} to {high:g} Hz (Butterworth of order {ORDER}, both ways)"
    values = _in_runs(recording.values, recording.run_offsets, lengths, filtered, folder)
    return recording._replace(values=values), words


def _resampled(
    recording: Recording, typed: str, where: str, folder: Path | None
) -> tuple[Recording, str]:
    asked, rate = as_number(typed), recording.sampling_hz
    require(
        0 < asked < np.inf,
        f"{where}: resample_hz={typed[:40]!r}; expected a rate in Hz, such as 128",
    )
    ratio = asked / rate
    up, down = 0, 0
    if 1 / MOST_RATIO <= ratio <= MOST_RATIO:  # the others would fail, or fill the memory
        up, down = ratio.as_integer_ratio()
    if not 1 <= max(up, down) <= MOST_RATIO:
        steps = range(1, MOST_RATIO + 1)
        whole = [n for n in steps if abs(n * ratio - round(min(n * ratio, 1e9))) < 1e-9]
        whole = [n for n in whole if 1 <= round(n * ratio) <= MOST_RATIO]
        require(
            whole,
            f"{where}: {asked:g} Hz and {rate:g} Hz have no common step; choose a rate whose ratio "
            f"to {rate:g} Hz is one of whole numbers from 1 to {MOST_RATIO}",
        )
        up, down = round(whole[0] * ratio), whole[0]
    _require_whole(recording, "resample_hz", where)
    offsets = recording.run_offsets
    run = np.searchsorted(offsets, recording.event_sample, side="right") - 1
    lengths = [-(-(stop - first) * up // down) for first, stop in _ends(offsets)]
    after = np.cumsum([0, *lengths])
    within = np.round((recording.event_sample - offsets[run]) * up / down).astype(np.int64)
    events = after[run] + np.minimum(within, np.asarray(lengths)[run] - 1)

    def changed(array: np.ndarray) -> np.ndarray:
        one = functools.partial(run_filters.at_another_rate, up=up, down=down)
        return _in_runs(array, offsets, lengths, lambda run, put: one(run, put=put), folder)

    speech = recording.speech
    recording = recording._replace(
        values=changed(recording.values),
        speech=None if speech is None else np.array(changed(speech)),  # held whole
        sampling_hz=rate * up / down,
        run_offsets=after.astype(np.int64),
        event_sample=events,
    )
    return recording, f"resampled from {rate:g} to {rate * up / down:g} Hz (polyphase filter)"


def _scaled(
    recording: Recording, typed: str, where: str, folder: Path | None
) -> tuple[Recording, str]:
    require(typed == "robust", f"{where}: scale={typed[:40]!r}; expected robust, or leave it out")
    values = recording.values

    def whole() -> Iterator[np.ndarray]:
        """Samples of which all channels are known."""
        for _, block in row_blocks(values):
            yield block[np.isfinite(block).all(1)]

    number = sum(map(len, whole()))
    require(number, f"{where}: no sample has all channels; leave scale out")
    scale = robust_scale.of_blocks(whole, number)
    changed = ((block - scale.centre) / scale.spread for _, block in row_blocks(values))
    words = "each channel less its median, divided by its interquartile range / 1.349 (all runs)"
    values = kept(changed, values.shape[1], folder, len(values))
    return recording._replace(values=values, unit="a.u."), words


def _in_runs(
    array: np.ndarray,
    offsets: np.ndarray,
    lengths: Sequence[int],
    change: Callable[[np.ndarray, run_filters.Put], None],
    folder: Path | None,
) -> np.ndarray:
    """What a change makes of each run of an array [samples, C], float32 [sum of lengths, C]."""
    with Rows(folder, array.shape[1], sum(lengths)) as rows:
        at = 0
        for (first, stop), length in zip(_ends(offsets), lengths, strict=True):
            change(array[first:stop], lambda place, block, at=at: rows.put(at + place, block))
            at += length
        return rows.array()


def _ends(offsets: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))


def _require_whole(recording: Recording, name: str, where: str) -> None:
    if not all(np.isfinite(block).all() for _, block in row_blocks(recording.values)):
        raise InputError(
            f"{where} has samples that were not recorded, which {name} would spread over their "
            "neighbours; leave it out, or leave out what was not recorded"
        )


_STEPS = {"band_hz": _band, "resample_hz": _resampled, "scale": _scaled}
