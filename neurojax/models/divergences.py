"""Kullback-Leibler divergences of Gaussian posteriors from their priors, in nats.

Source: Sussillo et al. 2016, "LFADS - latent factor analysis via dynamical systems", sections 1.3
and 1.4; Pandarinath et al. 2018, methods (the autoregressive prior of the inferred inputs).
"""

import jax
import jax.numpy as jnp


def gaussian(mean, variance, prior_mean, prior_variance) -> jax.Array:
    """KL(N(mean, variance) || N(prior_mean, prior_variance)), nats of each entry, all [...]."""
    distance = jnp.square(mean - prior_mean) / prior_variance
    ratio = variance / prior_variance
    return 0.5 * (ratio - jnp.log(ratio) - 1 + distance)


def ar1(prior: dict[str, jax.Array], means, variances, drawn) -> jax.Array:
    """KL of the inferred inputs to an AR(1) process, nats of each bin, summed over the inputs.

    By the chain rule the divergence of a path is the mean over paths of the sum over bins of
    KL(q(u_t | path) || p(u_t | u_{t-1})). Each bin's is in closed form given the previous value
    drawn, so one path gives an estimate without bias (and of less noise than log q - log p).
    The first bin's prior is the process's stationary distribution.

    Args:
        prior: log_time_constant_bins and log_noise_variance, [U].
        means, variances: of the posterior of each bin given the path before it, [T, ..., U].
        drawn: the path, [T, ..., U].

    Returns:
        float32 [T, ...].
    """
    carried = jnp.exp(-jnp.exp(-prior["log_time_constant_bins"]))  # share kept from bin to bin
    noise_variance = jnp.exp(prior["log_noise_variance"])
    # Nothing comes before the first bin, whose prior is the process's long-run distribution.
    stationary = noise_variance / (1 - jnp.square(carried))
    kept = _last_axis(carried, drawn) * drawn[:-1]
    expected = jnp.concatenate([jnp.zeros_like(drawn[:1]), kept])
    first = jnp.arange(len(drawn)).reshape((-1,) + (1,) * (drawn.ndim - 1)) == 0
    variance = jnp.where(first, _last_axis(stationary, drawn), _last_axis(noise_variance, drawn))
    return gaussian(means, variances, expected, variance).sum(-1)


def _last_axis(vector: jax.Array, entries: jax.Array) -> jax.Array:
    """[U] -> [1, ..., 1, U], to stand beside entries [..., U]."""
    return vector.reshape((1,) * (entries.ndim - 1) + (-1,))
