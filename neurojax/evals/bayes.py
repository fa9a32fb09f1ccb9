"""Decoding by Bayes' rule: from an encoding model's rates to what was shown.

    p(stimulus | responses) ~ p(responses | stimulus) p(stimulus)

Responses are Poisson around the rates of any encoder. Among candidates the posterior is exact; of
an image without candidates the most likely one is climbed to. `bayes_rate` says beforehand how
often the best candidate is the right one, from the rates alone, so that a decoder can be checked.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy import special

from neurojax.errors import require

LEAST_RATE = 1e-6  # a rate of exactly zero would make one spike impossible


def log_likelihood(rates: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Log of the Poisson probability of responses under each candidate, without log y!.

    Args:
        rates: expected spikes [K, N] under each of K candidates.
        counts: spikes [n, N].

    Returns:
        float64 [n, K], in nats.

    Raises:
        InputError: other shapes, rates below zero, or numbers that are not finite.
    """
    rates, counts = np.asarray(rates, np.float64), np.asarray(counts, np.float64)
    require(
        rates.ndim == counts.ndim == 2 and rates.shape[1] == counts.shape[1] and rates.size,
        f"rates are {list(rates.shape)} and counts {list(counts.shape)}; expected [K, N] and "
        "[n, N] of the same neurons",
    )
    sound = np.isfinite(rates).all() and np.isfinite(counts).all() and (rates >= 0).all()
    require(sound and (counts >= 0).all(), "rates and counts must be finite and not below zero")
    rates = np.maximum(rates, LEAST_RATE)
    return counts @ np.log(rates).T - rates.sum(1)


def posterior(rates: np.ndarray, counts: np.ndarray, prior: np.ndarray | None = None) -> np.ndarray:
    """Probability of each candidate given the responses, float64 [n, K].

    Args:
        rates, counts: as of `log_likelihood`.
        prior: probabilities [K]; default all alike.
    """
    logs = log_likelihood(rates, counts)
    if prior is not None:
        prior = np.asarray(prior, np.float64)
        sound = prior.shape == logs.shape[1:] and (prior >= 0).all() and prior.sum() > 0
        require(sound, f"prior is {list(prior.shape)}, expected {logs.shape[1]} probabilities")
        with np.errstate(divide="ignore"):
            logs = logs + np.log(prior / prior.sum())
    return special.softmax(logs, axis=1)


def bayes_rate(rates: np.ndarray, seed: Any, repeats: int = 1) -> float:
    """How often the best candidate is the right one at best, all alike likely.

    No decoder is right more often than in the mean, over responses, of the largest posterior
    probability; the best one is as often. Responses are drawn (for candidates that are many and
    alike there is no closed form: the normal law of their likelihood ratios with one shared factor
    is off by two points at 40 neurons of a public twin), the probability of each is exact.

    Args:
        rates: expected spikes [K, N] under each of K candidates.
        seed, repeats: of the draws, so many for each candidate.
    """
    rng, found = np.random.default_rng(seed), []
    for _ in range(repeats):
        found.append(posterior(rates, _drawn(rates, rng)).max(1).mean())
    return float(np.mean(found))


class Identification(NamedTuple):
    """Attributes:
    accuracy: share of responses whose best candidate is the right one; a tie counts its share.
    expected: `bayes_rate` of other draws.
    """

    accuracy: float
    expected: float


def identification(rates: np.ndarray, seed: int, repeats: int = 1) -> Identification:
    """Simulates Poisson responses to each candidate and identifies it among all.

    Args:
        rates: expected spikes [K, N].
        seed: of the noise.
        repeats: responses to each.
    """
    rng, right = np.random.default_rng([seed, 0]), []
    for _ in range(repeats):
        logs = log_likelihood(rates, _drawn(rates, rng))
        tied = logs >= logs.max(1, keepdims=True) - 1e-9
        right.append((np.diagonal(tied) / tied.sum(1)).mean())
    return Identification(float(np.mean(right)), bayes_rate(rates, [seed, 1], repeats))


def _drawn(rates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Poisson spikes for each candidate, [K, N]."""
    return rng.poisson(np.maximum(np.asarray(rates, np.float64), LEAST_RATE))


class Reconstruction(NamedTuple):
    """Attributes:
    images: float32 [n, H, W], the most likely given the responses.
    log_posterior: float32 [n], in nats, up to a constant.
    """

    images: np.ndarray
    log_posterior: np.ndarray


def most_likely_images(
    log_rates: Callable[[Any], Any],
    counts: np.ndarray,
    shape: tuple[int, int],
    *,
    steps: int = 200,
    step_size: float = 0.05,
    seed: int = 0,
) -> Reconstruction:
    """The most likely images given responses, by gradient ascent on the log posterior (MAP).

    The prior is Gaussian with an amplitude of 1 / f and unit sd, as textures have; images are
    climbed to in its whitened coefficients, with Adam.

    Args:
        log_rates: images [n, 1, H, W] -> log of the expected spikes [n, N], in JAX; of a twin
            `encoder.log_rates`.
        counts: spikes [n, N].
        shape: (H, W).
        steps, step_size: of Adam.
        seed: of the start, near zero.

    Raises:
        InputError: counts that are not finite numbers from zero on.
    """
    counts = np.asarray(counts, np.float32)
    sound = counts.ndim == 2 and np.isfinite(counts).all() and (counts >= 0).all()
    require(sound, f"counts are {list(counts.shape)}; expected spikes [n, N] from zero on")
    height, width = shape
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(width), np.fft.fftfreq(height)))
    amplitude = np.where(frequency > 0, 1 / np.maximum(frequency, 1e-9), 0.0)
    amplitude = np.float32(amplitude / np.sqrt(np.mean(np.square(amplitude))))

    def images_of(white):
        # White noise filtered: real, and of unit sd in the mean over images of the prior.
        return jnp.fft.ifft2(jnp.fft.fft2(white) * amplitude[None]).real

    def log_posteriors(white):
        found = log_rates(images_of(white)[:, None])
        likelihood = (counts * found - jnp.exp(found)).sum(-1)
        return likelihood - 0.5 * jnp.square(white).sum((1, 2))

    optimiser = optax.adam(step_size)

    def step(carried, _):
        white, state = carried
        gradient = jax.grad(lambda white: -log_posteriors(white).sum())(white)
        updates, state = optimiser.update(gradient, state)
        return (white + updates, state), None

    @jax.jit
    def climbed(white):
        (white, _), _ = jax.lax.scan(step, (white, optimiser.init(white)), None, length=steps)
        return images_of(white), log_posteriors(white)

    start = 0.1 * jax.random.normal(jax.random.key(seed), (len(counts), height, width))
    images, found = climbed(start)
    return Reconstruction(np.asarray(images), np.asarray(found))
