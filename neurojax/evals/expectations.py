"""Which of two outcomes a language model expects, how sure it is, and how often it was right when
it was that sure.

The certainty of a pair is the difference of the nats a unit (token, byte or word) of its two
texts, the logarithm of the ratio of their perplexities. On stored pairs, whose true text is known,
one weight turns it into the probability of being right: a logistic regression without intercept,
so that a pair without a difference is a coin.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.analysis import confidence, teaming
from neurojax.errors import require

LEAST_ITEMS = 20
NUM_FOLDS, NUM_BINS = 10, 10
USUAL = (0.5, 99.5)  # percentiles of stored texts between which a text is of their kind
CAUTION = (
    "What a model expects is no evidence: it repeats what was often written, true or not. The "
    "probabilities hold for questions like the stored pairs, asked of texts like theirs, and for "
    "no others."
)


class Calibration(NamedTuple):
    """Attributes:
    weight: log odds of being right a nat of certainty.
    draws: float64 [resamples], the same of stored pairs drawn again.
    num_items: stored pairs with a known truth.
    accuracy: share of them that were right.
    error: expected calibration error, each pair by a weight of the others (ten folds).
    largest: certainty of the surest.
    usual: nats a unit of nearly all stored texts, (lowest, highest).
    """

    weight: float
    draws: np.ndarray
    num_items: int
    accuracy: float
    error: float
    largest: float
    usual: tuple[float, float]


def calibration(items: Sequence[Mapping[str, Any]], num_boot: int, seed: int) -> Calibration:
    """What stored pairs say of certainty.

    Args:
        items: `perplexity` of both texts and `label`, as an evaluation keeps them; those without a
            label are left out.
        num_boot: resamples of pairs.
        seed: of folds and resamples.

    Raises:
        InputError: fewer than 20 pairs with a label, or a perplexity that is none.
    """
    known = [item for item in items if item.get("label") in (0, 1)]
    require(
        len(known) >= LEAST_ITEMS,
        f"{len(known)} stored pairs say which text is true; expected {LEAST_ITEMS} or more, see "
        "`neurojax evaluate --data=PAIRS.csv`",
    )
    nats = np.log(_perplexities(known))
    label = np.array([item["label"] for item in known])
    toward_second = (nats[:, 0] - nats[:, 1])[:, None]  # above zero: the second is likelier
    right = teaming.agrees(teaming.expected(toward_second, np.ones(1)), label)
    fold = teaming.folds_of_items(np.arange(len(known)), NUM_FOLDS, seed)
    apart = teaming.cross_validated(toward_second, label, fold)
    chosen = np.where(toward_second[:, 0] > 0, apart, 1 - apart)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(known), (num_boot, len(known)))
    return Calibration(
        weight=_fitted(toward_second, label),
        draws=np.array([_fitted(toward_second[one], label[one]) for one in drawn]),
        num_items=len(known),
        accuracy=float(right.mean()),
        error=confidence.calibration_error(chosen, right, min(NUM_BINS, len(known))),
        largest=float(np.abs(toward_second).max()),
        usual=tuple(np.percentile(nats, USUAL).tolist()),
    )


def _perplexities(items: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """float64 [n, 2]."""
    found = [item.get("perplexity") for item in items]
    sound = all(
        isinstance(both, list)
        and len(both) == 2
        and all(isinstance(one, int | float) and np.isfinite(one) and one >= 1 for one in both)
        for both in found
    )
    require(sound, "a stored pair has no two perplexities of 1 or more; evaluate the run again")
    return np.array(found, np.float64)


def _fitted(toward_second: np.ndarray, label: np.ndarray) -> float:
    # Divided by its size, so that the penalty means the same whatever the unit of the nats.
    scale = np.sqrt(np.square(toward_second).mean()) or 1.0
    return float(teaming.fit(toward_second / scale, label)[0] / scale)


def expected(item: Mapping[str, Any], known: Calibration) -> dict[str, Any]:
    """What a model expects of one pair.

    Args:
        item: as of `calibration`, without a label.
        known: from stored pairs.

    Returns:
        expects: 0, 1, or None at a tie; certainty_nats; probability that it is right, with its
        95 % interval over stored pairs; beyond: surer than any stored pair; unlike: a text less
        or more likely than nearly all stored texts.
    """
    nats = np.log(_perplexities([item])[0])
    certainty = float(abs(nats[0] - nats[1]))
    sure = teaming.expected(np.full((len(known.draws), 1), certainty) * known.draws[:, None], [1.0])
    low, high = np.percentile(sure, (2.5, 97.5)).tolist()
    lowest, highest = known.usual
    return {
        "expects": None if certainty == 0 else int(nats[1] < nats[0]),
        "perplexity": list(item["perplexity"]),
        "certainty_nats": certainty,
        "probability": float(teaming.expected([[certainty]], [known.weight])[0]),
        "probability_ci95": [low, high],
        "beyond": certainty > known.largest,
        "unlike": bool(nats.min() < lowest or nats.max() > highest),
    }
