"""A dataset, a model and a recipe so small that a step takes a millisecond."""

import functools

import jax
import numpy as np
import pytest

from neurojax.data import batching
from neurojax.data.sources import spikes
from neurojax.data.store.dataset import Dataset, dataset_of
from neurojax.data.synthetic import animals as synthetic
from neurojax.train.step import Recipe
from tests import configs_for_tests

SPEC = synthetic.SyntheticSpec(
    num_sessions=3, min_units=20, max_units=30, num_trials=30, num_bins=12, regions=("CA1", "LP"), min_region_units=6,
    mean_rate_hz=25.0, region_std=0.1,
)  # fmt: skip


@functools.cache
def _dataset() -> Dataset:
    return dataset_of(synthetic.make_sessions(SPEC, seed=3))


@pytest.fixture
def dataset() -> Dataset:
    """Three sessions of 20 to 30 units and 30 trials."""
    return _dataset()


@pytest.fixture
def batches() -> batching.BatchingConfig:
    return configs_for_tests.batching_config(sessions_per_batch=2, trials_per_batch=8, bucket_units=32)


@pytest.fixture
def source(dataset, batches, recipe) -> spikes.SpikeSource:
    """Batches of the dataset."""
    return spikes.open_source(dataset.sessions, batches, recipe.seed)


@pytest.fixture
def recipe() -> Recipe:
    model = configs_for_tests.ndt_config(
        read_in_width=8, width=8, num_layers=1, num_heads=2, mlp_width=8, num_positions=12, positions="rotary"
    )
    objective = configs_for_tests.mtm_config(
        causal_ratio=0.6, causal_span_share=0.0, region_size_power=0.0, size_power=0.0
    )
    return Recipe(
        seed=0,
        num_steps=100,
        model=configs_for_tests.model_of(model),
        objective=configs_for_tests.objective_of(objective),
        head="poisson",
        optimizer=configs_for_tests.optimizer_config(learning_rate=2e-2, warmup_share=0.1, row_weight_decay=0.01),
    )


def assert_equal_trees(one, other) -> None:
    """Same structure, dtypes and bits (a NaN equals a NaN)."""
    leaves, others = jax.tree.leaves_with_path(one), jax.tree.leaves_with_path(other)
    assert [path for path, _ in leaves] == [path for path, _ in others]
    for (path, leaf), (_, second) in zip(leaves, others, strict=True):
        leaf, second = np.asarray(leaf), np.asarray(second)
        assert leaf.dtype == second.dtype
        np.testing.assert_array_equal(leaf, second, err_msg=jax.tree_util.keystr(path))


@pytest.fixture
def equal_trees():
    return assert_equal_trees
