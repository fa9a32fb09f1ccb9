"""Messages of an autoregressive hidden Markov model along a recording, by chunks of frames.

Those of one chunk are held at a time and the others made again when they are needed, so that memory
beside the recording does not grow with it.

Letters: T frames, D posture components, L lags, P = D L + 1 regressors, S syllables, C frames a
chunk.

Source: Rabiner 1989; the weights are those of a known scale of each frame's noise.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Model(NamedTuple):
    """Attributes:
    dynamics: float64 [S, D, P].
    noise: float64 [S, D, D], covariance of a frame that is sure.
    transitions: float64 [S, S], from the row's syllable to the column's.
    initial: float64 [S].
    """

    dynamics: np.ndarray
    noise: np.ndarray
    transitions: np.ndarray
    initial: np.ndarray


class Sums(NamedTuple):
    """What a posterior over syllables says of the parameters, float64.

    Attributes:
        xx: [S, P, P]; yx: [S, D, P]; yy: [S, D, D]; frames: [S], that tell something.
        pairs: [S, S], transitions; first: [S], first frames.
    """

    xx: np.ndarray
    yx: np.ndarray
    yy: np.ndarray
    frames: np.ndarray
    pairs: np.ndarray
    first: np.ndarray


def frames_of(posture, weight, first: int, last: int, num_lags: int):
    """Regressors [n, P], targets [n, D] and weights [n] of the frames from first to last; a frame
    is as sure as the least sure one that it is predicted from."""
    y = np.asarray(posture[first - num_lags : last], np.float32)
    w = np.asarray(weight[first - num_lags : last], np.float32)
    n = last - first
    lagged = [y[num_lags - lag : num_lags - lag + n] for lag in range(1, num_lags + 1)]
    x = np.concatenate([*lagged, np.ones((n, 1), np.float32)], 1)
    sure = np.min([w[num_lags - lag : num_lags - lag + n] for lag in range(num_lags + 1)], 0)
    return x, y[num_lags:], sure


def chunks_of(num_frames: int, num_lags: int, chunk: int) -> list[tuple[int, int]]:
    return [(first, min(first + chunk, num_frames)) for first in range(num_lags, num_frames, chunk)]


class _Device(NamedTuple):
    """A model as the messages read it: dynamics [S, D, P], the inverse root of the noise [S, D, D],
    half its log determinant [S], transitions [S, S]."""

    dynamics: jax.Array
    whiten: jax.Array
    half_log_det: jax.Array
    transitions: jax.Array


def _on_device(model: Model) -> _Device:
    roots = np.linalg.cholesky(model.noise)
    whiten = np.linalg.inv(roots)
    half = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(1)
    return _Device(
        *(jnp.asarray(a, jnp.float32) for a in (model.dynamics, whiten, half, model.transitions))
    )


def _padded(frames, chunk: int):
    """Frames up to a whole chunk, and which are real: one program serves all chunks."""
    n = len(frames[0])
    grown = [np.concatenate([a, np.zeros((chunk - n, *a.shape[1:]), a.dtype)]) for a in frames]
    return (*grown, np.arange(chunk) < n)


def _emissions(model: _Device, x, y, w, real) -> tuple[jax.Array, jax.Array]:
    """Likelihood of every frame [C, S] over its largest, and the logarithm of that [C]."""
    error = y[:, None] - jnp.einsum("cp,sdp->csd", x, model.dynamics)
    white = jnp.einsum("csd,sed->cse", error, model.whiten)
    width = y.shape[1]
    told = w > 0
    log_scale = 0.5 * width * (jnp.log(jnp.where(told, w, 1)) - np.log(2 * np.pi))
    distance = jnp.square(white).sum(-1)
    logs = log_scale[:, None] - 0.5 * w[:, None] * distance - model.half_log_det[None]
    logs = jnp.where((told & real)[:, None], logs, 0)
    most = logs.max(1)
    return jnp.exp(logs - most[:, None]), most


@jax.jit
def _forward_chunk(model: _Device, predicted, x, y, w, real):
    """(filtered [C, S], scales [C], likelihoods [C, S], nats) of a chunk whose first frame is
    predicted as [S]."""
    likelihood, most = _emissions(model, x, y, w, real)

    def step(predicted, seen):
        joint = predicted * seen
        scale = joint.sum()
        filtered = joint / scale
        return filtered @ model.transitions, (filtered, scale)

    _, (filtered, scales) = jax.lax.scan(step, predicted, likelihood)
    return filtered, scales, likelihood, (jnp.log(scales) + most).sum()


@jax.jit
def _backward_chunk(model: _Device, before, predicted, message, x, y, w, real):
    """(message to the chunk before [S], posterior [C, S], sums) of a chunk that stands after a
    frame filtered as [S], zeros where there is none, and whose last frame gets the message [S]."""
    filtered, scales, likelihood, _ = _forward_chunk(model, predicted, x, y, w, real)

    def step(message, now):
        seen, scale = now
        joined = seen * message / scale
        return model.transitions @ joined, (message, joined)

    earlier, (messages, joined) = jax.lax.scan(step, message, (likelihood, scales), reverse=True)
    posterior = filtered * messages * real[:, None]
    from_each = jnp.concatenate([before[None], filtered[:-1]])
    pairs = (from_each.T @ (joined * real[:, None])) * model.transitions
    share = posterior * w[:, None]
    xx = jnp.einsum("cs,cp,cq->spq", share, x, x)
    yx = jnp.einsum("cs,cd,cp->sdp", share, y, x)
    yy = jnp.einsum("cs,cd,ce->sde", share, y, y)
    told = (posterior * (w > 0)[:, None]).sum(0)
    return earlier, posterior, Sums(xx, yx, yy, told, pairs, posterior[0])


def forward(model: Model, posture, weight, num_lags: int, chunk: int):
    """(filtered frame before, prediction for the first frame) of every chunk, and nats."""
    device = _on_device(model)
    before, predicted = jnp.zeros(len(model.initial)), jnp.asarray(model.initial, jnp.float32)
    starts, total = [], 0.0
    for first, last in chunks_of(len(posture), num_lags, chunk):
        starts.append((before, predicted))
        frames = _padded(frames_of(posture, weight, first, last, num_lags), chunk)
        filtered, *_, nats = _forward_chunk(device, predicted, *frames)
        before, predicted = filtered[-1], filtered[-1] @ device.transitions
        total += float(nats)
    return starts, total


def backward(model: Model, posture, weight, num_lags: int, chunk: int, starts):
    """From the last chunk to the first: (its frames, posterior [C, S], sums)."""
    device, message = _on_device(model), jnp.ones(len(model.initial), jnp.float32)
    spans = chunks_of(len(posture), num_lags, chunk)
    for span, start in zip(reversed(spans), reversed(starts), strict=True):
        frames = _padded(frames_of(posture, weight, *span, num_lags), chunk)
        message, posterior, sums = _backward_chunk(device, *start, message, *frames)
        yield span, posterior, sums


def expected(model: Model, postures, weights, num_lags: int, chunk: int):
    """(sums over all recordings, nats, frames)."""
    total, frames, summed = 0.0, 0, None
    for posture, weight in zip(postures, weights, strict=True):
        starts, nats = forward(model, posture, weight, num_lags, chunk)
        total, frames = total + nats, frames + len(posture) - num_lags
        for span, _, sums in backward(model, posture, weight, num_lags, chunk, starts):
            now = Sums(*(np.asarray(a, np.float64) for a in sums))
            if span[0] > num_lags:  # not the first frame of the recording
                now = now._replace(first=np.zeros_like(now.first))
            summed = now if summed is None else Sums(*map(np.add, summed, now))
    return summed, total, frames
