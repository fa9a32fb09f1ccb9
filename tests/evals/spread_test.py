"""The spread of an ensemble: that of its members, and told to grow with errors only where it does."""

import copy

import jax
import numpy as np
import pytest

from neurojax import facts
from neurojax.data import batching
from neurojax.evals import activity, leaks, spread
from neurojax.report import spread_block
from neurojax.scores import bootstrap
from neurojax.train import sharding
from neurojax.train.predictor import Predictor
from tests.configs_for_tests import random_weights
from tests.evals.activity_test import MODEL, RECIPE, SESSION

K, T, N, BIN_S = 40, 25, 60, 0.02


@pytest.fixture(scope="module")
def members():
    """Three models of one session, one by one, and as an ensemble."""
    layout = batching.Layout.of([SESSION])
    table = facts.of_table(batching.session_table([SESSION]), 16, 0.02)
    each = [random_weights(MODEL, table, seed) for seed in range(3)]
    together = jax.tree.map(lambda *leaves: np.stack(leaves), *each)
    mesh = sharding.make_mesh(1, 1)
    alone = [Predictor(*weights, RECIPE, layout, 16, mesh) for weights in each]
    return alone, Predictor(*together, RECIPE._replace(members=3), layout, 16, mesh)


def test_rates_are_those_of_the_ensemble_and_the_spread_is_over_its_members(members):
    alone, ensemble = members
    options = {"trials_per_pass": 8}
    rates, apart = activity.predict_with_spread(ensemble, SESSION, **options)
    each = [activity.predict_session(one, SESSION, **options) for one in alone]
    together = activity.predict_session(ensemble, SESSION, **options)
    assert set(rates) == set(apart) == set(together)
    for task, expected in together.items():
        np.testing.assert_allclose(rates[task], expected, rtol=2e-5)
        found = np.std([one[task] for one in each], axis=0, ddof=1)
        np.testing.assert_allclose(apart[task], found, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(np.isfinite(apart[task]), np.isfinite(expected))
        assert np.nanmax(apart[task]) > 0.01


def test_one_model_has_no_spread_and_says_so(members):
    rates, apart = activity.predict_with_spread(members[0][0], SESSION, ["forward"], trials_per_pass=8)
    assert set(rates) == {"forward"} and apart is None
    block = spread.of_session(SESSION, rates, apart, seed=0, num_boot=10)
    assert block["spread"] is None and "--ensemble=K" in block["spread_reason"]
    evaluation = {"sessions": {"rat": block}}
    assert spread.line(evaluation) is None
    assert "None, one model" in "".join(spread_block.spread_table(evaluation))
    assert spread_block.spread_table({"sessions": {"rat": {}}}) == []  # a record from before


def test_leaks_are_looked_for_in_the_programs_that_make_the_scores(members):
    """Of an ensemble those of its members; that of their mean answers nothing that is scored."""
    ensemble = copy.copy(members[1])
    ensemble._outputs = None
    found = leaks.require_no_influence(ensemble, SESSION, seed=0, trials_per_pass=8)
    assert all(found.values())


def made(error_follows_spread):
    """Predictions of known error: rates from 2 to 50 Hz, half of the entries with a large spread."""
    rng = np.random.default_rng(3)
    truth = rng.uniform(2, 50, (1, 1, N)) * BIN_S * np.exp(0.3 * rng.standard_normal((K, T, 1)))
    large = rng.random((K, T, N)) < 0.5
    wrong = large if error_follows_spread else rng.random((K, T, N)) < 0.5
    rates = truth * np.exp(np.where(wrong, 0.4, 0.05) * rng.standard_normal((K, T, N)))
    apart = rates * np.where(large, 0.4, 0.05)
    rates[:, -1] = np.nan
    counts = rng.poisson(truth)
    return rates, apart, counts, truth, large


def test_errors_are_those_of_the_rates_without_the_truth_and_grow_where_members_are_apart():
    rates, apart, counts, truth, large = made(error_follows_spread=True)
    block = spread.of_task(rates, apart, counts, BIN_S, bootstrap.trial_weights(K, 200, seed=0))
    squares = ((rates - truth) / BIN_S) ** 2
    scored = np.isfinite(rates)
    # Half of the entries are in each half: the mean of both is that of all, 20 Hz^2 of noise aside.
    np.testing.assert_allclose(np.mean(block["error_hz2"]), squares[scored].mean(), atol=20)
    assert squares[scored & large].mean() > 50 * squares[scored & ~large].mean()
    assert block["error_difference_hz2"] == block["error_hz2"][1] - block["error_hz2"][0] > 60
    assert block["grows"] is True and block["error_difference_hz2_ci95"][0] > 0
    np.testing.assert_allclose(block["mean_hz"], apart[scored].mean() / BIN_S)
    np.testing.assert_allclose(block["share_of_rate"], apart[scored].sum() / rates[scored].sum())


def test_spread_that_only_follows_the_rate_or_nothing_is_not_told_as_informative():
    rates, apart, counts, _, _ = made(error_follows_spread=False)
    weights = bootstrap.trial_weights(K, 200, seed=0)
    assert spread.of_task(rates, apart, counts, BIN_S, weights)["grows"] is False
    low, high = spread.of_task(rates, 0.1 * rates, counts, BIN_S, weights)["error_hz2"]
    assert abs(high - low) < 0.2 * abs(high + low)  # not the tenfold of rates of 50 Hz over those of 2


def test_without_draws_nothing_is_said_of_growth():
    rates, apart, counts, _, _ = made(error_follows_spread=True)
    block = spread.of_task(rates, apart, counts, BIN_S, bootstrap.trial_weights(K, 0, seed=0))
    assert block["grows"] is None and block["error_difference_hz2_ci95"] is None
    assert np.isfinite(block["error_difference_hz2"])


def test_a_report_and_the_terminal_tell_the_means_over_sessions():
    def told(mean_hz, grows):
        return {
            "spread": {"forward": {"mean_hz": mean_hz, "share_of_rate": 0.25, "error_hz2": [1.0, 3.0], "grows": grows}}
        }

    evaluation = {"sessions": {"a": told(1.0, True), "b": told(2.0, False)}, "mean": {"forward": {}}}
    for session in evaluation["sessions"].values():
        session["tasks"] = {"forward": {}}
    assert spread.line(evaluation) == (
        "members are 1.5 Hz apart (25 % of the rate, forward); errors at equal rate grow with that in 1 of 2 sessions"
    )
    page = "".join(spread_block.spread_table(evaluation))
    for words in ("1.50", "25 %", "1.00", "3.00", "1 of 2"):
        assert words in page
