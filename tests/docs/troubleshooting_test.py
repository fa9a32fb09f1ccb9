"""Every message that docs/troubleshooting.md quotes is one the package says."""

import ast
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = (CHECKOUT / "docs" / "troubleshooting.md").read_text()
MESSAGES = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)


def templates() -> list[re.Pattern]:
    """Sentences in the source of the package, with anything where a value goes."""
    found = []
    for path in sorted((CHECKOUT / "neurojax").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            fixed = [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]
            if sum(map(len, fixed)) >= 30:
                words = (re.escape(p.value) if isinstance(p, ast.Constant) else ".+?" for p in parts)
                found.append(re.compile("(?:.+?)?" + "".join(words)))
    return found


@pytest.fixture(scope="module")
def said():
    return templates()


def test_every_message_is_one_of_the_package(said):
    assert len(MESSAGES) >= 15
    strange = [message for message in MESSAGES if not any(one.fullmatch(message) for one in said)]
    assert strange == []


def test_a_message_nobody_says_is_found(said):
    made_up = "the flux capacitor of session day1 is not charged; charge it first"
    changed = MESSAGES[0].replace("milliseconds", "minutes")
    assert changed != MESSAGES[0]
    assert not any(one.fullmatch(words) for one in said for words in (made_up, changed))
