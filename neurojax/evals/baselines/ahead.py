"""Linear forward prediction: hidden bins from what all units did, one fit a horizon.

What was done so far is a bank of causal filters, a fast one and one five times slower, or plainly
the last bins. The memory of the fast one is walked along a grid in seconds, the penalty with it,
both on validation. Ridge, and its reduced-rank form on ridge's own bank.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from neurojax.data.session import TRAIN, VALIDATION
from neurojax.evals.baselines import forward, grids, reduced_rank, ridge
from neurojax.evals.baselines.folds import PARTS, Fit, Folds, filtered_surplus, surplus
from neurojax.evals.baselines.missing import Equations, equations

SLOWER = 5.0  # the second memory, in firsts
LAGS = (2, 4, 8)
MOST_FEATURES = 3000  # of plain lags: 8 of them for 375 units, none for more than 1,500
# of train where there are more features than that; inner products are of rows then
MOST_ROWS = 4000
START_BINS = 2.0  # where the walk begins


class Bank(NamedTuple):
    """Features of the past: filters of these memories, or the last `num_lags` bins."""

    memories_s: tuple[float, ...]
    num_lags: int = 0


@dataclasses.dataclass(frozen=True)
class Past:
    """Features at the origins and their inner products, of rows where these are fewer.

    Attributes:
        bank: what they are.
        last: part -> float32 [K, p], at the last visible bin of each trial; its products with the
            rows.
        equations: float64 [p, p] over the origins of train, and [p, horizons * n] with the targets;
            of rows, the products of rows, and the targets.
        num_horizons: bins ahead that are fitted.
        of_rows: which of the two.
    """

    bank: Bank
    last: dict[int, np.ndarray]
    equations: Equations
    num_horizons: int
    of_rows: bool


def fit_ridge(folds: Folds, psth: np.ndarray) -> list[Fit]:
    """The forward task by ridge: one fit a bank that was tried, the best on validation first."""
    bin_size_s, (_, num_bins, num_units) = folds.session.bin_size_s, folds.parts[TRAIN].counts.shape
    memories_s = grids.memories_s(bin_size_s, num_bins)
    # The best penalty moves little from bank to bank: each search starts at the last one.
    near, fits = ridge.FIRST_PENALTY, {}

    def losses_at(place):
        nonlocal near
        bank = Bank((memories_s[place], SLOWER * max(memories_s[place], bin_size_s)))
        loss, fits[place] = _fit_bank(folds, psth, _past(folds, psth, bank), near)
        near = fits[place].chosen["penalty"]
        return {"forward": loss}

    start = grids.start_of(memories_s, START_BINS * bin_size_s)
    visited = grids.climb(len(memories_s), start, losses_at)
    found = [(losses["forward"], fits[place]) for place, losses in visited.items()]
    lags = [lags for lags in LAGS if lags < num_bins and lags * num_units <= MOST_FEATURES]
    found += [_fit_bank(folds, psth, _past(folds, psth, Bank((), number)), near) for number in lags]
    return [fit for _, fit in sorted(found, key=lambda pair: pair[0])]


def fit_reduced_rank(folds: Folds, psth: np.ndarray, ridge_fit: Fit) -> Fit:
    """The forward task by reduced-rank regression on the features of the bank that ridge chose."""
    bank = Bank(tuple(ridge_fit.chosen["memories_s"]), ridge_fit.chosen["num_lags"])
    past = _past(folds, psth, bank)
    best = None
    for penalty in reduced_rank.PENALTIES:
        most = max(reduced_rank.RANKS)
        onto = past.equations.completed(penalty, ridge.solved)
        loadings, readout = reduced_rank.reduced_rank_loadings(
            past.equations.gram, onto, penalty, most, of_rows=past.of_rows
        )
        for rank in reduced_rank.RANKS:
            predicted = _placed(folds, past, loadings[:, :rank] @ readout[:rank])
            loss = ridge.loss_of(folds, "forward", psth, predicted[VALIDATION])
            if best is None or loss < best[0]:
                best = loss, predicted, {"rank": rank, "penalty": penalty}
    return ridge.tuned(folds, "forward", psth, best[1], {**best[2], **_told(folds, bank)})


def _fit_bank(folds, psth, past, near):
    best = None

    def losses_at(place):
        nonlocal best
        predicted = _by_ridge(folds, past, ridge.PENALTIES[place])
        loss = ridge.loss_of(folds, "forward", psth, predicted[VALIDATION])
        if best is None or loss < best[0]:
            best = loss, predicted, ridge.PENALTIES[place]
        return {"forward": loss}

    grids.climb(len(ridge.PENALTIES), ridge.PENALTIES.index(near), losses_at)
    loss, predicted, penalty = best
    return loss, ridge.tuned(
        folds, "forward", psth, predicted, {"penalty": penalty, **_told(folds, past.bank)}
    )


def _told(folds, bank):
    lags_s = bank.num_lags * folds.session.bin_size_s
    return {"memories_s": list(bank.memories_s), "num_lags": bank.num_lags, "lags_s": lags_s}


def _past(folds, psth, bank):
    train = folds.parts[TRAIN]
    origins = forward.train_origins(train)
    signals = {part: _signals(folds, psth, part, bank) for part in (TRAIN, *PARTS)}

    def at(part, trial, origin):
        found = [forward.at_origins(values, trial, origin - lag) for values, lag in signals[part]]
        return np.concatenate(found, 1)

    rows = at(TRAIN, origins.trial, origins.bin)
    target = surplus(train, psth)
    # All horizons side by side are targets of one solve.
    later = [target[origins.trial, origins.bin + h + 1] for h in range(origins.num_horizons)]
    # [rows, horizons * n]
    ahead = np.concatenate(later, 1) if later else np.zeros((len(rows), 0), np.float32)
    seen = None
    if train.observed is not None and later:
        at_horizons = origins.bin[:, None] + np.arange(origins.num_horizons) + 1
        seen = train.observed[origins.trial[:, None], at_horizons].reshape(ahead.shape)
    if rows.shape[1] > MOST_ROWS:
        stride = -(-len(rows) // MOST_ROWS) or 1
        rows, ahead = rows[::stride], ahead[::stride]
        seen = None if seen is None else seen[::stride]
    last = {}
    for part in PARTS:
        fold = folds.parts[part]
        last[part] = at(part, np.arange(len(fold.counts)), forward.last_visible(fold))
    # Fewer rows than features: the dual form solves a matrix of rows instead, with equal results.
    if of_rows := 0 < len(rows) < rows.shape[1]:
        last = {part: features @ rows.T for part, features in last.items()}
    gram, cross = (rows @ rows.T, ahead) if of_rows else (rows.T @ rows, rows.T @ ahead)
    products = gram.astype(np.float64), cross.astype(np.float64)
    several = equations(*products, seen, None if of_rows else rows.__getitem__)
    return Past(bank, last, several, origins.num_horizons, of_rows)


def _signals(folds, psth, part, bank):
    """(signal [K, T, n], how many bins before the origin it is read) of each block of features."""
    if bank.num_lags:
        (plain,) = filtered_surplus(folds, psth, part, (0.0,))
        return [(plain, lag) for lag in range(bank.num_lags)]
    return [(values, 0) for values in filtered_surplus(folds, psth, part, bank.memories_s)]


def _by_ridge(folds, past, penalty):
    """What `_placed` says, of ridge."""
    equations, last = past.equations, past.last
    trials = np.concatenate([last[part] for part in PARTS])
    if len(equations.systems) > 1 or len(trials) > equations.cross.shape[1]:
        return _placed(folds, past, equations.solved(penalty, ridge.solved))
    # Fewer trials are asked for than targets are fitted: with them for right sides, the same
    # product takes a fraction of the time.
    onto = ridge.solved(equations.systems[0].gram, trials.T, penalty)  # [p, K of both]
    found = (onto.T @ equations.cross).astype(np.float32)
    parts = np.split(found, [len(last[PARTS[0]])])
    return _at_hidden(folds, past, dict(zip(PARTS, parts, strict=True)))


def _placed(folds, past, weights):
    """part -> predicted surplus at the hidden bins, float32 [K, T, n]."""
    weights = weights.astype(np.float32)
    return _at_hidden(folds, past, {part: past.last[part] @ weights for part in PARTS})


def _at_hidden(folds, past, by_target):
    """The same, from predictions [K, horizons * n] of each part."""
    predicted = {}
    for part, values in by_target.items():
        fold = folds.parts[part]
        by_horizon = values.reshape(len(fold.counts), past.num_horizons, -1)
        predicted[part] = forward.place(by_horizon, np.zeros(fold.counts.shape[1:]), fold)
    return predicted
