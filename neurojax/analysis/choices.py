"""Two versions of a text, one of them true: which one a reader prefers, and how far that holds.

Letters: M models, I items, n answers. All functions are pure, on the host, in float64.
Rule of the choice: Luo et al. 2024, Nature Human Behaviour, doi 10.1038/s41562-024-02046-9.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from neurojax.errors import InputError, require
from neurojax.scores import bootstrap


class Estimate(NamedTuple):
    """A mean with its standard error and 95 % interval, in the unit of the values."""

    value: float
    se: float
    ci95: tuple[float, float]


def margin(perplexity: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Perplexity of the false version less that of the true one: above zero is a right choice.

    Args:
        perplexity: float [..., I, 2], of versions A and B.
        label: integer [I], which version is true: 0 for A, 1 for B.

    Returns:
        float64 [..., I].

    Raises:
        InputError: the shapes do not agree, or a label is neither 0 nor 1.
    """
    perplexity, label = np.asarray(perplexity, np.float64), np.asarray(label)
    fits = perplexity.ndim >= 2 and perplexity.shape[-2:] == (*label.shape, 2)
    require(
        fits,
        f"perplexity has shape {perplexity.shape}, labels {label.shape}; expected [..., items, 2] "
        "and [items]",
    )
    require(
        np.isin(label, (0, 1)).all(), "a label is neither 0 (version A is true) nor 1 (version B)"
    )
    of_b_less_a = perplexity[..., 1] - perplexity[..., 0]
    return np.where(label == 0, of_b_less_a, -of_b_less_a)


def is_right(perplexity: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Whether the true version has the lower perplexity, bool [..., I]; a tie is wrong.

    Arguments and errors as of `margin`.
    """
    return margin(perplexity, label) > 0


def certainty(perplexity: np.ndarray) -> np.ndarray:
    """How sure a model is: the absolute difference of two perplexities, float64 [..., I]."""
    perplexity = np.asarray(perplexity, np.float64)
    return np.abs(perplexity[..., 0] - perplexity[..., 1])


def estimate(
    values: np.ndarray,
    drawn_together: Sequence[np.ndarray],
    *,
    num_boot: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Mean of answers, with an interval by a bootstrap over what they have in common.

    Answers to one item, or of one person, are no independent witnesses: whole items, people or
    families of models are drawn with replacement. Where two of these are given, an answer counts
    as often as its item was drawn times as often as its person was.

    Args:
        values: [n], 1 and 0 of right and wrong answers, or any score.
        drawn_together: one or several arrays [n], each the group that an answer belongs to.
        num_boot: resamples.
        seed: of the resamples.

    Raises:
        InputError: no answer, or a group of another length.
    """
    values = np.asarray(values, np.float64).ravel()
    require(len(values), "no answer is left to average; expected one or more")
    weights = np.ones((num_boot, len(values)))
    for number, groups in enumerate(drawn_together):
        groups = np.asarray(groups).ravel()
        if len(groups) != len(values):
            raise InputError(f"{len(groups)} groups of {len(values)} answers; expected one each")
        names, of_answer = np.unique(groups, return_inverse=True)
        weights *= bootstrap.trial_weights(len(names), num_boot, seed=[seed, number])[:, of_answer]
    total = weights.sum(1)
    # Of a resample that drew no answer at all there is no mean.
    draws = np.divide(weights @ values, total, out=np.full(num_boot, np.nan), where=total > 0)
    mean = float(values.mean())
    return Estimate(mean, *bootstrap.interval(draws, mean))


def share(right: np.ndarray, group: np.ndarray, *, num_boot: int, seed: int) -> Estimate:
    """Share of right answers, with an interval between 0 and 1.

    Args:
        right: bool [n].
        group: [n], what an answer belongs to, as of `estimate`.
        num_boot, seed: as of `estimate`.

    Returns:
        as of `estimate`; where all answers are alike no resample differs, and the interval is
        Wilson's for as many answers as there are groups.
    """
    right = np.asarray(right, bool)
    found = estimate(right, [group], num_boot=num_boot, seed=seed)
    if right.any() and not right.all():
        low, high = np.clip(found.ci95, 0, 1).tolist()
        return found._replace(ci95=(low, high))
    number = len(np.unique(group))
    ends = stats.binomtest(number if right.all() else 0, number).proportion_ci(method="wilson")
    return found._replace(ci95=(float(ends.low), float(ends.high)))


def share_by_group(values: np.ndarray, group: np.ndarray) -> dict[str, tuple[float, int]]:
    """(mean, number) of the answers of each group, by its name; groups in order."""
    values, group = np.asarray(values, np.float64), np.asarray(group)
    return {
        str(name): (float(values[group == name].mean()), int((group == name).sum()))
        for name in np.unique(group)
    }


def mean_by_item(values: np.ndarray, item: np.ndarray, num_items: int) -> np.ndarray:
    """Mean of the answers to each item, float64 [I]; NaN where nobody answered it."""
    number = np.bincount(item, minlength=num_items)
    total = np.bincount(item, weights=values, minlength=num_items)
    return np.divide(total, number, out=np.full(num_items, np.nan), where=number > 0)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation of two scores of items [I], over those that have both."""
    both = np.isfinite(first) & np.isfinite(second)
    return float(stats.spearmanr(first[both], second[both]).statistic)


def rank_correlations(margins: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
    """Spearman's correlations of what models find hard.

    Args:
        margins: float [M, I], see `margin`.
        other: float [I], such as the share of people who were right; None correlates the models
            with each other.

    Returns:
        float64 [M], or [M (M - 1) / 2] of every pair of models once.
    """
    if other is not None:
        return np.array([rank_correlation(one, other) for one in margins])
    pairs = zip(*np.triu_indices(len(margins), 1), strict=True)
    return np.array([rank_correlation(margins[one], margins[two]) for one, two in pairs])
