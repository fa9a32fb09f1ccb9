"""BrainWideBench's closed-form baselines beside an independent computation: scikit-learn, scipy and sums by hand."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.special import xlogy

from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store.sessions import from_counts
from neurojax.evals import baselines, protocols
from neurojax.evals.baselines import benchmark

BRAINWIDE = protocols.get_protocol("brainwide")
COLUMN = BRAINWIDE.held_out_column
TRIALS, BINS, UNITS = 50, 20, 12
HELD_OUT, FOR_VALIDATION = [1, 6, 10], [0, 3, 7]


@pytest.fixture(scope="module")
def session():
    rng = np.random.default_rng(0)
    slow = np.cumsum(rng.standard_normal((TRIALS, BINS, 2)), axis=1) * 0.2 + rng.standard_normal((TRIALS, 1, 2)) * 0.5
    rates = 0.5 * np.exp(slow @ rng.standard_normal((2, UNITS)) * 0.6)
    made = from_counts(
        rng.poisson(rates).astype(np.uint8),
        bin_size_s=0.02,
        session_id="day1",
        split=np.repeat([0, 1, 2], [28, 8, 14]),
        trial_start_s=np.arange(TRIALS) * 2.0,
    )
    columns = {COLUMN: np.isin(np.arange(UNITS), HELD_OUT).astype(np.int8)}
    columns[benchmark.VALIDATION_COLUMN] = np.isin(np.arange(UNITS), FOR_VALIDATION).astype(np.int8)
    return dataclasses.replace(made, unit_metadata=columns)


@pytest.fixture(scope="module")
def fitted(session):
    return baselines.fit_baselines(session, benchmark.NAMES, protocol=BRAINWIDE)


def counts_of(session, split):
    return session.gather_trials(session.trials_of(split))[0].astype(float)


def d2(rates, counts):
    """Mean over units of 1 - deviance / deviance of the unit's own mean."""
    rates, counts = rates.reshape(-1, rates.shape[-1]), counts.reshape(-1, counts.shape[-1])
    mean = counts.mean(0)
    deviance = (xlogy(counts, counts) - xlogy(counts, rates) - counts + rates).sum(0)
    null = (xlogy(counts, counts) - xlogy(counts, mean) - counts + mean).sum(0)
    return np.mean(1 - (deviance / null)[mean > 0])


def test_they_join_on_request_and_for_their_tasks_alone(fitted):
    assert not set(benchmark.NAMES) & set(baselines.NAMES) and set(benchmark.NAMES) < set(baselines.KNOWN)
    tasks = {name: list(found) for name, found in fitted.items()}
    forward, held_out = ["brainwide_forward"], ["brainwide_co_smoothing"]
    assert tasks == dict.fromkeys(benchmark.OF_FORWARD, forward) | dict.fromkeys(benchmark.OF_HELD_OUT, held_out)
    assert "held-out" in baselines.reason_against("bwb_readout_rrr", "co_smoothing")


def test_shrinkage_draws_the_trials_own_mean_to_that_of_train(session, fitted):
    fit = fitted["bwb_shrinkage"]["brainwide_forward"]
    mean = counts_of(session, TRAIN).mean((0, 1))

    def by_hand(split, share):
        local = counts_of(session, split)[:, : BINS - 2].mean(1)
        return np.broadcast_to(((1 - share) * mean + share * local)[:, None], (len(local), 2, UNITS))

    values = [d2(by_hand(VALIDATION, k / 10), counts_of(session, VALIDATION)[:, -2:]) for k in range(11)]
    assert fit.chosen["share"] == pytest.approx(np.argmax(values) / 10) and 0 < fit.chosen["share"] < 1
    np.testing.assert_allclose(fit.rates[TEST][:, -2:], by_hand(TEST, fit.chosen["share"]), rtol=1e-5)
    assert np.isnan(fit.rates[TEST][:, :-2]).all()


def test_ridge_ar_is_a_ridge_of_each_unit_on_its_last_bins(session, fitted):
    linear = pytest.importorskip("sklearn.linear_model")
    fit = fitted["bwb_ridge_ar"]["brainwide_forward"]
    past, penalty = round(fit.chosen["past_s"] / 0.02), fit.chosen["penalty"]
    assert past in (3, 5, 10, 18) and penalty in benchmark.AR_PENALTIES  # 20 and 45 bins are more than there are
    train, test = counts_of(session, TRAIN), counts_of(session, TEST)
    window = slice(BINS - 2 - past, BINS - 2)
    for unit in range(UNITS):
        ridge = linear.Ridge(alpha=penalty).fit(train[:, window, unit], train[:, -2:, unit])
        expected = np.maximum(ridge.predict(test[:, window, unit]), benchmark.LEAST_RATE)
        np.testing.assert_allclose(fit.rates[TEST][:, -2:, unit], expected, rtol=1e-4, atol=1e-6)


def test_pop_coupling_is_a_power_of_the_visible_population(session, fitted):
    fit = fitted["bwb_pop_coupling"]["brainwide_co_smoothing"]
    visible = np.setdiff1d(np.arange(UNITS), HELD_OUT)
    summed = counts_of(session, TEST)[..., visible].sum(-1)
    smooth = gaussian_filter1d(summed, fit.chosen["width_s"] / 0.02, axis=1, mode="nearest")
    trace = (smooth / smooth.mean(1, keepdims=True)) ** fit.chosen["power"]
    mean = counts_of(session, TRAIN).mean((0, 1))
    np.testing.assert_allclose(fit.rates[TEST][..., HELD_OUT], trace[..., None] * mean[HELD_OUT], rtol=1e-4)
    assert np.isnan(fit.rates[TEST][..., visible]).all()


def test_readout_rrr_projects_a_ridge_on_its_first_directions(session, fitted):
    linear = pytest.importorskip("sklearn.linear_model")
    fit = fitted["bwb_readout_rrr"]["brainwide_co_smoothing"]

    def by_hand(held_out, rank, penalty, split):
        visible = np.setdiff1d(np.arange(UNITS), held_out)
        rows = [counts_of(session, part).reshape(-1, UNITS) for part in (TRAIN, split)]
        ridge = linear.Ridge(alpha=penalty).fit(rows[0][:, visible], rows[0][:, held_out])
        fitted_train = ridge.predict(rows[0][:, visible]) - rows[0][:, held_out].mean(0)
        directions = np.linalg.svd(fitted_train, full_matrices=False)[2][:rank]
        mean = rows[0][:, held_out].mean(0)
        found = (ridge.predict(rows[1][:, visible]) - mean) @ directions.T @ directions + mean
        return np.maximum(found, benchmark.LEAST_RATE)

    expected = by_hand(HELD_OUT, fit.chosen["rank"], fit.chosen["penalty"], TEST)
    np.testing.assert_allclose(fit.rates[TEST][..., HELD_OUT].reshape(-1, 3), expected, rtol=1e-4, atol=1e-6)
    target = counts_of(session, VALIDATION).reshape(-1, UNITS)[:, FOR_VALIDATION]
    values = {
        (rank, penalty): d2(by_hand(FOR_VALIDATION, rank, penalty, VALIDATION), target)
        for penalty in benchmark.PENALTIES
        for rank in (1, 2, 3)
    }
    best = max(values, key=values.get)
    assert (fit.chosen["rank"], fit.chosen["penalty"]) == best


def test_what_is_hidden_reaches_no_prediction(session, fitted):
    rng, test = np.random.default_rng(1), session.trials_of(TEST)
    rows = (session.trial_start_bin[test][:, None] + np.arange(BINS)).ravel()
    for task, hidden in (("brainwide_forward", (slice(-2, None), slice(None))), ("brainwide_co_smoothing", None)):
        counts = session.counts.copy()
        trials = counts[rows].reshape(len(test), BINS, UNITS)
        if hidden is None:
            trials[..., HELD_OUT] = rng.integers(0, 9, trials[..., HELD_OUT].shape)
        else:
            trials[:, *hidden] = rng.integers(0, 9, trials[:, *hidden].shape)
        counts[rows] = trials.reshape(-1, UNITS)
        changed = baselines.fit_baselines(
            dataclasses.replace(session, counts=counts), benchmark.NAMES, protocol=BRAINWIDE
        )
        for name, found in changed.items():
            if task in found:
                np.testing.assert_array_equal(found[task].rates[TEST], fitted[name][task].rates[TEST])


def test_units_are_drawn_as_the_benchmark_draws_them_where_the_file_does_not_say(session):
    plain = dataclasses.replace(session, unit_metadata={COLUMN: session.unit_metadata[COLUMN]})
    found = baselines.fit_baselines(plain, ["bwb_readout_rrr"], protocol=BRAINWIDE)
    assert np.isfinite(found["bwb_readout_rrr"]["brainwide_co_smoothing"].rates[TEST][..., HELD_OUT]).all()
