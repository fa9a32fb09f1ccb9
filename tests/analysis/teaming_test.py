"""Teams: a logistic combination recovers known weights, and no held-out label reaches its fold."""

import numpy as np
import pytest

from neurojax.analysis import teaming
from neurojax.errors import InputError


def made(number=4000, weights=(1.5, 0.7)):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(number, len(weights)))
    label = rng.random(number) < teaming.expected(features, np.array(weights))
    return features, label.astype(int)


def test_known_weights_are_found():
    features, label = made(20_000)
    np.testing.assert_allclose(teaming.fit(features, label, 0.0), [1.5, 0.7], atol=0.06)


def test_labels_that_can_be_separated_end_in_finite_weights():
    features = np.array([[1.0], [2.0], [-1.0], [-3.0]])
    label = np.array([1, 1, 0, 0])
    weights = teaming.fit(features, label)
    assert 0 < weights[0] < 20
    slope = features.T @ (teaming.expected(features, weights) - label) / 4 + teaming.PENALTY * weights
    np.testing.assert_allclose(slope, 0, atol=1e-9)  # of loss and penalty together


def test_a_team_of_two_is_better_than_either():
    features, label = made()
    fold = teaming.folds_of_items(np.arange(len(label)), 5, 0)
    alone = [teaming.agrees(teaming.expected(features[:, [f]], np.ones(1)), label).mean() for f in (0, 1)]
    team = teaming.agrees(teaming.cross_validated(features, label, fold), label).mean()
    assert team > max(alone) + 0.02


def test_the_labels_of_a_fold_do_not_reach_its_own_predictions():
    features, label = made(400)
    fold = teaming.folds_of_items(np.repeat(np.arange(100), 4), 5, 0)
    before = teaming.cross_validated(features, label, fold)
    own = fold == 2
    after = teaming.cross_validated(features, np.where(own, 1 - label, label), fold)
    np.testing.assert_array_equal(before[own], after[own])
    assert np.abs(before[~own] - after[~own]).max() > 0.01


def test_swapped_versions_swap_the_answer():
    features, label = made(200)
    weights = teaming.fit(features, label)
    np.testing.assert_allclose(teaming.fit(-features, 1 - label), weights)
    np.testing.assert_allclose(teaming.expected(-features, weights), 1 - teaming.expected(features, weights))


def test_an_item_lies_in_one_fold_and_folds_are_of_one_size():
    item = np.repeat(np.arange(50), 3)
    fold = teaming.folds_of_items(item, 5, 0)
    assert all(len(np.unique(fold[item == one])) == 1 for one in range(50))
    assert np.bincount(fold).tolist() == [30] * 5
    with pytest.raises(InputError, match="1 fold"):
        teaming.cross_validated(np.ones((3, 1)), [0, 1, 1], np.zeros(3))


def test_a_tie_is_half_right():
    assert teaming.agrees(np.array([0.9, 0.1, 0.5]), np.array([1, 1, 0])).tolist() == [1.0, 0.0, 0.5]
