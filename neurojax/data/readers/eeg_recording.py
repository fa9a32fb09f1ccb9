"""What a file of EEG holds, whatever its kind: samples, channels and their places, runs, events."""

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.data.readers.kept_rows import Rows
from neurojax.data.row_blocks import row_blocks
from neurojax.errors import require

MAX_CHANNELS = 10_000
_SCALE_UV = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "μv": 1.0, "nv": 1e-3}


class Recording(NamedTuple):
    """One person's recording; runs lie end to end and are not contiguous in time.

    Attributes:
        values: float32 [samples, C], in `unit`; NaN where a sample was not recorded. A memory map
            where there was a folder for it.
        sampling_hz: samples per second.
        channel: names, C of them, all different.
        position: float64 [C, 2], right and forward of the middle of the head in head radii on a
            flat map; NaN where it is not known.
        run_offsets: int64 [runs + 1], first sample of each run and the end of the last.
        event_sample: int64 [events], sample of each event, rising; -1 cannot be.
        events: name -> [events], what each event was.
        unit: "uV", or "a.u." where it is not known.
        speech: float32 [samples, F], features of what was said; None without.
        texts: licence, subject_id, ... as far as they are there.
        odd: what was found and left out, in words -> how often.
    """

    values: np.ndarray
    sampling_hz: float
    channel: tuple[str, ...]
    position: np.ndarray
    run_offsets: np.ndarray
    event_sample: np.ndarray
    events: Mapping[str, np.ndarray]
    unit: str = "uV"
    speech: np.ndarray | None = None
    texts: Mapping[str, str] = {}  # noqa: RUF012  never written to
    odd: Mapping[str, int] = {}  # noqa: RUF012


def checked(recording: Recording, where: str) -> Recording:
    """A recording whose sizes make sense; raises InputError for one whose do not."""
    num_samples, num_channels = recording.values.shape
    require(
        0 < recording.sampling_hz < 1e6,
        f"{where}: sampling rate {recording.sampling_hz:g} Hz; expected a number above 0",
    )
    require(num_channels <= MAX_CHANNELS, f"{where} has {num_channels} channels; too many")
    sample = recording.event_sample
    require(
        not len(sample) or (sample.min() >= 0 and sample.max() < num_samples),
        f"{where}: events go from sample {sample.min() if len(sample) else 0} to "
        f"{sample.max() if len(sample) else 0}, expected 0 to {num_samples - 1}",
    )
    order = np.argsort(sample, kind="stable")
    return recording._replace(
        event_sample=sample[order],
        events={name: column[order] for name, column in recording.events.items()},
    )


def joined(runs: Iterable[Recording], where: str, folder: Path | None = None) -> Recording:
    """Runs of one person end to end, in a file of a folder where there is one.

    Args:
        runs: read one at a time, so that no more than one is open or held beside the whole.
        where: the person, for messages.
        folder: for the samples; None keeps them in memory.

    Raises:
        InputError: they differ in what must agree.
    """
    read: list[Recording] = []  # without their samples
    starts = [0]
    with contextlib.ExitStack() as stack:
        for run in runs:
            if not read:
                rows = stack.enter_context(Rows(folder, len(run.channel)))
            _require_alike(run, read[0] if read else run, len(read), where)
            _add(rows, run.values)
            starts.append(starts[-1] + len(run.values))
            read.append(run._replace(values=np.empty((0, len(run.channel)), np.float32)))
            del run  # or its samples stay while the next one is read
        values = rows.array()
    at = list(zip(read, starts, strict=False))  # starts have the end of the last one, too
    return read[0]._replace(
        values=values,
        run_offsets=np.concatenate(
            [*(run.run_offsets[:-1] + start for run, start in at), starts[-1:]]
        ).astype(np.int64),
        event_sample=np.concatenate([run.event_sample + start for run, start in at]).astype(
            np.int64
        ),
        events={
            name: np.concatenate([run.events[name] for run in read]) for name in read[0].events
        },
        odd={
            words: sum(run.odd.get(words, 0) for run in read)
            for words in dict.fromkeys(words for run in read for words in run.odd)
        },
    )


def _add(rows: Rows, values: np.ndarray) -> None:
    for _, block in row_blocks(values):
        rows.add(block)


def _require_alike(run: Recording, first: Recording, number: int, where: str) -> None:
    """Raises InputError where a run differs from the first one in what must agree."""
    for name in ("channel", "sampling_hz", "unit"):
        mine, other = getattr(run, name), getattr(first, name)
        require(
            mine == other,
            f"{where}: run {number} has {name} {str(mine)[:80]}, the first one "
            f"{str(other)[:80]}; runs of one person need the same, convert them apart",
        )
    require(
        run.events.keys() == first.events.keys(),
        f"{where}: run {number} tells {sorted(run.events)} of its events, the first one "
        f"{sorted(first.events)}; give all runs the same columns",
    )


def microvolts(unit: str) -> tuple[np.float32, str]:
    """(what values of a unit are multiplied by, "uV"); (1, "a.u.") of one that is not known."""
    scale = _SCALE_UV.get(unit.strip().lower())
    return (np.float32(1), "a.u.") if scale is None else (np.float32(scale), "uV")


def site_positions(channel: Sequence[str]) -> np.ndarray:
    """Where sites of the 10-10 system lie, float64 [C, 2] in head radii; NaN for other names.

    Right and forward of the vertex on a flat map whose radius is the angle from the vertex, 1 at
    the nasion: sites on the ring through Fpz, T7 and Oz have 0.8, rows between lie evenly.

    Source: the 10-10 system (Chatrian et al. 1985; Oostenveld and Praamstra 2001), as angles.
    """
    return np.array([_site(name) for name in channel], np.float64).reshape(-1, 2)


_MIDLINE = {
    "FP": 0.8, "AF": 0.6, "F": 0.4, "FC": 0.2, "C": 0.0,
    "CP": -0.2, "P": -0.4, "PO": -0.6, "O": -0.8,
}  # fmt: skip
_RING = {"FP": 18, "AF": 36, "F": 54, "FT": 72, "T": 90, "TP": 108, "P": 126, "PO": 144, "O": 162}
_ROW_OF = {"FT": "FC", "T": "C", "TP": "CP"}  # the ends of these rows have names of their own
_OLD = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}


def _site(name: str) -> tuple[float, float]:
    unknown = (float("nan"), float("nan"))
    typed = re.sub(r"^EEG[ _-]*|[ _.-]*(REF|LE|AVG)?[ .]*$", "", name.strip().upper())
    typed = _OLD.get(typed, typed)
    found = re.fullmatch(r"(FP|AF|FC|FT|CP|TP|PO|F|C|T|P|O)(Z|10|[1-9])", typed)
    if found is None:
        return unknown
    row, place = found.groups()
    line = _MIDLINE[_ROW_OF.get(row, row)]
    if place == "Z":
        return (0.0, line)
    number = int(place)
    side, step = (-1 if number % 2 else 1), (number + 1) // 2  # 1, 2 -> 1; 7, 8 -> 4; 9, 10 -> 5
    ring = {"FC": "FT", "C": "T", "CP": "TP"}.get(row, row)
    angle = np.radians(_RING[ring])
    end = 0.8 * np.array([side * np.sin(angle), np.cos(angle)])
    if row in ("FP", "O") or step == 4:  # the ring itself
        return tuple(end)
    if step == 5:  # a tenth below it
        return tuple(end * 1.0 / 0.8)
    middle = np.array([0.0, line])
    return tuple(middle + (end - middle) * step / 4)


def flat_map(position: np.ndarray) -> np.ndarray:
    """Places on a head, [C, 3] in any unit (x right, y forward, z up), as those of sites.

    The head is the sphere through the places as well as one fits; the angle from the vertex
    becomes the radius.
    """
    position = np.asarray(position, np.float64)
    known = np.isfinite(position).all(1)
    found = np.full((len(position), 2), np.nan)
    require(known.sum() >= 4, f"{known.sum()} channels have a place; expected four or more of them")
    places = position[known]
    square = np.concatenate([2 * places, np.ones((len(places), 1))], 1)
    solved = np.linalg.lstsq(square, (places**2).sum(1), rcond=None)[0]
    out = places - solved[:3]
    # A cap that covers no lower half hardly tells the height of the middle: never above the places.
    if not (np.linalg.norm(out, axis=1) > 0).all() or out[:, 2].max() <= 0:
        out = places - places.mean(0)
    angle = np.arctan2(np.hypot(out[:, 0], out[:, 1]), out[:, 2]) / (np.pi / 2)
    around = np.hypot(out[:, 0], out[:, 1])
    flat = out[:, :2] / np.where(around > 0, around, 1)[:, None]
    found[known] = angle[:, None] * flat
    return found
