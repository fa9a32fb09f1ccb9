"""Pictures from the voxels of a person whom nothing was trained on: encode a few pairs, invert.

What voxels take of an embedding is known before a new person comes: from the weights of the voxels
of others, how weights spread (`prior_of`). A few pictures with their responses then say what each
voxel of the new person takes (a Gaussian process with that prior; leave-one-out errors say how
voxels err together), and a picture is read by the likelihood of the response it would have made.
Nothing is trained, no gradient is taken, and every step is in closed form.

Source of the idea: Yeung et al. 2026, arXiv 2604.08537 (BrainCoDec), where both steps are a
transformer's; here both are Bayes' rule for linear voxels with Gaussian noise.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

MOST_PAIRS = 1000  # of a person, evenly spread
ENOUGH = 5  # pairs for each number of an embedding, to learn from others
MODES = (2, 4, 8, 12, 16, 24, 32, 48, 64, 96)  # how many may be listened to
FOLDS, FEW_PAIRS = 5, 300  # of more pairs one fold is left out, not each in turn
_LEAST = 1e-9


class Prior(NamedTuple):
    """What is known of voxels beforehand, float64.

    Attributes:
        mean: [E], of embeddings.
        spread: [E, E], covariance of a voxel's weights.
        noise: variance of a standardised voxel's error.
    """

    mean: np.ndarray
    spread: np.ndarray
    noise: float


def prior_of(people: Sequence[tuple[np.ndarray, np.ndarray]], num_embedding: int) -> Prior:
    """From the pairs of others: (standardised responses [n, N], embeddings [n, E]) of each; see
    `own_prior` and `joined`."""
    found = joined([own_prior(*pair) for pair in people])
    if found is not None:
        return found
    told = [embedding for _, embedding in people]
    return flat_prior(np.concatenate(told) if told else np.zeros((1, num_embedding)))


def flat_prior(embedding: np.ndarray) -> Prior:
    """Of nobody: all directions of embeddings [n, E] are alike, and half of a standardised voxel's
    variance is noise."""
    mean = embedding.mean(0, dtype=np.float64)
    size = np.square(embedding - mean).sum(1).mean()
    return Prior(mean, np.eye(len(mean)) * 0.5 / (size if size > 0 else 1.0), 0.5)


def joined(priors: Sequence[Prior | None]) -> Prior | None:
    """The mean of what several people say; None where nobody says anything."""
    known = [one for one in priors if one is not None]
    return Prior(*(np.mean(part, axis=0) for part in zip(*known, strict=True))) if known else None


def own_prior(response: np.ndarray, embedding: np.ndarray) -> Prior | None:
    """What one person says of how voxels are.

    Weights are fitted by least squares, slightly penalised, and what such weights spread by noise
    alone is taken off. None from fewer than ENOUGH pairs for each number of an embedding, so that
    long ones are best given by their principal components.
    """
    response, embedding = _thinned((response, embedding))
    if len(response) < ENOUGH * embedding.shape[1]:
        return None
    mean = embedding.mean(0, dtype=np.float64)
    seen = embedding.astype(np.float64) - mean
    square = seen.T @ seen
    square += 1e-3 * np.trace(square) / len(square) * np.eye(len(square))
    weight = np.linalg.solve(square, seen.T @ response)  # [E, N]
    noise = np.square(response - seen @ weight).sum(0) / (len(seen) - len(square))  # [N]
    spread = weight @ weight.T - noise.sum() * np.linalg.inv(square)
    value, vector = np.linalg.eigh(spread / len(noise))
    value = np.maximum(value, 1e-3 * max(value.max(), _LEAST))
    return Prior(mean, (vector * value) @ vector.T, float(noise.mean()))


class Reader(NamedTuple):
    """One person's voxels, as a few pairs and a prior tell them; all that follows is in M modes.

    Attributes:
        prior: what was known before.
        modes: float64 [N, M], orthonormal patterns of voxels that are listened to.
        seen: float64 [n, E], embeddings of the pairs less their mean.
        inverse: float64 [n, n], of the kernel of the pairs with noise.
        answer: float64 [n, M], `inverse` times responses.
        covariance: float64 [M, M], of the errors of one presentation.
    """

    prior: Prior
    modes: np.ndarray
    seen: np.ndarray
    inverse: np.ndarray
    answer: np.ndarray
    covariance: np.ndarray

    def expected(self, embedding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(responses float64 [C, M] that pictures [C, E] would make, variance [C] of each as the
        pairs leave it)."""
        shown = np.asarray(embedding, np.float64) - self.prior.mean
        across = shown @ self.prior.spread @ self.seen.T  # [C, n]
        known = (across @ self.inverse * across).sum(1)
        free = (shown @ self.prior.spread * shown).sum(1) - known
        return across @ self.answer, np.maximum(free, 0)

    def decoder(self) -> np.ndarray:
        """Weights [N, E] from responses to the mean of what an embedding may be, less the mean of
        embeddings: Bayes' rule, with embeddings as spread as those of the pairs in all directions
        alike."""
        weight = self.prior.spread @ self.seen.T @ self.answer  # [E, M]
        whitened = np.linalg.solve(self.covariance, weight.T)  # [M, E]
        size = np.square(self.seen).mean()
        middle = weight @ whitened + np.eye(len(weight)) / max(size, _LEAST)
        return self.modes @ whitened @ np.linalg.inv(middle)

    def score(self, response: np.ndarray, embedding: np.ndarray, repeats: int = 1) -> np.ndarray:
        """Log-probability of each picture, one of which was seen, float64 [W, C].

        Args:
            response: float [W, N], standardised, means over `repeats` presentations.
            embedding: float [C, E].
        """
        expected, free = self.expected(embedding)
        covariance = self.covariance / repeats + free.mean() * np.eye(len(self.covariance))
        inverse = np.linalg.inv(covariance)
        whitened = expected @ inverse
        score = (response @ self.modes) @ whitened.T - 0.5 * (expected * whitened).sum(1)
        highest = score.max(1, keepdims=True)
        return score - highest - np.log(np.exp(score - highest).sum(1, keepdims=True))


def reader(prior: Prior, response: np.ndarray, embedding: np.ndarray) -> Reader:
    """The voxels of one person, from pairs.

    Voxels are listened to through their M principal patterns: what lies outside of all of them is
    as good as silent, and would be trusted for that. M is the number under which pairs left out are
    told apart best by the others.

    Args:
        prior: of others.
        response: float [n, N], standardised.
        embedding: float [n, E], of the pictures that were seen.
    """
    response, embedding = _thinned((response, embedding))
    fold = np.arange(len(response)) % FOLDS
    told = dict.fromkeys([m for m in MODES if m <= min(len(response) // 2, response.shape[1])], 0.0)
    if not told:
        told = {1: 0.0}
    for number in range(FOLDS if len(response) <= FEW_PAIRS and len(told) > 1 else 1):
        train, test = fold != number, fold == number
        if len(told) == 1 or not test.any() or not train.any():
            break
        fitted = _fitted(prior, response[train], embedding[train], max(told))
        for size in told:
            score = _narrowed(fitted, size).score(response[test], embedding[test])
            told[size] += np.diagonal(score).sum()
    best = max(told, key=told.get)
    return _fitted(prior, response, embedding, best)


def _fitted(prior: Prior, response: np.ndarray, embedding: np.ndarray, size: int) -> Reader:
    """A reader in `size` modes."""
    variance, pattern = np.linalg.eigh((response @ response.T).astype(np.float64))
    largest = np.argsort(variance)[::-1][:size]
    modes = response.T @ pattern[:, largest]
    modes /= np.sqrt(np.maximum(variance[largest], _LEAST))  # [N, M], of length 1
    seen = embedding.astype(np.float64) - prior.mean
    kernel = seen @ prior.spread @ seen.T + prior.noise * np.eye(len(seen))
    inverse = np.linalg.inv(kernel)
    answer = inverse @ (response @ modes)
    error = answer / np.diag(inverse)[:, None]  # of each pair, predicted from the others
    covariance = error.T @ error / len(error)
    covariance += 1e-6 * np.trace(covariance) / size * np.eye(size) + _LEAST * np.eye(size)
    return Reader(prior, modes, seen, inverse, answer, covariance)


def _narrowed(one: Reader, size: int) -> Reader:
    """The same reader in its first modes alone."""
    return one._replace(
        modes=one.modes[:, :size],
        answer=one.answer[:, :size],
        covariance=one.covariance[:size, :size],
    )


def ridge(response: np.ndarray, embedding: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Embeddings by ridge regression on the voxels of one person alone; the penalty is chosen on
    the last tenth of the pairs. The floor of every reader: responses [W, N] -> float64 [W, E]."""
    response, embedding = _thinned((response, embedding))
    response, mean = response.astype(np.float64), embedding.mean(0, dtype=np.float64)
    wanted = embedding - mean
    kernel = response @ response.T
    penalties = np.trace(kernel) / len(kernel) * np.logspace(-3, 2, 11)
    cut = max(1, round(0.9 * len(kernel)))

    def solved(kept: int, penalty: float) -> np.ndarray:
        return np.linalg.solve(kernel[:kept, :kept] + penalty * np.eye(kept), wanted[:kept])

    best = penalties[-1]
    if cut < len(kernel):
        errors = [
            np.square(kernel[cut:, :cut] @ solved(cut, one) - wanted[cut:]).sum()
            for one in penalties
        ]
        best = penalties[int(np.argmin(errors))]
    weight = response.T @ solved(len(kernel), best)
    return lambda values: values @ weight + mean


def _thinned(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """At most MOST_PAIRS of a person's pairs."""
    response, embedding = pair
    kept = np.linspace(0, len(response) - 1, min(MOST_PAIRS, len(response))).astype(int)
    return response[kept], embedding[kept]
