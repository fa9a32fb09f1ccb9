import dataclasses

import numpy as np
import pytest

from neurojax.data.checks.same_units import Outline, pairs_alike, repeated_units
from neurojax.data.observed import intervals_of
from neurojax.data.session import Session
from neurojax.data.store.sessions import from_counts

RNG = np.random.default_rng(0)
UNITS, DURATION_S = 30, 120.0


def spike_train(seed, gain_seed=0):
    """Units with slow rates of their own and a population gain, which sessions of one behaviour may share."""
    rng, gain_rng = np.random.default_rng(seed), np.random.default_rng(gain_seed)
    seconds = int(DURATION_S)
    rates = rng.gamma(2, 3, UNITS) * rng.gamma(3, 1 / 3, (seconds, UNITS)) * gain_rng.gamma(8, 1 / 8, (seconds, 1))
    counts = rng.poisson(rates)
    second, unit = np.repeat(np.indices(counts.shape).reshape(2, -1), counts.ravel(), axis=1)
    return second + rng.random(len(second)), unit


def cut(times, units, name, length_s, bin_size_s, phase_s=0.0, keep=None):
    starts = np.arange(phase_s, DURATION_S - length_s, length_s)
    if keep is not None:
        times, units = times[np.isin(units, keep)], units[np.isin(units, keep)]
    trials = np.stack([starts, starts + length_s], 1)
    return Outline.of(
        Session.from_spike_times(times, units, 1000 * bin_size_s, trials=trials, units=keep, session_id=name)
    )


@pytest.mark.parametrize(
    "options",
    [
        {"length_s": 2.0, "bin_size_s": 0.05},
        {"length_s": 2.0, "bin_size_s": 0.1},
        {"length_s": 1.5, "bin_size_s": 0.02, "phase_s": 0.33},
        {"length_s": 2.0, "bin_size_s": 0.02, "keep": RNG.permutation(UNITS)[:20]},
    ],
)
def test_one_recording_is_known_again_in_other_bins_windows_and_orders(options):
    first = cut(*spike_train(1), "a", 2.0, 0.02)
    found = repeated_units(first, cut(*spike_train(1), "b", **options))
    assert found >= 0.9 * min(UNITS, len(options.get("keep", range(UNITS))))


@pytest.mark.parametrize("seed", range(2, 8))
def test_other_units_of_the_same_behaviour_are_others(seed):
    first, second = cut(*spike_train(1), "a", 2.0, 0.02), cut(*spike_train(seed), "b", 2.0, 0.05)
    assert repeated_units(first, second) == 0


def test_without_a_clock_the_order_of_trials_matches_them():
    counts = np.random.default_rng(0).poisson(np.random.default_rng(1).gamma(1, 1, (60, 1, 12)) * np.ones((60, 20, 1)))
    fine = from_counts(counts, bin_size_s=0.02, session_id="a", trial_start_s=np.zeros(60))
    # Other windows of the same trials, in bins twice as wide.
    late = from_counts(counts[:, 6:].reshape(60, 7, 2, 12).sum(2), bin_size_s=0.04, session_id="b")
    assert repeated_units(Outline.of(fine), Outline.of(late)) == 12
    shuffled = from_counts(np.random.default_rng(2).permutation(counts), bin_size_s=0.02, session_id="c")
    assert repeated_units(Outline.of(fine), Outline.of(shuffled)) == 0


def test_silent_sessions_repeat_nothing():
    silent = Outline.of(from_counts(np.zeros((40, 5, 3), int), bin_size_s=0.02, session_id="a"))
    assert repeated_units(silent, silent) == 0


def hidden(outline, shares):
    """As if a unit had not been watched in a stretch of the session (begin and end, shares of its rows)."""
    session = outline.session
    watched = np.ones(session.counts.shape, bool)
    for unit, (begin, end) in enumerate(np.rint(np.array(shares) * len(watched)).astype(int)):
        watched[begin:end, unit] = False
    return Outline.of(dataclasses.replace(session, counts=session.counts * watched, validity=intervals_of(watched)))


TOGETHER = [(0.1, 0.55)] * UNITS
APART = [(0.02 * unit, 0.02 * unit + 0.4) for unit in range(UNITS)]


@pytest.mark.parametrize("shares", [TOGETHER, APART])
@pytest.mark.parametrize("seed", range(2, 8))
def test_gaps_at_the_same_time_do_not_make_units_the_same(shares, seed):
    pair = [hidden(cut(*spike_train(s), "a", 2.0, size), shares) for s, size in ((1, 0.02), (seed, 0.05))]
    assert repeated_units(*pair) == 0


@pytest.mark.parametrize("shares", [TOGETHER, APART])
@pytest.mark.parametrize("both", [True, False])
def test_units_watched_in_part_are_known_again(shares, both):
    one, two = cut(*spike_train(1), "a", 2.0, 0.02), cut(*spike_train(1), "b", 1.5, 0.05, phase_s=0.25)
    one, two = hidden(one, shares), hidden(two, shares) if both else two
    assert pairs_alike([one, two]) == {(0, 1)}
    assert repeated_units(one, two) >= 0.9 * UNITS
