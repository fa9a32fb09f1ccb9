"""Read-out rows of units from frozen states: regularised Poisson regression, every unit for itself.

    log rate = log offset + states . w + log gains of its own past . h

The penalty is a prior: rows that the model was trained on have a second moment S, and a penalty of
1 expects a new unit's row to be of their kind. It is chosen for each unit by folds of the trials;
there the loss is replaced by its parabola at the offset, which is solved for all penalties at once.
The parabola overshoots where log gains are large, so that units with strong drives are penalised
too much. The rows themselves minimise the Poisson loss.
"""

from typing import NamedTuple

import numpy as np

from neurojax.evals.baselines.poisson_fit import MAX_LOG_GAIN, Design, fit_poisson

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
NUM_FOLDS = 3
EVEN_SHARE = 0.1  # of the prior's variance, which is the same in all directions
LEAST_VARIANCE = 1e-6  # of a row's entry, where a model was hardly trained


class Prior(NamedTuple):
    """Attributes:
    root: float32 [D, D], L with S = L L'.
    own_penalty: float32 [M], one over the variance of weights on a unit's own past; None of a
        model that has none.
    """

    root: np.ndarray
    own_penalty: np.ndarray | None


class Fitted(NamedTuple):
    """Attributes:
    read_out: float32 [n, D].
    own_history: float32 [n, M]; None where the model has none.
    penalty: float64 [n], of PENALTIES.
    """

    read_out: np.ndarray
    own_history: np.ndarray | None
    penalty: np.ndarray


def prior_of(known_rows: np.ndarray, known_own: np.ndarray | None = None) -> Prior:
    """What rows that were trained say of rows to come.

    Args:
        known_rows: float32 [U, D], read-out.
        known_own: float32 [U, M], weights on a unit's own past.
    """
    width = known_rows.shape[1]
    moment = known_rows.astype(np.float64).T @ known_rows / max(len(known_rows), 1)
    even = max(np.trace(moment) / width, LEAST_VARIANCE) * np.eye(width)
    root = np.linalg.cholesky((1 - EVEN_SHARE) * moment + EVEN_SHARE * even)
    own = None
    if known_own is not None:
        variance = np.square(known_own.astype(np.float64)).mean(0)
        own = (1 / np.maximum(variance, LEAST_VARIANCE)).astype(np.float32)
    return Prior(root.astype(np.float32), own)


def fit(
    states: np.ndarray,
    counts: np.ndarray,
    offset: np.ndarray,
    trial: np.ndarray,
    prior: Prior,
    own: np.ndarray | None = None,
) -> Fitted:
    """Rows of the units of one group.

    A row that weighs v has v times the offset and v times the counts; one that says nothing of a
    unit has 0 of both.

    Args:
        states: float32 [rows, D], shared by the units.
        counts: float32 [rows, n], spikes.
        offset: float32 [rows, n], spikes per bin that are expected before any state is read.
        trial: int [rows], number of each row's trial, for the folds.
        prior: of these rows.
        own: float32 [M, rows, n], log gains of each unit's own past.
    """
    inputs = states @ prior.root
    # To uncorrelated columns: a diagonal preconditioner is then a good one, see `poisson_fit`.
    _, axes = np.linalg.eigh((inputs.T @ inputs).astype(np.float64))
    axes = axes.astype(np.float32)
    inputs = inputs @ axes
    penalty = _chosen(inputs, counts, offset, trial)
    width, num_units = inputs.shape[1], counts.shape[1]
    start = _parabola(inputs, counts, offset).solved(penalty)
    penalties = np.broadcast_to(penalty, (width, num_units))
    covariates, ties = (), ()
    if own is not None:
        memories = len(own)
        inputs = np.concatenate([inputs, np.zeros((len(inputs), memories), np.float32)], 1)
        start = np.concatenate([start, np.zeros((memories, num_units))])
        own_penalty = np.broadcast_to(prior.own_penalty[:, None], (memories, num_units))
        penalties = np.concatenate([penalties, own_penalty])
        # a column of zeros for each memory, that its weight may be tied to
        covariates = tuple(own)
        ties = tuple(np.tile(row, (num_units, 1)) for row in np.eye(width + memories)[width:])
        ties = tuple(tie.astype(np.float32) for tie in ties)
    design = Design(inputs, covariates, ties, offset)
    weights = fit_poisson(design, counts, penalties, start.astype(np.float32))
    read_out = (prior.root @ (axes @ weights[:width])).T
    own_history = None if own is None else weights[width:].T
    return Fitted(read_out, own_history, penalty)


class _Parabola(NamedTuple):
    """The loss around the offset: the Hessian of a unit is its mean offset times a shared matrix.

    Attributes:
        vectors, values: of that matrix.
        slope: [D, n], in the coordinates of the vectors.
        mean: [n], offset.
    """

    vectors: np.ndarray
    values: np.ndarray
    slope: np.ndarray
    mean: np.ndarray

    def solved(self, penalty) -> np.ndarray:
        """Weights float64 [D, n] under a penalty, one for all units or [n]."""
        return self.vectors @ (self.slope / (self.values[:, None] * self.mean + penalty))


def _parabola(inputs: np.ndarray, counts: np.ndarray, offset: np.ndarray) -> _Parabola:
    values, vectors = np.linalg.eigh((inputs.T @ inputs).astype(np.float64))
    slope = vectors.T @ (inputs.T @ (counts - offset))
    return _Parabola(vectors, np.maximum(values, 0), slope, offset.mean(0, dtype=np.float64))


def _chosen(inputs, counts, offset, trial) -> np.ndarray:
    """Penalty of each unit, float64 [n]: the least loss in trials that were not fitted.

    One trial leaves none out; the strongest penalty then stands for all.
    """
    numbers, place = np.unique(trial, return_inverse=True)
    fold = place % NUM_FOLDS
    losses = np.zeros((len(PENALTIES), counts.shape[1]))
    for held in range(min(NUM_FOLDS, len(numbers))) if len(numbers) > 1 else ():
        fitted, tested = fold != held, fold == held
        parabola = _parabola(inputs[fitted], counts[fitted], offset[fitted])
        seen, expected, spikes = inputs[tested], offset[tested], counts[tested]
        for number, penalty in enumerate(PENALTIES):
            gain = np.minimum(seen @ parabola.solved(penalty).astype(np.float32), MAX_LOG_GAIN)
            losses[number] += (expected * np.exp(gain) - spikes * gain).sum(0, dtype=np.float64)
    if len(numbers) < 2:
        return np.full(counts.shape[1], PENALTIES[-1])
    return np.asarray(PENALTIES)[losses.argmin(0)]
