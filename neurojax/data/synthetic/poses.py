"""Made-up poses: keypoints of an animal that goes from syllable to syllable, some hidden at times.

A syllable is a posture and the way the body swings around it: in a few posture dimensions, each
swings at a frequency of the syllable and dies away, driven by noise. Syllables last for a time of
their own kind, and some follow others more often. Keypoints are a skeleton moved by the posture,
turned and shifted as the animal walks, measured with noise; while a keypoint is hidden the tracker
guesses, far off, and says that it is unsure. No recording of an animal is in it.

Ceiling: who knows the dynamics, how syllables follow each other and the posture itself, and takes
durations as geometric, labels frames with an adjusted Rand index of 0.941, 0.939 and 0.927 (9,000
frames of seeds 0, 1, 2); with `drive` 0.25 of 0.961, 0.948, 0.947, with 0.6 of 0.928, 0.934, 0.917.
Floor: mixtures of Gaussians on posture and the size of its steps reach 0.04 to 0.32, k-means less.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from neurojax.errors import require

_MODEL_STREAM, _MOVEMENT_STREAM, _TRACKER_STREAM = range(3)


@dataclasses.dataclass(frozen=True)
class PoseSpec:
    """What the animal is like. Fixed before any model was fitted.

    Attributes:
        num_syllables: kinds of movement.
        num_keypoints: of the skeleton; the first is the nose and the last the base of the tail.
        num_postures: dimensions of the posture.
        sampling_hz: frames per second.
        slowest_hz, fastest_hz: frequencies between which the syllables' lie.
        damping: share of a swing that is left after a second.
        posture_std: standard deviation over syllables of where they stand.
        drive: standard deviation of what noise adds to a posture each frame.
        median_s: median duration of a syllable; `duration_spread` is the standard deviation of its
            logarithm.
        swing_px: how far one unit of posture moves a keypoint, pixels.
        tracker_px: standard deviation of the tracker's error, pixels.
        hidden_share: of the frames of each keypoint.
        hidden_px: standard deviation of the tracker's guess while a keypoint is hidden, pixels.
    """

    num_syllables: int = 8
    num_keypoints: int = 6
    num_postures: int = 4
    sampling_hz: float = 30.0
    slowest_hz: float = 1.0
    fastest_hz: float = 6.0
    damping: float = 0.1
    posture_std: float = 0.5
    drive: float = 0.4
    median_s: float = 0.4
    duration_spread: float = 0.4
    swing_px: float = 8.0
    tracker_px: float = 0.3
    hidden_share: float = 0.05
    hidden_px: float = 30.0

    def __post_init__(self):
        require(
            self.num_syllables >= 2 and self.num_keypoints >= 3 and self.num_postures >= 1,
            f"{self.num_syllables} syllables, {self.num_keypoints} keypoints and "
            f"{self.num_postures} posture dimensions; expected at least 2, 3 and 1",
        )


class Animal(NamedTuple):
    """Attributes:
    dynamics: float64 [S, D, 2 D + 1], posture of a frame from [the last, the one before, 1].
    drive: float64, standard deviation of the noise of every dimension.
    following: float64 [S, S], which syllable follows which; the diagonal is zero.
    median_s: float64 [S], duration.
    skeleton: float64 [K, 2], pixels; moved: float64 [D, K, 2], pixels per unit of posture.
    """

    dynamics: np.ndarray
    drive: float
    following: np.ndarray
    median_s: np.ndarray
    skeleton: np.ndarray
    moved: np.ndarray


class Tracks(NamedTuple):
    """Attributes:
    keypoints_px: float64 [T, K, 2], as the tracker says.
    confidence: float64 [T, K], in [0, 1].
    syllable: int64 [T].
    posture: float64 [T, D].
    """

    keypoints_px: np.ndarray
    confidence: np.ndarray
    syllable: np.ndarray
    posture: np.ndarray


def make_animal(spec: PoseSpec, seed: int) -> Animal:
    """The syllables and the body of one animal."""
    rng = np.random.default_rng([seed, _MODEL_STREAM])
    S, D, K = spec.num_syllables, spec.num_postures, spec.num_keypoints
    hz = np.exp(rng.uniform(np.log(spec.slowest_hz), np.log(spec.fastest_hz), (S, D)))
    left = spec.damping ** (1 / spec.sampling_hz)
    turn = 2 * np.pi * hz / spec.sampling_hz
    dynamics = np.zeros((S, D, 2 * D + 1))
    for s in range(S):  # each syllable swings along axes of its own
        axes = np.linalg.qr(rng.normal(size=(D, D)))[0]
        last = axes @ np.diag(2 * left * np.cos(turn[s])) @ axes.T
        before = -(left**2) * np.eye(D)
        centre = rng.normal(0, spec.posture_std, D)
        dynamics[s] = np.column_stack([last, before, centre - (last + before) @ centre])
    following = rng.dirichlet(np.full(S, 0.5), S) * (1 - np.eye(S)) + 1e-3 * (1 - np.eye(S))
    median_s = spec.median_s * np.exp(rng.normal(0, 0.3, S))
    along = np.linspace(40, -40, K)
    skeleton = np.stack([along, 8 * np.sin(np.linspace(0, 2 * np.pi, K))], 1)
    moved = rng.normal(0, spec.swing_px, (D, K, 2))
    moved[:, [0, -1]] = 0  # nose and tail say where the animal is and where it looks
    return Animal(
        dynamics,
        spec.drive,
        following / following.sum(1, keepdims=True),
        median_s,
        skeleton,
        moved,
    )


def make_tracks(spec: PoseSpec, animal: Animal, num_frames: int, seed: int) -> Tracks:
    """What a tracker sees of the animal for so many frames."""
    rng = np.random.default_rng([seed, _MOVEMENT_STREAM])
    syllable = _syllables(spec, animal, num_frames, rng)
    D = spec.num_postures
    posture, noise = np.zeros((num_frames, D)), rng.normal(0, animal.drive, (num_frames, D))
    last = before = np.zeros(D)
    for t, s in enumerate(syllable):
        before, last = last, animal.dynamics[s] @ np.concatenate([last, before, [1]]) + noise[t]
        posture[t] = last
    body = animal.skeleton + np.einsum("td,dkx->tkx", posture, animal.moved)
    heading = np.cumsum(rng.normal(0, 0.03, num_frames))
    place = np.cumsum(rng.normal(0, 1.0, (num_frames, 2)), 0)
    turned = np.stack([np.cos(heading), -np.sin(heading), np.sin(heading), np.cos(heading)], 1)
    seen = np.einsum("tkx,tyx->tky", body, turned.reshape(-1, 2, 2)) + place[:, None]
    rng = np.random.default_rng([seed, _TRACKER_STREAM])
    hidden = _hidden(spec, num_frames, rng)
    error = rng.normal(0, 1, seen.shape)
    error *= np.where(hidden, spec.hidden_px, spec.tracker_px)[..., None]
    sure, unsure = rng.beta(40, 1, hidden.shape), rng.beta(1, 20, hidden.shape)
    return Tracks(seen + error, np.where(hidden, unsure, sure), syllable, posture)


def _syllables(spec: PoseSpec, animal: Animal, num_frames: int, rng) -> np.ndarray:
    """Syllable of every frame."""
    parts, left, now = [], num_frames, int(rng.integers(spec.num_syllables))
    while left > 0:
        seconds = animal.median_s[now] * np.exp(rng.normal(0, spec.duration_spread))
        frames = min(left, max(2, round(seconds * spec.sampling_hz)))
        parts.append(np.full(frames, now))
        left -= frames
        now = int(rng.choice(spec.num_syllables, p=animal.following[now]))
    return np.concatenate(parts)


def _hidden(spec: PoseSpec, num_frames: int, rng) -> np.ndarray:
    """Which keypoints are hidden, bool [T, K]: nose and tail never, the others for 5 frames."""
    length = 5
    begins = rng.random((num_frames, spec.num_keypoints)) < spec.hidden_share / length
    begins[:, [0, -1]] = False
    hidden = np.zeros_like(begins)
    for later in range(length):
        hidden[later:] |= begins[: num_frames - later]
    return hidden
