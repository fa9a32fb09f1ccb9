"""Diagonal state spaces instead of attention: what a trial costs grows with its bins, not with
their square.

    visible counts [G, b, T, N]
    -> latents     [G, b, T, K]   of `ndt_linear`
    -> tokens      [B, T, D]      of a bin each; its session and what is asked are added to all
    -> states      [G, b, T, D]   after layers that mix bins by recurrences, and then channels
    -> log-rates   [G, b, T, N]   of `ndt_linear`, whose linear model stands beside

A layer has S complex numbers that decay and turn from bin to bin and are driven by the tokens,

    x_t = a x_(t-1) + sqrt(1 - |a|^2) B u_t,    |a| < 1,    y_t = Re(C x_t),

once forwards in time and once, with an `a` and C of its own, backwards. In causal trials the second
is left out, so that no bin reads a later one.

Source: Orvieto et al. 2023, "Resurrecting recurrent neural networks for long sequences", section 3;
without a state's own skip, since a residual is there. Two directions: Gu et al. 2022 (S4D).
"""

import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.facts import Facts
from neurojax.models import ndt, ndt_linear, stitcher
from neurojax.models.dense import dense, fused_dense
from neurojax.models.interface import Outputs, SpikeInputs, Weights, by_group, by_trial
from neurojax.ranges import at_least, check_ranges, one_of, positive, share
from neurojax.schemes import CAUSAL, PROMPTS

HIDES_BY_ZEROING = False
HAS_CAUSAL_SCHEME = True
READS_ROOTS = True
HAS_CEILING = True
DIRECTIONS = ("forwards", "backwards")
_MEMORIES_BINS = (1.0, 200.0)  # that states decay over at the start, even on a log scale
_MOST_TURN = 0.2 * math.pi  # of a state from bin to bin at the start


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    width, num_layers, mlp_width: D, layers, hidden units of a layer's MLP.
    state_width: S, complex states of a layer in each direction.
    dropout: after the states and after the MLP.
    dropout_embed: of tokens before the first layer.
    init, compute_dtype: as of the transformer; recurrences stay float32.
    remat: "block" keeps of each layer its input alone for the backward pass, "none" everything.
    read_in_width, embed_width, num_session_rows, bin_mask_token, read_in_init: as of `ndt`.
    posterior_noise, own_alone_share: as of `ndt_linear`.
    """

    width: int
    num_layers: int
    mlp_width: int
    state_width: int
    dropout: float
    dropout_embed: float
    init: str
    compute_dtype: str
    remat: str
    read_in_width: int
    embed_width: int
    num_session_rows: int
    bin_mask_token: bool
    read_in_init: str
    posterior_noise: float
    own_alone_share: float

    def __post_init__(self):
        check_ranges(self, "model.", RANGES)


RANGES = {
    "width num_layers mlp_width state_width read_in_width": at_least(1),
    "embed_width num_session_rows": at_least(0),
    "dropout dropout_embed own_alone_share": share("[0, 1)"),
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
    latents = stitcher.read_in(weights.rows, read(weights.rows, inputs, config))
    return from_latents(weights, latents, inputs, config, train=train, key=key)


def from_latents(
    weights: Weights, latents, inputs: SpikeInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """The rest of `apply`; see `models.interface`."""
    groups, trials = inputs.scheme.shape
    latents = ndt_linear.explained(weights.rows, latents, inputs, config)
    states = StateSpaces(config).apply(
        {"params": weights.params},
        by_trial(latents),
        jnp.tile(weights.rows["session_token"], (trials, 1)),
        by_trial(inputs.scheme),
        by_trial(inputs.hidden_bins),
        by_trial(inputs.bin_valid),
        train,
        rngs={"dropout": key} if train else None,
    )
    states = by_group(states, groups)
    states = states + ndt_linear.linear_states(weights.params, latents, inputs, config)
    return ndt_linear.read_out(weights, states, inputs, config, train=train, key=key)


read = ndt_linear.read  # of every entry
answers = ndt_linear.answers  # log-rates of any states


class StateSpaces(nn.Module):
    """The shared part: everything between read-in and read-out, but for the linear model."""

    config: Config

    @nn.compact
    def __call__(self, latents, session_token, scheme, hidden_bins, bin_valid, train: bool = False):
        """States [B, T, D] of latents [B, T, K]; arguments as of `ndt.NDT`."""
        config, dtype = self.config, jnp.dtype(self.config.compute_dtype)
        vectors = nn.initializers.normal(1.0 if config.init == "released" else 0.1)
        tokens = ndt.Tokenizer(config, name="tokenizer")(latents)  # [B, T, D]
        if config.bin_mask_token:
            mask_token = self.param("bin_mask_token", vectors, (config.width,))
            tokens = tokens + hidden_bins[..., None] * mask_token.astype(dtype)[None, None]
        prompts = self.param("prompts", vectors, (len(PROMPTS), config.width))
        prompt, _ = ndt.prompt_of(prompts, scheme)
        tokens = tokens + (session_token + prompt).astype(dtype)[:, None]
        tokens = nn.Dropout(config.dropout_embed, deterministic=not train)(tokens)

        layers = nn.scan(
            Layer if config.remat == "none" else nn.remat(Layer, prevent_cse=False),
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=(nn.broadcast, nn.broadcast),
            length=config.num_layers,
        )(config, train, name="layers")
        tokens, _ = layers(tokens, bin_valid, scheme == CAUSAL)
        return nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, name="norm")(tokens).astype(dtype)


class Layer(nn.Module):
    """Norm, recurrences over bins, residual; norm, MLP, residual."""

    config: Config
    train: bool

    @nn.compact
    def __call__(self, tokens: jax.Array, bin_valid: jax.Array, causal: jax.Array, before=None):
        """tokens [B, T, D], bin_valid bool [B, T], causal bool [B] -> (tokens, None); or, after the
        states complex64 [B, S] of the bins before, in causal trials: (tokens, the last states)."""
        config, dtype = self.config, jnp.dtype(self.config.compute_dtype)
        dropout = nn.Dropout(config.dropout, deterministic=not self.train)

        def normed(name: str) -> jax.Array:
            norm = nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, name=name)
            return norm(tokens).astype(dtype)

        parts = [dense(config, config.state_width, name=f"drive_{n}") for n in ("real", "turned")]
        real, turned = fused_dense(parts, normed("norm_states"))
        # Bins past a trial's end drive nothing, in either direction.
        drive = jnp.where(bin_valid[..., None], real + 1j * turned.astype(jnp.float32), 0)
        read = []
        for direction in DIRECTIONS:
            logs = self._logs(direction)
            if direction == "forwards":
                states = recurrence(drive, logs, before)
                last = None if before is None else states[:, -1]
            else:
                states = recurrence(drive, logs, backwards=True)
                states = jnp.where(causal[:, None, None], 0, states)
            read += [states.real, states.imag]
        mixed = jnp.concatenate(read, axis=-1).astype(dtype)  # [B, T, 4S]
        mixed = nn.gelu(dense(config, config.width, name="read")(mixed), approximate=False)
        tokens = tokens + dropout(dense(config, config.width, name="output", role="output")(mixed))

        expanded = dense(config, config.mlp_width, name="expand", role="mlp")(normed("norm_mlp"))
        more = dense(config, config.width, name="contract", role="output")(
            nn.gelu(expanded, approximate=False)
        )
        return tokens + dropout(more), last

    def _logs(self, direction: str) -> jax.Array:
        """Log of what each state is multiplied by from bin to bin, complex64 [S]."""
        shape = (self.config.state_width,)
        log_decay = self.param(f"log_decay_{direction}", _log_decays, shape)
        turn = self.param(f"turn_{direction}", nn.initializers.uniform(_MOST_TURN), shape)
        return -jnp.exp(log_decay) + 1j * turn


def recurrence(
    drive: jax.Array, log_factors: jax.Array, before=None, *, backwards: bool = False
) -> jax.Array:
    """States of x_t = a x_(t-1) + sqrt(1 - |a|^2) u_t.

    Args:
        drive: u, complex64 [B, T, S].
        log_factors: log a, complex64 [S], with real parts below zero.
        before: x before the first bin, complex64 [B, S]; None for 0.
        backwards: from the last bin on, x_t = a x_(t+1) + ...

    Returns:
        complex64 [B, T, S]; of the size of `drive`, whatever the memory.
    """
    scale = jnp.sqrt(-jnp.expm1(2 * log_factors.real))  # 1 - |a|^2 loses a long memory's digits
    kept = jnp.exp(log_factors)[None]

    def next_bin(state, of_bin):
        state = kept * state + of_bin
        return state, state

    # One bin after another: on a CPU three times as fast as an associative scan, in less memory.
    in_time = jnp.moveaxis(scale[None, None] * drive, 1, 0)  # [T, B, S]
    start = jnp.zeros_like(in_time[0]) if before is None else before
    _, states = jax.lax.scan(next_bin, start, in_time, reverse=backwards)
    return jnp.moveaxis(states, 0, 1)


def _log_decays(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32) -> jax.Array:
    """Log of decays a bin: of memories even on a log scale, in any order."""
    shortest, longest = (math.log(bins) for bins in _MEMORIES_BINS)
    return -jax.random.uniform(key, shape, dtype, shortest, longest)


# What training starts from.
_INIT_BINS = 4  # of the trial that shapes are found with

tables = ndt_linear.tables
fitted_rows = ndt_linear.fitted_rows


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters of the shared part, no buffers)."""
    latents = jnp.zeros((1, _INIT_BINS, config.read_in_width))
    flags = jnp.zeros(latents.shape[:2], bool)
    arguments = (latents, jnp.zeros((1, config.width)), jnp.zeros(1, int), flags, ~flags)
    params = StateSpaces(config).init(key, *arguments)["params"]
    return params | ndt_linear.linear_init(key, config, facts), {}
