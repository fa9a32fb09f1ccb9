"""The block `gestures` of an evaluation: how well the gestures of people are told apart.

A score is the balanced accuracy of a person, the mean over gestures of the share of its windows
that are recognised; the mean of it over people has an interval over people, for the windows of one
person overlap and are no independent trials. Chance is one over the number of gestures.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.errors import InputError, require
from neurojax.scores.intervals import t_interval

_ONE_PERSON = "one person: nothing to say how others would do"


def gestures_block(
    probabilities: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    num_classes: int,
    floors: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> dict[str, Any]:
    """Scores predictions of people that training never saw, and of simple methods beside them.

    Args:
        probabilities: person -> float [windows, K], predicted probability of each gesture.
        labels: person -> int [windows], the gesture that was made, 0 to K - 1.
        num_classes: K.
        floors: method -> what `probabilities` is, of the same people.

    Returns:
        {"balanced_accuracy", "balanced_accuracy_se", "balanced_accuracy_ci95" (t over people),
        "num_people", "num_windows", "chance",
        "people": {ID: {"balanced_accuracy", "accuracy", "num_windows", "num_classes"}},
        "floors": {NAME: {"balanced_accuracy", ..., "people": {ID: {"balanced_accuracy"}},
        "difference", "difference_se", "difference_ci95" (model minus floor, paired over people)}}}.
        What cannot be computed is None, with `<name>_reason` beside it.

    Raises:
        InputError: no person, a person with no window, shapes that differ, labels outside of K.
    """
    require(labels, "no person to score; expected a split with at least one, convert with more")
    people = _people(probabilities, labels, num_classes, "the model")
    block = {
        **_over_people("balanced_accuracy", _scores(people)),
        "num_people": len(people),
        "num_windows": sum(person["num_windows"] for person in people.values()),
        "chance": 1 / num_classes,
        "people": people,
        "floors": {},
    }
    for name, predicted in (floors or {}).items():
        floor = _people(predicted, labels, num_classes, f"floor {name}")
        own, other = _scores(people), _scores(floor)
        paired = {
            person: None
            if own[person] is None or other[person] is None
            else own[person] - other[person]
            for person in own
        }
        block["floors"][name] = {
            **_over_people("balanced_accuracy", other),
            **_over_people("difference", paired),
            "people": {person: _score_alone(found) for person, found in floor.items()},
        }
    return block


def compared(blocks: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Runs on the people that all of them scored, later ones minus the first, paired over people.

    Args:
        blocks: name of a run -> its `gestures` block; the first is what the others are held
            against.

    Returns:
        run -> {"balanced_accuracy", "difference", each with "_se" and "_ci95", "above" (in how many
        people it is better), "num_people"}.

    Raises:
        InputError: nobody was scored by all, or a block is damaged.
    """
    try:
        scores = {run: _scores(block["people"]) for run, block in blocks.items()}
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            "an evaluation of gestures has no scores of people; evaluate the run again"
        ) from None
    first = next(iter(scores.values()))
    known = [
        p for p in first if all(isinstance(own.get(p), int | float) for own in scores.values())
    ]
    require(known, "the runs share no person with a score; evaluate them on the same people")
    found = {}
    for run, own in scores.items():
        gains = {person: own[person] - first[person] for person in known}
        found[run] = {
            **_over_people("balanced_accuracy", {person: own[person] for person in known}),
            **_over_people("difference", gains),
            "above": sum(gain > 0 for gain in gains.values()),
            "num_people": len(known),
        }
    return found


def balanced_accuracy(predicted: np.ndarray, label: np.ndarray, num_classes: int) -> float:
    """Mean over the gestures that occur of the share of their windows that are recognised.

    Args:
        predicted, label: integers [windows], 0 to num_classes - 1.
        num_classes: K.
    """
    made = np.bincount(label, minlength=num_classes)
    right = np.bincount(label[predicted == label], minlength=num_classes)
    return float(np.mean(right[made > 0] / made[made > 0]))


def _people(
    probabilities: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    num_classes: int,
    where: str,
) -> dict[str, dict[str, Any]]:
    if probabilities.keys() != labels.keys():
        differing = sorted(probabilities.keys() ^ labels.keys())
        raise InputError(
            f"{where}: predictions and labels are not of the same people: {differing[:5]}"
        )
    return {
        person: _person(
            np.asarray(probabilities[person]), np.asarray(label), num_classes, person, where
        )
        for person, label in labels.items()
    }


def _person(
    probability: np.ndarray, label: np.ndarray, num_classes: int, person: str, where: str
) -> dict[str, Any]:
    """The scores of one person; ties go to the first of the most probable gestures."""
    require(
        len(label) and probability.shape == (len(label), num_classes),
        f"{where}: person {person} has predictions {list(probability.shape)} for {len(label)}"
        f" windows, expected [windows, {num_classes}] of at least one",
    )
    require(
        label.min() >= 0 and label.max() < num_classes,
        f"person {person} has gestures {label.min()} to {label.max()}, expected 0 to "
        f"{num_classes - 1}",
    )
    counted = {"num_windows": len(label), "num_classes": len(np.unique(label))}
    if not np.isfinite(probability).all():
        reason = "a predicted probability is not finite"
        return {"balanced_accuracy": None, "balanced_accuracy_reason": reason, "accuracy": None,
                "accuracy_reason": reason, **counted}  # fmt: skip
    predicted = probability.argmax(1)
    return {
        "balanced_accuracy": balanced_accuracy(predicted, label, num_classes),
        "accuracy": float(np.mean(predicted == label)),
        **counted,
    }


def _scores(people: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    return {person: found["balanced_accuracy"] for person, found in people.items()}


def _score_alone(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name.startswith("balanced_accuracy")}


def _over_people(name: str, values: Mapping[str, float | None]) -> dict[str, Any]:
    """Mean, standard error and 95 % interval over people; None with a reason without one."""
    missing = [person for person, value in values.items() if value is None]
    if missing:
        reason = f"{len(missing)} of {len(values)} people have no score: {', '.join(missing[:5])}"
        return {f"{name}{part}": None for part in ("", "_se", "_ci95")} | {f"{name}_reason": reason}
    found = t_interval(list(values.values()))
    if found is None:
        parts = {f"{name}{part}": None for part in ("_se", "_ci95")}
        reasons = {f"{name}{part}_reason": _ONE_PERSON for part in ("_se", "_ci95")}
        return {name: math.fsum(values.values()), **parts, **reasons}
    return {name: found.mean, f"{name}_se": found.se, f"{name}_ci95": list(found.ci95)}
