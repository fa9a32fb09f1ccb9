"""Questions with several answers, some of them true: JSON lines, such as TruthfulQA's.

{"question": "...", "answers": ["...", "..."], "true": [0], "group": "...", "repeated": 4}

A line each; `group` and `repeated` (how often the false answer stands in the training text for
each time a true one does) may be left out.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from neurojax.data.readers import json_lines
from neurojax.errors import require

MAX_CHARACTERS = 100_000  # of a question and an answer together
MAX_ANSWERS = 100
EXPECTED = 'expected {"question": "...", "answers": ["...", "..."], "true": [0]}'


class Question(NamedTuple):
    """Attributes:
    question: read in front of every answer, not scored; may be "".
    answers: two or more.
    true: bool of each.
    group: such as a topic; "" where none is named.
    repeated: how often the false answer was told for each time a true one was; None unknown.
    """

    question: str
    answers: tuple[str, ...]
    true: tuple[bool, ...]
    group: str = ""
    repeated: float | None = None


class Questions(NamedTuple):
    """Questions to be asked of a trained model, in the place of a `Dataset` of recordings.

    Attributes:
        questions: in the order of the file.
        fingerprint: hex digest of the file.
    """

    questions: tuple[Question, ...]
    fingerprint: str

    @property
    def sessions(self) -> tuple:
        """No recordings."""
        return ()

    @property
    def contents(self) -> str:
        """`40 questions`."""
        return f"{len(self.questions)} questions"


def recognises(path: Path) -> bool:
    """Whether the first line of a file is a question."""
    try:
        with Path(path).open("rb") as file:
            return '"question"' in file.readline(MAX_CHARACTERS).decode("utf-8", "replace")
    except OSError:
        return False


def read(path: Path | str) -> Questions:
    """Questions of a .jsonl file.

    Raises:
        InputError: no such file, too large, not UTF-8, a line that is no question, one without a
            true or without a false answer, or no question.
    """
    path = Path(path)
    text, digest = json_lines.read_utf8(path)
    found = [_question(entry, where) for where, entry in json_lines.entries(text, path)]
    require(found, f"{path} holds no question; expected one a line")
    return Questions(tuple(found), digest)


def _question(entry: Mapping[str, Any], where: str) -> Question:
    question, answers, true = (entry.get(name) for name in ("question", "answers", "true"))
    require(isinstance(question, str) and isinstance(answers, list), f"{where}; {EXPECTED}")
    require(
        2 <= len(answers) <= MAX_ANSWERS
        and all(isinstance(one, str) and one.strip() for one in answers)
        and len(set(answers)) == len(answers),
        f"{where} has not 2 to {MAX_ANSWERS} different answers; {EXPECTED}",
    )
    require(
        len(question) + max(map(len, answers)) <= MAX_CHARACTERS,
        f"{where} has more than {MAX_CHARACTERS:,} characters; shorten it",
    )
    places = [true] if type(true) is int else true
    require(
        isinstance(places, list)
        and all(type(place) is int and 0 <= place < len(answers) for place in places)
        and 0 < len(set(places)) < len(answers),
        f"{where} has true={str(true)[:40]}; expected places of some answers, counted from 0",
    )
    repeated = entry.get("repeated")
    require(
        repeated is None
        or (type(repeated) in (int, float) and math.isfinite(repeated) and repeated > 0),
        f"{where} has repeated={str(repeated)[:40]}; expected a number above 0, or none",
    )
    is_true = tuple(place in places for place in range(len(answers)))
    known = None if repeated is None else float(repeated)
    return Question(question, tuple(answers), is_true, str(entry.get("group") or ""), known)
