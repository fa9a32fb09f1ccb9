"""Made-up loops of a stimulus, a brain and a body, linear and Gaussian: what can be said of any
part of a trial from any other part is known exactly.

In every bin, with independent Gaussian noise in each line,

    stimulus    s[t] = STIMULUS_KEPT s[t-1] + F b[t-1]     the body acts on what is seen
    brain       z[t] = A z[t-1] + C s[t]                   two slow rotations, driven; not recorded
    behaviour   b[t] = BEHAVIOUR_KEPT b[t-1] + D z[t]
    activity    y[t] = W z[t]                              what is recorded of the brain

Trials start in the stationary state, so that a whole trial is one Gaussian vector whose covariance
follows from the dynamics (`covariance`). The best guess of what is asked, given the rest, is then a
conditional mean, and its mean squared error the smallest there is (`conditional`). All sessions of
a seed have one loop; each has units W of its own.

Source: conditioning of a Gaussian, Bishop 2006, Pattern Recognition and Machine Learning, 2.3.1.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import scipy.linalg

from neurojax.data.real_values import from_values
from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.errors import require

# Fixed before any model was trained. (standard deviation of a unit's own noise, of the behaviour's)
NOISES = {"low": (0.9, 0.65), "medium": (1.4, 0.8), "high": (2.2, 1.1)}
STIMULUS_SD, BRAIN_SD = 0.5, 0.25  # of the noise of a bin, in stimulus and brain
STIMULUS_KEPT, BEHAVIOUR_KEPT, FEEDBACK = 0.8, 0.5, 0.4
MOST_KEPT = 0.95  # a bin, of any state; a loop that keeps more gets half of the feedback
ROTATIONS = ((0.93, 0.25), (0.85, 0.7))  # (share kept a bin, radians a bin) of pairs of latents
NUM_STIMULUS, NUM_BRAIN, NUM_BEHAVIOUR = 2, 2 * len(ROTATIONS), 2
BIN_SIZE_S = 0.05
STIMULUS, BEHAVIOUR = "stimulus", "behaviour"  # names of the behaviours of a session
_LOOP, _UNITS, _TRIALS = range(3)


@dataclasses.dataclass(frozen=True)
class LoopSpec:
    """What is recorded.

    Attributes:
        num_sessions, first_session: sessions are numbered; session k is the same in any set.
        num_units: of each session.
        num_bins: of a trial.
        num_train, num_validation, num_test: trials of each session.
        noise: "low", "medium" or "high", see NOISES.
    """

    num_sessions: int = 2
    first_session: int = 0
    num_units: int = 16
    num_bins: int = 20
    num_train: int = 1500
    num_validation: int = 200
    num_test: int = 500
    noise: str = "medium"

    def __post_init__(self):
        least = {
            "num_sessions num_units num_train num_validation num_test": 1,
            "num_bins": 2,
            "first_session": 0,
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


class Loop(NamedTuple):
    """The state x = (s, z, b) of a bin is `step` times that before, and noise.

    Attributes:
        step: float64 [X, X].
        noise: float64 [X, X], covariance of what a bin adds.
        stationary: float64 [X, X], covariance of the state.
    """

    step: np.ndarray
    noise: np.ndarray
    stationary: np.ndarray


def loop_of(spec: LoopSpec, seed: int) -> Loop:
    """The loop that all sessions of a seed share."""
    rng = _generator(seed, _LOOP)
    turns = [kept * _turn(angle) for kept, angle in ROTATIONS]
    brain = scipy.linalg.block_diag(*turns)
    seen = _unit(rng.standard_normal((NUM_BRAIN, NUM_STIMULUS)), 1) / np.sqrt(2)  # C
    acts = _unit(rng.standard_normal((NUM_BEHAVIOUR, NUM_BRAIN)), 1) / np.sqrt(2)  # D
    turned = _turn(rng.uniform(0, 2 * np.pi))
    sizes = (NUM_STIMULUS, NUM_BRAIN, NUM_BEHAVIOUR)
    s, z, b = (slice(e - n, e) for n, e in zip(sizes, np.cumsum(sizes), strict=True))
    # x[t] = before x[t-1] + now x[t] + noise: the later lines of a bin read its earlier ones.
    before, now = np.zeros((2, sum(sizes), sum(sizes)))
    before[s, s], before[b, b] = STIMULUS_KEPT * np.eye(2), BEHAVIOUR_KEPT * np.eye(2)
    before[z, z], now[z, s], now[b, z] = brain, seen, acts
    solved = np.linalg.inv(np.eye(sum(sizes)) - now)
    feedback = FEEDBACK
    before[s, b] = feedback * turned  # F
    while np.abs(np.linalg.eigvals(solved @ before)).max() > MOST_KEPT:
        feedback /= 2  # a body may also drive what it sees away from zero, without an end
        before[s, b] = feedback * turned
    behaviour_sd = NOISES[spec.noise][1]
    added = np.repeat(np.square([STIMULUS_SD, BRAIN_SD, behaviour_sd]), sizes)
    step, noise = solved @ before, solved * added @ solved.T
    return Loop(step, noise, scipy.linalg.solve_discrete_lyapunov(step, noise))


def units_of(spec: LoopSpec, seed: int, session: int) -> np.ndarray:
    """What each unit of a session takes of the brain, W, float64 [N, NUM_BRAIN]."""
    rng = _generator(seed, _UNITS, session)
    return _unit(rng.standard_normal((spec.num_units, NUM_BRAIN)), 1)


def covariance(spec: LoopSpec, seed: int, session: int) -> np.ndarray:
    """Covariance of a trial, float64 [T, O, T, O]; O runs over stimulus, units, behaviour."""
    loop, num_bins = loop_of(spec, seed), spec.num_bins
    reads = _observed(units_of(spec, seed, session))  # [O, X]
    size = len(reads)
    lagged = [loop.stationary]  # of the state with that of so many bins before
    for _ in range(num_bins - 1):
        lagged.append(loop.step @ lagged[-1])
    found = np.zeros((num_bins, size, num_bins, size))
    for late in range(num_bins):
        for early in range(late + 1):
            block = reads @ lagged[late - early] @ reads.T
            found[late, :, early], found[early, :, late] = block, block.T
    own = np.zeros(size)
    own[NUM_STIMULUS:-NUM_BEHAVIOUR] = NOISES[spec.noise][0] ** 2
    for one in range(num_bins):
        found[one, :, one] += np.diag(own)
    return found


def conditional(
    covariance: np.ndarray, given: np.ndarray, asked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The exact conditional mean as a linear map, and what it leaves.

    Args:
        covariance: float64 [T, O, T, O], of values of mean zero.
        given, asked: bool [T, O], no entry in both.

    Returns:
        (weights [asked, given], in the order of `values[:, given]`; variance that is left of every
        asked entry [asked]), float64.
    """
    size = given.size
    whole = covariance.reshape(size, size)
    rows, columns = np.flatnonzero(asked), np.flatnonzero(given)
    cross = whole[np.ix_(rows, columns)]
    within = whole[np.ix_(columns, columns)]
    weights = scipy.linalg.solve(within, cross.T, assume_a="pos").T
    return weights, whole[rows, rows] - (weights * cross).sum(1)


def make_session(spec: LoopSpec, seed: int, session: int) -> Session:
    """One session: trials one after another, each drawn anew.

    Returns:
        A session of real values [bins, N], with the behaviours `stimulus` and `behaviour`.
    """
    loop, weights = loop_of(spec, seed), units_of(spec, seed, session)
    sizes = (spec.num_train, spec.num_validation, spec.num_test)
    num_trials = sum(sizes)
    rng = _generator(seed, _TRIALS, session)
    first, adds = np.linalg.cholesky(loop.stationary), np.linalg.cholesky(loop.noise)
    state = rng.standard_normal((num_trials, len(first))) @ first.T
    states = [state]
    for _ in range(spec.num_bins - 1):
        state = state @ loop.step.T + rng.standard_normal(state.shape) @ adds.T
        states.append(state)
    along = np.stack(states, 1).reshape(-1, len(first))  # [trials * T, X]
    told = along @ _observed(weights).T
    units = told[:, NUM_STIMULUS:-NUM_BEHAVIOUR]
    units = units + NOISES[spec.noise][0] * rng.standard_normal(units.shape)
    name = f"loop{session:02}"
    made = from_values(
        units.astype(np.float32),
        sampling_hz=1 / BIN_SIZE_S,
        unit="a.u.",
        session_id=name,
        trial_start_bin=spec.num_bins * np.arange(num_trials),
        trial_num_bins=spec.num_bins,
        split=np.repeat(np.int8([TRAIN, VALIDATION, TEST]), sizes),
        info={
            "subject_id": name,
            "species": "none",
            "licence": "CC0-1.0",
            "source": {"generator": "loops", "seed": seed, "session": session},
            "loops": dataclasses.asdict(spec),
        },
    )
    beside = {STIMULUS: told[:, :NUM_STIMULUS], BEHAVIOUR: told[:, -NUM_BEHAVIOUR:]}
    return made.with_fields(
        behaviour={key: values.astype(np.float32) for key, values in beside.items()},
        behaviour_valid={key: np.ones(len(along), bool) for key in beside},
    )


def sessions(spec: LoopSpec, seed: int) -> list[Session]:
    """All sessions, see `make_session`."""
    numbers = range(spec.first_session, spec.first_session + spec.num_sessions)
    return [make_session(spec, seed, number) for number in numbers]


def _observed(weights: np.ndarray) -> np.ndarray:
    """From the state (s, z, b) to stimulus, units without their noise and behaviour, [O, X]."""
    seen = np.eye(NUM_STIMULUS, NUM_STIMULUS + NUM_BRAIN + NUM_BEHAVIOUR)
    acts = np.eye(NUM_BEHAVIOUR, seen.shape[1], k=NUM_STIMULUS + NUM_BRAIN)
    units = np.zeros((len(weights), seen.shape[1]))
    units[:, NUM_STIMULUS : NUM_STIMULUS + NUM_BRAIN] = weights
    return np.concatenate([seen, units, acts])


def _turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _unit(rows: np.ndarray, axis: int) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=axis, keepdims=True)


def _generator(seed: int, *stream: int) -> np.random.Generator:
    require(seed >= 0, f"seed {seed} is negative; give 0 or a positive integer")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream)))
