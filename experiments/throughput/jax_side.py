"""The neurojax step in a timed process: `train.step.train_step` as the loop compiles it, on batches made beforehand."""

from pathlib import Path

import jax
import made_data
import numpy as np
import worker
from rows import MEAN_COUNT, NUM_BINS, Shape

from neurojax.batch import Batch
from neurojax.commands import config as declarations
from neurojax.facts import Facts
from neurojax.train import flops, settings
from neurojax.train.state import init_run
from neurojax.train.step import Recipe, train_step

NUM_BATCHES = 8  # prepared; steps go round them
CONFIG = f"--config={Path(__file__).parents[2]}/configs/mtm.py:size=paper,preset=faithful"
COMPILED = "/jax/core/compile/backend_compile_duration"


def recipe_of(shape: Shape) -> Recipe:
    """The released recipe without dropout, and one scheme, so that both sides do the same."""
    config = declarations.load([CONFIG])
    without_dropout = {"dropout_embed": 0.0, "dropout": 0.0, "dropout_attention": 0.0}
    config["model"] |= dict(shape.model) | without_dropout | {"num_positions": NUM_BINS}
    config["objective"] |= {"schemes": "neuron"}
    config["train"] |= {"num_steps": 10_000}
    return settings.recipe(config)


def facts_of(shape: Shape) -> Facts:
    """Sizes of the made sessions, every unit of one rate."""
    sizes = (shape.num_units,) * shape.num_sessions
    return Facts(NUM_BINS, 0.02, sizes, np.full(sum(sizes), MEAN_COUNT, np.float32))


def batch_of(shape: Shape, index: int) -> Batch:
    """Batch `index` on the device: G sessions, trials / G of each."""
    groups, units = shape.sessions_per_batch, shape.num_units
    chosen = made_data.sessions(shape.num_sessions, groups, index)
    counts = made_data.batch(units, shape.trials, index).reshape(groups, -1, NUM_BINS, units)
    trials = {
        "counts": counts,
        "bin_valid": np.ones(counts.shape[:3], bool),
        "trial_id": np.arange(shape.trials, dtype=np.int32).reshape(groups, -1),
    }
    owners = {
        "unit_valid": np.ones((groups, units), bool),
        "region_id": np.zeros((groups, units), np.int32),
        "unit_row": (chosen[:, None] * units + np.arange(units)).astype(np.int32),
        "session_row": chosen.astype(np.int32),
    }
    return jax.device_put(Batch(trials, owners))


def state_of(shape: Shape, recipe: Recipe):
    """The state before the first step."""
    facts = facts_of(shape)
    return jax.jit(lambda means: init_run(recipe, facts, means))(facts.mean_counts)


def serve(shape: Shape) -> None:
    compilations = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration_s, **_: compilations.append(duration_s) if event == COMPILED else None
    )
    recipe = recipe_of(shape)
    state, batches = state_of(shape, recipe), [batch_of(shape, index) for index in range(NUM_BATCHES)]
    jitted = jax.jit(lambda state, batch: train_step(state, batch, recipe), donate_argnums=0)
    step = 0

    def run_steps(number: int) -> float:
        nonlocal state, step
        for _ in range(number):
            state, sums = jitted(state, batches[step % NUM_BATCHES])
            step += 1
        return float(sums["loss"])

    before = len(compilations)
    run_steps(2)  # warm-up
    warm = len(compilations)
    device = jax.devices()[0]
    ready = {
        "compile_s": sum(compilations[before:]),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves((state.params, state.tables))),
        "flops_per_step": flops.train_step_flops(recipe.model.config, shape.trials, facts_of(shape)),
        "peak_flops": flops.peak_flops(1),
        "device": device.device_kind,
    }

    def at_end() -> dict:
        in_use = (device.memory_stats() or {}).get("peak_bytes_in_use")
        return {"recompiles": len(compilations) - warm, "peak_device_bytes": in_use}

    worker.serve(ready, run_steps, at_end)


if __name__ == "__main__":
    _, shape, device = worker.asked(__doc__)
    if jax.default_backend() != device:
        raise SystemExit(f"jax runs on {jax.default_backend()}, not on {device}")
    serve(shape)
