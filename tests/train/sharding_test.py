"""Where arrays go changes nothing that is computed; rules that mean nothing are refused."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from neurojax.batch import Batch
from neurojax.commands import config
from neurojax.data.sources import spikes
from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.train import loop, settings, sharding
from neurojax.train.step import train_step
from tests import configs_for_tests
from tests.configs_for_tests import first_state

RULES = (
    (r"(tables|row_moments).*(read_in|read_out)$", ("model",)),
    (r"query/kernel$", (None, None, "model")),
    (r"expand", (None, "data")),
)


def test_the_first_rule_found_in_a_path_wins_and_the_rest_is_replicated():
    mesh = sharding.make_mesh(2, 4)
    shape = jax.ShapeDtypeStruct
    tree = {
        "query": {"kernel": shape((8, 12), np.float32)},
        "tables": {"read_in": shape((16, 3), np.float32), "read_out": shape((18, 8), np.float32)},
        "step": shape((), np.int32),
    }
    rules = [
        ("query", (None, "model")), ("query/kernel", ("data",)), ("tables/read_", ("model", None, "data")),
    ]  # fmt: skip
    specs = jax.tree.map(lambda place: place.spec, sharding.state_shardings(tree, mesh, rules))
    assert specs == {
        "query": {"kernel": PartitionSpec(None, "model")},
        "tables": {"read_in": PartitionSpec("model", None), "read_out": PartitionSpec(None, None)},  # 4 leaves 18 whole
        "step": PartitionSpec(),
    }
    everywhere = sharding.state_shardings(tree, mesh, [(".*", ("model",))])
    assert everywhere["step"].spec == PartitionSpec()
    nowhere = sharding.state_shardings(tree, mesh, [])
    assert {place.spec for place in jax.tree.leaves(nowhere)} == {PartitionSpec()}


def test_paths_are_named_as_rules_spell_them(recipe, source):
    abstract = loop.abstract_state(recipe, source.facts, sharding.make_mesh(8, 1))
    names = {sharding.path_name(path) for path, _ in jax.tree.leaves_with_path(abstract)}
    assert {"params/transformer/layers/query/kernel", "tables/read_in", "row_moments/count/read_out", "step"} <= names


@pytest.mark.parametrize(
    "rules, message",
    [
        ([("tables", ("modle",))], "'tables' names axis 'modle', the mesh has"),
        ([("tables(", ("model",))], r"'tables\(' is not a regular expression"),
    ],
)
def test_rules_that_mean_nothing_are_refused(rules, message):
    with pytest.raises(InputError, match=message):
        sharding.state_shardings({"a": np.zeros(4)}, sharding.make_mesh(8, 1), rules)


@pytest.mark.parametrize("data, model", [(0, 3), (3, 4), (9, 1), (0, 0), (-1, 1), (0, 16), (0, -2)])
def test_meshes_that_do_not_fit_the_devices_are_refused(data, model):
    with pytest.raises(InputError, match=f"sharding.mesh={data}x{model} .*8"):
        sharding.make_mesh(data, model)


def test_a_mesh_takes_what_is_left_or_fewer_devices_than_there_are():
    assert dict(sharding.make_mesh(0, 2).shape) == {"data": 4, "model": 2}
    assert dict(sharding.make_mesh(2, 1).shape) == {"data": 2, "model": 1}


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_rules_of_the_language_models_share_every_matrix_and_its_moments(family):
    declared = config.load([f"--config=causal_lm:family={family}"])
    mesh, facts = sharding.make_mesh(1, 8), Facts(128, 1.0, num_classes=316)
    abstract = loop.abstract_state(settings.recipe(declared), facts, mesh, declared["sharding"]["rules"])
    matrices = 0
    for path, leaf in jax.tree.leaves_with_path(abstract):
        name = sharding.path_name(path)
        if leaf.size > 8 and "norm" not in name.split("/")[-2] and not name.endswith("bias"):
            assert np.prod(leaf.sharding.shard_shape(leaf.shape)) * 8 == leaf.size, name
            matrices += 1
    assert matrices == 3 * (6 if family == "gpt2" else 8)  # weights and two moments


def test_trials_are_split_over_data_where_they_divide():
    mesh = sharding.make_mesh(4, 2)
    specs = [sharding.trial_sharding(mesh, np.zeros(shape)).spec for shape in ((2, 8, 3, 5), (2, 6, 3, 5), (2, 8))]
    assert specs == [PartitionSpec(None, "data"), PartitionSpec(), PartitionSpec(None, "data")]


def test_arrays_of_trials_are_shared_and_those_of_groups_are_on_every_device():
    """Also where groups have as many units as a batch has trials."""
    mesh = sharding.make_mesh(4, 2)
    batch = Batch({"counts": np.zeros((2, 8, 3, 5)), "trial_id": np.zeros((2, 8))}, {"unit_row": np.zeros((2, 8))})
    specs = jax.tree.map(lambda place: place.spec, sharding.batch_shardings(mesh, batch))
    shared = PartitionSpec(None, "data")
    assert specs == Batch({"counts": shared, "trial_id": shared}, {"unit_row": PartitionSpec()})
    placed = sharding.place_batch(mesh, batch, 8)
    assert {shard.data.shape for shard in placed.trials["trial_id"].addressable_shards} == {(2, 2)}
    assert {shard.data.shape for shard in placed.groups["unit_row"].addressable_shards} == {(2, 8)}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ndt", "ndt2", "poyo"])
def test_three_mesh_shapes_give_one_loss(model, recipe, dataset):
    if model != "ndt":
        sizes = dict(read_in_width=8, width=8, num_layers=1, num_heads=2, mlp_width=8)
        sizes |= {"patch_units": 16} if model == "ndt2" else {"event_share": 0.5}
        tokens = configs_for_tests.model_of(configs_for_tests.tokens_config(model, **sizes))
        recipe = dataclasses.replace(recipe, model=tokens)
    config = configs_for_tests.batching_config(sessions_per_batch=2, trials_per_batch=16, bucket_units=32)
    source = spikes.open_source(dataset.sessions, config, 0)
    initial = jax.device_get(first_state(recipe, source))
    losses, rows_of_a_device = {}, {}
    for shape in ((1, 1), (8, 1), (2, 4)):
        mesh = sharding.make_mesh(*shape)
        places = sharding.state_shardings(initial, mesh, RULES)
        state = jax.device_put(initial, places)
        step = jax.jit(functools.partial(train_step, recipe=recipe), donate_argnums=0, out_shardings=(places, None))
        for index in range(3):
            batch = source.batch(index)
            state, sums = step(state, sharding.place_batch(mesh, batch, batch.trials["counts"].shape[1]))
            losses.setdefault(index, []).append(float(sums["loss"]))
        rows_of_a_device[shape] = state.tables["read_out"].addressable_shards[0].data.shape[0]
    total = source.layout.total_units
    assert total % 4 == 0 and rows_of_a_device == {(1, 1): total, (8, 1): total, (2, 4): total // 4}
    for index, values in losses.items():
        np.testing.assert_allclose(values, values[0], rtol=2e-6, err_msg=f"step {index}")
    assert losses[0][0] != losses[2][0]
