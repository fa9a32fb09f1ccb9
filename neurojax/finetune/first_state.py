"""The state before the first step of fine-tuning: the source's weights and moments, and new rows
beside them."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from neurojax.data import batching
from neurojax.data.session import Session
from neurojax.data.sources.spikes import mean_counts
from neurojax.data.store.sessions import Dataset
from neurojax.errors import InputError
from neurojax.finetune import new_rows
from neurojax.finetune.weights import Weights
from neurojax.runs import state_io
from neurojax.schemes import PROMPTS
from neurojax.train import predictor
from neurojax.train.state import TrainState
from neurojax.train.step import Recipe


def added_rows(source: Weights, dataset: Dataset) -> list[dict[str, Any]]:
    """`batching.session_table` of the sessions that the source has no rows for."""
    names = {entry["session_id"] for entry in source.table}
    return batching.session_table([s for s in dataset.sessions if s.session_id not in names])


def first_state(
    fresh: TrainState,
    source: Weights,
    dataset: Dataset,
    config: Mapping[str, Any],
    recipe: Recipe,
    entries: Sequence[Mapping[str, Any]],
    reference: Sequence[Session],
) -> TrainState:
    """The state before the first step: the source's weights and moments, new rows as
    `config.finetune` says.

    Args:
        fresh: a state of the new run's shapes, as from scratch, host arrays.
        source: the weights to start from.
        dataset: sessions to train on.
        config, recipe: of the new run.
        entries: roster of the known sessions.
        reference: known sessions that can be read, for the alignment of `pca`.
    """
    state = _with_arrays(fresh, source.arrays)
    table = [*source.table, *added_rows(source, dataset)]
    layout = batching.Layout.of(dataset.sessions, table)
    tables = {name: np.array(rows) for name, rows in state.tables.items()}
    known_sessions = len(source.table)
    _start_tokens(tables, source)
    new = [place for place, row in enumerate(layout.session_row) if row >= known_sessions]
    for place in new:
        session, row = dataset.sessions[place], layout.first_row[place]
        tables["read_out_bias"][row : row + session.num_units] = np.log(mean_counts(session))
    how = config["finetune"]["new_rows"]
    specs = recipe.model.module.tables(recipe.model.config)
    unit_tables = [name for name, spec in specs.items() if spec.rows == "unit"]
    if how == "region_mean":
        labels = [label for entry in entries for label in entry["region"]]
        for place in new:
            new_rows.region_mean(
                tables, unit_tables, labels, dataset.sessions[place], layout.first_row[place]
            )
    if how == "pca":
        aligned = new_rows.alignment(
            tables, source.table, reference, recipe.model.config.read_in_width
        )
        components = {
            place: new_rows.read_in_components(
                tables, dataset.sessions[place], layout.first_row[place], aligned
            )
            for place in new
        }
    if how != "random":
        _centre(tables, source, dataset, layout, new, recipe)
    params = _with_known_prompts(state.params, source)
    if how == "pca":
        asked = predictor.Recipe(recipe.model, recipe.objective, recipe.head)
        model = predictor.Predictor(params, tables, asked, layout, config["data"]["bucket_units"])
        for place in new:
            session, row = dataset.sessions[place], layout.first_row[place]
            tables["read_out"][row : row + session.num_units] = new_rows.read_out_pseudo_inverse(
                model, session, components[place], recipe.seed
            )
    return state._replace(params=params, tables=tables)


def _with_arrays(fresh: TrainState, arrays: Mapping[str, np.ndarray]) -> TrainState:
    """`fresh` with every array the source has: whole, or as the first rows of a longer table;
    counters start at 0.

    Raises:
        InputError: an array of the source is missing or has another shape: another schema or width.
    """
    leaves = state_io.named_leaves(fresh)
    for name, leaf in leaves.items():
        kept = name.split("/")[0]
        if kept not in ("params", "tables", "dense_moments", "row_moments"):
            continue
        found = arrays.get(name)
        # released weights come without: the moments start at 0
        if found is None and kept.endswith("moments"):
            continue
        by_row = kept in ("tables", "row_moments")
        fits = (
            found is not None
            and found.dtype == leaf.dtype
            and found.shape[by_row:] == leaf.shape[by_row:]
        )
        if not fits or (by_row and len(found) > len(leaf)):
            came = "nothing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise InputError(
                f"init_from: {name} is {came} there, {leaf.dtype} {list(leaf.shape)} here; the "
                "schema or a width "
                "differs: leave the model's entries out of the command, or start from a run of "
                "this version"
            )
        leaves[name] = np.concatenate([found, np.asarray(leaf)[len(found) :]]) if by_row else found
    return jax.tree.unflatten(jax.tree.structure(fresh), list(leaves.values()))


def _start_tokens(tables: dict[str, np.ndarray], source: Weights) -> None:
    """New sessions start with the mean token of the sessions trained on: what tokens share is
    known, the rest is 0.

    Rows that a released table has beyond its sessions were never trained; a new session takes one
    over.
    """
    known = len(source.table)
    counts = source.arrays.get("row_moments/count/session_token")
    trained = np.ones(known, bool) if counts is None else counts[:known] > 0
    tokens = tables["session_token"]
    tokens[known:] = tokens[:known][trained if trained.any() else slice(None)].mean(0)


def _with_known_prompts(params: Any, source: Weights) -> Any:
    """Prompts of schemes the source never trained start at the mean of those it did; without any,
    at zero."""
    schemes = source.config["objective"]["schemes"]
    schemes = schemes.split(",") if isinstance(schemes, str) else list(schemes)
    trained = np.asarray([name in schemes for name in PROMPTS])
    prompts = np.array(params["prompts"])
    prompts[~trained] = prompts[trained].mean(0) if trained.any() else 0.0
    return dict(params) | {"prompts": prompts}


def _centre(
    tables, source: Weights, dataset: Dataset, layout, new: Sequence[int], recipe: Recipe
) -> None:
    """Read-in biases of new sessions such that their mean latent is that of the known sessions, on
    average."""
    known = len(source.table)
    starts = np.concatenate([[0], np.cumsum([entry["num_units"] for entry in source.table])])
    centred = not recipe.model.module.HIDES_BY_ZEROING  # the model subtracts the means itself
    means = (
        np.zeros(starts[-1], np.float32)
        if centred
        else np.exp(tables["read_out_bias"][: starts[-1]])
    )
    # [S, K]
    sums = np.add.reduceat(means[:, None] * tables["read_in"][: starts[-1]], starts[:-1], axis=0)
    average = (tables["read_in_bias"][:known] + sums).mean(0)
    for place in new:
        session, row = dataset.sessions[place], layout.first_row[place]
        rows = tables["read_in"][row : row + session.num_units]
        own = 0.0 if centred else mean_counts(session) @ rows
        tables["read_in_bias"][layout.session_row[place]] = average - own
