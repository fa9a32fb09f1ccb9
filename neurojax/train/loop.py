"""The training loop: reads batches, dispatches steps, validates, saves. All state is in TrainState."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.data import batching, pipeline
from neurojax.data.sessions import Dataset
from neurojax.errors import InputError, Interrupted
from neurojax.train import checkpoint, dispatch, first_rows, microbatches, processes, sharding, validation
from neurojax.train.interval import Diverged, Interval
from neurojax.train.progress import Progress
from neurojax.train.signals import StopRequest
from neurojax.train.state import TrainState, init_state
from neurojax.train.step import Recipe
from neurojax.train.writer import MetricsWriter, SilentWriter

__all__ = ["Diverged", "LoopConfig", "abstract_state", "train"]


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """How a run is driven; none of this changes what is learned.

    Attributes:
        microbatches: parts a batch is computed in, one after another: less memory, see train.microbatches.
        steps_per_dispatch: steps sent to the devices at once, see train.dispatch; needs placement="device".
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

    microbatches: int = 1
    steps_per_dispatch: int = 1
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
        positive = ("microbatches", "steps_per_dispatch", "log_every_steps", "keep_checkpoints", "max_skipped_in_a_row")
        for name in positive:
            if getattr(self, name) < 1:
                raise InputError(f"train.{name}={getattr(self, name)}; expected at least 1")
        if self.steps_per_dispatch > 1 and self.placement != "device":
            raise InputError(
                f"train.steps_per_dispatch={self.steps_per_dispatch} needs the counts on the device; set "
                "data.placement=device, or train.steps_per_dispatch=1"
            )
        if self.num_threads < 0:
            raise InputError(f"data.num_threads={self.num_threads}; expected 0 (no thread) or more")
        for name in ("save_every_steps", "validate_every_steps"):
            if getattr(self, name) < 0:
                raise InputError(f"train.{name}={getattr(self, name)}; expected 0 (off) or a number of steps")


class Start(NamedTuple):
    """Where a run begins that does not begin from scratch.

    Attributes:
        table: `batching.session_table` of all rows: those of the sessions known before, then the new ones.
        state: (fresh state of host arrays) -> the state before the first step; called once in the life of a run.
    """

    table: list[dict[str, Any]]
    state: Callable[[TrainState], TrainState]


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


def train(
    recipe: Recipe,
    batches: batching.BatchingConfig,
    loop: LoopConfig,
    dataset: Dataset,
    workdir: Path,
    record: dict,
    log: Callable[[str], None] = print,
    start: Start | None = None,
) -> TrainState:
    """Trains from the newest sound checkpoint, or from scratch, to recipe.num_steps.

    Args:
        recipe, batches, loop: what is learned, what a batch is, how the run is driven.
        dataset: sessions with a train split.
        workdir: checkpoints/ and metrics.jsonl go here.
        record: kept in every manifest (config hash, dataset fingerprint, ...).
        log: receives one line at a time.
        start: fine-tuning; what it gives is saved as step 0, so that a run once begun needs nothing else.

    Returns:
        the final state.

    Raises:
        Interrupted: after a signal, with the state saved.
        Diverged: after `max_skipped_in_a_row` non-finite steps.
    """
    table = batching.session_table(dataset.sessions) if start is None else start.table
    layout = batching.Layout.of(dataset.sessions, table)
    planner = _planner(recipe, batches, dataset, layout)
    mesh = sharding.make_mesh(loop.mesh_data, loop.mesh_model)
    microbatches.require_even(loop.microbatches, planner.shapes(), mesh.shape["data"])
    abstract = abstract_state(recipe, [entry["num_units"] for entry in table], mesh, loop.rules)
    places = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    checkpoints, mean_counts = Path(workdir) / "checkpoints", first_rows.means_by_row(dataset, layout)
    log = log if processes.is_first() else lambda line: None
    state = _first_state(recipe, dataset, table, abstract, mean_counts, checkpoints, log, start)
    first, several = int(state.step), jax.process_count() > 1
    if first >= recipe.num_steps:
        log(f"already finished: {first} steps")
        return state
    source = dispatch.source_of(dataset, layout, planner, loop, mesh)
    advance = dispatch.program(recipe, loop, source, places)
    validate = validation.Validator(recipe, batches, layout, dataset, mean_counts)
    interval = Interval(recipe, loop, layout, batches, planner, mesh.size)
    vote = processes.stop_votes(mesh)
    patience = {"close_timeout_s": processes.CLOSE_TIMEOUT_S} if several else {}

    with (
        MetricsWriter(workdir) if processes.is_first() else SilentWriter() as writer,
        StopRequest() as stop,
        checkpoint.Checkpointer(checkpoints, keep=loop.keep_checkpoints, **patience) as saver,
        Progress(recipe.num_steps, "training", first=first) as progress,
    ):
        writer.truncate_after(first)
        if start is not None and first == 0:
            saver.save(0, state, record)
        pending, fetched = None, {}
        stream = pipeline.stream(source.make, first, recipe.num_steps, num_threads=loop.num_threads)
        for run in dispatch.runs(stream, first, loop):
            state, sums = advance(state, run, vote(stop.requested))
            if pending is not None:
                for fetched in dispatch.sums_of_steps(*pending):
                    interval.add(fetched, writer, progress)
            pending = (run, sums)
            done = run.first + run.length
            saver.poll()
            if loop.validate_every_steps and done % loop.validate_every_steps == 0 and done < recipe.num_steps:
                with interval.paused():
                    writer.write(done, {"time_s": interval.elapsed_s(), **validate(state)})
            # Read once: the signal may come between two lines. Several processes go by the vote one step back.
            stopping = bool(fetched.get("stop")) if several else stop.requested
            if stopping or (loop.save_every_steps and done % loop.save_every_steps == 0):
                saver.save(done, state, record)
            if stopping:
                interval.finish(dispatch.sums_of_steps(*pending), writer, progress)
                saver.wait()
                raise Interrupted(f"stopped by a signal after step {done} of {recipe.num_steps}; state saved")
        interval.finish(dispatch.sums_of_steps(*pending), writer, progress)
        if loop.validate_every_steps:
            writer.write(recipe.num_steps, {"time_s": interval.elapsed_s(), **validate(state)})
        if not (loop.save_every_steps and recipe.num_steps % loop.save_every_steps == 0):
            saver.save(recipe.num_steps, state, record)
        saver.wait()
    return state


def _names(table: Sequence[dict]) -> str:
    names = [f"{entry['session_id']} ({entry['num_units']} units)" for entry in table]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _planner(recipe: Recipe, batches, dataset: Dataset, layout: batching.Layout):
    """Draws from all sessions; while the known ones are frozen, from the new ones."""
    everything = batching.Planner(dataset.sessions, batches, recipe.seed)
    if recipe.freeze is None:
        return everything
    new = layout.session_row >= recipe.freeze.session_rows
    first = batching.Planner(dataset.sessions, batches, recipe.seed, only=new)
    return batching.StagedPlanner(first, recipe.freeze.until_step, everything)


def _first_state(
    recipe: Recipe,
    dataset: Dataset,
    table: list[dict],
    abstract: TrainState,
    mean_counts: np.ndarray,
    checkpoints: Path,
    log: Callable,
    start: Start | None,
) -> TrainState:
    """The newest sound checkpoint, or the state before the first step."""
    restored = checkpoint.restore_latest(checkpoints, abstract, log=log)
    if restored is not None:
        state, manifest = restored
        if manifest.get("sessions", table) != table:
            raise InputError(
                f"{checkpoints} has rows for sessions {_names(manifest['sessions'])}, the data are {_names(table)}; "
                "rows belong to one session and its units: use a new workdir for other sessions"
            )
        log(f"resuming from step {manifest['step']} of {recipe.num_steps}")
        return state
    places = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    sizes = np.asarray([entry["num_units"] for entry in table])
    # It runs once; on CPUs, to optimise it takes longer than to compile and run it as it is.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    initial = functools.partial(_initial_state, recipe, sizes)
    state = jax.jit(initial, out_shardings=places, compiler_options=options)(mean_counts)
    if start is not None:
        return jax.tree.map(jax.device_put, start.state(jax.device_get(state)), places)
    if recipe.model.read_in_init == "principal":
        state = first_rows.with_fitted_rows(state, recipe, dataset, mean_counts)
    return state
