"""Made-up fMRI of people who look at pictures: voxels that answer to a few shared visual features.

A picture is its embedding, as a network for images would give it: a point on a sphere whose
directions are of unequal spread. The visual system of everybody computes the same few features of
it, which saturate; a voxel sums these features with weights of its own, and there are kinds of
voxels that all people have. Two kinds of noise come to a presentation: the features themselves
fluctuate, which all voxels of a person share, and every voxel has noise of its own. Both are
Gaussian, so that the likelihood of every picture is known, and with it the best that any reader can
do (`best_read`). Numbers of people, voxels and repeats are after Allen et al. 2022 (Natural Scenes
Dataset), made small; no recording of a person is in it.

Everyone is trained on pictures of their own, in sessions of equal length, and tested on the same
shared ones, each shown repeatedly.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from neurojax.data.real_values import from_values
from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.errors import require

# Fixed before any model was trained. Standard deviation of a feature's fluctuation, where the
# features themselves have one of about 0.6.
NOISES = {"low": 0.80, "medium": 0.95, "high": 1.05}
VOXEL_NOISE = 1.6  # standard deviation of a voxel's own, over that of the features' fluctuation
NUM_EMBEDDING, NUM_FEATURES, NUM_KINDS = 64, 16, 12
SPREAD_POWER = 0.3  # direction k of the embeddings has a spread of k ** -power
OWN_SHARE = 0.7  # of a voxel's weights, beside 0.7 of those of its kind
GAIN_STD = 0.5  # of the logarithm of a voxel's gain
VOXELS = (500, 900)  # fewest and most of a person
SECONDS_PER_TRIAL = 4.0
_WORLD, _PERSON, _PICTURES, _TRIALS = range(4)


@dataclasses.dataclass(frozen=True)
class NsdSpec:
    """What is recorded.

    Attributes:
        num_people, first_person: people are numbered; person k is the same in any set.
        num_sessions: of training, of each person; the first ones of many are those of few.
        trials_per_session: pictures, each shown once.
        num_validation: pictures of each person to choose by, each shown once.
        num_test: shared pictures of the test.
        num_repeats: of each test picture.
        noise: "low", "medium" or "high", see NOISES.
        most_voxels: a person has as many at most; 0 for what VOXELS says.
    """

    num_people: int = 8
    first_person: int = 0
    num_sessions: int = 20
    trials_per_session: int = 120
    num_validation: int = 120
    num_test: int = 300
    num_repeats: int = 3
    noise: str = "medium"
    most_voxels: int = 0

    def __post_init__(self):
        least = {
            "num_people num_sessions trials_per_session num_validation num_repeats": 1,
            "num_test": 2,
            "first_person most_voxels": 0,
        }
        for names, low in least.items():
            for name in names.split():
                value = getattr(self, name)
                whole = isinstance(value, int) and not isinstance(value, bool)
                require(
                    whole and low <= value < 2**20,
                    f"data.synthetic.{name}={value!r}; expected a whole number of {low} or more",
                )
        require(
            self.noise in NOISES,
            f"data.synthetic.noise={self.noise!r}; choose from {', '.join(NOISES)}",
        )


class Brain(NamedTuple):
    """One person's voxels.

    Attributes:
        weights: float64 [N, K], what each voxel takes of each feature.
        kind: int [N], of voxel.
        noise_sd: float64 [N], of a voxel's own noise in one presentation.
        feature_sd: of the fluctuation of each feature in one presentation.
    """

    weights: np.ndarray
    kind: np.ndarray
    noise_sd: np.ndarray
    feature_sd: float


def embeddings(seed: int, picture: np.ndarray) -> np.ndarray:
    """Embeddings of pictures by their numbers, float32 [pictures, E], each of length 1."""
    world = _generator(seed, _WORLD)
    turn, _ = np.linalg.qr(world.standard_normal((NUM_EMBEDDING, NUM_EMBEDDING)))
    spread = np.arange(1, NUM_EMBEDDING + 1) ** -SPREAD_POWER
    drawn = [
        _generator(seed, _PICTURES, number).standard_normal(NUM_EMBEDDING)
        for number in np.asarray(picture).tolist()
    ]
    found = (np.stack(drawn) * spread) @ turn.T
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def features(seed: int, embedding: np.ndarray) -> np.ndarray:
    """What everybody's visual system computes of embeddings [..., E], float64 [..., K] within -1
    and 1."""
    world = _generator(seed, _WORLD, 1)
    reads = world.standard_normal((NUM_EMBEDDING, NUM_FEATURES))
    return np.tanh(np.asarray(embedding, np.float64) @ reads)


def brain(spec: NsdSpec, seed: int, person: int) -> Brain:
    """The voxels of one person; a function of (seed, person) but for the noise and most_voxels."""
    world, own = _generator(seed, _WORLD, 2), _generator(seed, _PERSON, person)
    kinds = _unit(world.standard_normal((NUM_KINDS, NUM_FEATURES)))
    number = int(own.integers(VOXELS[0], VOXELS[1] + 1))
    kind = own.integers(NUM_KINDS, size=number)
    mine = _unit(own.standard_normal((number, NUM_FEATURES)))
    gain = np.exp(GAIN_STD * own.standard_normal((number, 1)))
    weights = gain * _unit(kinds[kind] + mine * OWN_SHARE / 0.7)
    feature_sd = NOISES[spec.noise]
    noise_sd = VOXEL_NOISE * feature_sd * np.exp(0.3 * own.standard_normal(number))
    kept = slice(spec.most_voxels or number)
    return Brain(weights[kept], kind[kept], noise_sd[kept], feature_sd)


def pictures(spec: NsdSpec, person: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(number of the picture [trials], session [trials], split int8 [trials]) of one person: test
    pictures, of number 0 on, round by round; validation; then the sessions to train on. Session 0
    is that of test and validation."""
    first = 2**20 * (person + 1)  # pictures of one's own
    trained = spec.num_sessions * spec.trials_per_session
    test = np.tile(np.arange(spec.num_test), spec.num_repeats)
    sizes = (len(test), spec.num_validation, trained)
    own = first + np.arange(spec.num_validation)
    train = first + 2**19 + np.arange(trained)
    session = np.repeat(1 + np.arange(spec.num_sessions), spec.trials_per_session)
    return (
        np.concatenate([test, own, train]),
        np.concatenate([np.zeros(sum(sizes[:2]), int), session]),
        np.repeat(np.int8([TEST, VALIDATION, TRAIN]), sizes),
    )


def make_session(spec: NsdSpec, seed: int, person: int) -> Session:
    """One person: a trial is a presentation, one bin.

    Returns:
        A session of real values [trials, N] with the behaviour `embedding` [trials, E] of what was
        shown, the conditions `picture` and `session`, and of each voxel its kind as region.
    """
    shown, session, split = pictures(spec, person)
    how = brain(spec, seed, person)
    numbers, place = np.unique(shown, return_inverse=True)
    told = embeddings(seed, numbers)
    parts = []
    # A stream of noise for each part: more sessions leave the first ones as they are.
    for part in np.unique(session).tolist():
        rng = _generator(seed, _TRIALS, person, part)
        own = features(seed, told[place[session == part]])
        own = own + how.feature_sd * rng.standard_normal(own.shape)
        noise = how.noise_sd * rng.standard_normal((len(own), len(how.noise_sd)))
        parts.append((own @ how.weights.T + noise).astype(np.float32))
    name = f"person{person:02}"
    made = from_values(
        np.concatenate(parts),
        sampling_hz=1 / SECONDS_PER_TRIAL,
        unit="a.u.",
        session_id=name,
        trial_start_bin=np.arange(len(shown)),
        trial_num_bins=1,
        split=split,
        region=np.array([f"kind{number:02}" for number in how.kind]),
        conditions={"picture": shown, "session": session},
        info={
            "subject_id": name,
            "species": "human",
            "licence": "CC0-1.0",
            "source": {"generator": "nsd", "seed": seed, "person": person},
            "nsd": dataclasses.asdict(spec),
        },
    )
    return made.with_fields(
        behaviour={"embedding": told[place]},
        behaviour_valid={"embedding": np.ones(len(shown), bool)},
    )


def sessions(spec: NsdSpec, seed: int) -> list[Session]:
    """One session a person, see `make_session`."""
    people = range(spec.first_person, spec.first_person + spec.num_people)
    return [make_session(spec, seed, person) for person in people]


def best_read(
    spec: NsdSpec, seed: int, person: int, values: np.ndarray, repeats: int, picture: np.ndarray
) -> np.ndarray:
    """Log-probability of pictures, one of which was shown, for a reader who knows the person's
    voxels and the features: no reader of the same voxels is right more often.

    Args:
        values: float [W, N], means over `repeats` presentations.
        picture: int [C], numbers of the candidates.

    Returns:
        float64 [W, C].
    """
    how = brain(spec, seed, person)
    expected = features(seed, embeddings(seed, picture)) @ how.weights.T  # [C, N]
    seen = np.asarray(values, np.float64) / how.noise_sd
    expected, loaded = expected / how.noise_sd, how.weights / how.noise_sd[:, None]
    # Noise of whitened voxels is I + sd^2 L L': its inverse is I - L M L' (Woodbury).
    middle = np.linalg.inv(np.eye(loaded.shape[1]) / how.feature_sd**2 + loaded.T @ loaded)
    inverse = expected - (expected @ loaded) @ middle @ loaded.T
    score = repeats * (seen @ inverse.T - 0.5 * (expected * inverse).sum(1))
    highest = score.max(1, keepdims=True)
    return score - highest - np.log(np.exp(score - highest).sum(1, keepdims=True))


def ceiling(spec: NsdSpec, seed: int, person: int) -> dict[str, float]:
    """What the best reader reaches on the test of one person, mean over repeats: `image_top1` and
    `brain_top1` (of a picture, whose response it is), and `noise_ceiling`: median over voxels of
    the share of the variance of such a mean that the picture makes."""
    session = make_session(dataclasses.replace(spec, num_sessions=1), seed, person)
    tested = session.trials_of(TEST)
    values = np.asarray(session.values)[tested].reshape(spec.num_repeats, spec.num_test, -1)
    picture = np.arange(spec.num_test)
    score = best_read(spec, seed, person, values.mean(0), spec.num_repeats, picture)
    how = brain(spec, seed, person)
    signal = (features(seed, embeddings(seed, 2**30 + np.arange(2000))) @ how.weights.T).var(0)
    noise = how.noise_sd**2 + how.feature_sd**2 * (how.weights**2).sum(1)
    return {
        "image_top1": float((score.argmax(1) == picture).mean()),
        "brain_top1": float((score.argmax(0) == picture).mean()),
        "noise_ceiling": float(np.median(signal / (signal + noise / spec.num_repeats))),
    }


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _generator(seed: int, *stream: int) -> np.random.Generator:
    require(seed >= 0, f"seed {seed} is negative; give 0 or a positive integer")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream)))
