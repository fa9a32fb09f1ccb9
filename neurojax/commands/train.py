"""`neurojax train`: data, training, evaluation, report."""

import contextlib
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.commands import evaluate, runs
from neurojax.commands.scorable import scorable
from neurojax.data import batching, roster, trained_trials
from neurojax.data.sessions import Dataset, content_sha256
from neurojax.errors import InputError
from neurojax.evals import leaks, protocols, ready
from neurojax.files import read_json
from neurojax.train import checkpoint, flops, loop, microbatches, processes, settings, sharding, state_io, workdir
from neurojax.transfer import finetune, inherit, release
from neurojax.types import TRAIN, Session


def train(
    config: Mapping[str, Any], folder: Path, *, dry_run: bool = False, allow_dataset_change: bool = False
) -> None:
    """Trains a run in `folder` from where it stands, then evaluates and draws it.

    Args:
        config: plain nested dict, see configs/mtm.py.
        folder: the workdir.
        dry_run: print shapes, parameters and estimates; train and write nothing.
        allow_dataset_change: go on although the data changed under the checkpoint.

    Raises:
        InputError: config, data or workdir cannot be used.
        Interrupted: a signal stopped the run after saving.
    """
    if (folder / f"seed_{config['seed']}" / workdir.CONFIG_NAME).exists():
        raise InputError(f"{folder} holds runs of several seeds; go on with --seeds, or choose another --workdir")
    begun_elsewhere = bool(config["init_from"]) or "finetune" in config
    if begun_elsewhere:
        config = inherit.resolved(config, folder)
    dataset = runs.load_data(config)
    recipe, start, origin, entries = settings.recipe(config, dataset), None, None, None
    table = batching.session_table(dataset.sessions)
    if begun_elsewhere:
        recipe, start, origin, entries = finetune.begin(config, folder, dataset, _sessions_of, log=_say)
        table = start.table
    batches, loop_config = settings.batching_config(config), settings.loop_config(config)
    evaluate.check_settings(config["eval"])
    protocol, has_baselines = protocols.get_protocol(config["eval"]["protocol"]), bool(config["eval"]["baselines"])
    scored = scorable(dataset, protocol, with_baselines=has_baselines)
    ready.require_scorable(dataset.sessions, needs_validation=has_baselines)
    mesh = sharding.make_mesh(loop_config.mesh_data, loop_config.mesh_model)
    shapes = batching.Planner(dataset.sessions, batches, recipe.seed).shapes()
    microbatches.require_even(loop_config.microbatches, shapes, mesh.shape["data"])
    loop.abstract_state(recipe, [row["num_units"] for row in table], mesh, loop_config.rules)
    if processes.is_first():
        print(describe(dataset, recipe, batches, [row["num_units"] for row in table]), flush=True)
        if config["model"].get("attention", "xla") != "xla":
            print(settings.attention_kernel(config).reason, flush=True)
        if dry_run:
            print(estimate_time(recipe, batches, dataset))
    if dry_run:
        return
    entries = roster.entries_of(dataset.sessions) if entries is None else entries
    with _held(folder, config, dataset, entries, allow_dataset_change):
        record = {
            "config_hash": workdir.config_hash(config),
            "dataset_fingerprint": dataset.fingerprint,
            "bin_size_s": dataset.bin_size_s,
            "seed": config["seed"],
            "sessions": table,
            "num_bins": recipe.model.num_positions,
            "mesh": [config["sharding"]["data"], config["sharding"]["model"]],
            "versions": workdir.package_versions(),
            **({"init_from": origin} if origin else {}),
        }
        state = loop.train(recipe, batches, loop_config, dataset, folder, record, start=start)
        if jax.process_count() > 1:  # reading a checkpoint would wait for the other processes
            if processes.is_first():
                print(f"trained; score it in one process: neurojax evaluate --workdir={folder}")
            return
        if _is_evaluated(folder, config, scored, int(state.step)):
            print(f"{folder} is finished and evaluated: see {folder / 'report.html'}")
            return
        evaluate.evaluate_run(folder, config, scored)


def _sessions_of(config: Mapping[str, Any]) -> Sequence[Session]:
    return runs.load_data(config).sessions


def _say(line: str) -> None:
    if processes.is_first():
        print(line, flush=True)


def _trained_before(folder: Path, config: Mapping[str, Any], begun: bool) -> frozenset[bytes] | None:
    """Digests of the trials that this run and the one it starts from were trained on; None where not known.

    A run from scratch that keeps none is an older one: its list begins with the trials it trains on now.
    """
    own = trained_trials.read(folder) if begun else None
    if own is not None or not config["init_from"]:
        return own or frozenset()
    return release.read_trained(Path(config["init_from"]))


@contextlib.contextmanager
def _held(
    folder: Path,
    config: Mapping[str, Any],
    dataset: Dataset,
    entries: Sequence[Mapping[str, Any]],
    allow_dataset_change: bool,
) -> Iterator[None]:
    """Process 0 locks the workdir and writes config.json and sessions.json; what it refuses, all processes refuse."""
    fingerprints = {session.session_id: content_sha256(session) for session in dataset.sessions}
    with contextlib.ExitStack() as stack:
        refusal = None
        if processes.is_first():
            try:
                stack.enter_context(workdir.hold(folder))
                known = (folder, config, dataset.fingerprint, fingerprints)
                trained = checkpoint.steps_on_disk(folder / "checkpoints")
                if trained and trained[-1] > config["train"]["num_steps"]:
                    raise InputError(
                        f"train.num_steps={config['train']['num_steps']}, but {folder} has trained {trained[-1]}; "
                        "set it to that or more, or use a new workdir"
                    )
                # Until something is trained, a workdir may still change its config.
                notes = workdir.require_same_run(*known, allow_dataset_change) if trained else ()
                before = _trained_before(folder, config, bool(trained))
                leaks.require_unseen(dataset.sessions, before or ())  # as evaluation asks, but before training
                workdir.write_config(*known, notes)
                if not (trained and (folder / roster.ROSTER_NAME).is_file() and not allow_dataset_change):
                    roster.write(folder / roster.ROSTER_NAME, entries)
                trained_trials.write(folder, dataset.sessions, before)
            except InputError as error:
                refusal = error
        if state_io.from_process_0(int(refusal is not None)):
            raise refusal or InputError(f"process 0 refused {folder}; its message says why")
        same = {"config": workdir.config_hash(config), "num_steps": config["train"], "data": dataset.fingerprint}
        processes.require_agreement("config or data", hashlib.sha256(repr(same).encode()).hexdigest())
        yield


def _is_evaluated(folder: Path, config: Mapping[str, Any], dataset: Dataset, step: int) -> bool:
    """Whether evaluation.json and the report belong to this config, these data and this step."""
    try:
        evaluation = read_json(folder / "evaluation.json")
    except InputError:
        return False
    expected = {
        "step": step,
        "config_hash": workdir.config_hash(config),
        "dataset_fingerprint": dataset.fingerprint,
        "eval": config["eval"],
        "protocol_hash": protocols.protocol_hash(config["eval"]["protocol"]),
    }
    same = all(evaluation.get(name) == value for name, value in expected.items())
    return same and (folder / "report.html").is_file()


def estimate_time(recipe, batches: batching.BatchingConfig, dataset: Dataset) -> str:
    """A lower bound on the training time, from the rate of a large matrix product on this device."""
    size, repeats = 2048, 3
    square = jnp.ones((size, size), recipe.model.compute_dtype)
    product = jax.jit(lambda matrix: matrix @ matrix)
    product(square).block_until_ready()
    start = time.monotonic()
    for _ in range(repeats):
        product(square).block_until_ready()
    rate = repeats * 2 * size**3 / (time.monotonic() - start)
    seconds = recipe.num_steps * _step_flops(recipe, batches, dataset) / rate
    return f"time: at least {seconds:,.0f} s at the {rate / 1e9:,.0f} GFLOP/s of a large matrix product on one device"


def _step_flops(recipe, batches: batching.BatchingConfig, dataset: Dataset) -> float:
    units = np.mean([session.num_units for session in dataset.sessions])
    longest = max(session.trial_num_bins.max() for session in dataset.sessions)
    return flops.train_step_flops(recipe.model, batches.trials_per_batch, int(longest), float(units))


def describe(dataset: Dataset, recipe, batches: batching.BatchingConfig, row_sizes: Sequence[int]) -> str:
    """What is about to be trained: data, shapes, parameters, memory, operations."""
    sessions = dataset.sessions
    sizes = [session.num_units for session in sessions]
    mesh = sharding.make_mesh(1, 1, jax.devices()[:1])
    state = loop.abstract_state(recipe, row_sizes, mesh)
    count = sum(leaf.size for leaf in jax.tree.leaves((state.params, state.tables)))
    shared = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    layout = batching.Layout.of(sessions)
    trials = sum(len(session.trials_of(TRAIN)) for session in sessions)
    operations = _step_flops(recipe, batches, dataset)
    shapes = batching.Planner(sessions, batches, recipe.seed).shapes()
    listed = ", ".join(f"{g} x {b} x {layout.num_bins} x {n}" for g, b, n in shapes)
    digest = hashlib.sha256(repr(recipe).encode()).hexdigest()[:8]
    return "\n".join(
        [
            f"data: {len(sessions)} sessions, {sum(sizes):,} units, {trials:,} training trials of up to "
            f"{layout.num_bins} bins of {dataset.bin_size_s * 1000:g} ms, {len(layout.regions)} regions",
            f"model: {count:,} parameters ({shared:,} shared, {count - shared:,} in stitcher rows), recipe {digest}",
            f"state: {3 * count * 4 / 2**20:.1f} MiB with optimiser moments; counts: "
            f"{sum(session.counts.nbytes for session in sessions) / 2**20:.1f} MiB",
            f"batches: sessions x trials x bins x units = {listed}",
            f"training: {recipe.num_steps:,} steps of {operations / 1e9:.2f} GFLOP on {runs.devices()}",
        ]
    )
