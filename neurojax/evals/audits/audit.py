"""The audit of a system: every item asked of the same predictions, with Holm's correction over
those that have a p-value."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from neurojax.errors import require
from neurojax.evals.audits import controls, fairness, likeness
from neurojax.evals.audits.findings import alarms, judged, nothing
from neurojax.evals.audits.parts import Part, scored

LABELS = {
    "score": "Score above chance",
    "nearest_training_item": "Nearest training item",
    "cluster_overlap": "Overlap of clusters",
    "held_out_cluster": "A cluster never trained on",
    "noise_in": "Fed noise",
    "shuffled_input": "Fed another item",
    "perfect_translator": "Perfect prediction",
    "ablation_channels": "Without a group of channels",
    "ablation_regions": "Without a region",
    "lag": "The item before",
    "order_of_bins": "Bins in another order",
    "drift": "Drift over the recording",
    **{f"groups_{name}": f"Groups: {name}" for name in fairness.GROUPS},
    "seeds": "Spread over seeds",
}
NO_SEEDS = "one run alone; `neurojax train --seeds=N` makes several"


def audit(
    parts: Sequence[Part],
    *,
    seed: int,
    scores_of_seeds: Sequence[float] = (),
    no_seeds: str = NO_SEEDS,
    progress: Callable[[int], Any] = lambda done: None,
) -> dict[str, Any]:
    """Asks every item.

    Args:
        parts: one or more recordings of one kind.
        seed: of every draw.
        scores_of_seeds: of runs that differ in their seed alone.
        no_seeds: the reason where there are fewer than two.
        progress: receives the number of items done.

    Returns:
        {"items": {name: see `findings.finding`, with "p_holm"}, "alarms": names, "num_items": test
        items}.

    Raises:
        InputError: no part, or one with fewer than two test items.
    """
    require(parts, "no recording to audit; expected test items of one or more")
    for part in parts:
        require(
            len(part.targets) >= 2,
            f"{part.name} has {len(part.targets)} test items to audit; expected two or more",
        )
    found = [scored(part) for part in parts]
    asked: dict[str, Callable[[], dict[str, Any]]] = {
        "score": lambda: controls.score(found, seed),
        "nearest_training_item": lambda: likeness.nearest_training_item(parts, seed),
        "cluster_overlap": lambda: likeness.cluster_overlap(parts, seed),
        "held_out_cluster": lambda: likeness.held_out_cluster(parts, seed),
        "noise_in": lambda: controls.noise_in(found, seed),
        "shuffled_input": lambda: controls.shuffled_input(found, seed),
        "perfect_translator": lambda: controls.perfect_translator(found),
        "ablation_channels": lambda: controls.ablation(found, "channel_group", seed),
        "ablation_regions": lambda: controls.ablation(found, "region", seed),
        "lag": lambda: controls.lag(found),
        "order_of_bins": lambda: controls.order_of_bins(found, seed),
        "drift": lambda: fairness.drift(found, seed),
        "seeds": lambda: fairness.seeds(found, scores_of_seeds, no_seeds),
    }
    items = {}
    for number, name in enumerate(LABELS):
        if name.startswith("groups_"):
            items[name] = fairness.group_gap(found, name.removeprefix("groups_"), seed)
        else:
            items[name] = asked[name]()
        progress(number + 1)
    items = judged(items)
    return {
        "items": items,
        "alarms": alarms(items),
        "num_items": sum(len(part.targets) for part in parts),
    }


def of_no_parts(reason: str, scores_of_seeds: Sequence[float] = ()) -> dict[str, Any]:
    """The audit of a system whose inputs cannot be replaced item by item: null with the reason."""
    items: Mapping[str, Any] = {
        name: fairness.seeds((), scores_of_seeds, NO_SEEDS)
        if name == "seeds"
        else nothing(label, reason)
        for name, label in LABELS.items()
    }
    items = judged(items)
    return {"items": items, "alarms": alarms(items), "num_items": 0}
