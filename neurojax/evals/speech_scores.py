"""Scores of speech from EEG: the block `retrieval` of a record, of ranks of the right candidate."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.scores import retrieval
from neurojax.scores.intervals import t_interval

SCORES = ("top1", "top10", "mean_reciprocal_rank")


def block_of(ranks: Mapping[str, Mapping[str, tuple]], num_candidates: int) -> dict[str, Any]:
    """The block `retrieval` of a record.

    Args:
        ranks: reader -> person -> (rank of the right candidate [W], whether the day was trained on
            [W]); the readers are "model", floors, and "bayes" where the truth is known.
        num_candidates: K.

    Returns:
        {"top1", "top10", "mean_reciprocal_rank", each with "_se" and "_ci95" over people (t),
        "num_candidates", "num_people", "num_trials", "chance", "people": {ID: scores},
        "held_out_day": the same of days that training never saw, or None, "of_held_out_day": bool,
        "floors": {NAME: ...,
        "top1_difference" (model minus it, paired over people; None with a reason where the model
        trained with swapped muscle)}, "ceiling": of the best reader, or None}. Scores are of days
        that training saw, where days are known; with "of_held_out_day" of days that it never saw,
        for no test trial is of another.
    """
    all_later = not any(day.any() for _, day in ranks["model"].values())
    known = {
        name: {person: rank[day | all_later] for person, (rank, day) in people.items()}
        for name, people in ranks.items()
    }
    later = {
        name: {person: rank[~day] for person, (rank, day) in people.items() if not day.all()}
        for name, people in ranks.items()
    }
    block = _scores(known["model"]) | {
        "num_candidates": num_candidates,
        "num_people": sum(len(rank) > 0 for rank in known["model"].values()),
        "of_held_out_day": all_later,
        "num_trials": sum(map(len, known["model"].values())),
        "chance": {"top1": 1 / num_candidates, "top10": min(1.0, 10 / num_candidates)},
        "held_out_day": _scores(later["model"]) if later["model"] else None,
        "floors": {},
        "ceiling": None,
    }
    for name in ranks:
        if name == "model":
            continue
        own = _scores(known[name])
        own["held_out_day"] = _scores(later[name]) if later[name] else None
        if name == "bayes":
            block["ceiling"] = own
            continue
        paired = [block["people"][p]["top1"] - own["people"][p]["top1"] for p in own["people"]]
        block["floors"][name] = own | _interval("top1_difference", paired)
    return block


def leave_out_difference(floor: dict[str, Any], swap_muscle: float) -> None:
    """A floor is fitted on windows with their own muscle, which the model could not use."""
    for name in [name for name in floor if name.startswith("top1_difference")]:
        del floor[name]
    floor["top1_difference"] = None
    floor["top1_difference_reason"] = (
        f"the model trained with data.swap_muscle={swap_muscle:g}, the floor with the muscle of "
        "each window; compare it with a model that has it too"
    )


def _scores(people: Mapping[str, np.ndarray]) -> dict[str, Any]:
    each = {
        person: {
            "top1": retrieval.top(rank, 1),
            "top10": retrieval.top(rank, 10),
            "mean_reciprocal_rank": retrieval.mean_reciprocal_rank(rank),
            "num_trials": len(rank),
        }
        for person, rank in people.items()
        if len(rank)
    }
    found: dict[str, Any] = {}
    for name in SCORES:
        found |= _interval(name, [one[name] for one in each.values()])
    return found | {"people": each}


def _interval(name: str, values: Sequence[float]) -> dict[str, Any]:
    found = t_interval(values)
    if found is None:
        if not values:
            return {name: None, f"{name}_ci95_reason": "nobody has such a test trial"}
        reason = "one person: nothing to say how others would do"
        return {name: float(np.mean(values)), f"{name}_ci95_reason": reason}
    return {name: found.mean, f"{name}_se": found.se, f"{name}_ci95": list(found.ci95)}
