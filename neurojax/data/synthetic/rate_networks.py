"""Two recurrent networks of rate units: one that is chaotic, one that sums its input.

    chaotic      tau dy/dt = -y + gain W tanh(y) + B q          activity tanh(y)
    integrator   h <- tanh(J h + a (w . h) + b u)               w . h is the sum of u so far

W, J, B, a and b are drawn. w of the integrator is fitted: while a trial runs, the network is fed
the true sum in place of w . h, and w is the ridge regression of the sum on the states met
(no gradient, so that the set is the same on every machine to rounding).

Source: Sompolinsky, Crisanti & Sommers 1988 and Sussillo et al. 2016, section 4.2 (the first);
Jaeger 2001 (the fit by teacher forcing).
"""

import dataclasses

import numpy as np

# Fixed before any model was trained.
CHAOTIC_UNITS, GAIN, TAU_S, STEP_S = 50, 1.5, 0.025, 0.01
PULSE = 2.0  # a kick of 1 adds so many times a standard normal direction to y
INTEGRATOR_UNITS, INTEGRATOR_GAIN, FEEDBACK, INPUT_WEIGHT = 100, 0.8, 1.0, 0.8
INPUT_STD, INPUT_BIAS_STD = 0.25, 0.02  # of the input's noise a bin, and of its mean over trials
_FIT_TRIALS, _FIT_BINS, _FIT_NOISE, _RIDGE = 500, 25, 0.02, 1e-3


@dataclasses.dataclass(frozen=True)
class Chaotic:
    """Attributes:
    weights: float64 [N, N], the gain included; into: float64 [N], direction of kicks.
    steps_per_bin: Euler steps of STEP_S in a bin.
    """

    weights: np.ndarray
    into: np.ndarray
    steps_per_bin: int

    def run(self, starts: np.ndarray, kicks: np.ndarray) -> np.ndarray:
        """Mean activity in each bin, float64 [trials, T, N] in (-1, 1), from states [trials, N];
        kicks [trials, T] come at the beginning of a bin."""
        state, found = starts, []
        for kick in kicks.T:
            state = state + PULSE * kick[:, None] * self.into
            met = []
            for _ in range(self.steps_per_bin):
                activity = np.tanh(state)
                met.append(activity)
                state = state + STEP_S / TAU_S * (activity @ self.weights.T - state)
            found.append(np.mean(met, axis=0))
        return np.stack(found, axis=1)


def chaotic(rng: np.random.Generator, bin_size_s: float) -> Chaotic:
    """Draws a chaotic network."""
    weights = rng.standard_normal((CHAOTIC_UNITS, CHAOTIC_UNITS)) * GAIN / np.sqrt(CHAOTIC_UNITS)
    return Chaotic(weights, rng.standard_normal(CHAOTIC_UNITS), round(bin_size_s / STEP_S))


@dataclasses.dataclass(frozen=True)
class Integrator:
    """Attributes:
    weights: float64 [N, N], J; fed_back, into, read: float64 [N], a, b and w of the module.
    """

    weights: np.ndarray
    fed_back: np.ndarray
    into: np.ndarray
    read: np.ndarray

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Activity float64 [trials, T, N] in (-1, 1) under inputs [trials, T], from rest."""
        state, found = np.zeros((len(inputs), len(self.into))), []
        for of_bin in inputs.T:
            state = self._step(state, of_bin, state @ self.read)
            found.append(state)
        return np.stack(found, axis=1)

    def summed(self, inputs: np.ndarray) -> np.ndarray:
        """What the network holds for the sum of its inputs after each bin, [trials, T]."""
        return self.run(inputs) @ self.read

    def _step(self, state, of_bin, fed):
        driven = state @ self.weights.T + np.outer(fed, self.fed_back)
        return np.tanh(driven + np.outer(of_bin, self.into))


def integrator(rng: np.random.Generator) -> Integrator:
    """Draws a network and fits what it reads its sum from."""
    size = INTEGRATOR_UNITS
    weights = INTEGRATOR_GAIN * rng.standard_normal((size, size)) / np.sqrt(size)
    fed_back = FEEDBACK * rng.standard_normal(size)
    into = INPUT_WEIGHT * rng.standard_normal(size)
    drawn = Integrator(weights, fed_back, into, np.zeros(size))
    inputs = noisy_inputs(_FIT_TRIALS, _FIT_BINS, rng)
    total = np.cumsum(inputs, axis=1)
    state, before, met = np.zeros((len(inputs), size)), np.zeros(len(inputs)), []
    for of_bin, after in zip(inputs.T, total.T, strict=True):
        # Fed a sum that is a little wrong: the fit learns to bear its own errors.
        fed = before + _FIT_NOISE * rng.standard_normal(len(inputs))
        state = drawn._step(state, of_bin, fed)
        met.append(state)
        before = after
    states, wanted = np.concatenate(met), total.T.reshape(-1)
    gram = states.T @ states + _RIDGE * len(states) * np.eye(size)
    return dataclasses.replace(drawn, read=np.linalg.solve(gram, states.T @ wanted))


def noisy_inputs(num_trials: int, num_bins: int, rng: np.random.Generator) -> np.ndarray:
    """White noise around a mean of each trial, float64 [trials, T]."""
    mean = INPUT_BIAS_STD * rng.standard_normal((num_trials, 1))
    return mean + INPUT_STD * rng.standard_normal((num_trials, num_bins))
