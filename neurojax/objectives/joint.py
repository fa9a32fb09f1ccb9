"""Any node from any other: of stimulus, activity and behaviour some are given, the rest is asked.

Each trial of a batch draws one of PATTERNS. An encoder (stimulus given), a decoder (activity
given), a model of behaviour (stimulus or the behaviour's own past given) and every mixture of them
are then questions to one model. `inputs` is the only place where something is hidden.

Source: the masks after Zhang et al. 2025 (NEDS, "neural encoding and decoding at scale"), with the
stimulus as a third node.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.batch import Batch
from neurojax.errors import require
from neurojax.models.interface import NodeInputs
from neurojax.objectives.interface import LossSums
from neurojax.ranges import check_ranges, share

NODES = ("stimulus", "activity", "behaviour")  # in the order of every axis of nodes
SPLITS_INTO_PARTS = True
HEADS = ("gaussian",)


class Pattern(NamedTuple):
    """Attributes:
    given: names of the nodes that are shown.
    past: whether they are shown in the first bins of a trial only, and asked in the later ones;
        otherwise they are shown throughout, and the other nodes are asked.
    """

    given: tuple[str, ...]
    past: bool


def _name(pattern: Pattern) -> str:
    return "_".join([*(("past",) if pattern.past else ()), *pattern.given])


_WHOLE = [(node,) for node in NODES] + [NODES[:2], NODES[::2], NODES[1:]]
_LISTED = [Pattern(given, False) for given in _WHOLE]
_LISTED += [Pattern(given, True) for given in ((node,) for node in NODES)]
PATTERNS = {_name(one): one for one in _LISTED} | {"past": Pattern(NODES, True)}
VALIDATED = tuple(PATTERNS)


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    patterns: names of PATTERNS, of which every trial of training draws one; the more often a name
        stands here, the more often it is drawn.
    past_share: share of a trial's bins, from the first on, that is the past.
    """

    patterns: tuple[str, ...]
    past_share: float

    def __post_init__(self):
        check_ranges(self, "objective.", {"past_share": share("(0, 1)")})
        unknown = [name for name in self.patterns if name not in PATTERNS]
        require(
            self.patterns and not unknown,
            f"objective.patterns={','.join(map(str, self.patterns))!r}; choose some of "
            f"{', '.join(PATTERNS)}",
        )


class Query(NamedTuple):
    """What is shown and what is asked, by node in the order of NODES; never both.

    Attributes:
        given, asked: bool [G, b, 3, T].
    """

    given: jax.Array
    asked: jax.Array


def draw(key: jax.Array, batch: Batch, step: jax.Array, config: Config) -> Query:
    """A pattern for each trial: numbers, not programs, so that nothing is compiled again."""
    numbers = jnp.asarray([VALIDATED.index(name) for name in config.patterns], jnp.int32)
    shape = batch.trials["bin_valid"].shape[:2]
    return query_of(numbers[jax.random.randint(key, shape, 0, len(numbers))], batch, config)


def query_of(number: jax.Array, batch: Batch, config: Config) -> Query:
    """The query of patterns by their place in VALIDATED, int32 [G, b]."""
    known = batch.trials["node_valid"]  # [G, b, 3, T]
    nodes = np.array([[node in one.given for node in NODES] for one in PATTERNS.values()])
    shown = jnp.asarray(nodes)[number][..., None]  # [G, b, 3, 1]
    past = jnp.asarray(np.array([one.past for one in PATTERNS.values()]))[number][..., None, None]
    bins = batch.trials["bin_valid"]
    length = bins.sum(-1, keepdims=True)
    # A trial of one bin has no past, and is asked about nothing then.
    place = jnp.arange(bins.shape[-1])[None, None]
    is_past = (place < jnp.ceil(config.past_share * length))[..., None, :]
    given = shown & jnp.where(past, is_past, True) & known
    asked = jnp.where(past, shown & ~is_past, ~shown) & known
    return Query(given, asked)


def inputs(batch: Batch, query: Query, config: Config) -> NodeInputs:
    """What is given, zeros elsewhere."""
    shown = [
        jnp.where(query.given[:, :, place, :, None], batch.trials[node], 0.0)
        for place, node in enumerate(NODES)
    ]
    return NodeInputs(*shown, query.given, batch.trials["bin_valid"])


def loss(apply, head, weights, batch: Batch, query: Query, step, key, config: Config) -> LossSums:
    """Nats of what is asked: the mean over the channels of a node and bin, then over these."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    known = asked(query, batch)
    # Each node and bin weighs one: hundreds of units would else drown two numbers of a stimulus.
    number = [batch.trials[node].shape[-1] for node in NODES]
    units = jnp.maximum(batch.groups["unit_valid"].sum(-1), 1)[:, None, None, None]
    share = [jnp.full_like(known[..., :size], 1.0, jnp.float32) / size for size in number]
    share[1] = jnp.broadcast_to(1.0 / units, share[1].shape)
    weight = jnp.where(known, jnp.concatenate(share, -1), 0.0)
    nats = (weight * head.nll(outputs.natural, jnp.where(known, target(batch), 0.0))).sum()
    entries = weight.sum()
    return LossSums(nats, entries, {"nll_sum": nats, "entries": entries}, outputs.buffers)


def target(batch: Batch) -> jax.Array:
    """Values of all nodes side by side, float32 [G, b, T, S + N + F]."""
    return jnp.concatenate([batch.trials[node] for node in NODES], axis=-1)


def asked(query: Query, batch: Batch) -> jax.Array:
    """Entries of the target that are asked, bool [G, b, T, S + N + F]."""
    found = [
        jnp.broadcast_to(query.asked[:, :, place, :, None], batch.trials[node].shape)
        for place, node in enumerate(NODES)
    ]
    found[1] = found[1] & batch.groups["unit_valid"][:, None, None]
    return jnp.concatenate(found, axis=-1)


def validation_query(key: jax.Array, batch: Batch, number: jax.Array, config: Config) -> Query:
    """One pattern for all trials; nothing is drawn."""
    shape = batch.trials["bin_valid"].shape[:2]
    return query_of(jnp.full(shape, number, jnp.int32), batch, config)


def columns(sizes: Sequence[int]) -> dict[str, slice]:
    """Where each node stands in the target's last axis; `sizes` in the order of NODES."""
    ends = np.cumsum(sizes).tolist()
    return {
        node: slice(end - size, end) for node, size, end in zip(NODES, sizes, ends, strict=True)
    }
