"""When not to trust the decoder: sentences that follow from its own scores, session by session."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.evals.decoding.calibration import NOMINAL
from neurojax.evals.decoding.decoder import MODEL
from neurojax.evals.decoding.scores import MAIN
from neurojax.evals.decoding.targets import CATEGORICAL

FEW_TRIALS = 30
_COVERAGE_SLACK, _CALIBRATION_LIMIT, _ABSTAIN_GAIN = 0.05, 0.1, 0.02


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
