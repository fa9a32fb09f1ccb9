"""README.md of an exported model: what it was made of, how well it does, and what it is not for."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from neurojax import __version__
from neurojax.api import foundation
from neurojax.api.membership import lines as membership_lines
from neurojax.api.reidentification import lines as reidentification_lines
from neurojax.data.store import card_schema, cards, licences
from neurojax.errors import InputError, require
from neurojax.finetune import forget
from neurojax.finetune.weights import Weights
from neurojax.report import audit_block
from neurojax.report.score_groups import score_words

_USE = """## Intended use

Research on neural population activity: predicting hidden units, bins and regions of the sessions
above, and states of these sessions as features for analyses. A session that is not listed has no
rows in the model and needs fine-tuning: `model.adapt(session)`, or
`neurojax train --config=configs/finetune.py --config.init_from=FOLDER`.

## Misuse

- No clinical or other decision about a person or an animal rests on this model.
- Not to identify a subject, and not to infer of a person what the consent does not cover.
- Predicted rates are a model's expectation, not a measurement; they are no evidence of a connection
  between units.

## Known failures

- Other units, bin widths, or trials longer than those trained on are refused, not approximated.
- Recordings that drift, or are sorted or filtered in another way, score lower without a warning.
- Embeddings see every unit, so they carry the units' own noise; rates of a unit never see its own
  spikes.
"""


_USE_OF_SIGNALS = """## Intended use

Research on recordings of real values of the kind above: what the objective asks of a window; of
people or animals the model never saw where it has no rows for the channels of each session.

## Misuse

- No clinical or other decision about a person or an animal rests on this model.
- Not to identify a subject, and not to infer of a person what the consent does not cover.

## Known failures

- Other channels, sampling rates, or windows longer than those trained on are refused or
  meaningless.
- Electrodes that sit elsewhere, or signals filtered in another way, score lower without a warning.
"""

_USE_OF_TEXTS = """## Intended use

Research on texts of the kind above: how likely a text is, and which of two versions of it.

## Misuse

- What the model finds likely is no evidence that it is true.
- Not to infer of a person what the consent to their texts does not cover.

## Known failures

- Texts of other kinds, languages or tokens than those trained on are scored all the same.
- A statement that is often repeated is found likely, whether it is true or not.
"""

_WITHOUT_INTERVAL = ("nats_per_token", "perplexity")  # of texts
_TITLES = {
    "spikes": "# Model of neural population activity",
    "values": "# Model of recordings of real values",
    "texts": "# Language model",
}
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
        human = cards.is_human(entry)
        require(
            not human or licences.is_stated(entry.get("licence")),
            f"session {entry['session_id']} is of a human and states no licence: its model is not "
            "exported; convert the recording again with its licence, and train on that",
        )


def write(
    weights: Weights,
    evaluation: Mapping[str, Any] | None,
    weights_licence: str | None,
    membership: Mapping[str, Any] | None = None,
    identity: Mapping[str, Any] | None = None,
    *,
    audit: Mapping[str, Any] | None = None,
    forgotten: Mapping[str, Any] | None = None,
    data_card: Mapping[str, str | None] | None = None,
    stated: Mapping[str, str] | None = None,
) -> str:
    """Markdown of the card.

    Args:
        weights: with entries.
        evaluation: content of the run's evaluation.json; None when there is none, and the card says
            so.
        weights_licence: as the user states it.
        membership: see `api.membership.measure`; None when it was not measured.
        identity: see `api.reidentification.measure`; None when it was not measured.
        audit: content of the run's audit.json; None when there is none, and the card's first lines
            say so.
        stated: see `card_schema.read_stated_points`.
    """
    entries, of_spikes = weights.entries, weights.of_spikes()
    of_texts = weights.config["data"].get("source") == "text"
    kind = "texts" if of_texts else "spikes" if of_spikes else "values"
    read = {"spikes": "spike counts", "values": "real values", "texts": "texts"}[kind]
    columns = "units" if of_spikes else "channels"
    parameters = sum(
        array.size
        for name, array in weights.arrays.items()
        if name.startswith(("params/", "tables/"))
    )
    regions = Counter(label for entry in entries for label in entry["region"])
    lines = [
        _TITLES[kind],
        "",
        *audit_block.card_lines(audit, weights.step),
        "",
        *([*forget.lines(forgotten), ""] if forgotten else []),
        f"Weights of the model {_name(weights, 'model')} of "
        f"{read}, trained with the objective "
        f"{_name(weights, 'objective')}, exported by neurojax {__version__} after "
        f"{weights.step:,} steps: {parameters:,} float32 values"
        f"{'' if of_texts else f', bins of {1000 * weights.bin_size_s:g} ms'}.",
        "",
        *(_SNIPPET if of_spikes else ()),
        "Licence of the weights: "
        f"{cards.text(weights_licence) or 'not stated; ask before sharing'}. Licences of the data "
        f"ask for {licences.asked_of_weights(entry.get('licence') for entry in entries)}.",
        "",
        *_data(weights, columns, data_card),
    ]
    if regions:
        lines += ["", "## Regions", "", f"| region | {columns} |", "|---|---|"]
    lines += [
        f"| {cards.text(label) or 'not stated'} | {number:,} |"
        for label, number in sorted(regions.items())
    ]
    if forgotten and evaluation is None:
        scores = ["Left out: earlier scores were of the subject that was removed, too."]
    else:
        scores = _scores(evaluation, weights.step)
    lines += ["", "## Scores", "", *scores]
    use = {"spikes": _USE, "values": _USE_OF_SIGNALS, "texts": _USE_OF_TEXTS}[kind]
    lines += ["", "## Membership", "", *membership_lines(membership)]
    lines += ["", "## Re-identification", "", *reidentification_lines(identity)]
    points = foundation.points(weights, evaluation, stated)
    level = foundation.openness(weights, weights_licence, stated)
    lines += ["", "## Is it a foundation model?", "", *foundation.lines(points, level)]
    return "\n".join([*lines, "", use])


def _data(weights: Weights, columns: str, data_card: Mapping[str, str | None] | None) -> list[str]:
    """What the weights were trained on: a row a recording, and what a card of data must say."""
    entries = weights.entries
    units = sum(entry["num_units"] for entry in entries)
    if not entries:  # a corpus is no list of recordings
        told = f"No recording. Fingerprint: `{cards.text(weights.dataset_fingerprint)}`"
        return ["## Data", "", told]
    lines = [
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
        subject, species, licence = (
            cards.text(entry.get(name)) or "not stated"
            for name in ("subject_id", "species", "licence")
        )
        trials = ", ".join(f"{number:,}" for number in entry["num_trials"].values())
        cells = [cards.text(entry["session_id"]), subject, species, f"{entry['num_units']:,}"]
        lines.append(f"| {' | '.join([*cells, trials, licence, cards.source(entry)])} |")
    fields = data_card or card_schema.fields_of(entries)
    of_people = any(map(cards.is_human, entries))
    return [*lines, "", "## Card of the data", "", *card_schema.lines(fields, of_people)]


def _name(weights: Weights, block: str) -> str:
    """Name of the module that a block of the config chose, as a card may show it."""
    return cards.text(weights.config[block].get("name")) or "not stated"


def _scores(evaluation: Mapping[str, Any] | None, step: int) -> list[str]:
    """Scores with their intervals; raises InputError for a damaged evaluation."""
    if evaluation is None:
        return ["Not scored: the run had no evaluation.json."]
    try:
        when = f"cored at step {int(evaluation['step']):,}"
        if "protocol_hash" in evaluation:  # of spikes; texts have a protocol without one
            name, digest = (cards.text(evaluation[n]) for n in ("protocol", "protocol_hash"))
            how = "95 % intervals by bootstrap over test trials"
            told = f"Protocol {name}, hash `{digest}`; s{when}; {how}."
            head, rows = "session | task", _rows_of_tasks(evaluation["sessions"])
        else:
            told, head, rows = f"S{when}.", "scores", _rows_of_blocks(evaluation)
        if evaluation["step"] != step:
            told += f" The exported weights are those of step {step:,}: the scores are of others."
        lines = [f"| {' | '.join(cells)} |" for cells in rows]
        columns = head.count("|") + 4
        return [
            told,
            "",
            f"| {head} | score | value | 95 % interval |",
            "|---" * columns + "|",
            *lines,
        ]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise InputError(
            "evaluation.json of the run is damaged; run `neurojax evaluate` again"
        ) from None


def _rows_of_tasks(sessions: Mapping[str, Any]) -> Iterator[list[str]]:
    """Per session and task the headline score with its interval."""
    for name, session in sessions.items():
        for task, block in session["tasks"].items():
            metric = block.get("headline", "bps_pooled")
            value, ends = block.get(metric), block.get(f"{metric}_ci95")
            told = "not scored" if value is None else f"{value:.3f}"
            interval = "not known" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"
            yield [cards.text(name), task.replace("_", " "), score_words(metric), told, interval]


def _rows_of_blocks(evaluation: Mapping[str, Any]) -> Iterator[list[str]]:
    """Every score with an interval, of evaluators without sessions of their own."""
    for name, block in evaluation.items():
        for metric in block if isinstance(block, dict) else ():
            told = f"{metric}_ci95" in block or metric in _WITHOUT_INTERVAL
            if told and block[metric] is not None:
                ends = block.get(f"{metric}_ci95")  # None of one person alone
                interval = "not known" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"
                words = [cards.text(word.replace("_", " ")) for word in (name, metric)]
                yield [*words, f"{block[metric]:.3f}", interval]
