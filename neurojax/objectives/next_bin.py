"""Next-bin prediction: every bin is predicted from the bins before it, as a language model does
words.

The model reads each bin one bin late and attends backwards only, so that its log-rates of bin t
rest on counts up to t - 1. A hidden bin and the first one look like mask tokens.
"""

import dataclasses

import jax
import jax.numpy as jnp

from neurojax.batch import Batch
from neurojax.models.interface import SpikeInputs
from neurojax.objectives.interface import LossSums, Query, recorded
from neurojax.schemes import CAUSAL

SPLITS_INTO_PARTS = True
NEEDS_CAUSAL_SCHEME = True  # a model that reads later bins would learn to copy
READS_ONE_BIN_LATE = True  # `train.rollout` goes on where a trial ends
VALIDATED = ("next_bin",)


@dataclasses.dataclass(frozen=True)
class Config:
    """It has no settings."""


def draw(key: jax.Array, batch: Batch, step: jax.Array, config: Config) -> Query:
    """Hides nothing and asks for every valid entry."""
    bin_valid, unit_valid = batch.trials["bin_valid"], batch.groups["unit_valid"]
    units = jnp.broadcast_to(unit_valid[:, None], (*bin_valid.shape[:2], unit_valid.shape[-1]))
    scheme = jnp.full(bin_valid.shape[:2], CAUSAL, jnp.int32)
    return Query(jnp.zeros_like(units), jnp.zeros_like(bin_valid), scheme, units, bin_valid)


def inputs(batch: Batch, query: Query, config: Config) -> SpikeInputs:
    """Counts of the bin before, zero where hidden; whatever a query's scheme, attention looks back
    only."""
    counts = jnp.where(recorded(query.visible(), batch), batch.trials["counts"], 0)
    one_later = [(0, 0), (0, 0), (1, 0), (0, 0)]
    counts = jnp.pad(counts[:, :, :-1], one_later)
    observed, pattern_bin = batch.trials.get("entry_valid"), batch.trials.get("pattern_bin")
    if observed is not None:
        observed = jnp.pad(observed[:, :, :-1], one_later)
    if pattern_bin is not None:  # what only the last bin has, no bin has now
        pattern_bin = jnp.minimum(pattern_bin + 1, counts.shape[2] - 1)
    hidden_bins = jnp.pad(
        query.hidden_bins[..., :-1], [(0, 0), (0, 0), (1, 0)], constant_values=True
    )
    scheme = jnp.full_like(query.scheme, CAUSAL)
    hidden = (query.hidden_units, hidden_bins, scheme, query.left_out)
    return SpikeInputs(counts, batch.trials["bin_valid"], *hidden, observed, pattern_bin)


def loss(apply, head, weights, batch: Batch, query: Query, step, key, config: Config) -> LossSums:
    """Nats per entry, all entries alike."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    entries = asked(query, batch)
    nats = jnp.where(entries, head.nll(outputs.natural, target(batch)), 0.0).sum()
    number = entries.sum(dtype=jnp.float32)
    return LossSums(nats, number, {"nll_sum": nats, "entries": number}, outputs.buffers)


def target(batch: Batch) -> jax.Array:
    """Spikes per bin, [G, b, T, N]."""
    return batch.trials["counts"]


def asked(query: Query, batch: Batch) -> jax.Array:
    """Entries that a query asks about, bool [G, b, T, N]."""
    return recorded(query.target(), batch)


def validation_query(key: jax.Array, batch: Batch, number: jax.Array, config: Config) -> Query:
    """As in training."""
    return draw(key, batch, jnp.zeros((), jnp.int32), config)
