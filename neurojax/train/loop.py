"""The training loop: reads batches, dispatches steps, validates, saves; holds no state."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from neurojax.data import pipeline
from neurojax.data.sources.interface import Source
from neurojax.errors import InputError, Interrupted
from neurojax.facts import Facts
from neurojax.runs import checkpoint, processes, random_numbers, restore
from neurojax.runs.progress import Progress
from neurojax.runs.signals import StopRequest
from neurojax.runs.writer import MetricsWriter, SilentWriter
from neurojax.train import ahead, dispatch, early_stopping, microbatches, sharding, validation
from neurojax.train.config import LoopConfig
from neurojax.train.log_window import LogWindow
from neurojax.train.state import (
    TrainState,
    abstract_run,
    fresh_run,
    steps_taken,
    with_fitted_rows,
)
from neurojax.train.step import Recipe


class Start(NamedTuple):
    """Where a run begins that does not begin from scratch.

    Attributes:
        table: `batching.session_table` of all rows: those of the sessions known before, then the
            new ones.
        state: (fresh state of host arrays) -> the state before the first step; called once in the
            life of a run.
        trains: False where that state is all the run is to hold, without a step.
    """

    table: list[dict[str, Any]]
    state: Callable[[TrainState], TrainState]
    trains: bool = True


def abstract_state(recipe: Recipe, facts: Facts, mesh: jax.sharding.Mesh, rules=()) -> TrainState:
    """Shapes, dtypes and shardings of the state, nothing computed.

    Args:
        recipe: shapes of the model.
        facts: of the source; of its means only the number is used.
        mesh, rules: see train.sharding.
    """
    shapes = abstract_run(recipe, facts)
    return jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        shapes,
        sharding.state_shardings(shapes, mesh, rules, member_axes=recipe.members > 1),
    )


def train(
    recipe: Recipe,
    source: Source,
    config: LoopConfig,
    workdir: Path,
    record: dict,
    log: Callable[[str], None] = print,
    start: Start | None = None,
    commit: Callable[[], None] = lambda: None,
) -> TrainState:
    """The state after recipe.num_steps, trained from the newest sound checkpoint or from scratch.

    Args:
        recipe, source, config: what is learned, what from (of data.sources), how the run is driven.
        workdir: checkpoints/ and metrics.jsonl go here.
        record, log: kept in every manifest (config hash, ...); receives one line at a time.
        start: fine-tuning; what it gives is saved as step 0, so that a resume needs nothing else.
        commit: called once nothing is left that may be refused, before the first byte is written.

    Raises:
        Interrupted, Diverged: after a signal, saved; after `max_skipped_in_a_row` bad steps.
    """
    mesh = sharding.make_mesh(config.mesh_data, config.mesh_model)
    shared, shapes = mesh.shape["data"], source.shapes()
    microbatches.require_even(config.microbatches, shapes, shared, recipe.objective)
    abstract = abstract_state(recipe, source.facts, mesh, config.rules)
    checkpoints, log = Path(workdir) / "checkpoints", processes.spoken_by_first(log)
    several, feed = jax.process_count() > 1, dispatch.feed_of(source, config, mesh)
    steps = dispatch.program(recipe, config, feed, abstract)
    validate, vote = validation.Validator(recipe, source), processes.stop_votes(mesh)
    is_given = start is not None and not start.trains
    is_new = not (checkpoints.exists() or several or is_given)
    with ahead.compiled(*_programs(steps, validate, abstract, feed, config) if is_new else ()):
        state, restored = _first_state(recipe, source, abstract, checkpoints, record, log, start)
    first = steps_taken(state)
    commit()
    restore.set_aside_newer(checkpoints, restored, log)
    every, ending = config.validate_every_steps, early_stopping.of_run(config, workdir, first)
    if is_given or ending.has_ended or first >= recipe.num_steps:
        return _without_steps(state, is_given, checkpoints, config.keep_checkpoints, record, log)
    window = LogWindow(recipe, config, source, mesh.size)
    waits = {"close_timeout_s": processes.CLOSE_TIMEOUT_S} if several else {}
    with (
        MetricsWriter(workdir) if processes.is_first() else SilentWriter() as writer,
        StopRequest() as stop,
        checkpoint.Checkpointer(checkpoints, keep=config.keep_checkpoints, **waits) as saver,
        Progress(recipe.num_steps, "training", first=first) as progress,
    ):
        window.add_earlier(writer.truncate_after(first))
        if start is not None and first == 0:
            saver.save(0, state, record)
        pending, fetched = None, {}
        stream = pipeline.stream(feed.make, first, recipe.num_steps, num_threads=config.num_threads)
        for run in ending.until_over(dispatch.runs(stream, first, config)):
            state, sums = steps.advance(state, run, vote(stop.requested))
            # One dispatch late: while the host waits for these, the devices are at the next steps.
            for fetched in dispatch.sums_of_steps(*pending) if pending else ():
                window.add(fetched, writer, progress)
            pending, done, better = (run, sums), run.first + run.length, False
            saver.poll()
            if _due(done, every) and done < recipe.num_steps:
                with window.paused():
                    scores = validate(state)
                    writer.write(done, {"time_s": window.elapsed_s(), **scores})
                better = ending.add(done, scores)
            # Read once, as a signal may come at any line; several processes go by the last vote.
            stopping = bool(fetched.get("stop")) if several else stop.requested
            if stopping or better or _due(done, config.save_every_steps):
                saver.save(done, state, record, ending.best_step)
            if stopping:
                window.finish(dispatch.sums_of_steps(*pending), writer, progress)
                saver.wait()
                where = f"after step {done} of {recipe.num_steps}"
                raise Interrupted(f"stopped by a signal {where}; state saved")
        if pending:
            window.finish(dispatch.sums_of_steps(*pending), writer, progress)
        best = ending.gone_back(checkpoints, abstract, saver, writer, log)
        if best is None:
            _save_last(state, recipe, config, validate, record, window, writer, saver)
    return state if best is None else best


def _programs(steps: dispatch.Program, validate, abstract: TrainState, feed, config: LoopConfig):
    """What compiles the step of the first batch and, where there is one, a validation.

    For a new run: one with checkpoints may have no step left. And for one process: several are to
    compile in one order.
    """
    first = lambda: steps.compile(abstract, dispatch.first_run(feed, 0, config), None)  # noqa: E731
    return (first, lambda: validate.compile(abstract)) if config.validate_every_steps else (first,)


def _save_last(state, recipe: Recipe, config: LoopConfig, validate, record, window, writer, saver):
    """The end of a run: validates where that was not done, saves what is not saved yet."""
    last = steps_taken(state)
    if config.validate_every_steps and last == recipe.num_steps:
        writer.write(last, {"time_s": window.elapsed_s(), **validate(state)})
    if not _due(last, config.save_every_steps):
        saver.save(last, state, record)
    saver.wait()


def _without_steps(state: TrainState, is_given: bool, checkpoints: Path, keep: int, record, log):
    """The state of a run with no step left; saved where it was given and is all there is to be."""
    if is_given:
        with checkpoint.Checkpointer(checkpoints, keep=keep) as saver:
            saver.save(steps_taken(state), state, record)  # which leaves what is there as it is
    else:
        log(f"already finished: {steps_taken(state)} steps")
    return state


def _due(step: int, every: int) -> bool:
    """Whether what happens every so many steps does now; 0 is never."""
    return every > 0 and step % every == 0


def _names(table: Sequence[dict]) -> str:
    names = [f"{entry['session_id']} ({entry['num_units']} units)" for entry in table]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _first_state(
    recipe: Recipe,
    source: Source,
    abstract: TrainState,
    checkpoints: Path,
    record: Mapping[str, Any],
    log: Callable,
    start: Start | None,
) -> tuple[TrainState, int | None]:
    """(The newest sound checkpoint, its step), or (the state before the first step, None)."""

    def judge(manifest: Mapping[str, Any]) -> None:
        if manifest.get("sessions", source.table) != source.table:
            raise InputError(
                f"{checkpoints} has rows for sessions {_names(manifest['sessions'])}, the data "
                f"are {_names(source.table)}; rows belong to one session and its units: use a new "
                "workdir for others"
            )
        random_numbers.require_same(checkpoints, manifest, record)

    # What is damaged is renamed once the run goes on past it.
    found = restore.restore_latest(checkpoints, abstract, log=log, quarantine=False, judge=judge)
    if found is not None:
        state, manifest = found
        log(f"resuming from step {manifest['step']} of {recipe.num_steps}")
        return state, manifest["step"]
    places = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    fresh = fresh_run(recipe, source.facts, places)
    if start is not None:
        begun = start.state(jax.device_get(fresh))
        return jax.tree.map(jax.device_put, begun, places), None
    return with_fitted_rows(fresh, recipe, source), None
