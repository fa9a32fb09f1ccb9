"""Ridge from smoothed, lagged signals to a signal of each bin; chosen on fitting trials.

Chosen one after the other on inner folds: the width of a Gaussian, how far lags reach either way
(up to the whole trial), how far the spreads of signals are made equal, square roots, and a penalty
for each dimension. Widths and reaches are in seconds. Of the two Gram matrices, of rows and of
columns, the smaller is made; in the first, lags cost a sum of shifted blocks. Where both are large,
signals are first turned into as many leading principal components as the bounds below allow.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from neurojax.evals.decoding import features, probes, search
from neurojax.evals.decoding.crossval import ReadOut
from neurojax.evals.decoding.features import WHOLE_TRIAL, Features
from neurojax.evals.decoding.folds import Fold
from neurojax.evals.decoding.targets import Target
from neurojax.scores.known import known_together

REACHES_S = (0.0, 0.1, 0.2, 0.4, 0.6, 1.0, WHOLE_TRIAL)
EQUALISED = (0.5, 0.0, 1.0)  # signals are divided by this power of their spread; 1 is unit variance
START = {"width_s": 0.04, "reach_s": 0.2, "equalised": 0.5, "square_root": search.NO_ROOTS}
# times the rows' mean square length
PENALTIES = tuple(float(10.0**power) for power in np.arange(-3, 4.1, 0.5))
LAGS_PER_WIDTH = 2  # closer lags of a smoothed signal say the same twice
MAX_ROWS, MAX_COLUMNS, MAX_WORK = 3000, 1500, 2e10  # of the Gram matrices; rows x columns^2
LEAST_COMPONENTS = 8


def read_out(signals: Features, bin_size_s: float, *, roots: bool) -> ReadOut:
    """The nested read-out.

    Args:
        signals: of each bin, before smoothing.
        bin_size_s: width of a bin, seconds.
        roots: whether square roots are tried (signals must not be negative).
    """
    axes = {
        "width_s": search.widths(bin_size_s),
        "reach_s": reaches(signals, bin_size_s),
        "equalised": EQUALISED,
        "square_root": search.ROOTS if roots else [search.NO_ROOTS],
    }

    def choose(target: Target, fitting: np.ndarray, inner: Sequence[Fold]) -> ReadOut:
        rows = _Rows(signals, bin_size_s, fitting)
        near = [PENALTIES.index(1.0)]  # where the last search for a penalty ended
        best = search.by_coordinate(
            axes, START, lambda settings: _loss(rows, settings, target, inner, near)
        )
        made = rows.made(best, np.arange(len(signals.signals)))

        def fit(target: Target, fitting: np.ndarray, asked: np.ndarray) -> np.ndarray:
            return _predicted(made, target.values, fitting, asked, PENALTIES)

        return ReadOut(fit, PENALTIES, told=rows.told(best))

    return ReadOut(None, PENALTIES, choose=choose)


def reaches(signals: Features, bin_size_s: float) -> list[float]:
    """Those of REACHES_S that differ in these bins, as far as the trial, then the trial."""
    longest = signals.bin_valid.shape[1] - 1
    found = {_in_bins(reach, bin_size_s, longest): reach for reach in reversed(REACHES_S)}
    found[longest] = WHOLE_TRIAL if longest else 0.0
    return [found[place] for place in sorted(found)]


def offsets(width_s: float, reach_s: float, bin_size_s: float, longest: int) -> np.ndarray:
    """Lags in bins, either way; of smoothed signals as far apart as half a width."""
    step = max(round(width_s / bin_size_s / LAGS_PER_WIDTH), 1)
    last = _in_bins(reach_s, bin_size_s, longest) // step * step
    return np.arange(-last, last + 1, step)


def _in_bins(reach_s: float, bin_size_s: float, longest: int) -> int:
    return longest if reach_s == WHOLE_TRIAL else min(round(reach_s / bin_size_s), longest)


class _Rows:
    """The rows of one fold under any settings, scaled by its fitting trials alone."""

    def __init__(self, signals: Features, bin_size_s: float, fitting: np.ndarray):
        self.raw, self.bin_size_s, self.fitting = signals, bin_size_s, fitting
        self.skipped: list[Mapping[str, Any]] = []
        self._smoothed: tuple = (None, None, None)

    def made(self, settings: search.Settings, trials: np.ndarray) -> "_Gram | _Columns | None":
        """Rows of some trials, on the side that is smaller; None where neither fits.

        What is made depends on sizes alone, so that all folds and trials of one recording are
        treated alike.
        """
        signals, lags = self._signals(settings), self._lags(settings)
        kept = self._components_kept(settings)
        if kept is None:
            return _Gram(signals[trials], lags)
        # With fewer it would be another method under the same name: left out, and counted.
        if kept < min(LEAST_COMPONENTS, signals.shape[-1]):
            self.skipped.append(settings)
            return None
        return _Columns(self._leading(signals, kept)[trials], lags)

    def told(self, settings: search.Settings) -> dict[str, Any]:
        """The settings in words of JSON: seconds, and what bounds made of them."""
        found = dict(settings)
        if settings["reach_s"] == WHOLE_TRIAL:
            longest = self.raw.signals.shape[1] - 1
            found |= {"reach_s": longest * self.bin_size_s, "whole_trial": True}
        kept = self._components_kept(settings)
        if kept is not None and kept < self.raw.signals.shape[-1]:
            found["components"] = kept
        if self.skipped:
            found["settings_too_large"] = len(self.skipped)
        return found

    def _lags(self, settings: search.Settings) -> np.ndarray:
        return offsets(
            settings["width_s"], settings["reach_s"], self.bin_size_s, self.raw.signals.shape[1] - 1
        )

    def _components_kept(self, settings: search.Settings) -> int | None:
        """Signals that columns have room for; None where the Gram matrix of rows takes all."""
        num_signals, num_lags = self.raw.signals.shape[-1], len(self._lags(settings))
        num_rows = int(self.raw.bin_valid[self.fitting].sum())
        most = min(
            MAX_COLUMNS,
            np.sqrt(MAX_WORK / num_rows),
            features.MAX_DESIGN_BYTES / 8 / self.raw.bin_valid.size,
        )
        if num_signals * num_lags <= min(num_rows, most):
            return num_signals
        if num_rows <= MAX_ROWS and 3 * 8 * self.raw.bin_valid.size**2 <= features.MAX_DESIGN_BYTES:
            return None
        # Both are too large: as many leading components as the columns allow.
        return min(int(most) // num_lags, num_signals)

    def _signals(self, settings: search.Settings) -> np.ndarray:
        """Smoothed and scaled signals, zero beyond the trials, [K, T, C]."""
        key = settings["width_s"], settings["square_root"]
        if self._smoothed[0] != key:
            roots = settings["square_root"]
            found = features.square_root(self.raw) if roots == search.OF_COUNTS else self.raw
            found = features.smoothed(found, settings["width_s"] / self.bin_size_s)
            found = features.square_root(found) if roots == search.OF_RATES else found
            self._smoothed = key, found.signals, self._known(found.signals).std(0, dtype=np.float64)
        _, signals, spread = self._smoothed
        scale = np.where(
            spread > 1e-8, np.where(spread > 1e-8, spread, 1.0) ** -settings["equalised"], 0.0
        )
        return (signals * scale).astype(np.float32)

    def _known(self, signals: np.ndarray) -> np.ndarray:
        return signals[self.fitting][self.raw.bin_valid[self.fitting]]

    def _leading(self, signals: np.ndarray, kept: int) -> np.ndarray:
        """Signals on their leading axes over the fitting trials' bins, [K, T, kept]."""
        if kept == signals.shape[-1]:
            return signals
        known = self._known(signals)
        known = known - known.mean(0)
        vectors = np.linalg.eigh((known.T @ known).astype(np.float64))[1]
        return signals @ vectors[:, ::-1][:, :kept].astype(np.float32)


class _Gram:
    """Rows of bins by their inner products, [K T, K T]."""

    def __init__(self, signals: np.ndarray, lags: np.ndarray):
        num_trials, num_bins, width = signals.shape
        flat = signals.reshape(-1, width).astype(np.float64)
        one = (flat @ flat.T).reshape(num_trials, num_bins, num_trials, num_bins)
        self.gram, self.num_bins = np.zeros_like(one), num_bins
        # A row at lags is signals at t + lag side by side: products are sums of shifted blocks.
        for lag in lags:
            here, there = (slice(max(0, -way), num_bins - max(0, way)) for way in (lag, -lag))
            self.gram[:, here, :, here] += one[:, there, :, there]
        self.gram = self.gram.reshape(len(flat), len(flat))

    def solver(self, known: np.ndarray, asked: np.ndarray) -> Callable:
        """(targets [known, dims], relative penalty) -> predictions; centred on known rows."""
        among, to = self.gram[np.ix_(known, known)], self.gram[np.ix_(asked, known)]
        among, to = probes.centred_products(among, to)
        square, places = np.trace(among) / len(known), np.diag_indices(len(known))

        def predict(targets: np.ndarray, penalty: float) -> np.ndarray:
            penalised = among.copy()
            # All rows zero: Cholesky still needs something above zero, and anything will do.
            penalised[places] += penalty * square or 1.0
            return to @ cho_solve(
                cho_factor(penalised, overwrite_a=True, check_finite=False), targets
            )

        return predict


class _Columns:
    """Rows of bins as they are, [K T, C lags], for few columns."""

    def __init__(self, signals: np.ndarray, lags: np.ndarray):
        rows = np.concatenate([features.shifted(signals, lag) for lag in lags], axis=-1)
        self.rows, self.num_bins = rows.reshape(-1, rows.shape[-1]), signals.shape[1]

    def solver(self, known: np.ndarray, asked: np.ndarray) -> Callable:
        """As that of `_Gram`."""
        fitted = self.rows[known]
        mean = fitted.mean(0)
        fitted -= mean
        gram = (fitted.T @ fitted).astype(np.float64)
        square, places = np.trace(gram) / len(known), np.diag_indices(len(gram))

        def predict(targets: np.ndarray, penalty: float) -> np.ndarray:
            penalised = gram.copy()
            penalised[places] += penalty * square or 1.0
            inner = (fitted.T @ targets.astype(np.float32)).astype(np.float64)
            weights = cho_solve(cho_factor(penalised, overwrite_a=True, check_finite=False), inner)
            return (self.rows[asked] - mean) @ weights

        return predict


def _folds_of_rows(made: _Gram | _Columns, values, fitting, asked):
    """(dimensions, rows of fitting bins that know them, their values there) of each set that is
    known in the same bins; rows of the asked trials; the flat target."""
    bins = np.arange(made.num_bins)
    rows, wanted = ((places[:, None] * made.num_bins + bins).ravel() for places in (fitting, asked))
    flat = values.reshape(-1, values.shape[-1])
    found = [
        (dims, rows[known], flat[rows[known]][:, dims])
        for dims, known in known_together(flat[rows])
        if known.any()
    ]
    return found, wanted, flat


def _predicted(made, values, fitting, asked, penalties) -> np.ndarray:
    """[penalties, asked, T, dims] of ridge on the fitting trials, as `made` numbers them; NaN in a
    dimension that no fitting bin knows."""
    several, wanted, flat = _folds_of_rows(made, values, fitting, asked)
    predicted = np.full((len(penalties), len(wanted), flat.shape[1]), np.nan)
    for dims, known, y in several:
        mean = y.mean(0)
        predict = made.solver(known, wanted)
        predicted[..., dims] = [predict(y - mean, penalty) + mean for penalty in penalties]
    return predicted.reshape(len(penalties), len(asked), *values.shape[1:])


def _loss(rows: _Rows, settings, target: Target, inner: Sequence[Fold], near: list[int]) -> float:
    """Mean over dimensions of the least held-out error of any penalty, as a share of the variance.

    Penalties are walked from the last best one to the next hollow.
    """
    made = rows.made(settings, rows.fitting)
    if made is None:
        return np.inf
    values, folds = target.values[rows.fitting], []
    for fold in inner:
        fitting, asked = (np.searchsorted(rows.fitting, places) for places in fold)
        several, wanted, flat = _folds_of_rows(made, values, fitting, asked)
        for dims, known, y in several:
            tested = wanted[np.isfinite(flat[wanted][:, dims]).any(1)]
            mean = y.mean(0)
            folds.append((dims, made.solver(known, tested), y - mean, flat[tested][:, dims] - mean))
    errors: dict[int, np.ndarray] = {}

    def summed(squares) -> np.ndarray:
        """Squares [rows, dims] of each part of `folds` -> sums [all dims]."""
        total = np.zeros(values.shape[-1])
        for (dims, *_), square in zip(folds, squares, strict=True):
            total[dims] += np.nansum(square, axis=0)
        return total

    def error(place: int) -> float:
        left = [(predict(y, PENALTIES[place]) - asked) ** 2 for _, predict, y, asked in folds]
        total = summed([asked**2 for *_, asked in folds])
        errors[place] = summed(left)[total > 0] / total[total > 0]
        return float(errors[place].mean())

    near[0], _ = search.hollow(error, len(PENALTIES), near[0])
    # Each dimension at its own best penalty, as the final fit has it.
    return float(np.min(list(errors.values()), axis=0).mean())
