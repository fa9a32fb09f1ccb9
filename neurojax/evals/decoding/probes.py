"""Linear read-outs: ridge in closed form on the device, scikit-learn's logistic regression.

Both take standardised features and a whole grid of penalties, so that a choice costs one
decomposition.
"""

import functools
import importlib
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.errors import InputError

PENALTIES = tuple(float(10.0**power) for power in range(-1, 7))
PENALTIES_OF_MTM = (0.0, 10.0, 100.0, 1e3, 1e4)  # Zhang et al. 2024
INVERSE_PENALTIES = tuple(float(10.0**power) for power in range(-4, 5))  # C of logistic regression
# of rows of ROW_SQUARE: from nearly constant to nearly separable
SCALED_INVERSE_PENALTIES = INVERSE_PENALTIES[:7]
ROW_SQUARE = 1000.0
_BLOCK = 1024  # columns


def standardise(fitted: np.ndarray, others: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Columns to mean 0 and variance 1 by the fitted rows; constants become 0.

    Args:
        fitted: [rows, P], what the read-out is fitted on.
        others: arrays [any, P].

    Returns:
        float32 arrays, the fitted one first.
    """
    mean, spread = fitted.mean(0, dtype=np.float64), fitted.std(0, dtype=np.float64)
    # A constant column carries nothing; dividing by its spread would make noise of it.
    scale = np.where(spread > 1e-8, 1 / np.where(spread > 1e-8, spread, 1.0), 0.0)
    return [((rows - mean) * scale).astype(np.float32) for rows in (fitted, *others)]


def centred_row_space(
    fitted: np.ndarray, asked: np.ndarray, *, scaled: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of whole trials as a penalised read-out needs them: `row_space` of centred columns.

    Columns keep their relative spread. At unit variance, a unit that fired once in that bin while
    fitting, or whose smoothed tail barely reached it, would weigh as much as one that fires in
    every trial.

    Args:
        fitted: [rows, P].
        asked: [asked rows, P].
        scaled: divides all by one number, so that fitted rows have a mean square length of
            ROW_SQUARE and the same penalties fit spikes, rates and latents of any width.

    Returns:
        float64 [rows, r] and [asked rows, r].
    """
    known, wanted = row_space(fitted, asked, centred=True)
    return scaled_rows(known, wanted) if scaled else (known, wanted)


def scaled_rows(known: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both divided by one number, so that the first have a mean square length of ROW_SQUARE."""
    square = np.square(known).sum(1).mean()
    scale = np.sqrt(ROW_SQUARE / square) if square > 0 else 1.0
    return known * scale, wanted * scale


@jax.jit
def _ridge(features, targets, asked, penalties):
    # The smaller of the two Gram matrices is decomposed; both give the same predictions.
    rows, width = features.shape
    if width <= rows:
        values, vectors = jnp.linalg.eigh(features.T @ features)
        inner = vectors.T @ (features.T @ targets)  # [P, dims]
        left = asked @ vectors  # [asked rows, P]
    else:
        values, vectors = jnp.linalg.eigh(features @ features.T)
        inner = vectors.T @ targets  # [rows, dims]
        left = (asked @ features.T) @ vectors
    # A Gram matrix has no negative eigenvalue; rounding gives it some.
    values = jnp.maximum(values, 0.0)
    sound = values > 1e-6 * values.max()  # without a penalty: the solution of least norm

    def predict(penalty):
        inverse = jnp.where(
            sound | (penalty > 0), 1 / jnp.where(values + penalty > 0, values + penalty, 1.0), 0.0
        )
        return (left * inverse[None]) @ inner

    return jax.lax.map(predict, penalties)


def ridge(
    features: np.ndarray, targets: np.ndarray, asked: np.ndarray, penalties: Sequence[float]
) -> np.ndarray:
    """Ridge regression with an unpenalised intercept, for every penalty at once.

    Minimises |targets - asked weights - intercept|^2 + penalty |weights|^2, as scikit-learn's
    `Ridge`.

    Args:
        features: [rows, P], standardised (or at least centred).
        targets: float [rows, dims].
        asked: [asked rows, P], where predictions are wanted.
        penalties: positive, or 0 for least squares (of least norm where that is not unique).

    Returns:
        float64 [penalties, asked rows, dims].
    """
    mean = targets.mean(0, dtype=np.float64)
    centre = features.mean(0, dtype=np.float64)
    # Accelerators may round float32 products to fewer bits, which a small penalty would show.
    with jax.default_matmul_precision("highest"):
        predicted = _ridge(
            jnp.asarray(features - centre, jnp.float32),
            jnp.asarray(targets - mean, jnp.float32),
            jnp.asarray(asked - centre, jnp.float32),
            jnp.asarray(penalties, jnp.float32),
        )
    return np.asarray(predicted, np.float64) + mean


def logistic(
    features: np.ndarray,
    codes: np.ndarray,
    asked: np.ndarray,
    inverse_penalties: Sequence[float],
    num_classes: int,
) -> np.ndarray:
    """Multinomial logistic regression with an L2 penalty, for every inverse penalty C.

    Features wider than there are rows are first turned into the row space, which changes no
    prediction: the penalty is blind to rotations and weights outside the row space are zero.

    Args:
        features: [rows, P], standardised.
        codes: int [rows], 0 .. num_classes - 1; every class must occur.
        asked: [asked rows, P].
        inverse_penalties: C of scikit-learn's `LogisticRegression`.
        num_classes: columns of the result.

    Returns:
        float64 [penalties, asked rows, num_classes], log-probabilities.
    """
    linear_model, sklearn = require_sklearn("linear_model"), importlib.import_module("sklearn")

    features, asked = row_space(features, asked)
    result = np.empty((len(inverse_penalties), len(asked), num_classes))
    # Such small products lose more to threads than they gain.
    with (
        _thread_pools().limit(limits=1, user_api="blas"),
        sklearn.config_context(assume_finite=True),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", require_sklearn("exceptions").ConvergenceWarning)
        for place, inverse_penalty in enumerate(inverse_penalties):
            # Large C on separable classes converges slowly; such fits lose the choice, they need
            # not be exact.
            model = linear_model.LogisticRegression(C=inverse_penalty, max_iter=500, tol=1e-5)
            result[place] = model.fit(features, codes).predict_proba(asked)
    return np.log(np.maximum(result, 1e-12))


def row_space(
    fitted: np.ndarray, asked: np.ndarray, *, centred: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the same inner products in at most as many dimensions as there are fitted ones.

    Args:
        fitted: [rows, P].
        asked: [asked rows, P].
        centred: takes the fitted mean out of each column first. Wide rows are taken a block of
            columns at a time: there is no second copy of them, and each block stays in the
                processor's cache.

    Returns:
        float64 [rows, r] and [asked rows, r], r <= min(rows, P).
    """

    def columns(part):
        known, wanted = fitted[:, part].astype(np.float64), asked[:, part].astype(np.float64)
        mean = known.mean(0) if centred else 0.0
        return known - mean, wanted - mean

    width = fitted.shape[1]
    if width <= len(fitted):
        return columns(slice(None))
    gram, cross = np.zeros((len(fitted), len(fitted))), np.zeros((len(asked), len(fitted)))
    for start in range(0, width, _BLOCK):
        known, wanted = columns(slice(start, start + _BLOCK))
        gram += known @ known.T
        cross += wanted @ known.T
    return rows_of_products(gram, cross)


def rows_of_products(gram: np.ndarray, cross: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows [n, r], [asked, r] on orthogonal axes, with inner products [n, n], [asked, n]."""
    values, vectors = np.linalg.eigh(gram)
    # Directions of rounding alone would be blown up by the division below.
    kept = values > 1e-10 * values.max(initial=0.0)
    basis = vectors[:, kept] / np.sqrt(values[kept])  # [n, r]
    return gram @ basis, cross @ basis


def centred_products(gram: np.ndarray, cross: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The products [n, n] and [asked, n] once the mean of the n rows is taken off all."""
    mean = gram.mean(0)
    middle = mean - mean.mean()
    return gram - mean - middle[:, None], cross - cross.mean(1, keepdims=True) - middle


def require_sklearn(module: str) -> Any:
    """A module of scikit-learn, or InputError that names the extra."""
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError:
        raise InputError("decoding needs scikit-learn; pip install 'neurojax[probes]'") from None


@functools.cache
def _thread_pools() -> Any:
    """Looked up once: it reads the process's whole memory map."""
    import threadpoolctl  # scikit-learn depends on it

    return threadpoolctl.ThreadpoolController()
