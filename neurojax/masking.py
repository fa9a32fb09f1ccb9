"""Masking schemes of multi-task masking (MtM) as pure functions of (key, batch).

A scheme decides which entries of a trial are hidden from the model and which of them it is
trained to predict. Every scheme factorises over units and bins, so a draw is four small boolean
arrays rather than two of [G, b, T, N].

Source: Zhang et al. 2024, "Towards a universal translator for neural dynamics", section 3.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from neurojax.types import Batch

# The position of a scheme is its id; the first four have a prompt token of the same id.
SCHEMES = ("neuron", "causal", "intra_region", "inter_region", "temporal")
PROMPTS = SCHEMES[:4]
NEURON, CAUSAL, INTRA_REGION, INTER_REGION, TEMPORAL = range(5)


class MaskingConfig(NamedTuple):
    """Which schemes are drawn and how much they hide.

    Attributes:
        schemes: names drawn with equal probability.
        per_trial: draw scheme and region for every trial; otherwise one for the whole batch.
        neuron_ratio: share of units hidden by `neuron`.
        causal_ratio: share of bins hidden by `causal`.
        causal_span_share: `causal` hides runs of this share of the padded trial, at least one bin;
            0 hides bins independently. 0.1 trains the horizons that forward prediction asks for.
        causal_first_share: this first share of the padded trial `causal` never hides: predicting ahead starts once
            something has been seen.
        intra_ratio: share of the region's own units hidden by `intra_region`.
        temporal_ratio: share of bins hidden by `temporal`.
        region_size_power: a region is drawn with probability ~ (its units) ** power;
            0 draws labels uniformly, 1 draws units uniformly.
    """

    schemes: tuple[str, ...] = PROMPTS
    per_trial: bool = True
    neuron_ratio: float = 0.3
    causal_ratio: float = 0.6
    causal_span_share: float = 0.0
    causal_first_share: float = 0.0
    intra_ratio: float = 0.3
    temporal_ratio: float = 0.3
    region_size_power: float = 0.0


class Masks(NamedTuple):
    """One draw, factorised. An entry is hidden if its unit or its bin is; a target if both are."""

    hidden_units: jax.Array  # bool [G, b, N]
    hidden_bins: jax.Array  # bool [G, b, T]
    target_units: jax.Array  # bool [G, b, N]
    target_bins: jax.Array  # bool [G, b, T]

    def visible(self) -> jax.Array:
        """Entries the model may read, bool [G, b, T, N]."""
        return ~self.hidden_bins[..., :, None] & ~self.hidden_units[..., None, :]

    def target(self) -> jax.Array:
        """Entries that enter the loss, bool [G, b, T, N]."""
        return self.target_bins[..., :, None] & self.target_units[..., None, :]

    def num_targets(self) -> jax.Array:
        """Entries of each trial that enter the loss, float32 [G, b]."""
        bins, units = self.target_bins.sum(-1), self.target_units.sum(-1)
        return (bins * units).astype(jnp.float32)


def scheme_id(name: str) -> int:
    """Id of a scheme; raises ValueError with the known names."""
    if name not in SCHEMES:
        raise ValueError(f"unknown masking scheme {name!r}; choose from {', '.join(SCHEMES)}")
    return SCHEMES.index(name)


def sample_schemes(key: jax.Array, batch: Batch, config: MaskingConfig) -> jax.Array:
    """Draws a scheme id for every trial, int32 [G, b].

    A region scheme drawn for a session without a single known region becomes `neuron`.
    """
    num_groups, trials_per_group = batch.trial_id.shape
    shape = (num_groups, trials_per_group) if config.per_trial else (1, 1)
    allowed = jnp.asarray([scheme_id(name) for name in config.schemes], jnp.int32)
    schemes = allowed[jax.random.randint(key, shape, 0, len(config.schemes))]
    schemes = jnp.broadcast_to(schemes, (num_groups, trials_per_group))
    has_regions = jnp.any(batch.unit_valid & (batch.region_id >= 0), axis=-1)[:, None]  # [G, 1]
    needs_regions = (schemes == INTRA_REGION) | (schemes == INTER_REGION)
    return jnp.where(needs_regions & ~has_regions, NEURON, schemes)


def sample_regions(key: jax.Array, batch: Batch, config: MaskingConfig) -> jax.Array:
    """Draws a region id for every trial among the group's known regions, int32 [G, b]."""
    num_groups, trials_per_group = batch.trial_id.shape
    known = batch.unit_valid & (batch.region_id >= 0)  # [G, N]

    same_label = batch.region_id[:, :, None] == batch.region_id[:, None, :]  # [G, N, N]
    size = jnp.maximum(jnp.sum(same_label & known[:, None, :], axis=-1), 1)  # units in each unit's region
    logits = jnp.where(known, (config.region_size_power - 1.0) * jnp.log(size), -jnp.inf)  # [G, N]
    shape = (num_groups, trials_per_group if config.per_trial else 1, logits.shape[-1])
    unit = jnp.argmax(logits[:, None, :] + jax.random.gumbel(key, shape), axis=-1)  # [G, b or 1]
    region = jnp.take_along_axis(batch.region_id, unit, axis=1)
    return jnp.broadcast_to(region, (num_groups, trials_per_group))


def _hide_share(uniform: jax.Array, candidates: jax.Array, ratio: jax.Array) -> jax.Array:
    """Hides each candidate with probability `ratio`, and always the one with the smallest draw."""
    uniform = jnp.where(candidates, uniform, jnp.inf)
    smallest = uniform == jnp.min(uniform, axis=-1, keepdims=True)
    return candidates & ((uniform < ratio) | smallest)


def _hide_runs(uniform: jax.Array, candidates: jax.Array, ratio: float, run_bins: int) -> jax.Array:
    """Hides runs of `run_bins` bins that cover a share `ratio` in the mean; runs may touch."""
    start_ratio = 1 - (1 - ratio) ** (1 / run_bins)
    starts = jnp.cumsum(_hide_share(uniform, candidates, start_ratio), axis=-1)
    before = jnp.pad(starts, [(0, 0)] * (starts.ndim - 1) + [(run_bins, 0)])[..., : starts.shape[-1]]
    return candidates & (starts > before)


def draw_masks(key: jax.Array, batch: Batch, scheme: jax.Array, config: MaskingConfig) -> Masks:
    """Draws what is hidden and what is predicted, given each trial's scheme.

    At least one entry of every trial is a target, so that no trial has an empty loss.

    Args:
        key: PRNG key.
        batch: only `unit_valid`, `bin_valid` and `region_id` are read.
        scheme: int32 [G, b], from `sample_schemes` or fixed by the caller.
        config: ratios and region weights.
    """
    region_key, unit_key, bin_key = jax.random.split(key, 3)
    unit_valid = batch.unit_valid[:, None, :]  # [G, 1, N]
    region = sample_regions(region_key, batch, config)
    in_region = (batch.region_id[:, None, :] == region[..., None]) & unit_valid  # [G, b, N]

    is_inter = (scheme == INTER_REGION)[..., None]
    is_intra = (scheme == INTRA_REGION)[..., None]
    is_unit_scheme = (scheme == NEURON)[..., None] | is_inter | is_intra
    candidates = jnp.where(is_inter | is_intra, in_region, unit_valid)
    ratio = jnp.where(is_inter, 1.0, jnp.where(is_intra, config.intra_ratio, config.neuron_ratio))
    drawn_units = _hide_share(jax.random.uniform(unit_key, in_region.shape), candidates, ratio)
    target_units = jnp.where(is_unit_scheme, drawn_units, unit_valid)
    hidden_units = is_unit_scheme & (drawn_units | (is_intra & ~in_region))

    bin_draws = jax.random.uniform(bin_key, batch.bin_valid.shape)
    span_bins = max(1, int(config.causal_span_share * batch.bin_valid.shape[-1]))
    late = jnp.arange(batch.bin_valid.shape[-1]) >= int(config.causal_first_share * batch.bin_valid.shape[-1])
    late = batch.bin_valid & late[None, None]
    late = jnp.where(late.any(-1, keepdims=True), late, batch.bin_valid)  # all bins of a trial that is shorter
    causal_bins = _hide_runs(bin_draws, late, config.causal_ratio, span_bins)
    temporal_bins = _hide_share(bin_draws, batch.bin_valid, config.temporal_ratio)
    drawn_bins = jnp.where((scheme == CAUSAL)[..., None], causal_bins, temporal_bins)
    target_bins = jnp.where(is_unit_scheme, batch.bin_valid, drawn_bins)
    hidden_bins = ~is_unit_scheme & drawn_bins
    return Masks(hidden_units, hidden_bins, target_units, target_bins)
