"""Is the score the same over the session, for every group of people, and over seeds?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurojax.evals.audits.findings import finding, nothing, share_of_draws
from neurojax.evals.audits.parts import Scored, in_time

DRAWS = 999
GROUPS = ("subject", "sex", "site", "device", "day")
LEAST_ITEMS = 5  # of a group
LEAST_UNITS = 3  # people or recordings of a group
_DRIFT = "correlation of the score with the time in the recording; null: times in another order"
_GROUP = "best less worst {} in mean score; null: {} dealt to other {}"
_SEEDS = "standard deviation of the score over seeds; null: its standard error over test items"


def drift(found: Sequence[Scored], seed: int) -> dict[str, Any]:
    """Does the score rise or fall over a recording?"""
    timed = [(one, items) for one in found for items in in_time(one)]
    if not timed:
        return nothing(_DRIFT, "the times of the items are not known")
    ranks, scores = [], []
    for one, items in timed:
        rank = np.arange(len(items), dtype=np.float64)
        ranks.append((rank - rank.mean()) / rank.std())
        scores.append(one.own[items] - one.own[items].mean())
    size = np.concatenate(scores).std() or 1.0

    def statistic(times: Sequence[np.ndarray]) -> float:
        return float(np.concatenate([t * s for t, s in zip(times, scores, strict=True)]).mean())

    rng = np.random.default_rng([seed, 6])
    observed = statistic(ranks)
    draws = [abs(statistic([rng.permutation(one) for one in ranks])) for _ in range(DRAWS)]
    p_value = share_of_draws(abs(observed), draws)
    return finding(observed / size, float(np.mean(draws)) / size, _DRIFT, p_value=p_value)


def group_gap(found: Sequence[Scored], name: str, seed: int) -> dict[str, Any]:
    """Is one group of people (or of recordings) served worse than another?

    Args:
        found: scored parts.
        name: one of GROUPS.
        seed: of the null: labels dealt to other people (recordings) where a label belongs to a
            whole one, else to other items; so are subjects of one recording each, since their
            labels dealt to recordings change nothing.
    """
    having = [one for one in found if name in one.part.groups]
    told = _GROUP.format(name, "labels", "people or recordings")
    if not having:
        return nothing(told, f"{name} is not known")
    labels = np.concatenate([one.part.groups[name].astype(str) for one in having])
    units = np.concatenate([one.part.unit.astype(str) for one in having])
    scores = np.concatenate([one.own for one in having])
    scores, labels, units = (array[labels != ""] for array in (scores, labels, units))
    names, of_item = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        return nothing(told, f"one {name} alone")
    units_named, of_unit = np.unique(units, return_inverse=True)
    # One recording of a label tells nothing of the label, except where it is the subject itself.
    dealt = name != "subject" or len(units_named) > len(names)
    whole = dealt and all(
        len(np.unique(of_item[of_unit == unit])) == 1 for unit in range(len(units_named))
    )
    sizes = np.bincount(of_item)
    people = [len(np.unique(of_unit[of_item == label])) for label in range(len(names))]
    groups = {
        str(label): {"score": float(scores[of_item == k].mean()), "items": int(sizes[k])}
        | ({"units": people[k]} if whole else {})
        for k, label in enumerate(names)
    }
    enough = [
        k
        for k in range(len(names))
        if sizes[k] >= LEAST_ITEMS and (not whole or people[k] >= LEAST_UNITS)
    ]
    few = [str(names[k]) for k in range(len(names)) if k not in enough]
    worst = min(groups, key=lambda label: groups[label]["score"])
    more = {"worst": worst, "groups": groups, "too_few": few}
    told = _GROUP.format(name, "labels", "people or recordings" if whole else "items")
    if len(enough) < 2:
        values = [one["score"] for one in groups.values()]
        least = f"{LEAST_UNITS} people or recordings" if whole else f"{LEAST_ITEMS} items"
        reason = f"fewer than two groups of {least}: a gap between these few tells nothing"
        return finding(max(values) - min(values), None, told, reason=reason, **more)
    keep = np.isin(of_item, enough)
    owner, which = (of_unit[keep], of_item[keep])
    if not whole:
        owner = np.arange(keep.sum())
    observed, draws = _gaps(scores[keep], which, owner, seed)
    return finding(
        observed, float(np.mean(draws)), told, p_value=share_of_draws(observed, draws), **more
    )


def _gaps(
    scores: np.ndarray, group: np.ndarray, owner: np.ndarray, seed: int
) -> tuple[float, list[float]]:
    """(best less worst group, the same with the groups dealt to other owners).

    Each owner (a person, a recording, an item) counts once: its mean score.
    """
    _, owner = np.unique(owner, return_inverse=True)
    means = np.bincount(owner, scores) / np.bincount(owner)
    first = np.zeros(len(means), np.int64)
    first[owner] = group
    _, of_owner = np.unique(first, return_inverse=True)

    def gap(labels: np.ndarray) -> float:
        found = np.bincount(labels, means) / np.bincount(labels)
        return float(found.max() - found.min())

    rng = np.random.default_rng([seed, 7])
    return gap(of_owner), [gap(rng.permutation(of_owner)) for _ in range(DRAWS)]


def seeds(found: Sequence[Scored], scores: Sequence[float], reason: str) -> dict[str, Any]:
    """How far runs that differ in their seed alone are apart.

    Args:
        found: scored parts, for the error over test items.
        scores: of each seed; fewer than two where there are none.
        reason: why there are none.
    """
    if len(scores) < 2:
        return nothing(_SEEDS, reason)
    own = np.concatenate([np.empty(0), *(one.own for one in found)])
    error = own.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else None
    return finding(float(np.std(scores, ddof=1)), error, _SEEDS, scores=[float(s) for s in scores])
