"""Words about a decoder: when not to trust it, which follows from its own scores; and what the
folds of a read-out chose, the middle and the range where they differ."""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.evals.decoding.calibration import NOMINAL
from neurojax.evals.decoding.decoder import MODEL
from neurojax.evals.decoding.scores import MAIN
from neurojax.evals.decoding.targets import CATEGORICAL

FEW_TRIALS = 30
_COVERAGE_SLACK, _CALIBRATION_LIMIT, _ABSTAIN_GAIN = 0.05, 0.1, 0.02
_ROOTS = {None: "", "counts": "square roots of counts", "rates": "square roots of rates"}
_EQUALISED = {0.0: "spreads kept", 0.5: "roots of spreads divided out", 1.0: "unit variance"}


def sentences(report: Mapping[str, Any]) -> list[str]:
    """What a reader must know before using these predictions.

    Args:
        report: content of decoding.json, before this list is added.
    """
    trials = (
        "Scores are of trials that neither the read-out nor the model was trained on."
        if report["trials"] == "unseen"
        else f"Scores include trials whose spikes (never their labels) the model was trained on: "
        f"{report['trials_reason']} They may be too high."
    )
    found = [
        trials,
        "A read-out is fitted to one recording; on another day, animal or task it says nothing "
        "until fitted there.",
        "What can be decoded need not be used by the animal: a score shows that spikes and "
        "target vary together, "
        "whether through the task, arousal, movement or drift.",
    ]
    if report["fold_by"] == "trial" and report["protocol"] == "cv":
        found.append(
            "Neighbouring trials are alike, and folds of single trials profit from it; "
            "--fold_by=block shows what is left for trials from another stretch of time."
        )
    for name, session in report["sessions"].items():
        found += [f"{name}: {text}" for text in _of_session(session["read_outs"], report["kind"])]
    return found


def _of_session(read_outs: Mapping[str, Any], kind: str) -> list[str]:
    block, main = read_outs.get(MODEL), MAIN[kind]
    if block is None:
        return []
    found, score = [], block[main]
    if score is None:
        return ["the score does not exist; do not use this decoder."]
    chance = block.get("chance", {})
    if score <= chance.get("chance_95th_percentile", -np.inf):
        found.append(
            f"not above chance ({main} {score:.3f}; shuffled labels reach "
            f"{chance['chance_95th_percentile']:.3f} in 5 %"
            " of cases). Do not use its predictions."
        )
    others = {
        name: other[main]
        for name, other in read_outs.items()
        if name != MODEL and other[main] is not None
    }
    if others and (best := max(others, key=others.get)) and others[best] > score:
        found.append(
            f"{best} reads the target better ({others[best]:.3f} against {score:.3f}); prefer it."
        )
    if block["num_trials"] < FEW_TRIALS:
        low, high = block.get(f"{main}_ci95") or (None, None)
        span = f" (95 % interval {low:.2f} to {high:.2f})" if low is not None else ""
        found.append(
            f"only {block['num_trials']} trials are scored, so every figure here is rough{span}."
        )
    sure = block["calibration"]
    if sure["coverage"] is not None and sure["coverage"] < NOMINAL - _COVERAGE_SLACK:
        what = "sets" if kind == CATEGORICAL else "intervals"
        found.append(
            f"its {NOMINAL:.0%} {what} hold the truth in only {sure['coverage']:.0%} of cases; "
            "widen them."
        )
    if kind == CATEGORICAL:
        if sure["expected_calibration_error"] > _CALIBRATION_LIMIT:
            found.append(
                f"its probabilities are off by {sure['expected_calibration_error']:.0%} on "
                "average; read them as an order, "
                "not as frequencies."
            )
        half, everything = sure["selective"]["accuracy"][4], sure["selective"]["accuracy"][-1]
        if half < min(everything + _ABSTAIN_GAIN, 1.0):  # who is always right has nothing to gain
            found.append(
                f"it is not more often right where it is surer (accuracy {half:.2f} on the surest "
                f"half, {everything:.2f} "
                "on all); letting it abstain does not help."
            )
    return found


def in_words(folds: Sequence[Mapping[str, Any]]) -> str:
    """One line about what all folds chose (of one session or several).

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
            # JSON has no infinity: the window of a whole trial is written as null.
            value = float("inf") if fold[name] is None else fold[name]
            # A list where each dimension of the target chose its own.
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
