"""What the bound hides, what it scores, and how its parts add up."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import heads
from neurojax.batch import Batch
from neurojax.errors import InputError
from neurojax.models.interface import Outputs, Weights
from neurojax.objectives import elbo, interface
from neurojax.schemes import CAUSAL, INTER_REGION, INTRA_REGION, NEURON, PROMPTS

G, B, T = 2, 64, 20
REGIONS = np.asarray([[0] * 12 + [1] * 5 + [2] + [-1] * 2, [3] * 4 + [4] * 10 + [-1] * 6], np.int32)
N = REGIONS.shape[1]
SHORT = 15  # bins of the first trial of each group
CONFIG = elbo.Config(
    kl_start_step=10,
    kl_stop_step=20,
    kl_weight=0.5,
    recurrent_l2=0.0,
    coordinated_dropout=0.25,
    units_share=0.2,
    regions_share=0.4,
    last_bins_share=0.2,
    units_ratio=0.3,
    last_bins_ratio=0.2,
)
HEAD = heads.named("poisson")


def make_batch(region_id=REGIONS) -> Batch:
    unit_valid = np.ones((G, N), bool)
    unit_valid[1, 16:] = False  # the second session has 16 units
    bin_valid = np.ones((G, B, T), bool)
    bin_valid[:, 0, SHORT:] = False
    valid = bin_valid[..., None] & unit_valid[:, None, None]
    counts = np.random.default_rng(0).poisson(1.0, valid.shape)
    return Batch(
        trials={
            "counts": np.where(valid, counts, 0).astype(np.uint8),
            "bin_valid": bin_valid,
            "trial_id": np.zeros((G, B), np.int32),
        },
        groups={
            "unit_valid": unit_valid,
            "region_id": np.where(unit_valid, region_id, -1),
            "unit_row": np.zeros((G, N), np.int32),
            "session_row": np.zeros(G, np.int32),
        },
    )


@functools.partial(jax.jit, static_argnames="config")
def draw(batch, config=CONFIG, seed=0):
    return elbo.draw(jax.random.key(seed), batch, 0, config)


@jax.jit
def validation_query(batch, number):
    return elbo.validation_query(jax.random.key(0), batch, number, CONFIG)


def entries_valid(batch) -> np.ndarray:
    return batch.trials["bin_valid"][..., None] & batch.groups["unit_valid"][:, None, None]


def test_trials_hide_what_their_kind_says():
    batch = make_batch()
    query = jax.tree.map(np.asarray, draw(batch))
    kinds = query.scheme
    shares = [np.mean(kinds == kind) for kind in range(5)]
    np.testing.assert_allclose(shares, [0.2] * 5, atol=0.12)
    for group, trial in np.ndindex(G, B):
        units, bins = query.hidden_units[group, trial], query.hidden_bins[group, trial]
        valid, regions = batch.groups["unit_valid"][group], batch.groups["region_id"][group]
        assert not np.any(units & ~valid)
        kind = kinds[group, trial]
        hidden_regions = [r for r in set(regions[valid]) - {-1} if units[regions == r].all()]
        if kind == INTER_REGION:
            assert len(hidden_regions) == 1
            np.testing.assert_array_equal(units, regions == hidden_regions[0])
        elif kind == INTRA_REGION:  # all but one region, and some of that one
            shown = set(regions[~units & valid])
            assert len(shown - {-1}) <= 1 and -1 not in shown
        elif kind == CAUSAL:
            length = SHORT if trial == 0 else T
            np.testing.assert_array_equal(np.flatnonzero(bins), np.arange(length * 4 // 5, length))
        if kind in (CAUSAL, len(PROMPTS)):
            assert not units.any()
        if kind != CAUSAL:
            assert not bins.any()
    np.testing.assert_allclose(query.hidden_units[0][kinds[0] == NEURON].mean(), 0.3, atol=0.1)
    np.testing.assert_allclose(query.dropped.mean(), 0.25, atol=0.01)


def test_region_trials_hide_units_where_no_region_is_known():
    query = draw(make_batch(np.full_like(REGIONS, -1)))
    assert set(np.unique(query.scheme)) == {NEURON, CAUSAL, len(PROMPTS)}


def test_without_dropout_no_entry_is_dropped_and_unhidden_trials_are_scored_whole():
    batch = make_batch()
    config = dataclasses.replace(CONFIG, coordinated_dropout=0.0)
    query = draw(batch, config)
    assert query.dropped is None
    asked = np.asarray(elbo.asked(query, batch))
    whole = np.asarray(query.scheme) == len(PROMPTS)
    assert whole.any()
    np.testing.assert_array_equal(asked[whole], entries_valid(batch)[whole])
    hidden = ~np.asarray(query.visible()) & entries_valid(batch)
    np.testing.assert_array_equal(asked[~whole], hidden[~whole])


def test_inputs_are_zero_where_hidden_and_keep_their_mean_elsewhere():
    batch = make_batch()
    query = draw(batch)
    counts = np.asarray(elbo.inputs(batch, query, CONFIG).counts)
    hidden = ~np.asarray(query.visible()) | np.asarray(query.dropped)
    assert hidden.any() and not counts[hidden].any()
    np.testing.assert_allclose(counts[~hidden], batch.trials["counts"][~hidden] / 0.75, rtol=1e-6)


def test_an_evaluation_query_goes_through_the_same_inputs_unscaled():
    batch = make_batch()
    hidden_units = np.zeros((G, B, N), bool)
    hidden_units[..., 3] = True
    hidden_bins, scheme = np.zeros((G, B, T), bool), np.zeros((G, B), np.int32)
    left_out = np.full((G, B), 3, np.int32)
    query = interface.Query(hidden_units, hidden_bins, scheme, left_out=left_out)
    inputs = elbo.inputs(batch, query, CONFIG)
    expected = batch.trials["counts"].astype(np.float32)
    expected[..., 3] = 0
    np.testing.assert_array_equal(inputs.counts, expected)
    assert inputs.left_out is left_out


@pytest.mark.parametrize("number", range(len(PROMPTS)))
def test_validation_asks_about_what_it_hides(number):
    batch = make_batch()
    query = validation_query(batch, number)
    asked, hidden = np.asarray(elbo.asked(query, batch)), ~np.asarray(query.visible())
    assert np.all(np.asarray(query.scheme) == number) and query.dropped is None
    assert asked.any() and not np.any(asked & ~hidden)
    unasked = np.any(hidden & entries_valid(batch) & ~asked)
    assert unasked == (number == INTRA_REGION)  # other regions are hidden and not asked about


def test_the_ramp_rises_from_its_start_to_its_stop():
    weights = [float(elbo.kl_ramp(step, CONFIG)) for step in (0, 10, 15, 20, 1000)]
    np.testing.assert_allclose(weights, [0, 0, 0.25, 0.5, 0.5])
    at_once = dataclasses.replace(CONFIG, kl_start_step=0, kl_stop_step=0)
    assert float(elbo.kl_ramp(0, at_once)) == 0.5


LOG_RATES = np.random.default_rng(1).normal(0, 0.5, (G, B, T, N)).astype(np.float32)
COSTS = np.random.default_rng(2).uniform(1, 3, (2, G, B)).astype(np.float32)


def a_model(natural, costs):
    """A model whose outputs are fixed."""

    def apply(weights, inputs, *, key):
        extras = {"kl_initial_state": costs[0], "kl_inputs": costs[1]}
        return Outputs(natural, extras=extras, buffers={"kept": key})

    return apply


@functools.partial(jax.jit, static_argnames="config")
def loss_of(batch, query, natural=LOG_RATES, costs=COSTS, step=15, config=CONFIG, params=None):
    weights = Weights(params, {})
    return elbo.loss(a_model(natural, costs), HEAD, weights, batch, query, step, 7, config)


def test_the_loss_is_the_mean_of_what_is_scored_and_the_ramped_divergences():
    batch = make_batch()
    query = draw(batch)
    sums = loss_of(batch, query)
    asked, valid = np.asarray(elbo.asked(query, batch)), entries_valid(batch)
    nll = np.exp(LOG_RATES) - batch.trials["counts"] * LOG_RATES
    ramped = 0.25 * COSTS.sum(0)  # halfway between start and stop, of a weight of a half
    numerator = sum(nll[at][asked[at]].mean() * valid[at].sum() for at in np.ndindex(G, B))
    numerator += ramped.sum()
    np.testing.assert_allclose(sums.numerator, numerator, rtol=1e-5)
    np.testing.assert_allclose(sums.loss(), numerator / valid.sum(), rtol=1e-5)
    np.testing.assert_allclose(sums.metrics["nll_sum"], nll[asked].sum(), rtol=1e-5)
    np.testing.assert_allclose(sums.metrics["kl_inputs"], COSTS[1].sum(), rtol=1e-5)
    assert sums.metrics["entries"] == asked.sum() and sums.metrics["trials"] == G * B
    assert sums.buffers == {"kept": 7}


def test_only_hidden_entries_have_a_gradient():
    batch = make_batch()
    query = draw(batch)
    gradient = np.asarray(jax.jit(jax.grad(lambda z: loss_of(batch, query, z).loss()))(LOG_RATES))
    hidden = ~np.asarray(query.visible()) | np.asarray(query.dropped)
    scored = hidden & entries_valid(batch)
    assert np.all(gradient[~scored] == 0) and np.all(gradient[scored] != 0)


def test_padded_trials_and_parts_of_a_batch_add_up():
    batch = make_batch()
    query = draw(batch)
    whole = loss_of(batch, query)

    def part(trials):
        of_trials = lambda leaf: leaf[:, trials]  # noqa: E731
        half = batch._replace(trials=jax.tree.map(of_trials, batch.trials))
        outputs = LOG_RATES[:, trials], COSTS[:, :, trials]
        return loss_of(half, jax.tree.map(of_trials, query), *outputs)

    parts = [part(slice(0, 20)), part(slice(20, B))]
    for name in ("numerator", "weight"):
        total = sum(getattr(sums, name) for sums in parts)
        np.testing.assert_allclose(total, getattr(whole, name), rtol=1e-5)

    bin_valid = batch.trials["bin_valid"].copy()
    bin_valid[:, 20:] = False  # padding of an evaluation pass
    padded = loss_of(batch.with_trials(bin_valid=bin_valid), query)
    np.testing.assert_allclose(padded.numerator, parts[0].numerator, rtol=1e-5)
    assert padded.metrics["trials"] == 20 * G
    np.testing.assert_allclose(padded.metrics["kl_inputs"], COSTS[1, :, :20].sum(), rtol=1e-5)


def test_recurrent_kernels_alone_are_penalised_per_entry():
    batch = make_batch()
    query = draw(batch)
    kernels = {"recurrent": {"kernel": jnp.full((2, 3), 2.0)}, "input": {"kernel": jnp.ones(9)}}
    params = {"cell": kernels}
    config = dataclasses.replace(CONFIG, recurrent_l2=0.1)
    plain, penalised = (loss_of(batch, query, config=c, params=params) for c in (CONFIG, config))
    np.testing.assert_allclose(penalised.loss() - plain.loss(), 0.1 * 6 * 4.0, rtol=1e-4)


def test_a_model_that_infers_nothing_is_refused_in_one_line():
    batch = make_batch()

    def apply(weights, inputs, *, key):
        return Outputs(LOG_RATES)

    with pytest.raises(InputError, match="choose model.name=lfads") as raised:
        elbo.loss(apply, HEAD, Weights({}, {}), batch, draw(batch), 0, 0, CONFIG)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        {"kl_start_step": 30},
        {"kl_weight": -1.0},
        {"coordinated_dropout": 1.0},
        {"units_ratio": 0.0},
        {"units_share": 0.5},
    ],
)
def test_a_config_without_sense_is_refused(change):
    with pytest.raises(InputError, match="^objective"):
        dataclasses.replace(CONFIG, **change)
