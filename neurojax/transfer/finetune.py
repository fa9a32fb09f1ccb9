"""Fine-tuning: from the weights of one run to the state before the first step of another.

Rows of the sessions the run knows keep their place and their optimiser moments; new sessions append theirs. The state
is saved as step 0, so that the new run never needs the old one again.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from neurojax import masking
from neurojax.data import batching, roster
from neurojax.data.sessions import Dataset
from neurojax.errors import InputError
from neurojax.train import checkpoint, loop, settings, state_io
from neurojax.train.predictor import Predictor
from neurojax.train.state import TrainState
from neurojax.train.step import Freeze, Recipe
from neurojax.transfer import new_rows, weights
from neurojax.transfer.weights import Weights
from neurojax.types import Session

NEVER = 2**31 - 1  # a step that no run reaches


class FineTuning(NamedTuple):
    """Attributes:
    recipe: with what stays frozen.
    start: for `loop.train`.
    origin: for the manifest: what the weights were started from.
    entries: roster of all rows.
    """

    recipe: Recipe
    start: loop.Start
    origin: dict[str, Any]
    entries: list[dict[str, Any]]


def begin(
    config: Mapping[str, Any],
    folder: Path,
    dataset: Dataset,
    sessions_of_run: Callable[[Mapping[str, Any]], Sequence[Session]] = lambda config: (),
    log: Callable[[str], Any] = print,
) -> FineTuning:
    """What a fine-tuning run needs besides config and data; the run it starts from is read once.

    Args:
        config: from `inherit.resolved`.
        folder: the workdir; where it has a checkpoint, nothing else is read.
        dataset: sessions to train on, new and known.
        sessions_of_run: config of the run -> its sessions, for `pca`, where they can still be read; may raise
            InputError.
        log: takes one line.

    Raises:
        InputError: no sound checkpoint; other bins; trials longer than the run can place; a known session with other
            units; a new session that repeats a known one; nothing new under stitcher_only; no region in common.
    """
    begun = _begun(folder)
    if begun is None:
        source = weights.read_run(Path(config["init_from"]), log)
        entries, known, origin = _known_entries(source, sessions_of_run), source.table, _origin_of(source)
    else:
        source, origin = None, begun["init_from"]
        entries, known = roster.read(folder / roster.ROSTER_NAME), origin["sessions"]
        entries = entries[: len(known)]
    _require_fitting(dataset, origin, entries, config)
    names = {entry["session_id"] for entry in known}
    added = [session for session in dataset.sessions if session.session_id not in names]
    table = [*known, *batching.session_table(added)]
    batching.Layout.of(dataset.sessions, table)  # a known session has the units it had
    chosen = config["finetune"]
    if chosen["strategy"] != "full" and not added:
        raise InputError(
            f"finetune.strategy={chosen['strategy']} trains the rows of new sessions, but the run knows all "
            f"{len(dataset.sessions)} of the data; use strategy=full or data with a new session"
        )
    recipe = settings.recipe(config, dataset)
    until = {"full": 0, "stitcher_only": NEVER, "gradual_unfreeze": chosen["unfreeze_step"]}[chosen["strategy"]]
    if until:
        recipe = dataclasses.replace(recipe, freeze=Freeze(until, sum(e["num_units"] for e in known), len(known)))
    log(
        f"fine-tuning {chosen['strategy']}: {len(known)} known sessions, {len(added)} new "
        f"({sum(session.num_units for session in added)} units), new rows {chosen['new_rows']}"
    )

    def state(fresh: TrainState) -> TrainState:
        reference = _reference(source, dataset, sessions_of_run) if chosen["new_rows"] == "pca" else ()
        return first_state(fresh, source, dataset, config, recipe, entries, reference)

    return FineTuning(recipe, loop.Start(table, state), origin, roster.joined(entries, added))


def first_state(
    fresh: TrainState,
    source: Weights,
    dataset: Dataset,
    config: Mapping[str, Any],
    recipe: Recipe,
    entries: Sequence[Mapping[str, Any]],
    reference: Sequence[Session],
) -> TrainState:
    """The state before the first step: the source's weights and moments, new rows as `config.finetune` says.

    Args:
        fresh: a state of the new run's shapes, as from scratch, host arrays.
        source: the weights to start from.
        dataset: sessions to train on.
        config, recipe: of the new run.
        entries: roster of the known sessions.
        reference: known sessions that can be read, for the alignment of `pca`.
    """
    state = _with_arrays(fresh, source.arrays)
    table = [*source.table, *_added_rows(source, dataset)]
    layout = batching.Layout.of(dataset.sessions, table)
    tables = {name: np.array(rows) for name, rows in state.tables.items()}
    known_sessions = len(source.table)
    _start_tokens(tables, source)
    new = [place for place, row in enumerate(layout.session_row) if row >= known_sessions]
    for place in new:
        session, row = dataset.sessions[place], layout.first_row[place]
        tables["read_out_bias"][row : row + session.num_units] = np.log(new_rows.positive_means(session))
    how = config["finetune"]["new_rows"]
    if how == "region_mean":
        labels = [label for entry in entries for label in entry["region"]]
        for place in new:
            new_rows.region_mean(tables, labels, dataset.sessions[place], layout.first_row[place])
    if how == "pca":
        aligned = new_rows.alignment(tables, source.table, reference, recipe.model.read_in_width)
        components = {
            place: new_rows.read_in_components(tables, dataset.sessions[place], layout.first_row[place], aligned)
            for place in new
        }
    if how != "random":
        _centre(tables, source, dataset, layout, new, recipe)
    params = _with_known_prompts(state.params, source)
    if how == "pca":
        bucket, schemes = config["data"]["bucket_units"], recipe.masking.schemes
        model = Predictor(params, tables, recipe.model, layout, bucket, schemes=schemes)
        asked = masking.scheme_id("neuron" if "neuron" in schemes else schemes[0])
        for place in new:
            session, row = dataset.sessions[place], layout.first_row[place]
            tables["read_out"][row : row + session.num_units] = new_rows.read_out_pseudo_inverse(
                model, session, components[place], layout, asked, recipe.seed
            )
    return state._replace(params=params, tables=tables)


def _with_arrays(fresh: TrainState, arrays: Mapping[str, np.ndarray]) -> TrainState:
    """`fresh` with every array the source has: whole, or as the first rows of a longer table; counters start at 0.

    Raises:
        InputError: an array of the source is missing or has another shape: another schema or width.
    """
    leaves = state_io.named_leaves(fresh)
    for name, leaf in leaves.items():
        kept = name.split("/")[0]
        if kept not in ("params", "tables", "dense_moments", "row_moments"):
            continue
        found = arrays.get(name)
        if found is None and kept.endswith("moments"):  # released weights come without: the moments start at 0
            continue
        by_row = kept in ("tables", "row_moments")
        fits = found is not None and found.dtype == leaf.dtype and found.shape[by_row:] == leaf.shape[by_row:]
        if not fits or (by_row and len(found) > len(leaf)):
            came = "nothing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise InputError(
                f"init_from: {name} is {came} there, {leaf.dtype} {list(leaf.shape)} here; the schema or a width "
                "differs: leave the model's entries out of the command, or start from a run of this version"
            )
        leaves[name] = np.concatenate([found, np.asarray(leaf)[len(found) :]]) if by_row else found
    return jax.tree.unflatten(jax.tree.structure(fresh), list(leaves.values()))


def _start_tokens(tables: dict[str, np.ndarray], source: Weights) -> None:
    """New sessions start with the mean token of the sessions trained on: what tokens share is known, the rest is 0.

    Rows that a released table has beyond its sessions were never trained; a new session takes one over.
    """
    known = len(source.table)
    counts = source.arrays.get("row_moments/count/session_token")
    trained = np.ones(known, bool) if counts is None else counts[:known] > 0
    tokens = tables["session_token"]
    tokens[known:] = tokens[:known][trained if trained.any() else slice(None)].mean(0)


def _with_known_prompts(params: Any, source: Weights) -> Any:
    """Prompts of schemes the source never trained start at the mean of those it did; without any, at zero."""
    schemes = source.config["masking"]["schemes"]
    schemes = schemes.split(",") if isinstance(schemes, str) else list(schemes)
    trained = np.asarray([name in schemes for name in masking.PROMPTS])
    prompts = np.array(params["prompts"])
    prompts[~trained] = prompts[trained].mean(0) if trained.any() else 0.0
    return dict(params) | {"prompts": prompts}


def _centre(tables, source: Weights, dataset: Dataset, layout, new: Sequence[int], recipe: Recipe) -> None:
    """Read-in biases of new sessions such that their mean latent is that of the known sessions, on average."""
    known = len(source.table)
    starts = np.concatenate([[0], np.cumsum([entry["num_units"] for entry in source.table])])
    centred = recipe.model.hidden_counts == "mean"
    means = np.zeros(starts[-1], np.float32) if centred else np.exp(tables["read_out_bias"][: starts[-1]])
    sums = np.add.reduceat(means[:, None] * tables["read_in"][: starts[-1]], starts[:-1], axis=0)  # [S, K]
    average = (tables["read_in_bias"][:known] + sums).mean(0)
    for place in new:
        session, row = dataset.sessions[place], layout.first_row[place]
        rows = tables["read_in"][row : row + session.num_units]
        own = 0.0 if centred else new_rows.positive_means(session) @ rows
        tables["read_in_bias"][layout.session_row[place]] = average - own


def _reference(source: Weights, dataset: Dataset, sessions_of_run) -> list[Session]:
    """Known sessions that can be read: those of the new data, else those of the run; none where both are gone."""
    known = {entry["session_id"]: entry["units_sha256"] for entry in source.table}
    for sessions in (lambda: dataset.sessions, lambda: sessions_of_run(source.config)):
        try:
            found = [s for s in sessions() if known.get(s.session_id) == batching.units_digest(s)]
        except InputError:
            continue
        if found:
            return found
    return []


def _added_rows(source: Weights, dataset: Dataset) -> list[dict[str, Any]]:
    names = {entry["session_id"] for entry in source.table}
    return batching.session_table([s for s in dataset.sessions if s.session_id not in names])


def _known_entries(source: Weights, sessions_of_run) -> list[dict[str, Any]]:
    """The roster of the source; for a run from before there was one, made from its data."""
    if source.entries is not None:
        return source.entries
    try:
        by_name = {entry["session_id"]: entry for entry in roster.entries_of(sessions_of_run(source.config))}
        entries = [by_name[row["session_id"]] for row in source.table]
    except (InputError, KeyError) as error:
        raise InputError(
            f"the run has no {roster.ROSTER_NAME} and its data cannot be read to make one ({error}); "
            "put the data back, or train the run again"
        ) from None
    return entries


def _origin_of(source: Weights) -> dict[str, Any]:
    """What the manifest keeps of the weights a run was started from, and of those they were started from."""
    return {
        "manifest_sha256": source.digest,
        "step": source.step,
        "dataset_fingerprint": source.dataset_fingerprint,
        "bin_size_s": source.bin_size_s,
        "num_bins": source.num_bins,
        "positions": source.config["model"].get("positions", "learned"),
        "sessions": source.table,
        "init_from": {k: v for k, v in source.origin.items() if k != "sessions"} if source.origin else None,
    }


def _begun(folder: Path) -> dict[str, Any] | None:
    """The newest readable manifest of a fine-tuning run, or None when nothing was saved."""
    for step in reversed(checkpoint.steps_on_disk(folder / "checkpoints")):
        try:
            manifest = checkpoint.read_manifest(folder / "checkpoints" / str(step))
        except InputError:
            continue
        if not isinstance(manifest.get("init_from"), dict):
            raise InputError(f"{folder} holds a run that was not started from another; use a new workdir")
        return manifest
    return None


def _require_fitting(dataset: Dataset, origin: Mapping[str, Any], entries, config: Mapping[str, Any]) -> None:
    """Raises InputError for data that the weights cannot take, or that repeat a known session."""
    if abs(dataset.bin_size_s - origin["bin_size_s"]) > 1e-9:
        raise InputError(
            f"the data have bins of {dataset.bin_size_s * 1000:g} ms, the run it starts from "
            f"{origin['bin_size_s'] * 1000:g} ms; convert them with --bin_ms={origin['bin_size_s'] * 1000:g}"
        )
    longest = int(max(session.trial_num_bins.max() for session in dataset.sessions))
    if origin["positions"] == "learned" and longest > origin["num_bins"]:
        raise InputError(
            f"the data have trials of up to {longest} bins, the run it starts from learned {origin['num_bins']} "
            "positions; convert them with a shorter window"
        )
    owners = {entry["counts_sha256"]: entry["session_id"] for entry in entries}
    for session in dataset.sessions:
        digest = roster.counts_digest(session)
        if owners.setdefault(digest, session.session_id) != session.session_id:
            raise InputError(
                f"session {session.session_id} repeats {owners[digest]}: the spikes are the same under another name; "
                "leave one of them out"
            )
