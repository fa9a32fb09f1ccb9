"""What a run is made of, from its config: recipe, source, driving, and where it starts."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neurojax.data.session import TRAIN, Session
from neurojax.data.store import roster
from neurojax.data.store.dataset import Dataset
from neurojax.errors import require
from neurojax.finetune import begin as finetune
from neurojax.finetune import inherit
from neurojax.finetune.weights import Weights
from neurojax.runs import processes, workdir
from neurojax.train import description, fitting, loop, microbatches, run_folder, settings, sharding
from neurojax.train.config import LoopConfig

Log = Callable[[str], Any]


class Plan(NamedTuple):
    """What is known of a run before its first step.

    Attributes:
        config, dataset: with what a fine-tuning run inherits and the digest of stored answers
            filled in; sessions to train on.
        recipe, source, loop: what is learned, what from, how the run is driven.
        entries: the roster of these rows.
        start, origin: of fine-tuning: where it begins, and what is kept of that; else None.
    """

    config: Mapping[str, Any]
    dataset: Dataset
    recipe: Any
    source: Any
    loop: LoopConfig
    entries: list[dict[str, Any]]
    start: loop.Start | None = None
    origin: dict[str, Any] | None = None


def plan(
    config: Mapping[str, Any],
    folder: Path,
    dataset: Dataset | None,
    log: Log,
    base: Weights | None = None,
    known_sessions: Sequence[Session] = (),
) -> Plan:
    """A config made ready; arguments and errors as of `train.run.train`."""
    require(
        not (folder / f"seed_{config['seed']}" / workdir.CONFIG_NAME).exists(),
        f"{folder} holds runs of several seeds; go on with --seeds, or choose another --workdir",
    )
    workdir.require_blocks(config, "the config")
    begun_elsewhere = bool(config["init_from"]) or "finetune" in config
    if begun_elsewhere and base is None:
        config = inherit.resolved(config, folder)
    dataset = run_folder.load_data(config) if dataset is None else dataset
    driven = settings.loop_config(config)
    start, origin, placed = None, None, {}
    if begun_elsewhere:
        recipe, start, origin, entries = (
            finetune.begin(config, folder, dataset, _sessions_of, log)
            if base is None
            else finetune.begin_from(base, config, dataset, lambda config: known_sessions, log)
        )
        freeze = recipe.freeze and (recipe.freeze.session_rows, recipe.freeze.until_step)
        if start.table:  # rows of units and sessions; a source without them takes none
            placed = {"table": start.table, "new_until": freeze}
    else:
        recipe = settings.recipe(config)
        entries = roster.entries_of(dataset.sessions, dataset.digests)
    source = settings.open_source(config, dataset.to_read, **placed)
    if hasattr(source, "answers_sha256"):
        config = {**config, "data": {**config["data"], "answers_sha256": source.answers_sha256}}
    num_trials = sum(len(session.trials_of(TRAIN)) for session in dataset.sessions)
    steps = settings.steps_within_passes(config, num_trials, source.trials_per_batch)
    recipe = dataclasses.replace(recipe, num_steps=steps)
    fitting.require_fitting(recipe, source)
    mesh = sharding.make_mesh(driven.mesh_data, driven.mesh_model)
    microbatches.require_even(
        driven.microbatches, source.shapes(), mesh.shape["data"], recipe.objective
    )
    loop.abstract_state(recipe, source.facts, mesh, driven.rules)  # tells of rules that fit nothing
    return Plan(config, dataset, recipe, source, driven, entries, start, origin)


def tell(plan: Plan, log: Log) -> None:
    """Says what is trained on what."""
    if processes.is_first():
        trains = plan.start is None or plan.start.trains
        log(description.described(plan.dataset, plan.recipe, plan.source, trains))
        asked, steps = plan.config["train"]["num_steps"], plan.recipe.num_steps
        if trains and steps < asked:
            passes = plan.config["train"]["most_passes"]
            log(
                f"training ends after {steps:,} of {asked:,} steps, {passes:g} passes over the "
                "trials (train.most_passes; 0 lifts it)"
            )
        if plan.config["model"].get("attention", "xla") != "xla":
            log(settings.attention_kernel(plan.config).reason)


def _sessions_of(config: Mapping[str, Any]) -> Sequence[Session]:
    return run_folder.load_data(config).sessions
