"""What the scores of pairs say: right choices, certainty, calibration, beside floor and ceiling.

A value has its standard error and 95 % interval over pairs (bootstrap); null has a reason.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.analysis import choices, confidence
from neurojax.evals.text_scores import TextScore

UNITS = ("tokens", "bytes", "words")
NO_LABEL = "no pair says which of its texts is true"


def pairs_block(
    pairs: Sequence[Any],
    scores: Sequence[tuple[TextScore, TextScore]],
    passages: Sequence[tuple[int, tuple[TextScore, TextScore]]],
    settings: Mapping[str, Any],
    seed: int,
) -> dict[str, Any]:
    """The `pairs` block of an evaluation.

    Args:
        pairs: of data.readers.text_pairs.
        scores: of both texts of each pair.
        passages: (number of its pair, scores of both versions) of each changed passage.
        settings: `normalised_by`, `num_bins`, `num_boot`.
        seed: of the bootstrap.
    """
    unit = settings["normalised_by"]
    perplexity = np.array([[one.perplexity(unit) for one in both] for both in scores])  # [I, 2]
    labelled = np.array([pair.label is not None for pair in pairs])
    block: dict[str, Any] = {
        "num_items": len(pairs),
        "num_labelled": int(labelled.sum()),
        "normalised_by": unit,
        "chance": 0.5,
        "items": _items(pairs, scores, perplexity),
    }
    if not labelled.any():
        return block | {"accuracy": None, "accuracy_reason": NO_LABEL}
    label = np.array([pair.label for pair in pairs if pair.label is not None])
    known, nats = perplexity[labelled], np.array([[one.nats for one in both] for both in scores])
    right = choices.is_right(known, label)
    texts = ["\0".join(sorted(pair.texts)) for pair in pairs if pair.label is not None]
    # A repeated pair is no second witness. numpy would hold every text at the longest one's length.
    distinct = {text: number for number, text in enumerate(sorted(set(texts)))}
    item = np.array([distinct[text] for text in texts])
    found = choices.share(right, item, num_boot=settings["num_boot"], seed=seed)
    block |= {"accuracy": found.value, "accuracy_se": found.se, "accuracy_ci95": list(found.ci95)}
    block["num_ties"] = int((choices.certainty(known) == 0).sum())
    block["num_repeated"] = len(texts) - len(distinct)
    block["accuracy_by_unit"] = {
        name: float(
            choices.is_right(
                np.array([[one.perplexity(name) for one in both] for both in scores])[labelled],
                label,
            ).mean()
        )
        for name in UNITS
    }
    group = np.array([pair.group for pair in pairs])[labelled]
    if any(group):
        block["groups"] = {
            name: {"accuracy": share, "num_items": number}
            for name, (share, number) in choices.share_by_group(right, group).items()
        }
    block |= _certainty(known, nats[labelled], label, right, settings["num_bins"])
    block |= _without_context(pairs, passages, unit)
    return block | _best([pair for pair in pairs if pair.label is not None], found.value)


def _items(pairs, scores, perplexity) -> list[dict[str, Any]]:
    """Perplexities of each pair, and what the model expects."""
    return [
        {
            "perplexity": one.tolist(),
            "nats": [score.nats for score in both],
            "expects": None if one[0] == one[1] else int(one[1] < one[0]),
            "label": pair.label,
            "certainty": float(abs(one[0] - one[1])),
        }
        for pair, both, one in zip(pairs, scores, perplexity, strict=True)
    ]


def _certainty(perplexity, nats, label, right, num_bins: int) -> dict[str, Any]:
    """Accuracy by rank of certainty, and the calibration of the ratio of likelihoods."""
    bins = min(num_bins, len(right))
    by_rank = confidence.by_rank(choices.certainty(perplexity), right, bins)
    # The probability that a model gives the text it finds likelier, of the two.
    probability = 1 / (1 + np.exp(-np.abs(nats[:, 0] - nats[:, 1])))
    likelier = np.argmin(nats, axis=1) == label
    slope = confidence.slope(by_rank) if bins > 1 else None
    return {
        "certainty": {"accuracy_by_rank": by_rank.tolist(), "slope_per_bin": slope},
        "calibration": {
            "mean_probability": float(probability.mean()),
            "accuracy": float(likelier.mean()),
            "expected_calibration_error": confidence.calibration_error(probability, likelier, bins),
        },
    }


def _without_context(pairs, passages, unit: str) -> dict[str, Any]:
    """Right choices between the changed passages alone."""
    known = [(pairs[number].label, both) for number, both in passages]
    known = [(label, both) for label, both in known if label is not None]
    if not known:
        reason = "no pair has a changed passage beside text that is the same in both"
        return {"no_context": {"accuracy": None, "accuracy_reason": reason}}
    perplexity = np.array([[one.perplexity(unit) for one in both] for _, both in known])
    right = choices.is_right(perplexity, np.array([label for label, _ in known]))
    return {"no_context": {"accuracy": float(right.mean()), "num_passages": len(right)}}


def _best(pairs, accuracy: float) -> dict[str, Any]:
    """What the best reader reaches, where the pairs are made up and it is known."""
    if any(pair.probability is None for pair in pairs):
        return {}
    first = np.array([pair.probability for pair in pairs])
    expected = float(np.maximum(first, 1 - first).mean())
    label = np.array([pair.label for pair in pairs])
    on_these = float(((first > 0.5) == (label == 0)).mean())
    return {
        "best_reader": {"expected_accuracy": expected, "accuracy": on_these},
        "share_of_best": accuracy / on_these,
    }
