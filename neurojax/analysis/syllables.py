"""Syllables of behaviour: a sticky autoregressive hidden Markov model of posture, by chunks.

    y_t = A_s [y_t-1, ..., y_t-L, 1] + e,   e ~ N(0, Q_s / w_t)

in syllable s, where w_t in [0, 1] says how sure frame t is: 0 tells nothing. Fitted by
expectation-maximisation with priors, in memory that does not grow with the recordings.

Letters: T frames, D posture components, L lags, P = D L + 1 regressors, S syllables.

Source: Wiltschko et al. 2015; the stay of a syllable is a prior, as in Fox et al. 2011.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.ndimage import uniform_filter1d

from neurojax.analysis import syllable_messages as messages
from neurojax.analysis.syllable_messages import Model, Sums
from neurojax.errors import require

CHUNK = 2048  # frames whose messages are held
_RIDGE = 1e-3  # prior precision of a weight, in units of the components' variance
_PRIOR_FRAMES = 10.0  # frames that the prior of a syllable's noise is worth
_LEAST_FRAMES = 10  # a syllable
_TRIED = 8  # rounds from every first guess
_LOOKED_AT, _SMOOTHED = 4096, 5  # frames that the first guess reads at a time, and smooths over


class Labels(NamedTuple):
    """Attributes:
    syllable: int32 [T], the most probable one; the first L frames take that of frame L.
    probability: float32 [T], its posterior probability.
    """

    syllable: np.ndarray
    probability: np.ndarray


class Fitted(NamedTuple):
    """Attributes:
    model: of the best start.
    log_likelihood: float64 [iterations], nats a frame, of that start.
    labels: one for each recording.
    """

    model: Model
    log_likelihood: np.ndarray
    labels: list[Labels]


def fit(
    postures: Sequence[np.ndarray],
    weights: Sequence[np.ndarray] | None = None,
    *,
    num_syllables: int,
    num_lags: int = 2,
    sampling_hz: float = 30.0,
    expected_s: float = 0.4,
    seed: int = 0,
    num_starts: int = 16,
    num_iterations: int = 40,
    chunk: int = CHUNK,
) -> Fitted:
    """Fits syllables to recordings: the start that is most likely after a few rounds goes on.

    Args:
        postures: of each recording float [T, D], see `analysis.pose`.
        weights: of each float [T], in [0, 1]; ones by default.
        num_syllables: S; those that nothing needs stay nearly empty.
        num_lags: L.
        sampling_hz: frames per second.
        expected_s: a syllable's expected duration before any frame is seen.
        seed: of the starts.
        num_starts: first guesses.
        num_iterations: of expectation-maximisation, from the guess that goes on.
        chunk: C, frames whose messages are held at a time.

    Raises:
        InputError: recordings that do not fit together, or shorter than the lags.
    """
    postures, weights = _checked(postures, weights, num_lags)
    require(
        num_syllables >= 2 and num_starts >= 1 and num_iterations >= 1,
        f"{num_syllables} syllables, {num_starts} starts and {num_iterations} iterations; "
        "expected at least 2, 1 and 1",
    )
    frames = sum(map(len, postures))
    require(
        frames >= _LEAST_FRAMES * num_syllables,
        f"{frames} frames for {num_syllables} syllables; expected at least {_LEAST_FRAMES} for "
        "each, and thousands are better",
    )
    prior = _prior(postures, weights, num_syllables, num_lags, expected_s * sampling_hz)

    def improved(model: Model, iterations: int) -> tuple[Model, list[float]]:
        history = []
        for _ in range(iterations):
            sums, total, frames = messages.expected(model, postures, weights, num_lags, chunk)
            history.append(total / max(frames, 1))
            model = _maximised(sums, prior)
        return model, history

    best = None
    for start in range(num_starts):
        model = _first(postures, weights, num_syllables, num_lags, prior, [seed, start])
        now = improved(model, min(_TRIED, num_iterations))
        if best is None or now[1][-1] > best[1][-1]:
            best = now
    model, history = improved(best[0], num_iterations - len(best[1]))
    best = model, np.asarray(best[1] + history)
    labels = [label(best[0], *one, chunk=chunk) for one in zip(postures, weights, strict=True)]
    return Fitted(*best, labels)


def label(
    model: Model, posture: np.ndarray, weight: np.ndarray | None = None, *, chunk: int = CHUNK
) -> Labels:
    """The most probable syllable of every frame [T, D], given all of them."""
    num_lags = (model.dynamics.shape[2] - 1) // model.dynamics.shape[1]
    (posture,), (weight,) = _checked([posture], None if weight is None else [weight], num_lags)
    syllable, probability = np.zeros(len(posture), np.int32), np.zeros(len(posture), np.float32)
    starts, _ = messages.forward(model, posture, weight, num_lags, chunk)
    backward = messages.backward(model, posture, weight, num_lags, chunk, starts)
    for (first, last), posterior, _ in backward:
        posterior = np.asarray(posterior)[: last - first]
        syllable[first:last], probability[first:last] = posterior.argmax(1), posterior.max(1)
    syllable[:num_lags], probability[:num_lags] = syllable[num_lags], probability[num_lags]
    return Labels(syllable, probability)


def log_likelihood(
    model: Model, posture: np.ndarray, weight: np.ndarray | None = None, *, chunk: int = CHUNK
) -> float:
    """Nats a frame of a recording, given its first L frames; to choose S on other recordings."""
    num_lags = (model.dynamics.shape[2] - 1) // model.dynamics.shape[1]
    (posture,), (weight,) = _checked([posture], None if weight is None else [weight], num_lags)
    return messages.forward(model, posture, weight, num_lags, chunk)[1] / (len(posture) - num_lags)


def durations_s(syllable: np.ndarray, sampling_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """(syllable, seconds) of every run of a label; the first and last run are cut and left out."""
    edges = np.flatnonzero(np.diff(syllable)) + 1
    if len(edges) < 2:
        return np.zeros(0, np.int64), np.zeros(0)
    return np.asarray(syllable)[edges[:-1]], np.diff(edges) / sampling_hz


def pairs(syllable: np.ndarray, num_syllables: int) -> np.ndarray:
    """How often one syllable is followed by another one, float64 [S, S]."""
    syllable = np.asarray(syllable)
    at = np.flatnonzero(np.diff(syllable))
    counts = np.zeros((num_syllables, num_syllables))
    np.add.at(counts, (syllable[at], syllable[at + 1]), 1)
    return counts


def shares(counts: np.ndarray) -> np.ndarray:
    """Rows that sum to 1, or to 0 where nothing was counted."""
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def adjusted_rand(first: np.ndarray, second: np.ndarray) -> float:
    """How alike two labellings [T] are, whatever their names: 1 the same, 0 as alike as chance.

    Source: Hubert and Arabie 1985.
    """
    _, a = np.unique(first, return_inverse=True)
    _, b = np.unique(second, return_inverse=True)
    require(
        len(a) == len(b) and len(a) > 1,
        f"{len(a)} and {len(b)} labels; expected as many of each, at least two",
    )
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)
    pairs = [float((n * (n - 1) / 2).sum()) for n in (table, table.sum(0), table.sum(1))]
    chance = pairs[1] * pairs[2] / (len(a) * (len(a) - 1) / 2)
    most = (pairs[1] + pairs[2]) / 2
    return 1.0 if most == chance else (pairs[0] - chance) / (most - chance)


class _Prior(NamedTuple):
    """Attributes:
    precision: float64 [P], of each weight, over the noise.
    mean: float64 [D, P], of the weights: the frame before.
    noise: float64 [D, D].
    stay, leave: pseudo-counts of a transition to the same and to each other syllable.
    """

    precision: np.ndarray
    mean: np.ndarray
    noise: np.ndarray
    stay: float
    leave: float


def _checked(postures, weights, num_lags: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    postures = [np.asarray(one) for one in postures]
    require(
        bool(postures)
        and all(one.ndim == 2 and one.shape[1] == postures[0].shape[1] for one in postures),
        f"postures of shapes {[one.shape for one in postures]}; expected [frames, components] each",
    )
    short = [len(one) for one in postures if len(one) < num_lags + 2]
    require(
        num_lags >= 1 and not short,
        f"recordings of {short} frames with {num_lags} lags; expected at least one lag and "
        f"{num_lags + 2} frames",
    )
    require(
        all(
            np.isfinite(one[a : a + CHUNK]).all()
            for one in postures
            for a in range(0, len(one), CHUNK)
        ),
        "a posture is not finite; fill lost frames in and give them the weight 0",
    )
    if weights is None:
        weights = [np.ones(len(one)) for one in postures]
    weights = [np.asarray(one, np.float64) for one in weights]
    require(
        len(weights) == len(postures)
        and all(w.shape == (len(y),) for w, y in zip(weights, postures, strict=True))
        and all(((w >= 0) & (w <= 1)).all() for w in weights),
        "weights do not fit the postures; expected one in [0, 1] for every frame",
    )
    return postures, weights


def _prior(postures, weights, num_syllables: int, num_lags: int, expected_frames: float) -> _Prior:
    """Weak: components stay where they are, with the noise of one autoregression of all frames."""
    width = postures[0].shape[1]
    size = width * num_lags + 1
    one = Model(np.zeros((1, width, size)), np.eye(width)[None], np.ones((1, 1)), np.ones(1))
    sums, _, _ = messages.expected(one, postures, weights, num_lags, CHUNK)
    frames = max(sums.frames[0], 1)
    variance = max(np.trace(sums.yy[0]) / frames / width, 1e-12)
    mean = np.zeros((width, size))
    mean[:, :width] = np.eye(width)
    # A weight's prior is held against the noise, which is some share of the variance.
    precision = np.full(size, _RIDGE * frames * variance)
    precision[-1] = _RIDGE * frames
    prior = _Prior(precision, mean, np.eye(width) * variance * 1e-3, 0.0, 0.0)
    noise = _maximised(sums, prior).noise[0]
    stay = max(expected_frames - 1, 1.0) * num_syllables
    return prior._replace(
        precision=precision / num_syllables, noise=noise / 2, stay=stay, leave=1.0
    )


def _maximised(sums: Sums, prior: _Prior) -> Model:
    """The most probable parameters given the sums (matrix-normal, inverse-Wishart, Dirichlet)."""
    xx = sums.xx + np.diag(prior.precision)
    yx = sums.yx + prior.mean * prior.precision
    yy = sums.yy + (prior.mean * prior.precision) @ prior.mean.T
    dynamics = np.linalg.solve(xx, yx.transpose(0, 2, 1)).transpose(0, 2, 1)
    left = yy - dynamics @ yx.transpose(0, 2, 1)
    left = (left + left.transpose(0, 2, 1)) / 2 + _PRIOR_FRAMES * prior.noise
    noise = left / (sums.frames + _PRIOR_FRAMES)[:, None, None]
    count = len(sums.frames)
    pairs = sums.pairs + np.where(np.eye(count, dtype=bool), prior.stay, prior.leave)
    first = sums.first + 1
    return Model(dynamics, noise, pairs / pairs.sum(1, keepdims=True), first / first.sum())


def _first(postures, weights, num_syllables: int, num_lags: int, prior: _Prior, seed) -> Model:
    """A first model: frames dealt to syllables by where the posture is and how it moves."""
    spans = [
        (number, *span)
        for number, posture in enumerate(postures)
        for span in messages.chunks_of(len(posture), num_lags, _LOOKED_AT)
    ]
    some = spans[:: max(1, -(-len(spans) // 10))]
    every = np.concatenate([_described(postures[n][a:b]) for n, a, b in some])
    scale = every.std(0) + 1e-12
    rng = np.random.default_rng(seed)
    centres, _ = kmeans2(every / scale, _apart(every / scale, num_syllables, rng), minit="matrix")
    summed = None
    for number, first, last in spans:
        shown = _described(postures[number][first:last]) / scale
        near = ((shown[:, None] - centres) ** 2).sum(2).argmin(1)
        x, y, w = messages.frames_of(postures[number], weights[number], first, last, num_lags)
        share = (near[:, None] == np.arange(num_syllables)) * w[:, None]
        pairs = np.zeros((num_syllables, num_syllables))
        np.add.at(pairs, (near[:-1], near[1:]), 1)
        now = Sums(
            np.einsum("cs,cp,cq->spq", share, x, x, optimize=True),
            np.einsum("cs,cd,cp->sdp", share, y, x, optimize=True),
            np.einsum("cs,cd,ce->sde", share, y, y, optimize=True),
            share.sum(0),
            pairs,
            np.zeros(num_syllables),
        )
        summed = now if summed is None else Sums(*map(np.add, summed, now))
    return _maximised(summed, prior)


def _apart(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Some of the points [n, D], each drawn by its squared distance to the nearest one before
    (Arthur and Vassilvitskii 2007)."""
    chosen = [points[rng.integers(len(points))]]
    nearest = np.full(len(points), np.inf)
    for _ in range(count - 1):
        nearest = np.minimum(nearest, np.square(points - chosen[-1]).sum(1)) + 1e-12
        chosen.append(points[rng.choice(len(points), p=nearest / nearest.sum())])
    return np.stack(chosen)


def _described(posture: np.ndarray) -> np.ndarray:
    """Posture and the size of its steps, smoothed over a few frames, [T, 2 D]."""
    posture = np.asarray(posture, np.float64)
    steps = np.abs(np.diff(posture, axis=0, prepend=posture[:1]))
    return uniform_filter1d(np.concatenate([posture, steps], 1), _SMOOTHED, axis=0)
