"""CARD.md of a session and of a dataset: meta.json for people; not part of any hash."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from neurojax.data.store.observed_share import observed_words

CARD_NAME = "CARD.md"
_MAX_TEXT = 500
_PROVENANCE = (
    ("subject_id", "Subject"),
    ("species", "Species"),
    ("date", "Date"),
    ("licence", "Licence"),
    ("revision", "Revision"),
    ("consent", "Consent"),
)
_HUMAN = frozenset({"human", "humans", "h. sapiens", "h sapiens", "person", "patient"})
# the last two of NWB's addresses
_HUMAN_WITHIN = ("homo sapiens", "ncbitaxon 9606", "ncbitaxon:9606")
_CITE = "unknown: ask the people who recorded the data, and write it into `citation`"


def is_human(meta: Mapping[str, Any]) -> bool:
    """Whether the recording says that its subject is a person."""
    species = " ".join(str(meta.get("species") or "").lower().replace("_", " ").split())
    # Free text in the field: names that stand alone, and the two formal ones anywhere in it.
    return species in _HUMAN or any(name in species for name in _HUMAN_WITHIN)


def session_card(meta: Mapping[str, Any]) -> str:
    """CARD.md of a session: Markdown from its meta.json and nothing else."""
    human, read = is_human(meta), meta.get("source")
    unknown = "unknown; ask before sharing" if human else "not stated"
    hashes, seen = [], observed_words(meta.get("observed_time"))
    if isinstance(read, Mapping) and read.get("sha256"):
        options = text(read.get("spec_sha256"))
        hashes = [
            f"- recording: sha256 `{text(read['sha256'])}`",
            f"- read by {text(read.get('reader'))}, options sha256 `{options}`",
        ]
    lines = [
        f"# Session {text(meta['session_id'])}",
        "",
        f"Source: {source(meta)}",
        "",
        "| | |",
        "|---|---|",
        *(
            f"| {label} | {text(meta.get(key)) or unknown} |"
            for key, label in _PROVENANCE
            if key != "consent" or human or meta.get(key)
        ),
        f"| {'Channels' if _is_real(meta) else 'Units kept'} | {meta['num_units']} |",
        f"| Trials | {meta['num_trials']}, split {_split(meta)} |",
        f"| {_bins(meta)} |",
        *([f"| Observed | {text(seen)} |"] if seen else []),
        *_numbers(meta.get("units_dropped"), "Units left out"),
        *_numbers(meta.get("trials_dropped"), "Trials left out"),
        *_numbers(meta.get("spikes_dropped"), "Spikes left out"),
        *_numbers(meta.get("findings"), "Odd in the recording"),
        *("", "## How to cite", "", text(meta.get("citation")) or _CITE, "", "## Hashes", ""),
        *hashes,
        f"- content of this folder: sha256 `{meta['content_sha256']}`; of each array: meta.json",
    ]
    return "\n".join(lines) + "\n"


def dataset_card(metas: Sequence[Mapping[str, Any]], fingerprint: str) -> str:
    """CARD.md of a dataset: its sessions, and each licence, source of citation and species once."""
    # A meta.json from elsewhere may lack a number, or hold text in its place.
    units, trials = (
        sum(meta[key] for meta in metas if isinstance(meta.get(key), int))
        for key in ("num_units", "num_trials")
    )
    subjects = {text(meta.get("subject_id")) for meta in metas} - {""}
    people = [meta for meta in metas if is_human(meta)]
    citations = sorted({text(meta.get("citation")) for meta in metas} - {""})
    rows = []
    for meta in metas:
        name = text(meta["session_id"])
        cells = [f"[{name}]({name}/{CARD_NAME})", text(meta.get("subject_id")) or "not stated"]
        cells += [text(meta.get("num_units")), text(meta.get("num_trials")), _split(meta)]
        rows.append(f"| {' | '.join([*cells, text(meta.get('licence')) or 'not stated'])} |")
    lines = [
        "# Dataset",
        "",
        f"Sessions: {len(metas)}, subjects: {len(subjects) or 'not stated'}, {units}"
        f" {_columns(metas)}, {trials} trials, bins of {1000 * metas[0]['bin_size_s']:g} ms.",
        "",
        f"Fingerprint over the content of all sessions: `{fingerprint}`",
        "",
        f"- Species: {_each(metas, 'species')}",
        f"- Licence: {_each(metas, 'licence')}",
        *([f"- Consent: {_each(people, 'consent')}"] if people else []),
        *("", "## How to cite", ""),
        *([f"- {citation}" for citation in citations] or [_CITE]),
        *("", "## Sessions", ""),
        f"| session | subject | {_columns(metas)} | trials | split | licence |",
        "|---|---|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _is_real(meta: Mapping[str, Any]) -> bool:
    return meta.get("observation") == "real"


def _columns(metas: Sequence[Mapping[str, Any]]) -> str:
    """What the columns of the recordings are; a dataset holds one kind."""
    return "channels" if _is_real(metas[0]) else "units"


def _bins(meta: Mapping[str, Any]) -> str:
    """Two cells: how long the recording is, in bins of counts or in samples of real values."""
    if not _is_real(meta):
        return f"Bins | {meta['num_bins']} of {1000 * meta['bin_size_s']:g} ms"
    rate_hz, unit = text(meta.get("sampling_hz")), text(meta.get("unit"))
    return f"Samples | {meta['num_bins']} at {rate_hz} Hz, in {unit}"


def source(meta: Mapping[str, Any]) -> str:
    """Where a recording comes from, for Markdown."""
    return _escaped(source_words(meta) or "not stated")


def source_words(meta: Mapping[str, Any]) -> str | None:
    """Where a recording comes from, without digests; None where nothing says."""
    found = meta.get("source")
    if not isinstance(found, Mapping):
        return _line(found) or None
    hidden = ("sha256", "spec_sha256", "reader")
    told = [
        f"{_line(key)} {_line(value)}"
        for key, value in found.items()
        if key not in hidden and value
    ]
    return ", ".join(told) or None


def _split(meta: Mapping[str, Any]) -> str:
    rule = text(meta.get("split_source")) or "not stated"
    seed = meta.get("split_seed")
    return f"{rule}, seed {text(seed)}" if rule == "random" and seed is not None else rule


def _numbers(record: Any, label: str) -> list[str]:
    if not isinstance(record, Mapping) or not record:
        return []
    return [
        f"| {label} | "
        f"{'; '.join(f'{text(name)}: {text(number)}' for name, number in record.items())} |"
    ]


def _each(metas: Sequence[Mapping[str, Any]], key: str) -> str:
    """Different values of a field, with the number of sessions when there are several."""
    values = [text(meta.get(key)) or "unknown" for meta in metas]
    different = sorted(set(values))
    return ", ".join(
        f"{value} ({values.count(value)})" if len(different) > 1 else value for value in different
    )


def text(value: Any) -> str:
    """Text from a recording on one line, without what Markdown or a browser would act on."""
    return _escaped(_line(value))


def _line(value: Any) -> str:
    """As one line of printable text, "" for nothing; a list with commas."""
    if value is None or isinstance(value, Mapping) and not value:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(_line, value))[:_MAX_TEXT]
    return "".join(c if c.isprintable() else " " for c in " ".join(str(value).split()))[:_MAX_TEXT]


def _escaped(line: str) -> str:
    # The text is a stranger's: no link, tag, table cell or code of theirs may take effect.
    return re.sub(r"([\\`|<\[\]*])", r"\\\1", line)
