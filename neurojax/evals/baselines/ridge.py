"""Ridge regression of each unit's surplus over its PSTH on the features of the visible units.

All leave-one-unit-out fits follow from one inverse: with P = (X'X + penalty I)^-1 and w = P X'y,
the fit without the features b is w - P_b P_bb^-1 w_b (block inverse), exactly 0 on b. Rate =
max(PSTH + amplitude x prediction, floor x PSTH); penalty, amplitude and floor from validation, as
are the features (`leave_out`). Forward: `ahead`.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.linalg import lapack, solve

from neurojax.data.session import VALIDATION
from neurojax.evals.baselines import grids
from neurojax.evals.baselines.features import Activity
from neurojax.evals.baselines.folds import (
    PARTS,
    Fit,
    Folds,
    choose,
    padded_psth,
    poisson_loss,
)
from neurojax.evals.baselines.missing import System
from neurojax.evals.task_kinds import KINDS

PENALTIES = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0, 30000.0, 100000.0)
FIRST_PENALTY = 1000.0
AMPLITUDES = (0.5, 0.75, 1.0, 1.25, 1.5)
FLOORS = (0.05, 0.1, 0.2, 0.3, 0.5)
# features; beyond, single precision halves the time and moves rates by about 1e-4
MOST_IN_DOUBLE = 1500


def fit_activity(
    folds: Folds,
    tasks: tuple[str, ...],
    psth: np.ndarray,
    activity: Activity,
    near: float = FIRST_PENALTY,
) -> dict[str, Fit]:
    """The leave-out tasks from given features; the search for the penalty starts at `near`."""
    best = climbed(
        folds,
        psth,
        activity,
        (len(PENALTIES), PENALTIES.index(near)),
        lambda place: all_weights(folds, tasks, activity, PENALTIES[place]),
    )
    fits = {}
    for task in tasks:
        place, predicted = best[task]
        chosen = {"penalty": PENALTIES[place], **activity.family._asdict()}
        fits[task] = tuned(folds, task, psth, predicted, chosen)
    return fits


def climbed(
    folds: Folds,
    psth: np.ndarray,
    activity: Activity,
    grid: tuple[int, int],
    weights_at: Callable[[int], Mapping[str, np.ndarray]],
) -> dict[str, tuple[int, dict[int, np.ndarray]]]:
    """The best place of a grid for each task, and the surplus predicted there.

    Args:
        grid: its number of places and where the walk starts, see `grids.climb`.
        weights_at: place -> task -> weights on the features [p, n].

    Returns:
        task -> (place, part -> float32 [K, T, n]).
    """
    best: dict[str, tuple[float, np.ndarray]] = {}

    def losses_at(place):
        found = {}
        for task, weights in weights_at(place).items():
            found[task] = loss_of(folds, task, psth, activity.apply(weights, VALIDATION))
            if task not in best or found[task] < best[task][0]:
                best[task] = found[task], weights
        return found

    visited = grids.climb(*grid, losses_at)
    return {
        task: (
            grids.best_place(visited, task),
            {part: activity.apply(weights, part) for part in PARTS},
        )
        for task, (_, weights) in best.items()
    }


def solved(gram: np.ndarray, cross: np.ndarray, penalty: float) -> np.ndarray:
    """(gram + penalty I)^-1 cross, [p, m]."""
    dtype = precision(len(gram))
    penalised = gram.astype(dtype) + dtype(penalty) * np.eye(len(gram), dtype=dtype)
    return solve(
        penalised,
        cross.astype(dtype, copy=False),
        assume_a="pos",
        overwrite_a=True,
        check_finite=False,
    )


def precision(num_features: int) -> type:
    """What inverses of so many features are made in."""
    return np.float32 if num_features > MOST_IN_DOUBLE else np.float64


def inverse_of(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric positive definite matrix, in its own precision."""
    # Cholesky: half the work of a general inverse, which matters at thousands of units.
    factorise, invert = lapack.get_lapack_funcs(("potrf", "potri"), (matrix,))
    factor, failed = factorise(matrix, lower=1)
    if failed:
        return np.linalg.pinv(matrix, hermitian=True)
    half, _ = invert(factor, lower=1, overwrite_c=1)
    return np.tril(half) + np.tril(half, -1).T


def all_weights(
    folds: Folds, tasks: tuple[str, ...], activity: Activity, penalty: float
) -> dict[str, np.ndarray]:
    """task -> float32 [p, n], a column a unit; zero in the rows of units hidden from it."""
    weights = {task: np.zeros(activity.cross.shape, np.float32) for task in tasks}
    for system in activity.equations.systems:
        _set_weights(weights, folds, activity, system, penalty)
    return weights


def _set_weights(weights, folds, activity, system: System, penalty: float) -> None:
    """Sets the columns of the units of one system in the weights of every task."""
    dtype = precision(len(system.gram))
    gram, cross = system.gram.astype(dtype, copy=False), activity.cross.astype(dtype, copy=False)
    penalty, n = dtype(penalty), cross.shape[1]
    own = activity.columns(np.arange(n)).reshape(-1, n).T  # [n, 1 or 2]
    # One inverse over all units serves every task that sees all but a few of them.
    if not all(KINDS[task].within_region for task in weights):
        inverse = inverse_of(gram + penalty * np.eye(len(gram), dtype=dtype))
        full = inverse @ cross[:, system.targets]
    for task, out in weights.items():
        kind = KINDS[task]
        if kind.in_turn and not kind.by_region:
            out[:, system.targets] = leave_one_out(inverse, full, own[system.targets])
            continue
        for visible, scored in folds.groups[task]:
            rows, mine = activity.columns(visible), system.of(scored)
            if not len(mine):
                continue
            if kind.within_region:
                inner = inverse_of(
                    gram[np.ix_(rows, rows)] + penalty * np.eye(len(rows), dtype=dtype)
                )
                # visible and scored are the same units
                inner_own = np.arange(len(rows)).reshape(-1, len(visible)).T
                inner_own = inner_own[np.searchsorted(visible, mine)]
                out[np.ix_(rows, mine)] = leave_one_out(
                    inner, inner @ cross[rows][:, mine], inner_own
                )
            else:
                out[:, mine] = leave_block_out(
                    inverse, full[:, system.places(mine)], activity.columns(scored)
                )


def leave_one_out(inverse: np.ndarray, full: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Ridge weights of each unit without its own features.

    Args:
        inverse: [p, p], (X'X + penalty I)^-1.
        full: [p, n], weights with all features.
        own: int64 [n, j], the features of each unit.

    Returns:
        [p, n], exactly zero at each unit's own features.
    """
    unit = np.arange(full.shape[1])[:, None]
    # P_bb of the formula above, of all units at once.
    block = inverse[own[:, :, None], own[:, None, :]]  # [n, j, j]
    step = np.linalg.solve(block, full[own, unit][..., None])[..., 0]  # [n, j]
    weights = full.copy()
    for feature in range(own.shape[1]):
        weights -= inverse[:, own[:, feature]] * step[:, feature]
    # Zero but for rounding; made exact, so that no unit sees itself.
    weights[own, unit] = 0.0
    return weights


def leave_block_out(inverse: np.ndarray, full: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Ridge weights [p, outputs] without the features `hidden`, exactly zero there."""
    weights = full - inverse[:, hidden] @ np.linalg.solve(
        inverse[np.ix_(hidden, hidden)], full[hidden]
    )
    weights[hidden] = 0.0
    return weights


def tuned(
    folds: Folds,
    task: str,
    psth: np.ndarray,
    predicted: Mapping[int, np.ndarray],
    chosen: Mapping[str, object],
) -> Fit:
    """Rates from a predicted surplus [K, T, n] a part, at the best amplitude and floor."""
    settings = [(a, f) for a in AMPLITUDES for f in FLOORS]
    loss = _surplus_losses(folds, task, psth, predicted[VALIDATION])
    amplitude, floor = choose(settings, lambda setting: loss(*setting))
    rates = {part: _rates(predicted[part], psth, amplitude, floor) for part in PARTS}
    return Fit(rates, {**chosen, "amplitude": amplitude, "floor": floor})


def loss_of(folds: Folds, task: str, psth: np.ndarray, predicted: np.ndarray) -> float:
    """Validation loss of a predicted surplus [K, T, n] at amplitude 1 and a middling floor."""
    return poisson_loss(_rates(predicted, psth, 1.0, 0.2), folds.parts[VALIDATION], task)


def _surplus_losses(folds, task, psth, predicted):
    """(amplitude, floor) -> validation loss, with the scored entries taken out once."""
    fold = folds.parts[VALIDATION]
    scored = fold.scored[task]
    offset = np.broadcast_to(
        padded_psth(psth, predicted.shape[1]).astype(np.float32), predicted.shape
    )[scored]
    surplus, y = predicted[scored], fold.counts[scored]
    fired = np.flatnonzero(y)
    spikes = y[fired]

    def loss(amplitude, floor):
        rate = np.maximum(offset + np.float32(amplitude) * surplus, np.float32(floor) * offset)
        at_spikes = np.maximum(rate[fired], 1e-9)
        return float(
            rate.sum(dtype=np.float64) - (spikes * np.log(at_spikes)).sum(dtype=np.float64)
        )

    return loss


def _rates(predicted, psth, amplitude, floor):
    offset = padded_psth(psth, predicted.shape[1]).astype(np.float32)
    return np.maximum(offset + np.float32(amplitude) * predicted, np.float32(floor) * offset)
