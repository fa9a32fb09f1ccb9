"""Was a text memorised? Its length when compressed, over a model's perplexity.

A text that a model has seen many times has a low perplexity for its complexity: the ratio is high.
A benchmark that is newer than the training data should not stand above other text of its kind.

Source: Carlini et al. 2021, Extracting training data from large language models; the ratio of
bytes to perplexity (not to its logarithm) is that of Luo et al. 2024, doi
10.1038/s41562-024-02046-9.
"""

import zlib

import numpy as np
from scipy import stats

from neurojax.errors import require


def compressed_bytes(text: str) -> int:
    """Length of a text in UTF-8 after zlib at its usual level, bytes."""
    return len(zlib.compress(text.encode()))


def ratio(num_bytes: np.ndarray, perplexity: np.ndarray) -> np.ndarray:
    """Compressed bytes over perplexity, float64 of their shape.

    Raises:
        InputError: a perplexity below 1, which no text has.
    """
    perplexity = np.asarray(perplexity, np.float64)
    require((perplexity >= 1).all(), "a perplexity is below 1; expected exp of the mean nats")
    return np.asarray(num_bytes, np.float64) / perplexity


def share_above(first: np.ndarray, second: np.ndarray) -> float:
    """How often a text of the first set has the higher ratio: 0.5 where the sets are alike.

    The area under the curve that tells the two sets apart (Mann-Whitney); ties count half.
    """
    statistic = stats.mannwhitneyu(first, second, alternative="two-sided").statistic
    return float(statistic) / (len(first) * len(second))
