"""Models that read bins otherwise, as patches, events or by recurrences: nothing leaks, order means nothing."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import schemes
from neurojax.errors import InputError
from neurojax.models import attention, ndt2, poyo, roots
from neurojax.models.interface import Weights, gather_rows
from neurojax.objectives import mtm
from neurojax.schemes import CAUSAL, NEURON
from neurojax.train import state
from neurojax.train.step import Model
from tests import configs_for_tests
from tests.configs_for_tests import mtm_config
from tests.models.ndt_test import FACTS, B, G, N, T, make_batch, nothing_hidden, query_for, random_read_out

SIZES = dict(read_in_width=6, width=8, num_heads=2, num_layers=1, mlp_width=8)
CHANGES = {
    "ndt2": dict(patch_units=4, embed_width=7),
    "decoder": dict(patch_units=4, decoder_layers=1, linear_beside=False),
    "stndt": dict(embed_width=7, space_layers=2),
    "poyo": dict(event_share=1.0, latents_per_step=2),
    "possm": dict(event_share=1.0, latents_per_step=2, state_width=3),
    "ssm": dict(state_width=3, embed_width=7),
}
MODELS = pytest.mark.parametrize("name", CHANGES)
BOUNDED = {"latent_bins": 2, "event_share": 0.2}  # 4 of the 20 entries of a step


@functools.cache
def model_of(name) -> Model:
    sizes = {entry: value for entry, value in SIZES.items() if name != "ssm" or entry != "num_heads"}
    config = configs_for_tests.tokens_config("ndt2" if name == "decoder" else name, **sizes | CHANGES[name])
    return configs_for_tests.model_of(config)


@functools.cache
def weights_of(name):
    """(params, tables) away from their initial zeros; each unit in the patch it belongs to."""
    rng, shapes = np.random.default_rng(0), state.abstract_weights(model_of(name), FACTS)
    params, tables = jax.tree.map(lambda leaf: (0.4 * rng.standard_normal(leaf.shape)).astype(np.float32), shapes)
    if "patch" in tables:
        tables["patch"] = np.asarray(ndt2.tables(model_of(name).config)["patch"].init(None, FACTS))
    return params, tables


@functools.cache
def probe(name):
    """(batch, query, params, tables, read) -> log-rates, states, gradient of sum(read * log-rates) to the counts."""
    model = model_of(name)

    @jax.jit
    def found(batch, query, params, tables, read):
        def total(counts):
            inputs = mtm.inputs(batch.with_trials(counts=counts), query, mtm_config())
            weights = Weights(params, gather_rows(tables, model.module.tables(model.config), batch))
            outputs = model.module.apply(weights, inputs, model.config, train=False)
            return jnp.sum(read * outputs.natural), outputs

        gradient, outputs = jax.grad(total, has_aux=True)(batch.trials["counts"])
        return outputs.natural, outputs.states, gradient

    return found


@MODELS
def test_hidden_counts_reach_nothing_under_any_scheme(name):
    """Neither by a slope nor by any jump: a patch of hidden units, an event that is dropped or moves another."""
    batch, other = make_batch(), np.random.default_rng(8).poisson(2.0, (G, B, T, N)).astype(np.float32)
    for scheme in schemes.SCHEMES:
        query = query_for(batch, scheme)
        visible = np.asarray(query.visible())
        log_rates, states, gradient = probe(name)(batch, query, *weights_of(name), random_read_out())
        assert not visible.all() and np.isfinite(log_rates).all()
        assert np.all(np.asarray(gradient)[~visible] == 0)
        counts = batch.trials["counts"]
        # a silent entry is no event, so that nothing has a slope there
        assert np.mean(np.asarray(gradient)[visible & (counts > 0)] != 0) > 0.9
        changed = batch.with_trials(counts=np.where(visible, counts, other))
        again = probe(name)(changed, query, *weights_of(name), random_read_out())
        np.testing.assert_array_equal(again[0], log_rates)
        np.testing.assert_array_equal(again[1], states)


@MODELS
def test_under_the_causal_scheme_no_bin_reads_a_later_one(name):
    batch, other = make_batch(), np.random.default_rng(8).poisson(2.0, (G, B, T, N)).astype(np.float32)
    for scheme in (CAUSAL, NEURON):
        whole, _, _ = probe(name)(batch, nothing_hidden(scheme), *weights_of(name), random_read_out())
        for last in (2, 3):  # in the middle of a step of latents, and at its end
            later = (np.arange(T) > last)[:, None]
            changed = batch.with_trials(counts=np.where(later, other, batch.trials["counts"]))
            read = np.where(later, 0, random_read_out())
            found, _, gradient = probe(name)(changed, nothing_hidden(scheme), *weights_of(name), read)
            equal = np.array_equal(found[:, :, : last + 1], whole[:, :, : last + 1])
            assert equal == (scheme == CAUSAL)
            assert np.any(np.asarray(gradient)[:, :, last + 1 :]) == (scheme != CAUSAL)
            assert np.any(np.asarray(gradient)[:, :, : last + 1], axis=(0, 1, 3)).all() or name == "poyo"


def test_under_the_causal_scheme_patches_of_one_bin_see_each_other():
    first_unit = np.zeros((G, B, T, N), np.float32)
    first_unit[:, :, 3, 0] = 1
    asked = (make_batch(), nothing_hidden(CAUSAL), *weights_of("decoder"), first_unit)
    gradient = np.asarray(probe("decoder")(*asked)[2])
    assert np.all(gradient[:, :, 3, -1] != 0)  # nothing but attention joins them


@MODELS
def test_the_order_of_units_means_nothing(name):
    """Units move together with their rows, from one patch's neighbourhood into another's."""
    batch, query = make_batch(), query_for(make_batch(), "neuron")
    order = np.random.default_rng(3).permutation(N)
    moved = batch._replace(groups=batch.groups | {n: batch.groups[n][:, order] for n in ("unit_row", "region_id")})
    moved = moved.with_trials(counts=batch.trials["counts"][..., order])
    asked = query._replace(hidden_units=np.asarray(query.hidden_units)[..., order])
    plain = probe(name)(batch, query, *weights_of(name), random_read_out())
    found = probe(name)(moved, asked, *weights_of(name), random_read_out())
    np.testing.assert_allclose(found[0], plain[0][..., order], atol=1e-5)
    np.testing.assert_allclose(found[1], plain[1], atol=1e-5)
    shuffled = probe(name)(moved, query, *weights_of(name), random_read_out())
    assert np.abs(shuffled[1] - plain[1]).max() > 1e-3  # hidden units are other units now


@MODELS
def test_a_models_session_and_prompt_are_read(name):
    batch, query = make_batch(), nothing_hidden(NEURON)
    params, tables = weights_of(name)
    plain = probe(name)(batch, query, params, tables, random_read_out())[1]
    other_token = tables | {"session_token": tables["session_token"] + np.eye(2, 8, dtype=np.float32)[:1]}
    prompts = params | {"prompts": params["prompts"] + np.eye(4, 8, dtype=np.float32) * [[1], [0], [0], [0]]}
    for changed in ((params, other_token), (prompts, tables)):
        found = probe(name)(batch, query, *changed, random_read_out())[1]
        assert np.abs(found - plain).max((1, 2, 3)).min() > 1e-3
    temporal = probe(name)(batch, nothing_hidden(schemes.TEMPORAL), *weights_of(name), random_read_out())[1]
    without = probe(name)(batch, nothing_hidden(schemes.TEMPORAL), prompts, tables, random_read_out())[1]
    np.testing.assert_array_equal(temporal, without)  # which has no prompt


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "decoder"])
def test_padding_of_units_changes_nothing(name):
    wide, query = make_batch(width=N + 6), query_for(make_batch(), "neuron")
    padded = query._replace(hidden_units=np.pad(query.hidden_units, [(0, 0), (0, 0), (0, 6)]))
    plain = probe(name)(make_batch(), query, *weights_of(name), random_read_out())
    counts = np.pad(make_batch().trials["counts"], [(0, 0), (0, 0), (0, 0), (0, 6)])
    read = np.pad(random_read_out(), [(0, 0), (0, 0), (0, 0), (0, 6)])
    found = probe(name)(wide.with_trials(counts=counts), padded, *weights_of(name), read)
    np.testing.assert_allclose(found[0][..., :N], plain[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[1], plain[1], rtol=1e-5, atol=1e-5)


# Patches.


def test_patches_are_neighbours_and_their_numbers_are_never_trained():
    config = dataclasses.replace(model_of("ndt2").config, patch_units=32)
    facts = dataclasses.replace(FACTS, units_per_session=(70, 3), mean_counts=np.ones(73, np.float32))
    spec = ndt2.tables(config)["patch"]
    numbers = np.asarray(spec.init(None, facts))
    assert numbers.tolist() == [1.0] * 32 + [2.0] * 32 + [3.0] * 6 + [1.0] * 3 and spec.decays is None
    assert config.tokens_per_bin(70) == 3 and config.tokens_per_bin(64) == 2


def test_what_is_hidden_of_a_patch_is_said_of_that_patch_alone():
    tables = weights_of("ndt2")[1]
    rows = {name: table[None, :N] if len(table) > G else table[:1] for name, table in tables.items()}
    query = nothing_hidden(NEURON)
    hidden = np.zeros((1, 1, N), bool)
    hidden[..., [0, 4, 5, 6, 7]] = True  # one unit of the first patch, the whole second one
    inputs = mtm.inputs(make_batch(), query, mtm_config())
    one = inputs._replace(
        counts=inputs.counts[:1, :1], bin_valid=inputs.bin_valid[:1, :1], hidden_units=hidden,
        hidden_bins=np.zeros((1, 1, T), bool), scheme=inputs.scheme[:1, :1],
    )  # fmt: skip
    one = one._replace(hidden_bins=one.hidden_bins | (np.arange(T) == 5))
    found = np.asarray(jax.jit(lambda: ndt2.patches_of(rows, one, model_of("ndt2").config).hidden)())[0, 0]
    told = np.square(rows["read_in"][0]).sum(-1) * np.asarray(roots.moments(jnp.exp(rows["read_out_bias"][0]))[1])
    expected = np.array([told[0] / told[:4].sum(), 1.0, 0.0])
    np.testing.assert_allclose(found, np.where((np.arange(T) == 5)[:, None], 1, expected), atol=1e-5)


# Events.


def events_in(name="poyo"):
    counts = np.random.default_rng(1).poisson(0.4, (G, B, T, N)).astype(np.float32)
    counts[0, 0, 2, 3], counts[:, :, 5] = 3, 0
    return counts


@functools.cache
def states_at():
    """(events, start of the trial) -> states at the centres of bins, of `poyo`."""
    model = model_of("poyo")
    params, tables = jax.device_put(weights_of("poyo"))
    inputs = mtm.inputs(make_batch(), nothing_hidden(NEURON), mtm_config())

    @jax.jit
    def found(events, start):
        weights = Weights(params, gather_rows(tables, model.module.tables(model.config), make_batch()))
        queries = start + jnp.arange(T) + 0.5
        grid = poyo.Grid.of(T, queries, model.config, start)
        return poyo.states_at(weights, events, grid, inputs, model.config, False, None)

    return found


def listed(counts, rng) -> poyo.Events:
    """Every spike as an event of its own, in any order, within T x N places of which the others are empty."""
    shape = (G, B, T * N)
    time, unit, weight = np.zeros(shape, np.float32), np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    for trial in np.ndindex(G, B):
        bins, units = np.nonzero(counts[trial])
        repeats = counts[trial][bins, units].astype(int)
        order = rng.permutation(T * N)[: repeats.sum()]
        time[trial][order] = np.repeat(bins, repeats) + 0.5
        unit[trial][order], weight[trial][order] = np.repeat(units, repeats), 1
    return poyo.Events(time, unit, weight)


def test_counts_come_to_the_same_as_their_spikes_in_any_order():
    counts = events_in()
    of_counts = states_at()(poyo.events_of(counts, np.full(G, N), model_of("poyo").config), 0.0)
    for seed in range(2):
        of_spikes = states_at()(listed(counts, np.random.default_rng(seed)), 0.0)
        np.testing.assert_allclose(of_spikes, of_counts, atol=1e-6)
    fewer = states_at()(listed(np.minimum(counts, 1), np.random.default_rng(0)), 0.0)
    assert np.abs(fewer - of_counts).max() > 1e-4  # the second spike of a bin counts


def test_times_have_no_origin_and_are_no_bins():
    events = listed(events_in(), np.random.default_rng(0))
    plain = states_at()(events, 0.0)
    moved = states_at()(events._replace(time_bins=events.time_bins + np.float32(3.37)), 3.37)
    np.testing.assert_allclose(moved, plain, atol=1e-4)
    jittered = states_at()(events._replace(time_bins=events.time_bins + np.float32(0.3)), 0.0)
    assert np.abs(jittered - plain).max() > 1e-3


def test_a_step_with_more_events_than_tokens_keeps_evenly_spaced_ones_that_weigh_more():
    config = dataclasses.replace(model_of("poyo").config, **BOUNDED)
    counts = np.zeros((1, 1, 5, N), np.float32)
    counts[0, 0, 0, :3] = [1, 2, 1]  # three entries of the first step: as they are
    counts[0, 0, 2:4, :4] = 1  # eight of the second: every other one, twice
    counts[0, 0, 4, 9] = 5  # the last step has one bin
    bounded = jax.jit(poyo.events_of, static_argnames="config")
    found = bounded(counts, np.array([N]), config)
    time, unit, weight = (np.asarray(each)[0, 0].reshape(3, 4) for each in found)
    assert weight.tolist() == [[1, 2, 1, 0], [2, 2, 2, 2], [5, 0, 0, 0]]
    assert unit[0, :3].tolist() == [0, 1, 2] and unit[1].tolist() == [0, 2, 0, 2] and unit[2, 0] == 9
    assert time[0, :3].tolist() == [0.5] * 3 and time[1].tolist() == [2.5, 2.5, 3.5, 3.5] and time[2, 0] == 4.5
    padded = bounded(np.pad(counts, [(0, 0)] * 3 + [(0, 10)]), np.array([N]), config)
    there = np.asarray(padded.weight) > 0  # which tokens are kept depends on no padding
    for wide, narrow in zip(padded, found, strict=True):
        np.testing.assert_array_equal(wide[there], narrow[np.asarray(found.weight) > 0])


def test_positions_in_a_table_are_none_of_events_and_splash_knows_one_token_a_bin():
    with pytest.raises(InputError, match="model.positions=learned: times of events"):
        dataclasses.replace(model_of("poyo").config, positions="learned")
    span = attention.Span(np.ones((1, 4), bool), np.ones(1, bool), np.zeros(4))
    with pytest.raises(InputError, match="model.attention=splash knows models of one token a bin"):
        attention.splash(*np.zeros((3, 1, 4, 1, 2), np.float32), span)
