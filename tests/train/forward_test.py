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


def trained(recipe, source, steps=3):
    state = jax.jit(functools.partial(init_run, recipe, source.facts))(source.facts.mean_counts)
    step = jax.jit(functools.partial(run_step, recipe=recipe))
    for index in range(steps):
        state, sums = step(state, source.batch(index))
    return state, sums


def query_of(batch):
    shape = batch.trials["counts"].shape
    hidden = np.zeros((*shape[:2], shape[3]), bool)
    hidden[..., 0] = True
    return Query(hidden, np.zeros(shape[:3], bool), np.zeros(shape[:2], np.int32))


def test_members_of_an_ensemble_are_the_runs_of_their_seeds(mtm):
    recipe, source = mtm
    together, sums = trained(dataclasses.replace(recipe, members=3), source)
    assert steps_taken(together) == 3 and np.ndim(sums["loss"]) == 0
    batch, alone = source.batch(5), []
    for number in range(3):
        state, _ = trained(dataclasses.replace(recipe, seed=recipe.seed + number), source)
        for own, other in zip(jax.tree.leaves(together.params), jax.tree.leaves(state.params), strict=True):
            np.testing.assert_allclose(own[number], other, atol=2e-5)
        alone.append(forward.outputs((state.params, state.tables, {}), batch, query_of(batch), recipe))
    ensemble = dataclasses.replace(recipe, members=3)
    found = forward.outputs((together.params, together.tables, {}), batch, query_of(batch), ensemble)
    np.testing.assert_allclose(found.natural, np.mean([one.natural for one in alone], axis=0), atol=1e-4)
    assert found.states.shape[-1] == 3 * alone[0].states.shape[-1]


def test_a_member_that_diverges_leaves_the_others_alone(mtm):
    recipe, source = mtm
    ensemble = dataclasses.replace(recipe, members=2)
    state = jax.jit(functools.partial(init_run, ensemble, source.facts))(source.facts.mean_counts)
    broken = jax.tree.map(lambda leaf: leaf.at[1].set(jnp.nan), state.params)
    after, sums = jax.jit(functools.partial(run_step, recipe=ensemble))(state._replace(params=broken), source.batch(0))
    assert sums["skipped"] == 1 and after.skipped.tolist() == [0, 1]
    moved = jax.tree.map(lambda old, new: bool(np.any(old[0] != new[0])), state.params, after.params)
    assert any(jax.tree.leaves(moved)) and all(np.isfinite(leaf[0]).all() for leaf in jax.tree.leaves(after.params))


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
    sampled = [
        recipe.model.module.apply(
            forward.Weights(state.params, forward.gather_rows(tables, specs, batch)),
            recipe.objective.module.inputs(batch, query_of(batch), recipe.objective.config),
            recipe.model.config, train=False, key=own,
        ).natural
        for own in jax.random.split(key, 3)
    ]  # fmt: skip
    np.testing.assert_allclose(found, np.log(np.mean(np.exp(sampled), axis=0)), atol=1e-4)


def test_the_number_of_members_is_declared():
    declared = config.load([f"--config={path_of('mtm')}", "--config.members=0"])
    with pytest.raises(ValueError, match="members=0; expected 1"):
        settings.recipe(declared)
