"""Every declaration trains: its two presets, shrunk, for two steps."""

import functools
from pathlib import Path

import jax
import numpy as np
import pytest

from neurojax.commands import config
from neurojax.data import batching
from neurojax.train import first_rows, loop, run_folder, settings
from neurojax.train.step import train_step

CONFIGS = [
    path
    for path in sorted((Path(__file__).parent.parent / "configs").glob("*.py"))
    if path.stem != "finetune"  # needs a run to start from: tests/transfer
]
TINY = [
    *("model.width=8", "model.num_heads=2", "model.num_layers=1", "model.read_in_width=8", "model.mlp_width=8"),
    *("data.synthetic.num_sessions=2", "data.synthetic.num_trials=20", "data.trials_per_batch=4"),
    "train.num_steps=2",
]


def load(path, arg):
    return config.load([f"--config={path}:{arg}", *(f"--config.{override}" for override in TINY)])


@pytest.mark.parametrize(
    ("path", "preset"),
    [(path, "improved") for path in CONFIGS] + [(CONFIGS[0], "faithful")],
    ids=lambda value: getattr(value, "stem", value),
)
def test_two_steps_of_every_config(path, preset):
    declared = load(path, f"size=paper,preset={preset}")  # the embedder is on
    declared["model"]["embed_width"] = 8
    dataset = run_folder.load_data(declared)
    recipe, batches = settings.recipe(declared, dataset), settings.batching_config(declared)
    settings.loop_config(declared)
    layout, planner = batching.Layout.of(dataset.sessions), batching.Planner(dataset.sessions, batches, recipe.seed)
    init = functools.partial(loop._initial_state, recipe, layout.num_units)
    before = state = jax.jit(init)(first_rows.train_means(dataset))
    step = jax.jit(train_step, static_argnames="recipe")
    for index in range(2):
        state, sums = step(state, batching.gather(dataset.sessions, layout, planner.plan(index)), recipe)
        assert np.isfinite(sums["loss"]) and sums["gradient_norm"] > 0 and sums["skipped"] == 0
    moved = jax.tree.map(lambda old, new: bool(np.any(old != new)), before.params, state.params)
    names = {jax.tree_util.keystr(path) for path, moves in jax.tree.leaves_with_path(moved) if not moves}
    # Attention is blind to a shift of all keys; the temporal baseline has no prompt.
    assert names <= {"['transformer']['layers']['key']['bias']", "['prompts']"}
