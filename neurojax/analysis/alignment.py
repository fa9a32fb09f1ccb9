"""How alike two sets of responses to the same images are, and how alike repeats of one set are.

`cka` and `rsa` compare features of a model with responses, image by image, without a fit. Ceilings
say what repeats of the same image allow: the noise of one presentation cannot be predicted.

Source: CKA: Kornblith et al. 2019, ICML; its unbiased estimate: Song et al. 2012, JMLR 13, 1393,
    Murphy et al. 2024, arXiv 2405.01012.
    RSA: Kriegeskorte et al. 2008, Front. Syst. Neurosci. 2:4.
    Signal power: Sahani & Linden 2003, NeurIPS. Explainable variance and its correction: Hsu et al.
    2004, Network 15, 91; Schoppe et al. 2016, Front. Comput. Neurosci. 10:10.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.spatial import distance

from neurojax.errors import require

DISTANCES = ("correlation", "euclidean")
RANKED = ("spearman", "pearson")


def cka(first: np.ndarray, second: np.ndarray, *, unbiased: bool = True) -> float:
    """Linear centred kernel alignment of [n, d] and [n, e], rows of the same n images: 1 for the
    same up to rotation and one scale, 0 in the mean over unrelated ones.

    Args:
        unbiased: leaves products of an image with itself out. With them (`False`, as first
            published) unrelated features of many columns are alike, the more the fewer images.

    Raises:
        InputError: other shapes, fewer than four images, or features that do not vary.
    """
    first, second = _pair(first, second, least=4)
    grams = [_gram(values, unbiased) for values in (first, second)]
    product = _inner(*grams, unbiased)
    squares = [_inner(gram, gram, unbiased) for gram in grams]
    require(min(squares) > 0, "features that do not vary over images are alike with nothing")
    return float(product / np.sqrt(squares[0] * squares[1]))


def _gram(values: np.ndarray, unbiased: bool) -> np.ndarray:
    centred = values - values.mean(0)
    gram = centred @ centred.T
    if unbiased:
        np.fill_diagonal(gram, 0.0)
    return gram


def _inner(first: np.ndarray, second: np.ndarray, unbiased: bool) -> float:
    """Hilbert-Schmidt independence criterion, up to a factor that cancels."""
    if not unbiased:
        return float((first * second).sum())
    n = len(first)
    whole = first.sum() * second.sum() / ((n - 1) * (n - 2))
    return float((first * second).sum() + whole - 2 * (first.sum(0) @ second.sum(0)) / (n - 2))


def rsa(
    first: np.ndarray,
    second: np.ndarray,
    *,
    measure: str = "correlation",
    by: str = "spearman",
) -> float:
    """Correlation of the distances between images in two spaces, [n, d] and [n, e].

    Args:
        measure: "correlation", one minus that of two images over features, which no scale or
            constant of an image changes; or "euclidean", which no rotation changes.
        by: "spearman" (ranks) or "pearson".

    Raises:
        InputError: other shapes or names, fewer than four images, or distances that are all alike.
    """
    require(measure in DISTANCES, f"measure={measure!r}; choose from {', '.join(DISTANCES)}")
    require(by in RANKED, f"by={by!r}; choose from {', '.join(RANKED)}")
    first, second = _pair(first, second, least=4)
    flat = [distances(values, measure) for values in (first, second)]
    require(
        all(np.ptp(one) > 0 for one in flat),
        "all images are equally far from each other in one of the spaces",
    )
    return float((stats.spearmanr if by == "spearman" else stats.pearsonr)(*flat).statistic)


def distances(values: np.ndarray, measure: str = "correlation") -> np.ndarray:
    """Distance of each pair of rows of [n, d], float64 [n (n - 1) / 2]; raises InputError for a
    row without spread under "correlation"."""
    if measure == "correlation":
        require(
            (np.ptp(values, axis=1) > 0).all(),
            "an image has the same value in all features, so it correlates with none; take "
            "measure=euclidean",
        )
    return distance.pdist(np.asarray(values, np.float64), measure)


class Explained(NamedTuple):
    """Attributes, float64 [N]:
    signal_power: variance that images explain, in the unit of the responses squared.
    noise_power: variance between presentations of the same image.
    explainable: share of the variance of single responses that images explain; unbiased, so it may
        fall below zero.
    uncorrected: one minus the variance around the mean of R repeats over that of single responses,
        too high by (1 - share) / R.
    """

    signal_power: np.ndarray
    noise_power: np.ndarray
    explainable: np.ndarray
    uncorrected: np.ndarray


def explainable_variance(responses: np.ndarray) -> Explained:
    """How much of each neuron's variance images explain.

    Args:
        responses: numbers [images, repeats, N], every image as often.

    Raises:
        InputError: another shape, fewer than two images or repeats, or values that are not finite.
    """
    values = _repeated(responses)
    repeats = values.shape[1]
    mean = values.mean(1)
    total = values.var(0, ddof=1).mean(0)  # over images, of one presentation
    of_mean = mean.var(0, ddof=1)
    signal = (repeats * of_mean - total) / (repeats - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(total > 0, signal / total, np.nan)
        plain = share + (1 - share) / repeats  # a response is part of the mean it is compared with
    return Explained(signal, total - signal, share, plain)


def split_half(responses: np.ndarray, *, num_splits: int = 100, seed: int = 0) -> np.ndarray:
    """Reliability of the mean over all repeats, float64 [N]: the correlation of the means of two
    random halves, over images, brought to the full number by Spearman and Brown.

    The root of it is what the true response would correlate with the measured mean: the ceiling of
    `scores.responses.correlations` of means. Arguments and errors as of `explainable_variance`.
    """
    values = _repeated(responses)
    repeats, half = values.shape[1], values.shape[1] // 2
    rng, found = np.random.default_rng(seed), []
    for _ in range(num_splits):
        order = rng.permutation(repeats)
        one, other = values[:, order[:half]].mean(1), values[:, order[half : 2 * half]].mean(1)
        one, other = one - one.mean(0), other - other.mean(0)
        spread = np.sqrt(np.square(one).sum(0) * np.square(other).sum(0))
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append(np.where(spread > 0, (one * other).sum(0) / spread, np.nan))
    halves = np.mean(found, axis=0)
    times = repeats / half
    return times * halves / (1 + (times - 1) * halves)


def _repeated(responses: np.ndarray) -> np.ndarray:
    values = np.asarray(responses)
    sound = values.ndim == 3 and values.dtype.kind in "biuf" and min(values.shape[:2]) >= 2
    require(
        sound and values.shape[2] and np.isfinite(values).all(),
        f"responses are {values.dtype} {list(values.shape)}; expected finite numbers [images, "
        "repeats, N], two or more of each",
    )
    return values.astype(np.float64)


def _pair(first, second, least: int) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for values in (first, second):
        values = np.asarray(values)
        sound = values.ndim == 2 and values.dtype.kind in "biuf" and len(values) >= least
        require(
            sound and values.shape[1] and np.isfinite(values).all(),
            f"features are {values.dtype} {list(values.shape)}; expected finite numbers [images, "
            f"d] of at least {least} images",
        )
        found.append(values.astype(np.float64))
    require(
        len(found[0]) == len(found[1]),
        f"one has {len(found[0])} images, the other {len(found[1])}; expected the same ones",
    )
    return found[0], found[1]
