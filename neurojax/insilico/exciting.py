"""Most exciting images: what drives a neuron of a twin the most, by gradient ascent at unit sd."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.errors import require
from neurojax.insilico import encoder as encoders
from neurojax.insilico.encoder import Encoder

NEURONS_PER_PASS = 10


class Exciting(NamedTuple):
    """Attributes:
    images: float32 [n, C, H, W] of zero mean and unit sd.
    responses: float32 [n], of each neuron to its own image.
    """

    images: np.ndarray
    responses: np.ndarray


def most_exciting(
    encoder: Encoder,
    neurons: Sequence[int],
    *,
    steps: int = 20,
    step_size: float = 1.0,
    smoothing_px: float = 1.0,
    seed: int = 0,
) -> Exciting:
    """The most exciting image of each neuron, among those of zero mean and unit sd.

    Every step goes along the gradient of the log response, blurred a little and brought to unit sd
    itself, and back to unit sd; the steps shrink to zero. The best image on the way is kept.

    Args:
        encoder: the twin of one session.
        neurons: int [n], which.
        steps: of ascent.
        step_size: of the first step, in units of the image's sd.
        smoothing_px: sd of the blur of the gradient; 0 for none. It leaves out what only a network
            would see.
        seed: of the noise that each ascent starts from.

    Raises:
        InputError: no neuron, or no step.
    """
    require(len(neurons) and steps >= 1, f"{len(neurons)} neurons, {steps} steps; expected some")
    noise = jax.random.normal(jax.random.key(seed), (len(neurons), *encoder.image_shape))
    images, best = [], []
    for first in range(0, len(neurons), NEURONS_PER_PASS):
        own = list(neurons[first : first + NEURONS_PER_PASS])
        padded = own + own[-1:] * (NEURONS_PER_PASS - len(own))  # one shape, one program
        begun = noise[first : first + len(own)]
        begun = jnp.concatenate([begun, jnp.repeat(begun[-1:], len(padded) - len(own), axis=0)])
        some = encoder.of_neurons(padded)
        told = jnp.zeros((len(padded), encoder.behaviours))
        sizes = (steps, smoothing_px)
        found = _ascended(some.weights, begun, told, step_size, encoder.config, *sizes)
        images.append(np.asarray(found[0])[: len(own)])
        best.append(np.exp(np.asarray(found[1]))[: len(own)])
    return Exciting(np.concatenate(images), np.concatenate(best))


def standardised(images: jax.Array) -> jax.Array:
    """Images [n, C, H, W] at zero mean and unit sd each."""
    images = images - images.mean((1, 2, 3), keepdims=True)
    return images / jnp.maximum(images.std((1, 2, 3), keepdims=True), 1e-12)


@functools.partial(jax.jit, static_argnames=("config", "steps", "smoothing_px"))
def _ascended(weights, images, behaviour, step_size, config, steps, smoothing_px):
    """(best images, their log responses): neuron k climbs on image k."""
    nowhere = jnp.full((len(images), 2), jnp.nan)

    def own_log_rates(images):
        each = encoders.log_rates(weights, images, behaviour, nowhere, config)
        return jnp.diagonal(each)

    def step(carried, shrink):
        images, best, best_rate = carried
        # Images do not touch each other: the gradient of the sum is that of each.
        (_, rates), gradient = jax.value_and_grad(
            lambda images: (lambda own: (own.sum(), own))(own_log_rates(images)), has_aux=True
        )(images)
        better = rates > best_rate
        best = jnp.where(better[:, None, None, None], images, best)
        direction = standardised(_blurred(gradient, smoothing_px))
        moved = standardised(images + step_size * shrink * direction)
        return (moved, best, jnp.where(better, rates, best_rate)), None

    # The first step leaves the noise altogether: it is as long as twenty.
    shrink = jnp.concatenate([jnp.array([20.0]), 1 - jnp.arange(1, steps) / steps])
    begun = standardised(_blurred(images, 1.0))
    start = (begun, begun, jnp.full(len(images), -jnp.inf))
    (last, best, best_rate), _ = jax.lax.scan(step, start, shrink)
    rates = own_log_rates(last)
    better = rates > best_rate
    best = jnp.where(better[:, None, None, None], last, best)
    return best, jnp.maximum(rates, best_rate)


def _blurred(images: jax.Array, sd_px: float) -> jax.Array:
    """A Gaussian blur of images [n, C, H, W], zero outside; as they are at 0."""
    if not sd_px:
        return images
    reach = int(np.ceil(3 * sd_px))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sd_px) ** 2)
    kernel = jnp.asarray(kernel / kernel.sum(), jnp.float32)
    for axis in (2, 3):
        pad = [(0, 0)] * 4
        pad[axis] = (reach, reach)
        padded, size = jnp.pad(images, pad), images.shape[axis]
        images = sum(
            jax.lax.slice_in_dim(padded, k, k + size, axis=axis) * kernel[k]
            for k in range(2 * reach + 1)
        )
    return images
