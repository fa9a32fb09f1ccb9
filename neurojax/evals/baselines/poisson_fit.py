"""Poisson regression of many units at once, by preconditioned conjugate gradients.

Every unit i has log rate = log offset + Z w_i + sum over j of E_ji (A_ji . w_i): a design Z shared
by all units, plus covariates E of its own, tied to the same weights by A. With A = -(the unit's row
of the map from counts to Z), its own activity is taken out of the shared scores; with A = a basis
vector whose column of Z is zero, E is simply a covariate with its own weight.
"""

import dataclasses

import numpy as np

MAX_LOG_GAIN = 4.0  # rates never exceed exp(4) times the offset
_MAX_STEP = 2.0  # in log rate, per iteration
_UNITS_AT_ONCE = 256


@dataclasses.dataclass(frozen=True)
class Design:
    """Covariates of a Poisson regression, float32.

    Attributes:
        shared: [rows, p], Z.
        own: J arrays [rows, n], E.
        tie: J arrays [n, p], A.
        offset: [rows, n], rate at log gain 0, spikes per bin (or per group of bins); 0 leaves a row
            out of a unit's fit, where its counts are 0 too.
    """

    shared: np.ndarray
    own: tuple[np.ndarray, ...]
    tie: tuple[np.ndarray, ...]
    offset: np.ndarray


def fit_poisson(
    design: Design,
    counts: np.ndarray,
    penalty: np.ndarray,
    start: np.ndarray | None = None,
    num_iterations: int = 30,
    tolerance: float = 0.05,
) -> np.ndarray:
    """Minimises sum(rate - counts x log rate) + sum(penalty x w^2) / 2 of every unit.

    Args:
        counts: float32 [rows, n].
        penalty: [p], or [p, n] where every unit has its own.
        start: [p, n], zeros by default.
        tolerance: stops when the next step promises less than this many nats for every unit.

    Returns:
        float32 [p, n]; the start where there is no row.
    """
    n = counts.shape[1]
    weights = np.zeros((design.shared.shape[1], n), np.float32) if start is None else start.copy()
    if len(counts) == 0:
        return weights
    penalty = penalty.astype(np.float32)
    penalty = penalty[:, None] if penalty.ndim == 1 else penalty
    penalty = np.broadcast_to(penalty, weights.shape)
    for first in range(0, n, _UNITS_AT_ONCE):
        part = slice(first, first + _UNITS_AT_ONCE)
        block = Design(
            design.shared,
            tuple(np.ascontiguousarray(e[:, part]) for e in design.own),
            tuple(a[part] for a in design.tie),
            np.ascontiguousarray(design.offset[:, part]),
        )
        weights[:, part] = _descend(
            block,
            np.ascontiguousarray(counts[:, part]),
            penalty[:, part],
            weights[:, part],
            num_iterations,
            tolerance,
        )
    return weights


def log_gain(design: Design, weights: np.ndarray) -> np.ndarray:
    """Log rate minus log offset, [rows, n], for weights [p, n]."""
    result = design.shared @ weights
    for own, tie in zip(design.own, design.tie, strict=True):
        result += own * (tie.T * weights).sum(0)
    return result


def _gradient(design, residual):
    result = design.shared.T @ residual
    for own, tie in zip(design.own, design.tie, strict=True):
        result += tie.T * np.einsum("rn,rn->n", own, residual)
    return result


def _descend(design, counts, penalty, weights, num_iterations, tolerance):
    # [p, n], the Hessian's diagonal
    energy = (design.shared**2).sum(0)[:, None] * design.offset.mean(0)
    used = design.offset > 0
    if not used.all():  # over the rows of each unit's fit
        mean = design.offset.sum(0) / np.maximum(used.sum(0), 1)
        energy = (design.shared**2).T @ used.astype(np.float32) * mean
    for own, tie in zip(design.own, design.tie, strict=True):
        energy = energy + tie.T**2 * np.einsum("rn,rn->n", own**2, design.offset)
    # Preconditioned by the diagonal at the offset's rates: units of any rate take like steps.
    inverse_scale = 1 / np.maximum(energy + penalty, 1e-6)
    eta = log_gain(design, weights)
    direction = previous = gain = None
    for _ in range(num_iterations):
        rates = design.offset * np.exp(np.minimum(eta, MAX_LOG_GAIN))
        gradient = _gradient(design, rates - counts) + penalty * weights
        scaled = inverse_scale * gradient
        new_gain = (gradient * scaled).sum(0)  # [n]
        if new_gain.max() < tolerance:
            break
        if direction is None:
            direction = -scaled
        else:  # Polak-Ribiere, restarted where it turns back
            momentum = np.maximum(
                (scaled * (gradient - previous)).sum(0) / np.maximum(gain, 1e-30), 0
            )
            direction = -scaled + momentum * direction
            uphill = (gradient * direction).sum(0) >= 0
            direction[:, uphill] = -scaled[:, uphill]
        previous, gain = gradient, new_gain
        change = log_gain(design, direction)
        curvature = np.einsum("rn,rn,rn->n", rates, change, change) + (penalty * direction**2).sum(
            0
        )
        # To the minimum of the parabola along the direction, but not far: exp is no parabola.
        step = -(gradient * direction).sum(0) / np.maximum(curvature, 1e-12)
        step = np.minimum(step, _MAX_STEP / np.maximum(np.abs(change).max(0), 1e-12))
        weights = weights + step * direction
        eta += step * change
    return weights
