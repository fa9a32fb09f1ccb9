"""STNDT: a transformer reads bins in time, another the units of the same trial; both tell units.

    what is read   [G, b, T, N]   of each count, zero where hidden (see `ndt_linear`)
    -> states      [G, b, T, D]   in time, a token a bin: those of `ndt_linear`
    -> unit states [B, N, D]      in space, a token a unit: its row, and what it did in the trial
    -> mixing      [G, b, N, N]   who listens to whom in this trial: heads of attention over units,
                                  each times a size that the listening unit gives it
    -> log-rates   [G, b, T, N]   from the states by the unit's read-out row; and mixing, times
                                  what all units are expected to do in the bin, and were seen to do

The product of mixing and what is known in time is the paper's. There both are as wide as the one
recording has units; here rows of units stand on either side, so that sessions share all else, and a
unit is known by its read-in row, wherever it stands.

What a unit did is how much of it there is in sines and cosines of the trial, of any length. It
tells of later bins, so that causal trials go without: who listens to whom then follows from who the
units are.

Source: Le & Shlizerman 2022, "STNDT: Modeling neural population activity with spatiotemporal
transformers", section 3; without its contrastive loss.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from neurojax.facts import Facts
from neurojax.models import ndt, ndt_linear, poyo, stitcher
from neurojax.models.attention import Span
from neurojax.models.dense import dense
from neurojax.models.interface import Outputs, SpikeInputs, Weights, by_group, by_trial
from neurojax.models.transformer import Transformer
from neurojax.ranges import at_least, check_ranges
from neurojax.schemes import CAUSAL, PROMPTS

HIDES_BY_ZEROING = False
HAS_CAUSAL_SCHEME = True
READS_ROOTS = True
HAS_CEILING = True
_PERIODS_BINS = (
    4.0,
    8.0,
    16.0,
    32.0,
    64.0,
    128.0,
)  # of the waves that a trial of a unit is told by
NUM_WAVES = 1 + 2 * len(_PERIODS_BINS)


@dataclasses.dataclass(frozen=True)
class Config(ndt_linear.Config):
    """Attributes, beside those of `ndt_linear`:
    space_layers: layers of the transformer over units; its width, heads and MLP are those in time.
    """

    space_layers: int

    def __post_init__(self):
        super().__post_init__()
        check_ranges(self, "model.", RANGES)


RANGES = {"space_layers": at_least(1)}


def apply(
    weights: Weights, inputs: SpikeInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Log-rates and states of all bins; see `models.interface`. States are those in time."""
    latents = ndt_linear.latents_of(weights.rows, inputs, config)
    keys = (None, None) if key is None else jax.random.split(key)
    states = ndt.bin_states(weights, latents, inputs, config, train, keys[0])
    states = states + ndt_linear.linear_states(weights.params, latents, inputs, config)
    return _told(weights, states, inputs, config, train, keys[1])


def answers(weights: Weights, states, inputs: SpikeInputs, config: Config) -> Outputs:
    """Log-rates of any states [G, b, T, D]; see `models.interface`."""
    return _told(weights, states, inputs, config, False, None)


def _told(weights: Weights, states, inputs: SpikeInputs, config: Config, train, key) -> Outputs:
    """What both ways together say of each unit."""
    mixing = mixing_of(weights, inputs, config, train, key)  # [G, b, N, N]
    if inputs.left_out is not None:
        mixing = jnp.take_along_axis(mixing, inputs.left_out[..., None, None], axis=2)
    read, _ = ndt_linear.surprises(weights.rows, inputs, states.dtype)
    expected = stitcher.per_group(
        states, jnp.swapaxes(weights.rows["read_out"], 1, 2).astype(states.dtype)
    )
    drive = jnp.einsum("gbnm,gbtm->gbtn", mixing, read + expected).astype(jnp.float32)
    return ndt_linear.read_out(weights, states, inputs, config, train=train, key=key, drive=drive)


def mixing_of(weights: Weights, inputs: SpikeInputs, config: Config, train: bool, key) -> jax.Array:
    """By how much each unit follows each other one in a trial: [G, b, N, N], listening unit first.

    Args:
        weights: of the model.
        inputs: of the batch.
        config: of the model.
        train, key: dropout.
    """
    rows, groups = weights.rows, len(inputs.scheme)
    units = poyo.embeddings(rows["read_in"])  # [G, N, K]
    did = jnp.where(inputs.scheme[..., None, None] == CAUSAL, 0, waves_of(rows, inputs, config))
    seen = inputs.visible().any(2).astype(did.dtype)  # [G, b, N], units of which anything is
    found = Space(config).apply(
        {"params": weights.params["space"]},
        jnp.broadcast_to(units[:, None], (*did.shape[:3], units.shape[-1])).astype(did.dtype),
        did,
        seen,
        poyo.is_unit(rows),
        rows["session_token"],
        inputs.scheme,
        train,
        rngs={"dropout": key} if train else None,
    )
    return by_group(found, groups)


def waves_of(rows: dict[str, jax.Array], inputs: SpikeInputs, config: Config) -> jax.Array:
    """What each unit did in a trial: what is read of it times waves, [G, b, N, waves], mean over
    the bins in which it is visible.
    """
    read, _ = ndt_linear.surprises(rows, inputs, jnp.dtype(config.compute_dtype))
    visible = inputs.visible() & inputs.bin_valid[..., None]
    number = jnp.maximum(visible.sum(2), 1)[..., None].astype(read.dtype)  # [G, b, N, 1]
    read = jnp.where(inputs.bin_valid[..., None], read, 0)
    waves = jnp.asarray(_waves(read.shape[2]), read.dtype)
    return jnp.einsum("gbtn,tw->gbnw", read, waves) / number


def _waves(num_bins: int) -> np.ndarray:
    """A constant, sines and cosines of bins, float32 [T, waves], each of mean square about 1."""
    phase = 2 * np.pi * (np.arange(num_bins)[:, None] + 0.5) / np.asarray(_PERIODS_BINS)[None]
    parts = [np.ones((num_bins, 1)), np.sqrt(2) * np.sin(phase), np.sqrt(2) * np.cos(phase)]
    return np.concatenate(parts, axis=1).astype(np.float32)


class Space(nn.Module):
    """The transformer over units, and the mixing that follows from its states."""

    config: Config

    @nn.compact
    def __call__(self, units, did, seen, is_unit, session_token, scheme, train: bool = False):
        """Mixing [B, N, N] of units.

        Args:
            units: embeddings [G, b, N, K].
            did: what each did in its trial, [G, b, N, waves].
            seen: float [G, b, N], 1 where a unit is visible at all.
            is_unit: bool [G, N], False in padding.
            session_token: float32 [G, D].
            scheme: int32 [G, b], ids of schemes.SCHEMES.
            train: applies dropout (rng "dropout").
        """
        config, dtype = self.config, jnp.dtype(self.config.compute_dtype)
        deep = dataclasses.replace(config, num_layers=config.space_layers, positions="learned")
        vectors = nn.initializers.normal(1.0 if config.init == "released" else 0.1)
        prompts = self.param("prompts", vectors, (len(PROMPTS), config.width))
        unseen = self.param("unseen", vectors, (config.width,))[None, None, None]
        prompt, _ = ndt.prompt_of(prompts, scheme)
        tokens = dense(config, config.width, name="who")(units)
        tokens = tokens + dense(config, config.width, name="what")(did)
        tokens = tokens + (1 - seen)[..., None] * unseen.astype(dtype)
        tokens = tokens + (session_token[:, None] + prompt).astype(dtype)[:, :, None]
        tokens = by_trial(tokens)  # [B, N, D]
        tokens = nn.Dropout(config.dropout_embed, deterministic=not train)(tokens)
        valid = by_trial(jnp.broadcast_to(is_unit[:, None], seen.shape))  # [B, N]
        span = Span(valid, jnp.zeros(len(tokens), bool))  # units have no order, and none is later
        places = jnp.zeros(tokens.shape[1])
        states = Transformer(deep, name="transformer")(tokens, span, places, train).astype(dtype)

        heads = (*states.shape[:2], config.num_heads, config.width // config.num_heads)
        asks, keys = (
            dense(config, config.width, name=n)(states).reshape(heads)
            for n in ("listens", "speaks")
        )
        scores = jnp.einsum("bnhe,bmhe->bhnm", asks, keys).astype(jnp.float32) / heads[-1] ** 0.5
        shares = jax.nn.softmax(jnp.where(valid[:, None, None], scores, jnp.finfo(jnp.float32).min))
        # From nothing: training starts where it does without this way.
        kernel = self.param("size", nn.initializers.zeros, (config.width, config.num_heads))
        size = states.astype(jnp.float32) @ kernel  # [B, N, H]
        return jnp.einsum("bhnm,bnh->bnm", shares, size).astype(dtype)


# What training starts from.
_INIT_UNITS = 2  # of the trial that shapes are found with

tables = ndt_linear.tables
fitted_rows = ndt_linear.fitted_rows


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters of the shared part, no buffers)."""
    params, buffers = ndt_linear.init(key, config, facts)
    shape = (1, 1, _INIT_UNITS)
    space = Space(config).init(
        jax.random.fold_in(key, 1),
        jnp.zeros((*shape, config.read_in_width)),
        jnp.zeros((*shape, NUM_WAVES)),
        jnp.ones(shape),
        jnp.ones((1, _INIT_UNITS), bool),
        jnp.zeros((1, config.width)),
        jnp.zeros((1, 1), int),
    )["params"]
    return params | {"space": space}, buffers
