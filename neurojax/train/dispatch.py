"""What goes to the devices at once: one step, or a run of steps and their batches.

A small step ends before the host has asked for the next one. With `data.placement=device` a batch
is a few kilobytes of indices, so that the host can send those of `train.steps_per_dispatch` batches
together. A run of fewer than that, before a line of metrics, a validation, a save or a batch of
another shape, takes the same program: the number of its steps is an argument.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from neurojax.batch import Batch
from neurojax.data.sources.interface import Source
from neurojax.errors import require
from neurojax.train import placement, sharding
from neurojax.train.config import LoopConfig
from neurojax.train.state import TrainState
from neurojax.train.step import Recipe, run_step


class Feed(NamedTuple):
    """How batches reach the devices: batch i is the same by either way, on any processes.

    Attributes:
        make: batch index -> tree of numpy arrays: a batch, or what a device needs to gather it.
        place: such a tree, or a stack of them, -> the same on the devices.
        unpack: (placed tree, resident) -> Batch; runs inside jit. Hashable.
        resident: counts held on the devices.
    """

    make: Callable[[int], Any]
    place: Callable[[Any], Any]
    unpack: Callable[[Any, tuple], Batch]
    resident: tuple = ()


def feed_of(source: Source, config: LoopConfig, mesh: Mesh) -> Feed:
    """Batches of a source under `data.placement`; a process gathers its own devices' trials.

    Raises:
        InputError: `data.placement=device` of a source that cannot be held there.
    """
    if config.placement == "host":

        def gather(index):
            # Every process plans the whole batch and gathers its own trials of it.
            return source.batch(index, lambda num_trials: sharding.rows_here(mesh, num_trials))

        def place(batch):
            groups = len(jax.tree.leaves(batch.trials)[0])
            return sharding.place_batch(mesh, batch, source.trials_per_batch // groups)

        return Feed(gather, place, _as_made)
    require(
        hasattr(source, "layout"),
        "data.placement=device holds spike counts only; set data.placement=host",
    )
    sessions, layout = source.sessions, source.layout
    # Every device holds all counts, a byte each where no bin exceeds 255 spikes.
    resident = placement.place(sessions, layout, sharding=sharding.replicated(mesh))

    def indices(index):
        return placement.gather_indices(sessions, layout, resident, source.plan(index))

    return Feed(
        indices,
        lambda made: sharding.replicate(mesh, made),
        _OnDevice(layout.num_bins, mesh),
        resident.chunks,
    )


def _as_made(batch: Batch, resident: tuple) -> Batch:
    return batch


@dataclasses.dataclass(frozen=True)
class _OnDevice:
    """Gathers a batch where the counts lie; equal for runs of one shape, which share a program."""

    num_bins: int
    mesh: Mesh

    def __call__(self, made, chunks) -> Batch:
        batch = placement.gather_on_device(chunks, self.num_bins, *made)
        # Gathered from counts that every device holds, shared as a batch from the host would be.
        return jax.lax.with_sharding_constraint(batch, sharding.batch_shardings(self.mesh, batch))


class Dispatch(NamedTuple):
    """Batches that go to the devices together.

    Attributes:
        first: index of the first batch.
        length: number of batches.
        made: what `Feed.make` gave for it; with several steps a dispatch a stack of as many, of
            which the first `length` count.
    """

    first: int
    length: int
    made: Any


def runs(stream: Iterable[Any], first: int, config: LoopConfig) -> Iterator[Dispatch]:
    """Groups a stream of batches that starts at batch `first` into runs of one shape.

    A run ends where the host has something to do: a line of metrics, a validation or a save.
    """
    pauses = [
        every
        for every in (config.log_every_steps, config.validate_every_steps, config.save_every_steps)
        if every
    ]
    waiting: list[Any] = []

    def run(stop: int) -> Dispatch:
        length = len(waiting)
        if config.steps_per_dispatch == 1:
            return Dispatch(stop - length, length, waiting.pop())
        # Up to the one compiled length by repeating the last; `length` says how many count.
        filled = waiting + [waiting[-1]] * (config.steps_per_dispatch - length)
        waiting.clear()
        return Dispatch(
            stop - length, length, jax.tree.map(lambda *leaves: np.stack(leaves), *filled)
        )

    index = first
    for index, made in enumerate(stream, start=first):
        # Batches of another width need another program: those that wait go first.
        if waiting and _shapes(made) != _shapes(waiting[0]):
            yield run(index)
        waiting.append(made)
        if len(waiting) == config.steps_per_dispatch or any(
            (index + 1) % every == 0 for every in pauses
        ):
            yield run(index + 1)
    if waiting:
        yield run(index + 1)


def first_run(feed: Feed, first: int, config: LoopConfig) -> Dispatch:
    """The run that `runs` begins with, for its shapes; its batches count for nothing."""
    made = feed.make(first)
    if config.steps_per_dispatch > 1:
        made = jax.tree.map(lambda leaf: np.stack([leaf] * config.steps_per_dispatch), made)
    return Dispatch(first, 1, made)


def _shapes(made: Any) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in jax.tree.leaves(made)]


class Program(NamedTuple):
    """The steps of a run.

    Attributes:
        advance: (state, run, votes) -> (state, sums). The state is donated. `sums` are those of
            `train_step`, to be told apart by `sums_of_steps`, with `stop`, the largest of the
            votes, where there are any.
        compile: takes the same, shapes of a state or a state; `advance` then finds it compiled.
    """

    advance: Callable[..., tuple[TrainState, dict]]
    compile: Callable[..., Any]


def program(recipe: Recipe, config: LoopConfig, feed: Feed, abstract: TrainState) -> Program:
    """What takes the steps of a run.

    Args:
        recipe, config, feed: what a step is and where its batch comes from.
        abstract: shapes and shardings of the state, or a state.
    """
    leaves, structure = jax.tree.flatten(jax.tree.map(lambda leaf: leaf.sharding, abstract))
    driven = (config.microbatches, config.steps_per_dispatch)
    any_seed = dataclasses.replace(recipe, seed=0)  # a step takes it from the state
    compiled = _compiled(run_step, any_seed, *driven, feed.unpack, tuple(leaves), structure)

    def arguments(state, run: Dispatch, votes):
        length = () if config.steps_per_dispatch == 1 else (np.int32(run.length),)
        return state, feed.place(run.made), *length, feed.resident, votes

    return Program(
        lambda *asked: compiled(*arguments(*asked)),
        lambda *asked: compiled.lower(*arguments(*asked)).compile(),
    )


@functools.lru_cache(maxsize=8)
def _compiled(step_taken, recipe, parts, steps_per_dispatch, unpack, leaves, structure):
    """One step, or several, under jit; a second run of the same kind in one process takes the same.

    Args:
        step_taken: `run_step`.
        recipe, parts, steps_per_dispatch, unpack: static, see `program` and `Feed`.
        leaves, structure: shardings of the state, flat.
    """

    def step_of(state, made, resident, votes):
        state, sums = step_taken(state, unpack(made, resident), recipe, parts)
        # The largest vote, inside the program: all processes learn of it after the same step.
        return state, sums if votes is None else sums | {"stop": votes.max()}

    def steps_of(state, made, length, resident, votes):
        traced_once = jax.jit(step_of, inline=True)

        def step(number, carried):
            state, kept = carried
            batch = jax.tree.map(lambda stack: stack[number], made)
            state, sums = traced_once(state, batch, resident, votes)
            return state, {name: kept[name].at[number].set(value) for name, value in sums.items()}

        # The loop carries a row of sums for each step; their shapes come from tracing one step.
        one = jax.tree.map(lambda stack: stack[0], made)
        _, shapes = jax.eval_shape(traced_once, state, one, resident, votes)
        kept = {
            name: jnp.zeros((steps_per_dispatch, *leaf.shape), leaf.dtype)
            for name, leaf in shapes.items()
        }
        # `length` is traced: a short run takes the program of a full one.
        return jax.lax.fori_loop(0, length, step, (state, kept))

    # Donated: the new state takes the memory of the old one.
    options = {"donate_argnums": 0, "out_shardings": (jax.tree.unflatten(structure, leaves), None)}
    return jax.jit(step_of if steps_per_dispatch == 1 else steps_of, **options)


def sums_of_steps(run: Dispatch, sums: dict[str, jax.Array]) -> list[dict[str, np.ndarray]]:
    """Fetches what `program` returned for a run: the sums of each of its steps."""
    fetched = jax.device_get(sums)
    # One step a dispatch gives scalars, several give a row for each step.
    if np.ndim(fetched["loss"]) == 0:
        return [fetched]
    return [
        {name: values[number] for name, values in fetched.items()} for number in range(run.length)
    ]
