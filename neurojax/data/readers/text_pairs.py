"""Pairs of texts, of which one is true: the CSV of BrainBench, or JSON lines of two texts and a
label.

CSV      columns original_abstract and incorrect_abstract; journal_section and doi where they are
JSONL    {"texts": ["...", "..."], "label": 0 or 1, "group": "..." (optional)} a line
A line without a label is a question: which of the two does a model expect? Two equal texts are a
tie, which is a wrong choice.
"""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from neurojax.data.readers import json_lines
from neurojax.errors import InputError, require

MAX_CHARACTERS = 1_000_000  # of one text
TRUE, FALSE, GROUP = "original_abstract", "incorrect_abstract", "journal_section"


class TextPair(NamedTuple):
    """Attributes:
    texts: two versions.
    label: place of the true one, 0 or 1; None where nobody knows.
    group: such as a subfield; "" where none is named.
    probability: that the best reader gives to the first version, of made-up pairs; else None.
    """

    texts: tuple[str, str]
    label: int | None
    group: str = ""
    probability: float | None = None


class Pairs(NamedTuple):
    """Pairs to be scored by a trained model, in the place of a `Dataset` of recordings.

    Attributes:
        pairs: in the order of the file.
        fingerprint: hex digest of the file.
    """

    pairs: tuple[TextPair, ...]
    fingerprint: str

    @property
    def sessions(self) -> tuple:
        """No recordings."""
        return ()

    @property
    def contents(self) -> str:
        """`100 pairs of texts`."""
        return f"{len(self.pairs)} pairs of texts"


def read(path: Path | str) -> Pairs:
    """Pairs of a .csv or .jsonl file.

    Raises:
        InputError: no such file, another kind, too large, not UTF-8, a missing column or one that
            stands twice, a row with more or fewer cells than columns, a label that is neither 0
            nor 1, a text that is empty or holds a zero byte, or no pair.
    """
    path = Path(path)
    require(
        path.suffix in (".csv", ".jsonl"),
        f"{path} is no .csv or .jsonl; expected pairs of texts in one of these",
    )
    text, digest = json_lines.read_utf8(path)
    found = _of_csv(text, path) if path.suffix == ".csv" else _of_lines(text, path)
    require(found, f"{path} holds no pair; expected one a row")
    for number, pair in enumerate(found):
        _check(pair, f"{path}, pair {number}")
    return Pairs(tuple(found), digest)


def _check(pair: TextPair, where: str) -> None:
    for text in pair.texts:
        require(
            0 < len(text.strip()) and len(text) <= MAX_CHARACTERS,
            f"{where} has a text of {len(text):,} characters; expected 1 to {MAX_CHARACTERS:,}",
        )
        require("\0" not in text, f"{where} has a zero byte; expected plain text")


def _of_csv(text: str, path: Path) -> list[TextPair]:
    """The true version stands first in every second row, so that no place is the right one."""
    # Abstracts hold line breaks and are longer than the module's usual limit for a field.
    before = csv.field_size_limit(MAX_CHARACTERS)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = list(reader)
    except csv.Error as error:
        raise InputError(f"{path} is no sound CSV ({error}); save it again") from None
    finally:
        csv.field_size_limit(before)
    names = list(reader.fieldnames or ())
    missing = sorted({TRUE, FALSE} - set(names))
    require(not missing, f"{path} has no column {missing[:1]}; expected {TRUE} and {FALSE}")
    twice = [name for name in (TRUE, FALSE, GROUP) if names.count(name) > 1]
    require(not twice, f"{path} names the column {twice[:1]} twice; rename one")
    found = []
    for number, row in enumerate(rows):
        # Cells in excess lie under None, those that lack are None: a comma is no separator, or the
        # file ends early, and texts may not be those of their columns. Editors leave empty ones.
        excess = row.pop(None, [])
        require(
            not any(excess) and all(isinstance(cell, str) for cell in row.values()),
            f"{path}, pair {number}: a row of more or fewer cells than the {len(names)} columns; "
            "quote texts with commas, or save the file again",
        )
        versions = (row[TRUE], row[FALSE])
        label = number % 2
        texts = versions if label == 0 else versions[::-1]
        found.append(TextPair(texts, label, row.get(GROUP, "")))
    return found


def _of_lines(text: str, path: Path) -> list[TextPair]:
    found = []
    for where, entry in json_lines.entries(text, path):
        texts = entry.get("texts")
        require(
            isinstance(texts, list) and len(texts) == 2 and all(isinstance(t, str) for t in texts),
            f'{where} has no two texts; expected {{"texts": ["...", "..."], "label": 0}}',
        )
        label = entry.get("label")
        require(
            label is None or (type(label) is int and label in (0, 1)),
            f"{where} has the label {str(label)[:40]!r}; expected 0 (the first is true), 1 or none",
        )
        found.append(TextPair((texts[0], texts[1]), label, str(entry.get("group") or "")))
    return found
