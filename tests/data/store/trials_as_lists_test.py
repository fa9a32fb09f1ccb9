"""Trials of unequal length handed over as a list of matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax import Session
from neurojax.errors import InputError


def build(counts, **fields):
    return Session.from_counts(counts, bin_size_s=0.02, session_id="day", **fields)


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=3, max_size=12), units=st.integers(1, 4), as_objects=st.booleans())
def test_a_list_of_matrices_is_trials_end_to_end(lengths, units, as_objects):
    rng = np.random.default_rng(sum(lengths))
    counts = [rng.poisson(1.0, (n, units)) for n in lengths]
    speed = [rng.normal(size=n) for n in lengths]
    flat = np.concatenate(counts)
    expected = build(flat, trial_offsets=np.concatenate([[0], np.cumsum(lengths)]))
    given = counts
    if as_objects:
        given = np.empty(len(counts), object)
        for trial, matrix in enumerate(counts):
            given[trial] = matrix
    session = build(given, behaviour={"speed": speed} if len(set(lengths)) > 1 else None)
    np.testing.assert_array_equal(session.counts, flat)
    assert session.trial_num_bins.tolist() == lengths and session.validity is None
    np.testing.assert_array_equal(session.trial_start_s, expected.trial_start_s)
    if len(set(lengths)) > 1:
        np.testing.assert_allclose(session.behaviour["speed"][:, 0], np.concatenate(speed), rtol=1e-6)


def test_what_was_not_observed_in_a_list():
    counts = [np.ones((n, 3)) for n in (4, 6, 5)]
    counts[1][2, 0] = np.nan
    mask = [np.ones((n, 3), bool) for n in (4, 6, 5)]
    mask[2][0] = False
    seen = build(counts, observed=mask).entry_valid(np.arange(3))
    assert not seen[1, 2, 0] and not seen[2, 0].any() and (~seen).sum() == 4 + 3 * (6 - 4 + 6 - 5)
    masked = [np.ma.masked_array(np.ones((n, 3)), mask=np.arange(3 * n).reshape(n, 3) == 0) for n in (4, 6, 5)]
    assert (~build(masked).entry_valid(np.arange(3))[:, 0, 0]).all()


@pytest.mark.parametrize(
    "counts",
    [
        [np.ones((4, 3)), np.ones((5, 2)), np.ones((6, 3))],  # other units
        [np.ones((4, 3)), np.ones((0, 3)), np.ones((6, 3))],  # an empty trial
        [np.ones((4, 3)), np.ones(5), np.ones((6, 3))],
        [np.ones((4, 3)), "x", np.ones((6, 3))],
    ],
)
def test_lists_that_are_no_trials_are_refused(counts):
    with pytest.raises(InputError) as caught:
        build(counts)
    assert "\n" not in str(caught.value)
