"""Whole distributions of counts: the truth is flat and preferred, a ceiling is one outcome, nats are the head's own."""

import json
import types

import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats

from neurojax import heads
from neurojax.count_likelihoods import Natural
from neurojax.data.session import TEST, VALIDATION
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals import likelihoods
from neurojax.evals.likelihoods import FAMILIES, judged, of_task
from neurojax.report import likelihood_block
from neurojax.scores import bootstrap

K, T, N = 40, 25, 6
RNG = np.random.default_rng(0)
RATES = np.exp(RNG.normal(-0.5, 0.8, (K, T, N)))
DISPERSION = np.asarray([0.05, 0.3, 0.6, 1.0, 1.5, 3.0])
BURSTY = RNG.poisson(RATES * RNG.gamma(1 / DISPERSION, DISPERSION, RATES.shape))
ROWS = {
    "poisson": {},
    "negative_binomial": {"log_dispersion": np.log(DISPERSION)},
    "negative_binomial_shared": {"session_log_dispersion": np.log(0.7)},
    "binomial": {"ceiling": np.asarray([3.0, 4, 5, 6, 7, 8]), "odds_offset": np.linspace(-1, 1, N)},
    "bernoulli": {},
    "gaussian_counts": {"log_spread": np.log([0.3, 0.5, 0.8, 1.0, 2.0, 3.0])},
}
WEIGHTS = bootstrap.trial_weights(K, 100, seed=0)


def test_every_head_of_counts_has_its_distribution_here_and_no_other_head_passes():
    counts = {name for name, head in heads.HEADS.items() if name not in ("categorical", "gaussian", "pulses")}
    assert set(FAMILIES) == counts == set(ROWS)
    with pytest.raises(InputError, match="head.name=gaussian: bits per spike need head.name=poisson, or one of neg"):
        likelihoods.require_counts("gaussian")


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "gaussian_counts"])
def test_log_likelihoods_are_the_nats_a_head_is_trained_with_and_the_constant(name):
    head, rows = heads.named(name), {table: np.float32(row) for table, row in ROWS[name].items()}
    shown = {table: np.reshape(row, (1, 1, -1)) for table, row in rows.items()}
    natural = Natural(np.float32(np.log(RATES)), shown) if rows else np.float32(np.log(RATES))
    counts = BURSTY if name != "binomial" else np.minimum(BURSTY, rows["ceiling"] - 1)
    nats = np.asarray(jax.jit(head.nll)(natural, counts), np.float64)
    constant = np.where(name == "bernoulli", 0.0, scipy.special.gammaln(counts + 1))
    found = of_task(name, ROWS[name], np.asarray(head.mean(natural)), counts, WEIGHTS)
    np.testing.assert_allclose(found["trials"]["nats"], -(nats + constant).sum((1, 2)), rtol=1e-5)


def test_a_rounded_gaussian_is_a_distribution_of_counts_whose_far_tail_keeps_its_digits():
    made = likelihoods.RoundedGaussian(np.float64(2.3), np.float64(1.4))
    counts = np.arange(40)
    mass = np.exp(made.logpmf(counts))
    np.testing.assert_allclose(np.cumsum(mass), made.cdf(counts), atol=1e-12)
    np.testing.assert_allclose(mass.sum(), 1.0, atol=1e-12)
    expected = scipy.stats.norm.logpdf(50, 2.3, 1.4)  # a bin of one spike, 34 spreads out: near its inner edge
    assert expected < made.logpmf(np.int64(50)) < expected + 12


def test_the_likelihood_that_made_the_counts_is_flat_and_above_poisson_which_is_not():
    found = of_task("negative_binomial", ROWS["negative_binomial"], RATES, BURSTY, WEIGHTS)
    assert sum(found["pit"]) == pytest.approx(1, abs=1e-3)
    assert np.abs(np.asarray(found["pit"]) - 0.1).max() < 0.01 < found["poisson_pit"][-1] - 0.1
    low, high = found["over_poisson_ci95"]
    assert 0 < low < found["over_poisson"] < high and found["at_ceiling"] == 0
    assert found["nats_per_entry"] > found["poisson_nats_per_entry"]
    poisson = RNG.poisson(RATES)
    flat = of_task("poisson", {}, RATES, poisson, WEIGHTS)
    assert np.abs(np.asarray(flat["pit"]) - 0.1).max() < 0.01 and "over_poisson" not in flat
    worse = of_task("negative_binomial", ROWS["negative_binomial"], RATES, poisson, WEIGHTS)
    assert worse["over_poisson_ci95"][1] < 0
    json.dumps([found, flat, worse], allow_nan=False)


def test_at_a_ceiling_both_are_asked_for_that_many_or_more():
    counts = np.asarray([0, 1, 2, 9])
    dist = scipy.stats.poisson(np.full(4, 1.5))
    found = judged(dist, counts, 2)
    expected = dist.logpmf([0, 1, 0, 0])[:2].sum() + 2 * np.log(scipy.stats.poisson.sf(1, 1.5))
    assert found.log_likelihood == pytest.approx(expected, rel=1e-12)
    assert found.pit.sum() == pytest.approx(4)
    as_bernoulli = of_task("bernoulli", {}, RATES, BURSTY, WEIGHTS)
    assert as_bernoulli["over_poisson"] == 0 and as_bernoulli["at_ceiling"] == pytest.approx((BURSTY > 0).mean())


def test_entries_that_are_not_scored_do_not_matter():
    hidden = RNG.random(RATES.shape) < 0.4
    for name in ("negative_binomial", "binomial"):
        one = of_task(name, ROWS[name], np.where(hidden, np.nan, RATES), BURSTY, WEIGHTS)
        two = of_task(name, ROWS[name], np.where(hidden, np.nan, RATES), np.where(hidden, 7, BURSTY), WEIGHTS)
        assert one == two and one["entries"] == (~hidden).sum()


def evaluated(counts):
    """A record of two sessions, of a negative binomial head."""
    rows = ROWS["negative_binomial"]
    block = of_task("negative_binomial", rows, RATES, counts, WEIGHTS)
    blocks = {"task": "co_smoothing", "test": block, "validation": block}
    return {"sessions": {"a": {"likelihood": blocks}, "b": {"likelihood": blocks}}}


def test_validation_trials_choose_and_the_report_says_what():
    bursty, plain = evaluated(BURSTY), evaluated(RNG.poisson(RATES))
    assert likelihoods.chosen(bursty)["head"] == "negative_binomial"
    assert likelihoods.chosen(plain)["head"] == "poisson"
    assert likelihoods.chosen({"sessions": {"a": {"likelihood": {"test": {}}}, "b": {}}}) is None
    assert likelihoods.line(plain).endswith("chosen: poisson") and likelihoods.line({"sessions": {"a": {}}}) == ""
    (folded,) = likelihood_block.likelihood_table(bursty)
    assert folded.count("<tr") == 5 and "chosen: negative_binomial" in folded
    assert likelihood_block.likelihood_table({"sessions": {"a": {}}}) == []


def test_the_figure_holds_the_shares_of_all_entries_together():
    pytest.importorskip("matplotlib")
    from neurojax.report.figures import likelihood, style

    tests = [
        {"head": "poisson", "entries": n, "pit": pit} for n, pit in ((100, [0.2] * 5 + [0.0] * 5), (300, [0.1] * 10))
    ]
    record = {"sessions": {str(n): {"likelihood": {"task": "forward", "test": one}} for n, one in enumerate(tests)}}
    axes = likelihood.pit_histogram(style.new_figure(4, 3)[1][0, 0], record)
    (steps,) = axes.patches
    np.testing.assert_allclose(steps.get_data().values, [1.25] * 5 + [0.75] * 5)
    assert likelihood.pit_histogram(axes, {"sessions": {"a": {}}}) is None


def test_validation_trials_of_which_nothing_is_scored_have_no_block():
    model = types.SimpleNamespace(
        recipe=types.SimpleNamespace(head="negative_binomial"), rows_of_head=lambda name: ROWS["negative_binomial"]
    )
    split = np.repeat([TEST, VALIDATION], [3, 2])
    session = from_counts(BURSTY[:5], bin_size_s=0.02, session_id="day", split=split)
    for scored, names in ((False, {"task", "test"}), (True, {"task", "test", "validation"})):
        rates = np.where(scored, RATES[3:5], np.nan)
        asked = (model, session, {"forward": RATES[:3]}, lambda task, rates=rates: rates)
        found = likelihoods.of_session(*asked, {"num_boot": 10, "seed": 0})
        assert set(found["likelihood"]) == names


def test_a_session_without_an_activity_task_has_no_block():
    model = types.SimpleNamespace(recipe=types.SimpleNamespace(head="poisson"))
    assert likelihoods.of_session(model, None, {}, None, {}) == {}
