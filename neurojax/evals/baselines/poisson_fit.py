"""Poisson regression of many units at once, by preconditioned conjugate gradients.

Every unit i has log rate = log offset + Z w_i + sum over j of E_ji (A_ji . w_i): a design Z shared
by all units, plus covariates E of its own, tied to the same weights by A. With A = -(the unit's row
of the map from counts to Z), its own activity is taken out of the shared scores; with A = a basis
vector whose column of Z is zero, E is simply a covariate with its own weight.
"""

import dataclasses

import numpy as np

from neurojax.evals.baselines.ridge import inverse_of

MAX_LOG_GAIN = 4.0  # rates never exceed exp(4) times the offset
_MAX_STEP = 2.0  # in log rate, per iteration
_UNITS_AT_ONCE = 256
# From weights of zero so many steps by the diagonal: the Hessian there is not yet the minimum's.
_FIRST_STEPS = 2
_ROWS_OF_CURVATURE = 1500
_SHARE_AT_WORK = 0.75  # units that are done leave once fewer than this share are not


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
    by_curvature: bool = False,
) -> np.ndarray:
    """Minimises sum(rate - counts x log rate) + sum(penalty x w^2) / 2 of every unit.

    Args:
        counts: float32 [rows, n].
        penalty: [p], or [p, n] where every unit has its own.
        start: [p, n], zeros by default.
        tolerance: stops when the next step promises less than this many nats for every unit.
        by_curvature: steps are scaled by each unit's whole Hessian, of which p^2 numbers are made,
            in place of its diagonal: a third of the steps where gains stay near 1.

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
            by_curvature and (0 if start is not None else _FIRST_STEPS),
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


def _descend(design, counts, penalty, weights, num_iterations, tolerance, curved_from):
    """Args:
    curved_from: the step from which on the whole Hessian scales; False for the diagonal alone.
    """
    found, at_work = weights.copy(), np.arange(counts.shape[1])
    scaling = _diagonal(design, penalty)
    eta = log_gain(design, weights)
    direction = previous = gain = None
    for iteration in range(num_iterations):
        rates = _rates(design, eta)
        if curved_from is not False and iteration == curved_from:
            scaling, direction = _inverse_curvature(design, rates, penalty), None
        gradient = _gradient(design, rates - counts) + penalty * weights
        scaled = _scaled(scaling, gradient)
        new_gain = (gradient * scaled).sum(0)  # [n]
        if new_gain.max() < tolerance:
            break
        stays = new_gain >= tolerance
        # By the whole Hessian the promise is sure: a unit that is there costs nothing from then on.
        if scaling.ndim == 3 and stays.mean() < _SHARE_AT_WORK:
            found[:, at_work] = weights
            kept = np.flatnonzero(stays)
            at_work, scaling = at_work[kept], scaling[kept]
            design, new_gain = _design_of(design, kept), new_gain[kept]
            across = (counts, penalty, weights, eta, rates, gradient, scaled)
            counts, penalty, weights, eta, rates, gradient, scaled = (
                np.ascontiguousarray(values[:, kept]) for values in across
            )
            if direction is not None:
                direction, previous, gain = direction[:, kept], previous[:, kept], gain[kept]
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
        curvature = np.einsum("rn,rn,rn->n", rates, change, change)
        curvature += (penalty * direction**2).sum(0)
        # To the minimum of the parabola along the direction, but not far: exp is no parabola.
        step = -(gradient * direction).sum(0) / np.maximum(curvature, 1e-12)
        step = np.minimum(step, _MAX_STEP / np.maximum(np.abs(change).max(0), 1e-12))
        weights = weights + step * direction
        change *= step
        eta += change
    found[:, at_work] = weights
    return found


def _rates(design, eta):
    rates = np.minimum(eta, MAX_LOG_GAIN)
    np.exp(rates, out=rates)
    rates *= design.offset
    return rates


def _diagonal(design, penalty):
    """One over the Hessian's diagonal at the offset's rates, [p, n]: units of any rate take like
    steps."""
    energy = (design.shared**2).sum(0)[:, None] * design.offset.mean(0)
    used = design.offset > 0
    if not used.all():  # over the rows of each unit's fit
        mean = design.offset.sum(0) / np.maximum(used.sum(0), 1)
        energy = (design.shared**2).T @ used.astype(np.float32) * mean
    for own, tie in zip(design.own, design.tie, strict=True):
        energy = energy + tie.T**2 * np.einsum("rn,rn->n", own**2, design.offset)
    return 1 / np.maximum(energy + penalty, 1e-6)


def _inverse_curvature(design, rates, penalty):
    """Inverse of each unit's Hessian at these rates, [n, p, p], from some of the rows: with it a
    fit is over in a few steps."""
    num_rows, (p, n) = len(rates), penalty.shape
    rows = slice(None)
    if num_rows > _ROWS_OF_CURVATURE:  # drawn: every fifth bin would be the same bins of all trials
        drawn = np.random.default_rng(0).permutation(num_rows)[:_ROWS_OF_CURVATURE]
        rows = np.sort(drawn)
    shared, weight = design.shared[rows], rates[rows] * (num_rows / len(rates[rows]))
    hessian = np.empty((n, p, p))
    for first in range(p):  # of all units at once: Z_a Z_b times what each unit weighs rows by
        across = shared[:, first, None] * shared[:, first:]
        hessian[:, first, first:] = hessian[:, first:, first] = (across.T @ weight).T
    own = [values[rows] * weight for values in design.own]
    for number, (weighed, tie) in enumerate(zip(own, design.tie, strict=True)):
        with_shared = tie[:, :, None] * (shared.T @ weighed).T[:, None]  # [n, p, p]
        hessian += with_shared + np.swapaxes(with_shared, 1, 2)
        for other, its_tie in zip(design.own[: number + 1], design.tie, strict=False):
            both = np.einsum("rn,rn->n", weighed, other[rows])[:, None, None]
            outer = both * (tie[:, :, None] * its_tie[:, None])
            hessian += outer if other is design.own[number] else outer + np.swapaxes(outer, 1, 2)
    places = np.arange(p)
    hessian[:, places, places] += penalty.T
    # Where neither rows nor penalty say anything a step is long, and cut by the search.
    hessian[:, places, places] += 1e-4 * hessian[:, places, places].mean(1)[:, None] + 1e-6
    return np.stack([inverse_of(one) for one in hessian]).astype(np.float32)


def _scaled(scaling, gradient):
    """A gradient [p, n] times one over the diagonal [p, n], or inverse matrices [n, p, p]."""
    if scaling.ndim == 2:
        return scaling * gradient
    return np.ascontiguousarray((scaling @ gradient.T[..., None])[..., 0].T)


def _design_of(design, kept):
    own = tuple(np.ascontiguousarray(values[:, kept]) for values in design.own)
    tie = tuple(tie[kept] for tie in design.tie)
    return Design(design.shared, own, tie, np.ascontiguousarray(design.offset[:, kept]))
