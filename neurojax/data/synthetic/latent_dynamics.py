"""Latent systems that drive the synthetic animals: one step, its Jacobian, and noisy trajectories.

States are z-scored: every dimension has mean near 0 and standard deviation near 1 in the long run.
"""

import dataclasses

import numpy as np

# Long-run moments of the Lorenz system (sigma 10, rho 28, beta 8/3), by integration of 500
# trajectories.
LORENZ_MEAN = np.array([0.0, 0.0, 23.55])
LORENZ_STD = np.array([7.92, 9.01, 8.62])
# Lorenz time units per Runge-Kutta step; the flow is met within 0.001 std in the mean
_MAX_STEP = 0.05

# Two points of one orbit on the lobe x > 0; mirrored in x and y they lie on the other lobe.
_LORENZ_WEAK_START = (np.array([2.93, 3.45, 19.09]) - LORENZ_MEAN) / LORENZ_STD
_LORENZ_STRONG_START = (np.array([7.85, 12.58, 17.54]) - LORENZ_MEAN) / LORENZ_STD


@dataclasses.dataclass(frozen=True)
class Lorenz:
    """Lorenz attractor with additive Gaussian process noise; three dimensions.

    Source: Lorenz 1963, "Deterministic nonperiodic flow"; as spiking benchmark: Sussillo et al.
    2016 (LFADS).

    Attributes:
        time_per_bin: Lorenz time units per bin (one turn around a lobe takes about 0.75).
        noise_std: standard deviation of the noise added at every bin, units of the z-scored state.
    """

    time_per_bin: float
    noise_std: float
    num_dims: int = 3

    def step(self, states: np.ndarray) -> np.ndarray:
        """Noise-free next states, float64 [..., 3], one bin later (Runge-Kutta of order 4)."""
        num_steps = max(1, int(np.ceil(self.time_per_bin / _MAX_STEP)))
        size = self.time_per_bin / num_steps
        # Integrated in Lorenz's own coordinates, in which the flow has its usual constants.
        raw = states * LORENZ_STD + LORENZ_MEAN
        for _ in range(num_steps):
            first = _lorenz_flow(raw)
            second = _lorenz_flow(raw + size / 2 * first)
            third = _lorenz_flow(raw + size / 2 * second)
            fourth = _lorenz_flow(raw + size * third)
            raw = raw + size / 6 * (first + 2 * second + 2 * third + fourth)
        return (raw - LORENZ_MEAN) / LORENZ_STD

    def jacobian(self, states: np.ndarray, width: float = 1e-4) -> np.ndarray:
        """Derivative of `step` by central differences: [..., 3] -> [..., 3, 3]."""
        offsets = width * np.eye(3)  # one row a direction
        ahead, behind = (
            self.step(states[..., None, :] + offsets),
            self.step(states[..., None, :] - offsets),
        )
        return np.swapaxes(ahead - behind, -1, -2) / (2 * width)

    def start(self, side: np.ndarray, contrast: np.ndarray) -> np.ndarray:
        """Mean first state [..., 3] of trials: side -1 or 1 [...], contrast in [0, 1] [...]."""
        depth = contrast[..., None]
        centre = (1 - depth) * _LORENZ_WEAK_START + depth * _LORENZ_STRONG_START
        # The system is unchanged by (x, y, z) -> (-x, -y, z): the other side is the mirrored lobe.
        return centre * np.stack([side, side, np.ones_like(side)], -1)

    def simulate(self, start: np.ndarray, num_bins: int, rng: np.random.Generator) -> np.ndarray:
        """Trajectories from given first states [trials, 3] -> float64 [trials, T, 3]."""
        noise = self.noise_std * rng.standard_normal((num_bins - 1, *start.shape))
        states = [start]
        for bin_noise in noise:
            states.append(self.step(states[-1]) + bin_noise)
        return np.stack(states, 1)


@dataclasses.dataclass(frozen=True)
class SwitchingRotation:
    """A noisy rotation in the plane whose angular velocity jumps between modes at random times.

    Attributes:
        turn_rad: angle per bin of every mode, radians.
        switch_probability: chance per bin to jump to another mode, uniform over the others.
        decay: factor by which the state shrinks per bin; the noise keeps the long-run variance at
            1.
    """

    turn_rad: tuple[float, ...]
    switch_probability: float
    decay: float
    num_dims: int = 2

    def start(self, side: np.ndarray, contrast: np.ndarray) -> np.ndarray:
        """Mean first state [..., 2] of trials: opposite for the two sides, turned by contrast."""
        angle = np.pi / 3 * contrast
        return 1.2 * side[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)

    def simulate(self, start: np.ndarray, num_bins: int, rng: np.random.Generator) -> np.ndarray:
        """Trajectories from given first states [trials, 2] -> float64 [trials, T, 2]."""
        num_trials, num_modes = len(start), len(self.turn_rad)
        switches = rng.random((num_bins, num_trials)) < self.switch_probability
        # By 1 .. modes - 1, taken modulo modes: a jump never ends where it began.
        jumps = rng.integers(1, max(num_modes, 2), (num_bins, num_trials)) * switches
        # [T, trials]
        modes = (rng.integers(num_modes, size=num_trials) + np.cumsum(jumps, 0)) % num_modes
        # A rotation keeps lengths, so decay and noise alone set the variance: 1 in the long run.
        noise = np.sqrt(1 - self.decay**2) * rng.standard_normal((num_bins, num_trials, 2))
        turns = self.decay * rotation(np.asarray(self.turn_rad))
        states = [start]
        for t in range(1, num_bins):
            states.append(np.einsum("kij,kj->ki", turns[modes[t]], states[-1]) + noise[t])
        return np.stack(states, 1)


def rotation(angle_rad: np.ndarray) -> np.ndarray:
    """Rotation matrices [..., 2, 2] by angles [...] in radians."""
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


def bent(states: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """States [trials, T, d] through a smooth map drawn at random, z-scored: the same shape."""
    num_dims = states.shape[-1]
    into, out = (
        rng.standard_normal((num_dims, 4 * num_dims)),
        rng.standard_normal((4 * num_dims, num_dims)),
    )
    curved = np.tanh(states @ into + rng.standard_normal(4 * num_dims)) @ out
    return (curved - curved.mean((0, 1))) / curved.std((0, 1))


def simulate_linear(
    transition: np.ndarray,
    noise_std: float,
    num_trials: int,
    num_bins: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """state <- transition @ state + noise, standard normal at first: float64 [trials, T, d]."""
    noise = noise_std * rng.standard_normal((num_bins - 1, num_trials, len(transition)))
    states = [rng.standard_normal((num_trials, len(transition)))]
    for bin_noise in noise:
        states.append(states[-1] @ transition.T + bin_noise)
    return np.stack(states, 1)


def _lorenz_flow(raw: np.ndarray) -> np.ndarray:
    x, y, z = raw[..., 0], raw[..., 1], raw[..., 2]
    # Lorenz 1963, equations 25 to 27, with sigma 10, rho 28, beta 8/3.
    return np.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z], -1)
