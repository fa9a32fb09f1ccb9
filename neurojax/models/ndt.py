"""NDT1-stitch assembled: read-in, tokens, context tokens, transformer, read-out.

    visible counts [G, b, T, N] -> read-in [G, b, T, K] -> tokens [B, T, D]
    [session, prompt, bin 0 .. bin T-1] -> transformer -> the T bin tokens -> log-rates [G, b, T, N]

Hidden counts are zeroed before anything reads them. Under the causal scheme a bin attends to the
context tokens and to bins up to itself, and context tokens attend to context tokens only, so
that later counts cannot reach earlier bins through them.
"""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.masking import CAUSAL, PROMPTS, Masks
from neurojax.models import smoothing, stitcher
from neurojax.models.attention import NUM_CONTEXT, Span, places
from neurojax.models.config import ModelConfig
from neurojax.models.dense import dense
from neurojax.models.tokenizer import TimeBinTokenizer
from neurojax.models.transformer import Transformer
from neurojax.types import Batch


class NDT(nn.Module):
    """The shared part: everything between read-in and read-out."""

    config: ModelConfig

    @nn.compact
    def __call__(self, latents, session_token, scheme, hidden_bins, bin_valid, train: bool = False) -> jax.Array:
        """Contextual states of all bins.

        Args:
            latents: [B, T, K] read-in latents.
            session_token: float32 [B, D].
            scheme: int32 [B], ids of masking.SCHEMES.
            hidden_bins: bool [B, T].
            bin_valid: bool [B, T].
            train: applies dropout (rng "dropout").

        Returns:
            float [B, T, D] in the compute dtype.
        """
        chex.assert_rank([latents, session_token, scheme, hidden_bins, bin_valid], [3, 2, 1, 2, 2])
        config = self.config
        dtype = jnp.dtype(config.compute_dtype)
        batch, num_bins, _ = latents.shape
        scale = 1.0 if config.init == "released" else 0.1
        table = nn.initializers.normal(scale)

        smooth = None
        if config.smoothed_tokens or config.linear_path:
            smooth = smoothing.smoothed(latents, bin_valid & ~hidden_bins, scheme == CAUSAL)  # [B, T, 2K]
        seen = jnp.concatenate([latents, smooth], axis=-1) if config.smoothed_tokens else latents
        tokens = TimeBinTokenizer(config, name="tokenizer")(seen)  # [B, T, D]
        if config.bin_mask_token:
            mask_token = self.param("bin_mask_token", table, (config.width,))
            tokens = tokens + hidden_bins[..., None] * mask_token.astype(dtype)[None, None]
        if config.positions == "learned":
            positions = self.param("positions", table, (config.num_positions, config.width))
            tokens = tokens + positions[:num_bins].astype(dtype)[None]
        prompts = self.param("prompts", table, (len(PROMPTS), config.width))
        has_prompt = scheme < len(PROMPTS)
        prompt = prompts[jnp.minimum(scheme, len(PROMPTS) - 1)] * has_prompt[:, None]  # [B, D]
        context = jnp.stack([session_token, prompt], axis=1).astype(dtype)  # [B, 2, D]
        tokens = jnp.concatenate([context, tokens], axis=1)  # [B, L, D]

        tokens = nn.Dropout(config.dropout_embed, deterministic=not train)(tokens)
        span = Span.of(bin_valid, scheme == CAUSAL, has_prompt)
        positions = jnp.asarray(places(tokens.shape[1]), jnp.float32)
        tokens = Transformer(config, name="transformer")(tokens, span, positions, train)
        states = tokens[:, NUM_CONTEXT:].astype(dtype)  # [B, T, D]
        if config.linear_path:
            states = states + dense(config, config.width, name="linear_path")(smooth)
        return nn.Dropout(config.dropout_states, deterministic=not train)(states)


def init_params(key: jax.Array, config: ModelConfig) -> Any:
    """Parameters of the shared part, float32."""
    latents = jnp.zeros((1, config.num_positions or 2, config.read_in_width))
    flags = jnp.zeros(latents.shape[:2], bool)
    variables = NDT(config).init(key, latents, jnp.zeros((1, config.width)), jnp.zeros(1, int), flags, ~flags)
    params = variables["params"]
    if config.own_history:
        params = params | {"own_history": jnp.zeros(len(smoothing.OWN_MEMORIES_BINS))}
    return params


def hidden_states(
    params, rows, batch: Batch, masks: Masks, scheme, config: ModelConfig, dropout_key=None, left_out=None
):
    """States of all bins, [G, b, T, D], reading visible counts only; see `log_rates`.

    `left_out` int32 [G, b]: trials that see the same units but for this one each, see `stitcher.posterior`.
    """
    dtype = jnp.dtype(config.compute_dtype)
    counts = batch.counts.astype(dtype)
    if config.hidden_counts == "mean":
        counts = counts - base_rates(rows)[:, None, None].astype(dtype)
    visible_counts = jnp.where(masks.visible(), counts, 0)
    latents = stitcher.read_in(rows, visible_counts)  # [G, b, T, K]
    if config.posterior_noise:
        latents = stitcher.posterior(
            rows, latents, ~masks.hidden_units, base_rates(rows), config.posterior_noise, left_out
        )
    groups, trials, num_bins, _ = latents.shape

    def flat(array: jax.Array) -> jax.Array:
        """[G, b, ...] -> [B, ...], trial by trial: devices that share the trials of every group share B as well."""
        return jnp.swapaxes(array, 0, 1).reshape((trials * groups,) + array.shape[2:])

    hidden = NDT(config).apply(
        {"params": params},
        flat(latents),
        jnp.tile(rows["session_token"], (trials, 1)),
        flat(scheme),
        flat(masks.hidden_bins),
        flat(batch.bin_valid),
        train=dropout_key is not None,
        rngs=None if dropout_key is None else {"dropout": dropout_key},
    )
    return jnp.swapaxes(hidden.reshape(trials, groups, num_bins, -1), 0, 1)


def base_rates(rows) -> jax.Array:
    """What the read-out expects of each unit before it knows anything: spikes per bin [G, N], not trained through."""
    return jax.lax.stop_gradient(jnp.exp(rows["read_out_bias"]))


def log_rates(params, rows, batch: Batch, masks: Masks, scheme, config: ModelConfig, dropout_key=None) -> jax.Array:
    """Log-rates of all entries.

    Args:
        params: from `init_params`.
        rows: from `stitcher.gather_rows`.
        batch: counts [G, b, T, N] and validity.
        masks: what is hidden.
        scheme: int32 [G, b], selects prompt token and attention span.
        config: shapes.
        dropout_key: PRNG key; None means evaluation.

    Returns:
        float32 [G, b, T, N], log of the expected spikes per bin.
    """
    hidden = hidden_states(params, rows, batch, masks, scheme, config, dropout_key)
    own_drive = 0.0
    if config.own_history:
        visible = masks.visible()
        gains = smoothing.own_log_gains(jnp.where(visible, batch.counts, 0), visible, base_rates(rows))
        weights = rows["own_history"] + params["own_history"][None, None]  # [G, N, 3]
        own_drive = jnp.einsum("mgbtn,gnm->gbtn", gains, weights)
    kept = None
    if config.own_alone_share and dropout_key is not None:
        key = jax.random.fold_in(dropout_key, 1)
        alone = jax.random.bernoulli(key, config.own_alone_share, masks.hidden_units.shape)  # [G, b, N]
        kept = ~(alone & (scheme == CAUSAL)[..., None])
    return stitcher.read_out(rows, hidden, config.link, own_drive, kept)
