"""Centre and spread of the channels of a signal that outliers hardly move: median and interquartile
range."""

from typing import NamedTuple

import numpy as np

from neurojax.data.order_statistics import Blocks, percentiles
from neurojax.data.session import TRAIN, Session

IQR_SD = 1.349  # interquartile range of a normal distribution, in standard deviations
_MOST_TRIALS, _MOST_ROWS = 2000, 200_000  # looked at, evenly spread


class Scale(NamedTuple):
    """What is taken from each channel and what it is divided by, float32 [C]."""

    centre: np.ndarray
    spread: np.ndarray


def of_samples(samples: np.ndarray) -> Scale:
    """Median, and interquartile range as a standard deviation, of samples [any, C].

    A channel that hardly ever changes has no such range: it is divided by its standard deviation,
    one that never changes by 1.
    """
    samples = np.asarray(samples, np.float64)
    return _scale(*np.percentile(samples, [25, 50, 75], axis=0), samples.std(0))


def of_blocks(blocks: Blocks, number: int) -> Scale:
    """`of_samples` of samples that come in blocks, several times over; none of them is held.

    Args:
        blocks: gives blocks [n, C] of float32 or float64, none of them NaN.
        number: samples of all blocks together, one at least.
    """
    quarters = percentiles(blocks, number, (0.25, 0.5, 0.75))
    mean = _sum(blocks, 0.0) / number
    return _scale(*quarters, np.sqrt(_sum(blocks, mean, power=2) / number))


def _sum(blocks: Blocks, less: np.ndarray | float, power: int = 1) -> np.ndarray:
    """Sum of (samples - less) ** power, row after row as numpy adds columns, float64 [C]."""
    total = None
    for block in blocks():
        own = (block.astype(np.float64) - less) ** power
        total = own.sum(0) if total is None else np.concatenate([total[None], own]).sum(0)
    return total


def _scale(low: np.ndarray, centre: np.ndarray, high: np.ndarray, deviation: np.ndarray) -> Scale:
    """Of quartiles and standard deviations, float64 [C]."""
    spread = (high - low) / IQR_SD
    spread = np.where(spread > 0, spread, deviation)
    return Scale(centre.astype(np.float32), np.where(spread > 0, spread, 1).astype(np.float32))


def of_session(session: Session) -> Scale:
    """Of the train trials of a recording, or of all where it has none; no label is looked at."""
    own = session.trials_of(TRAIN)
    own = own if len(own) else np.arange(session.num_trials)
    own = own[np.linspace(0, len(own) - 1, min(len(own), _MOST_TRIALS)).astype(int)]
    starts, sizes = session.trial_start_bin[own].tolist(), session.trial_num_bins[own].tolist()
    listed = [np.arange(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    rows = np.concatenate(listed)
    return of_samples(np.asarray(session.values)[rows[:: max(1, len(rows) // _MOST_ROWS)]])
