"""What an objective is to the rest of the code: a module of this folder with a few names.

    Config                                    frozen dataclass without defaults
    draw(key, batch, step, config) -> query   once for the whole batch, leaves [G, b, ...]
    inputs(batch, query, config) -> inputs    the only place where something is hidden
    loss(apply, head, weights, batch, query, step, key, config) -> LossSums
    target(batch) -> array                    what the head's natural parameters predict
    asked(query, batch) -> bool array         entries of the target that a query asks about
    VALIDATED = ("neuron", ...)               names of the questions a validation asks
    validation_query(key, batch, number, config) -> query   number: of a name in VALIDATED, traced
    SPLITS_INTO_PARTS                         False where trials are coupled: no microbatches
    NEEDS_CAUSAL_SCHEME = True                optional: only of models that have one
    READS_ONE_BIN_LATE = True                 optional: bin t is predicted from those before it
    LOGGED_PER_TRIAL = ("cost", ...)          optional: metrics that the log divides by `trials`,
                                              which is a metric then as well
    sums, scores                              optional: of validation, as of a head, where trials
                                              are compared with each other
    SUMS_READ_EXTRAS = True                   optional: its `sums` take `extras` of a model's
                                              outputs; not of an ensemble, which has none

`apply(weights, inputs, key=key)` is a model with its config, in training.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.batch import Batch
from neurojax.by_name import module_named
from neurojax.models.interface import SpikeInputs
from neurojax.schemes import CAUSAL, INTER_REGION, INTRA_REGION, SCHEMES, scheme_id

NEEDS = (
    "Config",
    "draw",
    "inputs",
    "loss",
    "target",
    "asked",
    "VALIDATED",
    "validation_query",
    "SPLITS_INTO_PARTS",
)


class LossSums(NamedTuple):
    """A loss before its division; sums over the parts of a batch give the sums of the batch.

    Attributes:
        numerator: float32 [], nats.
        weight: float32 [], what the numerator is divided by, once; None leaves it a sum.
        metrics: name -> float32 [], sums over trials; `nll_sum` (nats) and `entries` are always
            there.
        buffers: of the model, after this batch.
    """

    numerator: jax.Array
    weight: jax.Array | None
    metrics: dict[str, jax.Array]
    buffers: Any = {}  # noqa: RUF012  an empty pytree, never written to

    def loss(self) -> jax.Array:
        """float32 []."""
        if self.weight is None:
            return self.numerator
        return self.numerator / jnp.maximum(self.weight, 1e-9)


class Query(NamedTuple):
    """What a batch of spikes hides, and what is asked of it.

    Attributes:
        hidden_units: bool [G, b, N]. An entry is hidden if its unit or its bin is.
        hidden_bins: bool [G, b, T].
        scheme: int32 [G, b], selects the prompt token and the attention span.
        target_units: bool [G, b, N]. An entry enters the loss if its unit and its bin do.
        target_bins: bool [G, b, T]; None, both, where nothing but a prediction is wanted.
        left_out: int32 [G, b], see `models.interface.SpikeInputs`.
    """

    hidden_units: jax.Array
    hidden_bins: jax.Array
    scheme: jax.Array
    target_units: jax.Array | None = None
    target_bins: jax.Array | None = None
    left_out: jax.Array | None = None

    visible = SpikeInputs.visible  # entries the model may read, bool [G, b, T, N]

    def target(self) -> jax.Array:
        """Entries that enter the loss, bool [G, b, T, N]."""
        return self.target_bins[..., :, None] & self.target_units[..., None, :]


def asked_as(scheme: int, trained: Sequence[str]) -> int:
    """The scheme a task is asked under: its own if the model was trained with it.

    Otherwise the model's first scheme: the temporal baseline predicts every task without a prompt
    and with full attention, as its authors do.

    Args:
        scheme: id of the task's own scheme.
        trained: names of the schemes the model was trained with.
    """
    return scheme if SCHEMES[scheme] in trained else scheme_id(trained[0])


def stored_query(batch: Batch) -> Query:
    """The question that each trial of the source `answered` comes with."""
    trials = batch.trials
    is_causal = (trials["scheme"] == CAUSAL)[..., None]
    target_bins = jnp.where(is_causal, trials["hidden_bins"], trials["bin_valid"])
    hidden = (trials["hidden_units"], trials["hidden_bins"], trials["scheme"])
    return Query(*hidden, trials["asked_units"], target_bins)


def is_stored(query: Query, batch: Batch) -> jax.Array:
    """Whether a query is the question that a trial comes with, bool [G, b]: its answer fits no
    other."""
    stored = stored_query(batch)
    units = jnp.all(query.hidden_units == stored.hidden_units, axis=-1)
    bins = jnp.all(query.hidden_bins == stored.hidden_bins, axis=-1)
    return units & bins & (query.scheme == stored.scheme)


def recorded(entries: jax.Array, batch: Batch) -> jax.Array:
    """Of entries, bool [G, b, T, N], those that were observed; as they are where all were."""
    observed = batch.trials.get("entry_valid")
    return entries if observed is None else entries & observed


def askable(batch: Batch, scheme: jax.Array) -> jax.Array:
    """Whether a scheme can be asked of each group, bool [G, 1, 1]: regions need a known one."""
    known = (batch.groups["unit_valid"] & (batch.groups["region_id"] >= 0)).any(-1)
    return known[:, None, None] | (scheme != INTRA_REGION) & (scheme != INTER_REGION)


def named(name: str) -> ModuleType:
    """The objective of a name, `config.objective.name`; raises InputError with the known ones."""
    return module_named("objectives", name, NEEDS)
