"""POSSM-style: the spikes of a short chunk of time are read by few queries, chunks by recurrences.

    visible counts -> events [B, E, chunk]  (time, unit, weight) of each chunk, as in `poyo`
    -> chunks [B, C, D]      queries of the chunk read its events, and nothing else, by
                             cross-attention
    -> chunks                after layers of state spaces, as in `ssm`
    -> states [G, b, T, D]   queries at the centres of bins read the chunks around, or the last ones
    -> log-rates             each unit reads the state of a bin by its read-out row

What a chunk costs depends on no other one: spikes are read once, and what is remembered of them is
the state of the recurrences. In causal trials these run forwards alone, and a bin reads chunks that
have ended by then; `possm_stream` goes through such trials bin by bin.

Chunks with hidden bins are told by a vector of their own, times the share that is hidden, since
silence there means nothing. The linear model of `ndt_linear` stands beside.

Source: Ryoo et al. 2025, "Generalizable, real-time neural decoding with hybrid state-space models",
section 2; there trained on behaviour, from the past alone. Events: Azabou et al. 2023; recurrences:
Orvieto et al. 2023.
"""

import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.errors import require
from neurojax.facts import Facts
from neurojax.models import ndt, ndt_linear, poyo, ssm
from neurojax.models.cross_attention import CrossAttention
from neurojax.models.dense import dense
from neurojax.models.interface import Outputs, SpikeInputs, Weights, by_group, by_trial
from neurojax.models.poyo import Events
from neurojax.ranges import at_least, check_ranges, one_of, positive, share
from neurojax.schemes import CAUSAL, PROMPTS

HIDES_BY_ZEROING = False
HAS_CAUSAL_SCHEME = True
READS_ROOTS = True  # the linear model beside it does
HAS_CEILING = True


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    width, num_layers, mlp_width, state_width: D, layers of state spaces, their sizes; see `ssm`.
    num_heads: of the two cross-attentions.
    dropout, dropout_embed, init, compute_dtype, remat: as of `ssm`.
    read_in_width: K, width of a unit's embedding, its read-in row.
    num_session_rows, read_in_init: as of `ndt`.
    latent_bins: bins of a chunk.
    latents_per_step: queries that read a chunk.
    event_share: tokens at most, as a share of bins x units of a chunk; 1 is without a bound.
    answer_steps: chunks that a bin reads: in causal trials the last ones, else as many around it.
    posterior_noise, own_alone_share: as of `ndt_linear`.
    """

    width: int
    num_layers: int
    mlp_width: int
    state_width: int
    num_heads: int
    dropout: float
    dropout_embed: float
    init: str
    compute_dtype: str
    remat: str
    read_in_width: int
    num_session_rows: int
    read_in_init: str
    latent_bins: int
    latents_per_step: int
    event_share: float
    answer_steps: int
    posterior_noise: float
    own_alone_share: float

    def __post_init__(self):
        check_ranges(self, "model.", RANGES)
        require(
            self.width % (2 * self.num_heads) == 0,
            f"model.width={self.width} is not a multiple of twice model.num_heads="
            f"{self.num_heads}, as rotations need",
        )

    def num_steps(self, num_bins: int) -> int:
        """C, chunks of a trial, the last of which may reach past it."""
        return -(-num_bins // self.latent_bins)

    def most_events(self, num_units: int) -> int:
        """Tokens of N units at most in a chunk."""
        return math.ceil(self.event_share * self.latent_bins * num_units)


RANGES = {
    "width num_layers mlp_width state_width num_heads read_in_width": at_least(1),
    "latent_bins latents_per_step answer_steps": at_least(1),
    "num_session_rows": at_least(0),
    "dropout dropout_embed own_alone_share": share("[0, 1)"),
    "event_share": share("(0, 1]"),
    "init": one_of("released", "scaled"),
    "compute_dtype": one_of("float32", "bfloat16"),
    "remat": one_of("none", "block"),
    "read_in_init": one_of("random", "principal"),
    "posterior_noise": positive("ratio"),
}


def apply(
    weights: Weights, inputs: SpikeInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Log-rates and states of all bins; see `models.interface`."""
    states = bin_states(weights, inputs, config, train, key)
    latents = ndt_linear.latents_of(weights.rows, inputs, config)
    states = states + ndt_linear.linear_states(weights.params, latents, inputs, config)
    return ndt_linear.read_out(weights, states, inputs, config, train=train, key=key)


answers = ndt_linear.answers  # log-rates of any states


def bin_states(
    weights: Weights, inputs: SpikeInputs, config: Config, train: bool, key
) -> jax.Array:
    """What the shared part makes of the events of trials: states [G, b, T, D]."""
    rows, num_bins = weights.rows, inputs.counts.shape[2]
    units = poyo.embeddings(rows["read_in"])  # [G, N, K]
    expected, in_a_bin = poyo.expected_of(rows, units, inputs)
    # Hidden counts are zero, and a zero is no event.
    events = poyo.events_of(inputs.counts, poyo.is_unit(rows).sum(-1), config)
    hidden = (inputs.hidden_bins & inputs.bin_valid).astype(config.compute_dtype)
    steps = config.num_steps(num_bins)
    states = Possm(config).apply(
        {"params": weights.params},
        units.astype(config.compute_dtype),
        events,
        (expected.astype(config.compute_dtype), jnp.log(in_a_bin)),
        rows["session_token"],
        inputs.scheme,
        of_steps(hidden, steps, config).mean(-1),
        of_steps(inputs.bin_valid, steps, config).any(-1),
        num_bins,
        train,
        rngs={"dropout": key} if train else None,
    )
    return by_group(states, len(units))


def of_steps(of_bins: jax.Array, steps: int, config: Config) -> jax.Array:
    """[G, b, T] -> [G, b, chunks, bins of a chunk]; what is past the trial is zero."""
    missing = steps * config.latent_bins - of_bins.shape[-1]
    padded = jnp.pad(of_bins, [(0, 0), (0, 0), (0, missing)])
    return padded.reshape(*of_bins.shape[:2], steps, config.latent_bins)


class Possm(nn.Module):
    """The shared part: from events to the states of bins."""

    config: Config

    @nn.compact
    def __call__(
        self, units, events: Events, expected, session_token, scheme, hidden, step_valid,
        num_bins: int, train: bool = False,
    ):  # fmt: skip
        """States [B, T, D].

        Args:
            units: embeddings [G, N, K].
            events: [G, b, E] each, chunk after chunk, as many in each.
            expected: of the visible units mean embedding [G, b, K] and log events a bin [G, b].
            session_token: float32 [G, D].
            scheme: int32 [G, b], ids of schemes.SCHEMES.
            hidden: float [G, b, C], share of each chunk's bins that is hidden.
            step_valid: bool [G, b, C], chunks that begin within the trial.
            num_bins: T.
            train: applies dropout (rng "dropout").
        """
        config, dtype = self.config, jnp.dtype(self.config.compute_dtype)
        vectors = nn.initializers.normal(1.0 if config.init == "released" else 0.1)
        prompts = self.param("prompts", vectors, (len(PROMPTS), config.width))
        prompt, _ = ndt.prompt_of(prompts, scheme)
        context = by_trial(session_token[:, None] + prompt)[:, None].astype(dtype)  # [B, 1, D]
        causal = by_trial(scheme) == CAUSAL

        chunks = ReadChunks(config, name="read")(units, events, expected, train)  # [B, C, D]
        masked = self.param("mask_token", vectors, (config.width,)).astype(dtype)
        chunks = chunks + context + by_trial(hidden)[..., None].astype(dtype) * masked[None, None]
        chunks = nn.Dropout(config.dropout_embed, deterministic=not train)(chunks)

        valid = by_trial(step_valid)  # [B, C]
        layers = nn.scan(
            ssm.Layer if config.remat == "none" else nn.remat(ssm.Layer, prevent_cse=False),
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=(nn.broadcast, nn.broadcast),
            length=config.num_layers,
        )(config, train, name="layers")
        chunks, _ = layers(chunks, valid, causal)

        queries = jnp.arange(num_bins) + 0.5
        allowed = readable(chunks.shape[1], queries, causal, config)
        return Answer(config, name="answer")(chunks, valid, queries, allowed, context, train)


def readable(num_steps: int, queries: jax.Array, causal: jax.Array, config: Config) -> jax.Array:
    """Which chunks each bin reads, bool [B, T, C].

    Args:
        num_steps: C.
        queries: float32 [T], centres of bins.
        causal: bool [B].
        config: `latent_bins`, `answer_steps`.
    """
    ends = (jnp.arange(num_steps) + 1.0) * config.latent_bins
    reach = config.answer_steps * config.latent_bins
    ago = (queries[:, None] + 0.5) - ends[None]  # [T, C], bins since the end of the chunk
    past = (ago >= 0) & (ago < reach)
    around = jnp.abs(queries[:, None] - (ends[None] - config.latent_bins / 2)) <= reach / 2
    return jnp.where(causal[:, None, None], past[None], around[None])


class ReadChunks(nn.Module):
    """The queries of a chunk read its events: one token of each chunk."""

    config: Config

    @nn.compact
    def __call__(self, units, events: Events, expected, train: bool) -> jax.Array:
        """Tokens [B, C, D]; arguments as of `Possm`."""
        config, dtype = self.config, jnp.dtype(self.config.compute_dtype)
        vectors = nn.initializers.normal(1.0 if config.init == "released" else 0.1)
        mean, log_expected = expected
        per_chunk = config.most_events(units.shape[1])
        chunks = events.unit.shape[-1] // per_chunk
        to_keys, to_values = (dense(config, config.width, name=n) for n in ("key", "value"))
        # Of units first, since many events are of one unit.
        of_event = jax.vmap(lambda rows, unit: rows[unit])  # [G, N, D] -> [G, b, E, D]
        keys = of_event(to_keys(units), events.unit)
        event = self.param("event", vectors, (config.width,)).astype(dtype)[None, None, None]
        values = of_event(to_values(units), events.unit) - to_values(mean)[:, :, None] + event

        def in_chunks(array):  # [G, b, E, ...] -> [B C, events of a chunk, ...]
            flat = by_trial(array)
            return flat.reshape(len(flat) * chunks, per_chunk, *flat.shape[2:])

        within = events.time_bins % config.latent_bins  # from the chunk's own start
        keys, values, times, weight = map(in_chunks, (keys, values, within, events.weight))
        own = self.param("latents", vectors, (config.latents_per_step, config.width))
        queries = jnp.broadcast_to(own[None].astype(dtype), (len(keys), *own.shape))
        centre = jnp.full(config.latents_per_step, config.latent_bins / 2)
        allowed = jnp.ones((1, 1, 1), bool)
        log_expected = jnp.repeat(by_trial(log_expected), chunks)
        read = CrossAttention(config, name="events")(
            queries, centre, keys, values, times, weight, allowed, log_expected, train
        )
        read = read.reshape(-1, chunks, config.latents_per_step * config.width)
        return dense(config, config.width, name="join")(read)


class Answer(nn.Module):
    """Queries at the centres of bins read chunks."""

    config: Config

    @nn.compact
    def __call__(self, chunks, valid, queries, allowed, context, train: bool) -> jax.Array:
        """States [B, Q, D].

        Args:
            chunks: [B, C, D], after the recurrences.
            valid: bool [B, C].
            queries: float32 [Q], times in bins.
            allowed: bool [B, Q, C], which chunks each query reads.
            context: [B, 1, D], of the session and of what is asked.
            train: applies dropout.
        """
        config, dtype = self.config, jnp.dtype(self.config.compute_dtype)

        def normed(states, name: str):
            norm = nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, name=name)
            return norm(states).astype(dtype)

        told = normed(chunks, "norm_chunks")
        keys, values = (dense(config, config.width, name=n)(told) for n in ("key", "value"))
        ends = (jnp.arange(chunks.shape[1]) + 1.0) * config.latent_bins
        query = self.param("query", nn.initializers.normal(0.1), (config.width,)).astype(dtype)
        asks = jnp.broadcast_to(
            query[None, None] + context, (len(chunks), len(queries), config.width)
        )
        found = CrossAttention(config, name="chunks")(
            asks, queries, keys, values, ends - config.latent_bins / 2,
            valid.astype(jnp.float32), allowed, jnp.zeros(len(chunks)), train,
        )  # fmt: skip
        states = asks + found
        hidden = dense(config, config.mlp_width, name="expand", role="mlp")(
            normed(states, "norm_mlp")
        )
        more = dense(config, config.width, name="contract", role="output")(
            nn.gelu(hidden, approximate=False)
        )
        states = states + nn.Dropout(config.dropout, deterministic=not train)(more)
        return normed(states, "norm")


# What training starts from.
_INIT_BINS, _INIT_UNITS = 4, 2  # of the trial that shapes are found with

tables = ndt_linear.tables
fitted_rows = ndt_linear.fitted_rows


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters of the shared part, no buffers)."""
    steps = config.num_steps(_INIT_BINS)
    none = jnp.zeros((1, 1, steps * config.most_events(_INIT_UNITS)), int)
    params = Possm(config).init(
        key,
        jnp.zeros((1, _INIT_UNITS, config.read_in_width)),
        Events(none + 0.5, none, none * 0.0),
        (jnp.zeros((1, 1, config.read_in_width)), jnp.zeros((1, 1))),
        jnp.zeros((1, config.width)),
        jnp.zeros((1, 1), int),
        jnp.zeros((1, 1, steps)),
        jnp.ones((1, 1, steps), bool),
        _INIT_BINS,
    )["params"]
    return params | ndt_linear.linear_init(key, config, facts), {}
