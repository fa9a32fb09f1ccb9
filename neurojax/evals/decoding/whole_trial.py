"""A class or number of each trial from its signals: bin by bin, smoothed, or in windows.

Chosen one after the other on inner folds: the width of a Gaussian, the length of the windows (each
bin to the whole trial), how far the spreads of units are made equal, square roots, and the penalty
of a logistic regression (classes) or ridge (numbers). Widths and windows are in seconds. Rows of
trials enter by their inner products alone.
"""

from collections.abc import Callable, Sequence

import numpy as np

from neurojax.evals.decoding import features, probes, search
from neurojax.evals.decoding.crossval import ReadOut
from neurojax.evals.decoding.features import EACH_BIN, WHOLE_TRIAL, Features
from neurojax.evals.decoding.folds import Fold
from neurojax.evals.decoding.targets import CATEGORICAL, PER_TRIAL, Target

WINDOWS_S = (EACH_BIN, 0.05, 0.1, 0.2, 0.4, WHOLE_TRIAL)
# signals are divided by this power of their spread, pooled over bins or windows
EQUALISED = (0.5, 0.0, 1.0)
START = {"width_s": 0.0, "window_s": EACH_BIN, "equalised": 0.5, "square_root": search.NO_ROOTS}
_BLOCK = 4096  # columns


def read_out(parts: Sequence[Features], bin_size_s: float, *, roots: bool) -> ReadOut:
    """The nested read-out.

    Args:
        parts: signals of each bin; several of the same trials weigh the same in any unit.
        bin_size_s: width of a bin, seconds.
        roots: whether square roots are tried (signals must not be negative).
    """
    axes = {
        "width_s": search.widths(bin_size_s),
        "window_s": windows(parts[0], bin_size_s),
        "equalised": EQUALISED,
        "square_root": search.ROOTS if roots else [search.NO_ROOTS],
    }

    def products(settings: search.Settings, fitting: np.ndarray) -> np.ndarray:
        """Inner products [K, K] of all trials, made from the fitting ones' means and spreads."""
        return sum(_products(part, settings, bin_size_s, fitting, len(parts) > 1) for part in parts)

    def choose(target: Target, fitting: np.ndarray, inner: Sequence[Fold]) -> ReadOut:
        num_classes = len(target.classes)
        penalties = (
            probes.SCALED_INVERSE_PENALTIES if target.kind == CATEGORICAL else probes.PENALTIES
        )
        near = [len(penalties) // 2]  # where the last search for a penalty ended

        def loss(settings: search.Settings) -> float:
            gram = products(settings, fitting)
            fits = [_fit(_space(gram, fold), target, fold[0], num_classes) for fold in inner]
            wanted = [target.values[asked] for _, asked in inner]

            def error(place: int) -> float:
                found = [fit((penalties[place],))[0] for fit in fits]
                return float(_error(np.concatenate(found), np.concatenate(wanted), target.kind))

            place, found = search.hollow(error, len(penalties), near[0])
            near[0] = place
            return found

        best = search.by_coordinate(axes, START, loss)
        chosen = products(best, fitting)
        is_whole = best["window_s"] == WHOLE_TRIAL
        whole = {"window_s": None, "whole_trial": True} if is_whole else {}

        def on_fold(penalty: float, fold: Fold) -> Callable[[Target], np.ndarray]:
            space = _space(chosen, fold)
            return lambda target: _fit(space, target, fold[0], num_classes)((penalty,))

        def fit(target: Target, fitting: np.ndarray, asked: np.ndarray) -> np.ndarray:
            space = _space(chosen, (fitting, asked))
            return _fit(space, target, fitting, num_classes)(penalties)

        setting = "inverse_penalty" if target.kind == CATEGORICAL else "penalty"
        return ReadOut(fit, penalties, on_fold, setting, told={**best, **whole})

    return ReadOut(None, (), choose=choose)


def windows(signals: Features, bin_size_s: float) -> list[float]:
    """Those of WINDOWS_S from two bins to under every trial; each bin; the whole trial."""
    common = features.common_bins(signals)
    inside = [window for window in WINDOWS_S[1:-1] if 2 <= round(window / bin_size_s) < common]
    return [EACH_BIN, *inside, WHOLE_TRIAL]


def _rows(part: Features, settings: search.Settings, bin_size_s: float) -> np.ndarray:
    """float32 [K, P], a row a trial."""
    window, roots = settings["window_s"], settings["square_root"]
    found = features.square_root(part) if roots == search.OF_COUNTS else part
    found = features.smoothed(found, settings["width_s"] / bin_size_s)
    means = found.signals.sum(1) / part.bin_valid.sum(1, keepdims=True)
    if window == WHOLE_TRIAL:
        rows = means
    elif window == EACH_BIN:
        rows = features.design(found, PER_TRIAL, (0,))
    else:
        rows = features.averaged(found, round(window / bin_size_s)).signals.reshape(len(means), -1)
        if not part.bin_valid.all():  # what the longer trials hold beyond the shortest
            rows = np.concatenate([rows, means], axis=1)
    return np.sqrt(np.maximum(rows, 0)) if roots == search.OF_RATES else rows


def _products(
    part: Features,
    settings: search.Settings,
    bin_size_s: float,
    fitting: np.ndarray,
    alone_scaled: bool,
) -> np.ndarray:
    """Inner products [K, K] of centred and scaled rows, a block of columns at a time.

    `alone_scaled` gives the fitting trials a mean square length of 1, so that parts in any unit
    weigh the same.
    """
    rows = _rows(part, settings, bin_size_s)
    num_units = part.signals.shape[-1]
    mean = rows[fitting].mean(0)
    scale = np.ones(num_units, np.float32)
    if settings["equalised"]:
        spread = np.sqrt(rows[fitting].var(0).reshape(-1, num_units).mean(0))
        scale = np.where(
            spread > 1e-8, np.where(spread > 1e-8, spread, 1.0) ** -settings["equalised"], 0.0
        )
    # Columns are units within bins: one scale a unit, the same in all of them.
    scale = np.tile(scale.astype(np.float32), rows.shape[1] // num_units)
    total = np.zeros((len(rows), len(rows)))
    # A block at a time: centred and scaled, all rows would be a second copy in memory.
    for start in range(0, rows.shape[1], _BLOCK):
        columns = slice(start, start + _BLOCK)
        block = (rows[:, columns] - mean[columns]) * scale[columns]
        total += block @ block.T
    return total / (np.diag(total)[fitting].mean() or 1.0) if alone_scaled else total


def _space(gram: np.ndarray, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Rows as `probes.centred_row_space` gives them, from inner products."""
    fitting, asked = fold
    products = probes.centred_products(gram[np.ix_(fitting, fitting)], gram[np.ix_(asked, fitting)])
    return probes.scaled_rows(*probes.rows_of_products(*products))


def _fit(
    space, target: Target, fitting: np.ndarray, num_classes: int
) -> Callable[[Sequence[float]], np.ndarray]:
    """penalties -> [penalties, asked, ...] of a fit in the row space of one fold."""
    known, wanted = space
    values = target.values[fitting]
    if target.kind == CATEGORICAL:
        return lambda penalties: probes.logistic(known, values, wanted, penalties, num_classes)
    # axes of the row space are at right angles
    mean, squares = values.mean(0), np.square(known).sum(0)
    inner = known.T @ (values - mean)
    return lambda penalties: np.stack(
        [wanted @ (inner / (squares + p)[:, None]) + mean for p in penalties]
    )


def _error(predicted: np.ndarray, values: np.ndarray, kind: str) -> float:
    """Of held-out trials: minus mean log-probability, or error over variance."""
    if kind == CATEGORICAL:
        return -predicted[np.arange(len(values)), values].mean()
    return (np.square(predicted - values).sum(0) / np.square(values - values.mean(0)).sum(0)).mean()
