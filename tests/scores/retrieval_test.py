"""Ranks among candidates: worked examples, ties in the middle, damage refused."""

import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.scores import retrieval

SCORE = np.array([[3.0, 1.0, 2.0, 0.0], [3.0, 1.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0], [2.0, 5.0, 5.0, 1.0]])


def test_ranks_of_a_worked_example():
    rank = retrieval.ranks(SCORE, np.array([0, 3, 2, 1]))
    np.testing.assert_array_equal(rank, [0, 3, 1.5, 0.5])
    assert [retrieval.top(rank, first) for first in (1, 2, 4)] == [0.25, 0.5, 1.0]
    assert retrieval.mean_reciprocal_rank(rank) == pytest.approx((1 + 1 / 4 + 1 / 2.5 + 1 / 1.5) / 4)


def test_a_reader_who_says_nothing_is_never_first():
    assert retrieval.top(retrieval.ranks(np.zeros((5, 512)), np.arange(5)), 10) == 0


def test_scores_that_cannot_be_ranked_are_refused():
    for score, right, said in (
        (SCORE, np.array([0, 1, 2]), "expected .W, K. and .W."),
        (SCORE, np.array([0, 1, 2, 4]), "right goes from 0 to 4"),
        (np.where(SCORE == 5, np.nan, SCORE), np.zeros(4, int), "NaN or infinity"),
    ):
        with pytest.raises(InputError, match=said):
            retrieval.ranks(score, right)
