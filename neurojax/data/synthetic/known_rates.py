"""Populations whose rates and inputs are known: Lorenz, chaotic and integrating networks.

    lorenz      30 units read the log of their rate from a Lorenz attractor
    chaotic     50 units of a chaotic network, each condition a first state of its own
    pulses      the same network, kicked once a trial, at a time that no unit announces
    integrator  100 units of a network that sums a noisy input over the trial

Counts are Poisson around the true rates. A set has three settings of noise: all rates of the
loudest times 1, 0.3 or 0.08, so that a trial tells less and less of itself. In the first three the
trials of a condition share their rates (but for the kick), and trials are split at random, so that
an observer who knows the conditions has only to tell which one it sees: see `bank`.

Source: Sussillo et al. 2016, "LFADS - latent factor analysis via dynamical systems", section 4
(the first three; size of the kick, gain of the log-rates and rates of noise are ours); the task of
the fourth: the LFADS tutorial of google-research/computation-thru-dynamics. Networks:
`rate_networks`.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from neurojax.data.session import Session
from neurojax.data.splits import random_split
from neurojax.data.synthetic import latent_dynamics, rate_networks
from neurojax.errors import require

# Fixed before any model was trained.
NOISES = {"low": 1.0, "medium": 0.3, "high": 0.08}  # times all rates
LORENZ_UNITS, LORENZ_RATE_HZ, LORENZ_LOG_GAIN = 30, 10.0, 1.0
LORENZ_PER_S = 5.0  # Lorenz time units per second
CHAOTIC_PEAK_HZ, INTEGRATOR_PEAK_HZ = 30.0, 80.0
PULSE_S = (0.25, 0.75)  # earliest and latest time of a kick
_PAUSE_S = 1.0  # between trials
_NETWORK, _TRIALS, _SPIKES = range(3)  # sub-keys of the seed


class Kind(NamedTuple):
    """Attributes:
    num_conditions, trials_each: first states, and trials that begin with each.
    num_bins, bin_size_s: of a trial.
    """

    num_conditions: int
    trials_each: int
    num_bins: int
    bin_size_s: float


KINDS = {
    "lorenz": Kind(65, 20, 50, 0.02),
    "chaotic": Kind(130, 10, 50, 0.02),
    "pulses": Kind(130, 10, 50, 0.02),
    "integrator": Kind(1300, 1, 25, 0.04),
}


@dataclasses.dataclass(frozen=True)
class KnownRatesSpec:
    """What a set is; everything else stands above.

    Attributes:
        kind: a name of KINDS.
        noise: a name of NOISES.
        share_of_trials: of each kind's conditions; below 1 for a look or a test.
    """

    kind: str = "lorenz"
    noise: str = "low"
    share_of_trials: float = 1.0

    def __post_init__(self):
        for name, known in (("kind", KINDS), ("noise", NOISES)):
            value = getattr(self, name)
            require(value in known, f"{name}={value!r}; choose from {', '.join(known)}")
        require(
            0 < self.share_of_trials <= 1,
            f"share_of_trials={self.share_of_trials}; expected a share in (0, 1]",
        )


def make_session(spec: KnownRatesSpec, seed: int = 0) -> Session:
    """Draws a set; pure in (spec, seed). Settings of noise share their rates up to the factor.

    Returns:
        a session with `true_rates`, the condition of every trial as `conditions["condition"]`, and
        what drove the network in every bin as `behaviour["input"]`, [total bins, 1]: zero but for
        kicks of 1, or the input that is summed; zero throughout for the first two kinds.

    Raises:
        InputError: a negative seed.
    """
    kind, rng = KINDS[spec.kind], _generator(seed, _TRIALS)
    num_conditions = max(2, round(spec.share_of_trials * kind.num_conditions))
    condition = np.repeat(np.arange(num_conditions), kind.trials_each)
    inputs = _inputs(spec, len(condition), rng)  # [trials, T]
    starts = _starts(spec, num_conditions, seed)
    rates_hz = _rates_hz(spec, starts[condition], inputs, seed)  # [trials, T, N]
    expected = (NOISES[spec.noise] * kind.bin_size_s * rates_hz).astype(np.float32)
    num_trials, num_bins, num_units = expected.shape
    expected = expected.reshape(-1, num_units)
    counts = _generator(seed, _SPIKES, list(NOISES).index(spec.noise)).poisson(expected)
    session_id = f"{spec.kind}-{spec.noise}"
    plain = np.full(num_units, "network")
    return Session(
        session_id=session_id,
        counts=counts.astype(np.uint8 if counts.max(initial=0) <= 255 else np.uint16),
        bin_size_s=kind.bin_size_s,
        unit_id=np.array([f"{session_id}-u{unit}" for unit in range(num_units)]),
        region=plain,
        region_group=plain,
        region_source=np.full(num_units, "synthetic"),
        trial_start_bin=np.arange(num_trials, dtype=np.int64) * num_bins,
        trial_num_bins=np.full(num_trials, num_bins, np.int64),
        trial_start_s=np.arange(num_trials) * (num_bins * kind.bin_size_s + _PAUSE_S),
        split=random_split(num_trials, seed, session_id),
        conditions={"condition": condition.astype(np.float32)},
        behaviour={"input": inputs.reshape(-1, 1).astype(np.float32)},
        behaviour_valid={"input": np.ones(num_trials * num_bins, bool)},
        true_rates=expected,
        info={
            "subject_id": spec.kind,
            "species": "synthetic",
            "source": "neurojax synthetic",
            "licence": "CC0-1.0",
            "revision": "1",
            "known_rates": {"spec": dataclasses.asdict(spec), "seed": seed},
        },
    )


def bank(spec: KnownRatesSpec, seed: int = 0) -> np.ndarray:
    """Rates of everything that a trial can be, float32 [cases, T, N], expected spikes per bin.

    Cases are conditions, of "pulses" conditions times all bins of a kick; all are equally likely,
    so that an observer who knows them has the posterior over cases in closed form.

    Raises:
        InputError: the integrator, whose inputs are continuous.
    """
    require(spec.kind != "integrator", "the inputs of kind='integrator' are no list of cases")
    kind = KINDS[spec.kind]
    starts = _starts(spec, max(2, round(spec.share_of_trials * kind.num_conditions)), seed)
    inputs = np.zeros((1, kind.num_bins))
    if spec.kind == "pulses":
        bins = _pulse_bins(kind)
        inputs = np.zeros((len(bins), kind.num_bins))
        inputs[np.arange(len(bins)), bins] = 1.0
    starts, inputs = np.repeat(starts, len(inputs), axis=0), np.tile(inputs, (len(starts), 1))
    rates_hz = _rates_hz(spec, starts, inputs, seed)
    return (NOISES[spec.noise] * kind.bin_size_s * rates_hz).astype(np.float32)


def integrated_rates(spec: KnownRatesSpec, inputs: np.ndarray, seed: int = 0) -> np.ndarray:
    """What the integrator's rates would be under other inputs [trials, T]: float64 [trials, T, N],
    expected spikes per bin."""
    rates_hz = _rates_hz(spec, np.zeros((len(inputs), 0)), inputs, seed)
    return NOISES[spec.noise] * KINDS[spec.kind].bin_size_s * rates_hz


def _inputs(spec: KnownRatesSpec, num_trials: int, rng: np.random.Generator) -> np.ndarray:
    """What drives each trial, [trials, T]."""
    kind = KINDS[spec.kind]
    inputs = np.zeros((num_trials, kind.num_bins))
    if spec.kind == "pulses":
        inputs[np.arange(num_trials), rng.choice(_pulse_bins(kind), num_trials)] = 1.0
    if spec.kind == "integrator":
        inputs = rate_networks.noisy_inputs(num_trials, kind.num_bins, rng)
    return inputs


def _pulse_bins(kind: Kind) -> np.ndarray:
    first, last = (round(time_s / kind.bin_size_s) for time_s in PULSE_S)
    return np.arange(first, last)


def _starts(spec: KnownRatesSpec, num_conditions: int, seed: int) -> np.ndarray:
    """First states, [conditions, dims]; of the integrator none: it begins at rest."""
    rng = _generator(seed, _NETWORK, 1)
    if spec.kind == "lorenz":
        begun = rng.standard_normal((num_conditions, 3))
        # Let run in for a while: the first bin lies on the attractor.
        return _lorenz(spec).simulate(begun, 100, rng)[:, -1]
    if spec.kind == "integrator":
        return np.zeros((num_conditions, 0))
    return rng.standard_normal((num_conditions, rate_networks.CHAOTIC_UNITS))


def _lorenz(spec: KnownRatesSpec) -> latent_dynamics.Lorenz:
    return latent_dynamics.Lorenz(LORENZ_PER_S * KINDS[spec.kind].bin_size_s, 0.0)


def _rates_hz(spec, starts: np.ndarray, inputs: np.ndarray, seed: int) -> np.ndarray:
    """Rates of the loudest setting, Hz, float64 [trials, T, N], before the factor of the noise."""
    kind, rng = KINDS[spec.kind], _generator(seed, _NETWORK, 0)
    if spec.kind == "lorenz":
        directions = rng.standard_normal((3, LORENZ_UNITS))
        directions *= LORENZ_LOG_GAIN / np.linalg.norm(directions, axis=0)
        states = _lorenz(spec).simulate(starts, kind.num_bins, rng)
        # The mean of exp(x) is exp(1/2) for x of unit variance: means are near the base rate.
        return LORENZ_RATE_HZ * np.exp(states @ directions - 0.5 * LORENZ_LOG_GAIN**2)
    if spec.kind == "integrator":
        activity = _integrator(seed).run(inputs)
        return INTEGRATOR_PEAK_HZ * (1 + activity) / 2
    activity = rate_networks.chaotic(rng, kind.bin_size_s).run(starts, inputs)
    return CHAOTIC_PEAK_HZ * (1 + activity) / 2


@functools.lru_cache(maxsize=8)
def _integrator(seed: int) -> rate_networks.Integrator:
    """Fitted once, however often an observer asks what it would do."""
    return rate_networks.integrator(_generator(seed, _NETWORK, 0))


def _generator(seed: int, *stream: int) -> np.random.Generator:
    require(seed >= 0, f"seed {seed} is negative; give 0 or a positive integer")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream)))
