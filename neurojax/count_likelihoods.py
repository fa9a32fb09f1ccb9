"""Likelihoods of spike counts beside Poisson's: nats, the mean, and what parameters of units start
from.

A model gives each entry a drive z, which starts at the log of a unit's mean count. What else a
likelihood needs belongs to a unit, or to all units of a session, and is a row of a table:

    negative_binomial         variance m + d m^2 around a mean m, the dispersion d of each unit
    negative_binomial_shared  one dispersion for all units of a session
    binomial                  never more spikes than the unit's fullest training bin had
    bernoulli                 whether a bin has a spike; no row
    gaussian_counts           a unit's own spread, the same at any rate

Nats of the first four are without the constant log y!, as those of the Poisson head, so that their
differences are differences of log-likelihoods; those of gaussian_counts are of a density.
`evals.likelihoods` has the whole log-likelihoods, and holds each against Poisson's.

Source: Hilbe 2011, "Negative binomial regression", section 8.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

LOG_DISPERSION = (-12.0, 7.0)  # beyond these it is Poisson's, or all spikes are in one bin
LOG_SPREAD = (-4.0, 6.0)
LEAST_DRIVE = -60.0  # a rate that float32 still holds
_SHIFT = 4  # Stirling's series is good to 1e-7 from here on
_HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))


class Natural(NamedTuple):
    """Attributes:
    drive: float32 [..., T, N], one of each entry.
    rows: table -> float32, broadcastable to the drive: [G, 1, 1, N] of units, or of one unit a
        trial [G, b, 1, 1]; [G, 1, 1, 1] of sessions.
    """

    drive: jax.Array
    rows: Mapping[str, jax.Array]


class Moments(NamedTuple):
    """Counts of each unit over its observed training bins, float64 [N].

    Attributes:
        mean: spikes per bin, with one pseudo-spike: positive.
        variance: of the counts.
        most: spikes of the fullest bin.
    """

    mean: np.ndarray
    variance: np.ndarray
    most: np.ndarray


class Row(NamedTuple):
    """A table that a likelihood needs.

    Attributes:
        rows: "unit" or "session", what a row belongs to.
        start: of the moments of a session: float [N], or a number for the session.
    """

    rows: str
    start: Callable[[Moments], Any]


class CountLikelihood(NamedTuple):
    """Attributes:
    nll: (Natural or drive, counts) -> float32 nats of each entry.
    log_mean: Natural or drive -> log of the expected spikes per bin.
    averaged: of several samples [K, ...] -> the one whose mean is theirs.
    sample: (key, Natural or drive) -> float32 counts drawn for each entry.
    rows: table -> what it holds.
    """

    nll: Callable[[Any, jax.Array], jax.Array]
    log_mean: Callable[[Any], jax.Array]
    averaged: Callable[[Any], Any]
    sample: Callable[[jax.Array, Any], jax.Array]
    rows: Mapping[str, Row]


def log_rising(number: jax.Array, start: jax.Array) -> jax.Array:
    """log of start (start + 1) ... (start + number - 1) / start ** number, float32.

    The difference of two log-gammas would lose all digits where `start` is large.

    Args:
        number: whole numbers as float32, not negative.
        start: positive.
    """
    low = start + _SHIFT
    high = low + number

    def rest(x):  # of Stirling's series
        return (1 / 12 - (1 / 360 - 1 / (1260 * x * x)) / (x * x)) / x

    first = 1.0
    for place in range(_SHIFT):
        first = first * (1 + number / (start + place))
    stirling = (high - 0.5) * jnp.log1p(number / low) - number + rest(high) - rest(low)
    return stirling + number * jnp.log1p(_SHIFT / start) - jnp.log(first)


def negative_binomial_nll(natural: Natural, counts: jax.Array) -> jax.Array:
    """-log of the probability of each count, without log y!; tends to Poisson's with no dispersion.

    Args:
        natural: the drive is the log of the mean m; the row `log_dispersion` the log of d in
            variance = m + d m^2.
        counts: [..., T, N], spikes per bin.

    Returns:
        float32 [..., T, N], nats.
    """
    log_mean, counts = natural.drive.astype(jnp.float32), counts.astype(jnp.float32)
    size = _size(natural)
    spent = (size + counts) * jnp.log1p(jnp.exp(log_mean) / size)
    return spent - counts * log_mean - log_rising(counts, size)


def _size(natural: Natural) -> jax.Array:
    (log_dispersion,) = natural.rows.values()
    return jnp.exp(-jnp.clip(log_dispersion, *LOG_DISPERSION))  # 1 / d


def _negative_binomial_sample(key: jax.Array, natural: Natural) -> jax.Array:
    gain_key, count_key = jax.random.split(key)
    size = jnp.broadcast_to(_size(natural), natural.drive.shape)
    # Poisson counts under a gain of mean 1 and variance d.
    gain = jax.random.gamma(gain_key, size) / size
    return poisson_sample(count_key, natural.drive + jnp.log(jnp.maximum(gain, 1e-30)))


def poisson_sample(key: jax.Array, log_rates: jax.Array) -> jax.Array:
    """Counts of these rates, float32."""
    return jax.random.poisson(key, jnp.exp(log_rates)).astype(jnp.float32)


def binomial_nll(natural: Natural, counts: jax.Array) -> jax.Array:
    """-log of the probability of each count, without log y!; a count above the ceiling reads as it.

    Args:
        natural: logit of the probability is the drive less the row `odds_offset`; `ceiling` n.
        counts: [..., T, N], spikes per bin.

    Returns:
        float32 [..., T, N], nats.
    """
    ceiling, logit = _ceiling(natural), _logit(natural)
    counts = jnp.minimum(counts.astype(jnp.float32), ceiling)
    # n! / (n - y)! from its lowest factor up.
    lowest = ceiling - counts + 1
    ways = counts * jnp.log(lowest) + log_rising(counts, lowest)
    return ceiling * jax.nn.softplus(logit) - counts * logit - ways


def _ceiling(natural: Natural) -> jax.Array:
    # Constants: without a gradient Adam leaves a row as it is. Padding units have zero.
    return jax.lax.stop_gradient(jnp.maximum(natural.rows["ceiling"], 1.0))


def _logit(natural: Natural) -> jax.Array:
    offset = jax.lax.stop_gradient(natural.rows["odds_offset"])
    return natural.drive.astype(jnp.float32) - offset


def _binomial_log_mean(natural: Natural) -> jax.Array:
    return jnp.log(_ceiling(natural)) - jax.nn.softplus(-_logit(natural))


def _binomial_averaged(natural: Natural) -> Natural:
    probability = jax.nn.sigmoid(_logit(natural)).mean(0)
    rows = {name: row[0] for name, row in natural.rows.items()}
    return Natural(jnp.log(probability) - jnp.log1p(-probability) + rows["odds_offset"], rows)


def _binomial_sample(key: jax.Array, natural: Natural) -> jax.Array:
    ceiling = jnp.broadcast_to(_ceiling(natural), natural.drive.shape)
    return jax.random.binomial(key, ceiling, jax.nn.sigmoid(_logit(natural))).astype(jnp.float32)


def bernoulli_nll(log_rates: jax.Array, counts: jax.Array) -> jax.Array:
    """-log of the probability of a spike or of none, where spikes come at random at a rate: one at
    least with 1 - exp(-rate).

    Args:
        log_rates: float [..., T, N], log of the expected spikes per bin.
        counts: [..., T, N]; whether there is any is all that is read.

    Returns:
        float32 [..., T, N], nats.
    """
    rates = jnp.exp(jnp.maximum(log_rates.astype(jnp.float32), LEAST_DRIVE))
    return jnp.where(counts > 0, -jnp.log(-jnp.expm1(-rates)), rates)


def gaussian_counts_nll(natural: Natural, counts: jax.Array) -> jax.Array:
    """-log of the Gaussian density at each count.

    Args:
        natural: the drive is the log of the mean; the row `log_spread` the log of the standard
            deviation.
        counts: [..., T, N], spikes per bin.

    Returns:
        float32 [..., T, N], nats.
    """
    log_spread = jnp.clip(natural.rows["log_spread"], *LOG_SPREAD)
    error = counts.astype(jnp.float32) - jnp.exp(natural.drive.astype(jnp.float32))
    return 0.5 * jnp.square(error * jnp.exp(-log_spread)) + log_spread + _HALF_LOG_2PI


def _gaussian_sample(key: jax.Array, natural: Natural) -> jax.Array:
    spread = jnp.exp(jnp.clip(natural.rows["log_spread"], *LOG_SPREAD))
    values = jnp.exp(natural.drive) + spread * jax.random.normal(key, natural.drive.shape)
    return jnp.maximum(jnp.round(values), 0.0)


def _drive(natural: Natural) -> jax.Array:
    return natural.drive


def log_of_mean_rate(log_rates: jax.Array) -> jax.Array:
    """Log of the mean over the first axis of rates, from their logs."""
    return jax.nn.logsumexp(log_rates, axis=0) - jnp.log(len(log_rates))


def _averaged(natural: Natural) -> Natural:
    rows = {name: row[0] for name, row in natural.rows.items()}  # samples of one model: all alike
    return Natural(log_of_mean_rate(natural.drive), rows)


# What rows start from: a model that knows only the training means of units.


def _log_dispersion(moments: Moments) -> np.ndarray:
    return np.log(np.clip((moments.variance - moments.mean) / moments.mean**2, 0.01, 10.0))


def _shared_log_dispersion(moments: Moments) -> float:
    excess = (moments.variance - moments.mean).sum() / np.square(moments.mean).sum()
    return float(np.log(np.clip(excess, 0.01, 10.0)))


def _most(moments: Moments) -> np.ndarray:
    return np.maximum(moments.most, 1.0)


def _odds_offset(moments: Moments) -> np.ndarray:
    # At a drive of log(mean) the mean is the mean; a unit at its ceiling throughout just below.
    return np.log(np.maximum(_most(moments) - moments.mean, 1e-3 * _most(moments)))


def _log_spread(moments: Moments) -> np.ndarray:
    return 0.5 * np.log(np.maximum(moments.variance, moments.mean))


_OF_UNIT = {"log_dispersion": Row("unit", _log_dispersion)}
_OF_SESSION = {"session_log_dispersion": Row("session", _shared_log_dispersion)}
_BINOMIAL = {"ceiling": Row("unit", _most), "odds_offset": Row("unit", _odds_offset)}
_SPREAD = {"log_spread": Row("unit", _log_spread)}

LIKELIHOODS = {
    "negative_binomial": CountLikelihood(
        negative_binomial_nll, _drive, _averaged, _negative_binomial_sample, _OF_UNIT
    ),
    "negative_binomial_shared": CountLikelihood(
        negative_binomial_nll, _drive, _averaged, _negative_binomial_sample, _OF_SESSION
    ),
    "binomial": CountLikelihood(
        binomial_nll, _binomial_log_mean, _binomial_averaged, _binomial_sample, _BINOMIAL
    ),
    # Spikes as of the process that it only sees the presence of.
    "bernoulli": CountLikelihood(
        bernoulli_nll, lambda drive: drive, log_of_mean_rate, poisson_sample, {}
    ),
    "gaussian_counts": CountLikelihood(
        gaussian_counts_nll, _drive, _averaged, _gaussian_sample, _SPREAD
    ),
}
