"""`check` says of each behaviour how much is known, why not more, and what to do."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.data.checks.check_behaviour import behaviour_findings
from neurojax.data.readers.signals import bin_starts, mean_in_bins
from neurojax.data.store.sessions import from_counts

TRIALS, BINS, BIN_S = 20, 50, 0.02
STARTS = 2.0 * np.arange(TRIALS)


def session(values, **fields):
    counts = np.random.default_rng(0).poisson(0.4, (TRIALS, BINS, 3))
    given = {"pose": np.asarray(values, np.float32)}
    return from_counts(counts, bin_size_s=BIN_S, session_id="a", trial_start_s=STARTS, behaviour=given, **fields)


def sampled(times, max_gap_s=0.1, dims=1):
    values = np.sin(times)[:, None] * np.ones(dims)
    starts = bin_starts(STARTS, np.full(TRIALS, BINS), BIN_S)
    return mean_in_bins(np.asarray(times, float), values, starts, BIN_S, max_gap_s)


def told(values, **fields):
    (one,) = behaviour_findings(session(values, **fields))
    assert one.level == "warning" and "'pose'" in one.sentence and "nothing to do" not in one.remedy
    return one


def test_a_behaviour_that_is_known_throughout_is_not_mentioned():
    assert behaviour_findings(session(np.zeros(TRIALS * BINS))) == []


@pytest.mark.parametrize("columns", [[1], [0, 2], [0, 1, 3]])
def test_a_dimension_that_was_never_known_is_named(columns):
    values = np.zeros((TRIALS * BINS, 4))
    values[:, columns] = np.nan
    one = told(values)
    assert f"{len(columns)} of 4 dimensions are unknown in every bin" in one.sentence
    assert f"(column {', '.join(map(str, columns))})" in one.sentence and "known in 100 %" in one.sentence


@pytest.mark.parametrize("rate_hz", [2.0, 3.0, 5.0, 8.0])
def test_the_usual_step_of_a_slow_signal_is_told_and_the_remedy_bridges_it(rate_hz):
    times = np.arange(0, 2.0 * TRIALS + 1, 1 / rate_hz)
    one = told(sampled(times))
    step_s = float(re.search(r"samples lie ([0-9.]+) s apart", one.sentence)[1])
    assert step_s == pytest.approx(1 / rate_hz, abs=BIN_S) and "bins are 0.02 s wide" in one.sentence
    gap_s = float(re.search(r"--max_gap_s=([0-9.]+)", one.remedy)[1])
    assert np.isfinite(sampled(times, gap_s)).all()


def test_the_remedy_of_an_uneven_signal_bridges_most_of_it():
    times = np.cumsum(np.random.default_rng(7).uniform(0.02, 0.4, 300))
    before = np.isfinite(sampled(times)).mean()
    one = told(sampled(times))
    gap_s = float(re.search(r"--max_gap_s=([0-9.]+)", one.remedy)[1])
    assert before < 0.7 and np.isfinite(sampled(times, gap_s)).mean() > 0.95


def test_trials_without_a_sample_are_told_with_both_ranges():
    one = told(sampled(np.arange(0, 11, 0.01)))  # it ends after 11 s, trials at 39 s
    assert "14 of 20 trials have no sample" in one.sentence and "0 to 11 s, all trials at 0 to 39 s" in one.sentence
    assert "one clock" in one.remedy


def test_one_that_is_never_known_is_told():
    one = told(np.full(TRIALS * BINS, np.nan))
    assert "unknown in every bin" in one.sentence and "--time_unit" in one.remedy


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_one_that_is_missing_at_the_end_of_every_trial_is_told(share):
    values = np.where(np.arange(BINS) < share * BINS, 0.0, np.nan)
    sentence = told(np.tile(values, TRIALS)).sentence
    assert f"known in {100 * share:.0f} % of bins" in sentence and "gaps at their ends" in sentence


def test_long_gaps_are_counted():
    values = np.zeros((1, 5000))
    values[0, 1000:1400], values[0, 2500:2950] = np.nan, np.nan
    counts = np.random.default_rng(0).poisson(0.4, (3, 5000, 3))
    values = np.concatenate([values, values, np.zeros((1, 5000))]).reshape(-1, 1)
    made = from_counts(counts, bin_size_s=BIN_S, session_id="a", split=[0, 1, 2], behaviour={"pose": values})
    (one,) = behaviour_findings(made)
    assert "4 gaps without a sample, usually 8.52 s, up to 9.02 s" in one.sentence


def test_a_mask_that_calls_unknown_bins_valid_is_an_error():
    values = np.zeros(TRIALS * BINS)
    values[:3] = np.nan
    found = behaviour_findings(session(values, behaviour_valid={"pose": np.ones(TRIALS * BINS, bool)}))
    assert [one.level for one in found] == ["error", "warning"] and "3 bins" in found[1].sentence


def test_a_mask_alone_counts_too():
    valid = np.arange(TRIALS * BINS) % 2 == 0
    assert "known in 50 % of bins" in told(np.zeros(TRIALS * BINS), behaviour_valid={"pose": valid}).sentence


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_whatever_is_missing_is_told_by_name_and_share(data):
    dims = data.draw(st.integers(1, 3))
    seed, kind = data.draw(st.integers(0, 99)), data.draw(st.sampled_from(["bins", "blocks", "trials"]))
    rng, share = np.random.default_rng(seed), data.draw(st.floats(0.0, 1.0))
    rows = {"bins": TRIALS * BINS, "blocks": TRIALS * BINS // 10, "trials": TRIALS}[kind]
    known = np.repeat(rng.random((rows, dims)) < share, TRIALS * BINS // rows, axis=0)
    found = behaviour_findings(session(np.where(known, 0.0, np.nan)))
    shares = known.mean(axis=0)
    assert bool(found) == bool((shares < 1).any())
    assert all("'pose'" in one.sentence and "nothing to do" not in one.remedy for one in found)
    told = " ".join(one.sentence for one in found)
    if (shares == 0).any():
        assert "every bin" in told
    least = shares[shares > 0].min(initial=1)
    if least < 0.9:
        percent = int(re.search(r"is known in (\d+) % of bins", told)[1])
        assert abs(percent - 100 * least) <= 1
