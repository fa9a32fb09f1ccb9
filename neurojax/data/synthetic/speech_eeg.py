"""Made-up EEG of people who read sentences aloud: a brain that follows, and a jaw that speaks.

A sentence is a time course of speech features. Neural sources follow it 120 ms late, jaw muscles at
once; both reach the sensors by a mixing of their own for every person and day: sources lie below a
flat head, and a sensor reads what is near it. The cap sits a little elsewhere on everyone and every
day; sensor positions are those that the experimenter writes down. Two more channels lie on the jaw
and read muscle alone. Noise is background activity, shared by neighbouring sensors, and the noise
of each sensor, both white in time and Gaussian: so the likelihood of every sentence is known, and
with it the best that any reader can do (`best_read`). No recording of a person is in it.

How loudly brain and jaw tell of the sentence is planted: `neural_gain` and `muscle_gain`.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from neurojax.data.real_values import from_values
from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.errors import require

# Fixed before any model was trained.
NUM_BINS, SILENT_BINS = 48, 4  # of a window; without speech at either end of it
LAG_BINS = 3  # 120 ms at 25 Hz
SAMPLING_HZ = 25.0
SMOOTH_BINS = 1.2  # standard deviation of the kernel over independent values
NUM_SOURCES, NUM_BACKGROUND = 8, 12
NEURAL_STRENGTH = 0.65  # of a neural gain of 1, where a muscle gain of 1 is of strength 1
SOURCE_WIDTH, JAW_WIDTH, BACKGROUND_WIDTH = 0.35, 0.30, 0.5  # head radii
JAW = ((-1.15, -0.10), (1.15, -0.10))  # left and right, head radii; nose at (0, 1)
JAW_CHANNELS = ("EMG-left", "EMG-right")
CAP_SHIFT, SOURCE_SHIFT = 0.06, 0.08  # standard deviation over people, head radii
GAIN_STD = 0.2  # of the logarithm of a sensor's gain
BACKGROUND = 0.6  # standard deviation, in units of a sensor's own noise
JAW_NOISE = 1.0  # of the channels on the jaw, in the same units
VALIDATION_SENTENCES = 128
_WORLD, _PERSON, _DAY, _SENTENCES, _TRIALS = range(5)


@dataclasses.dataclass(frozen=True)
class SpeechSpec:
    """What is recorded.

    Attributes:
        num_people: one session each.
        num_trials: to train on, of each person, evenly over the days but the last.
        num_trained_sentences: that these trials are readings of.
        num_sentences: K, of the test, which training never meets; each is read twice by everyone:
            on a day of training and on the last day.
        num_sensors: of the cap.
        num_features: F, of speech.
        num_days: of recording, two or more; nothing of the last one is trained on.
        neural_gain, muscle_gain: of what the brain and the jaw say of the sentence.
        noise: standard deviation of a sensor's own noise.
        day_shift: standard deviation over days of where the cap sits, head radii.
    """

    num_people: int = 4
    num_trials: int = 2048
    num_trained_sentences: int = 2048
    num_sentences: int = 512
    num_sensors: int = 16
    num_features: int = 8
    num_days: int = 3
    neural_gain: float = 1.0
    muscle_gain: float = 0.3
    noise: float = 3.0
    day_shift: float = 0.03

    def __post_init__(self):
        least = {
            "num_people num_trials num_trained_sentences num_sensors num_features": 1,
            "num_sentences num_days": 2,
        }
        for names, low in least.items():
            for name in names.split():
                value = getattr(self, name)
                whole = isinstance(value, int) and not isinstance(value, bool)
                require(
                    whole and value >= low,
                    f"data.synthetic.{name}={value!r}; expected a whole number of {low} or more",
                )
        most = NUM_BINS - 2 * SILENT_BINS
        require(
            self.num_features <= most // 2,
            f"data.synthetic.num_features={self.num_features}; expected at most {most // 2}, half "
            "of the bins of a sentence",
        )
        require(
            self.noise > 0 and min(self.neural_gain, self.muscle_gain, self.day_shift) >= 0,
            "data.synthetic.noise must be over 0; neural_gain, muscle_gain and day_shift at "
            "least 0",
        )


class Mixing(NamedTuple):
    """How one person's sensors read the sources on one day, float64.

    Attributes:
        neural: [C, F], what each channel says of each speech feature, `LAG_BINS` late.
        muscle: [C, F], the same at once, of the jaw.
        covariance: [C, C], of the noise of a bin.
    """

    neural: np.ndarray
    muscle: np.ndarray
    covariance: np.ndarray


class Trials(NamedTuple):
    """What one person reads, and what is recorded of it.

    Attributes:
        sentence: int [trials].
        day: int [trials].
        split: int8 [trials].
        neural, muscle, noise: float32 [trials, T, C]; a recording is their sum.
    """

    sentence: np.ndarray
    day: np.ndarray
    split: np.ndarray
    neural: np.ndarray
    muscle: np.ndarray
    noise: np.ndarray


def features(spec: SpeechSpec, seed: int, sentence: np.ndarray) -> np.ndarray:
    """Speech features of sentences, float32 [sentences, T, F].

    Silent at both ends; within a sentence all features have one power and no correlation, so that
    no sentence is louder than another.

    Args:
        sentence: numbers, 0 to all that are read: test, validation, train.
    """
    spoken = NUM_BINS - 2 * SILENT_BINS
    steps = np.arange(-5, 6)
    kernel = np.exp(-0.5 * (steps / SMOOTH_BINS) ** 2)
    found = np.zeros((len(sentence), NUM_BINS, spec.num_features), np.float32)
    for place, number in enumerate(np.asarray(sentence).tolist()):
        rng = _generator(seed, _SENTENCES, number)
        white = rng.standard_normal((spoken + len(steps) - 1, spec.num_features))
        smooth = np.stack([np.convolve(one, kernel, mode="valid") for one in white.T], axis=1)
        left, _, right = np.linalg.svd(smooth, full_matrices=False)
        found[place, SILENT_BINS:-SILENT_BINS] = np.sqrt(spoken) * left @ right  # [spoken, F]
    return found


def sensor_positions(spec: SpeechSpec) -> np.ndarray:
    """Where sensors are written down to lie: float64 [C, 2] in head radii, cap first, jaw last.

    A spiral that covers the disc evenly (Vogel 1979).
    """
    number = np.arange(spec.num_sensors) + 0.5
    radius, angle = np.sqrt(number / spec.num_sensors), np.pi * (1 + np.sqrt(5)) * number
    cap = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return np.concatenate([cap, JAW])


def channel_names(spec: SpeechSpec) -> list[str]:
    """Of all channels, in order."""
    return [*(f"E{number + 1}" for number in range(spec.num_sensors)), *JAW_CHANNELS]


def mixing(spec: SpeechSpec, seed: int, person: int, day: int) -> Mixing:
    """One person's mixing on one day."""
    world, own = _generator(seed, _WORLD), _generator(seed, _PERSON, person)
    radius, angle = np.sqrt(world.random((NUM_SOURCES, 1))), world.random((NUM_SOURCES, 1))
    where = 0.9 * radius * np.concatenate([np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)], 1)
    follows = world.standard_normal((NUM_SOURCES, spec.num_features)) / np.sqrt(spec.num_features)
    jaw_follows = world.standard_normal((len(JAW), spec.num_features)) / np.sqrt(spec.num_features)
    behind = world.uniform(-1, 1, (NUM_BACKGROUND, 2))
    where = where + SOURCE_SHIFT * own.standard_normal(where.shape)
    behind = behind + SOURCE_SHIFT * own.standard_normal(behind.shape)
    shift = CAP_SHIFT * own.standard_normal(2)
    num_channels = spec.num_sensors + len(JAW)
    gain = np.exp(GAIN_STD * own.standard_normal(num_channels))
    shift = shift + spec.day_shift * _generator(seed, _DAY, person, day).standard_normal(2)
    place = sensor_positions(spec) + shift

    def read(sources, width):  # [C, sources]
        apart = ((place[:, None] - sources) ** 2).sum(-1)
        return gain[:, None] * np.exp(-0.5 * apart / width**2)

    on_cap = (np.arange(num_channels) < spec.num_sensors)[:, None]
    neural = np.where(on_cap, read(where, SOURCE_WIDTH), 0) @ follows
    background = np.where(on_cap, read(behind, BACKGROUND_WIDTH), 0) * BACKGROUND
    own_noise = np.where(on_cap[:, 0], 1.0, JAW_NOISE)
    covariance = background @ background.T + np.diag(own_noise**2)
    muscle = read(np.asarray(JAW), JAW_WIDTH) @ jaw_follows
    return Mixing(
        NEURAL_STRENGTH * spec.neural_gain * neural,
        spec.muscle_gain * muscle,
        spec.noise**2 * covariance,
    )


def trials(spec: SpeechSpec, seed: int, person: int) -> Trials:
    """What one person reads: test sentences on a day of training and on the last day, validation
    sentences, and those to train on."""
    rng = _generator(seed, _TRIALS, person)
    days = spec.num_days - 1  # of training
    test = np.arange(spec.num_sentences)
    validation = spec.num_sentences + np.arange(VALIDATION_SENTENCES)
    known = spec.num_sentences + VALIDATION_SENTENCES
    order = [rng.permutation(spec.num_trained_sentences) for _ in range(_rounds(spec))]
    train = known + np.concatenate(order)[: spec.num_trials]
    sentence = np.concatenate([test, test, validation, train])
    sizes = (len(test), len(test), len(validation), len(train))
    split = np.repeat(np.int8([TEST, TEST, VALIDATION, TRAIN]), sizes)
    day = np.arange(len(sentence)) % days
    day[len(test) : 2 * len(test)] = days
    numbers, place = np.unique(sentence, return_inverse=True)
    spoken = features(spec, seed, numbers)
    late = np.zeros_like(spoken)
    late[:, LAG_BINS:] = spoken[:, :-LAG_BINS]
    shape = (len(sentence), NUM_BINS, spec.num_sensors + len(JAW))
    neural, muscle, noise = (np.zeros(shape, np.float32) for _ in range(3))
    for number in range(spec.num_days):
        own, how = day == number, mixing(spec, seed, person, number)
        neural[own] = late[place[own]] @ how.neural.T.astype(np.float32)
        muscle[own] = spoken[place[own]] @ how.muscle.T.astype(np.float32)
        white = rng.standard_normal((int(own.sum()), *shape[1:]), np.float32)
        noise[own] = white @ np.linalg.cholesky(how.covariance).T.astype(np.float32)
    return Trials(sentence, day, split, neural, muscle, noise)


def sessions(spec: SpeechSpec, seed: int) -> list[Session]:
    """One session a person: channels over the windows end to end, speech features beside them.

    Returns:
        sessions of real values with the behaviours `speech` [samples, F] and `muscle_part`
        [samples, C], what of each sample is of the jaw; the conditions `sentence` and `day`; of
        each channel `head_x`, `head_y` in head radii; region "jaw" or "scalp".
    """
    at, names = sensor_positions(spec), channel_names(spec)
    made = []
    for person in range(spec.num_people):
        own = trials(spec, seed, person)
        spoken = features(spec, seed, np.unique(own.sentence))
        spoken = spoken[np.unique(own.sentence, return_inverse=True)[1]]
        num_channels = own.noise.shape[-1]
        known = np.ones(own.noise.shape[0] * NUM_BINS, bool)
        session = from_values(
            (own.neural + own.muscle + own.noise).reshape(-1, num_channels),
            sampling_hz=SAMPLING_HZ,
            unit="a.u.",
            session_id=f"person{person:02}",
            trial_start_bin=np.arange(len(own.sentence)) * NUM_BINS,
            trial_num_bins=NUM_BINS,
            split=own.split,
            channel=np.array(names),
            region=np.array(["jaw" if name in JAW_CHANNELS else "scalp" for name in names]),
            conditions={"sentence": own.sentence, "day": own.day},
            info={
                "subject_id": f"person{person:02}",
                "species": "human",
                "licence": "CC0-1.0",
                "source": {"generator": "speech_eeg", "seed": seed, "person": person},
                "speech_eeg": dataclasses.asdict(spec),
            },
        )
        made.append(
            session.with_fields(
                behaviour={
                    "speech": spoken.reshape(-1, spec.num_features),
                    "muscle_part": own.muscle.reshape(-1, num_channels),
                },
                behaviour_valid={"speech": known, "muscle_part": known.copy()},
                unit_metadata={"head_x": at[:, 0], "head_y": at[:, 1]},
            )
        )
    return made


def log_likelihoods(
    values: np.ndarray, how: Mixing, spoken: np.ndarray, channels: np.ndarray | None = None
) -> np.ndarray:
    """Log-likelihood of every sentence for every window, up to a constant of the window.

    Args:
        values: float [W, T, C], windows of one person and day.
        how: their mixing.
        spoken: float [K, T, F], features of the sentences.
        channels: bool [C], that the reader has; default all.

    Returns:
        float64 [W, K].
    """
    kept = np.ones(values.shape[-1], bool) if channels is None else channels
    late = np.zeros_like(spoken)
    late[:, LAG_BINS:] = spoken[:, :-LAG_BINS]
    expected = late @ how.neural[kept].T + spoken @ how.muscle[kept].T  # [K, T, C]
    whiten = np.linalg.inv(np.linalg.cholesky(how.covariance[np.ix_(kept, kept)])).T
    seen = (values[..., kept].astype(np.float64) @ whiten).reshape(len(values), -1)
    expected = (expected @ whiten).reshape(len(spoken), -1)
    return seen @ expected.T - 0.5 * (expected**2).sum(1)


def best_read(
    spec: SpeechSpec,
    seed: int,
    person: int,
    values: np.ndarray,
    day: np.ndarray,
    channels: np.ndarray | None = None,
) -> np.ndarray:
    """Log-likelihood of the test sentences for a reader who knows the mixing of person and day: no
    reader of the same channels is right more often.

    Args:
        values: float [W, T, C]; day: int [W]; channels: bool [C], default all.

    Returns:
        float64 [W, K].
    """
    spoken = features(spec, seed, np.arange(spec.num_sentences))
    found = np.zeros((len(values), spec.num_sentences))
    for number in np.unique(day).tolist():
        own, how = day == number, mixing(spec, seed, person, number)
        found[own] = log_likelihoods(values[own], how, spoken, channels)
    return found


def _rounds(spec: SpeechSpec) -> int:
    return -(-spec.num_trials // spec.num_trained_sentences)


def _generator(seed: int, *stream: int) -> np.random.Generator:
    require(seed >= 0, f"seed {seed} is negative; give 0 or a positive integer")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream)))
