"""The fields that a card of recordings must have, from meta.json and from a file that people write.

    ROOT/card.json   {"contact": "lab@example.org", "permitted_use": "research", ...}

fills fields that no recording says of itself; it wins over what meta.json says. CARD.md shows every
field, and a missing one as missing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.data.store import cards, licences
from neurojax.errors import require
from neurojax.files import read_json

NAME = "card.json"
MAX_BYTES, MAX_TEXT = 1 << 20, 500
FIELDS = {
    "source": "where the recordings come from",
    "licence": "of the recordings",
    "consent": "what people agreed to, or the permit of the experiments",
    "species": "of the subjects",
    "people": "how many subjects, and who they are",
    "sites": "laboratories, hospitals, devices",
    "hours": "of recording",
    "exclusions": "who and what was left out, and why",
    "permitted_use": "what the recordings may be used for",
    "contact": "whom to ask, and who takes recordings down",
}
NEEDED = ("source", "licence", "species")
NEEDED_OF_PEOPLE = (*NEEDED, "consent", "permitted_use", "contact")


def read_stated(root: Path) -> dict[str, str]:
    """card.json of a dataset, {} without one.

    Raises:
        InputError: a field that is none, or that is no text.
    """
    path = Path(root) / NAME
    if not path.is_file():
        return {}
    content = read_json(path, MAX_BYTES)
    for name, text in content.items():
        require(
            name in FIELDS,
            f"{path} has {str(name)[:40]!r}; expected some of {', '.join(FIELDS)}",
        )
        require(
            isinstance(text, str) and 0 < len(text.strip()) <= MAX_TEXT,
            f"{path}: {name} is {str(text)[:40]!r}, expected text of up to {MAX_TEXT} letters",
        )
    return dict(content)


def fields_of(
    metas: Sequence[Mapping[str, Any]], stated: Mapping[str, str] | None = None
) -> dict[str, str | None]:
    """Every field of a card, None where nobody says it.

    Args:
        metas: meta.json of each recording, or entries of a roster, which know less.
        stated: see `read_stated`.
    """
    seconds = [
        meta["num_bins"] * meta["bin_size_s"]
        for meta in metas
        if isinstance(meta.get("num_bins"), int) and isinstance(meta.get("bin_size_s"), float)
    ]
    subjects = {str(meta["subject_id"]) for meta in metas if meta.get("subject_id")}
    left_out = {
        str(name)
        for meta in metas
        for key in ("units_dropped", "trials_dropped", "spikes_dropped")
        for name in (meta.get(key) if isinstance(meta.get(key), Mapping) else {})
    }
    known = {
        "source": _each(metas, cards.source_words),
        "licence": _each(metas, lambda meta: meta.get("licence")),
        "consent": _each(metas, lambda meta: meta.get("consent")),
        "species": _each(metas, lambda meta: meta.get("species")),
        "people": f"{len(subjects)} subjects" if subjects else None,
        "sites": _each(metas, _site),
        "hours": f"{sum(seconds) / 3600:.2f}" if len(seconds) == len(metas) else None,
        "exclusions": ", ".join(sorted(left_out))[:MAX_TEXT] or None,
        "permitted_use": None,
        "contact": None,
    }
    return known | dict(stated or {})


def missing(fields: Mapping[str, str | None], of_people: bool) -> list[str]:
    """Fields that a card must have and this one lacks; of people more of them."""
    needed = NEEDED_OF_PEOPLE if of_people else NEEDED
    return [name for name in needed if not licences.is_stated(fields.get(name))]


def lines(fields: Mapping[str, str | None], of_people: bool) -> list[str]:
    """A table for a card, and what is missing in it."""
    rows = [
        f"| {name.replace('_', ' ')} ({words}) | {cards.text(fields.get(name)) or 'missing'} |"
        for name, words in FIELDS.items()
    ]
    lacks = ", ".join(name.replace("_", " ") for name in missing(fields, of_people))
    told = [f"**Missing: {lacks}**; say it in `{NAME}` beside the recordings.", ""] if lacks else []
    return [*told, "| | |", "|---|---|", *rows]


def _each(metas: Sequence[Mapping[str, Any]], told) -> str | None:
    """Different answers of the recordings, with how many lack one."""
    answers = [str(told(meta)) if licences.is_stated(told(meta)) else "" for meta in metas]
    different = sorted(set(answers) - {""})
    lacking = answers.count("")
    more = f"; not stated by {lacking} recordings" if lacking and different else ""
    return ("; ".join(different)[:MAX_TEXT] + more) or None


def _site(meta: Mapping[str, Any]) -> str | None:
    inner = meta.get("recorded_by")
    both = {**(inner if isinstance(inner, Mapping) else {}), **meta}
    found = [str(both[key]) for key in ("site", "lab", "institution", "device") if both.get(key)]
    return ", ".join(found) or None
