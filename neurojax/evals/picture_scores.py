"""Scores of pictures from fMRI: the block `retrieval` of a record, and what voxels can say."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.scores import retrieval
from neurojax.scores.intervals import t_interval

SCORES = ("image_top1", "brain_top1", "image_top10")
DRAWS = 30  # of candidates, where there are more pictures than a test chooses among


def of_person(score: np.ndarray, ways: int, seed: int) -> dict[str, float]:
    """Scores of one person.

    Args:
        score: float [W, W], how well each brain (rows) agrees with each picture; its own is on the
            diagonal.
        ways: candidates of one test; of more pictures DRAWS sets of so many are drawn.
        seed: of the sets.

    Returns:
        {"image_top1", "image_top10": share of brains whose picture comes first, among ten;
        "brain_top1": share of pictures whose brain comes first; "num_pictures"}.
    """
    number, rng = len(score), np.random.default_rng([seed, 1])
    sets = [np.arange(number)]
    if number > ways:
        sets = [rng.choice(number, ways, replace=False) for _ in range(DRAWS)]
    found = {name: [] for name in SCORES}
    for own in sets:
        part, right = score[np.ix_(own, own)], np.arange(len(own))
        image, brain = retrieval.ranks(part, right), retrieval.ranks(part.T, right)
        found["image_top1"].append(retrieval.top(image, 1))
        found["image_top10"].append(retrieval.top(image, 10))
        found["brain_top1"].append(retrieval.top(brain, 1))
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return means | {"num_pictures": number}


def block_of(people: Mapping[str, Mapping[str, Mapping[str, float]]], ways: int) -> dict[str, Any]:
    """The block `retrieval` of a record.

    Args:
        people: reader -> person -> of `of_person`; the readers are "model", floors, and "bayes"
            where the truth is known.
        ways: candidates of one test.

    Returns:
        {"image_top1", "brain_top1", "image_top10", each with "_se" and "_ci95" over people (t),
        "num_candidates", "num_people", "chance", "people", "floors": {NAME: the same, and
        "image_top1_difference", model minus it, paired over people}, "ceiling": of the best reader,
        or None}.
    """
    model = people["model"]
    block = _summary(model)
    # A person with fewer pictures chooses among fewer.
    sizes = {min(ways, int(one["num_pictures"])) for one in model.values()}
    block |= {"num_candidates": min(sizes), "num_people": len(model)}
    block |= {"chance": 1 / min(sizes), "floors": {}, "ceiling": None}
    for name, own in people.items():
        if name == "bayes":
            block["ceiling"] = _summary(own)
        elif name != "model":
            paired = [model[person]["image_top1"] - own[person]["image_top1"] for person in own]
            block["floors"][name] = _summary(own) | _interval("image_top1_difference", paired)
    return block


def noise_ceiling(response: np.ndarray, picture: np.ndarray) -> dict[str, Any]:
    """How much of the variance of a mean over repeats the picture makes, over voxels.

    Args:
        response: float [trials, N], single presentations.
        picture: int [trials].

    Returns:
        {"median", "upper_quartile", "num_repeats"}; None with a reason where no picture came twice.
    """
    _, place, number = np.unique(picture, return_inverse=True, return_counts=True)
    if number.max(initial=0) < 2 or len(number) < 2:
        reason = "no test picture was shown twice"
        return {"median": None, "median_reason": reason, "num_repeats": 1.0}
    mean = np.zeros((len(number), response.shape[1]))
    np.add.at(mean, place, response)
    mean /= number[:, None]
    within = np.square(response - mean[place]).sum(0) / (number - 1).sum()
    repeats = 1 / np.mean(1 / number)
    of_mean = mean.var(0, ddof=1)
    share = np.maximum(of_mean - within / repeats, 0) / np.maximum(of_mean, 1e-12)
    found = {"median": float(np.median(share)), "upper_quartile": float(np.quantile(share, 0.75))}
    return found | {"num_repeats": float(repeats)}


def _summary(people: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in SCORES:
        found |= _interval(name, [one[name] for one in people.values()])
    return found | {"people": dict(people)}


def _interval(name: str, values: list[float]) -> dict[str, Any]:
    found = t_interval(values)
    if found is None:
        reason = "one person: nothing to say how others would do"
        return {name: float(np.mean(values)), f"{name}_ci95_reason": reason}
    return {name: found.mean, f"{name}_se": found.se, f"{name}_ci95": list(found.ci95)}
