"""Multi-task masking (MtM): what is hidden from the model, what it must predict, and the loss.

A scheme decides which entries of a trial are hidden and which of them enter the loss. Every scheme
factorises over units and bins, so a draw is four small boolean arrays, not two of [G, b, T, N].

Source: Zhang et al. 2024, "Towards a universal translator for neural dynamics", section 3.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from neurojax.batch import Batch
from neurojax.errors import require
from neurojax.models.interface import SpikeInputs
from neurojax.objectives.interface import LossSums, Query, askable, asked_as, recorded
from neurojax.ranges import Range, check_ranges, one_of, share
from neurojax.schemes import CAUSAL, INTER_REGION, INTRA_REGION, NEURON, PROMPTS, SCHEMES, scheme_id

SPLITS_INTO_PARTS = True
VALIDATED = PROMPTS


@dataclasses.dataclass(frozen=True)
class Config:
    """Which schemes are drawn, how much they hide, and how nats become a loss.

    Attributes:
        schemes: names drawn with equal probability.
        per_trial: draw scheme and region for every trial; otherwise one for the whole batch.
        neuron_ratio: share of units hidden by `neuron`.
        causal_ratio: share of bins hidden by `causal`.
        causal_span_share: `causal` hides runs of this share of the padded trial, at least one bin;
            0 hides bins independently. 0.1 trains the horizons that forward prediction asks for.
        intra_ratio: share of the region's own units hidden by `intra_region`.
        temporal_ratio: share of bins hidden by `temporal`.
        region_size_power: a region is drawn with probability ~ (its units) ** power;
            0 draws labels uniformly, 1 draws units uniformly.
        reduction: "sum" (the reference: the step then depends on how much was hidden) or "mean":
            nats per entry, where a trial with n entries weighs n ** (1 - size_power).
        size_power: 0 weighs entries equally, 1 weighs trials equally.
    """

    schemes: tuple[str, ...]
    per_trial: bool
    neuron_ratio: float
    causal_ratio: float
    causal_span_share: float
    intra_ratio: float
    temporal_ratio: float
    region_size_power: float
    reduction: str
    size_power: float

    def __post_init__(self):
        unknown = [name for name in self.schemes if name not in SCHEMES]
        came = unknown[0] if unknown else ""
        require(
            self.schemes and not unknown,
            f"objective.schemes names {came!r}; choose from {', '.join(SCHEMES)}",
        )
        check_ranges(self, "objective.", RANGES)


RANGES = {
    "neuron_ratio causal_ratio intra_ratio temporal_ratio": share("(0, 1]"),
    "causal_span_share": share("[0, 1]"),
    "region_size_power": Range(math.isfinite, "expected a finite number"),
    "reduction": one_of("sum", "mean"),
    "size_power": Range(lambda value: 0 <= value <= 1, "expected from 0 (entries) to 1 (trials)"),
}


def draw(key: jax.Array, batch: Batch, step: jax.Array, config: Config) -> Query:
    """Scheme, hidden entries and targets of every trial of a training batch.

    The key is split in three and the last one not used: it is what the step gives to dropout.
    """
    scheme_key, mask_key, _ = jax.random.split(key, 3)
    return draw_query(mask_key, batch, sample_schemes(scheme_key, batch, config), config)


def inputs(batch: Batch, query: Query, config: Config) -> SpikeInputs:
    """What the model reads: counts [G, b, T, N] with zeros where the query hides them."""
    # Zero before the model sees them: no path through it can leak a hidden count.
    counts = jnp.where(recorded(query.visible(), batch), batch.trials["counts"], 0)
    hidden = (query.hidden_units, query.hidden_bins, query.scheme, query.left_out)
    observed = (batch.trials.get("entry_valid"), batch.trials.get("pattern_bin"))
    return SpikeInputs(counts, batch.trials["bin_valid"], *hidden, *observed)


def loss(apply, head, weights, batch: Batch, query: Query, step, key, config: Config) -> LossSums:
    """Nats of the hidden entries that are asked for; see `Config.reduction`."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    nats = head.nll(outputs.natural, target(batch))
    return summed(nats, asked(query, batch), outputs.buffers, config)


def summed(nats: jax.Array, asked_entries: jax.Array, buffers, config: Config) -> LossSums:
    """A loss from the nats of all entries, [G, b, T, N], and which of them are asked for."""
    nll_sum = jnp.sum(jnp.where(asked_entries, nats, 0.0), axis=(-2, -1))  # [G, b]
    entries = jnp.sum(asked_entries, axis=(-2, -1), dtype=jnp.float32)
    sums = {"nll_sum": nll_sum.sum(), "entries": entries.sum()}
    if config.reduction == "sum":
        # Undivided as in the reference, so that a step grows with what was hidden.
        return LossSums(nll_sum.sum(), None, sums, buffers)
    # A trial's weight depends on itself alone, so that parts of a batch add up to its loss.
    weight = jnp.where(entries > 0, jnp.maximum(entries, 1.0) ** -config.size_power, 0.0)
    return LossSums((weight * nll_sum).sum(), (weight * entries).sum(), sums, buffers)


def target(batch: Batch) -> jax.Array:
    """Spikes per bin, [G, b, T, N]."""
    return batch.trials["counts"]


def asked(query: Query, batch: Batch) -> jax.Array:
    """Entries that a query asks about, bool [G, b, T, N]; none that was not observed."""
    return recorded(query.target(), batch)


def validation_query(key: jax.Array, batch: Batch, number: jax.Array, config: Config) -> Query:
    """Each scheme of MtM in turn; a model is asked with its own prompts, else as its first scheme.

    Nothing is asked about regions of a session in which none is known.
    """
    scheme = jnp.full(batch.trials["trial_id"].shape, number, jnp.int32)
    own = [asked_as(scheme_id(name), config.schemes) for name in VALIDATED]
    query = draw_query(key, batch, scheme, config)
    asked_units = query.target_units & askable(batch, number)
    asked_scheme = jnp.full_like(scheme, jnp.asarray(own, jnp.int32)[number])
    return query._replace(scheme=asked_scheme, target_units=asked_units)


def sample_schemes(key: jax.Array, batch: Batch, config: Config) -> jax.Array:
    """Draws a scheme id for every trial, int32 [G, b].

    A region scheme drawn for a session without a single known region becomes `neuron`.
    """
    num_groups, trials_per_group = batch.trials["trial_id"].shape
    shape = (num_groups, trials_per_group) if config.per_trial else (1, 1)
    allowed = jnp.asarray([scheme_id(name) for name in config.schemes], jnp.int32)
    schemes = allowed[jax.random.randint(key, shape, 0, len(config.schemes))]
    schemes = jnp.broadcast_to(schemes, (num_groups, trials_per_group))
    # [G, 1]
    has_regions = jnp.any(batch.groups["unit_valid"] & (batch.groups["region_id"] >= 0), axis=-1)[
        :, None
    ]
    needs_regions = (schemes == INTRA_REGION) | (schemes == INTER_REGION)
    return jnp.where(needs_regions & ~has_regions, NEURON, schemes)


def sample_regions(key: jax.Array, batch: Batch, config: Config) -> jax.Array:
    """Draws a region id for every trial among the group's known regions, int32 [G, b]."""
    num_groups, trials_per_group = batch.trials["trial_id"].shape
    known = batch.groups["unit_valid"] & (batch.groups["region_id"] >= 0)  # [G, N]
    labels = jnp.where(known, batch.groups["region_id"], -1)
    size = jnp.maximum(jax.vmap(_times_listed)(labels), 1)  # [G, N], units of each unit's region
    # A unit is drawn and stands for its region: size ** (power - 1) for each of its units makes
    # size ** power for the region.
    logits = jnp.where(known, (config.region_size_power - 1.0) * jnp.log(size), -jnp.inf)
    shape = (num_groups, trials_per_group if config.per_trial else 1, logits.shape[-1])
    # Gumbel-max: the argmax of logits plus noise is a draw from their softmax.
    unit = jnp.argmax(logits[:, None, :] + jax.random.gumbel(key, shape), axis=-1)  # [G, b or 1]
    region = jnp.take_along_axis(batch.groups["region_id"], unit, axis=1)
    return jnp.broadcast_to(region, (num_groups, trials_per_group))


def _times_listed(labels: jax.Array) -> jax.Array:
    """How often each label of a list [N] is in it, int32 [N].

    Sorted, since a comparison of all pairs [N, N] is a gigabyte for 15,000 units.
    """
    ordered = jnp.sort(labels)
    return jnp.searchsorted(ordered, labels, side="right") - jnp.searchsorted(
        ordered, labels, side="left"
    )


def _hide_share(uniform: jax.Array, candidates: jax.Array, ratio: jax.Array) -> jax.Array:
    """Hides each candidate with probability `ratio`, and always the one with the smallest draw."""
    uniform = jnp.where(candidates, uniform, jnp.inf)
    # One at least, or a short trial could have nothing to predict.
    smallest = uniform == jnp.min(uniform, axis=-1, keepdims=True)
    return candidates & ((uniform < ratio) | smallest)


def _hide_runs(uniform: jax.Array, candidates: jax.Array, ratio: float, run_bins: int) -> jax.Array:
    """Hides runs of `run_bins` bins that cover a share `ratio` in the mean; runs may touch."""
    # A bin is visible if none of the last run_bins starts a run: 1 - ratio = (1 - start)^run_bins.
    start_ratio = 1 - (1 - ratio) ** (1 / run_bins)
    starts = jnp.cumsum(_hide_share(uniform, candidates, start_ratio), axis=-1)
    before = jnp.pad(starts, [(0, 0)] * (starts.ndim - 1) + [(run_bins, 0)])[
        ..., : starts.shape[-1]
    ]
    # More starts by now than run_bins bins ago: some run covers this bin.
    return candidates & (starts > before)


def draw_query(key: jax.Array, batch: Batch, scheme: jax.Array, config: Config) -> Query:
    """Draws what is hidden and what is predicted, given each trial's scheme.

    At least one entry of every trial is a target, so that no trial has an empty loss.

    Args:
        key: PRNG key.
        batch: only `unit_valid`, `bin_valid` and `region_id` are read.
        scheme: int32 [G, b], from `sample_schemes` or fixed by the caller.
        config: ratios and region weights.
    """
    region_key, unit_key, bin_key = jax.random.split(key, 3)
    unit_valid = batch.groups["unit_valid"][:, None, :]  # [G, 1, N]
    region = sample_regions(region_key, batch, config)
    # [G, b, N]
    in_region = (batch.groups["region_id"][:, None, :] == region[..., None]) & unit_valid

    is_inter = (scheme == INTER_REGION)[..., None]
    is_intra = (scheme == INTRA_REGION)[..., None]
    is_unit_scheme = (scheme == NEURON)[..., None] | is_inter | is_intra
    candidates = jnp.where(is_inter | is_intra, in_region, unit_valid)
    ratio = jnp.where(is_inter, 1.0, jnp.where(is_intra, config.intra_ratio, config.neuron_ratio))
    drawn_units = _hide_share(jax.random.uniform(unit_key, in_region.shape), candidates, ratio)
    target_units = jnp.where(is_unit_scheme, drawn_units, unit_valid)
    # Within a region the other regions are hidden too, though nothing is asked about them.
    hidden_units = is_unit_scheme & (drawn_units | (is_intra & ~in_region))

    # Shared by the two schemes that hide bins: a trial follows one of them.
    bin_draws = jax.random.uniform(bin_key, batch.trials["bin_valid"].shape)
    span_bins = max(1, int(config.causal_span_share * batch.trials["bin_valid"].shape[-1]))
    causal_bins = _hide_runs(bin_draws, batch.trials["bin_valid"], config.causal_ratio, span_bins)
    temporal_bins = _hide_share(bin_draws, batch.trials["bin_valid"], config.temporal_ratio)
    drawn_bins = jnp.where((scheme == CAUSAL)[..., None], causal_bins, temporal_bins)
    target_bins = jnp.where(is_unit_scheme, batch.trials["bin_valid"], drawn_bins)
    hidden_bins = ~is_unit_scheme & drawn_bins
    return Query(hidden_units, hidden_bins, scheme, target_units, target_bins)
