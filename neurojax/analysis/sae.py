"""Sparse autoencoders: states of a model as sums of a few features out of many.

    activations = sparse(states W + b)      states ~ activations D + c,   rows of D of length one

Two ways to be sparse: `topk` keeps the largest activations of each state, `jumprelu` those above a
threshold of each feature, which is learned so that as many are kept in the mean. A feature that
has not been kept for many states in a row is dead; dead ones are revived by predicting what the
living leave unexplained. How long a feature has been silent is counted in a buffer.

Letters: n states, D dimensions, F features. All functions are pure.

Sources: TopK and the revival Gao et al. 2024; JumpReLU with a straight-through threshold
Rajamanoharan et al. 2024.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from neurojax.errors import require

TOPK, JUMPRELU = "topk", "jumprelu"
KINDS = (TOPK, JUMPRELU)
_BANDWIDTH = 0.4  # of the straight-through threshold, in standard deviations of a state
_FIRST_THRESHOLD = 0.5
_SPARSITY_WEIGHT = 1.0  # of jumprelu: loss where twice as many are active as wanted
_REVIVAL_WEIGHT = 1 / 32  # Gao et al. 2024
_DECAYS_FROM, _ENDS_AT = 0.5, 0.02  # of the steps; of the learning rate
_ROWS_AT_ONCE = 4096


class Settings(NamedTuple):
    """Attributes:
    kind: "topk" or "jumprelu".
    num_features: F.
    num_active: activations that are kept of a state, at most (topk) or in the mean (jumprelu).
    num_steps, rows_per_step: of training.
    learning_rate: of Adam, falling to a fiftieth over the second half of the steps.
    dead_after_steps: steps without being kept after which a feature is dead.
    """

    kind: str = TOPK
    num_features: int = 256
    num_active: int = 16
    num_steps: int = 1000
    rows_per_step: int = 512
    learning_rate: float = 1e-2
    dead_after_steps: int = 50


class Autoencoder(NamedTuple):
    """A pytree; states are centred and scaled before the encoder and back after the decoder.

    Attributes:
        encoder: float32 [D, F].
        encoder_bias: float32 [F].
        decoder: float32 [F, D], rows of length one.
        decoder_bias: float32 [D].
        log_threshold: float32 [F]; read by jumprelu alone.
        centre: float32 [D], mean of the states trained on.
        scale: float32 [], root mean square of a dimension around the mean.
    """

    encoder: jax.Array
    encoder_bias: jax.Array
    decoder: jax.Array
    decoder_bias: jax.Array
    log_threshold: jax.Array
    centre: jax.Array
    scale: jax.Array


class Fitted(NamedTuple):
    """Attributes:
    autoencoder: after training.
    unexplained: float32 [num_steps], share of the variance of each step's states.
    num_dead: int32 [num_steps], features that were dead at each step.
    steps_since_firing: int32 [F], the buffer at the end.
    """

    autoencoder: Autoencoder
    unexplained: jax.Array
    num_dead: jax.Array
    steps_since_firing: jax.Array


def fit(states: Any, settings: Settings, key: jax.Array) -> Fitted:
    """Trains an autoencoder in one compiled loop; equal keys give equal features on one machine.

    Args:
        states: float [n, D].
        settings: sizes and rates.
        key: of the first features and of the states of each step.

    Raises:
        InputError: no states, states that do not differ, or sizes that cannot be.
    """
    states = jnp.asarray(states, jnp.float32)
    require_sizes(settings)
    require(
        states.ndim == 2 and len(states) > 1,
        f"states of shape {states.shape}; expected [n, D] with n above 1",
    )
    centre = states.mean(0)
    scale = jnp.sqrt(jnp.square(states - centre[None]).mean())
    require(
        bool(jnp.isfinite(scale) & (scale > 0)),
        f"states with a standard deviation of {float(scale)}; expected finite ones that differ",
    )
    return _fit(states, centre, scale, settings, key)


def require_sizes(settings: Settings) -> None:
    """Raises InputError for sizes that cannot be."""
    require(settings.kind in KINDS, f"kind={settings.kind!r}; choose from {', '.join(KINDS)}")
    for name in ("num_features", "num_active", "num_steps", "rows_per_step"):
        value = getattr(settings, name)
        require(value >= 1, f"{name}={value}; expected a whole number of at least 1")
    require(
        settings.num_active <= settings.num_features,
        f"num_active={settings.num_active} of num_features={settings.num_features}; expected at "
        "most as many",
    )


@functools.partial(jax.jit, static_argnames="settings")
def _fit(states, centre, scale, settings: Settings, key) -> Fitted:
    first_key, steps_key = jax.random.split(key)
    first = _first(states, centre, scale, settings, first_key)
    falling = optax.linear_schedule(
        settings.learning_rate,
        settings.learning_rate * _ENDS_AT,
        max(int(settings.num_steps * (1 - _DECAYS_FROM)), 1),
        int(settings.num_steps * _DECAYS_FROM),
    )
    optimizer = optax.adam(falling)

    def step(carry, number):
        autoencoder, moments, silent = carry
        drawn = jax.random.fold_in(steps_key, number)
        rows = jax.random.randint(drawn, (settings.rows_per_step,), 0, len(states))
        dead = silent > settings.dead_after_steps
        grad = jax.value_and_grad(_loss, has_aux=True)
        (_, (unexplained, fired)), slope = grad(autoencoder, states[rows], dead, settings)
        # Centre and scale are facts of the states, not weights.
        slope = slope._replace(centre=jnp.zeros_like(centre), scale=jnp.zeros_like(scale))
        change, moments = optimizer.update(slope, moments, autoencoder)
        autoencoder = optax.apply_updates(autoencoder, change)
        autoencoder = autoencoder._replace(decoder=_of_length_one(autoencoder.decoder))
        silent = jnp.where(fired, 0, silent + 1)
        return (autoencoder, moments, silent), (unexplained, dead.sum())

    silent = jnp.zeros(settings.num_features, jnp.int32)
    carry = (first, optimizer.init(first), silent)
    (autoencoder, _, silent), told = jax.lax.scan(step, carry, jnp.arange(settings.num_steps))
    return Fitted(autoencoder, *told, silent)


def _first(states, centre, scale, settings: Settings, key) -> Autoencoder:
    """Features that point at states, read by the transpose of what writes them."""
    drawn_key, noise_key = jax.random.split(key)
    drawn = jax.random.randint(drawn_key, (settings.num_features,), 0, len(states))
    rows = (states[drawn] - centre[None]) / scale
    # A little noise: two features that start at one state would stay one.
    rows = rows + 0.1 * jax.random.normal(noise_key, rows.shape)
    decoder = _of_length_one(rows)
    zeros = jnp.zeros(settings.num_features)
    threshold = jnp.full(settings.num_features, jnp.log(_FIRST_THRESHOLD))
    # Copies: what centres the states is kept beside a bias that is learned.
    return Autoencoder(
        decoder.T, zeros, decoder, jnp.zeros_like(centre), threshold, centre + 0, scale + 0
    )


def _of_length_one(rows: jax.Array) -> jax.Array:
    return rows / jnp.maximum(jnp.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)


def _loss(autoencoder: Autoencoder, states, dead, settings: Settings):
    """(loss, (share of the variance unexplained, features that fired))."""
    scaled = (states - autoencoder.centre[None]) / autoencoder.scale
    drives = _drives(autoencoder, scaled)
    activations = _kept(autoencoder, drives, settings)
    left = scaled - activations @ autoencoder.decoder - autoencoder.decoder_bias[None]
    unexplained = jnp.square(left).mean()  # a dimension has variance one
    loss = unexplained
    if settings.kind == JUMPRELU:
        threshold = jnp.exp(autoencoder.log_threshold)[None]
        num_active = _steps(drives, threshold).sum(-1).mean()
        loss = loss + _SPARSITY_WEIGHT * jnp.square(num_active / settings.num_active - 1)
    left, width = jax.lax.stop_gradient(left), states.shape[-1]

    def revived(_):
        kept = _largest(jnp.where(dead[None], drives, 0), min(width // 2 + 1, len(dead)))
        missed = left - jnp.where(dead[None], kept, 0) @ autoencoder.decoder
        return jnp.square(missed).mean() / jnp.maximum(jnp.square(left).mean(), 1e-9)

    revival = jax.lax.cond(dead.any(), revived, lambda _: jnp.zeros(()), None)
    return loss + _REVIVAL_WEIGHT * revival, (unexplained, (activations > 0).any(0))


def _drives(autoencoder: Autoencoder, scaled: jax.Array) -> jax.Array:
    centred = scaled - autoencoder.decoder_bias[None]
    return jax.nn.relu(centred @ autoencoder.encoder + autoencoder.encoder_bias[None])


def _kept(autoencoder: Autoencoder, drives: jax.Array, settings: Settings) -> jax.Array:
    """Drives float32 [n, F], not negative, zero where they are not kept."""
    if settings.kind == TOPK:
        return _largest(drives, settings.num_active)
    return _above(drives, jnp.exp(autoencoder.log_threshold)[None])


def _largest(drives: jax.Array, number: int) -> jax.Array:
    least = jax.lax.top_k(jax.lax.stop_gradient(drives), number)[0][:, -1:]
    return jnp.where(drives >= least, drives, 0)


# Above a threshold, with the pseudo-derivatives of Rajamanoharan et al. 2024: near the threshold a
# step has the slope of a box of width `_BANDWIDTH`.
@jax.custom_vjp
def _steps(drives: jax.Array, threshold: jax.Array) -> jax.Array:
    return (drives > threshold).astype(drives.dtype)


def _steps_back(kept, grad):
    drives, threshold = kept
    box = (jnp.abs(drives - threshold) < _BANDWIDTH / 2) / _BANDWIDTH
    return jnp.zeros_like(drives), -(grad * box).sum(0, keepdims=True)


_steps.defvjp(
    lambda drives, threshold: (_steps(drives, threshold), (drives, threshold)), _steps_back
)


@jax.custom_vjp
def _above(drives: jax.Array, threshold: jax.Array) -> jax.Array:
    return jnp.where(drives > threshold, drives, 0)


def _above_back(kept, grad):
    drives, threshold = kept
    box = (jnp.abs(drives - threshold) < _BANDWIDTH / 2) / _BANDWIDTH
    return jnp.where(drives > threshold, grad, 0), -(grad * box * threshold).sum(0, keepdims=True)


_above.defvjp(
    lambda drives, threshold: (_above(drives, threshold), (drives, threshold)), _above_back
)


@functools.partial(jax.jit, static_argnames="settings")
def encode(autoencoder: Autoencoder, states: jax.Array, settings: Settings) -> jax.Array:
    """Activations float32 [..., F], not negative, of states [..., D]."""
    flat = states.reshape(-1, states.shape[-1])
    scaled = (flat - autoencoder.centre[None]) / autoencoder.scale
    kept = _kept(autoencoder, _drives(autoencoder, scaled), settings)
    return kept.reshape(*states.shape[:-1], -1)


@jax.jit
def decode(autoencoder: Autoencoder, activations: jax.Array) -> jax.Array:
    """States float32 [..., D] of activations [..., F]."""
    flat = activations.reshape(-1, activations.shape[-1])
    scaled = flat @ autoencoder.decoder + autoencoder.decoder_bias[None]
    states = scaled * autoencoder.scale + autoencoder.centre[None]
    return states.reshape(*activations.shape[:-1], -1)


def contribution(autoencoder: Autoencoder, activation: jax.Array, feature: int) -> jax.Array:
    """What one feature adds to states: its activation [...] -> [..., D]."""
    written = autoencoder.scale * autoencoder.decoder[feature]
    return jnp.einsum("...,d->...d", activation, written)


class Use(NamedTuple):
    """How features are used over states.

    Attributes:
        share: float64 [F], of the states in which each fires.
        num_active: mean number of features that fire in a state.
        unexplained: share of the states' variance.
    """

    share: Any
    num_active: float
    unexplained: float


def use(autoencoder: Autoencoder, states: Any, settings: Settings) -> Use:
    """How the features are used over states [n, D], in parts that memory holds."""
    fired, left, around = 0.0, 0.0, 0.0
    states = jnp.asarray(states, jnp.float32)
    mean = states.mean(0)
    for first in range(0, len(states), _ROWS_AT_ONCE):
        some = states[first : first + _ROWS_AT_ONCE]
        activations = encode(autoencoder, some, settings)
        fired = fired + (activations > 0).sum(0)
        left += float(jnp.square(some - decode(autoencoder, activations)).sum())
        around += float(jnp.square(some - mean[None]).sum())
    share = jax.device_get(fired) / len(states)
    return Use(share, float(share.sum()), left / max(around, 1e-12))
