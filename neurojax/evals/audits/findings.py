"""One item of an audit: a value, its null, a p-value where there is one, and its alarm."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from neurojax.scores import intervals

LEVEL = 0.05


def finding(
    value: float | None,
    null: float | None,
    words: str,
    *,
    p_value: float | None = None,
    alarm: bool = False,
    reason: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One item of an audit as JSON.

    Args:
        value: what was measured; None with a `reason`.
        null: what it would be without anything wrong (or, of a score, without any skill).
        words: what the value is, and against what it is held.
        p_value: of a value so far to the bad side without a fault; corrected over items later.
        alarm: of items without a p-value.
        reason: why there is no value, or no p-value.
        **more: further facts.
    """
    known = {"value": _number(value), "null": _number(null), "p": _number(p_value), "words": words}
    return known | {"alarm": bool(alarm)} | ({"reason": reason} if reason else {}) | more


def nothing(words: str, reason: str) -> dict[str, Any]:
    """An item that this system, or these data, cannot answer."""
    return finding(None, None, words, reason=reason)


def judged(items: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The items with "p_holm", Holm's correction over all that have a p-value, and their alarms."""
    corrected = intervals.holm({name: item["p"] for name, item in items.items()})
    found = {}
    for name, item in items.items():
        p_holm = corrected[name]
        alarm = item["alarm"] if p_holm is None else p_holm < LEVEL
        found[name] = dict(item) | {"p_holm": p_holm, "alarm": bool(alarm)}
    return found


def alarms(items: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the items that alarm."""
    return [name for name, item in items.items() if item["alarm"]]


def share_of_draws(observed: float, draws: Sequence[float], higher_is_bad: bool = True) -> float:
    """p of a permutation test: the observed value counts as one of the draws."""
    draws = np.asarray(draws)
    as_bad = draws >= observed - 1e-12 if higher_is_bad else draws <= observed + 1e-12
    return float((1 + as_bad.sum()) / (1 + len(draws)))


def above_zero(values: np.ndarray) -> float:
    """One-sided p that a mean is above zero (t over values); 1 of fewer than three."""
    values = np.asarray(values, np.float64)
    if len(values) < 3:
        return 1.0
    spread = values.std(ddof=1)
    if spread == 0:
        return 0.0 if values.mean() > 0 else 1.0
    return float(stats.t.sf(values.mean() / (spread / np.sqrt(len(values))), len(values) - 1))


def _number(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
