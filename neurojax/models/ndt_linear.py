"""NDT1-stitch with a linear model beside it: what `preset=improved` trains on recordings.

What it adds to `ndt`:
    latents   of square roots of counts; the posterior mean of a factor model given the visible
              units, instead of a sum that shrinks as units are hidden; a hidden count reads as what
              is expected of the unit, not as silence
    states    smoothed latents reach the read-out beside the transformer, through one linear map
    log-rates each unit's own recent log gains are added (they are zero where it is hidden); no rate
              rises above a ceiling of its unit

The memories of both smoothings are learned, and start from seconds.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from neurojax.facts import Facts
from neurojax.models import first_rows, ndt, roots, smoothing, stitcher
from neurojax.models.dense import dense
from neurojax.models.interface import Outputs, SpikeInputs, TableSpec, Weights, by_group, by_trial
from neurojax.ranges import check_ranges, positive, share
from neurojax.schemes import CAUSAL

HIDES_BY_ZEROING = False
HAS_CAUSAL_SCHEME = True
READS_ROOTS = True
HAS_CEILING = True
_NUM_MEMORIES = len(smoothing.OWN_MEMORIES_S)


@dataclasses.dataclass(frozen=True)
class Config(ndt.Config):
    """Attributes, beside those of `ndt`:
    posterior_noise: noise over signal of a latent when all units are visible, positive.
    own_alone_share: in training, this share of the units of a causal trial is predicted from own
        history alone, so that its weights are learned before the population explains the training
        trials by heart.
    """

    posterior_noise: float
    own_alone_share: float

    def __post_init__(self):
        super().__post_init__()
        check_ranges(self, "model.", RANGES)


RANGES = {"posterior_noise": positive("ratio"), "own_alone_share": share("[0, 1)")}


def apply(
    weights: Weights, inputs: SpikeInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Log-rates and states of all bins; see `models.interface`."""
    latents = stitcher.read_in(weights.rows, read(weights.rows, inputs, config))
    return from_latents(weights, latents, inputs, config, train=train, key=key)


def read(rows, inputs: SpikeInputs, config) -> jax.Array:
    """What is read of every entry [G, b, T, N]; see `models.interface`."""
    return surprises(rows, inputs, jnp.dtype(config.compute_dtype))[0]


def from_latents(
    weights: Weights, latents, inputs: SpikeInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """The rest of `apply`; see `models.interface`."""
    latents = explained(weights.rows, latents, inputs, config)
    states = ndt.bin_states(weights, latents, inputs, config, train, key)
    states = states + linear_states(weights.params, latents, inputs, config)
    return read_out(weights, states, inputs, config, train=train, key=key)


def answers(weights: Weights, states, inputs: SpikeInputs, config) -> Outputs:
    """Log-rates of any states [G, b, T, D]; see `models.interface`."""
    return read_out(weights, states, inputs, config, train=False, key=None)


def surprises(rows, inputs: SpikeInputs, dtype) -> tuple[jax.Array, jax.Array]:
    """What is read of every entry [G, b, T, N]: the root of its count around what is expected of
    the unit, zero where it is hidden; and the variance of that at the unit's mean rate [G, N]."""
    expected, variance = roots.moments(stitcher.base_rates(rows))
    # Around what is expected: a hidden unit then stands there.
    centred = roots.of(inputs.counts.astype(dtype)) - expected[:, None, None].astype(dtype)
    return jnp.where(inputs.visible(), centred, 0), variance


def latents_of(rows, inputs: SpikeInputs, config) -> jax.Array:
    """Latents [G, b, T, K], the posterior mean given the visible units."""
    latents = stitcher.read_in(rows, read(rows, inputs, config))
    return explained(rows, latents, inputs, config)


def explained(rows, latents: jax.Array, inputs: SpikeInputs, config) -> jax.Array:
    """Read-in latents [G, b, T, K] -> the posterior mean given the visible units, [G, b, T, K]."""
    _, variance = roots.moments(stitcher.base_rates(rows))
    return _posterior(rows, latents, inputs, inputs.visible(), variance, config.posterior_noise)


def read_out(
    weights: Weights, states, inputs: SpikeInputs, config, *, train: bool, key, drive=None
) -> Outputs:
    """Bounded log-rates of states [G, b, T, D] and, where units have rows for it, own history.

    Args:
        drive: float32 [G, b, T, N], or [G, b, T, 1] where one unit a trial is asked for: added to
            what the states give each unit; None for nothing.
    """
    rows, params = weights.rows, weights.params
    base_rates = stitcher.base_rates(rows)
    added = 0.0 if drive is None else drive
    if inputs.left_out is not None:  # a unit that is hidden has no history of its own
        log_rates = stitcher.log_rates(rows, states, inputs.left_out) + added
        return Outputs(stitcher.bounded(log_rates, base_rates, inputs.left_out), states)
    if "own_history" not in rows:
        log_rates = stitcher.log_rates(rows, states, None, added)
        return Outputs(stitcher.bounded(log_rates, base_rates), states)

    visible = inputs.visible()
    gains = smoothing.own_log_gains(inputs.counts, visible, base_rates, params["log_memories"])
    own_drive = jnp.einsum(
        "mgbtn,gnm->gbtn", gains, rows["own_history"] + params["own_history"][None, None]
    )
    reads_states = None
    if train and config.own_alone_share:
        shape = inputs.hidden_units.shape  # [G, b, N]
        alone = jax.random.bernoulli(jax.random.fold_in(key, 1), config.own_alone_share, shape)
        reads_states = ~(alone & (inputs.scheme == CAUSAL)[..., None])
        added = added if drive is None else jnp.where(reads_states[..., None, :], drive, 0)
    log_rates = stitcher.log_rates(rows, states, None, own_drive + added, reads_states)
    return Outputs(stitcher.bounded(log_rates, base_rates), states)


def _posterior(rows, latents, inputs: SpikeInputs, visible, *known) -> jax.Array:
    """`stitcher.posterior` with as few matrices as bins have patterns of visible units; a hidden
    bin reads nothing, so that any of them will do for it."""
    if inputs.observed is None:
        return stitcher.posterior(rows, latents, ~inputs.hidden_units, *known, inputs.left_out)
    if inputs.pattern_bin is None:
        return stitcher.posterior(rows, latents, visible, *known)
    watched = jnp.take_along_axis(inputs.observed, inputs.pattern_bin[..., None], axis=2)
    shown = watched & ~inputs.hidden_units[:, :, None]  # [G, b, S, N]
    if shown.shape[2] == 1:
        return stitcher.posterior(rows, latents, shown[:, :, 0], *known)
    same = (inputs.observed[:, :, None] == watched[:, :, :, None]).all(-1)  # [G, b, S, T]
    return stitcher.posterior_by_pattern(rows, latents, shown, jnp.argmax(same, axis=2), *known)


def linear_states(params, latents: jax.Array, inputs: SpikeInputs, config) -> jax.Array:
    """States [G, b, T, D] that are linear in the latents of readable bins."""
    flat, flags = map(by_trial, (latents, inputs.bin_valid & ~inputs.hidden_bins))
    is_causal = by_trial(inputs.scheme) == CAUSAL
    smooth = smoothing.smoothed(flat, flags, is_causal, params["log_memories"])  # [B, T, 4K]
    return by_group(LinearPath(config).apply({"params": params}, smooth), len(latents))


class LinearPath(nn.Module):
    """Smoothed latents [..., 4K] -> states [..., D]."""

    config: Config

    @nn.compact
    def __call__(self, smooth: jax.Array) -> jax.Array:
        return dense(self.config, self.config.width, name="linear_path")(smooth)


# What training starts from.


def tables(config: Config) -> dict[str, TableSpec]:
    """The stitcher's, and each unit's weights on its own history."""
    own = TableSpec(
        "unit", False, lambda key, facts: jnp.zeros((len(facts.mean_counts), _NUM_MEMORIES))
    )
    return stitcher.tables(config) | {"own_history": own}


def fitted_rows(config: Config, sessions, facts: Facts):
    """Those of `ndt`, for square roots; these arrive centred, so that the bias is zero."""
    if config.read_in_init == "random":
        return {}
    rows = first_rows.principal(sessions, facts, config.read_in_width, of_roots=True)
    return rows | {"read_in_bias": np.zeros_like(rows["read_in_bias"])}


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters of the shared part, no buffers)."""
    shared, buffers = ndt.init(key, config, facts)
    return shared | linear_init(key, config, facts), buffers


def linear_init(key: jax.Array, config, facts: Facts) -> dict[str, Any]:
    """Parameters of the linear model alone."""
    smooth = jnp.zeros((1, smoothing.NUM_SMOOTHED * config.read_in_width))
    path = LinearPath(config).init(key, smooth)["params"]
    own = {
        "own_history": jnp.zeros(_NUM_MEMORIES),
        "log_memories": smoothing.first_log_memories(facts.bin_size_s),
    }
    return path | own
