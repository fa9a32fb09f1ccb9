"""Does a test trial have neighbours in time to learn from? Slow drift that a random split leaks
from train to test."""

import dataclasses

import numpy as np

from neurojax.data.session import TEST, TRAIN

_NEAR_FRACTION = 0.05  # of the train trials, nearest in time
_FAR_FRACTION = 0.25  # of the recording's trials, at least so far away
_MAX_TRIALS = 600  # a longer recording is looked at in as many even steps
_NUM_SHUFFLES = 200
_NUM_COMPONENTS = 10


REMEDY = "convert with --split=blocks:300s, which keeps neighbours in time together"


@dataclasses.dataclass(frozen=True)
class Drift:
    """How much better train trials that are near in time resemble a test trial, in the component
    that drifts most.

    Attributes:
        gain: 1 - (squared distance to near trials) / (to far ones); 0 without drift.
        z_score: the difference of the two in standard deviations of what trials in random order
            give.
        interleaved: share of test trials that follow or precede a train trial.
    """

    gain: float
    z_score: float
    interleaved: float

    @property
    def leaks(self) -> bool:
        """Most test trials lie among train trials, which resemble them more than distant ones."""
        return self.interleaved > 0.5 and self.gain > 0.05 and self.z_score > 6.0

    @property
    def sentence(self) -> str:
        """What leaks, for where it does."""
        return (
            "test trials lie among train trials, and in the activity that drifts most those near "
            f"in time are {100 * self.gain:.0f} % closer than distant ones "
            f"({self.z_score:.0f} standard errors): drift leaks"
        )


def drift(
    trial_spikes: np.ndarray,
    trial_num_bins: np.ndarray,
    trial_start_s: np.ndarray,
    split: np.ndarray,
) -> Drift | None:
    """Measures drift between the splits; None with too few trials to say.

    Each trial is a vector of root rates (its noise then depends little on the rate), seen through
    the first principal components, each for itself, so that the large fluctuations that units share
    from trial to trial do not drown the rest. The mean squared distances of a test trial to its
    nearest train trials in time and to distant ones differ in nothing but drift: without it trials
    are exchangeable, and shuffled trials are the null.

    Args:
        trial_spikes: numbers [trials, N], spikes of each unit in each trial.
        trial_num_bins: integers [trials], or [trials, N], the bins each unit was observed in: where
            it was not, it is taken to be as in its other trials.
        trial_start_s: float64 [trials]; when all are equal, the order of the trials counts.
        split: int8 [trials].
    """
    order = np.argsort(trial_start_s, kind="stable")
    codes = split[order]
    train_beside = np.append(codes[1:] == TRAIN, False) | np.append(False, codes[:-1] == TRAIN)
    is_test = codes == TEST
    order = order[(codes == TRAIN) | is_test]
    order = order[
        np.unique(np.linspace(0, len(order) - 1, min(len(order), _MAX_TRIALS)).astype(np.int64))
    ]
    weight = _near_minus_far(split[order])
    if weight is None:
        return None
    near, far = weight
    # [T, components]
    scores = _components(_root_rates(trial_spikes[order], trial_num_bins[order]))
    if not scores.shape[1]:
        return None
    contrast = far - near
    rng = np.random.default_rng(0)
    null = np.stack(
        [_distances(contrast, scores[rng.permutation(len(order))]) for _ in range(_NUM_SHUFFLES)]
    )
    z_scores = (_distances(contrast, scores) - null.mean(0)) / np.maximum(null.std(0), 1e-12)
    most = int(np.argmax(z_scores))
    gain = 1 - _distances(near, scores)[most] / max(_distances(far, scores)[most], 1e-12)
    return Drift(float(gain), float(z_scores[most]), float(train_beside[is_test].mean()))


def _root_rates(spikes: np.ndarray, num_bins: np.ndarray) -> np.ndarray:
    """[trials, N], a unit's mean over the others in trials in which it was not observed."""
    if num_bins.ndim == 1:
        return np.sqrt(spikes / num_bins[:, None])
    seen = num_bins > 0
    roots = np.where(seen, np.sqrt(spikes / np.maximum(num_bins, 1)), 0.0)
    return np.where(seen, roots, roots.sum(0) / np.maximum(seen.sum(0), 1))


def _components(roots: np.ndarray) -> np.ndarray:
    """First principal components of trials [T, N] -> [T, at most 10], each of unit variance."""
    centred = roots - roots.mean(0)
    values, vectors = np.linalg.eigh(centred @ centred.T)  # [T], [T, T], rising
    kept = values[::-1][:_NUM_COMPONENTS] > 1e-9 * max(values[-1], 1e-300)
    return vectors[:, ::-1][:, :_NUM_COMPONENTS][:, kept] * np.sqrt(len(roots))


def _distances(weight: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Sum over pairs of weight [T, T] times squared differences, of each component:
    [components]."""
    squares = scores**2
    crossed = (scores * (weight @ scores)).sum(0)
    return weight.sum(1) @ squares + weight.sum(0) @ squares - 2 * crossed


def _near_minus_far(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Weights of all pairs (test, train), near and far in time, each summing to one: float64 [T, T]
    twice."""
    tests, trains = np.flatnonzero(codes == TEST), np.flatnonzero(codes == TRAIN)
    if len(tests) < 5 or len(trains) < 20:
        return None
    gap = np.abs(tests[:, None] - trains)  # in trials, [test, train]
    num_near = max(2, round(_NEAR_FRACTION * len(trains)))
    is_near = gap <= np.partition(gap, num_near - 1, axis=1)[:, num_near - 1 : num_near]
    is_far = gap >= _FAR_FRACTION * len(codes)
    near, far = np.zeros((2, len(codes), len(codes)))
    for weight, chosen in ((near, is_near), (far, is_far)):
        share = chosen / np.maximum(chosen.sum(1, keepdims=True), 1) / len(tests)
        weight[np.ix_(tests, trains)] = share
    return (near, far) if is_far.any(1).all() else None
