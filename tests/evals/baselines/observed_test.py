"""Baselines and observed time: what nobody watched changes nothing; each unit is fitted on the bins it was seen in."""

import dataclasses

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from neurojax.data import observed
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store.sessions import from_counts
from neurojax.evals import baselines, protocols, scoring
from neurojax.evals.baselines import (
    autoregression,
    features,
    folds,
    missing,
    psth,
    reduced_rank,
    ridge,
    smoothed_spikes,
)

NUM_TRIALS, NUM_BINS, NUM_UNITS = 30, 12, 8
REGION = np.repeat(["CA1", "LP"], NUM_UNITS // 2)
AS_DRAWN = (Phase.explicit, Phase.generate)  # a smaller example of a slow test would take minutes
PATTERNS = ("scattered", "probe", "lifetimes", "bins")


def entries(pattern, seed):
    """bool [trials, T, N] with about 30 % False."""
    rng, shape = np.random.default_rng(seed), (NUM_TRIALS, NUM_BINS, NUM_UNITS)
    seen = np.ones(shape, bool)
    if pattern == "scattered":
        return rng.random(shape) > 0.3
    if pattern == "probe":
        seen[NUM_TRIALS // 2 :, :, : NUM_UNITS // 2] = False
    for unit in range(NUM_UNITS if pattern == "lifetimes" else 0):
        first = rng.integers(0, 20)
        seen[first : first + 10, :, unit] = False
    for trial in range(NUM_TRIALS if pattern == "bins" else 0):
        first = rng.integers(0, 9)
        seen[trial, first : first + 3] = False
    return seen


def make_session(seed=0, seen=None, counts=None, num_trials=NUM_TRIALS):
    rng = np.random.default_rng(seed)
    if counts is None:
        shared = rng.standard_normal((num_trials, NUM_BINS, 2))
        counts = rng.poisson(np.exp(shared @ rng.standard_normal((2, NUM_UNITS)) * 0.5))
    split = np.resize([TRAIN, TRAIN, TRAIN, VALIDATION, TEST], len(counts))
    return from_counts(
        counts,
        bin_size_s=0.02,
        session_id="day",
        split=split,
        region=REGION,
        trial_start_s=np.arange(len(counts)) * 2.0,
        observed=seen,
    )


def with_other_counts(session, seed):
    """Other counts wherever nobody watched, as no reader would leave them."""
    seen = observed.entries_of(session.validity, *session.counts.shape)
    other = np.random.default_rng(seed).integers(0, 9, seen.shape)
    return dataclasses.replace(session, counts=np.where(seen, session.counts, other).astype(session.counts.dtype))


def rates_of(session, names=baselines.NAMES, protocol=protocols.MTM):
    fitted = baselines.fit_baselines(session, names, protocol=protocol)
    return {
        (name, task, part): rates
        for name, fits in fitted.items()
        for task, fit in fits.items()
        for part, rates in fit.rates.items()
    }


@settings(max_examples=3, deadline=None, phases=AS_DRAWN)
@given(st.integers(0, 2**16), st.sampled_from(PATTERNS))
@example(429, "bins")  # 287 spikes in a bin of bursts
def test_counts_that_nobody_watched_change_no_baseline_and_no_score(seed, pattern):
    session = make_session(seed, entries(pattern, seed))
    ours, theirs = rates_of(session), rates_of(with_other_counts(session, seed))
    assert ours.keys() == theirs.keys() and {name for name, *_ in ours} == set(baselines.NAMES)
    for key, rates in ours.items():
        np.testing.assert_array_equal(rates, theirs[key], err_msg=str(key))
        scored = np.isfinite(rates)
        seen = session.entry_valid(session.trials_of(key[2]))
        assert scored.any() and not (scored & ~seen).any(), f"{key}: a prediction of what nobody watched"
    stack = {"co_smoothing": ours["stack", "co_smoothing", TEST]}
    scores = [
        scoring.score_session(one, stack, seed=0, num_boot=20) for one in (session, with_other_counts(session, seed))
    ]
    assert scores[0] == scores[1] and np.isfinite(scores[0]["co_smoothing"]["bps_pooled"])


def test_a_mask_that_hides_nothing_gives_the_numbers_without_one():
    session = make_session()
    everything = observed.ObservedIntervals(
        np.arange(NUM_UNITS, dtype=np.int32),
        np.zeros(NUM_UNITS, np.int64),
        np.full(NUM_UNITS, len(session.counts), np.int64),
    )
    masked = rates_of(session.with_fields(validity=everything))
    for key, rates in rates_of(session).items():
        np.testing.assert_array_equal(masked[key], rates, err_msg=str(key))


@settings(max_examples=3, deadline=None, phases=AS_DRAWN)
@given(st.integers(0, 2**16))
def test_training_trials_in_which_nobody_watched_change_nothing(seed):
    """Ten trials more, of which nothing is known, are no trials: every baseline says the same."""
    session = make_session(seed)
    counts = session.counts.reshape(NUM_TRIALS, NUM_BINS, NUM_UNITS)
    more = np.concatenate([counts, np.zeros((10, NUM_BINS, NUM_UNITS), counts.dtype)])
    seen = np.ones(more.shape, bool)
    seen[NUM_TRIALS:] = False
    longer = make_session(counts=more, num_trials=len(more))
    split = np.concatenate([session.split, np.full(10, TRAIN, np.int8)])
    validity = observed.intervals_of(seen.reshape(-1, NUM_UNITS))
    longer = longer.with_fields(split=split, validity=validity)
    found = rates_of(longer)
    for key, rates in rates_of(session).items():
        # The stack mixes parts that are nearly alike: its optimum is flat, and a rounding turns its weights.
        if key[0] != "stack":
            np.testing.assert_allclose(found[key], rates, rtol=2e-3, atol=1e-3, err_msg=str(key))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_ridge_fits_each_unit_on_the_bins_it_was_observed_in(pattern):
    """Against one plain solve a unit, without its own features."""
    made = folds.make_folds(make_session(3, entries(pattern, 3)), ("co_smoothing",))
    activity = features.make_activity(made, psth.FLAT, features.Family(0.02, False, True))
    weights = ridge.all_weights(made, ("co_smoothing",), activity, 30.0)["co_smoothing"]
    train = made.parts[TRAIN]
    average = np.broadcast_to(activity.average[TRAIN][:, None], activity.now[TRAIN].shape)
    target = folds.surplus(train, psth.shrunk_psth(made, psth.FLAT))
    for unit in range(NUM_UNITS):
        rows = train.observed[..., unit]
        x = np.concatenate([activity.now[TRAIN][rows], average[rows]], axis=1).astype(np.float64)
        others = np.delete(np.arange(2 * NUM_UNITS), [unit, NUM_UNITS + unit])
        gram = x[:, others].T @ x[:, others] + 30.0 * np.eye(len(others))
        expected = np.zeros(2 * NUM_UNITS)
        expected[others] = np.linalg.solve(gram, x[:, others].T @ target[rows][:, unit])
        np.testing.assert_allclose(weights[:, unit], expected, atol=2e-5)


def test_a_probes_gap_costs_one_more_system_and_scattered_gaps_one_a_unit(monkeypatch):
    def systems(pattern):
        made = folds.make_folds(make_session(3, entries(pattern, 3)), ("co_smoothing",))
        return features.make_activity(made, psth.FLAT, features.Family(0.0, False, False)).equations.systems

    assert len(systems("probe")) == 2 and len(systems("bins")) == 1 and len(systems("scattered")) == NUM_UNITS
    monkeypatch.setattr(missing, "MOST_WORK", 0)
    assert len(systems("scattered")) == 1, "too many are fitted together"


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.3, 1.0), st.booleans())
def test_completed_products_have_the_weights_of_each_targets_own_rows(seed, share, of_rows):
    rng = np.random.default_rng(seed)
    x, y, seen = rng.normal(size=(20, 6)), rng.normal(size=(20, 5)), rng.random((20, 5)) < share
    seen[:2] = True
    y = np.where(seen, y, 0)
    gram, cross = (x @ x.T, y) if of_rows else (x.T @ x, x.T @ y)
    found = missing.equations(gram, cross, seen, None if of_rows else x.__getitem__)
    weights = found.solved(2.0, ridge.solved)
    for target in range(5):
        rows = seen[:, target]
        own = np.linalg.solve(x[rows].T @ x[rows] + 2.0 * np.eye(6), x[rows].T @ y[rows, target])
        np.testing.assert_allclose(x.T @ weights[:, target] if of_rows else weights[:, target], own, atol=1e-9)
    completed = found.completed(2.0, ridge.solved)
    np.testing.assert_allclose(ridge.solved(gram, completed, 2.0), weights, atol=1e-9)
    loadings, readout = reduced_rank.reduced_rank_loadings(gram, completed, 2.0, 5, of_rows=of_rows)
    np.testing.assert_allclose(loadings @ readout, weights, atol=1e-6)


def test_an_average_over_observed_bins_is_no_average_over_zeros():
    seen = np.ones((2, 40, 1), bool)
    seen[0, 18:22] = seen[1, 5:] = False
    values, valid = np.where(seen, np.float32(3), np.float32(0)), np.ones((2, 40), bool)
    smoothed = folds.smooth(values, valid, 4.0, seen)
    np.testing.assert_allclose(smoothed[0], 3.0, rtol=1e-5)
    assert smoothed[1, 0] > 1.5 and abs(smoothed[1, 30, 0]) < 1e-3, "far from what was observed nothing is known"
    np.testing.assert_allclose(folds.trial_mean(values, valid, seen)[:, 0], [3.0, 3.0 * 5 / 20], rtol=1e-5)
    around = folds.smooth_around(values + 2 * seen, valid, 0.0, seen, np.array([5.0]))
    np.testing.assert_allclose(around, 5.0)


@pytest.mark.parametrize("kind", ["trials", "spikes"])
def test_a_bin_in_which_a_unit_was_never_observed_has_its_mean(kind):
    seen = np.ones((NUM_TRIALS, NUM_BINS, NUM_UNITS), bool)
    seen[:, 7:, 0] = False
    made = folds.make_folds(make_session(1, seen), ("co_smoothing",))
    found = psth.shrunk_psth(made, psth.Smoothing(0.0, 1.0, kind))
    np.testing.assert_allclose(found[7:, 0], made.mean[0])
    counts = make_session(1).counts.reshape(NUM_TRIALS, NUM_BINS, NUM_UNITS)[make_session(1).split == TRAIN]
    np.testing.assert_allclose(made.mean[0], counts[:, :7, 0].mean())


def test_the_past_of_a_forward_task_is_what_was_observed_of_it():
    """Smoothed spikes and autoregression take a unit's missing bins for neither spikes nor silence."""
    counts = np.full((NUM_TRIALS, NUM_BINS, NUM_UNITS), 2)
    counts[::2] += 1
    seen = np.random.default_rng(0).random(counts.shape) > 0.3
    seen[:, 0] = True
    made = folds.make_folds(make_session(0, seen, counts), ("forward",))
    high = made.session.trials_of(TEST) % 2 == 0
    fit = smoothed_spikes.fit(made)
    hidden = made.parts[TEST].hidden_bins
    last = fit.rates[TEST][hidden].reshape(len(high), -1, NUM_UNITS)
    assert np.abs(last[high].mean() - 3) < 0.15 and np.abs(last[~high].mean() - 2) < 0.15
    again = autoregression.fit(made, psth.shrunk_psth(made, psth.FLAT)).rates[TEST][hidden]
    assert np.isfinite(again).all()
