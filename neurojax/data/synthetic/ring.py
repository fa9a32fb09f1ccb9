"""Made-up surface EMG: a ring of electrodes around the forearm, worn a little turned by everyone.

A gesture is a pattern of muscle activity around the arm, the same for all people up to how strongly
each contracts. A person wears the ring turned by some angle, and every electrode has a gain of its
own, so that a reader of people it never saw has to cope with both. Samples are white Gaussian noise
whose standard deviation is the activity below the electrode, over a floor of noise: a window tells
of a gesture by its power alone, as much of surface EMG does. `rest` makes a long rest of the same
people, with drift and twitches, in which a decoder should do nothing. No recording of a person is
in it.
"""

import csv
import dataclasses
from pathlib import Path

import numpy as np
from scipy import special

from neurojax.errors import require
from neurojax.files import require_writable

# Fixed before any model was trained. Centres of activity, in turns around the arm, and strengths.
GESTURES = {
    "rest": (),
    "fist": ((0.05, 0.7), (0.55, 0.7)),
    "open": ((0.15, 0.7), (0.60, 0.4)),
    "flexion": ((0.00, 1.0),),
    "extension": ((0.50, 1.0),),
}
FOLDS = 5
_PATTERN_STREAM, _SAMPLE_STREAM, _REST_STREAM = range(3)


@dataclasses.dataclass(frozen=True)
class RingSpec:
    """What the people are like.

    Attributes:
        num_people: one file each.
        num_electrodes: evenly around the arm.
        sampling_hz: of every electrode.
        segment_s: seconds that a gesture is held.
        num_repetitions: times each gesture is held.
        spread_turns: width of a centre of activity, in turns around the arm.
        turned_std_turns: standard deviation over people of how far the ring is turned.
        gain_std: standard deviation over electrodes of the logarithm of their gain.
        effort_std: standard deviation over people and gestures of the logarithm of the strength.
        noise: standard deviation of the samples of a muscle at rest, where the strongest centre of
            activity adds 1.
    """

    num_people: int = 10
    num_electrodes: int = 8
    sampling_hz: float = 200.0
    segment_s: float = 4.0
    num_repetitions: int = 4
    spread_turns: float = 0.08
    turned_std_turns: float = 0.05
    gain_std: float = 0.2
    effort_std: float = 0.3
    noise: float = 0.6

    def __post_init__(self):
        require(
            min(self.num_people, self.num_electrodes, self.num_repetitions) >= 1,
            f"{self.num_people} people with {self.num_electrodes} electrodes and "
            f"{self.num_repetitions} repetitions; expected at least one of each",
        )
        require(
            min(self.sampling_hz, self.segment_s, self.spread_turns, self.noise) > 0
            and min(self.turned_std_turns, self.gain_std, self.effort_std) >= 0,
            "sampling_hz, segment_s, spread_turns and noise must be over 0, spreads over people "
            "and electrodes at least 0",
        )


@dataclasses.dataclass(frozen=True)
class RestSpec:
    """What an hour of rest is like; fixed before any model was tested on it.

    Attributes:
        seconds: length.
        drift_std: standard deviation over time of the logarithm of all amplitudes.
        drift_s: time after which the drift is forgotten to 1 / e.
        twitches_per_hour: on average, at times and places drawn evenly.
        twitch_s: how long each lasts; a gesture is held for seconds.
        twitch_strength: of a twitch, as the strengths of GESTURES.
    """

    seconds: float = 3600.0
    drift_std: float = 0.1
    drift_s: float = 300.0
    twitches_per_hour: float = 60.0
    twitch_s: float = 0.15
    twitch_strength: float = 0.7

    def __post_init__(self):
        require(
            min(self.seconds, self.drift_s, self.twitch_s) > 0
            and min(self.drift_std, self.twitches_per_hour, self.twitch_strength) >= 0,
            "seconds, drift_s and twitch_s must be over 0, drift_std, twitches_per_hour and "
            "twitch_strength at least 0",
        )


def patterns(spec: RingSpec, seed: int, person: int) -> np.ndarray:
    """Standard deviation of the samples of every electrode, float64 [gestures, electrodes]."""
    place, gain, effort = _person(spec, seed, person)
    activity = np.zeros((len(GESTURES), spec.num_electrodes))
    for gesture, centres in enumerate(GESTURES.values()):
        for centre, strength in centres:
            activity[gesture] += strength * _nearness(place, centre, spec)
    return gain * np.hypot(effort[:, None] * activity, spec.noise)


def _person(spec: RingSpec, seed: int, person: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place in turns around the arm and gain of each electrode, effort of each gesture."""
    rng = _generator(seed, _PATTERN_STREAM, person)
    turned = spec.turned_std_turns * rng.standard_normal()
    gain = np.exp(spec.gain_std * rng.standard_normal(spec.num_electrodes))
    effort = np.exp(spec.effort_std * rng.standard_normal(len(GESTURES)))
    return np.arange(spec.num_electrodes) / spec.num_electrodes + turned, gain, effort


def _nearness(place: np.ndarray, centre: float | np.ndarray, spec: RingSpec) -> np.ndarray:
    """What of a centre of activity reaches electrodes at a place, 1 right above it."""
    apart = (place - centre + 0.5) % 1 - 0.5
    return np.exp(-0.5 * (apart / spec.spread_turns) ** 2)


def recording(spec: RingSpec, seed: int, person: int) -> dict[str, np.ndarray]:
    """One person's arrays, as `neurojax convert emg` reads them from an .npz file.

    Args:
        spec: what the people are like.
        seed: 0 or more; a person depends on (spec, seed, person) and nothing else.
        person: counted from 0.

    Returns:
        emg float32 [samples, electrodes], gestures one after another, round by round;
        segment_offsets [segments + 1]; gesture, repetition [segments]; gesture_names,
        sampling_rate_hz, unit, licence.
    """
    std = patterns(spec, seed, person)
    rng = _generator(seed, _SAMPLE_STREAM, person)
    num_samples = round(spec.segment_s * spec.sampling_hz)
    gesture = np.tile(np.arange(len(GESTURES)), spec.num_repetitions)
    emg = std[gesture][:, None] * rng.standard_normal(
        (len(gesture), num_samples, spec.num_electrodes)
    )
    repetition = np.repeat(np.arange(spec.num_repetitions), len(GESTURES))
    return _arrays(spec, emg.reshape(-1, spec.num_electrodes), num_samples, gesture, repetition)


def rest(spec: RingSpec, long: RestSpec, seed: int, person: int) -> dict[str, np.ndarray]:
    """A long rest of a person of `recording`, in the same arrays: one segment, whose gesture is
    rest throughout, although all amplitudes drift and a muscle twitches now and then.

    Args:
        spec: what the people are like.
        long: what the rest is like.
        seed, person: as of `recording`.
    """
    place, gain, _ = _person(spec, seed, person)
    rng = _generator(seed, _REST_STREAM, person)
    num_samples = round(long.seconds * spec.sampling_hz)
    # The drift takes a step a second and goes straight in between.
    knots, keeps = int(np.ceil(long.seconds)) + 1, np.exp(-1 / long.drift_s)
    steps = rng.standard_normal(knots) * np.sqrt(1 - keeps**2)
    drift = np.empty(knots)
    drift[0] = rng.standard_normal()
    for knot in range(1, knots):
        drift[knot] = keeps * drift[knot - 1] + steps[knot]
    time_s = np.arange(num_samples) / spec.sampling_hz
    loudness = np.exp(long.drift_std * np.interp(time_s, np.arange(knots), drift))  # [samples]
    activity = np.zeros((num_samples, spec.num_electrodes))
    number = rng.poisson(long.twitches_per_hour * long.seconds / 3600)
    for start_s, centre in zip(
        rng.uniform(0, long.seconds, number), rng.uniform(0, 1, number), strict=True
    ):
        first, last = np.searchsorted(time_s, [start_s, start_s + long.twitch_s])
        activity[first:last] += long.twitch_strength * _nearness(place, centre, spec)
    std = loudness[:, None] * gain * np.hypot(activity, spec.noise)
    emg = std * rng.standard_normal((num_samples, spec.num_electrodes))
    own = np.array([list(GESTURES).index("rest")])
    return _arrays(spec, emg, num_samples, own, np.zeros(1, np.int64))


def _arrays(
    spec: RingSpec, emg: np.ndarray, num_samples: int, gesture: np.ndarray, repetition: np.ndarray
) -> dict[str, np.ndarray]:
    """The arrays of a file: emg [samples, electrodes] in segments of `num_samples`."""
    return {
        "emg": emg.astype(np.float32),
        "segment_offsets": np.arange(len(gesture) + 1) * num_samples,
        "gesture": gesture,
        "repetition": repetition,
        "gesture_names": np.array(list(GESTURES)),
        "sampling_rate_hz": np.float64(spec.sampling_hz),
        "unit": np.array("a.u."),
        "licence": np.array("CC0-1.0"),
    }


def write_people(folder: str | Path, spec: RingSpec | None = None, seed: int = 0) -> None:
    """Writes one .npz a person and people.csv, which gives each a fold in turn.

    Args:
        folder: made where it is missing; files of the same names are replaced.
        spec: what the people are like; default: `RingSpec()`.
        seed: 0 or more.

    Raises:
        InputError: a negative seed, or a folder that cannot be written.
    """
    folder, spec = Path(folder), spec or RingSpec()
    require_writable(folder, folder=True)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"person-{person}" for person in range(spec.num_people)]
    for person, name in enumerate(names):
        np.savez(folder / f"{name}.npz", **recording(spec, seed, person))
    with (folder / "people.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person", "fold"])
        writer.writerows([name, person % FOLDS] for person, name in enumerate(names))


def best_read(emg: np.ndarray, std: np.ndarray) -> np.ndarray:
    """The likeliest gesture of each window for a reader who knows the person's patterns, int64 [W].

    Nobody who is told less can do better on average: a ceiling of every decoder.

    Args:
        emg: float [W, samples, electrodes].
        std: of `patterns`, float64 [gestures, electrodes].
    """
    return _nats(emg, std).argmax(1)


def best_probability(emg: np.ndarray, std: np.ndarray) -> np.ndarray:
    """What the reader of `best_read` believes of each window where gestures are made alike, float64
    [W, gestures]; arguments as of it."""
    return special.softmax(emg.shape[1] * _nats(emg, std), axis=1)


def _nats(emg: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Log-likelihood of each gesture, a sample, [W, gestures]."""
    power = (emg.astype(np.float64) ** 2).mean(1)  # [W, electrodes]
    return -0.5 * power @ (1 / std**2).T - np.log(std).sum(1)


def _generator(seed: int, *stream: int) -> np.random.Generator:
    require(seed >= 0, f"seed {seed} is negative; give 0 or a positive integer")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream)))
