"""Syllables: messages against all paths, chunks, unsure frames, planted syllables found again."""

import itertools

import numpy as np
import pytest

from neurojax.analysis import pose, syllable_messages, syllables
from neurojax.data.synthetic import poses
from neurojax.errors import InputError

SPEC = poses.PoseSpec(num_syllables=5)


@pytest.fixture(scope="module")
def tracks() -> poses.Tracks:
    return poses.make_tracks(SPEC, poses.make_animal(SPEC, 0), 3000, 0)


@pytest.fixture(scope="module")
def seen(tracks) -> pose.Posture:
    return pose.posture(tracks.keypoints_px, tracks.confidence, 0, SPEC.num_keypoints - 1)


def small_model(rng, S: int = 2, D: int = 2) -> syllables.Model:
    root = rng.normal(size=(S, D, D)) + 2 * np.eye(D)
    transitions = rng.dirichlet(np.ones(S), S)
    dynamics = rng.normal(0, 0.3, (S, D, 2 * D + 1))
    return syllables.Model(dynamics, root @ root.transpose(0, 2, 1), transitions, rng.dirichlet(np.ones(S)))


def all_paths(model: syllables.Model, posture, weight) -> tuple[float, np.ndarray]:
    """(nats, posterior [frames, S]) by adding up every path of syllables."""
    S, D = model.dynamics.shape[:2]
    frames = range(2, len(posture))
    total, posterior = 0.0, np.zeros((len(frames), S))
    for path in itertools.product(range(S), repeat=len(frames)):
        p = model.initial[path[0]] * np.prod([model.transitions[a, b] for a, b in itertools.pairwise(path)])
        for t, s in zip(frames, path, strict=True):
            w = weight[t - 2 : t + 1].min()
            if w > 0:
                error = posture[t] - model.dynamics[s] @ np.concatenate([posture[t - 1], posture[t - 2], [1]])
                noise = model.noise[s] / w
                size = error @ np.linalg.solve(noise, error) + np.linalg.slogdet(noise)[1] + D * np.log(2 * np.pi)
                p *= np.exp(-size / 2)
        total += p
        posterior[np.arange(len(path)), list(path)] += p
    return np.log(total), posterior / total


@pytest.mark.parametrize("chunk", [3, 64])
def test_messages_are_those_of_all_paths(chunk):
    rng = np.random.default_rng(0)
    model, posture = small_model(rng), rng.normal(size=(9, 2))
    weight = np.array([1, 1, 0.5, 1, 1, 0, 1, 1, 0.8])
    nats, posterior = all_paths(model, posture, weight)
    assert syllables.log_likelihood(model, posture, weight, chunk=chunk) * 7 == pytest.approx(nats, abs=1e-4)
    found = syllables.label(model, posture, weight, chunk=chunk)
    np.testing.assert_array_equal(found.syllable[2:], posterior.argmax(1))
    np.testing.assert_allclose(found.probability[2:], posterior.max(1), atol=1e-5)


def test_pairs_of_syllables_add_up_over_chunks():
    rng = np.random.default_rng(1)
    model, posture = small_model(rng), rng.normal(size=(50, 2))
    whole, parts = (syllable_messages.expected(model, [posture], [np.ones(50)], 2, chunk)[0] for chunk in (64, 7))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-4)
    assert whole.pairs.sum() == pytest.approx(47, abs=1e-3)  # 48 frames after the lags


def test_a_frame_of_weight_zero_tells_nothing():
    rng = np.random.default_rng(2)
    model, posture, weight = small_model(rng), rng.normal(size=(30, 2)), np.ones(30)
    weight[10] = 0
    other = posture.copy()
    other[10] = 1e3
    one, two = (syllables.label(model, y, weight, chunk=16) for y in (posture, other))
    np.testing.assert_array_equal(one.probability, two.probability)
    assert syllables.log_likelihood(model, posture, weight) == syllables.log_likelihood(model, other, weight)


def test_planted_syllables_are_found_again(tracks, seen):
    fitted = syllables.fit([seen.components], [seen.weight], num_syllables=5, num_starts=4, num_iterations=25)
    assert syllables.adjusted_rand(tracks.syllable, fitted.labels[0].syllable) > 0.8
    assert (np.diff(fitted.log_likelihood) > -1e-3).all()
    # how long syllables last, and where the labels of the posture alone end up
    real, found = (np.median(syllables.durations_s(s, 30.0)[1]) for s in (tracks.syllable, fitted.labels[0].syllable))
    assert found == pytest.approx(real, rel=0.25)


def test_the_posture_is_read_through_hidden_keypoints(tracks, seen):
    expected = np.column_stack([tracks.posture, np.ones(len(tracks.posture))])
    known = seen.weight > 0.9
    left = seen.components - expected @ np.linalg.lstsq(expected[known], seen.components[known], rcond=None)[0]
    some_hidden = known & (tracks.confidence.min(1) < 0.2)
    assert known.mean() > 0.95 and some_hidden.sum() > 300
    assert 1 - left[some_hidden].var() / seen.components[some_hidden].var() > 0.98


def test_turned_and_shifted_animals_look_alike(tracks):
    points = tracks.keypoints_px[:5]
    turned = points @ np.array([[0.6, -0.8], [0.8, 0.6]]) + 100
    np.testing.assert_allclose(pose.egocentric(points, 0, 5), pose.egocentric(turned, 0, 5), atol=1e-9)


def test_rand_index_of_a_worked_example():
    # pairs together in both 2, in the first 4, in the second 3, of 15
    first, second = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 2]
    assert syllables.adjusted_rand(first, second) == pytest.approx((2 - 16 / 15) / (4 - 16 / 15))
    assert syllables.adjusted_rand(first, [5, 5, 5, 0, 0, 1]) == 1


def test_following_and_durations():
    labels = np.array([0, 0, 1, 1, 1, 0, 2, 2])
    which, seconds = syllables.durations_s(labels, 2.0)
    np.testing.assert_array_equal(which, [1, 0])
    np.testing.assert_array_equal(seconds, [1.5, 0.5])
    np.testing.assert_array_equal(syllables.shares(syllables.pairs(labels, 3)), [[0, 0.5, 0.5], [1, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("postures", "weights", "said"),
    [
        ([np.zeros((3, 2))], None, "expected at least one lag and 4 frames"),
        ([np.full((9, 2), np.nan)], None, "not finite"),
        ([np.zeros((9, 2))], [np.ones(8)], "weights do not fit"),
        ([np.zeros((9, 2)), np.zeros((9, 3))], None, "expected \\[frames, components\\] each"),
        ([], None, "expected \\[frames, components\\] each"),
    ],
)
def test_recordings_that_do_not_fit_are_refused(postures, weights, said):
    with pytest.raises(InputError, match=said):
        syllables.fit(postures, weights, num_syllables=2)


def test_a_keypoint_that_is_never_sure_is_named():
    confidence = np.ones((9, 3))
    confidence[:, 1] = 0.1
    with pytest.raises(InputError, match=r"keypoint \[1\] is nowhere tracked"):
        pose.posture(np.zeros((9, 3, 2)), confidence, 0, 2)
