"""Floors for traces of cells: what needs no network.

    ridge           the cells in question from the visible ones at the same bin
    last_value      forward: the last observed value of the cell goes on
    autoregression  forward: that value times a coefficient of its own for each cell and distance

What was not observed is at its mean, as a model reads it.
"""

from collections.abc import Sequence

import numpy as np

from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.errors import require
from neurojax.evals.protocols import Question, forward_bins
from neurojax.evals.trace_scores import cells_r2, sums_of
from neurojax.evals.trace_tasks import scored_entries

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of the number of train bins


def ridge(view: Session, task: str, asked: Sequence[Question]) -> np.ndarray:
    """Ridge regression, its penalty the best on the validation trials; a cell never sees itself.

    Args:
        view: of `data.sources.traces.standardised`.
        task: all but "forward".
        asked: see `trace_tasks.questions`.

    Returns:
        float [test trials, T, N], NaN where the task does not score.

    Raises:
        InputError: no validation trial.
    """
    validation = view.trials_of(VALIDATION)
    require(len(validation), "no validation trial to choose the penalty on")
    trained, _ = view.gather_trials(view.trials_of(TRAIN))
    rows = trained[view.entry_valid(view.trials_of(TRAIN)).any(-1)].astype(np.float64)
    gram = rows.T @ rows

    def predicted(trial_ids, weights):
        values, _ = view.gather_trials(trial_ids)
        return np.where(scored_entries(view, task, asked, trial_ids), values @ weights, np.nan)

    def on_validation(weights):
        values, _ = view.gather_trials(validation)
        found = cells_r2(sums_of(predicted(validation, weights), values))
        return np.nanmean(found) if np.isfinite(found).any() else -np.inf

    fits = [_weights(gram, asked, penalty * len(rows)) for penalty in PENALTIES]
    return predicted(view.trials_of(TEST), max(fits, key=on_validation))


def _weights(gram: np.ndarray, asked: Sequence[Question], penalty: float) -> np.ndarray:
    """Ridge weights float64 [N, N] from visible cells (rows) to those asked about (columns)."""
    weights = np.zeros_like(gram)
    for visible, own in asked:
        if (visible & own).any():  # each from the others of its population, all at once:
            # the regression of a variable on all others is in its column of the inverse
            inverse = np.linalg.inv(gram[np.ix_(own, own)] + penalty * np.eye(own.sum()))
            block = -inverse / np.diag(inverse)
            np.fill_diagonal(block, 0)
        else:
            shown = gram[np.ix_(visible, visible)] + penalty * np.eye(visible.sum())
            block = np.linalg.solve(shown, gram[np.ix_(visible, own)])
        weights[np.ix_(visible, own)] = block
    return weights


def last_value(view: Session, task: str, asked: Sequence[Question]) -> np.ndarray:
    """The last observed value before the hidden bins; arguments and result as of `ridge`."""
    return _ahead(view, task, asked, lambda longest: np.ones((longest + 1, view.num_units)))


def autoregression(view: Session, task: str, asked: Sequence[Question]) -> np.ndarray:
    """The least-squares guess from that value, fitted to the train trials for each distance in
    bins; arguments and result as of `ridge`."""
    trial_ids = view.trials_of(TRAIN)
    values, _ = view.gather_trials(trial_ids)
    seen = view.entry_valid(trial_ids)

    def fitted(longest):
        found = np.zeros((longest + 1, view.num_units))
        for distance in range(1, min(longest + 1, values.shape[1])):
            before, after = values[:, :-distance], values[:, distance:]
            both = seen[:, :-distance] & seen[:, distance:]
            cross, power = (np.where(both, before * x, 0).sum((0, 1)) for x in (after, before))
            found[distance] = cross / np.maximum(power, 1e-9)
        return found

    return _ahead(view, task, asked, fitted)


def _ahead(view: Session, task: str, asked: Sequence[Question], coefficients) -> np.ndarray:
    """Last observed values [K, N] times coefficients(longest distance), [distances, N]."""
    trial_ids = view.trials_of(TEST)
    values, _ = view.gather_trials(trial_ids)
    seen = view.entry_valid(trial_ids) & ~forward_bins(view, trial_ids)[..., None]
    scored = scored_entries(view, task, asked, trial_ids)
    bins = np.arange(values.shape[1])[:, None]
    last = np.where(seen, bins, -1).max(1)  # [K, N], -1 where nothing was observed
    value = np.take_along_axis(values, np.maximum(last, 0)[:, None], 1)
    value = np.where(last[:, None] >= 0, value, 0)  # [K, 1, N]; nothing known: the mean
    distance = np.where(scored, bins - last[:, None], 0)
    table = coefficients(int(distance.max(initial=0)))
    return np.where(scored, value * table[distance, np.arange(view.num_units)], np.nan)


FLOORS = {  # name -> (what predicts, the tasks it predicts)
    "ridge": (ridge, ("co_smoothing", "inter_region", "intra_region")),
    "last_value": (last_value, ("forward",)),
    "autoregression": (autoregression, ("forward",)),
}
