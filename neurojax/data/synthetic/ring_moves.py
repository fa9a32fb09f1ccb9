"""Made-up surface EMG of a moving hand: gestures that begin at known times, and a wrist's velocity.

A ring of electrodes around the forearm, as in `synthetic.ring`: each person wears it a little
turned, with a gain of its own for each electrode. A gesture is a short burst of muscles; the wrist
bends one way and the other, each by a muscle whose activity is the velocity that way. Samples are
white noise whose standard deviation is the activity below the electrode, over a floor of noise, so
that both are read from power alone. Fixed before any model was trained.

Each sample has the behaviours `pulses` (a few samples of ones shortly after each gesture begins,
one column a gesture: a reader of the past alone has by then seen it) and `velocity`.

Pulses after the onset: CTRL-labs at Reality Labs 2025, Nature 645:702-711, methods.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from neurojax.data.real_values import from_values
from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.errors import require

# Centres of activity, in turns around the arm, and strengths; the wrist's muscles lie elsewhere.
GESTURES = {"pinch": ((0.15, 1.5),), "fist": ((0.65, 1.5),), "tap": ((0.15, 1.0), (0.65, 1.0))}
WRIST = (0.4, 0.9)  # of positive and of negative velocity
PULSE_FROM_S, PULSE_TO_S = 0.08, 0.12
_SPREAD_TURNS = 0.08


@dataclasses.dataclass(frozen=True)
class MovesSpec:
    """What the people do.

    Attributes:
        num_people: one session each; the last one tests, the one before it validates.
        num_trials: windows of each, end to end.
        trial_s: seconds of each.
        num_electrodes: evenly around the arm.
        sampling_hz: of every electrode.
        gestures_per_s: on average; none while another one lasts, or at the end of a trial.
        burst_s: seconds that a gesture lasts.
        velocity_s: over which the wrist's velocity changes, standard deviation of a Gaussian.
        turned_std_turns: standard deviation over people of how far the ring is turned.
        gain_std: standard deviation over electrodes of the logarithm of their gain.
        noise: standard deviation of the samples of a muscle at rest, where a velocity of one
            standard deviation adds 1.
    """

    num_people: int = 6
    num_trials: int = 48
    trial_s: float = 4.0
    num_electrodes: int = 8
    sampling_hz: float = 200.0
    gestures_per_s: float = 0.75
    burst_s: float = 0.25
    velocity_s: float = 0.25
    turned_std_turns: float = 0.03
    gain_std: float = 0.2
    noise: float = 0.3

    def __post_init__(self):
        require(
            self.num_people >= 3 and min(self.num_trials, self.num_electrodes) >= 1,
            f"{self.num_people} people with {self.num_trials} trials and {self.num_electrodes} "
            "electrodes; expected three people or more, and one of the others",
        )
        lengths = (self.trial_s, self.sampling_hz, self.burst_s, self.velocity_s, self.noise)
        require(
            min(lengths) > 0
            and min(self.gestures_per_s, self.turned_std_turns, self.gain_std) >= 0,
            "trial_s, sampling_hz, burst_s, velocity_s and noise must be over 0, gestures_per_s "
            "and spreads over people at least 0",
        )
        require(
            self.trial_s > self.burst_s + PULSE_TO_S,
            f"trial_s={self.trial_s:g} holds no gesture of burst_s={self.burst_s:g} and its pulse",
        )


def sessions(spec: MovesSpec, seed: int) -> list[Session]:
    """One session a person; each depends on (spec, seed, person) and nothing else."""
    return [session_of(spec, seed, person) for person in range(spec.num_people)]


def session_of(spec: MovesSpec, seed: int, person: int) -> Session:
    """A person's recording: real values, `pulses` [samples, gestures], `velocity` [samples, 1]."""
    require(seed >= 0, f"seed {seed} is negative; give 0 or a positive integer")
    rng = np.random.default_rng([seed, 411, person])
    place = np.arange(spec.num_electrodes) / spec.num_electrodes
    place = place + spec.turned_std_turns * rng.standard_normal()
    gain = np.exp(spec.gain_std * rng.standard_normal(spec.num_electrodes))
    length = round(spec.trial_s * spec.sampling_hz)
    shape = (spec.num_trials, length)
    velocity = _velocity(spec, rng, shape)
    kind = _onsets(spec, rng, shape)  # -1 where no gesture begins
    activity = np.zeros((*shape, spec.num_electrodes))
    for centre, way in zip(WRIST, (velocity, -velocity), strict=True):
        activity += np.maximum(way, 0)[..., None] * _nearness(place, centre)
    pulses = np.zeros((*shape, len(GESTURES)), np.float32)
    burst, edges = round(spec.burst_s * spec.sampling_hz), (PULSE_FROM_S, PULSE_TO_S)
    first, stop = (round(edge * spec.sampling_hz) for edge in edges)
    for trial, onset in np.argwhere(kind >= 0):
        gesture = kind[trial, onset]
        for centre, strength in list(GESTURES.values())[gesture]:
            activity[trial, onset : onset + burst] += strength * _nearness(place, centre)
        pulses[trial, onset + first : onset + max(stop, first + 1), gesture] = 1
    std = gain * np.hypot(activity, spec.noise)
    emg = std * rng.standard_normal(std.shape)
    split = {spec.num_people - 1: TEST, spec.num_people - 2: VALIDATION}.get(person, TRAIN)
    made = from_values(
        emg.reshape(-1, spec.num_electrodes).astype(np.float32),
        sampling_hz=spec.sampling_hz,
        unit="a.u.",
        session_id=f"person-{person}",
        trial_start_bin=np.arange(spec.num_trials) * length,
        trial_num_bins=length,
        split=split,
        region=np.full(spec.num_electrodes, "forearm"),
        info={"species": "made up", "licence": "CC0-1.0", "gestures": list(GESTURES)},
    )
    behaviour = {
        "pulses": pulses.reshape(-1, len(GESTURES)),
        "velocity": velocity.reshape(-1, 1).astype(np.float32),
    }
    valid = {name: np.ones(len(column), bool) for name, column in behaviour.items()}
    return made.with_fields(behaviour=behaviour, behaviour_valid=valid)


def _velocity(spec: MovesSpec, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Of standard deviation one, smooth within a trial."""
    width = spec.velocity_s * spec.sampling_hz
    around = int(np.ceil(4 * width))
    noise = rng.standard_normal((shape[0], shape[1] + 2 * around))
    smooth = ndimage.gaussian_filter1d(noise, width, axis=1)[:, around : around + shape[1]]
    return smooth * np.sqrt(2 * np.sqrt(np.pi) * width)  # of unit variance in continuous time


def _onsets(spec: MovesSpec, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """The gesture that begins at a sample, -1 for none, int64 of that shape."""
    kind = np.full(shape, -1)
    apart = round((spec.burst_s + PULSE_TO_S) * spec.sampling_hz)
    wants = rng.random(shape) < spec.gestures_per_s / spec.sampling_hz
    which = rng.integers(0, len(GESTURES), shape)
    for trial in range(shape[0]):
        free = 0
        for onset in np.flatnonzero(wants[trial]):
            if free <= onset <= shape[1] - apart:
                kind[trial, onset], free = which[trial, onset], onset + apart
    return kind


def _nearness(place: np.ndarray, centre: float) -> np.ndarray:
    """What of a centre of activity reaches electrodes at a place, 1 right above it."""
    apart = (place - centre + 0.5) % 1 - 0.5
    return np.exp(-0.5 * (apart / _SPREAD_TURNS) ** 2)
