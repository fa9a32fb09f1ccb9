"""What a read-out sees: spikes, plain, smoothed or averaged; a model's rates or latents."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from neurojax.data.session import Session
from neurojax.errors import InputError, require
from neurojax.evals.decoding.targets import PER_BIN

MAX_DESIGN_BYTES = 2**32
LEAST_SIGMA_BINS = 0.5  # a narrower Gaussian leaves the bins as they are
MAX_BINS_OF_A_MATRIX = 256
EACH_BIN, WHOLE_TRIAL = 0.0, float("inf")  # windows and lags without a length in seconds


@dataclasses.dataclass(frozen=True)
class Features:
    """Signals of each bin, [K, T, C] float32, zero in the bins that a trial lacks.

    Attributes:
        name: "counts", "smoothed", "rates", "latents" or one of them with a region.
        signals: float32 [K, T, C]; at a signal's mean over its observed bins where it was not
            observed.
        bin_valid: bool [K, T].
        observed: bool [K, T, C], or None where all signals were, and once they are smoothed.
    """

    name: str
    signals: np.ndarray
    bin_valid: np.ndarray
    observed: np.ndarray | None = None


def spikes(session: Session, trial_ids: np.ndarray, units: np.ndarray | None = None) -> Features:
    """Spike counts of all units, or of those where `units`, bool [N], holds."""
    counts, bin_valid = session.gather_trials(trial_ids)
    counts = counts if units is None else counts[..., units]
    found = Features("counts", counts.astype(np.float32), bin_valid)
    if session.validity is None:
        return found
    observed = session.entry_valid(trial_ids)
    return _filled(found, observed if units is None else observed[..., units])


def _filled(raw: Features, observed: np.ndarray) -> Features:
    """Signals at their mean where they were not observed: nothing above or below what is usual."""
    seen = np.where(observed, raw.signals, 0)
    mean = seen.sum((0, 1), dtype=np.float64) / np.maximum(observed.sum((0, 1)), 1)
    signals = np.where(observed, raw.signals, mean.astype(np.float32))
    signals = np.where(raw.bin_valid[..., None], signals, np.float32(0))
    return dataclasses.replace(raw, signals=signals, observed=observed)


def side_by_side(first: Features, second: Features) -> Features:
    """Signals of the same trials beside one another."""
    observed = None
    if first.observed is not None or second.observed is not None:
        parts = [
            np.broadcast_to(part.bin_valid[..., None], part.signals.shape)
            if part.observed is None
            else part.observed
            for part in (first, second)
        ]
        observed = np.concatenate(parts, axis=-1)
    signals = np.concatenate([first.signals, second.signals], axis=-1)
    return dataclasses.replace(first, signals=signals, observed=observed)


def smoothed(raw: Features, sigma_bins: float) -> Features:
    """Signals under a Gaussian within each trial, renormalised at the trial's ends."""
    if sigma_bins < LEAST_SIGMA_BINS:
        return raw
    # Divided by what the kernel holds of valid bins, or signals would sink towards the ends.
    weight = _filtered(raw.bin_valid.astype(np.float32)[..., None], sigma_bins)
    signals = _filtered(raw.signals, sigma_bins)
    signals = np.where(raw.bin_valid[..., None], signals / np.maximum(weight, 1e-6), 0.0)
    return Features("smoothed", signals.astype(np.float32), raw.bin_valid)


def _filtered(signals: np.ndarray, sigma_bins: float) -> np.ndarray:
    """[K, T, C] under a Gaussian; short trials by one matrix product, many times faster."""
    num_bins = signals.shape[1]
    # A matrix of bins by bins grows with the square of the trial.
    if num_bins > MAX_BINS_OF_A_MATRIX:
        return gaussian_filter1d(signals, sigma_bins, axis=1, mode="constant")
    return (
        gaussian_filter1d(np.eye(num_bins, dtype=np.float32), sigma_bins, axis=0, mode="constant")
        @ signals
    )


def square_root(raw: Features) -> Features:
    """Square roots of signals that are not negative."""
    found = dataclasses.replace(raw, signals=np.sqrt(np.maximum(raw.signals, 0)))
    # The root of a mean is not the mean of roots.
    return found if raw.observed is None else _filled(found, raw.observed)


def averaged(raw: Features, window_bins: int) -> Features:
    """Means over windows of the bins all trials have (a last one may be short): [K, W, C]."""
    common = common_bins(raw)
    starts = np.arange(0, common, window_bins)
    lengths = np.diff(np.append(starts, common)).astype(np.float32)
    means = np.add.reduceat(raw.signals[:, :common], starts, axis=1) / lengths[:, None]
    return Features("averaged", means, np.ones(means.shape[:2], bool))


def common_bins(raw: Features) -> int:
    """Bins of the shortest trial."""
    return int(raw.bin_valid.sum(1).min())


def design(features: Features, kind: str, lags_bins: Sequence[int]) -> np.ndarray:
    """Rows for a read-out.

    Args:
        features: signals of each bin.
        kind: PER_BIN gives every bin its signals at `lags_bins` around it (zero beyond the trial's
            ends); other kinds give every trial its signals in the bins that all trials have, and
            their mean over the trial where trials differ in length.
        lags_bins: offsets in bins; negative looks back.

    Returns:
        float32 [K, T, C * lags] for PER_BIN, else [K, T_common * C (+ C)].

    Raises:
        InputError: the rows of so many lags do not fit in memory.
    """
    signals, bin_valid = features.signals, features.bin_valid
    if kind == PER_BIN:
        if (num_bytes := signals.nbytes * len(lags_bins)) > MAX_DESIGN_BYTES:
            raise InputError(
                f"{features.name}: {len(lags_bins)} lags of {signals.shape[-1]} signals take"
                f" {num_bytes / 2**30:.1f} GiB, expected at most {MAX_DESIGN_BYTES / 2**30:.0f};"
                " take fewer lags, such as -2:0"
            )
        return np.concatenate([shifted(signals, lag) for lag in lags_bins], axis=-1)
    # A column must mean the same bin in every trial: bins that some trials lack enter as a mean.
    common = common_bins(features)
    flat = signals[:, :common].reshape(len(signals), -1)
    if common == signals.shape[1]:
        return flat
    means = signals.sum(1) / bin_valid.sum(1, keepdims=True)
    return np.concatenate([flat, means], axis=1)


def parse_lags(text: str) -> tuple[int, ...]:
    """ "-4:4" -> (-4, ..., 4); raises InputError."""
    first, _, last = text.partition(":") if isinstance(text, str) else ("", "", "")
    try:
        lags = tuple(range(int(first), int(last or first) + 1))
    except ValueError:
        lags = ()
    require(
        1 <= len(lags) <= 101,
        f"lags={text!r}; expected FIRST:LAST in bins, such as -4:0 for this bin and four "
        "earlier ones",
    )
    return lags


def shifted(signals: np.ndarray, lag: int) -> np.ndarray:
    """signals[:, t + lag] of [K, T, ...], zero beyond the ends."""
    result = np.zeros_like(signals)
    if abs(lag) < signals.shape[1]:
        source = signals[:, lag:] if lag >= 0 else signals[:, :lag]
        place = slice(0, signals.shape[1] - lag) if lag >= 0 else slice(-lag, None)
        result[:, place] = source
    return result
