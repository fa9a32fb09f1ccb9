"""Ensembles and samples: one program for several models, one prediction of them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.commands import config
from neurojax.objectives.interface import Query
from neurojax.train import forward, run_folder, settings
from neurojax.train.state import init_run, steps_taken
from neurojax.train.step import run_step
from tests.configs_test import CONFIGS, load


def path_of(name):
    return next(path for path in CONFIGS if path.stem == name)


@pytest.fixture(scope="module")
def mtm():
    """(recipe, source) of a small MtM."""
    declared = load(path_of("mtm"), "improved")
    return settings.recipe(declared), settings.open_source(declared, run_folder.load_data(declared).sessions)


@pytest.fixture(scope="module")
def programs(mtm):
    """programs(members) -> (first state of a seed, step of a seed, outputs), each compiled once for all seeds."""
    recipe, source = mtm

    @functools.cache
    def made(members):
        def of(seed):
            return dataclasses.replace(recipe, seed=seed, members=members)

        def first(seed):
            return init_run(of(seed), source.facts, source.facts.mean_counts)

        def step(seed, state, batch):
            return run_step(state, batch, of(seed))

        def outputs(state, batch, query):
            return forward.outputs((state.params, state.tables, {}), batch, query, of(recipe.seed))

        return jax.jit(first), jax.jit(step), jax.jit(outputs)

    return made


def trained(programs, members, seed, source, steps=3):
    first, step, _ = programs(members)
    state = first(seed)
    for index in range(steps):
        state, sums = step(seed, state, source.batch(index))
    return state, sums


def query_of(batch):
    shape = batch.trials["counts"].shape
    hidden = np.zeros((*shape[:2], shape[3]), bool)
    hidden[..., 0] = True
    return Query(hidden, np.zeros(shape[:3], bool), np.zeros(shape[:2], np.int32))


def test_members_of_an_ensemble_are_the_runs_of_their_seeds(mtm, programs):
    recipe, source = mtm
    together, sums = trained(programs, 3, recipe.seed, source)
    assert steps_taken(together) == 3 and np.ndim(sums["loss"]) == 0
    batch, alone = source.batch(5), []
    for number in range(3):
        state, _ = trained(programs, 1, recipe.seed + number, source)
        for own, other in zip(jax.tree.leaves(together.params), jax.tree.leaves(state.params), strict=True):
            np.testing.assert_allclose(own[number], other, atol=2e-5)
        alone.append(programs(1)[2](state, batch, query_of(batch)))
    found = programs(3)[2](together, batch, query_of(batch))
    np.testing.assert_allclose(found.natural, np.mean([one.natural for one in alone], axis=0), atol=1e-4)
    assert found.states.shape[-1] == 3 * alone[0].states.shape[-1]


def test_a_member_that_diverges_leaves_the_others_alone(mtm, programs):
    recipe, source = mtm
    first, step, _ = programs(3)
    state = jax.device_get(first(recipe.seed))
    nan = np.asarray([1, np.nan, 1], np.float32)
    broken = jax.tree.map(lambda leaf: leaf * nan.reshape(3, *[1] * (leaf.ndim - 1)), state.params)
    after, sums = jax.device_get(step(recipe.seed, state._replace(params=broken), source.batch(0)))
    assert sums["skipped"] == 1 and after.skipped.tolist() == [0, 1, 0]
    pairs = list(zip(jax.tree.leaves(state.params), jax.tree.leaves(after.params), strict=True))
    for well in (0, 2):
        assert any(np.any(old[well] != new[well]) for old, new in pairs)
        assert all(np.isfinite(new[well]).all() for _, new in pairs)


def test_samples_of_a_latent_variable_model_give_their_mean_rate():
    declared = load(path_of("lfads"), "improved")
    source = settings.open_source(declared, run_folder.load_data(declared).sessions)
    recipe = settings.recipe(declared)
    state = jax.jit(functools.partial(init_run, recipe, source.facts))(source.facts.mean_counts)
    rng, batch = np.random.default_rng(0), source.batch(0)
    tables = {name: jnp.asarray(rng.standard_normal(rows.shape), jnp.float32) for name, rows in state.tables.items()}
    weights, key = (state.params, tables, {}), jax.random.key(1)
    ask = functools.partial(forward.outputs, weights, batch, query_of(batch), recipe)
    ask = jax.jit(ask, static_argnames="num_samples")
    found = ask(num_samples=3, key=key).natural
    np.testing.assert_array_equal(found, ask(num_samples=3, key=key).natural)
    assert np.abs(found - ask().natural).max() > 1e-3
    specs = recipe.model.module.tables(recipe.model.config)

    @jax.jit
    def sample(own):
        rows = forward.gather_rows(tables, specs, batch)
        inputs = recipe.objective.module.inputs(batch, query_of(batch), recipe.objective.config)
        model, settled = recipe.model.module, recipe.model.config
        return model.apply(forward.Weights(state.params, rows), inputs, settled, train=False, key=own).natural

    sampled = [sample(own) for own in jax.random.split(key, 3)]
    np.testing.assert_allclose(found, np.log(np.mean(np.exp(sampled), axis=0)), atol=1e-4)


def test_the_number_of_members_is_declared():
    declared = config.load([f"--config={path_of('mtm')}", "--config.members=0"])
    with pytest.raises(ValueError, match="members=0; expected 1"):
        settings.recipe(declared)
