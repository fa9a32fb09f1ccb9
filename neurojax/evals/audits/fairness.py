"""Is the score the same over the session, for every group of people, and over seeds?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurojax.evals.audits.findings import finding, nothing, share_of_draws
from neurojax.evals.audits.parts import Scored, ceiling, in_time

DRAWS = 999
GROUPS = ("subject", "sex", "site", "device", "day")
LEAST_ITEMS = 5  # of a group
LEAST_UNITS = 3  # people or recordings of a group
_DRIFT = "correlation of the score with the time in the recording; null: times in another order"
_GROUP = (
    "best less worst {} in mean score, adjusted for what a perfect prediction of each item gets; "
    "null: {} dealt to other {}"
)
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

    Several recordings of a person are one: they are alike, and count once.

    Args:
        found: scored parts.
        name: one of GROUPS.
        seed: of the null: labels are dealt to other people where a person has one label, to other
            recordings of the same person where a recording has one, else to other items. Subjects
            are dealt to recordings, to items where each has one recording: to deal those changes
            nothing.
    """
    having = [one for one in found if name in one.part.groups]
    told = _GROUP.format(name, "labels", "people or recordings")
    if not having:
        return nothing(told, f"{name} is not known")
    columns = (
        np.concatenate([one.part.groups[name].astype(str) for one in having]),
        np.concatenate([one.part.people for one in having]),
        np.concatenate([one.part.unit.astype(str) for one in having]),
        np.concatenate([one.own for one in having]),
        np.concatenate([ceiling(one.part) for one in having]),
    )
    labels, people, recordings, own, best = (column[columns[0] != ""] for column in columns)
    names, of_item = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        return nothing(told, f"one {name} alone")
    scores = _adjusted(own, best)
    owner, within = _owners(name, of_item, people, recordings)
    whole = owner is not None
    sizes = np.bincount(of_item)
    units = [len(np.unique(owner[of_item == k])) if whole else 0 for k in range(len(names))]
    groups = {
        str(label): {"score": float(own[of_item == k].mean()), "items": int(sizes[k])}
        | ({"units": units[k]} if whole else {})
        for k, label in enumerate(names)
    }
    enough = [
        k
        for k in range(len(names))
        if sizes[k] >= LEAST_ITEMS and (not whole or units[k] >= LEAST_UNITS)
    ]
    few = [str(names[k]) for k in range(len(names)) if k not in enough]
    means = np.bincount(of_item, scores) / sizes
    worst = str(names[means.argmin()])
    more = {"worst": worst, "groups": groups, "too_few": few}
    told = _GROUP.format(name, "labels", "people or recordings" if whole else "items")
    if len(enough) < 2:
        least = f"{LEAST_UNITS} people or recordings" if whole else f"{LEAST_ITEMS} items"
        reason = f"fewer than two groups of {least}: a gap between these few tells nothing"
        return finding(float(np.ptp(means)), None, told, reason=reason, **more)
    keep = np.isin(of_item, enough)
    owner = owner[keep] if whole else np.arange(keep.sum())
    observed, draws = _gaps(scores[keep], of_item[keep], owner, within[keep], seed)
    return finding(
        observed, float(np.mean(draws)), told, p_value=share_of_draws(observed, draws), **more
    )


def _adjusted(scores: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Scores less what a line says of them by what a perfect prediction gets, about their mean.

    Items differ in how much there is to predict; without that a gap stands out from less noise. The
    line is fitted without a look at the groups, so that dealt labels remain a fair null.
    """
    apart = best - best.mean()
    slope = apart @ scores / max(float(apart @ apart), 1e-12)
    return scores - slope * apart


def _owners(
    name: str, label: np.ndarray, people: np.ndarray, recordings: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray]:
    """(whom a label belongs to, int [n], None: to an item; among whom it is dealt, int [n])."""
    person, recording = (np.unique(one, return_inverse=True)[1] for one in (people, recordings))
    anyone = np.zeros(len(label), np.int64)
    if name == "subject":
        # Subjects of one recording each: one of a label tells of no label but of the subject.
        several = len(np.unique(recording)) > len(np.unique(label))
        return (recording if several and _is_whole(label, recording) else None), anyone
    if _is_whole(label, person):
        return person, anyone
    return (recording, person) if _is_whole(label, recording) else (None, anyone)


def _is_whole(label: np.ndarray, owner: np.ndarray) -> bool:
    """Whether all items of an owner have one label."""
    return len(np.unique(np.stack([owner, label]), axis=1).T) == len(np.unique(owner))


def _gaps(
    scores: np.ndarray, group: np.ndarray, owner: np.ndarray, within: np.ndarray, seed: int
) -> tuple[float, list[float]]:
    """(best less worst group, the same with the groups dealt to other owners within `within`).

    Each owner (a person, a recording, an item) counts once: its mean score.
    """
    _, first, owner = np.unique(owner, return_index=True, return_inverse=True)
    means = np.bincount(owner, scores) / np.bincount(owner)
    _, of_owner = np.unique(group[first], return_inverse=True)
    stratum = within[first]
    in_order = np.argsort(stratum, kind="stable")

    def gap(labels: np.ndarray) -> float:
        found = np.bincount(labels, means) / np.bincount(labels)
        return float(found.max() - found.min())

    def dealt() -> np.ndarray:
        drawn = np.empty_like(of_owner)
        drawn[in_order] = of_owner[np.lexsort((rng.random(len(means)), stratum))]
        return drawn

    rng = np.random.default_rng([seed, 7])
    return gap(of_owner), [gap(dealt()) for _ in range(DRAWS)]


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
