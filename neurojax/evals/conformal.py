"""Conformal sets: which answers cannot be ruled out, so that the true one is missed as rarely as
said.

A score says how odd an answer is, such as one minus its probability. Of cases whose truth is known
the scores of the true answers give a threshold; the set of a new case holds every answer whose
score is not above it. If the new case is one more draw of the same kind, its set misses the truth
in at most one minus `nominal` of all cases: of the same person, that is, not of people in general.

Sources: Vovk, Gammerman & Shafer 2005, Algorithmic learning in a random world; sets of least
ambiguity: Sadinle, Lei & Wasserman 2019, JASA 114:223-234; cross-conformal: Vovk 2015, Ann Math
Artif Intell 74:9-28.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from neurojax.errors import require

NOMINAL = 0.9


def threshold(scores: np.ndarray, nominal: float = NOMINAL) -> np.ndarray:
    """The score that a new one is not above with probability `nominal` or more; [n] or [n, dims].

    The ceil((n + 1) nominal)-th smallest; infinity where n is too small to say.
    """
    ordered = np.sort(scores, axis=0)
    # n + 1, since the new score is one more draw of the same kind. What floats make of a product
    # such as 30 * 0.9 is no reason to take the next rank.
    rank = int(np.ceil((len(ordered) + 1) * nominal - 1e-9))
    return np.full(ordered.shape[1:], np.inf) if rank > len(ordered) else ordered[rank - 1]


def sets(probability: np.ndarray, limit: float) -> np.ndarray:
    """Which classes a case may be of, bool [cases, K]: those with one minus probability [cases, K]
    not above the limit."""
    return 1 - np.asarray(probability, np.float64) <= limit


def cross_sets(
    probability: np.ndarray, label: np.ndarray, block: np.ndarray, nominal: float = NOMINAL
) -> np.ndarray:
    """Sets of the cases of each block, the threshold from the cases of all other blocks.

    Args:
        probability: [cases, K].
        label: int [cases], the truth.
        block: [cases], what is left out together: rounds, days, folds.
        nominal: as of `threshold`.

    Returns:
        bool [cases, K].

    Raises:
        InputError: fewer than two blocks.
    """
    score = 1 - np.asarray(probability, np.float64)[np.arange(len(label)), label]
    known = np.unique(block)
    require(
        len(known) > 1,
        f"all {len(label)} cases are of one block; conformal sets need two, one to calibrate on",
    )
    found = np.empty(np.shape(probability), bool)
    for one in known:
        own = block == one
        found[own] = sets(probability[own], threshold(score[~own], nominal))
    return found


def coverage(found: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    """{"coverage", "covered", "num_cases", "mean_set_size", "empty_sets"} of sets [cases, K]."""
    holds = found[np.arange(len(label)), label]
    return {
        "coverage": float(holds.mean()),
        "covered": int(holds.sum()),
        "num_cases": len(label),
        "mean_set_size": float(found.sum(1).mean()),
        "empty_sets": int((~found.any(1)).sum()),
    }


def by_group(
    probability: Mapping[str, np.ndarray],
    label: Mapping[str, np.ndarray],
    block: Mapping[str, np.ndarray],
    nominal: float = NOMINAL,
    level: float = 0.99,
) -> dict[str, Any]:
    """Sets of every group, such as a person, calibrated on its own other blocks, and on others.

    Args:
        probability, label, block: group -> as of `cross_sets`; a group needs two blocks.
        nominal: wanted coverage.
        level: of the interval in which a count of independent cases lies (`inside`).

    Returns:
        {"nominal", "groups": {NAME: {"own": as of `coverage` and "inside", "pooled": the same, one
        threshold from all cases of all other groups}}, "own": {"mean_coverage", "num_inside",
        "num_groups"}, "pooled": the same}; groups of one block are left out.
    """
    usable = [name for name in label if len(np.unique(block[name])) > 1]
    scores = {
        name: 1 - np.asarray(probability[name], np.float64)[np.arange(len(own)), own]
        for name, own in label.items()
    }
    groups: dict[str, dict[str, Any]] = {}
    for name in usable:
        others = [own for other, own in scores.items() if other != name]
        found = {"own": cross_sets(probability[name], label[name], block[name], nominal)}
        if others:
            limit = threshold(np.concatenate(others), nominal)
            found["pooled"] = sets(probability[name], float(limit))
        groups[name] = {kind: coverage(own, label[name]) for kind, own in found.items()}
        for one in groups[name].values():
            one["inside"] = is_inside(one["covered"], one["num_cases"], nominal, level)
    together = {"nominal": nominal, "level": level, "groups": groups}
    return together | {kind: _mean(groups, kind) for kind in ("own", "pooled")}


def is_inside(covered: int, num_cases: int, nominal: float, level: float) -> bool:
    """Whether a count lies in the middle `level` of what independent cases covered with
    probability `nominal` give."""
    low, high = stats.binom.interval(level, num_cases, nominal)
    return bool(low <= covered <= high)


def _mean(groups: Mapping[str, Mapping[str, Any]], kind: str) -> dict[str, Any]:
    own: Sequence = [one[kind] for one in groups.values() if kind in one]
    return {
        "mean_coverage": float(np.mean([one["coverage"] for one in own])) if own else None,
        "num_inside": sum(one["inside"] for one in own),
        "num_groups": len(own),
    }
