"""The neurojax step in a timed process: `train.step.train_step` as the loop compiles it, on batches made beforehand."""

import jax
import jax.numpy as jnp
import made_data
import numpy as np
import worker
from rows import NUM_BINS, Shape

from neurojax.masking import MaskingConfig
from neurojax.models.config import ModelConfig
from neurojax.train import flops
from neurojax.train.optimizer import OptimizerConfig
from neurojax.train.state import init_state
from neurojax.train.step import Recipe, train_step
from neurojax.types import Batch

NUM_BATCHES = 8  # prepared; steps go round them
COMPILED = "/jax/core/compile/backend_compile_duration"


def recipe_of(shape: Shape) -> Recipe:
    """The released recipe without dropout, and one scheme, so that both sides do the same."""
    model = ModelConfig(
        **dict(shape.model),
        num_positions=NUM_BINS,
        num_session_rows=40,
        bin_mask_token=False,
        dropout_embed=0.0,
        dropout=0.0,
        init="released",
    )
    return Recipe(
        seed=0,
        num_steps=10_000,
        model=model,
        masking=MaskingConfig(schemes=("neuron",), per_trial=False),
        optimizer=OptimizerConfig(learning_rate=1e-4, decay_everything=True, row_weight_decay=0.01, clip_norm=0.0),
        loss_reduction="sum",
    )


def batch_of(shape: Shape, index: int) -> Batch:
    """Batch `index` on the device: G sessions, trials / G of each."""
    groups, units = shape.sessions_per_batch, shape.num_units
    chosen = made_data.sessions(shape.num_sessions, groups, index)
    counts = made_data.batch(units, shape.trials, index).reshape(groups, -1, NUM_BINS, units)
    made = Batch(
        counts=counts,
        bin_valid=np.ones(counts.shape[:3], bool),
        unit_valid=np.ones((groups, units), bool),
        region_id=np.zeros((groups, units), np.int32),
        unit_row=(chosen[:, None] * units + np.arange(units)).astype(np.int32),
        session_id=chosen.astype(np.int32),
        trial_id=np.arange(shape.trials, dtype=np.int32).reshape(groups, -1),
    )
    return jax.device_put(made)


def state_of(shape: Shape, recipe: Recipe):
    """The state before the first step."""
    sizes = jnp.full(shape.num_sessions, shape.num_units)
    means = jnp.full(shape.num_sessions * shape.num_units, 0.25)
    return jax.jit(lambda: init_state(0, recipe.model, recipe.optimizer, sizes, means))()


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
        "flops_per_step": flops.train_step_flops(recipe.model, shape.trials, NUM_BINS, shape.num_units),
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
