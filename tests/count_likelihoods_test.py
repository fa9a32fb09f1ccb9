"""Likelihoods of counts against SciPy, what they learn of data made from them, and rows of units in a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
from jax.flatten_util import ravel_pytree

from neurojax import heads
from neurojax.count_likelihoods import LIKELIHOODS, Moments, Natural
from neurojax.data.observed import intervals_of
from neurojax.data.session import TRAIN
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.objectives.interface import Query
from neurojax.scores import metrics
from neurojax.train import head_rows, predictor, run_folder, settings
from tests.configs_for_tests import first_state
from tests.configs_test import CONFIGS, load

RNG = np.random.default_rng(0)
SHAPE = (1, 3, 7, 5)  # [G, b, T, N]
LOG_MEAN = RNG.normal(0, 1.2, SHAPE)


def nll(name, drive, rows, counts):
    natural = Natural(np.float32(drive), {table: np.float32(row) for table, row in rows.items()}) if rows else drive
    return np.asarray(jax.jit(heads.named(name).nll)(natural, counts))


def of_units(values):
    return np.asarray(values)[None, None, None]


@pytest.mark.parametrize("table", ["log_dispersion", "session_log_dispersion"])
def test_negative_binomial_nats_are_scipys_without_the_constant(table):
    log_dispersion = of_units(np.log([1e-4, 0.02, 0.5, 3.0, 30.0]))
    counts = np.maximum(RNG.poisson(np.exp(LOG_MEAN)), RNG.integers(0, 40, SHAPE) * (RNG.random(SHAPE) < 0.3))
    size, mean = np.exp(-log_dispersion), np.exp(np.float32(LOG_MEAN).astype(np.float64))
    expected = -scipy.stats.nbinom.logpmf(counts, size, size / (size + mean)) - scipy.special.gammaln(counts + 1)
    name = "negative_binomial" if table == "log_dispersion" else "negative_binomial_shared"
    for given in (counts, counts.astype(np.uint8)):
        found = nll(name, LOG_MEAN, {table: log_dispersion}, given)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=4e-6)


def test_without_dispersion_the_negative_binomial_is_poissons_in_value_and_slope():
    counts, drive = RNG.poisson(3.0, SHAPE), jnp.float32(LOG_MEAN)

    def total(name, drive, log_dispersion):
        natural = drive if name == "poisson" else Natural(drive, {"log_dispersion": log_dispersion})
        return heads.named(name).nll(natural, counts).sum()

    value, slope = jax.value_and_grad(total, argnums=(1, 2))("negative_binomial", drive, jnp.full((1, 1, 1, 5), -30.0))
    expected, of_drive = jax.value_and_grad(total, argnums=1)("poisson", drive, None)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    np.testing.assert_allclose(slope[0], of_drive, rtol=1e-3, atol=1e-3)
    assert np.isfinite(slope[1]).all()


def test_binomial_nats_are_scipys_and_a_count_above_the_ceiling_reads_as_the_ceiling():
    ceiling, offset = of_units([1.0, 2, 5, 20, 60]), of_units([0.0, 0.3, -0.5, 2.0, 3.0])
    probability = scipy.special.expit(np.float32(LOG_MEAN) - offset)
    counts = RNG.binomial(ceiling.astype(int), probability)
    expected = -scipy.stats.binom.logpmf(counts, ceiling, probability) - scipy.special.gammaln(counts + 1)
    rows = {"ceiling": ceiling, "odds_offset": offset}
    np.testing.assert_allclose(nll("binomial", LOG_MEAN, rows, counts), expected, rtol=1e-5, atol=1e-5)
    above = nll("binomial", LOG_MEAN, rows, 0 * counts + 200)
    np.testing.assert_array_equal(above, nll("binomial", LOG_MEAN, rows, 0 * counts + ceiling.astype(int)))
    natural = Natural(np.float32(LOG_MEAN), {"ceiling": np.float32(ceiling), "odds_offset": np.float32(offset)})
    np.testing.assert_allclose(heads.named("binomial").mean(natural), ceiling * probability, rtol=1e-5)


def test_bernoulli_nats_are_of_a_spike_at_all_and_gaussian_ones_of_a_density():
    counts = RNG.poisson(np.exp(LOG_MEAN))
    any_spike = scipy.stats.poisson.sf(0, np.exp(LOG_MEAN))
    expected = -scipy.stats.bernoulli.logpmf(counts > 0, any_spike)
    np.testing.assert_allclose(nll("bernoulli", np.float32(LOG_MEAN), {}, counts), expected, rtol=1e-5, atol=1e-6)
    assert np.isfinite(nll("bernoulli", np.float32([-200.0]), {}, np.asarray([1]))).all()
    log_spread = of_units(np.log([0.1, 0.5, 1.0, 2.0, 7.0]))
    expected = -scipy.stats.norm.logpdf(counts, np.exp(LOG_MEAN), np.exp(log_spread))
    found = nll("gaussian_counts", LOG_MEAN, {"log_spread": log_spread}, counts)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def drawn(name, rng, means):
    """(counts [K, N], rows they were drawn with) of units with these means."""
    if name == "binomial":
        ceiling = np.asarray([3.0, 4, 5])
        return rng.binomial(ceiling.astype(int), means / ceiling, (6000, 3)), {"ceiling": ceiling}
    if name == "bernoulli":
        return rng.poisson(means, (6000, 3)), {}
    if name == "gaussian_counts":
        spread = np.asarray([0.5, 1.0, 2.0])
        return means + spread * rng.standard_normal((6000, 3)), {"log_spread": np.log(spread)}
    dispersion = np.full(3, 0.8) if "shared" in name else np.asarray([0.2, 0.8, 2.0])
    gain = rng.gamma(1 / dispersion, dispersion, (6000, 3))
    table = "session_log_dispersion" if "shared" in name else "log_dispersion"
    return rng.poisson(means * gain), {table: np.log(dispersion[:1] if "shared" in name else dispersion)}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_likelihood_recovers_its_own_parameters_from_data_made_of_it(name):
    rng, means = np.random.default_rng(1), np.asarray([0.4, 1.0, 2.0])
    counts, expected = drawn(name, rng, means)
    at_start = Moments(counts.mean(0), counts.var(0), counts.max(0))
    rows = {table: jnp.atleast_1d(jnp.float32(row.start(at_start))) for table, row in LIKELIHOODS[name].rows.items()}
    head, start = heads.named(name), (jnp.log(jnp.float32(means[::-1].copy())), rows)
    flat, unflat = ravel_pytree(start)

    @jax.jit
    def loss(flat):
        drive, rows = unflat(flat)
        shown = {table: row[None] for table, row in rows.items()}
        drives = jnp.broadcast_to(drive[None], counts.shape)
        return head.nll(Natural(drives, shown) if rows else drives, jnp.float32(counts)).mean()

    slope = jax.jit(jax.grad(loss))
    best = scipy.optimize.minimize(loss, flat, jac=slope, method="BFGS", options={"gtol": 1e-4}).x
    drive, found = unflat(jnp.float32(best))
    mean = head.mean(Natural(drive[None], {table: row[None] for table, row in found.items()}) if found else drive[None])
    np.testing.assert_allclose(np.asarray(mean)[0], means, rtol=0.08)
    for table, values in expected.items():
        np.testing.assert_allclose(np.asarray(found[table]), values, atol=0.15, err_msg=table)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_at_the_drive_a_model_starts_from_the_mean_is_the_training_mean_even_of_units_that_were_silent(name):
    mean = np.asarray([0.001, 0.3, 1.0, 2.5, 3.0])  # silent in training; always at its ceiling
    moments = Moments(mean, np.asarray([0.0, 0.4, 0.9, 5.0, 0.0]), np.asarray([0.0, 3, 1, 9, 3]))
    rows = {table: of_units(row.start(moments)) for table, row in LIKELIHOODS[name].rows.items()}
    rows = {table: np.float32(row if row.ndim == 4 else row[..., None]) for table, row in rows.items()}
    drive = np.broadcast_to(np.float32(np.log(mean)), SHAPE)
    natural, head = Natural(drive, rows) if rows else drive, heads.named(name)
    np.testing.assert_allclose(head.mean(natural), np.broadcast_to(mean, SHAPE), rtol=2e-3)
    counts = RNG.poisson(mean, SHAPE)
    value, slope = jax.value_and_grad(lambda natural: head.nll(natural, jnp.asarray(counts)).sum())(natural)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, slope)))


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_scores_are_bits_of_the_mean_under_poisson_and_the_own_nats(name):
    counts, asked = RNG.poisson(0.8, SHAPE), RNG.random(SHAPE) < 0.7
    moments = Moments(np.full(5, 0.8), np.full(5, 1.0), np.full(5, 6.0))
    rows = {table: np.float32(of_units(np.atleast_1d(r.start(moments)))) for table, r in LIKELIHOODS[name].rows.items()}
    head, null = heads.named(name), np.full((1, 5), 0.7, np.float32)
    natural = Natural(np.float32(LOG_MEAN), rows) if rows else np.float32(LOG_MEAN)
    found = head.scores([jax.device_get(jax.jit(head.sums)(natural, counts, asked, null))])
    rates = np.asarray(head.mean(natural))[0]
    expected = metrics.poisson_scores(metrics.poisson_sums(rates, counts[0], null[0], asked[0]))
    np.testing.assert_allclose(found["bps_pooled"], expected["bps_pooled_train_null"], rtol=1e-4)
    np.testing.assert_allclose(found["nats"], np.asarray(head.nll(natural, counts))[asked].mean(), rtol=1e-5)
    nothing = head.scores([jax.device_get(head.sums(natural, 0 * counts, asked & False, null))])
    assert nothing == {}


def test_samples_of_one_model_average_to_the_mean_of_their_means():
    several = RNG.normal(size=(4, *SHAPE)).astype(np.float32)
    ceiling, offset = np.float32(of_units([1.0, 2, 5, 20, 60])), np.float32(of_units(np.zeros(5)))
    for name, rows in (("binomial", {"ceiling": ceiling, "odds_offset": offset}), ("bernoulli", {})):
        repeated = {table: np.stack([row] * 4) for table, row in rows.items()}
        head, natural = heads.named(name), Natural(several, repeated) if rows else several
        means = np.stack([head.mean(Natural(one, rows) if rows else one) for one in several])
        np.testing.assert_allclose(head.mean(head.averaged(natural)), means.mean(0), rtol=1e-4)


def test_what_is_drawn_has_the_mean_and_the_variance_of_the_likelihood():
    mean, number = np.asarray([0.3, 1.0, 2.5]), 4000
    rows = {
        "negative_binomial": (
            {"log_dispersion": np.log([0.5, 1.0, 2.0])},
            mean + np.asarray([0.5, 1.0, 2.0]) * mean**2,
        ),
        "binomial": (
            {"ceiling": np.asarray([1.0, 4, 5]), "odds_offset": np.log([0.7, 3, 2.5])},
            mean * [0.7, 0.75, 0.5],
        ),
        "bernoulli": ({}, mean),
    }
    for name, (of_rows, variance) in rows.items():
        shown = {table: np.float32(row)[None] for table, row in of_rows.items()}
        drive = np.broadcast_to(np.float32(np.log(mean)), (number, 3))
        drawn = np.asarray(heads.named(name).sample(jax.random.key(0), Natural(drive, shown) if shown else drive))
        assert drawn.dtype == np.float32 and (drawn == drawn.round()).all()
        np.testing.assert_allclose(drawn.mean(0), mean, rtol=0.12, err_msg=name)
        np.testing.assert_allclose(drawn.var(0), variance, rtol=0.2, err_msg=name)


def test_moments_read_what_was_observed_in_training_trials_alone():
    counts = RNG.poisson(1.0, (6, 4, 3))
    split = np.asarray([TRAIN, TRAIN, TRAIN, 1, 2, 2])
    counts[4], counts[0, 0, 0] = 100, 50
    seen = np.ones(counts.shape, bool)
    seen[0, 0, 0] = False
    plain = from_counts(counts, bin_size_s=0.02, session_id="day", split=split, trial_start_s=np.arange(6.0))
    found = head_rows.moments(plain.with_fields(validity=intervals_of(seen.reshape(-1, 3))))
    kept = np.where(seen, counts, 0)[:3].reshape(-1, 3)
    assert found.most.tolist() == kept.max(0).tolist() and found.most[0] < 50
    unit = kept[1:, 0]
    np.testing.assert_allclose([found.mean[0], found.variance[0]], [(unit.sum() + 1) / 12, unit.var()], rtol=1e-6)


def tiny(head):
    declared = load(next(path for path in CONFIGS if path.stem == "mtm"), "improved")
    return declared | {"head": {"name": head}}


def test_rows_of_a_head_stand_beside_the_models_and_one_unit_is_asked_with_its_own():
    declared = tiny("binomial")
    sessions = run_folder.load_data(declared).sessions
    recipe, source = settings.recipe(declared), settings.open_source(declared, sessions)
    fitted = recipe.model.module.fitted_rows(recipe.model.config, sessions, source.facts)
    assert fitted["ceiling"].shape == fitted["odds_offset"].shape == source.facts.mean_counts.shape
    in_training, _ = sessions[0].gather_trials(sessions[0].trials_of(TRAIN))
    expected = np.maximum(in_training.max((0, 1)), 1)
    np.testing.assert_array_equal(fitted["ceiling"][: len(expected)], expected)
    state = first_state(recipe, source)
    tables = state.tables | {"ceiling": fitted["ceiling"], "odds_offset": fitted["odds_offset"]}
    asked = predictor.Recipe(recipe.model, recipe.objective, recipe.head)
    model = predictor.Predictor(state.params, tables, asked, source.layout, declared["data"]["bucket_units"])
    batch = source.validation_batches()[0]
    trials, units = batch.trials["trial_id"].shape, batch.groups["unit_valid"].shape[-1]
    hidden = np.zeros((*trials, units), bool)
    hidden[..., 2] = True
    query = Query(hidden, np.zeros(batch.trials["bin_valid"].shape, bool), np.zeros(trials, np.int32))
    whole = np.asarray(model.log_rates(batch, query))[0, ..., 2]
    one = np.asarray(model.log_rates_of_unit(batch, query, np.full(trials[1], 2, np.int32)))
    np.testing.assert_allclose(one, whole, rtol=1e-4, atol=1e-5)
    rows = model.rows_of_head(sessions[1].session_id)
    first = sessions[0].num_units
    np.testing.assert_array_equal(rows["ceiling"], fitted["ceiling"][first : first + sessions[1].num_units])


def test_adapters_and_heads_with_rows_are_refused_together():
    declared = tiny("negative_binomial")
    declared["model"] = declared["model"] | {"lora": {"layers": "query", "rank": 1, "scale": 1.0}}
    with pytest.raises(InputError, match="lora has no place for the parameters of head.name=negative_binomial"):
        settings.recipe(declared)


def test_no_decay_shrinks_what_a_head_keeps_of_its_units():
    for head in ("binomial", "negative_binomial", "negative_binomial_shared", "gaussian_counts"):
        model = settings.recipe(tiny(head)).model
        specs = model.module.tables(model.config)
        assert {specs[name].decays for name in heads.named(head).rows} == {None}
        assert specs["read_in"].decays is not None


def test_distillation_goes_with_heads_whose_nats_are_linear_in_the_target():
    for head in ("binomial", "bernoulli"):
        declared = tiny(head)
        declared["objective"] = declared["objective"] | {"name": "distil", "teacher_share": 0.5, "free_share": 0.5}
        with pytest.raises(InputError, match=f"distil does not go with head.name={head}; take head.name=poisson or g"):
            settings.recipe(declared)
    settings.recipe(declared | {"head": {"name": "poisson"}})
