"""README.md of an exported model: what it was made of, how well it does, and what it is not for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from neurojax import __version__
from neurojax.api import membership
from neurojax.data.store import cards, roster
from neurojax.errors import InputError
from neurojax.finetune.weights import Weights
from neurojax.report.headlines import score_words

_NOT_STATED = frozenset({"", "unknown", "none", "n/a", "na", "null", "not stated", "unspecified"})
_USE = """## Intended use

Research on neural population activity: predicting hidden units, bins and regions of the sessions above, and states of
these sessions as features for analyses. A session that is not listed has no rows in the model and needs fine-tuning:
`model.adapt(session)`, or `neurojax train --config=configs/finetune.py --config.init_from=FOLDER`.

## Misuse

- No clinical or other decision about a person or an animal rests on this model.
- Not to identify a subject, and not to infer of a person what the consent does not cover.
- Predicted rates are a model's expectation, not a measurement; they are no evidence of a connection between units.

## Known failures

- Other units, bin widths, or trials longer than those trained on are refused, not approximated.
- Recordings that drift, or are sorted or filtered in another way, score lower without a warning.
- Embeddings see every unit, so they carry the units' own noise; rates of a unit never see its own spikes.
"""


_USE_OF_SIGNALS = """## Intended use

Research on recordings of real values of the kind above: what the objective asks of a window, from people or animals the
model never saw.

## Misuse

- No clinical or other decision about a person or an animal rests on this model.
- Not to identify a subject, and not to infer of a person what the consent does not cover.

## Known failures

- Other channels, sampling rates, or windows longer than those trained on are refused or meaningless.
- Electrodes that sit elsewhere, or signals filtered in another way, score lower without a warning.
"""

_SNIPPET = (
    *("```python", "import neurojax as nj", 'model = nj.load("FOLDER")'),
    *(
        "states = model.embed(session)  # [bins, dims]",
        "rates_hz = model.rates(session)  # [bins, units]",
        "```",
        "",
    ),
)


def require_licences(entries: Sequence[Mapping[str, Any]]) -> None:
    """Raises InputError where a recording of a person states no licence."""
    for entry in entries:
        human = cards.is_human(entry) or roster.is_human(entry)
        if human and str(entry.get("licence") or "").strip().lower() in _NOT_STATED:
            raise InputError(
                f"session {entry['session_id']} is of a human and states no licence: its model "
                "is not exported; "
                "convert the recording again with its licence, and train on that"
            )


def write(
    weights: Weights,
    evaluation: Mapping[str, Any] | None,
    weights_licence: str | None,
    told_apart: Mapping[str, Any] | None = None,
) -> str:
    """Markdown of the card.

    Args:
        weights: with entries.
        evaluation: content of the run's evaluation.json; None when there is none, and the card says
            so.
        weights_licence: as the user states it.
        told_apart: see `membership.measure`; None when it was not measured.
    """
    entries, of_spikes = weights.entries, weights.of_spikes()
    columns = "units" if of_spikes else "channels"
    units = sum(entry["num_units"] for entry in entries)
    parameters = sum(
        array.size
        for name, array in weights.arrays.items()
        if name.startswith(("params/", "tables/"))
    )
    regions = Counter(label for entry in entries for label in entry["region"])
    lines = [
        "# Model of neural population activity"
        if of_spikes
        else "# Model of recordings of real values",
        "",
        f"Weights of the model {_name(weights, 'model')} of "
        f"{'spike counts' if of_spikes else 'real values'}, trained "
        f"with the objective {_name(weights, 'objective')}, exported by neurojax {__version__} "
        "after "
        f"{weights.step:,} steps: {parameters:,} float32 values, bins of "
        f"{1000 * weights.bin_size_s:g} ms.",
        "",
        *(_SNIPPET if of_spikes else ()),
        "Licence of the weights: "
        f"{cards.text(weights_licence) or 'not stated; ask before sharing'}",
        "",
        "## Data",
        "",
        f"{len(entries)} sessions, {units:,} {columns}. Fingerprint: "
        f"`{cards.text(weights.dataset_fingerprint)}`",
        "",
        f"| session | subject | species | {columns} | trials (train, validation, test) | licence "
        "| source |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in entries:
        texts = [
            cards.text(entry.get(name)) or "not stated"
            for name in ("subject_id", "species", "licence")
        ]
        trials = ", ".join(f"{number:,}" for number in entry["num_trials"].values())
        cells = [
            cards.text(entry["session_id"]),
            *texts[:2],
            f"{entry['num_units']:,}",
            trials,
            texts[2],
        ]
        lines.append(f"| {' | '.join([*cells, cards.source(entry)])} |")
    lines += ["", "## Regions", "", f"| region | {columns} |", "|---|---|"]
    lines += [
        f"| {cards.text(label) or 'not stated'} | {number:,} |"
        for label, number in sorted(regions.items())
    ]
    lines += ["", "## Scores", "", *_scores(evaluation, weights.step)]
    use = _USE if of_spikes else _USE_OF_SIGNALS
    return "\n".join([*lines, "", "## Membership", "", *membership.lines(told_apart), "", use])


def _name(weights: Weights, block: str) -> str:
    """Name of the module that a block of the config chose, as a card may show it."""
    return cards.text(weights.config[block].get("name")) or "not stated"


def _scores(evaluation: Mapping[str, Any] | None, step: int) -> list[str]:
    """Per session and task the headline score with its interval; raises InputError for a damaged
    evaluation."""
    if evaluation is None:
        return ["Not scored: the run had no evaluation.json."]
    if "protocol" not in evaluation:
        return _scores_of_blocks(evaluation, step)
    try:
        found = [
            f"Protocol {cards.text(evaluation['protocol'])}, hash "
            f"`{cards.text(evaluation['protocol_hash'])}`;"
        ]
        found[0] += (
            f" scored at step {int(evaluation['step']):,}; 95 % intervals by bootstrap over test "
            "trials."
        )
        if evaluation["step"] != step:
            found[0] += (
                f" The exported weights are those of step {step:,}: the scores are of others."
            )
        found += ["", "| session | task | score | value | 95 % interval |", "|---|---|---|---|---|"]
        for name, session in evaluation["sessions"].items():
            for task, block in session["tasks"].items():
                metric = block.get("headline", "bps_pooled")
                value, interval = block.get(metric), block.get(f"{metric}_ci95")
                told = "not scored" if value is None else f"{value:.3f}"
                ends = (
                    "not known" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
                )
                cells = [cards.text(name), task.replace("_", " "), score_words(metric), told, ends]
                found.append(f"| {' | '.join(cells)} |")
        return found
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise InputError(
            "evaluation.json of the run is damaged; run `neurojax evaluate` again"
        ) from None


def _scores_of_blocks(evaluation: Mapping[str, Any], step: int) -> list[str]:
    """Every score with an interval, of evaluators without a protocol."""
    try:
        told = f"Scored at step {int(evaluation['step']):,}."
        if evaluation["step"] != step:
            told += f" The exported weights are those of step {step:,}: the scores are of others."
        found = [told, "", "| scores | score | value | 95 % interval |", "|---|---|---|---|"]
        for name, block in evaluation.items():
            for metric in block if isinstance(block, dict) else ():
                if f"{metric}_ci95" in block and block[metric] is not None:
                    low, high = block[f"{metric}_ci95"]
                    words = [cards.text(word.replace("_", " ")) for word in (name, metric)]
                    found.append(
                        f"| {words[0]} | {words[1]} | {block[metric]:.3f} | {low:.3f} to "
                        f"{high:.3f} |"
                    )
        return found
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            "evaluation.json of the run is damaged; run `neurojax evaluate` again"
        ) from None
