"""BrainWideBench's closed-form baselines, on request: its grids, its way to choose, its floor.

    bwb_shrinkage     forward: (1 - a) x mean in train + a x mean of the trial so far, held flat
    bwb_ridge_ar      forward: ridge from a unit's last L bins to each hidden bin
    bwb_pop_coupling  held-out units: mean in train x (smoothed population / its trial mean) ** g
    bwb_readout_rrr   held-out units: reduced-rank ridge from the visible units of the same bin

They are the benchmark's, whatever ours can do: no PSTH, no gain, and what is chosen is chosen by
Poisson D2 (mean over units) on validation trials. Where the benchmark takes windows at a stride of
five bins to fit its ridge, here each train trial is one window.

Source: ibl-bwb 2026-09, statistical baselines of TS2.
"""

import hashlib

import numpy as np
from scipy.ndimage import gaussian_filter1d

from neurojax.data.session import TRAIN, VALIDATION
from neurojax.evals.baselines import forward
from neurojax.evals.baselines.autoregression import last_bins, own_moments
from neurojax.evals.baselines.folds import PARTS, Fit, Fold, Folds
from neurojax.scores import metrics

OF_FORWARD = ("bwb_shrinkage", "bwb_ridge_ar")
OF_HELD_OUT = ("bwb_pop_coupling", "bwb_readout_rrr")
NAMES = OF_FORWARD + OF_HELD_OUT
LEAST_RATE = 1e-6  # spikes per bin
SHARES = np.linspace(0, 1, 11)
PASTS, AR_PENALTIES = (3, 5, 10, 20, 45), (0.1, 1.0, 10.0, 100.0, 1e3, 1e4)
WIDTHS_BINS, POWERS = (1.0, 1.5, 2.0, 2.5), (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
RANKS, PENALTIES = (1, 2, 3, 4, 5, 8, 12, 16), tuple(10.0**k for k in range(8))
HELD_OUT_SHARE, VALIDATION_COLUMN = 0.1, "ts2_co_smoothing_is_held_out_val"
_FOLD_SALT, _VALIDATION_SALT = "pop_coupling_fold", "ts2_co_smoothing_val"


def fit(folds: Folds, name: str) -> Fit:
    """One of NAMES on the task that it is for."""
    return _FITS[name](folds)


def shrinkage(folds: Folds) -> Fit:
    """The trial's own mean so far, drawn to the mean in train."""
    local = {part: _mean_so_far(folds, folds.parts[part]) for part in PARTS}

    def rates(part, share):
        flat = (1 - share) * folds.mean + share * local[part]  # [K, n]
        return np.broadcast_to(flat[:, None], folds.parts[part].counts.shape)

    share = _best(folds, "forward", SHARES, lambda share: rates(VALIDATION, share))
    return _floored({part: rates(part, share) for part in PARTS}, {"share": float(share)})


def ridge_ar(folds: Folds) -> Fit:
    """A unit's hidden bins from its own last ones, with an intercept; one row a train trial."""
    train = folds.parts[TRAIN]
    origins = forward.last_visible(train)
    num_horizons = int(train.hidden_bins.sum(1).max())
    whole = np.flatnonzero((train.hidden_bins.sum(1) == num_horizons) & (origins >= 0))
    pasts = sorted({min(past, int(origins[whole].max()) + 1) for past in PASTS})
    x = last_bins(_shown(folds, train), whole, origins[whole], max(pasts))  # [n, rows, past]
    bins = origins[whole, None] + 1 + np.arange(num_horizons)
    y = train.counts[whole[:, None], bins].transpose(0, 2, 1)  # [rows, n, horizons]
    x_mean, y_mean = x.mean(1), y.mean(0)  # [n, past], [n, horizons]
    gram, cross = own_moments(x - x_mean[:, None], y - y_mean)

    def rates(part, past, penalty):
        fold = folds.parts[part]
        kept = gram[:, :past, :past] + penalty * np.eye(past)
        weights = np.linalg.solve(kept, cross[:, :past])  # [n, past, horizons]
        last = forward.last_visible(fold)
        seen = last_bins(_shown(folds, fold), np.arange(len(fold.counts)), last, past)
        found = (seen - x_mean[:, None, :past]) @ weights + y_mean[:, None]  # [n, K, horizons]
        return forward.place(found.transpose(1, 2, 0), np.zeros(fold.counts.shape[1:]), fold)

    grid = [(past, penalty) for past in pasts for penalty in AR_PENALTIES]
    past, penalty = _best(folds, "forward", grid, lambda place: rates(VALIDATION, *place))
    chosen = {"past_s": past * folds.session.bin_size_s, "penalty": penalty}
    return _floored({part: rates(part, past, penalty) for part in PARTS}, chosen)


def pop_coupling(folds: Folds) -> Fit:
    """How active the visible population is, beside its own mean of the trial, to a power."""
    ((visible, _),) = folds.groups["held_out"]
    fold, names = folds.parts[VALIDATION], _names(folds)
    number = min(max(2, round(1 / HELD_OUT_SHARE)), len(names))
    # Chosen on all units: each fold of them is read from the others, as the held-out ones will be.
    order = sorted(range(len(names)), key=lambda unit: _digest(_FOLD_SALT, names[unit]))
    groups = np.array_split(np.array(order), number)

    def of_all(width_bins, power):
        rates = np.zeros(fold.counts.shape)
        for group in groups:
            others = np.setdiff1d(np.arange(len(names)), group)
            trace = _trace(fold, others, width_bins) ** power
            rates[..., group] = folds.mean[group] * trace[..., None]
        return rates

    grid = [(width, power) for width in WIDTHS_BINS for power in POWERS]
    scored = np.broadcast_to(fold.entries, fold.counts.shape)
    values = [_d2(np.where(scored, of_all(*place), np.nan), fold.counts) for place in grid]
    width, power = grid[int(np.argmax(np.nan_to_num(values, nan=-np.inf)))]
    rates = {
        part: folds.mean * (_trace(folds.parts[part], visible, width) ** power)[..., None]
        for part in PARTS
    }
    chosen = {"width_s": width * folds.session.bin_size_s, "power": power}
    return _floored(rates, chosen)


def readout_rrr(folds: Folds) -> Fit:
    """Held-out units from the visible ones of the same bin; rank and penalty chosen on another draw
    of held-out units."""
    ((visible, scored),) = folds.groups["held_out"]
    drawn = _drawn_for_validation(folds)
    others = np.setdiff1d(np.arange(len(folds.units)), drawn)
    valid = folds.parts[VALIDATION].bin_valid
    target = folds.parts[VALIDATION].counts[valid][:, drawn].astype(np.float64)
    seen = folds.parts[VALIDATION].counts[valid][:, others]
    best = (-np.inf, 1, PENALTIES[0])
    for penalty in PENALTIES:
        moments = _moments(folds, others, drawn, penalty)
        for rank in RANKS:
            weights, intercept = _of_rank(moments, rank)
            found = np.maximum(seen @ weights + intercept, LEAST_RATE)
            value = _d2(found[None], target[None])
            if value > best[0]:
                best = (value, rank, penalty)
    _, rank, penalty = best
    weights, intercept = _of_rank(_moments(folds, visible, scored, penalty), rank)
    rates = {}
    for part in PARTS:
        counts = folds.parts[part].counts
        rates[part] = np.zeros(counts.shape)
        rates[part][..., scored] = counts[..., visible] @ weights + intercept
    return _floored(rates, {"rank": min(rank, len(visible), len(scored)), "penalty": penalty})


def _moments(folds, visible, scored, penalty):
    """(ridge weights, gram of the centred visible counts, means of both)."""
    counts = folds.parts[TRAIN].counts[folds.parts[TRAIN].bin_valid].astype(np.float64)
    x, y = counts[:, visible], counts[:, scored]
    x_mean, y_mean = x.mean(0), y.mean(0)
    gram = (x - x_mean).T @ (x - x_mean)
    cross = (x - x_mean).T @ (y - y_mean)
    weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), cross)
    return weights, gram, x_mean, y_mean


def _of_rank(moments, rank):
    """(weights of a rank, intercept): the ridge's responses in their first directions."""
    weights, gram, x_mean, y_mean = moments
    rank = min(rank, *weights.shape)
    directions = np.linalg.eigh(weights.T @ gram @ weights)[1][:, ::-1][:, :rank]
    weights = weights @ directions @ directions.T
    return weights, y_mean - x_mean @ weights


def _drawn_for_validation(folds) -> np.ndarray:
    """Units held out of the choice, positions among the scored ones: of the file's column, or those
    that the benchmark's rule draws."""
    column = folds.session.unit_metadata.get(VALIDATION_COLUMN)
    if column is not None:
        drawn = np.flatnonzero(np.asarray(column)[folds.units] == 1)
        if 0 < len(drawn) < len(folds.units):
            return drawn
    names = [name.rpartition("/")[2] for name in _names(folds)]
    order = sorted(range(len(names)), key=lambda unit: _digest(_VALIDATION_SALT, names[unit]))
    return np.sort(order[: max(1, round(HELD_OUT_SHARE * len(names)))])


def _trace(fold: Fold, units: np.ndarray, width_bins: float) -> np.ndarray:
    """Smoothed spikes of some units over their mean of the trial, float64 [K, T]; 1 in padding."""
    summed = fold.counts[..., units].sum(-1, dtype=np.float64)
    trace = np.ones(summed.shape)
    lengths = fold.bin_valid.sum(1)
    for length in np.unique(lengths[lengths > 0]):
        own = lengths == length
        smoothed = gaussian_filter1d(summed[own, :length], width_bins, axis=1, mode="nearest")
        mean = np.maximum(smoothed.mean(1, keepdims=True), LEAST_RATE)
        trace[own, :length] = np.maximum(smoothed / mean, LEAST_RATE)
    return trace


def _shown(folds: Folds, fold: Fold) -> np.ndarray:
    """Counts [K, T, n] whose past the task shows; zero in other units."""
    return np.where(folds.past_unseen, np.float32(0), fold.counts)


def _mean_so_far(folds: Folds, fold: Fold) -> np.ndarray:
    """Mean count of the bins before the hidden ones, float64 [K, n]; the train mean without any."""
    seen = fold.entries & ~fold.hidden_bins[..., None]
    number = np.broadcast_to(seen, fold.counts.shape).sum(1)
    total = np.where(seen, fold.counts, 0).sum(1, dtype=np.float64)
    local = np.where(number > 0, total / np.maximum(number, 1), folds.mean)
    return np.where(folds.past_unseen, folds.mean, local)


def _best(folds: Folds, task: str, grid, rates_of):
    """The first place of a grid whose validation rates have the highest D2."""
    fold = folds.parts[VALIDATION]
    values = []
    for place in grid:
        rates = np.where(fold.scored[task], np.maximum(rates_of(place), LEAST_RATE), np.nan)
        values.append(_d2(rates, fold.counts))
    return grid[int(np.argmax(np.nan_to_num(values, nan=-np.inf)))]


def _d2(rates: np.ndarray, counts: np.ndarray) -> float:
    return float(metrics.poisson_scores(metrics.poisson_sums(rates, counts))["d2_unit_mean"])


def _floored(rates, chosen) -> Fit:
    return Fit({part: np.maximum(found, LEAST_RATE) for part, found in rates.items()}, chosen)


def _names(folds: Folds) -> list[str]:
    return [f"{folds.session.session_id}/{name}" for name in folds.session.unit_id[folds.units]]


def _digest(salt: str, name: str) -> str:
    return hashlib.sha256(f"{salt}:{name}".encode()).hexdigest()


_FITS = {
    "bwb_shrinkage": shrinkage,
    "bwb_ridge_ar": ridge_ar,
    "bwb_pop_coupling": pop_coupling,
    "bwb_readout_rrr": readout_rrr,
}
