"""From scans to one response of each voxel a picture: runs without their drift, means of a window.

Pure functions over arrays; `readers.fmri` reads the files.
"""

import math
from typing import NamedTuple

import numpy as np

from neurojax.errors import require


class Scans(NamedTuple):
    """Runs of one person and what was shown in them.

    Attributes:
        bold: float or int [volumes, voxels], runs end to end.
        run: int [volumes], rising: which run a volume is of.
        tr_s: seconds from volume to volume.
        event_run, onset_s: [events], seconds from the start of the run's first volume.
        picture: str [events].
        num_unknown: events that were left out, without an onset or a picture.
        num_silent: runs that were left out, without events.
    """

    bold: np.ndarray
    run: np.ndarray
    tr_s: float
    event_run: np.ndarray
    onset_s: np.ndarray
    picture: np.ndarray
    num_unknown: int = 0
    num_silent: int = 0


def without_drift(bold: np.ndarray, run: np.ndarray) -> np.ndarray:
    """Each voxel less the line through each run, over what is left of it: float32 [volumes, N].

    A voxel that does not change in a run is zero there.
    """
    found = np.zeros(bold.shape, np.float32)
    for own in np.unique(run):
        rows = np.flatnonzero(run == own)
        part = bold[rows].astype(np.float64)
        time = np.arange(len(rows)) - (len(rows) - 1) / 2
        part -= part.mean(0)
        if len(rows) > 1:
            part -= time[:, None] * (time @ part) / (time @ time)
        spread = part.std(0)
        # What rounding leaves of a voxel at rest is no signal.
        alive = spread > 1e-6 * np.maximum(np.abs(bold[rows]).max(0), 1e-12)
        found[rows] = np.where(alive, part / np.where(alive, spread, 1), 0)
    return found


def window_of(text: str, where: str) -> tuple[float, float]:
    """`FROM:TO` in seconds after an onset; raises InputError for anything else."""
    parts = text.split(":")
    try:
        ends = [float(part) for part in parts]
    except ValueError:
        ends = []
    require(
        len(ends) == 2 and all(map(math.isfinite, ends)) and -60 <= ends[0] < ends[1] <= 600,
        f"{where}: window_s={text[:40]!r}; expected FROM:TO in seconds after an onset, such as 3:8",
    )
    return ends[0], ends[1]


def responses(scans: Scans, window_s: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Means over the volumes that begin within a window after each onset.

    Returns:
        (float32 [kept, voxels], bool [events]: those whose whole window lies in their run).

    Raises:
        InputError: no volume of any event begins within the window.
    """
    level = without_drift(scans.bold, scans.run)
    found, kept = [], np.zeros(len(scans.picture), bool)
    # A hair's breadth, for onsets that are multiples of the TR but for rounding.
    first = np.ceil((scans.onset_s + window_s[0]) / scans.tr_s - 1e-4).astype(np.int64)
    stop = np.ceil((scans.onset_s + window_s[1]) / scans.tr_s - 1e-4).astype(np.int64)
    for event, run in enumerate(scans.event_run):
        rows = np.flatnonzero(scans.run == run)
        if 0 <= first[event] < stop[event] <= len(rows):
            kept[event] = True
            found.append(level[rows[first[event] : stop[event]]].mean(0))
    require(
        found,
        f"no picture has all of the window {window_s[0]:g}:{window_s[1]:g} s in its run, of "
        f"{scans.tr_s:g} s a volume; give another --options=window_s",
    )
    return np.stack(found).astype(np.float32), kept
