"""Square roots of Poisson counts: their noise hardly grows with the rate.

Below one spike a bin a root is nearly the count itself, above it the variance tends to 1/4, so that
fast units do not drown slow ones, in narrow bins and in wide ones.
"""

import jax
import jax.numpy as jnp

_MOST = 40  # counts summed over; a Poisson count of mean 12 is larger with probability 1e-10
_LARGE = 12.0  # spikes per bin, from which the expansion is good to 1e-4
_SMALL = 1e-8  # spikes, so that the slope at a silent bin is large and not endless


def of(counts: jax.Array) -> jax.Array:
    """Square roots of counts, to 1e-4."""
    return jnp.sqrt(counts + _SMALL) - _SMALL**0.5


def moments(rates: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and variance of the square root of a Poisson count.

    Args:
        rates: float32 [...], expected spikes per bin, positive.

    Returns:
        (mean, variance), float32 [...].
    """
    counts = jnp.arange(1.0, _MOST)
    counts = counts.reshape((1,) * jnp.ndim(rates) + (-1,))
    small = jnp.minimum(rates, _LARGE)[..., None]
    chances = jnp.exp(counts * jnp.log(small) - small - jax.lax.lgamma(counts + 1))
    summed = jnp.sum(jnp.sqrt(counts) * chances, axis=-1)
    # Of large rates by the delta method; both branches are finite everywhere.
    large = jnp.maximum(rates, 1.0)
    expanded = jnp.sqrt(large) * (1 - 1 / (8 * large) - 7 / (128 * large**2))
    mean = jnp.where(rates < _LARGE, summed, expanded)
    return mean, jnp.where(rates < _LARGE, rates - mean**2, 0.25 + 3 / (32 * large))


def slope(rates: jax.Array) -> jax.Array:
    """By how much the mean of the square root of a Poisson count follows its log-rate.

    Args:
        rates: float32 [...], expected spikes per bin, positive.
    """
    rates = jnp.asarray(rates, jnp.float32)
    return jax.jvp(lambda rate: moments(rate)[0], (rates,), (rates,))[1]
