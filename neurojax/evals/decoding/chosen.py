"""What a read-out's folds chose, in words: the middle of the folds, and the range where they
differ."""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_ROOTS = {None: "", "counts": "square roots of counts", "rates": "square roots of rates"}
_EQUALISED = {0.0: "spreads kept", 0.5: "roots of spreads divided out", 1.0: "unit variance"}


def in_words(folds: Sequence[Mapping[str, Any]]) -> str:
    """One line about the choices of all folds (of one session or several); seconds where there are
    any.

    Args:
        folds: entries of "chosen" in decoding.json.
    """
    told = [
        _range(
            folds, "width_s", lambda value: f"smoothed by {value:g} s" if value else "not smoothed"
        ),
        _range(
            folds,
            "reach_s",
            lambda value: f"lags up to {value:g} s either way" if value else "no lags",
        ),
        _range(folds, "window_s", _window),
        _most(folds, "equalised", _EQUALISED),
        _most(folds, "square_root", _ROOTS),
        _range(folds, "components", lambda value: f"{value:g} principal components"),
        _range(folds, "penalty", lambda value: f"penalty {value:.3g}"),
        _range(folds, "inverse_penalty", lambda value: f"inverse penalty {value:.3g}"),
        _range(folds, "steps", lambda value: f"{value:g} training steps"),
    ]
    if skipped := sum(fold.get("settings_too_large", 0) for fold in folds):
        told.append(f"{skipped} settings left out, too large for memory")
    return ", ".join(text for text in told if text)


def in_short(folds: Sequence[Mapping[str, Any]]) -> str:
    """The seconds alone, for a legend: "0.16 s, lags 0.6 s"; empty where there are none."""
    parts = []
    for name, word in (("width_s", ""), ("reach_s", "lags "), ("window_s", "windows ")):
        values = _values(folds, name)
        if values and (value := statistics.median_low(values)):
            parts.append(f"{word}whole trial" if value == float("inf") else f"{word}{value:g} s")
    return ", ".join(parts)


def _window(value: float) -> str:
    if value == float("inf"):
        return "mean over the trial"
    return f"means over {value:g} s" if value else "bin by bin"


def _values(folds: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    found = []
    for fold in folds:
        if name in fold:
            value = float("inf") if fold[name] is None else fold[name]
            found += value if isinstance(value, list) else [value]
    return found


def _range(folds: Sequence[Mapping[str, Any]], name: str, word: Callable[[float], str]) -> str:
    values = _values(folds, name)
    if not values:
        return ""
    low, middle, high = min(values), statistics.median_low(values), max(values)
    return word(middle) + ("" if low == high else f" ({_number(low)} to {_number(high)})")


def _number(value: float) -> str:
    return "whole trial" if value == float("inf") else f"{value:.3g}"


def _most(folds: Sequence[Mapping[str, Any]], name: str, words: Mapping[Any, str]) -> str:
    values = [fold[name] for fold in folds if name in fold]
    if not values:
        return ""
    value, times = Counter(values).most_common(1)[0]
    if not words[value] and times == len(values):
        return ""
    return (words[value] or "no square roots") + (
        "" if times == len(values) else f" in {times} of {len(values)} folds"
    )
