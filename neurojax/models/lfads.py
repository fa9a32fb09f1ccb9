"""LFADS: a recurrent network generates a trial's activity from a few inferred numbers.

    visible counts [G, b, T, N] -> read-in -> latents [G, b, T, K]
    latents -> GRU in both directions -> Gaussian over the initial state z_0
    latents -> second GRU in both directions -> encoding e_t
    in every bin t:
        controller GRU reads (e_t, factors f_{t-1}) -> Gaussian over the inferred input u_t
        generator GRU reads u_t -> its state g_t -> factors f_t -> log-rates [N]

What is inferred costs nats: the divergence of the two Gaussians from their priors is part of the
loss (see objectives.elbo). Units live in rows of flat tables, so one network serves many sessions.

Source: Sussillo et al. 2016, "LFADS - latent factor analysis via dynamical systems", section 1;
Pandarinath et al. 2018, Nature Methods 15, 805, methods.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.data.session import Session
from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models import divergences, first_rows, gru, stitcher
from neurojax.models.interface import Outputs, SpikeInputs, TableSpec, Weights
from neurojax.ranges import at_least, check_ranges, one_of, positive, share

HAS_CAUSAL_SCHEME = False  # the encoders read the whole trial
INFERS = ("kl_initial_state", "kl_inputs")  # extras that say what a trial's latents cost, nats


@dataclasses.dataclass(frozen=True)
class Config:
    """Shapes and priors.

    Attributes:
        read_in_width: K, latents that all sessions' units are read into.
        read_in_init: "principal" starts at each session's principal components, or "random".
        encoder_width: state of each direction of the two encoders.
        initial_state_width: numbers inferred about the start of a trial, mapped to the generator.
        controller_width, generator_width: states of the two recurrent networks.
        num_inputs: inferred inputs u per bin.
        num_factors: F, width of what the log-rates are read from.
        dropout: share of latents and encodings dropped in training.
        initial_state_variance: the prior's at the start; it is learned.
        input_time_constant_s, input_noise_variance: of the prior of the inputs at the start, an
            AR(1) process u_t = exp(-bin / time constant) u_{t-1} + noise; both are learned. A time
            constant of a hundredth of a bin is a prior without memory, and stays one: exp(-100) has
            no gradient. Take it where inputs are brief: under a memory that is learned they may
            carry the state itself, and the generator none.
        variance_floor: added to every posterior variance, against densities without bound.
    """

    read_in_width: int
    read_in_init: str
    encoder_width: int
    initial_state_width: int
    controller_width: int
    generator_width: int
    num_inputs: int
    num_factors: int
    dropout: float
    initial_state_variance: float
    input_time_constant_s: float
    input_noise_variance: float
    variance_floor: float

    def __post_init__(self):
        check_ranges(self, "model.", RANGES)


RANGES = {
    "read_in_width encoder_width initial_state_width num_inputs num_factors": at_least(1),
    "controller_width generator_width": at_least(1),
    "read_in_init": one_of("principal", "random"),
    "dropout": share("[0, 1)"),
    "initial_state_variance input_time_constant_s input_noise_variance": positive(),
    "variance_floor": positive(),
}


def tables(config: Config) -> dict[str, TableSpec]:
    """Rows of every unit, and a read-in bias of every session."""

    def read_in(key, facts):  # latents of about unit variance, whatever the session's size
        units = jnp.asarray(facts.units_per_session)
        units = jnp.repeat(units, units, total_repeat_length=len(facts.mean_counts))
        weights = jax.random.normal(key, (len(units), config.read_in_width))
        return weights / jnp.sqrt(units * _mean_counts(facts))[:, None]

    def read_out(key, facts):  # small: the first log-rates are near the means
        weights = jax.random.normal(key, (len(_mean_counts(facts)), config.num_factors))
        return 0.1 * weights / math.sqrt(config.num_factors)

    def read_in_bias(key, facts):
        return jnp.zeros((len(facts.units_per_session), config.read_in_width))

    return {
        "read_in": TableSpec("unit", True, read_in),
        "read_out": TableSpec("unit", True, read_out),
        "read_out_bias": TableSpec("unit", False, lambda key, facts: jnp.log(_mean_counts(facts))),
        "read_in_bias": TableSpec("session", False, read_in_bias),
    }


def fitted_rows(config: Config, sessions: Sequence[Session], facts: Facts):
    """Read-in rows at each session's principal components, where the config asks; no bias.

    The read-in is of counts around their mean already.
    """
    if config.read_in_init == "random":
        return {}
    fitted = first_rows.principal(sessions, facts, config.read_in_width)
    return {"read_in": fitted["read_in"]}


def _mean_counts(facts: Facts) -> jax.Array:
    if facts.mean_counts is None:
        raise InputError("model.name='lfads' reads spikes, and the data have none; choose another")
    return jnp.asarray(facts.mean_counts, jnp.float32)


def init(key: jax.Array, config: Config, facts: Facts) -> tuple[dict[str, Any], dict]:
    """Parameters that all sessions share, float32, and no buffers; `facts` tells a bin's size."""
    keys = jax.random.split(key, 10)
    encoder, inputs, start = config.encoder_width, config.num_inputs, config.initial_state_width
    cells = {"forward": keys[0], "backward": keys[1]}, {"forward": keys[2], "backward": keys[3]}

    def directions(keys):
        width = config.read_in_width + 1  # latents, and how much is visible
        return {name: gru.init(key, width, encoder) for name, key in keys.items()}

    time_constant_bins = config.input_time_constant_s / facts.bin_size_s
    factors_kernel = jax.random.normal(keys[9], (config.generator_width, config.num_factors))
    params = {
        "initial_state_encoder": directions(cells[0]),
        "input_encoder": directions(cells[1]),
        "initial_state_posterior": _gaussian(keys[4], 2 * encoder, start),
        "initial_state_prior": {
            "mean": jnp.zeros(start),
            "log_variance": jnp.full(start, math.log(config.initial_state_variance)),
        },
        "generator_start": _affine(keys[5], start, config.generator_width, scale=1.0),
        "controller": gru.init(keys[6], 2 * encoder + config.num_factors, config.controller_width),
        "input_posterior": _gaussian(keys[7], config.controller_width, inputs),
        "input_prior": {
            "log_time_constant_bins": jnp.full(inputs, math.log(time_constant_bins)),
            "log_noise_variance": jnp.full(inputs, math.log(config.input_noise_variance)),
        },
        "generator": gru.init(keys[8], inputs, config.generator_width),
        "factors": factors_kernel / math.sqrt(config.generator_width),
    }
    return params, {}


def _affine(key: jax.Array, fan_in: int, fan_out: int, scale: float) -> dict[str, jax.Array]:
    kernel = jax.random.normal(key, (fan_in, fan_out)) * (scale / math.sqrt(fan_in))
    return {"kernel": kernel, "bias": jnp.zeros(fan_out)}


def _gaussian(key: jax.Array, fan_in: int, width: int) -> dict[str, jax.Array]:
    """Map to means and log-variances; the variances start at 0.1."""
    params = _affine(key, fan_in, 2 * width, scale=0.3)
    return params | {"bias": params["bias"].at[width:].set(math.log(0.1))}


def apply(
    weights: Weights,
    inputs: SpikeInputs,
    config: Config,
    *,
    train: bool,
    key: jax.Array | None = None,
) -> Outputs:
    """Log-rates of a trial from its visible counts.

    Args:
        weights: `params` of `init`, `rows` of `tables` gathered for the batch.
        inputs: counts [G, b, T, N] and what of them is hidden.
        config: shapes.
        train: applies dropout; needs a key.
        key: draws initial state and inputs from their posteriors. None follows the posterior
            means: one pass, no chance in it.

    Returns:
        Outputs: `natural` log-rates float32 [G, b, T, N], log spikes per bin ([G, b, T, 1] of the
        unit left out, where inputs name one); `states` factors [G, b, T, F]; `extras`
        kl_initial_state and kl_inputs [G, b], nats of each trial, and inferred_inputs
        [G, b, T, U]. Along the posterior means kl_inputs is too small: nothing drawn has to be
        corrected by a later input. To know what a trial costs, give a key.
    """
    if train and key is None:
        raise ValueError("train=True needs a key: posteriors are sampled and entries dropped")
    params, rows = weights.params, weights.rows
    groups, trials, num_bins, _ = inputs.counts.shape
    keys = [None] * 5 if key is None else jax.random.split(key, 5)
    dropout_keys, noise_keys = (keys[:3] if train else [None] * 3), keys[3:]

    def noise(key, *shape):  # none along the posterior mean
        return jnp.zeros(shape) if key is None else jax.random.normal(key, shape)

    def dropped(key, entries):
        # Only a plain 0 is left out: a search traces the share, which then may be 0, too.
        if key is None or (isinstance(config.dropout, int | float) and not config.dropout):
            return entries
        kept = jax.random.bernoulli(key, 1 - config.dropout, entries.shape)
        return jnp.where(kept, entries / (1 - config.dropout), 0)

    # Bins first: scan walks along the first axis.
    seen = jnp.moveaxis(visible_latents(rows, inputs), 2, 0)  # [T, G, b, K + 1]
    bin_valid = jnp.moveaxis(inputs.bin_valid, 2, 0)  # [T, G, b]
    seen = dropped(dropout_keys[0], seen)

    _, summary = gru.both_directions(params["initial_state_encoder"], seen, bin_valid)
    summary = dropped(dropout_keys[1], summary)
    mean, variance = _posterior(params["initial_state_posterior"], summary, config)
    prior = jax.tree.map(lambda leaf: leaf[None, None], params["initial_state_prior"])
    prior_variance = jnp.exp(prior["log_variance"])
    kl_initial_state = divergences.gaussian(mean, variance, prior["mean"], prior_variance)
    initial = noise(noise_keys[0], *mean.shape)
    start = gru.affine(params["generator_start"], mean + jnp.sqrt(variance) * initial)

    encoding, _ = gru.both_directions(params["input_encoder"], seen, bin_valid)
    encoding = dropped(dropout_keys[2], encoding)  # [T, G, b, 2E]
    input_noise = noise(noise_keys[1], num_bins, groups, trials, config.num_inputs)
    factors, means, variances, drawn = generate(params, start, encoding, input_noise, config)

    # Along the drawn path: under the AR(1) prior a bin's cost depends on the draw before it.
    kl_of_bins = divergences.ar1(params["input_prior"], means, variances, drawn)  # [T, G, b]
    kl_inputs = jnp.sum(jnp.where(bin_valid, kl_of_bins, 0.0), axis=0)
    factors = jnp.moveaxis(factors, 0, 2)  # [G, b, T, F]
    return Outputs(
        natural=stitcher.log_rates(rows, factors, inputs.left_out),
        states=factors,
        extras={
            "kl_initial_state": kl_initial_state.sum(-1),
            "kl_inputs": kl_inputs,
            "inferred_inputs": jnp.moveaxis(drawn, 0, 2),
        },
    )


def answers(weights: Weights, states, inputs: SpikeInputs, config: Config) -> Outputs:
    """Log-rates of any factors [G, b, T, F]; see `models.interface`."""
    del config
    return Outputs(stitcher.log_rates(weights.rows, states, inputs.left_out), states)


def visible_latents(rows: dict[str, jax.Array], inputs: SpikeInputs) -> jax.Array:
    """What the encoders read: latents of the visible counts and how much of each bin is visible.

    A hidden unit stands at its mean, and the sum over the visible ones is divided by the share of
    the read-in's expected power (weight squared x spikes per bin) that they carry, so that it
    keeps its scale when units are hidden. Padding units have rows of zeros and carry none.

    Returns:
        float32 [G, b, T, K + 1].
    """
    rates = stitcher.base_rates(rows)  # [G, N], spikes per bin
    # A scale and nothing to learn by: no gradient of the read-in goes through it.
    power = jax.lax.stop_gradient(jnp.square(rows["read_in"]).sum(-1)) * rates
    shown = jnp.where(inputs.hidden_units, 0.0, power[:, None, :])[:, :, None]  # [G, b, 1, N]
    if inputs.observed is not None:  # what was not watched in a bin is hidden there
        shown = jnp.where(inputs.observed, shown, 0.0)
    share = shown.sum(-1) / jnp.maximum(power.sum(-1), 1e-12)[:, None, None]  # [G, b, T or 1]
    counts = inputs.counts.astype(jnp.float32) - rates[:, None, None, :]
    bias = rows["read_in_bias"][:, None, None]
    latents = stitcher.read_in(rows, jnp.where(inputs.visible(), counts, 0.0)) - bias
    # At most 50 times: with next to nothing visible the rest would be noise blown up.
    latents = latents / jnp.maximum(share, 0.02)[..., None] + bias
    # How much is visible is an input too: a latent of zero may be silence, or not knowing.
    share_of_bins = jnp.where(inputs.hidden_bins, 0.0, share)
    return jnp.concatenate([latents, share_of_bins[..., None]], axis=-1)


def generate(
    params: dict[str, Any],
    start: jax.Array,
    encoding: jax.Array,
    input_noise: jax.Array,
    config: Config,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Runs controller and generator through the trial, bin by bin.

    Args:
        params: of `init`.
        start: generator state before the first bin, [G, b, H].
        encoding: [T, G, b, 2E].
        input_noise: standard normal [T, G, b, U]; zeros follow the posterior mean.
        config: shapes.

    Returns:
        factors [T, G, b, F], then means, variances and drawn values of the inputs [T, G, b, U].
    """
    # Rows of unit length: the factors' scale lives in the read-out alone (Pandarinath et al. 2018).
    lengths = jnp.sqrt(jnp.sum(jnp.square(params["factors"]), axis=0, keepdims=True))
    to_factors = params["factors"] / jnp.maximum(lengths, 1e-6)
    controller_cell, generator_cell = params["controller"], params["generator"]
    kernel = controller_cell["input"]["kernel"]
    reads_encoding, reads_factors = jnp.split(kernel, [encoding.shape[-1]])
    bias = controller_cell["input"]["bias"]
    # The encoding's part of the controller's input: known beforehand, one product for all bins.
    known = gru.affine({"kernel": reads_encoding, "bias": bias}, encoding)

    def next_bin(carry, of_bin):
        controller, generator, factors = carry
        known, noise = of_bin
        controller = gru.step(controller_cell, controller, known + factors @ reads_factors)
        mean, variance = _posterior(params["input_posterior"], controller, config)
        drawn = mean + jnp.sqrt(variance) * noise
        generator = gru.step(generator_cell, generator, gru.drive(generator_cell, drawn))
        factors = generator @ to_factors
        return (controller, generator, factors), (factors, mean, variance, drawn)

    # The controller starts empty; what is inferred of the start is in the generator's state.
    controller = jnp.zeros((*start.shape[:-1], config.controller_width))
    first = (controller, start, start @ to_factors)
    return jax.lax.scan(next_bin, first, (known, input_noise))[1]


def _posterior(params, states: jax.Array, config: Config) -> tuple[jax.Array, jax.Array]:
    """Mean and variance of a diagonal Gaussian, from states [..., I]."""
    mean, log_variance = jnp.split(gru.affine(params, states), 2, axis=-1)
    return mean, jnp.exp(log_variance) + config.variance_floor
