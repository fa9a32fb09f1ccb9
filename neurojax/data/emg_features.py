"""Numbers that tell of a window of surface EMG: amplitudes, counts, and how channels go together.

    hand     of each channel: log mean absolute value, log waveform length (both of 1 + the value in
             halves of `min_step`), zero crossings, slope sign changes, its share of the mean
             absolute value of all channels
    bands    of each channel: log power in six bands of equal width from 0 Hz on
    pairs    matrix logarithm of the covariance of the channels, of the signal, of its steps (high
             frequencies) and of the sums of neighbouring samples (low ones)

Everything is in units of the least step that counts, so that a recording in another unit with
`min_step` in it has the same features (band powers and logarithms of covariances but for a
constant, which standardising takes out). Reordering the channels of a window reorders its features
(`reordered`), so that an armband that was worn turned or the other way round can be read as if it
had not been.

Sources: the first four are those of Hudgins et al. 1993, IEEE Trans Biomed Eng 40:82-94; logarithms
of covariances Barachant et al. 2012, IEEE Trans Biomed Eng 59:920-928.
"""

import numpy as np

from neurojax.data.session import Session

MIN_STEP = 2.0  # of a crossing or a slope sign change, in units of an 8-bit armband: less is noise
NUM_HAND, NUM_BANDS, NUM_PAIRS = 5, 6, 3  # blocks of features


def observed_windows(session: Session, trials: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Windows of trials, float32 [n, T, C]; what was not observed stands at its channel's mean.

    Args:
        trials: int [n].
        mean: of each channel over the recording, [C], as of `check_signals.channel_moments`.
    """
    windows = session.gather_trials(trials)[0].astype(np.float32)
    if session.validity is None:
        return windows
    return np.where(session.entry_valid(trials), windows, np.asarray(mean, np.float32))


def window_features(windows: np.ndarray, min_step: float = MIN_STEP) -> np.ndarray:
    """The hand-made features of windows [n, T, C], float64 [n, 5 C]: C of each, as listed above.

    Args:
        windows: real numbers, in the unit of the recording.
        min_step: least step between two samples that a zero crossing or a slope sign change needs;
            amplitudes are in halves of it.
    """
    windows, unit = np.asarray(windows, np.float32), min_step / 2
    steps = np.diff(windows, axis=1)  # [n, T - 1, C]
    is_large = np.abs(steps) >= min_step
    crosses = (windows[:, 1:] * windows[:, :-1] < 0) & is_large
    turns = (steps[:, 1:] * steps[:, :-1] < 0) & (is_large[:, 1:] | is_large[:, :-1])
    mean_absolute = np.abs(windows).mean(1, dtype=np.float64)  # [n, C]
    length = np.abs(steps).sum(1, dtype=np.float64)
    total = np.maximum(mean_absolute.sum(1, keepdims=True), 1e-9 * unit)
    sizes = np.log1p(mean_absolute / unit), np.log1p(length / unit)
    parts = (*sizes, crosses.sum(1), turns.sum(1))
    return np.concatenate([*parts, mean_absolute / total], axis=1)


def all_features(windows: np.ndarray, min_step: float = MIN_STEP) -> np.ndarray:
    """All features of windows [n, T, C], float32 [n, F]: hand, bands, pairs; see `num_features`.

    Args:
        windows: real numbers, in the unit of the recording.
        min_step: as of `window_features`; the square of half of it is added to every power, so
            that logarithms of silence are numbers.
    """
    windows = np.asarray(windows, np.float32)
    least = (min_step / 2) ** 2
    steps = np.diff(windows, axis=1)
    sums = (windows[:, 1:] + windows[:, :-1]) / 2
    parts = [window_features(windows, min_step), _band_power(windows, least)]
    parts += [_log_covariance(signal, least) for signal in (windows, steps, sums)]
    return np.concatenate([part.astype(np.float32) for part in parts], axis=1)


def num_features(num_channels: int) -> int:
    """F of windows of so many channels."""
    pairs = num_channels * (num_channels + 1) // 2
    return (NUM_HAND + NUM_BANDS) * num_channels + NUM_PAIRS * pairs


def reordered(order: np.ndarray) -> np.ndarray:
    """Columns of the features of windows whose channels are reordered, int [F].

    `all_features(windows[:, :, order]) == all_features(windows)[:, reordered(order)]`

    Args:
        order: int [C], the channel that comes at each place.
    """
    order = np.asarray(order)
    channels = len(order)
    rows, columns = np.triu_indices(channels)
    place = np.zeros((channels, channels), np.int64)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    blocks = NUM_HAND + NUM_BANDS
    single = np.arange(blocks)[:, None] * channels + order  # [blocks, C]
    paired = np.arange(NUM_PAIRS)[:, None] * len(rows) + place[order[rows], order[columns]]
    return np.concatenate([single.ravel(), blocks * channels + paired.ravel()])


def _band_power(windows: np.ndarray, least: float) -> np.ndarray:
    """Log power in bands of equal width, by band and channel, [n, bands C]."""
    taper = np.hanning(windows.shape[1] + 2)[1:-1].astype(np.float32)
    spectrum = np.fft.rfft(windows * taper[:, None], axis=1)  # [n, frequencies, C]
    power = (spectrum.real**2 + spectrum.imag**2) / np.square(taper).sum()
    means = [power[:, first:last].mean(1) for first, last in band_edges(power.shape[1])]
    return np.log(np.concatenate(means, axis=1) + least)


def band_edges(num_frequencies: int) -> list[tuple[int, int]]:
    """The first frequency of each band and the one after its last."""
    edges = np.linspace(0, num_frequencies, NUM_BANDS + 1).round().astype(int)
    # A window too short for so many bands has some that hold the frequency before them.
    return [
        (int(min(first, last - 1)), int(last))
        for first, last in zip(edges, np.maximum(edges[1:], 1), strict=False)
    ]


def _log_covariance(signal: np.ndarray, least: float) -> np.ndarray:
    """Matrix logarithm of the second moments of signals [n, T, C], [n, C (C + 1) / 2].

    Entries beside the diagonal are times the root of two: distances are those of the matrices.
    """
    moments = np.einsum("ntc,ntd->ncd", signal, signal, optimize=True) / signal.shape[1]
    moments = moments.astype(np.float64) + least * np.eye(signal.shape[2])
    values, vectors = np.linalg.eigh(moments)
    logs = (vectors * np.log(np.maximum(values, least / 2))[:, None, :]) @ vectors.swapaxes(1, 2)
    rows, columns = np.triu_indices(signal.shape[2])
    return logs[:, rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2.0))
