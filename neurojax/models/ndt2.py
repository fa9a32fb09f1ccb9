"""NDT2: a token is a patch of units in one bin, so that attention runs over units and time at once.

    what is read [G, b, T, N]      of each count, zero where hidden (see `ndt_linear`)
    -> patches   [G, b, T, M, K]   sums over the units of each patch, by their read-in rows
    -> tokens    [B, 2 + T M, D]   session, prompt, patches of bin 0, patches of bin 1, ...
    -> states    [G, b, T, M, D]   of the patches, after the transformer
    -> log-rates [G, b, T, N]      of each unit from its own patch, by its read-out row

A session of N units has M = N / patch_units patches, and attention over all of them costs M^2 times
that of one token a bin, in time and memory: 1,000 units in patches of 32 are 3,200 tokens of 100
bins. Which patch a unit is in stands in a row of its own, so that the order of units means nothing.

    decoder_layers = 0   encoder only, as in MtM: hidden patches are tokens like all others
    decoder_layers > 0   a masked autoencoder: nothing attends to a patch of which nothing is
                         visible, and a light decoder fills these in

Source: Ye et al. 2023, "Neural Data Transformer 2"; encoder only: Zhang et al. 2024.
"""

import dataclasses
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from neurojax.facts import Facts
from neurojax.models import ndt, ndt_linear, stitcher
from neurojax.models.attention import NUM_CONTEXT, Span
from neurojax.models.dense import dense
from neurojax.models.interface import Outputs, SpikeInputs, TableSpec, Weights, by_group, by_trial
from neurojax.models.transformer import Transformer
from neurojax.ranges import at_least, check_ranges
from neurojax.schemes import CAUSAL, PROMPTS

HIDES_BY_ZEROING = False
HAS_CAUSAL_SCHEME = True
READS_ROOTS = True
HAS_CEILING = True
_PERIODS = (2.0, 4.0, 8.0, 16.0, 32.0)  # in patches, of the waves that tell patches apart


@dataclasses.dataclass(frozen=True)
class Config(ndt_linear.Config):
    """Attributes, beside those of `ndt_linear`:
    patch_units: units of a patch, neighbours in the recording; the last patch may have fewer.
    decoder_layers: 0, or the layers of a masked autoencoder's decoder.
    linear_beside: whether the linear model of `ndt_linear` stands beside the transformer.
    """

    patch_units: int
    decoder_layers: int
    linear_beside: bool

    def __post_init__(self):
        super().__post_init__()
        check_ranges(self, "model.", RANGES)

    def tokens_per_bin(self, num_units: int) -> int:
        """M, patches of a session of so many (padded) units."""
        return -(-num_units // self.patch_units)


RANGES = {"patch_units": at_least(1), "decoder_layers": at_least(0)}


class Patches(NamedTuple):
    """Attributes:
    member: float32 [G, N, M], 1 where a unit is in a patch; a padding unit is in none.
    latents: [G, b, T, M, K].
    hidden: float32 [G, b, T, M], share of a patch that is hidden, of what its units tell.
    """

    member: jax.Array
    latents: jax.Array
    hidden: jax.Array


def apply(
    weights: Weights, inputs: SpikeInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Log-rates and states of all bins; see `models.interface`.

    The state of a bin is the mean over its patches, beside which the linear model's may stand.
    """
    patches = patches_of(weights.rows, inputs, config)
    states = patch_states(weights, patches, inputs, config, train, key)  # [G, b, T, M, D]
    drive = _drive(weights.rows, patches.member, states, inputs.left_out)
    occupied = patches.member.any(1).astype(states.dtype)  # [G, M]
    of_patch = occupied / jnp.maximum(occupied.sum(-1, keepdims=True), 1)
    mean = jnp.einsum("gbtmd,gm->gbtd", states, of_patch)
    beside = jnp.zeros_like(mean)
    if config.linear_beside:
        latents = ndt_linear.latents_of(weights.rows, inputs, config)
        beside = ndt_linear.linear_states(weights.params, latents, inputs, config)
    found = ndt_linear.read_out(weights, beside, inputs, config, train=train, key=key, drive=drive)
    return found._replace(states=mean + beside)


def patches_of(rows: dict[str, jax.Array], inputs: SpikeInputs, config: Config) -> Patches:
    """What is read of each patch of units in each bin, and how much of it is hidden."""
    read, variance = ndt_linear.surprises(rows, inputs, jnp.dtype(config.compute_dtype))
    groups, trials, num_bins, num_units = read.shape
    num_patches = config.tokens_per_bin(num_units)
    # Counted from 1: the rows that padding units read are zeros, so that these are in no patch.
    numbers = jnp.arange(1, num_patches + 1)[None, None]
    member = jax.lax.stop_gradient(jnp.round(rows["patch"])[..., None] == numbers)
    member = member.astype(jnp.float32)  # [G, N, M]
    # Each unit writes into the K channels of its own patch.
    read_in = (member[..., None] * rows["read_in"][:, :, None]).reshape(groups, num_units, -1)
    latents = stitcher.per_group(read, read_in.astype(read.dtype))
    latents = latents.reshape(groups, trials, num_bins, num_patches, -1)
    bias = rows["read_in_bias"][:, None, None, None].astype(read.dtype)

    # A unit tells as much as its read-in has of the variance, whatever is hidden.
    told = jax.lax.stop_gradient(jnp.square(rows["read_in"]).sum(-1) * variance)  # [G, N]
    shown = stitcher.per_group(inputs.visible() * told[:, None, None], member)
    whole = jnp.einsum("gn,gnm->gm", told, member)[:, None, None]
    hidden = 1 - shown / jnp.maximum(whole, 1e-12)  # of a patch without units 1
    return Patches(member, latents + bias, hidden)


def patch_states(
    weights: Weights, patches: Patches, inputs: SpikeInputs, config: Config, train: bool, key
) -> jax.Array:
    """What the shared part makes of the patches: states [G, b, T, M, D]."""
    groups, trials = patches.hidden.shape[:2]
    occupied = patches.member.any(1)[:, None, None] & inputs.bin_valid[..., None]  # [G, b, T, M]
    states = NDT2(config, len(weights.params.get("positions", ()))).apply(
        {"params": weights.params},
        by_trial(patches.latents),
        by_trial(patches.hidden),
        by_trial(occupied),
        jnp.tile(weights.rows["session_token"], (trials, 1)),
        by_trial(inputs.scheme),
        train,
        rngs={"dropout": key} if train else None,
    )
    return by_group(states, groups)


def _drive(rows, member: jax.Array, states: jax.Array, left_out) -> jax.Array:
    """What each unit reads from the state of its patch: float32 [G, b, T, N], or [G, b, T, 1]."""
    read_out = rows["read_out"].astype(states.dtype)
    if left_out is not None:
        own, patch = (
            jnp.take_along_axis(of_units, left_out[..., None], axis=1)  # [G, b, D], [G, b, M]
            for of_units in (read_out, member.astype(states.dtype))
        )
        drive = jnp.einsum("gbtmd,gbd,gbm->gbt", states, own, patch)[..., None]
        return drive.astype(jnp.float32)
    groups, trials, num_bins, num_patches, width = states.shape
    flat = states.reshape(groups, trials, -1, width)
    drives = stitcher.per_group(flat, jnp.swapaxes(read_out, 1, 2)).astype(jnp.float32)
    drives = drives.reshape(groups, trials, num_bins, num_patches, -1)  # from any patch
    return jnp.einsum("gbtmn,gnm->gbtn", drives, member)


class NDT2(nn.Module):
    """The shared part: everything between read-in and read-out."""

    config: Config
    num_positions: int

    @nn.compact
    def __call__(self, latents, hidden, occupied, session_token, scheme, train: bool = False):
        """States [B, T, M, D] of patches [B, T, M, K].

        Args:
            latents: what is read of the patches.
            hidden: float32 [B, T, M], share of each that is hidden.
            occupied: bool [B, T, M], patches with units in bins of the trial.
            session_token: float32 [B, D].
            scheme: int32 [B], ids of schemes.SCHEMES.
            train: applies dropout (rng "dropout").
        """
        config, dtype = self.config, jnp.dtype(self.config.compute_dtype)
        vectors = nn.initializers.normal(1.0 if config.init == "released" else 0.1)
        batch, num_bins, num_patches = hidden.shape
        mask_token = self.param("mask_token", vectors, (config.width,))
        mask_token = mask_token.astype(dtype)[None, None, None]
        place = dense(config, config.width, name="patch_place")(_waves(num_patches))[None, None]
        if config.positions == "learned":
            positions = self.param("positions", vectors, (self.num_positions, config.width))
            place = place + positions[:num_bins].astype(dtype)[None, :, None]
        tokens = ndt.Tokenizer(config, name="tokenizer")(latents) + place  # [B, T, M, D]
        if config.bin_mask_token:
            tokens = tokens + hidden[..., None].astype(dtype) * mask_token

        prompts = self.param("prompts", vectors, (len(PROMPTS), config.width))
        prompt, has_prompt = ndt.prompt_of(prompts, scheme)
        context = jnp.stack([session_token, prompt], axis=1).astype(dtype)  # [B, 2, D]

        def after_context(patches):  # all patches of a bin, then those of the next
            flat = patches.reshape(batch, num_bins * num_patches, config.width)
            return jnp.concatenate([context, flat], axis=1)

        tokens = nn.Dropout(config.dropout_embed, deterministic=not train)(after_context(tokens))
        bins = np.concatenate([np.zeros(NUM_CONTEXT), 1 + np.arange(num_bins).repeat(num_patches)])
        in_time = jnp.asarray(bins, jnp.float32)
        flat = occupied.reshape(batch, -1)
        span = Span.of(flat, scheme == CAUSAL, has_prompt)._replace(place=in_time)
        encoder_span, masked = span, None
        if config.decoder_layers:
            masked = hidden >= 1
            shown = (occupied & ~masked).reshape(batch, -1)
            encoder_span = Span.of(shown, scheme == CAUSAL, has_prompt)._replace(place=in_time)
        tokens = Transformer(config, name="transformer")(tokens, encoder_span, in_time, train)
        if config.decoder_layers:
            states = tokens[:, NUM_CONTEXT:].reshape(batch, num_bins, num_patches, -1)
            states = jnp.where(masked[..., None], mask_token + place, states.astype(dtype))
            light = dataclasses.replace(config, num_layers=config.decoder_layers)
            tokens = jnp.concatenate(
                [tokens[:, :NUM_CONTEXT].astype(dtype), after_context(states)[:, NUM_CONTEXT:]], 1
            )
            tokens = Transformer(light, name="decoder")(tokens, span, in_time, train)
        states = tokens[:, NUM_CONTEXT:].astype(dtype)
        return states.reshape(batch, num_bins, num_patches, config.width)


def _waves(num_patches: int) -> jax.Array:
    """Sines and cosines of a patch's number, float32 [M, 10]: patches of any number differ."""
    phase = 2 * np.pi * np.arange(num_patches)[:, None] / np.asarray(_PERIODS)[None]
    return jnp.asarray(np.concatenate([np.sin(phase), np.cos(phase)], axis=1), jnp.float32)


# What training starts from.
_INIT_SHAPE = (1, 2, 2)  # of a trial that shapes are found with; no parameter depends on it


def tables(config: Config) -> dict[str, TableSpec]:
    """Those of `ndt_linear` or of the stitcher, and the number of each unit's patch, from 1."""

    def numbers(key, facts: Facts) -> jax.Array:  # [U]
        patch = [1 + np.arange(size) // config.patch_units for size in facts.units_per_session]
        return jnp.asarray(np.concatenate(patch), jnp.float32)

    rows = ndt_linear.tables(config) if config.linear_beside else stitcher.tables(config)
    return rows | {"patch": TableSpec("unit", None, numbers)}


fitted_rows = ndt_linear.fitted_rows


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters of the shared part, no buffers)."""
    latents, flags = jnp.zeros((*_INIT_SHAPE, config.read_in_width)), jnp.zeros(_INIT_SHAPE)
    arguments = (latents, flags, flags == 0, jnp.zeros((1, config.width)), jnp.zeros(1, int))
    network = NDT2(config, ndt.positions_needed(config, facts))
    params = network.init(key, *arguments)["params"]
    if config.linear_beside:
        params |= ndt_linear.linear_init(key, config, facts)
    return params, {}
