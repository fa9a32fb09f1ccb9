"""A checkpoint of schema 1, written once and never again, still restores: old runs stay readable."""

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.runs import manifest, restore

FROZEN = Path(__file__).parent / "frozen_checkpoint"
KERNEL = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
EXPECTED = {
    "params": {
        "half": jnp.asarray([1.5, -2.0], jnp.bfloat16),
        "read_in": {"bias": jnp.zeros((0, 3)), "kernel": KERNEL},
    },
    "step": np.int32(7),
}


@pytest.fixture
def directory(tmp_path) -> Path:
    """A copy: a failing restore would rename what it takes for damaged."""
    return shutil.copytree(FROZEN, tmp_path / "checkpoints")


def test_it_is_schema_1_and_whole():
    assert manifest.verify_step(FROZEN / "7") == []
    content = manifest.read_manifest(FROZEN / "7")
    assert content["schema"] == 1 and content["seed"] == 3 and content["sessions"][0]["session_id"] == "mouse_1"


def test_it_restores_into_a_state(directory):
    wanted = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), EXPECTED)
    state, content = restore.restore_latest(directory, wanted)
    assert content["step"] == 7
    for leaf, expected in zip(jax.tree.leaves(state), jax.tree.leaves(EXPECTED), strict=True):
        assert leaf.dtype == expected.dtype
        np.testing.assert_array_equal(np.asarray(leaf), np.asarray(expected))


def test_it_loads_by_name(directory):
    arrays, _ = restore.load_arrays(directory)
    assert sorted(arrays) == ["params/half", "params/read_in/bias", "params/read_in/kernel", "step"]
    np.testing.assert_array_equal(arrays["params/read_in/kernel"], KERNEL)
