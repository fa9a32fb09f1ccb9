"""Trials without any count leave a session made in memory, with all that belongs to them."""

import numpy as np
import pytest

from neurojax import Session

TRIALS, BINS, UNITS = 12, 5, 3
EMPTY = (2, 7)
KEPT = np.setdiff1d(np.arange(TRIALS), EMPTY)


def counts():
    made = np.random.default_rng(0).poisson(1.0, (TRIALS, BINS, UNITS)).astype(float)
    made[list(EMPTY)] = np.nan
    return made


def build(given, **fields):
    return Session.from_counts(given, bin_size_s=0.02, session_id="day", **fields)


def laid_out(how):
    made = counts()
    masked = np.ma.masked_invalid(made)
    masked.data[masked.mask] = 5.0
    flat = made.reshape(-1, UNITS), {"trial_offsets": np.arange(TRIALS + 1) * BINS}
    return {"trials": (made, {}), "masked": (masked, {}), "flat": flat, "list": (list(made), {})}[how]


@pytest.mark.parametrize("how", ["trials", "masked", "flat", "list"])
def test_trials_that_are_nan_throughout_leave_with_all_that_belongs_to_them(how):
    given, layout = laid_out(how)
    speed, sure = np.arange(TRIALS * BINS, dtype=np.float32), np.arange(TRIALS * BINS) % 4 > 0
    session = build(
        given,
        **layout,
        trial_start_s=np.arange(TRIALS) * 3.0,
        split=np.arange(TRIALS) % 3,
        conditions={"number": np.arange(TRIALS)},
        behaviour={"speed": speed},
        behaviour_valid={"speed": sure},
        info={"trials_dropped": {"too short": 4}},
    )
    assert session.info["trials_dropped"] == {"too short": 4, "never observed": 2}
    assert session.conditions["number"].tolist() == KEPT.tolist() and session.validity is None
    assert session.split.tolist() == (KEPT % 3).tolist() and session.trial_start_s.tolist() == (KEPT * 3.0).tolist()
    np.testing.assert_array_equal(session.counts, counts()[KEPT].reshape(-1, UNITS))
    np.testing.assert_array_equal(session.behaviour["speed"][:, 0], speed.reshape(TRIALS, BINS)[KEPT].ravel())
    np.testing.assert_array_equal(session.behaviour_valid["speed"], sure.reshape(TRIALS, BINS)[KEPT].ravel())


def test_a_split_is_drawn_among_the_trials_that_stay_and_starts_keep_their_place():
    session, whole = build(counts()), build(counts()[KEPT])
    assert session.split.tolist() == whole.split.tolist()
    np.testing.assert_allclose(session.trial_start_s, KEPT * BINS * 0.02)


def test_a_shorter_trial_beside_an_empty_one():
    given = counts()
    given[0, 3:] = np.nan
    given[1, 1, 2] = np.nan
    session = build(given, behaviour={"x": np.arange(TRIALS * BINS).reshape(TRIALS, BINS, 1)})
    assert session.trial_num_bins.tolist() == [3] + [BINS] * 9 and session.num_trials == 10
    assert session.behaviour["x"][:9, 0].tolist() == [0, 1, 2, 5, 6, 7, 8, 9, 15]
    entries = session.entry_valid(np.arange(10))
    assert not entries[1, 1, 2] and entries[1].sum() == BINS * UNITS - 1
