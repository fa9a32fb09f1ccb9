"""Banded ridge regression in closed form: one penalty for each group of features and each neuron,
chosen on trials that were not fitted.

    responses [n, N] ~ sum over bands of features [n, d] @ weights [d, N] + intercept [N]

A band that says nothing of a neuron is shrunk away without shrinking the others: features of
different kinds (motion energy and words, layers of a network) stand side by side. How the bands
share is drawn at random, and each neuron takes the share and the penalty of its own least error.
himalaya, where it is installed, solves the same behind the same call.

Source: Nunez-Elizalde et al. 2019, NeuroImage 197, 482; Dupre la Tour et al. 2022, NeuroImage 264,
    119728 (search by random shares; himalaya).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from neurojax.errors import InputError, require

PENALTIES = tuple(10.0 ** np.arange(-2, 7))
NUM_SHARES = 40
CONCENTRATIONS = (0.1, 1.0)  # sparse shares and even ones, in turn
LEAST_SHARE = 1e-12
SOLVERS = ("closed_form", "himalaya")

Bands = Mapping[str, np.ndarray]


class BandedRidge(NamedTuple):
    """Attributes:
    weights: band -> float64 [d, N].
    intercept: float64 [N].
    shares: float64 [bands, N], how much each band is let through; they sum to one.
    penalty: float64 [N].
    loss: float64 [N], mean squared error of trials left out.
    """

    weights: dict[str, np.ndarray]
    intercept: np.ndarray
    shares: np.ndarray
    penalty: np.ndarray
    loss: np.ndarray

    def predict(self, bands: Bands) -> np.ndarray:
        """Expected responses, float64 [n, N]."""
        return self.of_bands(bands).sum(0) + self.intercept

    def of_bands(self, bands: Bands) -> np.ndarray:
        """What each band adds, float64 [bands, n, N]; raises InputError for other bands."""
        require(
            all(
                name in bands and bands[name].shape[1:] == w.shape[:1]
                for name, w in self.weights.items()
            ),
            f"bands {list(bands)[:6]}; expected {list(self.weights)[:6]}, as wide as were fitted",
        )
        return np.stack([np.asarray(bands[n], np.float64) @ w for n, w in self.weights.items()])


def fit(
    bands: Bands,
    responses: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    penalties: Sequence[float] = PENALTIES,
    shares: np.ndarray | None = None,
    seed: int = 0,
    solver: str = "closed_form",
) -> BandedRidge:
    """Fits all neurons to all bands.

    Args:
        bands: name -> numbers [n, d]; bring them to one scale first, see `standardised`.
        responses: numbers [n, N].
        folds: (trials fitted, trials left out) of each fold; one fold is a validation split.
        penalties: to choose from.
        shares: [candidates, bands], to choose from; default `drawn_shares`.
        seed: of these.
        solver: "closed_form", or "himalaya" (pip install "neurojax[encoding]").

    Raises:
        InputError: other shapes, values that are not finite, or himalaya is missing.
    """
    require(solver in SOLVERS, f"solver={solver!r}; choose from {', '.join(SOLVERS)}")
    arrays, target = _checked(bands, responses)
    require(len(folds) and all(len(a) > 1 and len(b) for a, b in folds), "folds leave no trial out")
    shares = drawn_shares(len(arrays), seed) if shares is None else np.asarray(shares, np.float64)
    sound = shares.ndim == 2 and shares.shape[1] == len(arrays) and (shares >= 0).all()
    require(sound, f"shares are {list(shares.shape)}; expected [candidates, {len(arrays)}]")
    penalties = np.asarray(penalties, np.float64)
    parts = (list(arrays.values()), target, folds, penalties, shares)
    weights, intercept, share, penalty, loss = (
        _with_himalaya(*parts) if solver == "himalaya" else _closed_form(*parts)
    )
    return BandedRidge(dict(zip(arrays, weights, strict=True)), intercept, share, penalty, loss)


def drawn_shares(number: int, seed: int, count: int = NUM_SHARES) -> np.ndarray:
    """Shares to choose from: all bands alike, each alone, then random ones, [k, number]."""
    if number == 1:
        return np.ones((1, 1))
    rng = np.random.default_rng(seed)
    drawn = [rng.dirichlet(np.full(number, CONCENTRATIONS[k % 2])) for k in range(count)]
    return np.concatenate([np.full((1, number), 1 / number), np.eye(number), drawn])


def standardised(values: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Columns of [n, d] at zero mean and unit sd over the trials `fitted`, and their band at one
    over the root of d, so that bands of any width weigh alike; constant columns become zero."""
    values = np.asarray(values, np.float64)
    mean, sd = values[fitted].mean(0), values[fitted].std(0)
    sound = sd > 1e-12 * np.maximum(np.abs(mean), 1)
    scaled = (values - mean) / np.where(sound, sd, 1.0) / np.sqrt(max(values.shape[1], 1))
    return np.where(sound, scaled, 0.0)


def _checked(bands: Bands, responses: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    require(len(bands), "no band of features; give at least one")
    target = np.asarray(responses)
    require(
        target.ndim == 2
        and target.dtype.kind in "biuf"
        and np.isfinite(target).all()
        and target.size,
        f"responses are {target.dtype} {list(target.shape)}; expected finite numbers [n, N]",
    )
    arrays = {}
    for name, values in bands.items():
        values = np.asarray(values)
        require(
            values.ndim == 2 and values.dtype.kind in "biuf" and values.shape[1],
            f"features {name!r} are {values.dtype} {list(values.shape)}; expected numbers [n, d]",
        )
        require(
            len(values) == len(target),
            f"features {name!r} have {len(values)} rows, responses {len(target)}; make them equal",
        )
        require(
            np.isfinite(values).all(), f"features {name!r} hold NaN or infinity; leave them out"
        )
        arrays[name] = values.astype(np.float64)
    return arrays, target.astype(np.float64)


def _closed_form(bands, target, folds, penalties, shares):
    """(weights of each band, intercept, shares, penalty, loss)."""
    number = target.shape[1]
    best = np.full(number, np.inf)
    chosen, strength = np.zeros(number, int), np.zeros(number)
    for candidate, share in enumerate(shares):
        joined = _joined(bands, share)
        loss = np.zeros((len(penalties), number))
        for fitted, left in folds:
            centre, mean = joined[fitted].mean(0), target[fitted].mean(0)
            path = _Path.of(joined[fitted] - centre, target[fitted] - mean)
            tested = path.seen(joined[left] - centre)
            for place, penalty in enumerate(penalties):
                error = target[left] - mean - tested @ path.solved(penalty)
                loss[place] += np.square(error).mean(0) / len(folds)
        place = loss.argmin(0)
        least = loss[place, np.arange(number)]
        better = least < best
        best = np.where(better, least, best)
        chosen, strength = (
            np.where(better, new, old)
            for new, old in ((candidate, chosen), (penalties[place], strength))
        )
    weights = [np.zeros((band.shape[1], number)) for band in bands]
    for candidate in np.unique(chosen):
        own = np.flatnonzero(chosen == candidate)
        joined = _joined(bands, shares[candidate])
        centre = joined.mean(0)
        path = _Path.of(joined - centre, target[:, own] - target[:, own].mean(0))
        found = path.weights(joined - centre, strength[own])
        first = 0
        for place, band in enumerate(bands):
            rows = slice(first, first + band.shape[1])
            weights[place][:, own] = np.sqrt(shares[candidate, place]) * found[rows]
            first = rows.stop
    said = sum(band.mean(0) @ own for band, own in zip(bands, weights, strict=True))
    return weights, target.mean(0) - said, shares[chosen].T, strength, best


def _joined(bands: Sequence[np.ndarray], share: np.ndarray) -> np.ndarray:
    """All bands side by side, each times the root of its share."""
    return np.concatenate([np.sqrt(s) * band for s, band in zip(share, bands, strict=True)], axis=1)


class _Path(NamedTuple):
    """Ridge solutions for all penalties of centred inputs [n, D], in the axes of their Gram matrix
    [D, D] or [n, n], whichever is smaller."""

    axes: np.ndarray  # [D or n, k]
    values: np.ndarray  # [k]
    target: np.ndarray  # [k, N], in these axes
    dual: np.ndarray | None  # the inputs, of a Gram matrix of trials

    @classmethod
    def of(cls, inputs: np.ndarray, target: np.ndarray) -> "_Path":
        if inputs.shape[1] <= len(inputs):
            values, axes = np.linalg.eigh(inputs.T @ inputs)
            return cls(axes, np.maximum(values, 0), axes.T @ (inputs.T @ target), None)
        values, axes = np.linalg.eigh(inputs @ inputs.T)
        return cls(axes, np.maximum(values, 0), axes.T @ target, inputs)

    def seen(self, inputs: np.ndarray) -> np.ndarray:
        """Other inputs, in these axes."""
        return (inputs if self.dual is None else inputs @ self.dual.T) @ self.axes

    def solved(self, penalty) -> np.ndarray:
        """Coefficients [k, N] in these axes, with one penalty or one a neuron."""
        return self.target / (self.values[:, None] + penalty)

    def weights(self, inputs: np.ndarray, penalty: np.ndarray) -> np.ndarray:
        """[D, N]; `inputs` are those it is of."""
        own = self.axes @ self.solved(penalty)
        return own if self.dual is None else inputs.T @ own


def _with_himalaya(bands, target, folds, penalties, shares):
    """The same by himalaya, see `_closed_form`."""
    try:
        from himalaya.ridge import solve_group_ridge_random_search
    except ImportError:
        raise InputError(
            'solver=himalaya needs a package: pip install "neurojax[encoding]"'
        ) from None
    shares = np.maximum(shares, LEAST_SHARE)  # it takes their logarithm, and divides by them
    found = solve_group_ridge_random_search(
        bands,
        target,
        n_iter=shares / shares.sum(1, keepdims=True),
        alphas=penalties,
        fit_intercept=True,
        cv=_Folds(folds),
        progress_bar=False,
        return_weights=True,
    )
    deltas, weights, scores, intercept = (np.asarray(part) for part in found)
    total = np.exp(deltas).sum(0)
    ends = np.cumsum([0, *(band.shape[1] for band in bands)])
    rows = [weights[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]
    # Its deltas are the log of share over penalty; its scores minus the squared error.
    return rows, intercept, np.exp(deltas) / total, 1 / total, -scores.max(0)


class _Folds:
    """Given folds, as scikit-learn asks for them."""

    def __init__(self, folds):
        self.folds = folds

    def split(self, X, y=None, groups=None):
        return iter(self.folds)

    def get_n_splits(self, X=None, y=None, groups=None):
        return len(self.folds)
