"""Tracked keypoints seen from the animal, in a few posture components, and how sure each frame is.

Keypoints move together, so that a posture is known from those the tracker is sure of: components
are those of a probabilistic principal component analysis in which every keypoint of every frame
counts by its confidence.

Letters: T frames, K keypoints, D components.

Source: Tipping and Bishop 1999 (probabilistic principal components), with a known scale of each
    entry's noise.
"""

from typing import NamedTuple

import numpy as np

from neurojax.errors import require

SURE = 0.5  # below this confidence a keypoint counts for nothing
EXPLAINED = 0.98  # share of the variance that the components keep
_ROUNDS = 10
_CHUNK = 4096  # frames whose precisions are held


class Posture(NamedTuple):
    """Attributes:
    components: float64 [T, D].
    weight: float64 [T], in [0, 1]: how much of the least known component the sure keypoints tell;
        0 where the front or the back is not sure.
    axes: float64 [D, K * 2], of unit length.
    mean: float64 [K * 2], pixels.
    """

    components: np.ndarray
    weight: np.ndarray
    axes: np.ndarray
    mean: np.ndarray


def posture(
    keypoints_px: np.ndarray,
    confidence: np.ndarray,
    front: int,
    back: int,
    *,
    num_components: int | None = None,
) -> Posture:
    """Components of keypoints that are centred and turned so that the animal looks to the right.

    Args:
        keypoints_px: float [T, K, 2]; NaN where there is none.
        confidence: float [T, K], in [0, 1].
        front, back: keypoints that the animal's direction goes through.
        num_components: D; by default as many as explain 98 % of the variance.

    Raises:
        InputError: shapes that do not fit, a keypoint that is never sure, or an animal that never
            moves.
    """
    keypoints_px = np.asarray(keypoints_px, np.float64)
    shape = keypoints_px.shape
    require(
        len(shape) == 3 and shape[2] == 2 and np.shape(confidence) == shape[:2],
        f"keypoints of shape {shape} with confidences of shape {np.shape(confidence)}; expected "
        "[frames, keypoints, 2] and [frames, keypoints]",
    )
    require(
        front != back and 0 <= min(front, back) and max(front, back) < shape[1],
        f"front {front} and back {back} of {shape[1]} keypoints; give two different ones",
    )
    found = np.isfinite(keypoints_px).all(2)
    confidence = np.where(found, np.clip(np.nan_to_num(confidence), 0, 1), 0.0)
    sure = confidence > SURE
    never = np.flatnonzero(~sure.any(0))
    require(
        not len(never),
        f"keypoint {never.tolist()[:5]} is nowhere tracked with a confidence above {SURE}; "
        "leave it out",
    )
    body = egocentric(_filled(keypoints_px, sure), front, back).reshape(shape[0], -1)
    told = np.repeat(np.where(sure, confidence, 0.0), 2, axis=1)  # [T, K * 2]
    components, reliability, axes, mean = _components(body, told, num_components)
    return Posture(components, reliability * sure[:, [front, back]].all(1), axes, mean)


def egocentric(keypoints_px: np.ndarray, front: int, back: int) -> np.ndarray:
    """Keypoints [T, K, 2] around the middle of front and back, the front to the right."""
    along = keypoints_px[:, front] - keypoints_px[:, back]
    angle = np.arctan2(along[:, 1], along[:, 0])
    centred = keypoints_px - (keypoints_px[:, front] + keypoints_px[:, back])[:, None] / 2
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.stack(
        [
            cos * centred[..., 0] + sin * centred[..., 1],
            cos * centred[..., 1] - sin * centred[..., 0],
        ],
        -1,
    )


def _components(body: np.ndarray, told: np.ndarray, num_components: int | None):
    """(components [T, D], reliability [T], axes, mean): axes from frames whose unsure entries are
    those that the components expect, in turns."""
    filled, told = body, np.broadcast_to(told, body.shape)
    for number in range(_ROUNDS):
        mean = filled.mean(0)
        # of the covariance: it does not grow with the recording
        values, vectors = np.linalg.eigh(np.cov(filled.T, bias=True))
        variance, axes = np.maximum(values[::-1], 0), vectors.T[::-1]
        require(variance.sum() > 1e-12, "no keypoint ever moves; there is no posture to follow")
        if number == 0:  # later rounds know better what an unsure entry is, but count the same
            share = np.cumsum(variance) / variance.sum()
            count = min(num_components or int(np.searchsorted(share, EXPLAINED) + 1), len(axes))
        axes, kept, left = axes[:count], variance[:count], variance[count:]
        noise = max(left.sum() / max(body.shape[1] - count, 1), 1e-6 * variance.sum())
        law = _Law(axes, np.maximum(kept, 1e-6 * variance.sum()), noise)
        components, reliability = np.empty((len(body), count)), np.empty(len(body))
        for first in range(0, len(body), _CHUNK):
            part = slice(first, first + _CHUNK)
            components[part], reliability[part] = _inferred(body[part] - mean, told[part], law)
        filled = np.where(told > 0, body, mean + components @ axes)
    return components, reliability, axes, mean


class _Law(NamedTuple):
    """Attributes:
    axes: [D, K * 2]; kept: [D], variances; noise: variance of every entry.
    """

    axes: np.ndarray
    kept: np.ndarray
    noise: float


def _inferred(centred: np.ndarray, told: np.ndarray, law: _Law) -> tuple[np.ndarray, np.ndarray]:
    """(posterior means [T, D], how much of the least known component is known [T])."""
    precision = np.einsum("dk,tk,ek->tde", law.axes, told / law.noise, law.axes)
    precision += np.diag(1 / law.kept)
    drive = (centred * told / law.noise) @ law.axes.T
    spread = np.linalg.inv(precision)
    scale = np.sqrt(law.kept)
    worst = np.linalg.eigvalsh(spread / scale[:, None] / scale)[:, -1]  # posterior over prior
    return np.einsum("tde,te->td", spread, drive), np.clip(1 - worst, 0, 1)


def _filled(keypoints_px: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Unsure frames on a line between the sure ones around them."""
    frames, filled = np.arange(len(sure)), np.array(keypoints_px)
    for k in range(sure.shape[1]):
        for axis in range(2):
            known = sure[:, k]
            filled[~known, k, axis] = np.interp(
                frames[~known], frames[known], keypoints_px[known, k, axis]
            )
    return filled
