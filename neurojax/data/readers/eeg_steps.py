"""Steps from a recording to what is kept: band-pass, resampling, robust scaling; each has a name.

Every step works within a run: no sample of one run reaches another. What was done is told in words,
which the card of the session keeps.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import signal

from neurojax.data import robust_scale
from neurojax.data.readers.eeg_recording import Recording
from neurojax.data.readers.spec import as_number
from neurojax.errors import InputError, require

ORDER = 4  # of the Butterworth filter, which runs both ways
MOST_RATIO = 1000  # of the whole numbers that a change of rate is made of
NAMES = ("band_hz", "resample_hz", "scale")


def applied(
    recording: Recording, asked: Mapping[str, str | None], where: str
) -> tuple[Recording, list[str]]:
    """A recording after the steps that are asked for, always in the order of `NAMES`, and their
    words.

    Args:
        recording: with NaN where nothing was recorded; a filter would smear these, so a run with
            one is refused for `band_hz` and `resample_hz`.
        asked: name -> as typed; None for a step that is left out.
        where: the recording, for messages.

    Raises:
        InputError: a step that cannot be made.
    """
    told = []
    for name in NAMES:
        if asked.get(name) is not None:
            recording, words = _STEPS[name](recording, str(asked[name]), where)
            told.append(words)
    return recording, told


def _band(recording: Recording, typed: str, where: str) -> tuple[Recording, str]:
    low, high = (as_number(part) for part in (typed.split("-") + [""])[:2])
    rate = recording.sampling_hz
    require(
        typed.count("-") == 1 and 0 < low < high < rate / 2,
        f"{where}: band_hz={typed[:40]!r}; expected two rising numbers of Hz below half of the "
        f"sampling rate ({rate / 2:g} Hz), such as 1-40",
    )
    _require_whole(recording, "band_hz", where)
    sections = signal.butter(ORDER, [low, high], btype="bandpass", fs=rate, output="sos")
    # Both ways a filter reaches this many samples over an end, which it makes up by reflection.
    padding = 3 * (2 * len(sections) + 1)
    shortest = int(np.diff(recording.run_offsets).min())
    require(
        shortest > padding,
        f"{where}: a run has {shortest} samples, expected more than {padding} for a band-pass; "
        "leave the run out",
    )

    def filtered(run: np.ndarray) -> np.ndarray:
        return signal.sosfiltfilt(sections, run.astype(np.float64), axis=0).astype(np.float32)

    words = f"band-pass {low:g} to {high:g} Hz (Butterworth of order {ORDER}, both ways)"
    return _in_runs(recording, filtered), words


def _resampled(recording: Recording, typed: str, where: str) -> tuple[Recording, str]:
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

    def changed(run: np.ndarray) -> np.ndarray:
        return signal.resample_poly(run.astype(np.float64), up, down, axis=0, padtype="line")

    offsets = recording.run_offsets
    run = np.searchsorted(offsets, recording.event_sample, side="right") - 1
    lengths = [0, *(-(-(stop - first) * up // down) for first, stop in _ends(offsets))]
    after = np.cumsum(lengths)
    within = np.round((recording.event_sample - offsets[run]) * up / down).astype(np.int64)
    events = after[run] + np.minimum(within, np.asarray(lengths)[run + 1] - 1)
    recording = _in_runs(recording, lambda part: changed(part).astype(np.float32))
    recording = recording._replace(
        sampling_hz=rate * up / down, run_offsets=after.astype(np.int64), event_sample=events
    )
    return recording, f"resampled from {rate:g} to {rate * up / down:g} Hz (polyphase filter)"


def _scaled(recording: Recording, typed: str, where: str) -> tuple[Recording, str]:
    require(typed == "robust", f"{where}: scale={typed[:40]!r}; expected robust, or leave it out")
    values = recording.values
    seen = np.isfinite(values).all(1)
    require(seen.any(), f"{where}: no sample has all channels; leave scale out")
    scale = robust_scale.of_samples(values[seen])
    changed = ((values - scale.centre) / scale.spread).astype(np.float32)
    words = "each channel less its median, divided by its interquartile range / 1.349 (all runs)"
    return recording._replace(values=changed, unit="a.u."), words


def _in_runs(recording: Recording, change: Callable[[np.ndarray], np.ndarray]) -> Recording:
    parts = [change(recording.values[first:stop]) for first, stop in _ends(recording.run_offsets)]
    values = np.concatenate(parts)
    speech = recording.speech
    if speech is not None and len(values) != len(speech):  # the rate changed
        ends = _ends(recording.run_offsets)
        speech = np.concatenate([change(speech[first:stop]) for first, stop in ends])
    return recording._replace(values=values, speech=speech)


def _ends(offsets: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))


def _require_whole(recording: Recording, name: str, where: str) -> None:
    if not np.isfinite(recording.values).all():
        raise InputError(
            f"{where} has samples that were not recorded, which {name} would spread over their "
            "neighbours; leave it out, or leave out what was not recorded"
        )


_STEPS = {"band_hz": _band, "resample_hz": _resampled, "scale": _scaled}
