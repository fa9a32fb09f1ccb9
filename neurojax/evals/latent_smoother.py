"""Smoothing of Poisson counts under known, nonlinear latent dynamics, in numpy.

Letters: B trajectories, T bins, N units, L latents.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from neurojax.data.synthetic import animals as synthetic

_MAX_LOG_RATE = 4.0  # cap on log expected spikes per bin, in the search and in the prediction
_MIN_NOISE_STD = 0.01  # noise-free dynamics would make the precision infinite
_STEP_SIZES = (1.0, 0.4, 0.1)  # fractions of a Newton step that are tried in turn
_WALK_DECAY = 0.9  # per bin, of the random walks that start the search
_NOISE_FACTORS = (10.0, 3.0, 1.0)  # times the true process noise
_STEPS_PER_STAGE = 2  # Newton steps; more change bits per spike by under 0.0005
_NUM_SAMPLES = 200  # simulated continuations of a trajectory


def smooth_visible(
    truth: synthetic.SyntheticTruth, counts: np.ndarray, visible: np.ndarray
) -> np.ndarray:
    """Posterior expected spikes per bin of all units given the visible spikes.

    The posterior mode of the latents comes from Newton steps on log p(visible counts, latents) with
    the dynamics linearised at the current trajectory (Gauss-Newton), so that the Hessian is
    block-tridiagonal; at convergence this is iterated Kalman smoothing with Poisson observations.
    The exact posterior of a chaotic system has many modes: the search starts with random walks in
    place of the Lorenz system, then lowers the process noise step by step to its true level. The
    expected rate under the Gaussian around the mode is exp(mean + variance / 2). Bins at the end in
    which no unit is visible are averages over simulated continuations instead, because a few bins
    of chaos bend the Gaussian.

    Args:
        truth: the animal; dynamics must be "lorenz".
        counts: [B, T, N] spikes per bin; hidden ones are never read.
        visible: bool [B, T, N].

    Returns:
        float64 [B, T, N].

    Source: Bell 1994, "The iterated Kalman smoother as a Gauss-Newton method"; Paninski et al.
        2010, "A new look at state-space models for neural data".
    """
    num_seen = 1 + int(np.flatnonzero(visible.any((0, 2))).max(initial=0))
    visible, num_blind = visible[:, :num_seen], counts.shape[1] - num_seen
    spikes = _Spikes.of(truth, counts[:, :num_seen], visible)
    states = np.broadcast_to(truth.start_mean, (*visible.shape[:2], len(truth.start_mean)))
    noise_std = np.full(states.shape[-1], max(truth.spec.lorenz_noise_std, _MIN_NOISE_STD))
    noise_std[truth.num_shared :] = max(truth.region_noise_std, _MIN_NOISE_STD)
    walk_std = np.full_like(noise_std, np.sqrt(1 - _WALK_DECAY**2))
    mean, jacobians = (
        functools.partial(_true_mean, truth),
        functools.partial(_true_jacobians, truth),
    )
    walk_jacobian = _WALK_DECAY * np.eye(states.shape[-1])
    walk = (
        lambda states: _WALK_DECAY * states,
        lambda states: np.broadcast_to(walk_jacobian, (*states.shape, len(walk_jacobian))),
    )
    # From easy to true: a chaotic posterior has many modes; the search must begin near the best.
    stages = [(*walk, walk_std, 0)]
    stages += [(mean, jacobians, factor * noise_std, truth.num_shared) for factor in _NOISE_FACTORS]
    point, means = spikes.seen_from(states), None
    for number, (stage_mean, stage_jacobians, stage_std, num_curved) in enumerate(stages):
        posterior = _Posterior(
            truth, spikes, stage_mean, stage_jacobians, stage_std**-2, num_curved
        )
        if number < 2:  # of other dynamics; those after the second stage have its own
            means = stage_mean(point.states[:, :-1])
        for _ in range(_STEPS_PER_STAGE):
            point, means = posterior.newton_step(point, means)
    states = point.states
    covariance = posterior.covariance(point, means)  # [B, T, L, L]
    variance = covariance.reshape(*states.shape[:2], -1) @ _outer_squares(truth.loadings).T
    rates = np.exp(
        np.minimum(states @ truth.loadings.T + truth.log_offset + variance / 2, _MAX_LOG_RATE)
    )
    if num_blind == 0:
        return rates
    later = _forecast(truth, states[:, -1], covariance[:, -1], noise_std, num_blind)
    return np.concatenate([rates, later], 1)


def _forecast(
    truth: synthetic.SyntheticTruth,
    mean: np.ndarray,
    covariance: np.ndarray,
    noise_std: np.ndarray,
    num_bins: int,
) -> np.ndarray:
    """Mean rates [B, num_bins, N] of continuations simulated from N(mean, covariance)."""
    # A fixed seed: a ceiling is a number and no draw.
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((len(mean), _NUM_SAMPLES, mean.shape[-1]))
    samples = mean[:, None] + draws @ np.swapaxes(np.linalg.cholesky(covariance), -1, -2)
    rates = []
    for _ in range(num_bins):
        # Through the true dynamics, noise and all: no Gaussian stays one under chaos.
        samples = _true_mean(truth, samples) + noise_std * rng.standard_normal(samples.shape)
        rates.append(
            np.exp(np.minimum(samples @ truth.loadings.T + truth.log_offset, _MAX_LOG_RATE)).mean(1)
        )
    return np.stack(rates, 1)


class _Point(NamedTuple):
    """B trajectories and what the visible spikes say of them."""

    states: np.ndarray  # [B, T, L]
    likelihood: np.ndarray  # [B], log p(visible counts | states) up to a constant
    rates: np.ndarray  # float32 [B, T, N], expected spikes per bin, zero where hidden


class _Spikes(NamedTuple):
    """The visible spikes.

    Arrays over units are float32, since most of the time goes there; those over latents float64.
    """

    counts: np.ndarray  # float32 [B, T, N], zero where hidden
    visible: np.ndarray  # float32 [B, T, N], 0 or 1
    loadings: np.ndarray  # float32 [N, L]
    log_offset: np.ndarray  # float32 [N]

    @classmethod
    def of(
        cls,
        truth: synthetic.SyntheticTruth,
        counts: np.ndarray,
        visible: np.ndarray,
        dtype=np.float32,
    ):
        arrays = (np.where(visible, counts, 0), visible, truth.loadings, truth.log_offset)
        return cls(*(np.asarray(array, dtype) for array in arrays))

    def seen_from(self, states: np.ndarray, which: np.ndarray | slice = slice(None)) -> _Point:
        """The trajectories `which` at these states [b, T, L]."""
        log_rates = states.astype(self.loadings.dtype) @ self.loadings.T
        log_rates += self.log_offset
        # Capped, or a wild step of the search would overflow.
        np.minimum(log_rates, _MAX_LOG_RATE, out=log_rates)
        likelihood = np.einsum("btn,btn->b", self.counts[which], log_rates, dtype=np.float64)
        rates = np.exp(log_rates, out=log_rates)
        rates *= self.visible[which]
        return _Point(states, likelihood - rates.sum((1, 2), dtype=np.float64), rates)


@dataclasses.dataclass(frozen=True)
class _Posterior:
    """log p(visible counts, latents) of B trajectories, its gradient and Gauss-Newton Hessian."""

    truth: synthetic.SyntheticTruth
    spikes: _Spikes
    dynamics: Callable[[np.ndarray], np.ndarray]  # states [..., L] -> mean next states [..., L]
    jacobians: Callable[[np.ndarray], np.ndarray]  # states [..., L] -> [..., L, L]
    noise_precision: np.ndarray  # [L]
    num_curved: int  # the first latents; of the others the Jacobian is constant, and zero between

    def newton_step(self, point: _Point, means: np.ndarray) -> tuple[_Point, np.ndarray]:
        """Moves each trajectory by the largest tried fraction of the Newton step that climbs.

        `means` are those of `dynamics` at the point, [B, T - 1, L]; returned beside the new one.
        """
        step = _solve_tridiagonal(*self.quadratic(point, means))
        start, waiting = self.value(point, means), np.arange(len(step))
        moved = (*(array.copy() for array in point), means.copy())
        # Backtracking: a full Newton step overshoots where exp is steep.
        for size in _STEP_SIZES:
            candidate = self.spikes.seen_from(point.states[waiting] + size * step[waiting], waiting)
            means_there = self.dynamics(candidate.states[:, :-1])
            climbs = self.value(candidate, means_there) > start[waiting]
            for target, found in zip(moved, (*candidate, means_there), strict=True):
                target[waiting[climbs]] = found[climbs]
            waiting = waiting[~climbs]
            if not len(waiting):
                break
        return _Point(*moved[:-1]), moved[-1]

    def value(self, point: _Point, means: np.ndarray) -> np.ndarray:
        """Log density [B] up to a constant; `means` are those of `dynamics`, [B, T - 1, L]."""
        start = point.states[:, 0] - self.truth.start_mean
        noise = point.states[:, 1:] - means
        prior = np.einsum("bi,ij,bj->b", start, np.linalg.inv(self.truth.start_cov), start)
        return point.likelihood - 0.5 * (prior + (noise**2 @ self.noise_precision).sum(1))

    def quadratic(
        self, point: _Point, means: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Blocks of the negative Hessian, [B, T, L, L] and [B, T - 1, L, L]; gradient [B, T, L]."""
        states, loadings, precision = point.states, self.spikes.loadings, self.noise_precision
        gradient = ((self.spikes.counts - point.rates) @ loadings).astype(np.float64)
        # Poisson with a log link: the Hessian is -sum of rate x loading loading', of no counts.
        diagonal = (point.rates @ _outer_squares(loadings)).astype(np.float64)
        diagonal = diagonal.reshape(*states.shape, states.shape[-1])
        start_precision = np.linalg.inv(self.truth.start_cov)
        gradient[:, 0] -= (states[:, 0] - self.truth.start_mean) @ start_precision
        diagonal[:, 0] += start_precision

        jacobians = self.jacobians(states[:, :-1])
        pull = (states[:, 1:] - means) * precision
        gradient[:, 1:] -= pull
        gradient[:, :-1] += np.einsum("btk,btkl->btl", pull, jacobians)
        lower = -precision[:, None] * jacobians
        diagonal[:, 1:] += np.diag(precision)
        diagonal[:, :-1] += self._squares(jacobians)
        return diagonal, lower, gradient

    def _squares(self, jacobians: np.ndarray) -> np.ndarray:
        """J' precision J of every bin, [B, T - 1, L, L]; most entries are those of any bin."""
        curved, one = slice(self.num_curved), jacobians[0, :1]  # [1, L, L]; none of one bin
        constant = np.swapaxes(one, -1, -2) @ (self.noise_precision[:, None] * one)
        found = np.broadcast_to(constant.sum(0), jacobians.shape).copy()
        bent, precision = jacobians[..., curved, curved], self.noise_precision[curved]
        found[..., curved, curved] = np.einsum("btki,k,btkj->btij", bent, precision, bent)
        return found

    def covariance(self, point: _Point, means: np.ndarray) -> np.ndarray:
        """Covariance of latents [B, T, L, L]: diagonal blocks of the inverse Hessian."""
        diagonal, lower, gradient = self.quadratic(point, means)
        inverses, gains, _ = _eliminate(diagonal, lower, gradient)
        # Backwards in time, as the Rauch-Tung-Striebel smoother goes.
        covariances = [inverses[-1]]
        for inverse, gain in zip(inverses[-2::-1], gains[::-1], strict=True):
            covariances.append(inverse + gain @ covariances[-1] @ np.swapaxes(gain, -1, -2))
        return np.stack(covariances[::-1], 1)


def _solve_tridiagonal(diagonal: np.ndarray, lower: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x [B, T, L] with diagonal_t x_t + lower_(t-1) x_(t-1) + lower_t^T x_(t+1) = right_t, of a
    matrix that is positive definite."""
    size = right.shape[-1]
    # All trajectories as one banded matrix, a row a column of it from the diagonal downwards.
    bands = np.zeros((*right.shape, 2 * size))
    for column in range(size):
        bands[:, :, column, : size - column] = diagonal[:, :, column:, column]
        bands[:, :-1, column, size - column : 2 * size - column] = lower[..., column]
    columns, targets = bands.reshape(-1, 2 * size).T, right.reshape(-1, 1)
    _, solution, failed = lapack.dpbsv(columns, targets, lower=1, overwrite_ab=1)
    if not failed and np.isfinite(solution).all():
        return solution.reshape(right.shape)
    # Some trajectory has lost its curvature to rounding, or is no number; the others are not to
    # lose theirs.
    _, gains, partial = _eliminate(diagonal, lower, right)
    solution = [partial[-1]]
    for gain, now in zip(gains[::-1], partial[-2::-1], strict=True):
        solution.append(now - (gain @ solution[-1][..., None])[..., 0])
    return np.stack(solution[::-1], 1)


def _eliminate(
    diagonal: np.ndarray, lower: np.ndarray, right: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Block elimination: per bin inverse pivot, inverse @ lower^T, inverse @ right."""
    pivot, reduced = diagonal[:, 0], right[:, 0]
    inverses, gains, partial = [], [], []
    for t in range(diagonal.shape[1]):
        inverses.append(np.linalg.inv(pivot))
        partial.append((inverses[t] @ reduced[..., None])[..., 0])
        if t < lower.shape[1]:
            gains.append(inverses[t] @ np.swapaxes(lower[:, t], -1, -2))
            pivot = diagonal[:, t + 1] - lower[:, t] @ gains[t]
            reduced = right[:, t + 1] - (lower[:, t] @ partial[t][..., None])[..., 0]
    return inverses, gains, partial


def _true_mean(truth: synthetic.SyntheticTruth, states: np.ndarray) -> np.ndarray:
    """Mean next states, [..., L] -> [..., L]."""
    means = np.empty_like(states)
    means[..., : truth.num_shared] = truth.spec.system.step(states[..., : truth.num_shared])
    for name, transition in zip(truth.spec.regions, truth.region_transition, strict=True):
        dims = truth.latents_of(name)
        means[..., dims] = states[..., dims] @ transition.T
    return means


def _true_jacobians(truth: synthetic.SyntheticTruth, states: np.ndarray) -> np.ndarray:
    """Derivative of `_true_mean`, [..., L] -> [..., L, L]."""
    jacobians, shared = np.zeros((*states.shape, states.shape[-1])), truth.num_shared
    jacobians[..., :shared, :shared] = truth.spec.system.jacobian(states[..., :shared])
    for name, transition in zip(truth.spec.regions, truth.region_transition, strict=True):
        dims = truth.latents_of(name)
        jacobians[..., dims, dims] = transition
    return jacobians


def _outer_squares(loadings: np.ndarray) -> np.ndarray:
    """Each unit's loading outer itself, flat: [N, L] -> [N, L * L]."""
    return (loadings[:, :, None] * loadings[:, None, :]).reshape(len(loadings), -1)
