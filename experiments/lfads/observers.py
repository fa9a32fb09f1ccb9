"""What an observer makes of a trial who knows what LFADS has to learn: the ceilings of experiments/lfads.

of_cases      knows every case a trial can be (`known_rates.bank`): the exact posterior mean of the rates
of_inputs     knows the integrator: the likeliest inputs by Gauss-Newton, a Gaussian around them, rates averaged over it
"""

from typing import NamedTuple

import numpy as np

from neurojax.data.synthetic import known_rates, rate_networks

ROUNDS, STEP, DRAWS, LEAST = 12, 1e-4, 24, 1e-4  # of the search; of differences; of the Gaussian; expected spikes
CHUNK = 60  # trials at once


class Seen(NamedTuple):
    """Attributes:
    rates: float32 [K, T, N], expected spikes per bin.
    inputs: float32 [K, T], None where nothing drives the network.
    """

    rates: np.ndarray
    inputs: np.ndarray | None


def of_cases(spec: known_rates.KnownRatesSpec, counts: np.ndarray, shown: np.ndarray, seed: int = 0) -> Seen:
    """Counts [K, T, N] of which the units `shown`, bool [N], are read."""
    cases = known_rates.bank(spec, seed)
    log_rates, total = np.log(cases[..., shown]), cases[..., shown].sum((1, 2))
    nats = counts[..., shown].reshape(len(counts), -1) @ log_rates.reshape(len(cases), -1).T - total
    posterior = np.exp(nats - nats.max(1, keepdims=True))
    posterior /= posterior.sum(1, keepdims=True)
    rates = (posterior @ cases.reshape(len(cases), -1)).reshape(counts.shape).astype(np.float32)
    if spec.kind != "pulses":
        return Seen(rates, None)
    bin_size_s = known_rates.KINDS["pulses"].bin_size_s
    first, last = (round(time_s / bin_size_s) for time_s in known_rates.PULSE_S)
    inputs, kicks = np.zeros(counts.shape[:2], np.float32), last - first  # of each condition, in turn
    inputs[:, first : first + kicks] = posterior.reshape(len(counts), -1, kicks).sum(1)
    return Seen(rates, inputs)


def of_inputs(spec: known_rates.KnownRatesSpec, counts: np.ndarray, shown: np.ndarray, seed: int = 0) -> Seen:
    """As `of_cases`, for the integrator."""
    parts = [_of_inputs(spec, counts[at : at + CHUNK], shown, seed) for at in range(0, len(counts), CHUNK)]
    return Seen(*(np.concatenate(part).astype(np.float32) for part in zip(*parts, strict=True)))


def _of_inputs(spec, counts, shown, seed) -> tuple[np.ndarray, np.ndarray]:
    num_trials, num_bins = counts.shape[:2]
    covariance = rate_networks.INPUT_STD**2 * np.eye(num_bins) + rate_networks.INPUT_BIAS_STD**2
    precision, y = np.linalg.inv(covariance), counts[..., shown].reshape(num_trials, -1).astype(np.float64)

    def rates(inputs, units=shown):
        return np.maximum(known_rates.integrated_rates(spec, inputs, seed)[..., units], LEAST).reshape(len(inputs), -1)

    def slopes(inputs, at):  # [K, T * n, T]
        found = [(rates(inputs + STEP * direction) - at) / STEP for direction in np.eye(num_bins)]
        return np.stack(found, -1)

    def cost(inputs, at):
        return (at - y * np.log(at)).sum(1) + 0.5 * np.einsum("ki,ij,kj->k", inputs, precision, inputs)

    inputs = np.zeros((num_trials, num_bins))
    at = rates(inputs)
    for _ in range(ROUNDS):
        slope = slopes(inputs, at)
        turned = np.swapaxes(slope, 1, 2)
        hessian = turned @ (slope / at[..., None]) + precision
        gradient = (turned @ (1 - y / at)[..., None])[..., 0] + inputs @ precision
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        before = cost(inputs, at)
        for length in (1.0, 0.3, 0.1, 0.03):  # the longest that helps, trial by trial
            tried = inputs - length * step
            tried_at = rates(tried)
            better = cost(tried, tried_at) < before
            inputs = np.where(better[:, None], tried, inputs)
            at, step = np.where(better[:, None], tried_at, at), np.where(better[:, None], 0.0, step)
    root = np.linalg.cholesky(np.linalg.inv(hessian))
    rng, everyone = np.random.default_rng(seed), np.ones(counts.shape[-1], bool)
    drawn = [inputs + np.einsum("kij,kj->ki", root, rng.standard_normal(inputs.shape)) for _ in range(DRAWS)]
    mean = np.mean([rates(one, everyone) for one in drawn], axis=0)
    return mean.reshape(counts.shape), inputs


def observer(kind: str):
    """The observer of a kind of set."""
    return of_inputs if kind == "integrator" else of_cases
