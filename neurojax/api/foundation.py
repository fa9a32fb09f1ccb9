"""The nine points of a foundation model and the level of openness, for a model card: of each
whether it holds as far as this model's files tell, and "not stated" where they do not.

Source: Mineault 2024, Foundation models for neuroscience,
https://www.neuroai.science/p/foundation-models-for-neuroscience
"""

from collections.abc import Mapping
from typing import Any

from neurojax.data.store import card_schema, cards, licences
from neurojax.finetune.weights import Weights

# objective -> what it learns from; True: from the recordings themselves
_OBJECTIVES = {
    "mtm": (True, "hidden entries are predicted from visible ones"),
    "next_bin": (True, "the next bin is predicted from those before"),
    "elbo": (True, "a trial is rebuilt from its latents"),
    "lm": (True, "the next token is predicted from those before"),
    "distil": (None, "answers of other models about the recordings are learned"),
    "contrastive": (False, "recordings are paired with what was heard"),
    "mixco": (False, "recordings are paired with what was seen"),
    "ctc": (False, "texts are the targets"),
    "joint": (True, "some of stimulus, activity and behaviour are predicted from the others"),
    "supervised": (False, "labels are the targets"),
    "events": (False, "times of events are the targets"),
    "velocity": (False, "velocities of movement are the targets"),
    "responses": (False, "responses are predicted from what was seen"),
}
_GENERIC = {
    **dict.fromkeys(
        ("ndt", "ndt_linear", "ndt2", "stndt", "poyo", "joint", "causal_lm"), "a transformer"
    ),
    **dict.fromkeys(("ssm", "possm"), "a state-space model"),
    "lfads": "a recurrent network",
    **dict.fromkeys(
        ("sequence", "ring"), "recurrent, convolutional or attention layers over frames"
    ),
    "mindeye": "a residual network",
    "perceptron": "a multi-layer perceptron",
    **dict.fromkeys(("signals", "eeg", "eegnet", "twin"), "a convolutional network"),
}
_OPEN = (
    *("cc0", "cc by", "creative commons attribution", "public domain", "odbl", "odc by"),
    *("mit", "apache", "bsd", "gpl", "lgpl", "agpl", "gnu"),
)


def points(
    weights: Weights,
    evaluation: Mapping[str, Any] | None = None,
    stated: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Every point of `card_schema.POINTS`.

    Args:
        weights: with entries.
        evaluation: content of evaluation.json, for the seconds of training.
        stated: of points that no file tells, see `card_schema.read_stated_points`.

    Returns:
        name -> {"holds": True, False, or None where that is not known or a matter of degree,
        "told": text}.
    """
    entries, stated = weights.entries, stated or {}
    shared, rows = (_size(weights, place) for place in ("params/", "tables/"))
    trials = sum(entry["num_trials"].get("train", 0) for entry in entries)
    units = sum(entry["num_units"] for entry in entries)
    columns = "units" if weights.of_spikes() else "channels"
    name = weights.config["model"].get("name", "")
    cost = (evaluation or {}).get("cost")
    seconds = cost.get("training_s") if isinstance(cost, Mapping) else None
    took = f", {seconds:,.0f} s of training" if isinstance(seconds, int | float) else ""
    labels, words = _OBJECTIVES.get(weights.config["objective"].get("name", ""), (None, ""))
    kind = _GENERIC.get(name)
    found = {
        "self_supervised": (labels, words),
        "fine_tuned": (True, "these weights began with those of another run")
        if weights.origin or weights.config.get("init_from")
        else (None, "these weights are not; with few trials of a new recording they can be"),
        "data": (
            None,
            f"{len(entries)} recordings, {units:,} {columns}, {trials:,} training trials"
            if entries
            else "",
        ),
        "compute": (None, f"{weights.step:,} steps{took}"),
        "parameters": (None, f"{shared:,} shared, {rows:,} in rows of recordings"),
        "architecture": (True if kind else None, kind or ""),
        "scaling": (None, ""),
        "emergent": (None, ""),
        "building_block": (True, "the weights load into other runs (`init_from`)"),
    }
    told = {
        point: {"holds": holds, "told": words or card_schema.NOT_STATED}
        for point, (holds, words) in found.items()
    }
    for point, words in stated.items():
        if point in told:
            before = told[point]["told"]
            more = "" if before == card_schema.NOT_STATED else f"{before}; "
            told[point] = {**told[point], "told": f"{more}stated: {words}"}
    card_schema.require_points(told)
    return told


def openness(
    weights: Weights, weights_licence: str | None, stated: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """{"level": one of `card_schema.OPENNESS`, "told": why}.

    Args:
        weights_licence: as the user states it.
        stated: as of `points`; its "openness" is told beside what the files say.
    """
    of_data = [entry.get("licence") for entry in weights.entries]
    is_open = bool(of_data) and all(map(_is_open, of_data))
    if not licences.is_stated(weights_licence):
        level, why = card_schema.NOT_STATED, "no licence of the weights"
    elif licences.terms(weights_licence) & {"closed", "ND"}:
        level, why = "closed", "the licence of the weights lets them not be passed on or changed"
    elif _is_open(weights_licence) and is_open:
        level = "open source"
        why = "weights, code (neurojax, Apache-2.0), config and recordings have open licences"
    else:
        level = "open weights"
        lacking = "recordings" if not is_open else "weights"
        why = f"the licence of the {lacking} is not stated or not an open one"
    if words := (stated or {}).get("openness"):
        why += f"; stated: {words}"
    return {"level": level, "told": why}


def lines(found: Mapping[str, Mapping[str, Any]], level: Mapping[str, Any]) -> list[str]:
    """The section of a card."""
    holds = {True: "yes", False: "no", None: "-"}
    rows = [
        f"| {words} | {holds[found[point]['holds']]} | {cards.text(found[point]['told'])} |"
        for point, words in card_schema.POINTS.items()
    ]
    return [
        f"Openness: **{level['level']}** ({cards.text(level['told'])}).",
        "",
        "| a foundation model | holds | here |",
        "|---|---|---|",
        *rows,
    ]


def _size(weights: Weights, place: str) -> int:
    return sum(array.size for name, array in weights.arrays.items() if name.startswith(place))


def _is_open(licence: Any) -> bool:
    """Whether a licence lets everybody use, change and share, by its name."""
    if not licences.is_stated(licence) or licences.terms(licence) & {"NC", "ND", "closed"}:
        return False
    plain = " ".join("".join(c if c.isalnum() else " " for c in str(licence).lower()).split())
    return plain.startswith(_OPEN)
