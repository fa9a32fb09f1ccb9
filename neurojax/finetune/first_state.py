"""The state before the first step of fine-tuning: the source's weights and moments, and new rows
beside them.

A row belongs to one unit of one session, so a new session brings rows of its own. Its read-out
biases are the log of the mean rates of its units, always. `random` leaves the rest as pretraining
starts it; `region_mean` takes the mean of the pretrained rows of the same region; `pca` reads in
the session's principal components, brought to the latent space the shared part was trained on, and
reads out through their pseudo-inverse. The values are those of `models.first_rows`. `closed_form`
reads in as `pca` does and fits the read-out of every unit, see `finetune.closed_form`; of a digital
twin it fits features and places, see `finetune.twin_rows`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from neurojax.data import batching
from neurojax.data.region_names import one_spelling
from neurojax.data.session import TRAIN, Session, names_a_region
from neurojax.data.sources.spikes import mean_counts
from neurojax.data.store.dataset import Dataset
from neurojax.errors import require
from neurojax.evals import passes
from neurojax.finetune import closed_form, twin_rows
from neurojax.finetune.weights import Weights
from neurojax.models import first_rows, stitcher
from neurojax.runs import state_io
from neurojax.schemes import NEURON, PROMPTS
from neurojax.train import predictor
from neurojax.train.state import TrainState
from neurojax.train.step import Recipe

# Of a state, without counters.
ARRAYS = ("params", "tables", "buffers", "dense_moments", "row_moments")

ALIGNED = ("pca", "closed_form")  # new rows that read in aligned principal components

Tables = dict[str, np.ndarray]


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
        reference: known sessions that can be read, for the alignment of principal components.
    """
    state = with_arrays(fresh, source.arrays)
    layout = batching.Layout.of(dataset.sessions, table)
    tables = {name: np.array(rows) for name, rows in state.tables.items()}
    if getattr(recipe.model.module, "NEW_ROWS_AS_IN_PRETRAINING", False):
        _take_known_numbers(tables, recipe, dataset, layout, source)
        # Of a model that makes rows of new sessions itself they are in closed form already.
        in_closed_form = hasattr(recipe.model.module, "rows_of_new")
        if config["finetune"]["new_rows"] == "closed_form" and not in_closed_form:
            _take_twin_rows(state, tables, recipe, dataset, layout, source)
        return state._replace(tables=tables)
    tokens, num_known = tables["session_token"], len(source.table)
    tokens[num_known:] = first_rows.mean_token(tokens[:num_known], _trained_tokens(source))
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
        _take_region_means(tables, source, new, recipe)
    if how in ALIGNED:
        of_roots = getattr(recipe.model.module, "READS_ROOTS", False)
        width = recipe.model.config.read_in_width
        aligned = _alignment(tables, source, reference, width, of_roots)
        components = []
        for session, rows, _ in new:
            own, _ = first_rows.principal_read_in(
                session, len(aligned), mean_counts(session), of_roots=of_roots
            )
            tables["read_in"][rows] = own @ aligned
            components.append(own)
    if how != "random":
        _centre(tables, source, new, recipe)
    of_head = getattr(recipe.model.module, "rows_of_session", lambda session: {})
    specs = recipe.model.module.tables(recipe.model.config)
    for session, rows, row in new:  # a dispersion or a ceiling is of the session's own counts
        for name, values in of_head(session).items():
            tables[name][rows if specs[name].rows == "unit" else slice(row, row + 1)] = values
    params = _with_known_prompts(state.params, source)
    if how in ALIGNED:
        asked = predictor.Recipe(recipe.model, recipe.objective, recipe.head)
        parts = (params, tables, asked, layout, config["data"]["bucket_units"])
        model = predictor.Predictor(*parts, buffers=state.buffers)
        _take_read_outs(tables, source, new, components, model, how, recipe.seed)
    return state._replace(params=params, tables=tables)


def _take_known_numbers(
    tables: Tables, recipe: Recipe, dataset: Dataset, layout: batching.Layout, source: Weights
) -> None:
    """Sets what is known of the units of new sessions, such as places in cortex, beside rows as
    pretraining starts them."""
    module, config = recipe.model.module, recipe.model.config
    firsts, rows = layout.first_row, layout.session_row
    of_new = getattr(module, "rows_of_new", None)  # made with what those say whom the source knows
    known = {name: tables[name][: len(source.table)].copy() for name in tables}
    for session, first, row in zip(dataset.sessions, firsts, rows, strict=True):
        if row >= len(source.table) and of_new is not None:
            of_units, of_session = of_new(config, session, known)
            for name, values in of_units.items():
                tables[name][first : first + session.num_units] = values
            for name, values in of_session.items():
                tables[name][row] = values
        elif row >= len(source.table):
            for name, values in module.fitted_rows(config, [session], None).items():
                tables[name][first : first + session.num_units] = values


def _take_twin_rows(
    state: TrainState,
    tables: Tables,
    recipe: Recipe,
    dataset: Dataset,
    layout: batching.Layout,
    source: Weights,
) -> None:
    """Sets what a regression on the core's features says of new sessions, see `twin_rows`."""
    config, specs = recipe.model.config, recipe.model.module.tables(recipe.model.config)
    known = tables["feature"][: sum(entry["num_units"] for entry in source.table)].copy()
    for number, (session, unit, row) in enumerate(
        zip(dataset.sessions, layout.first_row, layout.session_row, strict=True)
    ):
        if row < len(source.table):
            continue
        own = {
            name: slice(unit, unit + session.num_units) if spec.rows == "unit" else row
            for name, spec in specs.items()
        }
        first = {name: tables[name][place] for name, place in own.items()}
        parts = (state.params, state.buffers, config, dataset, number, layout, first, known)
        for name, values in twin_rows.rows(*parts, recipe.seed).items():
            tables[name][own[name]] = values


def _take_read_outs(
    tables: Tables,
    source: Weights,
    new: Sequence[NewSession],
    components: Sequence[np.ndarray],
    model: predictor.Predictor,
    how: str,
    seed: int,
) -> None:
    """Sets what new sessions read out with, given a model that has their read-in."""
    num_known = sum(entry["num_units"] for entry in source.table)
    known = {name: table[:num_known].copy() for name, table in tables.items()}
    for (session, rows, _), own in zip(new, components, strict=True):
        if how == "pca":
            tables["read_out"][rows] = _read_out(model, session, own, seed)
            continue
        fitted = closed_form.rows(model, session, mean_counts(session), known, seed)
        for name, values in fitted.items():
            tables[name][rows] = values


def with_arrays(fresh: TrainState, arrays: Mapping[str, np.ndarray]) -> TrainState:
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


def _trained_tokens(source: Weights) -> np.ndarray:
    """Which sessions of the source have a trained token, bool [S].

    Rows that a released table has beyond its sessions were never trained; a new session takes one
    over.
    """
    known = len(source.table)
    counts = source.arrays.get("row_moments/count/session_token")
    return np.ones(known, bool) if counts is None else counts[:known] > 0


def _take_region_means(
    tables: Tables, source: Weights, new: Sequence[NewSession], recipe: Recipe
) -> None:
    """Sets the unit rows of new sessions to the mean over known units of the same region.

    Raises:
        InputError: no region of a session is known to the run.
    """
    specs = recipe.model.module.tables(recipe.model.config)
    # Only weights have a mean: that of two numbers of patches is a third one.
    weights = [
        name
        for name, spec in specs.items()
        if spec.rows == "unit" and spec.decays is not None and name != "read_out_bias"
    ]
    spelled, _ = one_spelling([label for entry in source.entries for label in entry["region"]])
    known = spelled.tolist()
    for session, rows, _ in new:
        labels = one_spelling(session.region, known)[0].tolist()
        require(
            set(filter(names_a_region, labels)) & set(known),
            f"finetune.new_rows=region_mean: session {session.session_id} has regions "
            f"{', '.join(sorted(set(labels))[:5])}, the run has none of them; use pca or random",
        )
        for name in weights:
            old = tables[name][: len(known)]
            tables[name][rows] = first_rows.region_mean(old, known, labels)


def _alignment(
    tables: Tables, source: Weights, reference: Sequence[Session], width: int, of_roots: bool
) -> np.ndarray:
    """See `first_rows.alignment`; `reference` are sessions of the source."""
    starts = np.cumsum([0, *(entry["num_units"] for entry in source.table)])
    place = {entry["session_id"]: starts[n] for n, entry in enumerate(source.table)}
    own = [slice(place[s.session_id], place[s.session_id] + s.num_units) for s in reference]
    trained = ([tables[name][rows] for rows in own] for name in ("read_in", "read_out_bias"))
    means = [mean_counts(session) for session in reference]
    return first_rows.alignment(*trained, reference, means, width, of_roots=of_roots)


def _read_out(
    model: predictor.Predictor, session: Session, components: np.ndarray, seed: int
) -> np.ndarray:
    """See `first_rows.read_out`; the model has the session's read-in rows, `seed` hides units."""
    trials = session.trials_of(TRAIN)[: first_rows.MAX_TRIALS]
    rng = np.random.default_rng([seed, 1])
    hidden = rng.random((len(trials), session.num_units)) < first_rows.HIDDEN_SHARE
    ((_, batch, query),) = passes.over(model, session, trials, hidden, NEURON, len(trials))
    states = np.asarray(model.latents(batch, query))[0]
    counts = batch.trials["counts"][0, :, :, : session.num_units]
    bin_valid, means = batch.trials["bin_valid"][0], mean_counts(session)
    module = model.recipe.model.module
    of_roots = getattr(module, "READS_ROOTS", False)
    read, expected = np.sqrt(counts) if of_roots else counts, first_rows.mean_read(means, of_roots)
    if "entry_valid" in batch.trials:  # what was not observed is at its mean
        observed = batch.trials["entry_valid"][0, :, :, : session.num_units]
        read = np.where(observed, read, expected)
    rows = first_rows.read_out(components, expected, hidden, states, read, bin_valid)
    rows = first_rows.as_gains(rows, means, bin_valid.sum(), of_roots)
    # under a ceiling a log-rate follows its drive by less
    bounded = getattr(module, "HAS_CEILING", False)
    return rows / np.asarray(stitcher.slope_at_mean(means))[:, None] if bounded else rows


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


def _centre(tables: Tables, source: Weights, new: Sequence[NewSession], recipe: Recipe) -> None:
    """Read-in biases of new sessions such that their mean latent is that of the known sessions, on
    average."""
    num_units = [entry["num_units"] for entry in source.table]
    known = slice(sum(num_units))
    # A model that says False subtracts the means itself; one that says nothing reads plain counts.
    centred = not getattr(recipe.model.module, "HIDES_BY_ZEROING", True)
    bias = tables["read_out_bias"][known]
    average = first_rows.mean_latent(
        tables["read_in"][known],
        tables["read_in_bias"][: len(num_units)],
        np.zeros_like(bias) if centred else np.exp(bias),
        num_units,
    )
    for session, rows, row in new:
        own = 0.0 if centred else mean_counts(session) @ tables["read_in"][rows]
        tables["read_in_bias"][row] = average - own
