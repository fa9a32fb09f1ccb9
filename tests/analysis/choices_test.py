"""Choices between two texts: ties are wrong, labels turn the sign, intervals draw whole groups."""

import numpy as np
import pytest

from neurojax.analysis import choices
from neurojax.errors import InputError


def test_the_lower_perplexity_is_chosen_and_a_tie_is_wrong():
    perplexity = np.array([[[2.0, 3.0], [2.0, 3.0], [4.0, 4.0], [4.0, 4.0], [5.0, 1.0]]])
    label = np.array([0, 1, 0, 1, 1])
    assert choices.is_right(perplexity, label).tolist() == [[True, False, False, False, True]]
    assert choices.margin(perplexity, label).tolist() == [[1.0, -1.0, 0.0, 0.0, 4.0]]
    assert choices.certainty(perplexity).tolist() == [[1.0, 1.0, 0.0, 0.0, 4.0]]


def test_shapes_and_labels_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"shape \(3, 2\), labels \(2,\)"):
        choices.margin(np.ones((3, 2)), np.zeros(2, int))
    with pytest.raises(InputError, match="neither 0 .* nor 1"):
        choices.margin(np.ones((2, 2)), np.array([0, 2]))


def test_an_interval_over_groups_knows_that_their_answers_go_together():
    """Ten people who answer a hundred times alike are ten witnesses, not a thousand."""
    of_person = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 0])
    values, person = np.repeat(of_person, 100), np.repeat(np.arange(10), 100)
    alone = choices.estimate(values, [np.arange(1000)])
    together = choices.estimate(values, [person])
    assert alone.value == together.value == 0.7
    assert alone.se == pytest.approx(np.sqrt(0.7 * 0.3 / 1000), rel=0.1)
    assert together.se == pytest.approx(np.sqrt(0.7 * 0.3 / 10), rel=0.1)
    assert together.ci95[0] < 0.5 < alone.ci95[0]


def test_an_interval_over_two_kinds_of_groups_is_the_widest():
    rng = np.random.default_rng(0)
    person, item = np.repeat(np.arange(30), 20), np.tile(np.arange(20), 30)
    values = (rng.normal(size=30)[person] + rng.normal(size=20)[item] > 0).astype(float)
    one, two = choices.estimate(values, [person]).se, choices.estimate(values, [item]).se
    both = choices.estimate(values, [person, item]).se
    assert both > max(one, two)
    assert both == pytest.approx(np.hypot(one, two), rel=0.25)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    rng, covered = np.random.default_rng(1), 0
    for seed in range(200):
        values = (rng.random(60) < 0.6).astype(float)
        low, high = choices.estimate(values, [np.arange(60)], num_boot=400, seed=seed).ci95
        covered += low <= 0.6 <= high
    assert 180 <= covered <= 199


def test_answers_and_groups_of_other_lengths_are_refused():
    with pytest.raises(InputError, match="2 groups of 3 answers"):
        choices.estimate(np.ones(3), [np.ones(2)])
    with pytest.raises(InputError, match="no answer"):
        choices.estimate(np.ones(0), [])


def test_rank_correlations_leave_out_items_that_nobody_answered():
    margins = np.array([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]])
    people = choices.mean_by_item(np.array([0, 1, 1, 1]), np.array([0, 1, 1, 3]), 4)
    np.testing.assert_array_equal(people, [0.0, 1.0, np.nan, 1.0])
    with_people = choices.rank_correlations(margins, np.array([0.1, 0.2, np.nan, 0.9]))
    np.testing.assert_allclose(with_people, [1.0, -1.0])
    np.testing.assert_allclose(choices.rank_correlations(margins), [-1.0])


def test_shares_by_group():
    found = choices.share_by_group(np.array([1, 0, 1]), np.array(["b", "b", "a"]))
    assert found == {"a": (1.0, 1), "b": (0.5, 2)}
