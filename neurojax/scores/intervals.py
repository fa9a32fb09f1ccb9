"""Intervals and tests over sessions and over animals: Student's t, and Holm over several tasks.

A bootstrap over trials leaves open whether other sessions, or other animals, would say the same.
With few of them these intervals are wide, because few sessions say little.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

MIN_SESSIONS_OF_A_TEST = 3
MAX_P = 0.05  # after Holm; above it nothing is claimed


class OverSessions(NamedTuple):
    """A mean with its standard error and 95 % interval, in the unit of the values."""

    mean: float
    se: float
    ci95: tuple[float, float]


def t_interval(values: Sequence[float]) -> OverSessions | None:
    """Mean of values [n] with Student's t interval (n - 1 df); None with fewer than two."""
    if len(values) < 2:
        return None
    mean, se = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * se
    return OverSessions(mean, se, (mean - half, mean + half))


def p_value(differences: Sequence[float]) -> float | None:
    """Two-sided p of the paired t test that differences [n] have mean zero.

    None with fewer than three, or where all are equal: without spread the test says nothing.
    """
    found = t_interval(differences)
    if (
        found is None
        or len(differences) < MIN_SESSIONS_OF_A_TEST
        or found.se <= 1e-12 * abs(found.mean)
    ):
        return None
    return float(2 * stats.t.sf(abs(found.mean) / found.se, len(differences) - 1))


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """p-values adjusted for all tests that are looked at together; None stays None, uncounted.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    known = sorted((p, name) for name, p in p_values.items() if p is not None)
    adjusted: dict[str, float | None] = dict.fromkeys(p_values)
    largest = 0.0
    for rank, (p, name) in enumerate(known):
        # The smallest p times all tests, the next times one fewer, and none below the one before.
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[name] = largest
    return adjusted


def verdict(
    ci95: Sequence[float] | None, p_holm: float | None, animals_ci95: Sequence[float] | None = None
) -> str:
    """What may be said of a mean difference: "above", "below" or "not resolved".

    Args:
        ci95: over sessions.
        p_holm: of the test over sessions.
        animals_ci95: over animals, where there are fewer of them than sessions; one that holds zero
            says no.
    """
    if ci95 is None or p_holm is None or p_holm >= MAX_P or ci95[0] <= 0 <= ci95[1]:
        return "not resolved"
    # Sessions of one animal are no independent witnesses: the animals have to agree.
    if animals_ci95 is not None and animals_ci95[0] <= 0 <= animals_ci95[1]:
        return "not resolved"
    return "above" if ci95[0] > 0 else "below"


def means_of_animals(
    values: Mapping[str, float], subjects: Mapping[str, str | None]
) -> tuple[dict[str, float] | None, str]:
    """(mean over sessions of each animal, ), or (None, reason) if one is not named.

    Args:
        values: session id -> value.
        subjects: session id -> name of its animal, None or missing where it is not known.
    """
    groups: dict[str, list[float]] = {}
    unnamed = sum(not subjects.get(key) for key in values)
    if unnamed:
        return None, f"{unnamed} of {len(values)} sessions do not name their animal"
    for key, value in values.items():
        groups.setdefault(str(subjects[key]), []).append(value)
    return {name: float(np.mean(found)) for name, found in groups.items()}, ""


def sessions_and_animals(num_sessions: int, num_animals: int | None) -> str:
    """`4 sessions of 2 animals`; without animals where these are not known."""
    words = f"{num_sessions} session{'' if num_sessions == 1 else 's'}"
    return (
        words
        if not num_animals
        else f"{words} of {num_animals} animal{'' if num_animals == 1 else 's'}"
    )
