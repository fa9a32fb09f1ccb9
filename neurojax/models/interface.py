"""What a model is to the rest of the code: a module of this folder with four names.

    Config                             frozen dataclass without defaults (values are in configs/)
    tables(config) -> {name: TableSpec}   arrays with a row for each unit or session; {} for none
    init(key, config, facts) -> (params, buffers)
    apply(weights, inputs, config, *, train, key) -> Outputs

A model turns arrays into states and natural parameters; it knows no loss and no file. It may also
define

    fitted_rows(config, sessions, facts) -> {table: array}   rows fitted to the training trials
    HAS_CAUSAL_SCHEME = True  under the causal scheme no bin reads a later one
    answers(weights, states, inputs, config) -> Outputs   what is read out of states from elsewhere;
                                       missing where predictions do not follow from `states` alone
    read(rows, inputs, config) -> entries [G, b, T, N]   apply is these, through the stitcher's
    from_latents(weights, latents, inputs, config, *, train, key) -> Outputs   read-in, and this:
                                       missing where latents are no sum over visible units
    HIDES_BY_ZEROING = True   hiding a unit changes nothing but its counts: a silent one, nothing

A module <name>_stream beside it goes bin by bin; see `models.ndt_stream`.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.batch import Batch
from neurojax.by_name import module_named, names
from neurojax.errors import InputError
from neurojax.facts import Facts

NEEDS = ("Config", "tables", "init", "apply")
NEEDS_OF_STREAM = ("begin", "advance")
STREAM = "_stream"


class TableSpec(NamedTuple):
    """Attributes:
    rows: "unit" or "session", what a row belongs to.
    decays: whether weight decay applies to its rows; None for numbers that are no weights, which
        no optimiser shrinks.
    init: (key, facts) -> float32 [U, ...] or [S, ...].
    """

    rows: str
    decays: bool | None
    init: Callable[[jax.Array, Facts], jax.Array]


class Weights(NamedTuple):
    """Attributes:
    params: what all sessions share, float32.
    rows: table -> the rows of this batch's sessions, [G, N, ...] or [G, ...].
    buffers: state without a gradient (running averages, codebooks).
    """

    params: Any
    rows: dict[str, jax.Array]
    buffers: Any = {}  # noqa: RUF012  an empty pytree, never written to


class SpikeInputs(NamedTuple):
    """What a model of spikes reads; a hidden count is zero here already.

    Attributes:
        counts: [G, b, T, N], zero where hidden.
        bin_valid: bool [G, b, T], False in bins past a trial's end.
        hidden_units: bool [G, b, N].
        hidden_bins: bool [G, b, T].
        scheme: int32 [G, b], ids of `schemes.SCHEMES`.
        left_out: int32 [G, b] where the trials of a group see the same units but for one each, and
            are asked about that one alone; None otherwise.
        observed: bool [G, b, T, N], entries that were recorded; None where all of them were, so
            that nothing is computed for them.
        pattern_bin: int32 [G, b, S], where `observed` has no more than S patterns of units in the
            bins of a trial, a bin of each; bins in which nothing was recorded have any. None where
            each bin may have a pattern of its own.
    """

    counts: jax.Array
    bin_valid: jax.Array
    hidden_units: jax.Array
    hidden_bins: jax.Array
    scheme: jax.Array
    left_out: jax.Array | None = None
    observed: jax.Array | None = None
    pattern_bin: jax.Array | None = None

    def visible(self) -> jax.Array:
        """Entries the model may read, bool [G, b, T, N]."""
        shown = ~self.hidden_bins[..., :, None] & ~self.hidden_units[..., None, :]
        observed = getattr(self, "observed", None)  # a query, which has this too, knows no such
        return shown if observed is None else shown & observed


class SignalInputs(NamedTuple):
    """What a model of signals reads.

    Attributes:
        values: float32 [G, b, T, C].
        bin_valid: bool [G, b, T], False in bins past a window's end.
    """

    values: jax.Array
    bin_valid: jax.Array


class SensorInputs(NamedTuple):
    """What a model of signals reads that knows where its sensors lie.

    Attributes:
        values: float32 [G, b, T, C].
        bin_valid: bool [G, b, T], False in bins past a window's end.
        position: float32 [G, C, 2], in head radii from the middle of the head; nose at (0, 1).
        channel_valid: bool [G, C], False in padding.
    """

    values: jax.Array
    bin_valid: jax.Array
    position: jax.Array
    channel_valid: jax.Array


class TextInputs(NamedTuple):
    """What a model of text reads.

    Attributes:
        tokens: int32 [G, b, T].
        document: int32 [G, b, T], equal within a document; -1 in padding.
        position: int32 [G, b, T], place in the document.
    """

    tokens: jax.Array
    document: jax.Array
    position: jax.Array


class StimulusInputs(NamedTuple):
    """What a model of responses to stimuli reads.

    Attributes:
        images: float [G, b, C, H, W].
        behaviour: float32 [G, b, F], what the animal did; no entry where nothing is known.
        pupil_center: float32 [G, b, 2], NaN where it is not known.
    """

    images: jax.Array
    behaviour: jax.Array
    pupil_center: jax.Array


class NodeInputs(NamedTuple):
    """What a model of stimulus, activity and behaviour reads; what is hidden is zero already.

    Attributes:
        stimulus: float32 [G, b, T, S], zero where hidden.
        activity: float32 [G, b, T, N], zero where hidden.
        behaviour: float32 [G, b, T, F], zero where hidden.
        given: bool [G, b, 3, T], which of the three, in this order, is shown in which bin.
        bin_valid: bool [G, b, T], False in bins past a trial's end.
    """

    stimulus: jax.Array
    activity: jax.Array
    behaviour: jax.Array
    given: jax.Array
    bin_valid: jax.Array


class Outputs(NamedTuple):
    """Attributes:
    natural: natural parameters of the head; of spikes log-rates, float32 [G, b, T, N], log of the
        expected spikes per bin ([G, b, T, 1] where one unit a trial was asked for).
    states: [G, b, T, D], what decoding and embedding read.
    extras: what an objective of its own needs (KL divergences, latents).
    buffers: the buffers after this batch.
    """

    natural: jax.Array
    states: jax.Array | None = None
    extras: Mapping[str, jax.Array] = {}  # noqa: RUF012
    buffers: Any = {}  # noqa: RUF012


def named(name: str) -> ModuleType:
    """The model of a name, `config.model.name`; raises InputError with the known ones."""
    return module_named("models", name, NEEDS)


def stream_of(name: str) -> ModuleType:
    """The model of a name bin by bin; raises InputError with the known ones."""
    try:
        return module_named("models", f"{name}{STREAM}", NEEDS_OF_STREAM)
    except InputError:
        known = [found.removesuffix(STREAM) for found in names("models", NEEDS_OF_STREAM)]
        raise InputError(
            f"model.name={name} does not go bin by bin; choose from {', '.join(known)}"
        ) from None


def row_index(spec: TableSpec, batch: Batch) -> jax.Array:
    """Rows of a table that a batch touches: int32 [G, N] for units, [G] for sessions."""
    return batch.groups[f"{spec.rows}_row"]


def gather_rows(
    tables: Mapping[str, jax.Array], specs: Mapping[str, TableSpec], batch: Batch
) -> dict[str, jax.Array]:
    """The rows of a batch's sessions, [G, N, ...] and [G, ...]; padding reads zeros."""
    return {
        name: table.at[row_index(specs[name], batch)].get(mode="fill", fill_value=0)
        for name, table in tables.items()
    }


def by_trial(array: jax.Array) -> jax.Array:
    """[G, b, ...] -> [B, ...]; devices that share the trials of every group share B as well."""
    return jnp.swapaxes(array, 0, 1).reshape((-1,) + array.shape[2:])


def by_group(array: jax.Array, groups: int) -> jax.Array:
    """[B, ...] -> [G, b, ...], the way back."""
    return jnp.swapaxes(array.reshape((-1, groups) + array.shape[1:]), 0, 1)
