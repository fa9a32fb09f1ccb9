"""A small gated recurrent network on raw spikes: the nonlinear baseline.

Source: Cho et al. 2014 (the unit); the size follows the decoders that Glaser et al. 2020 found
    enough for such data.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from neurojax.evals.decoding.features import Features
from neurojax.evals.decoding.targets import CATEGORICAL, PER_BIN, Target, centre_and_scale

STEPS = (20, 40, 80, 160, 320)  # the grid: where training stops
WIDTH, MAX_COMPONENTS = 32, 64
LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 1e-2, 1e-2, 0.3


class GRU(nn.Module):
    """A GRU in both directions; a head for each bin, or for the mean over a trial's."""

    num_outputs: int
    per_bin: bool

    @nn.compact
    def __call__(self, signals: jax.Array, bin_valid: jax.Array, train: bool) -> jax.Array:
        """signals float32 [K, T, C], bin_valid bool [K, T] -> [K, T, outputs] or [K, outputs]."""
        lengths = bin_valid.sum(1)
        signals = nn.Dropout(DROPOUT, deterministic=not train)(signals)
        forward, backward = (
            nn.RNN(nn.GRUCell(WIDTH)),
            nn.RNN(nn.GRUCell(WIDTH), reverse=True, keep_order=True),
        )
        # [K, T, 2 * WIDTH]
        states = nn.Bidirectional(forward, backward)(signals, seq_lengths=lengths)
        states = nn.Dropout(DROPOUT, deterministic=not train)(states)
        if not self.per_bin:
            states = jnp.where(bin_valid[..., None], states, 0).sum(1) / lengths[:, None]
        return nn.Dense(self.num_outputs, name="head")(states)


def gru(raw: Features, num_classes: int, seed: int, steps: Sequence[int] = STEPS) -> Callable:
    """A `crossval.FitPredict` whose setting is the number of training steps.

    Args:
        raw: spike counts of all trials of the target.
        num_classes: of a categorical target, else 0.
        seed: of weights and dropout.
        steps: ascending.
    """

    def fit(target: Target, fitting: np.ndarray, asked: np.ndarray) -> np.ndarray:
        signals = _components(raw, fitting)
        # All trials pass through the network, only fitting ones weigh: one program for all folds.
        used = np.zeros(len(signals), np.float32)
        used[fitting] = 1
        if target.kind == CATEGORICAL:
            wanted, num_outputs = target.values, num_classes
        else:
            rows = target.values[fitting].reshape(-1, target.values.shape[-1])
            centre, scale = centre_and_scale(rows)
            wanted, num_outputs = (
                ((target.values - centre) / scale).astype(np.float32),
                target.values.shape[-1],
            )
        key = jax.random.key(seed)
        found = _trained(
            signals, raw.bin_valid, wanted, used, key, tuple(steps), num_outputs, target.kind
        )
        found = np.asarray(found, np.float64)[:, asked]
        return found if target.kind == CATEGORICAL else found * scale + centre

    return fit


def _components(raw: Features, fitting: np.ndarray) -> np.ndarray:
    """Leading principal components of the fitting trials' counts, float32 [K, T, C]."""
    rows = raw.signals[fitting][raw.bin_valid[fitting]].astype(np.float64)
    centre = rows.mean(0)
    values, vectors = np.linalg.eigh((rows - centre).T @ (rows - centre) / len(rows))
    vectors, variance = vectors[:, ::-1][:, :MAX_COMPONENTS], values[::-1][:MAX_COMPONENTS]
    signals = (raw.signals - centre) @ vectors / np.sqrt(max(variance.mean(), 1e-9))
    return np.where(raw.bin_valid[..., None], signals, 0).astype(np.float32)


@functools.partial(jax.jit, static_argnums=(5, 6, 7))
def _trained(signals, bin_valid, wanted, used, key, steps, num_outputs, kind):
    """Predictions [settings, K, ...] after each number of steps; `used` weighs trials."""
    model = GRU(num_outputs, kind == PER_BIN)
    start_key, dropout_key = jax.random.split(key)
    params = model.init(start_key, signals, bin_valid, False)
    optimizer = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def loss(params, key):
        predicted = model.apply(params, signals, bin_valid, True, rngs={"dropout": key})
        if kind == CATEGORICAL:
            each = optax.softmax_cross_entropy_with_integer_labels(predicted, wanted)
            return (each * used).sum() / used.sum()
        known = jnp.isfinite(wanted)
        weight = known * used.reshape((-1,) + (1,) * (wanted.ndim - 1))
        return (jnp.square(predicted - jnp.where(known, wanted, 0)) * weight).sum() / weight.sum()

    def step(number, carry):
        params, moments = carry
        gradient = jax.grad(loss)(params, jax.random.fold_in(dropout_key, number))
        updates, moments = optimizer.update(gradient, moments, params)
        return optax.apply_updates(params, updates), moments

    def advance(carry, bounds):
        carry = jax.lax.fori_loop(*bounds, step, carry)
        predicted = model.apply(carry[0], signals, bin_valid, False)
        return carry, jax.nn.log_softmax(predicted) if kind == CATEGORICAL else predicted

    # One training run: each setting is a stop on the way to the longest.
    stops = jnp.asarray((0, *steps))
    return jax.lax.scan(advance, (params, optimizer.init(params)), (stops[:-1], stops[1:]))[1]
