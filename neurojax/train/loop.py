"""The training loop: reads batches, dispatches steps, validates, saves. All state is in TrainState."""

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.data import batching, pipeline
from neurojax.data.sessions import Dataset
from neurojax.errors import InputError, Interrupted
from neurojax.train import checkpoint, flops, placement, principal_init, sharding, validation
from neurojax.train.progress import Progress
from neurojax.train.signals import StopRequest
from neurojax.train.state import TrainState, init_state
from neurojax.train.step import Recipe, train_step
from neurojax.train.writer import MetricsWriter


class Diverged(RuntimeError):
    """Too many steps in a row had a loss or gradient that was not finite."""


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """How a run is driven; none of this changes what is learned.

    Attributes:
        log_every_steps: a line of metrics.jsonl.
        save_every_steps: a checkpoint; 0 saves only at the end.
        validate_every_steps: validation bits per spike; 0 never.
        keep_checkpoints: older ones are removed.
        max_skipped_in_a_row: the run aborts after so many non-finite steps.
        placement: "host" streams batches, "device" holds all counts on the device.
        num_threads: reader threads of the host path.
        mesh_data, mesh_model: devices along each mesh axis; mesh_data=0 takes all that are left.
        rules: see train.sharding.
    """

    log_every_steps: int = 20
    save_every_steps: int = 500
    validate_every_steps: int = 0
    keep_checkpoints: int = 2
    max_skipped_in_a_row: int = 10
    placement: str = "host"
    num_threads: int = 1
    mesh_data: int = 0
    mesh_model: int = 1
    rules: tuple[sharding.Rule, ...] = ()

    def __post_init__(self):
        if self.placement not in ("host", "device"):
            raise InputError(f"data.placement={self.placement!r}; choose 'host' or 'device'")
        for name in ("log_every_steps", "keep_checkpoints", "max_skipped_in_a_row"):
            if getattr(self, name) < 1:
                raise InputError(f"train.{name}={getattr(self, name)}; expected at least 1")
        for name in ("save_every_steps", "validate_every_steps"):
            if getattr(self, name) < 0:
                raise InputError(f"train.{name}={getattr(self, name)}; expected 0 (off) or a number of steps")


def abstract_state(recipe: Recipe, units_per_session: Sequence[int], mesh: jax.sharding.Mesh, rules=()) -> TrainState:
    """Shapes, dtypes and shardings of the state, nothing computed.

    Args:
        recipe: shapes of the model.
        units_per_session: of every session the run has rows for, in row order.
        mesh, rules: see train.sharding.
    """
    sizes = np.asarray(units_per_session)
    shapes = jax.eval_shape(functools.partial(_initial_state, recipe, sizes, np.ones(sizes.sum(), np.float32)))
    return jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        shapes,
        sharding.state_shardings(shapes, mesh, rules),
    )


def _initial_state(recipe: Recipe, units_per_session, mean_counts) -> TrainState:
    sizes, means = jnp.asarray(units_per_session), jnp.asarray(mean_counts)
    return init_state(recipe.seed, recipe.model, recipe.optimizer, sizes, means)


def _with_principal_read_in(state: TrainState, recipe: Recipe, dataset: Dataset, mean_counts) -> TrainState:
    """Replaces the random read-in by each session's principal components."""
    means = np.split(mean_counts, np.cumsum([session.num_units for session in dataset.sessions])[:-1])
    width = recipe.model.read_in_width
    starts = [
        principal_init.principal_read_in(session, width, mean)
        for session, mean in zip(dataset.sessions, means, strict=True)
    ]
    tables = dict(state.tables)
    for name, values in (
        ("read_in", np.concatenate([start[0] for start in starts])),
        ("read_in_bias", np.stack([start[1] for start in starts])),
    ):
        tables[name] = jax.device_put(values, tables[name].sharding)
    return state._replace(tables=tables)


def train_means(dataset: Dataset) -> np.ndarray:
    """Mean spikes per bin of every unit in the train split, float32 [U].

    One pseudo-spike a unit keeps logarithms finite for units that never fire in the train split.
    """
    means = []
    for session in dataset.sessions:
        num_bins = session.trial_num_bins[session.trials_of(batching.TRAIN)].sum()
        means.append((session.mean_counts() * num_bins + 1) / (num_bins + 1))
    return np.concatenate(means).astype(np.float32)


def _batch_source(dataset: Dataset, layout, planner, loop: LoopConfig, mesh) -> tuple[Callable, Callable, tuple]:
    """(make, unpack, chunks): make(i) on the host; unpack(make(i), chunks) inside jit gives the Batch."""
    sessions = dataset.sessions

    def gather(index):
        return batching.gather(sessions, layout, planner.plan(index))

    if loop.placement == "host":
        return gather, lambda batch, chunks: batch, ()
    resident = placement.place(sessions, layout, sharding=sharding.replicated(mesh))

    def indices(index):
        return placement.gather_indices(sessions, layout, resident, planner.plan(index))

    def gather_on_device(plan, chunks):
        return placement.gather_on_device(chunks, layout.num_bins, *plan)

    return indices, gather_on_device, resident.chunks


def train(
    recipe: Recipe,
    batches: batching.BatchingConfig,
    loop: LoopConfig,
    dataset: Dataset,
    workdir: Path,
    record: dict,
    log: Callable[[str], None] = print,
) -> TrainState:
    """Trains from the newest sound checkpoint, or from scratch, to recipe.num_steps.

    Args:
        recipe, batches, loop: what is learned, what a batch is, how the run is driven.
        dataset: sessions with a train split.
        workdir: checkpoints/ and metrics.jsonl go here.
        record: kept in every manifest (config hash, dataset fingerprint, ...).
        log: receives one line at a time.

    Returns:
        the final state.

    Raises:
        Interrupted: after a signal, with the state saved.
        Diverged: after `max_skipped_in_a_row` non-finite steps.
    """
    layout = batching.Layout.of(dataset.sessions)
    planner = batching.Planner(dataset.sessions, batches, recipe.seed)
    mesh = sharding.make_mesh(loop.mesh_data, loop.mesh_model)
    abstract = abstract_state(recipe, layout.num_units, mesh, loop.rules)
    places = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    mean_counts = train_means(dataset)
    checkpoints = Path(workdir) / "checkpoints"
    restored = checkpoint.restore_latest(checkpoints, abstract, log=log)
    if restored is None:
        initial = functools.partial(_initial_state, recipe, layout.num_units)
        state = jax.jit(initial, out_shardings=places)(mean_counts)
        if recipe.model.read_in_init == "principal":
            state = _with_principal_read_in(state, recipe, dataset, mean_counts)
    else:
        state, manifest = restored
        log(f"resuming from step {manifest['step']} of {recipe.num_steps}")
    first = int(state.step)
    if first >= recipe.num_steps:
        log(f"already finished: {first} steps")
        return state

    make, unpack, chunks = _batch_source(dataset, layout, planner, loop, mesh)

    def step_of(state, made, chunks):
        return train_step(state, unpack(made, chunks), recipe)

    step_fn = jax.jit(step_of, donate_argnums=0, out_shardings=(places, None))
    validate = validation.Validator(recipe, batches, layout, dataset, mean_counts)
    interval = _Interval(recipe, loop, layout, batches)

    with (
        MetricsWriter(workdir) as writer,
        StopRequest() as stop,
        checkpoint.Checkpointer(checkpoints, keep=loop.keep_checkpoints) as saver,
        Progress(recipe.num_steps, "training", first=first) as progress,
    ):
        writer.truncate_after(first)
        pending = None
        for made in pipeline.stream(make, first, recipe.num_steps, num_threads=loop.num_threads):
            step = first + interval.steps_seen + (pending is not None)
            made = jax.tree.map(lambda leaf: jax.device_put(leaf, sharding.batch_sharding(mesh, leaf)), made)
            state, sums = step_fn(state, made, chunks)
            if pending is not None:
                interval.add(jax.device_get(pending), writer, progress)
            pending = sums
            done = step + 1
            saver.poll()
            if (
                loop.validate_every_steps
                and done % loop.validate_every_steps == 0
                and done < recipe.num_steps
            ):
                writer.write(done, validate(state))
            if stop.requested or (loop.save_every_steps and done % loop.save_every_steps == 0):
                saver.save(done, state, record)
            if stop.requested:
                interval.add(jax.device_get(pending), writer, progress, last=True)
                saver.wait()
                raise Interrupted(f"stopped by a signal after step {done} of {recipe.num_steps}; state saved")
        interval.add(jax.device_get(pending), writer, progress, last=True)
        if loop.validate_every_steps:
            writer.write(recipe.num_steps, validate(state))
        if not (loop.save_every_steps and recipe.num_steps % loop.save_every_steps == 0):
            saver.save(recipe.num_steps, state, record)
        saver.wait()
    return state


class _Interval:
    """Sums of the steps since the last line of metrics.jsonl."""

    def __init__(self, recipe: Recipe, loop: LoopConfig, layout: batching.Layout, batches):
        self._recipe, self._loop = recipe, loop
        self._trials = batches.trials_per_batch
        self._peak = flops.peak_flops()
        units = float(layout.num_units.mean())
        self._flops = flops.train_step_flops(recipe.model, self._trials, layout.num_bins, units)
        self._start = time.monotonic()
        self._lines: list[dict] = []
        self._interval_start = self._start
        self.steps_seen = 0

    def add(self, sums: dict, writer: MetricsWriter, progress: Progress, last: bool = False) -> None:
        """Takes one step's fetched sums; writes a line when the interval is full."""
        self.steps_seen += 1
        self._lines.append(sums)
        if sums["skipped_in_a_row"] >= self._loop.max_skipped_in_a_row:
            raise Diverged(
                f"loss or gradient was not finite for {int(sums['skipped_in_a_row'])} steps in a row, up to batch "
                f"{progress.first + self.steps_seen - 1}; lower optimizer.learning_rate or check the data"
            )
        step = progress.first + self.steps_seen
        if not last and step % self._loop.log_every_steps:
            return
        now = time.monotonic()
        trials_per_s = len(self._lines) * self._trials / max(now - self._interval_start, 1e-9)
        entries = sum(float(line["entries"]) for line in self._lines)
        values = {
            "time_s": now - self._start,
            "train/nats_per_entry": sum(float(line["nll_sum"]) for line in self._lines) / max(entries, 1.0),
            "train/loss": float(np.mean([line["loss"] for line in self._lines])),
            "train/gradient_norm": float(self._lines[-1]["gradient_norm"]),
            "train/learning_rate": float(self._lines[-1]["learning_rate"]),
            "train/skipped_steps": sum(int(line["skipped"]) for line in self._lines),
            "trials_per_s": trials_per_s,
        }
        if self._peak:
            values["mfu"] = self._flops * trials_per_s / self._trials / self._peak
        writer.write(step, values)
        progress.update(step, loss=values["train/nats_per_entry"])
        self._lines, self._interval_start = [], now
