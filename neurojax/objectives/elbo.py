"""Evidence lower bound of models that infer latents: expected log-likelihood minus divergences.

A trial's loss, in nats, is what its counts cost under the predicted rates plus a weight, ramped up
over training, times the divergence of what was inferred from its prior. To keep a model from
copying counts that it reads (and to train what evaluation asks), something of every trial is
hidden, and only what is hidden is scored:

    single entries, in every trial: coordinated dropout
    whole units, whole regions, the last bins, each in a share of the trials: the tasks' shapes

Source: Sussillo et al. 2016, section 1.4 (the bound and the ramp); Keshtkaran & Pandarinath 2019,
section 4 (coordinated dropout).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.batch import Batch
from neurojax.errors import InputError, require
from neurojax.models.interface import SpikeInputs
from neurojax.objectives import interface
from neurojax.objectives.interface import LossSums, askable
from neurojax.ranges import check_ranges, positive_or_off, share
from neurojax.schemes import CAUSAL, INTER_REGION, INTRA_REGION, NEURON, PROMPTS

SPLITS_INTO_PARTS = True
VALIDATED = PROMPTS  # the same questions as MtM: units, last bins, within a region, a whole region
DIVERGENCES = ("kl_initial_state", "kl_inputs")  # of Outputs.extras, nats of each trial [G, b]
LOGGED_PER_TRIAL = DIVERGENCES


@dataclasses.dataclass(frozen=True)
class Config:
    """What is hidden in training, and how the parts of the loss are weighed.

    Attributes:
        kl_start_step, kl_stop_step: the weight of the divergences rises linearly between them.
        kl_weight: their weight from then on; 1 is the bound itself.
        recurrent_l2: times the sum of squares of all recurrent kernels, in nats per entry.
        coordinated_dropout: share of the single entries hidden; the rest is scaled up.
        units_share, regions_share, last_bins_share: shares of the trials that hide whole units,
            one region or all other regions (by equal chance), and the last bins.
        units_ratio: share of the units hidden in the first kind of trial and, among a region's
            own units, where all other regions are hidden.
        last_bins_ratio: share of a trial's bins hidden in the last kind, at least one bin.
    """

    kl_start_step: int
    kl_stop_step: int
    kl_weight: float
    recurrent_l2: float
    coordinated_dropout: float
    units_share: float
    regions_share: float
    last_bins_share: float
    units_ratio: float
    last_bins_ratio: float

    def __post_init__(self):
        check_ranges(self, "objective.", RANGES)
        require(
            0 <= self.kl_start_step <= self.kl_stop_step,
            f"objective.kl_start_step={self.kl_start_step}, kl_stop_step={self.kl_stop_step};"
            " expected 0 <= start <= stop",
        )
        shares = (self.units_share, self.regions_share, self.last_bins_share)
        require(
            min(shares) >= 0 and sum(shares) <= 1 + 1e-9,
            f"objective: shares of trials {shares} of units, regions and last bins;"
            " expected none below 0 and a sum of at most 1",
        )


RANGES = {
    "kl_weight recurrent_l2": positive_or_off(),
    "coordinated_dropout": share("[0, 1)"),
    "units_ratio last_bins_ratio": share("(0, 1)"),
}


class Query(NamedTuple):
    """What is hidden of every trial: `objectives.interface.Query`, and single entries."""

    hidden_units: jax.Array  # bool [G, b, N]
    hidden_bins: jax.Array  # bool [G, b, T]
    scheme: jax.Array  # int32 [G, b], the kind of trial
    target_units: jax.Array | None = None
    target_bins: jax.Array | None = None
    left_out: jax.Array | None = None
    dropped: jax.Array | None = None  # bool [G, b, T, N], hidden by coordinated dropout

    visible = interface.Query.visible  # by unit and bin alone
    target = interface.Query.target


def draw(key: jax.Array, batch: Batch, step: jax.Array, config: Config) -> Query:
    """Draws what is hidden of every trial of a batch.

    Args:
        key: PRNG key.
        batch: spikes; `bin_valid`, `unit_valid` and `region_id` are read, counts are not.
        step: training step; the draw does not depend on it.
        config: shares and ratios.
    """
    # The third is what the step gives to the model.
    kind_key, hidden_key, _ = jax.random.split(key, 3)
    kind_key, entry_key = jax.random.split(kind_key)
    half = config.regions_share / 2
    shares = jnp.asarray([config.units_share, config.last_bins_share, half, half])  # as PROMPTS
    trials = batch.trials["trial_id"].shape
    uniform = jax.random.uniform(kind_key, (*trials, 1))
    # Past the last kind: a trial of which single entries are hidden, and nothing else.
    kind = jnp.sum(uniform >= jnp.cumsum(shares)[None, None], axis=-1)  # int32 [G, b]
    num_bins, num_units = batch.trials["bin_valid"].shape[-1], batch.groups["unit_valid"].shape[-1]
    dropped, rate = None, config.coordinated_dropout
    # Only a plain 0 is left out: a search traces the share, which then may be 0, too.
    if not isinstance(rate, int | float) or rate:
        dropped = jax.random.bernoulli(entry_key, rate, (*trials, num_bins, num_units))
    query = _hide(hidden_key, batch, kind, config)
    # All that is hidden is scored, see `asked`.
    return query._replace(target_units=None, target_bins=None, dropped=dropped)


def validation_query(key: jax.Array, batch: Batch, number: jax.Array, config: Config) -> Query:
    """Every trial hides what the kind of trial `number` hides, and is asked about that."""
    kind = jnp.full(batch.trials["trial_id"].shape, number, jnp.int32)
    query = _hide(key, batch, kind, config)
    return query._replace(target_units=query.target_units & askable(batch, number))


def _hide(key: jax.Array, batch: Batch, kind: jax.Array, config: Config) -> Query:
    """Hides what a trial's kind says, an id of PROMPTS or beyond (nothing); asks about that."""
    bin_valid, unit_valid = batch.trials["bin_valid"], batch.groups["unit_valid"][:, None]
    unit_key, region_key = jax.random.split(key)
    in_region = _one_region(region_key, batch, kind.shape[1])  # bool [G, b, N]
    # Without a known region there is none to hide: such trials hide units.
    by_region = (kind == INTRA_REGION) | (kind == INTER_REGION)
    kind = jnp.where(by_region & ~in_region.any(-1), NEURON, kind)
    is_kind = lambda scheme: (kind == scheme)[..., None]  # noqa: E731

    some = jax.random.uniform(unit_key, in_region.shape) < config.units_ratio
    asked_units = jnp.where(is_kind(NEURON), some & unit_valid, in_region)
    asked_units = jnp.where(is_kind(INTRA_REGION), in_region & some, asked_units)
    others = is_kind(INTRA_REGION) & ~in_region & unit_valid
    by_units = is_kind(NEURON) | is_kind(INTRA_REGION) | is_kind(INTER_REGION)

    lengths = bin_valid.sum(-1, keepdims=True)
    shown = lengths - jnp.maximum(1, jnp.round(config.last_bins_ratio * lengths).astype(int))
    # The last real bins of each trial, not of the padded batch.
    late = (jnp.arange(bin_valid.shape[-1])[None, None] >= shown) & bin_valid
    return Query(
        hidden_units=by_units & (asked_units | others),
        hidden_bins=is_kind(CAUSAL) & late,
        scheme=kind,
        target_units=jnp.where(by_units, asked_units, unit_valid),
        target_bins=jnp.where(is_kind(CAUSAL), late, bin_valid),
    )


def _one_region(key: jax.Array, batch: Batch, trials: int) -> jax.Array:
    """Units of one region for every trial, drawn by size; bool [G, b, N], none where unknown."""
    region_id = batch.groups["region_id"]  # [G, N]
    known = batch.groups["unit_valid"] & (region_id >= 0)
    draws = jax.random.uniform(key, (region_id.shape[0], trials, region_id.shape[1]))
    # A unit at random, then its region: regions come up in proportion to their units.
    unit = jnp.argmax(jnp.where(known[:, None], draws, -1.0), axis=-1)  # [G, b], any known one
    region = jnp.take_along_axis(region_id, unit, axis=1)
    return (region_id[:, None] == region[..., None]) & known[:, None]


def inputs(batch: Batch, query: Any, config: Config) -> SpikeInputs:
    """What the model may read: the only place where counts are hidden.

    Args:
        batch: spikes.
        query: of `draw`, or an evaluation's, which has no dropped entries.
        config: the rate of coordinated dropout.

    Returns:
        SpikeInputs whose counts are float32 [G, b, T, N], zero where hidden; where entries were
        drawn to be dropped, the others are scaled by 1 / (1 - rate), which keeps their mean.
    """
    counts = batch.trials["counts"].astype(jnp.float32)
    if getattr(query, "dropped", None) is not None:
        # As dropout does: what is left keeps the mean that an evaluation, which drops none, shows.
        counts = counts / (1 - config.coordinated_dropout)
    return SpikeInputs(
        counts=jnp.where(interface.recorded(~_hidden(query), batch), counts, 0.0),
        bin_valid=batch.trials["bin_valid"],
        hidden_units=query.hidden_units,
        hidden_bins=query.hidden_bins,
        scheme=query.scheme,
        left_out=query.left_out,
        observed=batch.trials.get("entry_valid"),
        pattern_bin=batch.trials.get("pattern_bin"),
    )


def _hidden(query: Any) -> jax.Array:
    """Hidden entries, bool [G, b, T, N]."""
    hidden = ~query.visible()
    dropped = getattr(query, "dropped", None)  # an evaluation's query knows no such thing
    return hidden if dropped is None else hidden | dropped


def target(batch: Batch) -> jax.Array:
    """Spikes per bin, [G, b, T, N]."""
    return batch.trials["counts"]


def asked(query: Any, batch: Batch) -> jax.Array:
    """Entries that a query asks about, bool [G, b, T, N]: its targets where it names any.

    Otherwise what is hidden of a trial, or all of a trial of which nothing is. Never padding.
    """
    bin_valid, unit_valid = batch.trials["bin_valid"], batch.groups["unit_valid"]
    valid = interface.recorded(bin_valid[..., None] & unit_valid[:, None, None], batch)
    if query.target_units is not None:
        return valid & query.target()
    hidden = _hidden(query) & valid
    return jnp.where(hidden.any((-2, -1), keepdims=True), hidden, valid)


def kl_ramp(step: jax.Array, config: Config) -> jax.Array:
    """Weight of the divergences at a step: 0 up to the start, kl_weight from the stop on."""
    length = max(config.kl_stop_step - config.kl_start_step, 1)
    # From zero: at full price an untrained model learns first to infer nothing at all.
    rise = jnp.clip((step - config.kl_start_step) / length, 0.0, 1.0)
    return config.kl_weight * jnp.where(step >= config.kl_stop_step, 1.0, rise)


def loss(apply, head, weights, batch: Batch, query: Query, step, key, config: Config) -> LossSums:
    """The bound's two parts, summed over trials.

    A trial's likelihood is estimated from its scored entries: their mean times the entries it has,
    so that it stands to the divergences as in a trial scored whole. The weight is the number of
    valid entries; the loss is nats per entry.

    Args:
        apply: the model, (weights, inputs, key=) -> Outputs with DIVERGENCES in extras.
        head: turns log-rates and counts into nats.
        weights: of the model.
        batch: spikes.
        query: what is hidden.
        step: int32, for the ramp.
        key: draws the posterior's sample and dropout.
        config: weights of the parts.

    Returns:
        LossSums; metrics are sums over trials: nll_sum (nats) and entries of what is scored,
        kl_initial_state and kl_inputs (nats), trials.

    Raises:
        InputError: the model infers nothing.
    """
    outputs = apply(weights, inputs(batch, query, config), key=key)
    if any(name not in outputs.extras for name in DIVERGENCES):
        raise InputError(
            "objective.name=elbo needs a model that infers latents and says what they cost;"
            " choose model.name=lfads, or another objective"
        )
    targets = asked(query, batch)
    nll = head.nll(outputs.natural, target(batch))
    nll_sum = jnp.sum(jnp.where(targets, nll, 0.0), axis=(-2, -1))  # [G, b]
    entries = jnp.sum(targets, axis=(-2, -1), dtype=jnp.float32)
    bins = jnp.sum(batch.trials["bin_valid"], axis=-1, dtype=jnp.float32)
    valid_entries = bins * jnp.sum(batch.groups["unit_valid"], axis=-1, keepdims=True)
    if "entry_valid" in batch.trials:
        valid_entries = jnp.sum(batch.trials["entry_valid"], axis=(-2, -1), dtype=jnp.float32)

    # A trial without a valid bin is padding; its posterior says nothing about data.
    costs = [jnp.where(bins > 0, outputs.extras[name], 0.0) for name in DIVERGENCES]
    estimate = nll_sum * valid_entries / jnp.maximum(entries, 1.0)
    weight = valid_entries.sum()
    numerator = jnp.sum(estimate + kl_ramp(step, config) * sum(costs))
    if config.recurrent_l2:
        # Times the weight, by which the loss is divided: parts of a batch then add up.
        numerator = numerator + config.recurrent_l2 * recurrent_power(weights.params) * weight
    metrics = {
        "nll_sum": nll_sum.sum(),
        "entries": entries.sum(),
        **{name: cost.sum() for name, cost in zip(DIVERGENCES, costs, strict=True)},
        "trials": jnp.sum(bins > 0, dtype=jnp.float32),
    }
    return LossSums(numerator, weight, metrics, outputs.buffers)


def recurrent_power(params: Any) -> jax.Array:
    """Sum of squares of all parameters below a name `recurrent`, float32."""
    found = jax.tree_util.tree_flatten_with_path(params)[0]
    return sum(
        (
            jnp.sum(jnp.square(leaf))
            for path, leaf in found
            if any(getattr(part, "key", None) == "recurrent" for part in path)
        ),
        jnp.zeros(()),
    )
