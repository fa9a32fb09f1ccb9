"""Centre and spread of the channels of a signal that outliers hardly move: median and interquartile
range."""

from typing import NamedTuple

import numpy as np

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
    low, centre, high = np.percentile(samples, [25, 50, 75], axis=0)
    spread = (high - low) / IQR_SD
    spread = np.where(spread > 0, spread, samples.std(0))
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
