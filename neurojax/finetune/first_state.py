"""The state before the first step of fine-tuning: the source's weights and moments, and new rows
beside them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from neurojax.data import batching
from neurojax.data.session import Session
from neurojax.data.sources.spikes import mean_counts
from neurojax.data.store.dataset import Dataset
from neurojax.errors import require
from neurojax.finetune import new_rows
from neurojax.finetune.weights import Weights
from neurojax.runs import state_io
from neurojax.schemes import PROMPTS
from neurojax.train import predictor
from neurojax.train.state import TrainState
from neurojax.train.step import Recipe

# Of a state, without counters.
ARRAYS = ("params", "tables", "buffers", "dense_moments", "row_moments")


class NewSession(NamedTuple):
    """A session that the source has no rows for, and where its own lie."""

    session: Session
    unit_rows: slice
    session_row: int


def first_state(
    fresh: TrainState,
    source: Weights,
    dataset: Dataset,
    config: Mapping[str, Any],
    recipe: Recipe,
    table: Sequence[dict[str, Any]],
    reference: Sequence[Session],
) -> TrainState:
    """The state before the first step: the source's weights and moments, new rows as
    `config.finetune` says.

    Args:
        fresh: a state of the new run's shapes, as from scratch, host arrays.
        source: the weights to start from.
        dataset: sessions to train on.
        config, recipe: of the new run.
        table: `batching.session_table` of all rows: the source's, then the new ones.
        reference: known sessions that can be read, for the alignment of `pca`.
    """
    state = _with_arrays(fresh, source.arrays)
    layout = batching.Layout.of(dataset.sessions, table)
    tables = {name: np.array(rows) for name, rows in state.tables.items()}
    _start_tokens(tables, source)
    new = [
        NewSession(session, slice(first, first + session.num_units), row)
        for session, first, row in zip(
            dataset.sessions, layout.first_row, layout.session_row, strict=True
        )
        if row >= len(source.table)
    ]
    for session, rows, _ in new:
        tables["read_out_bias"][rows] = np.log(mean_counts(session))
    how = config["finetune"]["new_rows"]
    if how == "region_mean":
        specs = recipe.model.module.tables(recipe.model.config)
        unit_tables = [name for name, spec in specs.items() if spec.rows == "unit"]
        labels = [label for entry in source.entries for label in entry["region"]]
        for session, rows, _ in new:
            new_rows.region_mean(tables, unit_tables, labels, session, rows.start)
    if how == "pca":
        width = recipe.model.config.read_in_width
        aligned = new_rows.alignment(tables, source.table, reference, width)
        components = [
            new_rows.read_in_components(tables, session, rows.start, aligned)
            for session, rows, _ in new
        ]
    if how != "random":
        _centre(tables, source, new, recipe)
    params = _with_known_prompts(state.params, source)
    if how == "pca":
        asked = predictor.Recipe(recipe.model, recipe.objective, recipe.head)
        bucket_units = config["data"]["bucket_units"]
        model = predictor.Predictor(
            params, tables, asked, layout, bucket_units, buffers=state.buffers
        )
        for (session, rows, _), own in zip(new, components, strict=True):
            found = new_rows.read_out_pseudo_inverse(model, session, own, recipe.seed)
            tables["read_out"][rows] = found
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
        found, by_row = arrays.get(name), kept in ("tables", "row_moments")
        # released weights come without moments: these start at 0, as counters do
        if kept not in ARRAYS or (found is None and kept.endswith("moments")):
            continue
        came = "nothing" if found is None else f"{found.dtype} {list(found.shape)}"
        require(
            found is not None
            and found.dtype == leaf.dtype
            and found.shape[by_row:] == leaf.shape[by_row:]
            and not (by_row and len(found) > len(leaf)),
            f"init_from: {name} is {came} there, {leaf.dtype} {list(leaf.shape)} here; the schema "
            "or a width differs: leave the model's entries out of the command, or start from a "
            "run of this version",
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
    at zero. An objective without schemes leaves them all as they are, as does a model without
    prompts."""
    schemes = source.config["objective"].get("schemes", PROMPTS)
    if "prompts" not in params:
        return params
    schemes = schemes.split(",") if isinstance(schemes, str) else list(schemes)
    trained = np.asarray([name in schemes for name in PROMPTS])
    prompts = np.array(params["prompts"])
    prompts[~trained] = prompts[trained].mean(0) if trained.any() else 0.0
    return dict(params) | {"prompts": prompts}


def _centre(tables, source: Weights, new: Sequence[NewSession], recipe: Recipe) -> None:
    """Read-in biases of new sessions such that their mean latent is that of the known sessions, on
    average."""
    known = len(source.table)
    starts = np.concatenate([[0], np.cumsum([entry["num_units"] for entry in source.table])])
    # A model that says False subtracts the means itself; one that says nothing reads plain counts.
    centred = not getattr(recipe.model.module, "HIDES_BY_ZEROING", True)
    means = (
        np.zeros(starts[-1], np.float32)
        if centred
        else np.exp(tables["read_out_bias"][: starts[-1]])
    )
    # [S, K]
    sums = np.add.reduceat(means[:, None] * tables["read_in"][: starts[-1]], starts[:-1], axis=0)
    average = (tables["read_in_bias"][:known] + sums).mean(0)
    for session, rows, row in new:
        own = 0.0 if centred else mean_counts(session) @ tables["read_in"][rows]
        tables["read_in_bias"][row] = average - own
