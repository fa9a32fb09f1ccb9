"""What is about to be trained, in words: data, shapes, parameters, operations, time and memory."""

import contextlib
import hashlib
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.data.sources.interface import Source
from neurojax.data.store.dataset import Dataset
from neurojax.errors import InputError
from neurojax.train import flops, loop, roofline, sharding, step_memory
from neurojax.train.config import LoopConfig

MIB = 2**20


def described(dataset: Dataset, recipe, source: Source, trains: bool = True) -> str:
    """Data, model, state, batches and steps, a line each.

    Args:
        dataset: sessions to train on.
        recipe: see `train.step.Recipe`.
        source: of data.sources.
        trains: False where nothing is learned by steps, see `loop.Start`.
    """
    facts = source.facts
    state = loop.abstract_state(recipe, facts, sharding.make_mesh(1, 1, jax.devices()[:1]))
    count = sum(leaf.size for leaf in jax.tree.leaves((state.params, state.tables)))
    shared = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    digest = hashlib.sha256(repr(recipe).encode()).hexdigest()[:8]
    devices = f"{len(jax.devices())} x {jax.devices()[0].device_kind.lower()}"
    operations = flops.train_step_flops(recipe.model.config, source.trials_per_batch, facts)
    each = f" of {operations / 1e9:.2f} GFLOP" if operations else ""
    return "\n".join(
        [
            f"data: {dataset.contents}, {source.contents()}, {dataset.to_train(facts.num_bins)}",
            f"model: {recipe.model.name}, {count:,} parameters ({shared:,} shared, "
            f"{count - shared:,} in rows of units and sessions), recipe {digest}",
            f"state: {3 * count * 4 / MIB:.1f} MiB with optimiser moments; recordings: "
            f"{dataset.num_bytes / MIB:.1f} MiB",
            "batches: groups x trials x bins x units (or channels) = "
            f"{', '.join(' x '.join(map(str, shape)) for shape in source.shapes())}",
            f"training: {recipe.num_steps:,} steps{each} on {devices}"
            if trains
            else "training: none; new rows are given to a model that stays as it is",
        ]
    )


def estimated(recipe, source: Source, config: LoopConfig) -> str:
    """Peak memory of training on each device, and its time: a lower bound here,
    what accelerators may need. A line each.

    Args:
        recipe, source: as in `described`.
        config: mesh, microbatches, and where the counts lie.
    """
    size = memory(recipe, source, config)
    counts = (
        sum(session.recorded.nbytes for session in source.sessions)
        if config.placement == "device"
        else 0
    )
    return "\n".join(
        [
            f"memory: about {(size.total() + counts) / MIB:,.0f} MiB on each device at the peak "
            f"of a step (state {size.state / MIB:,.1f}, batch {size.batch / MIB:,.1f}, "
            "activations and gradients "
            f"{size.temporary / MIB:,.1f}{f', counts {counts / MIB:,.1f}' if counts else ''}; "
            f"within a factor of {step_memory.FACTOR:g})",
            *_time(recipe, source),
            roofline.told(roofline.of_program(_traced(recipe, source, config))),
        ]
    )


def _traced(recipe, source: Source, config: LoopConfig):
    """The jaxpr of a step on the largest batch, of one device."""
    mesh = sharding.make_mesh(1, 1, jax.devices()[:1])
    state = loop.abstract_state(recipe, source.facts, mesh, config.rules)
    return step_memory.traced(recipe, state, source.largest_batch(), config.microbatches)


def memory(recipe, source: Source, config: LoopConfig) -> step_memory.StepMemory:
    """Bytes that a step on the largest batch takes on each device; arguments as in `estimated`."""
    mesh = sharding.make_mesh(config.mesh_data, config.mesh_model)
    state = loop.abstract_state(recipe, source.facts, mesh, config.rules)
    return step_memory.of_step(
        recipe, state, source.largest_batch(), config.microbatches, mesh.shape["data"]
    )


def require_room(recipe, source: Source, config: LoopConfig, room: int | None = None) -> None:
    """Raises InputError where a step takes more memory than a device has; arguments as in
    `estimated`.

    Args:
        room: bytes of each device; default: what it has now.
    """
    room = device_room() if room is None else room
    groups, trials, num_bins, width = max(source.shapes(), key=np.prod)
    # Tracing a step takes half a second, so it is left out where even attention over all pairs of
    # bins, kept for every layer, is far from the bound.
    entries = groups * trials * num_bins * max(num_bins, width, 1024)
    if room is None or 4 * 32 * entries < room:
        return
    size = memory(recipe, source, config)
    if size.total() <= step_memory.FACTOR * room:
        return
    beside = room - size.state - size.batch
    parts = [n for n in range(2, trials + 1) if trials % n == 0 and size.temporary / n < beside]
    way_out = (
        f"set train.microbatches={parts[0]}"
        if parts
        else "convert shorter trials (--window or --window_s), or take wider bins or fewer units"
    )
    raise InputError(
        f"a step takes about {size.total() / MIB:,.0f} MiB on each device, which has "
        f"{room / MIB:,.0f} MiB (batches of {groups * trials} trials, {num_bins} bins, {width} "
        f"units or channels); {way_out}"
    )


def device_room() -> int | None:
    """Bytes of memory that a device has for a run, None where nothing says."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit")
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(available.split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # of a container; "max" is no number
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(found, default=None)


def _time(recipe, source: Source) -> list[str]:
    """A lower bound on training time, by a large product's rate; [] without a formula."""
    operations = flops.train_step_flops(recipe.model.config, source.trials_per_batch, source.facts)
    if operations is None:
        return []
    size, repeats = 2048, 3
    square = jnp.ones((size, size), recipe.model.config.compute_dtype)
    product = jax.jit(lambda matrix: matrix @ matrix)
    product(square).block_until_ready()
    start = time.monotonic()
    for _ in range(repeats):
        product(square).block_until_ready()
    rate = repeats * 2 * size**3 / (time.monotonic() - start)
    seconds = recipe.num_steps * operations / rate
    return [
        f"time: at least {seconds:,.0f} s at the {rate / 1e9:,.0f} GFLOP/s of a large matrix "
        "product on one device"
    ]
