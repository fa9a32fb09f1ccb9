"""POYO-style: a token is an event, a unit's spikes at a time; a few latents read them all.

    visible counts -> events [G, b, E]   (time, unit, weight); a count is as many events
                                         at the centre of its bin
    latents [B, L, D]    on a grid in time, read the events by cross-attention
    -> latents           after self-attention
    -> states  [B, T, D] queries at the centres of bins read the latents
    -> log-rates         each unit reads the state of a bin by its read-out row

Attention sees times by rotations alone, which depend on differences of times: they are real numbers
and have no origin. Its cost grows with events and latents, E x L, and not with bins times units.

Equal events are not repeated: a token of weight w gets log w added to its scores, which is what w
equal tokens come to. Each step of the grid has room for `event_share` of its bins x units as
tokens. Where more of these hold spikes, evenly spaced ones are kept and weigh as much more, so that
the step has as many events as before, of fewer units.

A query for each unit and bin would be T x N queries; here a bin's query is shared by the units, and
a unit's part in it is its row. Values stand around what is expected of the visible units, and no
event at all, silence, is a choice of its own in the softmax.

Source: Azabou et al. 2023, "A unified, scalable framework for neural population decoding".
"""

import dataclasses
import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from neurojax.errors import require
from neurojax.facts import Facts
from neurojax.models import ndt, ndt_linear, stitcher
from neurojax.models.attention import Span
from neurojax.models.config import TransformerConfig
from neurojax.models.cross_attention import CrossAttention
from neurojax.models.dense import dense
from neurojax.models.interface import Outputs, SpikeInputs, TableSpec, Weights, by_group, by_trial
from neurojax.models.transformer import Transformer
from neurojax.ranges import at_least, check_ranges, one_of, positive, share
from neurojax.schemes import CAUSAL, PROMPTS

HIDES_BY_ZEROING = False
HAS_CAUSAL_SCHEME = True
READS_ROOTS = True  # the linear model beside it does
HAS_CEILING = True


@dataclasses.dataclass(frozen=True)
class Config(TransformerConfig):
    """Attributes, beside those of the transformer, through which latents see each other:
    read_in_width: K, width of a unit's embedding, its read-in row.
    read_in_init: "random", or "principal": each session's principal components (train split).
    num_session_rows: rows of the session-token table; at least the number of sessions.
    latent_bins: bins between neighbours of the grid of latents.
    latents_per_step: latents at each time of the grid.
    event_share: tokens at most, as a share of bins x units of a step; 1 is without a bound.
    dropout_embed: of latents before they are read into.
    linear_beside: whether the linear model of `ndt_linear` stands beside the transformer.
    posterior_noise, own_alone_share: of that model.
    """

    read_in_width: int
    read_in_init: str
    num_session_rows: int
    latent_bins: int
    latents_per_step: int
    event_share: float
    dropout_embed: float
    linear_beside: bool
    posterior_noise: float
    own_alone_share: float

    def __post_init__(self):
        super().__post_init__()
        check_ranges(self, "model.", RANGES)
        require(
            self.positions == "rotary",
            f"model.positions={self.positions}: times of events are no places in a table; "
            "choose rotary",
        )

    def num_steps(self, num_bins: int) -> int:
        """Steps of the grid of latents, the last of which may reach past the trial."""
        return -(-num_bins // self.latent_bins)

    def most_events(self, num_units: int) -> int:
        """Tokens of N units at most in a step of the grid."""
        return math.ceil(self.event_share * self.latent_bins * num_units)


RANGES = {
    "read_in_width latent_bins latents_per_step": at_least(1),
    "num_session_rows": at_least(0),
    "read_in_init": one_of("random", "principal"),
    "event_share": share("(0, 1]"),
    "dropout_embed own_alone_share": share("[0, 1)"),
    "posterior_noise": positive("ratio"),
}


class Events(NamedTuple):
    """Spikes of trials, in any order.

    Attributes:
        time_bins: float32 [G, b, E], from the start of the trial, in bins.
        unit: int32 [G, b, E], place among the N units.
        weight: float32 [G, b, E], equal events that stand there; 0 for none.
    """

    time_bins: jax.Array
    unit: jax.Array
    weight: jax.Array


def apply(
    weights: Weights, inputs: SpikeInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Log-rates and states of all bins; see `models.interface`."""
    num_bins = inputs.counts.shape[2]
    # Hidden counts are zero, and a zero is no event.
    events = events_of(inputs.counts, is_unit(weights.rows).sum(-1), config)
    grid = Grid.of(num_bins, jnp.arange(num_bins) + 0.5, config)
    states = states_at(weights, events, grid, inputs, config, train, key)
    if config.linear_beside:
        latents = ndt_linear.latents_of(weights.rows, inputs, config)
        states = states + ndt_linear.linear_states(weights.params, latents, inputs, config)
    return ndt_linear.read_out(weights, states, inputs, config, train=train, key=key)


answers = ndt_linear.answers  # log-rates of any states


def is_unit(rows: dict[str, jax.Array]) -> jax.Array:
    """Rows of a group that are of units, bool [G, N]: padding has zeros in all tables."""
    return (rows["read_in"] != 0).any(-1) | (rows["read_out_bias"] != 0)


def events_of(counts: jax.Array, num_units: jax.Array, config: Config) -> Events:
    """Counts as events at the centres of bins.

    Args:
        counts: [G, b, T, N], zero where hidden.
        num_units: int [G], how many of the N are units and not padding: these bound the tokens.
        config: of the model.
    """
    groups, trials, num_bins, width = counts.shape
    steps = config.num_steps(num_bins)
    padding = [(0, 0), (0, 0), (0, steps * config.latent_bins - num_bins), (0, 0)]
    entries = jnp.pad(counts, padding).reshape(groups, trials, steps, -1).astype(jnp.float32)
    bounds = np.asarray([config.most_events(units) for units in range(width + 1)])
    most = jnp.asarray(bounds)[num_units][:, None, None, None]  # [G, 1, 1, 1]
    upto = jnp.cumsum(entries > 0, axis=-1)  # [G, b, steps, entries]
    number = upto[..., -1:]  # of those with spikes
    token = jnp.arange(bounds[-1])[None, None, None]
    # Where there are more than tokens, evenly spaced ones stand for all.
    stands_for = jnp.maximum(number / jnp.maximum(most, 1), 1.0)
    rank = jnp.where(number > most, token * number // jnp.maximum(most, 1), token)
    nth = jnp.vectorize(jnp.searchsorted, signature="(n),(m)->(m)")
    entry = jnp.minimum(nth(upto, rank + 1), entries.shape[-1] - 1)  # [G, b, steps, most]
    weight = jnp.take_along_axis(entries, entry, axis=-1) * stands_for
    weight = jnp.where(token < jnp.minimum(number, most), weight, 0)
    first_bin = config.latent_bins * jnp.arange(steps)[None, None, :, None]
    events = (first_bin + entry // width + 0.5, entry % width, weight)
    return Events(*(each.reshape(groups, trials, -1) for each in events))


class Grid(NamedTuple):
    """Where latents and queries stand, in bins; the origin of time is anywhere.

    Attributes:
        latents: float32 [L], centres of the steps of the grid.
        ends: float32 [L], a latent of a causal trial knows of nothing later.
        queries: float32 [Q].
    """

    latents: jax.Array
    ends: jax.Array
    queries: jax.Array

    @classmethod
    def of(cls, num_bins: int, queries: jax.Array, config: Config, start_bins=0.0) -> "Grid":
        """The grid of trials that start at `start_bins`."""
        step = jnp.repeat(jnp.arange(config.num_steps(num_bins)), config.latents_per_step)
        ends = start_bins + (step + 1.0) * config.latent_bins
        return cls(ends - config.latent_bins / 2, ends, queries)


def states_at(
    weights: Weights, events: Events, grid: Grid, inputs: SpikeInputs, config: Config, train, key
) -> jax.Array:
    """States [G, b, Q, D] of the queries' times.

    Args:
        events: of visible entries alone.
        grid: times of latents and queries.
        inputs: what is hidden, and the scheme; counts are not read.
    """
    rows = weights.rows
    groups, trials = events.unit.shape[:2]
    units = embeddings(rows["read_in"])  # [G, N, K]
    expected, in_a_bin = expected_of(rows, units, inputs)
    states = Poyo(config).apply(
        {"params": weights.params},
        units.astype(config.compute_dtype),
        events,
        (expected.astype(config.compute_dtype), jnp.log(in_a_bin)),
        weights.rows["session_token"],
        inputs.scheme,
        inputs.bin_valid[..., :: config.latent_bins],
        grid,
        train,
        rngs={"dropout": key} if train else None,
    )
    return by_group(states, groups)


def expected_of(rows, units: jax.Array, inputs: SpikeInputs) -> tuple[jax.Array, jax.Array]:
    """What visible units are expected to say: their mean embedding [G, b, K], and their events in
    a bin [G, b]."""
    seen = inputs.visible() & inputs.bin_valid[..., None]
    real = (rows["read_in"] != 0).any(-1)  # padding has rows of zeros
    spikes = seen.sum(2) * (stitcher.base_rates(rows) * real)[:, None]  # [G, b, N], in the trial
    total = jnp.maximum(spikes.sum(-1, keepdims=True), 1e-6)
    expected = jnp.einsum("gbn,gnk->gbk", spikes, units) / total
    return expected, total[..., 0] / jnp.maximum(seen.any(-1).sum(-1), 1)


def embeddings(read_in: jax.Array) -> jax.Array:
    """Rows [G, N, K] at one scale for all sessions: entries of about unit size."""
    real = (read_in != 0).any(-1).sum(-1)[:, None, None]
    size = jnp.sqrt(jnp.square(read_in).sum((1, 2), keepdims=True))
    scale = jnp.sqrt(1.0 * read_in.shape[-1] * real) / jnp.maximum(size, 1e-6)
    return read_in * jax.lax.stop_gradient(scale)


class Poyo(nn.Module):
    """The shared part: from events to the states of queries."""

    config: Config

    @nn.compact
    def __call__(
        self, units, events: Events, expected, session_token, scheme, step_valid, grid: Grid,
        train: bool = False,
    ):  # fmt: skip
        """States [B, Q, D].

        Args:
            units: embeddings [G, N, K].
            events: [G, b, E] each.
            expected: of the visible units mean embedding [G, b, K] and log events a bin [G, b].
            session_token: float32 [G, D].
            scheme: int32 [G, b], ids of schemes.SCHEMES.
            step_valid: bool [G, b, steps], steps of the grid that begin within the trial.
            grid: times.
            train: applies dropout (rng "dropout").
        """
        config, dtype = self.config, jnp.dtype(self.config.compute_dtype)
        vectors = nn.initializers.normal(1.0 if config.init == "released" else 0.1)
        drop = nn.Dropout(config.dropout_embed, deterministic=not train)
        causal = by_trial(scheme) == CAUSAL
        prompts = self.param("prompts", vectors, (len(PROMPTS), config.width))
        prompt, _ = ndt.prompt_of(prompts, scheme)
        context = by_trial(session_token[:, None] + prompt)[:, None]  # [B, 1, D]

        # Latents read the events.
        own = self.param("latents", vectors, (config.latents_per_step, config.width))
        own = jnp.tile(own, (step_valid.shape[-1], 1))[None]  # [1, L, D]
        latents = drop((own + context).astype(dtype))  # [B, L, D]
        mean, log_expected = expected
        to_keys, to_values = (dense(config, config.width, name=n) for n in ("key", "value"))
        # Of units first, since many events are of one unit.
        of_event = jax.vmap(lambda rows, unit: rows[unit])  # [G, N, D] -> [G, b, E, D]
        keys = of_event(to_keys(units), events.unit)
        event = self.param("event", vectors, (config.width,)).astype(dtype)[None, None, None]
        values = of_event(to_values(units), events.unit) - to_values(mean)[:, :, None] + event
        times, weight = by_trial(events.time_bins), by_trial(events.weight)
        allowed = ~causal[:, None, None] | (times[:, None] < grid.ends[None, :, None])
        read = CrossAttention(config, name="read")(
            latents, grid.latents, by_trial(keys), by_trial(values), times, weight, allowed,
            by_trial(log_expected), train,
        )  # fmt: skip
        latents = latents + read

        # They speak with each other.
        valid = jnp.repeat(by_trial(step_valid), config.latents_per_step, axis=1)  # [B, L]
        span = Span(valid, causal, grid.ends)
        latents = Transformer(config, name="transformer")(latents, span, grid.latents, train)
        latents = latents.astype(dtype)

        # Queries read the latents; a bin's own events are not later than the bin.
        query = self.param("query", vectors, (config.width,))[None, None] + context
        num_queries = len(grid.queries)
        query = jnp.broadcast_to(query, (len(query), num_queries, config.width)).astype(dtype)
        keys, values = (
            dense(config, config.width, name=f"latent_{n}")(latents) for n in ("key", "value")
        )
        known = grid.ends[None] <= grid.queries[:, None] + 0.5  # [Q, L]
        answer = CrossAttention(config, name="answer")(
            query, grid.queries, keys, values, grid.latents, valid.astype(jnp.float32),
            ~causal[:, None, None] | known[None], jnp.zeros(len(latents)), train,
        )  # fmt: skip
        states = query + answer
        normed = nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, name="norm_mlp")(states)
        hidden = dense(config, config.mlp_width, name="expand", role="mlp")(normed.astype(dtype))
        more = dense(config, config.width, name="contract", role="output")(
            nn.gelu(hidden, approximate=False)
        )
        states = states + nn.Dropout(config.dropout, deterministic=not train)(more)
        return nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, name="norm")(states).astype(dtype)


# What training starts from.
_INIT_BINS, _INIT_UNITS = 4, 2  # of the trial that shapes are found with


def tables(config: Config) -> dict[str, TableSpec]:
    """Those of `ndt_linear` or of the stitcher; a unit's embedding is its read-in row."""
    return ndt_linear.tables(config) if config.linear_beside else stitcher.tables(config)


fitted_rows = ndt_linear.fitted_rows


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters of the shared part, no buffers)."""
    grid = Grid.of(_INIT_BINS, jnp.arange(_INIT_BINS) + 0.5, config)
    none = jnp.zeros((1, 1, 1), int)
    steps = config.num_steps(_INIT_BINS)
    params = Poyo(config).init(
        key,
        jnp.zeros((1, _INIT_UNITS, config.read_in_width)),
        Events(none + 0.5, none, none * 0.0),
        (jnp.zeros((1, 1, config.read_in_width)), jnp.zeros((1, 1))),
        jnp.zeros((1, config.width)),
        none[0],
        jnp.ones((1, 1, steps), bool),
        grid,
    )["params"]
    if config.linear_beside:
        params |= ndt_linear.linear_init(key, config, facts)
    return params, {}
