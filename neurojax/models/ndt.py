"""NDT1-stitch, MtM's model: units to latents by session, tokens, transformer, and back.

    visible counts  [G, b, T, N]
    -> latents      [G, b, T, K]   each session's own read-in (stitcher)
    -> tokens       [B, 2 + T, D]  session, prompt, bin 0 .. bin T-1
    -> states       [G, b, T, D]   of the bin tokens, after the transformer
    -> log-rates    [G, b, T, N]   each session's own read-out (stitcher)

Under the causal scheme a bin attends to the context tokens and to bins up to itself, and context
tokens attend to context tokens only, so that later counts cannot reach earlier bins through them.

Source: Zhang et al. 2024, section 3 and figure 1; NDT1: Ye and Pandarinath 2021.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.errors import require
from neurojax.facts import Facts
from neurojax.models import first_rows, stitcher
from neurojax.models.attention import NUM_CONTEXT, Span, places
from neurojax.models.config import NDTConfig as Config
from neurojax.models.dense import dense
from neurojax.models.interface import Outputs, SpikeInputs, TableSpec, Weights, by_group, by_trial
from neurojax.models.transformer import Transformer
from neurojax.schemes import CAUSAL, PROMPTS

HIDES_BY_ZEROING = True
HAS_CAUSAL_SCHEME = True


def apply(
    weights: Weights, inputs: SpikeInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Log-rates and states of all bins; see `models.interface`."""
    latents = stitcher.read_in(weights.rows, read(weights.rows, inputs, config))
    return from_latents(weights, latents, inputs, config, train=train, key=key)


def read(rows, inputs: SpikeInputs, config: Config) -> jax.Array:
    """What is read of every entry [G, b, T, N]; see `models.interface`."""
    del rows
    return inputs.counts.astype(config.compute_dtype)


def from_latents(
    weights: Weights, latents, inputs: SpikeInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """The rest of `apply`; see `models.interface`."""
    states = bin_states(weights, latents, inputs, config, train, key)
    return answers(weights, states, inputs, config)


def answers(weights: Weights, states, inputs: SpikeInputs, config: Config) -> Outputs:
    """Log-rates of any states [G, b, T, D]; see `models.interface`."""
    del config
    return Outputs(stitcher.log_rates(weights.rows, states, inputs.left_out), states)


def bin_states(
    weights: Weights, latents: jax.Array, inputs: SpikeInputs, config: Config, train: bool, key
) -> jax.Array:
    """What the shared part makes of read-in latents [G, b, T, K]: states [G, b, T, D]."""
    groups, trials = latents.shape[:2]
    num_positions = len(weights.params.get("positions", ()))  # 0 where they are rotary
    # The shared part never learns which session a trial is of, but for its token.
    states = NDT(config, num_positions).apply(
        {"params": weights.params},
        by_trial(latents),
        jnp.tile(weights.rows["session_token"], (trials, 1)),
        by_trial(inputs.scheme),
        by_trial(inputs.hidden_bins),
        by_trial(inputs.bin_valid),
        train,
        rngs={"dropout": key} if train else None,
    )
    return by_group(states, groups)


class NDT(nn.Module):
    """The shared part: everything between read-in and read-out."""

    config: Config
    num_positions: int

    @nn.compact
    def __call__(self, latents, session_token, scheme, hidden_bins, bin_valid, train: bool = False):
        """States [B, T, D] of latents [B, T, K].

        Args:
            latents: read in from visible counts.
            session_token: float32 [B, D].
            scheme: int32 [B], ids of schemes.SCHEMES.
            hidden_bins, bin_valid: bool [B, T].
            train: applies dropout (rng "dropout").
        """
        config, dtype = self.config, jnp.dtype(self.config.compute_dtype)
        vectors = nn.initializers.normal(1.0 if config.init == "released" else 0.1)

        # A token for each bin, of that bin alone.
        tokens = Tokenizer(config, name="tokenizer")(latents)  # [B, T, D]
        if config.bin_mask_token:
            mask_token = self.param("bin_mask_token", vectors, (config.width,))
            tokens = tokens + hidden_bins[..., None] * mask_token.astype(dtype)[None, None]
        if config.positions == "learned":
            positions = self.param("positions", vectors, (self.num_positions, config.width))
            tokens = tokens + positions[: latents.shape[1]].astype(dtype)[None]

        # Two tokens of context before them: which session it is, and what is asked.
        prompts = self.param("prompts", vectors, (len(PROMPTS), config.width))
        prompt, has_prompt = prompt_of(prompts, scheme)
        context = jnp.stack([session_token, prompt], axis=1).astype(dtype)  # [B, 2, D]
        tokens = jnp.concatenate([context, tokens], axis=1)  # [B, L, D]
        tokens = nn.Dropout(config.dropout_embed, deterministic=not train)(tokens)

        # One batch mixes schemes: each trial brings its own attention pattern.
        span = Span.of(bin_valid, scheme == CAUSAL, has_prompt)
        in_time = jnp.asarray(places(tokens.shape[1]), jnp.float32)
        tokens = Transformer(config, name="transformer")(tokens, span, in_time, train)
        return tokens[:, NUM_CONTEXT:].astype(dtype)


def prompt_of(prompts: jax.Array, scheme: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The prompt of each trial [..., D], zero without one, and whether it has one, bool [...].

    Args:
        prompts: float32 [prompts, D].
        scheme: int32 [...], ids of schemes.SCHEMES.
    """
    has_prompt = scheme < len(PROMPTS)  # temporal masking has none
    return prompts[jnp.minimum(scheme, len(PROMPTS) - 1)] * has_prompt[..., None], has_prompt


class Tokenizer(nn.Module):
    """One token per bin: a shared map of the read-in latents, bin by bin, hence causal."""

    config: Config

    @nn.compact
    def __call__(self, latents: jax.Array) -> jax.Array:
        """latents [..., K] -> tokens [..., D]."""
        config = self.config
        if config.embed_width:
            latents = nn.soft_sign(dense(config, config.embed_width, name="embed")(latents))
        return dense(config, config.width, name="project")(latents)


# What training starts from.
_INIT_BINS = 128  # of the trial that shapes are found with


def tables(config: Config) -> dict[str, TableSpec]:
    """The stitcher's rows of units and sessions."""
    return stitcher.tables(config)


def fitted_rows(config: Config, sessions, facts: Facts):
    """Read-in rows at each session's principal components, where asked."""
    if config.read_in_init == "random":
        return {}
    return first_rows.principal(sessions, facts, config.read_in_width)


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters of the shared part, no buffers)."""
    num_positions = positions_needed(config, facts)
    # Only shapes matter here, and none is that of a trial: a short one, all of it visible; over the
    # bins of a long one attention would take memory for their square.
    latents = jnp.zeros((1, min(num_positions, _INIT_BINS), config.read_in_width))
    flags = jnp.zeros(latents.shape[:2], bool)
    arguments = (latents, jnp.zeros((1, config.width)), jnp.zeros(1, int), flags, ~flags)
    return NDT(config, num_positions).init(key, *arguments)["params"], {}


def positions_needed(config: Config, facts: Facts) -> int:
    """Rows of a learned position table; raises InputError where the config has too few."""
    num_positions = max(config.num_positions, facts.num_bins)
    require(
        config.positions != "learned" or config.num_positions in (0, num_positions),
        f"model.num_positions={config.num_positions}, but the longest trial has {facts.num_bins} "
        "bins; set it to 0 (as many as needed) or convert a shorter window",
    )
    return num_positions
