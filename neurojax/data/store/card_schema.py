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
# of a model: the nine points of a foundation model, and how open it is, see api.foundation
POINTS = {
    "self_supervised": "trained without labels, on the distribution of the data",
    "fine_tuned": "then fine-tuned for a task",
    "data": "trained on large-scale data",
    "compute": "with large-scale compute",
    "parameters": "of many parameters",
    "architecture": "of a generic architecture",
    "scaling": "its score is predictable from data, compute and size",
    "emergent": "shows abilities that it was not trained for",
    "building_block": "its weights are a part of larger systems",
}
NOT_STATED = "not stated"
OPENNESS = ("closed", "open weights", "open source", NOT_STATED)
NEEDED = ("source", "licence", "species")
NEEDED_OF_PEOPLE = (*NEEDED, "consent", "permitted_use", "contact")


def read_stated(root: Path) -> dict[str, str]:
    """card.json of a dataset, {} without one.

    Raises:
        InputError: a field that is none, or that is no text.
    """
    return _read(root, tuple(FIELDS))


def read_stated_points(folder: Path) -> dict[str, str]:
    """card.json in the workdir of a run, {} without one: what people say of `POINTS` and of
    "openness" that no file tells; raises InputError as `read_stated`."""
    return _read(folder, (*POINTS, "openness"))


def _read(folder: Path, known: Sequence[str]) -> dict[str, str]:
    path = Path(folder) / NAME
    if not path.is_file():
        return {}
    content = read_json(path, MAX_BYTES)
    for name, text in content.items():
        require(
            name in known,
            f"{path} has {str(name)[:40]!r}; expected some of {', '.join(known)}",
        )
        require(
            isinstance(text, str) and 0 < len(text.strip()) <= MAX_TEXT,
            f"{path}: {name} is {str(text)[:40]!r}, expected text of up to {MAX_TEXT} letters",
        )
    return dict(content)


def require_points(points: Mapping[str, Any]) -> None:
    """Raises InputError unless every point of `POINTS`, and no other, says whether it holds and
    what is known of it."""
    wrong = sorted(POINTS.keys() ^ points.keys())
    require(
        not wrong,
        f"the checklist of a model lacks or does not know {', '.join(wrong)[:200]}; expected "
        f"{', '.join(POINTS)}",
    )
    for name, point in points.items():
        sound = isinstance(point, Mapping) and isinstance(point.get("told"), str)
        require(
            sound and point["told"].strip() and point.get("holds") in (True, False, None),
            f"point {name} of the checklist is {str(point)[:60]!r}; expected whether it holds "
            f'(true, false, null) and words, "{NOT_STATED}" where nothing is known',
        )


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
