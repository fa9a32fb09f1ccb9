"""The exact test of signs against counting, and what it says of few sessions."""

import math

import pytest

from neurojax.scores import sign_test


@pytest.mark.parametrize(("above", "below"), [(9, 0), (8, 1), (3, 4), (1, 0), (5, 5)])
def test_p_is_the_share_of_sign_patterns_as_uneven_as_this(above, below):
    n = above + below
    uneven = sum(math.comb(n, k) for k in range(n + 1) if abs(k - n / 2) >= abs(above - n / 2))
    assert sign_test.p_value([0.1] * above + [-2.0] * below + [0.0]) == pytest.approx(uneven / 2**n)


def test_no_sign_has_no_p():
    assert sign_test.p_value([]) is None and sign_test.p_value([0, 0]) is None


@pytest.mark.parametrize(
    ("n", "words"),
    [(1, "p = 1,"), (5, "p = 0.062,"), (6, "6 of 6"), (9, "p = 0.0039; p below 0.05 needs 8 of 9"), (20, "15 of 20")],
)
def test_the_sentence_says_what_n_supports(n, words):
    text = sign_test.sentence(n)
    assert words in text and ("no claim" in text) == (n < 6)
