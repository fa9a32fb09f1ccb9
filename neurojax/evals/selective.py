"""When not to answer: how often a decoder is wrong among the cases of which it is most sure.

Source: El-Yaniv & Wiener 2010, JMLR 11:1605-1641; the area: Geifman, Uziel & El-Yaniv 2019, ICLR.
"""

import numpy as np

SHARES = tuple(k / 10 for k in range(1, 11))


def risk_of_most_sure(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Share of wrong answers among the k surest cases, for k = 1 to all, float64 [cases].

    Args:
        confidence: [cases], any rising measure of it.
        right: bool [cases].

    Returns:
        cases of equal confidence are taken together at their mean: their order says nothing.
    """
    values, place = np.unique(-np.asarray(confidence), return_inverse=True)
    place = place.ravel()
    mean_wrong = np.bincount(place, ~np.asarray(right, bool)) / np.bincount(place)
    ordered = np.sort(place)  # from the surest on
    return np.cumsum(mean_wrong[ordered]) / np.arange(1, len(ordered) + 1)


def curve(
    confidence: np.ndarray, right: np.ndarray, shares: tuple[float, ...] = SHARES
) -> dict[str, list[float]]:
    """{"coverage": shares of cases that are answered, the surest first, "risk": share of wrong
    answers among them}; at least one case is answered."""
    risk = risk_of_most_sure(confidence, right)
    kept = np.maximum(np.ceil(np.asarray(shares) * len(risk)).astype(int), 1)
    return {"coverage": list(shares), "risk": risk[kept - 1].tolist()}


def area(confidence: np.ndarray, right: np.ndarray) -> float:
    """Mean risk over all coverages, 0 for a decoder that is sure of the right answers alone and
    always right; a decoder that is never wrong has 0 too."""
    return float(risk_of_most_sure(confidence, right).mean())
