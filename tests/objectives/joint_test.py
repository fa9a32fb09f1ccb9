"""Any node from any other: what each pattern gives and asks, nothing hidden reaches an answer, and it learns."""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import heads
from neurojax.batch import Batch
from neurojax.data.session import VALIDATION
from neurojax.data.sources.joint import NODES
from neurojax.errors import InputError
from neurojax.evals import joint as evaluator
from neurojax.evals import joint_readers
from neurojax.models.interface import Outputs
from neurojax.objectives import joint
from neurojax.train import forward, settings, state
from neurojax.train.step import train_step
from tests.configs_for_tests import first_state
from tests.configs_test import dataset_for, load

PATH = Path(__file__).parents[2] / "configs" / "joint.py"
CONFIG = joint.Config(joint.VALIDATED, 0.75)


@functools.cache
def opened(**synthetic):
    declared = load(PATH, "")
    declared["data"]["synthetic"] |= synthetic
    declared["train"]["num_steps"] = 120
    recipe = settings.recipe(declared)
    return recipe, settings.open_source(declared, dataset_for(PATH, declared).to_read)


def batch_of(length, num_bins=8):
    bins = np.arange(num_bins) < np.asarray(length)[None, :, None]
    known = np.repeat(bins[:, :, None], 3, 2)
    known[0, 0, 2, 1] = False  # behaviour, not known in one bin
    return Batch({"bin_valid": bins, "node_valid": known}, {})


def asked(name, batch):
    return [np.asarray(one) for one in joint.validation_query(None, batch, joint.VALIDATED.index(name), CONFIG)]


def test_patterns_give_and_ask_what_they_say():
    batch = batch_of([8, 4])
    given, wanted = asked("stimulus_behaviour", batch)
    assert given[0, 1].tolist() == [[True] * 4 + [False] * 4, [False] * 8, [True] * 4 + [False] * 4]
    assert wanted[0, 1].tolist() == [[False] * 8, [True] * 4 + [False] * 4, [False] * 8]
    assert not given[0, 0, 2, 1] and given[0, 0, 2].sum() == 7
    given, wanted = asked("past_behaviour", batch)
    assert given[0, :, 2].sum(1).tolist() == [5, 3] and wanted[0, :, 2].sum(1).tolist() == [2, 1]
    assert not given[0, :, :2].any() and not wanted[0, :, :2].any() and not wanted[0, :, 2, :3].any()
    shown = {name: asked(name, batch) for name in joint.PATTERNS}
    assert not any((given & wanted).any() for given, wanted in shown.values())
    everything = [given | wanted for name, (given, wanted) in shown.items() if "past" not in name or name == "past"]
    assert len(everything) == 7 and all((one == batch.trials["node_valid"]).all() for one in everything)


def test_a_trial_draws_one_of_the_patterns_named_and_no_program_is_made_again():
    batch, config = batch_of(np.full(64, 8)), joint.Config(("activity", "past"), 0.5)
    programs = jax.jit(lambda key: joint.draw(key, batch, 0, config))
    drawn = [np.asarray(programs(jax.random.key(seed)).given)[0] for seed in (0, 1)]
    assert programs._cache_size() == 1 and (drawn[0] != drawn[1]).any()
    numbers = [joint.VALIDATED.index(name) for name in config.patterns]
    whole = [joint.validation_query(None, batch, number, config).given for number in numbers]
    allowed = {tuple(np.asarray(one)[0, 1].ravel().tolist()) for one in whole}
    assert {tuple(one.ravel().tolist()) for one in drawn[0][1:]} == allowed


@pytest.mark.parametrize("nonlinear_width", [0, 8])
def test_what_is_asked_reaches_no_answer_and_what_is_given_does(nonlinear_width):
    recipe, source = opened()
    model = recipe.model._replace(config=dataclasses.replace(recipe.model.config, nonlinear_width=nonlinear_width))
    recipe, rng = dataclasses.replace(recipe, model=model), np.random.default_rng(0)
    trained = jax.tree.map(
        lambda leaf: jnp.asarray(0.3 * rng.standard_normal(leaf.shape), jnp.float32),
        state.abstract_weights(recipe.model, source.facts),
    )
    batch = source.batch(0)

    @jax.jit
    def gradient(values, number):
        def total(values):
            seen = batch.with_trials(**values)
            query = joint.validation_query(None, seen, number, CONFIG)
            natural = forward.outputs((*trained, {}), seen, query, recipe).natural
            return (natural * joint.asked(query, seen)).sum()

        return jax.grad(total)(values)

    values = {node: jnp.asarray(batch.trials[node]) for node in NODES}
    for number, name in enumerate(joint.VALIDATED):
        given = np.asarray(joint.validation_query(None, batch, number, CONFIG).given)
        found = gradient(values, number)
        for place, node in enumerate(NODES):
            moved = np.asarray(found[node]).any(-1)
            assert not (moved & ~given[:, :, place]).any(), (name, node)
            assert moved.any() == (node in joint.PATTERNS[name].given), (name, node)


def test_it_learns_what_the_mean_does_not_know():
    declared = load(PATH, "")
    declared["data"] |= {"trials_per_batch": 32}
    declared["data"]["synthetic"] |= {"num_train": 200, "num_validation": 40}
    declared["objective"]["patterns"], declared["train"]["num_steps"] = "activity,past", 60
    declared["optimizer"]["learning_rate"] = 0.02
    recipe = settings.recipe(declared)
    source = settings.open_source(declared, dataset_for(PATH, declared).to_read)
    begun, step = first_state(recipe, source), jax.jit(train_step, static_argnames="recipe")
    for index in range(recipe.num_steps):
        begun, _ = step(begun, source.batch(index), recipe)
    trials = source.sessions[0].trials_of(VALIDATION)
    batch = source.padded(0, trials, len(trials))
    query = joint.validation_query(None, batch, joint.VALIDATED.index("activity"), CONFIG)
    natural = forward.outputs((begun.params, begun.tables, {}), batch, query, recipe).natural
    wanted, entries = np.asarray(joint.target(batch)), np.asarray(joint.asked(query, batch))
    error = np.square(np.asarray(natural) - wanted)[entries].mean() / np.square(wanted)[entries].mean()
    assert error < 0.6  # the mean has one, the exact conditional about 0.25


def test_a_node_and_bin_weighs_one_however_many_channels_it_has():
    rng, batch = np.random.default_rng(0), batch_of([8, 4])
    sizes = zip(NODES, (2, 5, 1), strict=True)
    values = {node: rng.standard_normal((1, 2, 8, size)).astype(np.float32) for node, size in sizes}
    unit_valid = np.arange(5)[None] < 3  # two units are padding, whatever stands there
    batch = batch._replace(groups={"unit_valid": unit_valid}).with_trials(**values)
    query = joint.Query(*asked("stimulus", batch))
    said = Outputs(jnp.zeros((1, 2, 8, 8)))
    given = (lambda weights, inputs, key: said, heads.named("gaussian"), None, batch, query, 0, None, CONFIG)
    found = joint.loss(*given)
    squares = {node: 0.5 * np.square(one) for node, one in values.items()}
    known = batch.trials["node_valid"]
    expected = (squares["activity"][..., :3].mean(-1) * known[:, :, 1]).sum()
    expected += (squares["behaviour"][..., 0] * known[:, :, 2]).sum()
    assert float(found.weight) == pytest.approx(12 + 11)
    assert float(found.loss()) == pytest.approx(expected / 23, rel=1e-5)


def test_a_pattern_of_another_name_is_refused():
    with pytest.raises(InputError, match="objective.patterns='sound'; choose some of stimulus, activity"):
        joint.Config(("sound",), 0.75)


def test_ridge_knows_less_than_the_exact_conditional_and_more_than_the_mean():
    recipe, source = opened(num_train=400, num_validation=40)
    model = type("Model", (), {"recipe": recipe})
    ask = functools.partial(evaluator.asked, model, source, "stimulus")
    tested = ask(0, source.sessions[0].trials_of(VALIDATION))
    found = joint_readers.ridge(source, 0, ask, tested) | {"exact": joint_readers.exact(source, 0, tested)}
    error = {name: np.square(one - tested.values)[tested.asked].mean() for name, one in found.items()}
    assert error["exact"] < error["ridge"] < 0.9 * error["bin_mean"]
