"""A read-out of feature maps, one place and one set of features for each neuron.

Where a neuron looks is a Gaussian: its mean follows from the neuron's place in cortex (a small
network of each session) or is the neuron's own; its covariance is drawn from in training, so that
the place is found by gradients of a map, and left out afterwards. A shifter moves all places of a
session with the pupil.

    mean [N, 2] -> (+ spread @ normal, in training) -> (+ shift of the pupil) -> bilinear features
                -> dot product with the neuron's own -> drive [b, N]

Places are (x, y) from -1 to 1: -1 and 1 are the centres of the outermost pixels of the map.

Source: Lurz et al. 2021, Generalization in data-driven models of primary visual cortex, ICLR.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def mlp(
    layers: Sequence[tuple[jax.Array, jax.Array]], values: jax.Array, activation, bounded: bool
) -> jax.Array:
    """A small network of each session.

    Args:
        layers: (kernel [G, inputs, outputs], bias [G, outputs]) of each layer.
        values: [G, n, inputs].
        activation: between layers.
        bounded: whether a tanh follows the last one.

    Returns:
        float32 [G, n, outputs of the last layer].
    """
    for number, (kernel, bias) in enumerate(layers):
        if number:
            values = activation(values)
        values = jnp.matmul(values, kernel, precision="highest") + bias[:, None]
    return jnp.tanh(values) if bounded else values


def drawn_places(key: jax.Array, mean: jax.Array, spread: jax.Array, trials: int) -> jax.Array:
    """A place for every trial and neuron, float32 [G, b, N, 2], kept within the map.

    Args:
        mean: [G, N, 2].
        spread: [G, N, 2, 2], of which the covariance is spread @ spread.T.
        trials: b.
    """
    groups, units = mean.shape[:2]
    noise = jax.random.normal(key, (groups, trials, units, 2))
    return jnp.clip(mean[:, None] + jnp.einsum("gnij,gbnj->gbni", spread, noise), -1.0, 1.0)


def read(features: jax.Array, places: jax.Array, weights: jax.Array) -> jax.Array:
    """Features at each neuron's place, weighed by its own, float32 [b, N].

    Args:
        features: [b, h, w, D].
        places: [b, N, 2], or [1, N, 2] where all trials have the same; zero is read outside of
            the map.
        weights: [N, D].
    """
    height, width = features.shape[1:3]
    column = (places[..., 0] + 1) * 0.5 * (width - 1)
    row = (places[..., 1] + 1) * 0.5 * (height - 1)
    left, top = jnp.floor(column), jnp.floor(row)
    flat = features.reshape(features.shape[0], height * width, -1)
    found = 0.0
    for down in (0, 1):
        for right in (0, 1):
            share = jnp.where(down, row - top, 1 - (row - top))
            share = share * jnp.where(right, column - left, 1 - (column - left))
            x, y = left + right, top + down
            inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
            share = jnp.where(inside, share, 0.0)
            index = jnp.where(inside, y * width + x, 0).astype(jnp.int32)
            if places.shape[0] == 1:
                there = jnp.take(flat, index[0], axis=1)  # [b, N, D]
            else:
                there = jnp.take_along_axis(flat, index[..., None], axis=1)
            found = found + share[..., None] * there
    return jnp.einsum("bnd,nd->bn", found, weights, precision="highest")
