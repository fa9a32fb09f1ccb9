"""Questions of unknown origin: what is read, and every other line refused in one."""

import pytest

from neurojax.data.readers import text_questions
from neurojax.errors import InputError

SOUND = '{"question": "Is it?", "answers": ["yes", "no"], "true": [1], "group": "x", "repeated": 2}'


def write(path, content):
    (path / "q.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    return path / "q.jsonl"


def test_questions_are_read(tmp_path):
    path = write(tmp_path, f'{SOUND}\n\n{{"question": "", "answers": ["a", "b", "c"], "true": 0}}\n')
    found = text_questions.read(path)
    assert text_questions.recognises(path) and found.contents == "2 questions" and found.sessions == ()
    assert found.questions[0] == ("Is it?", ("yes", "no"), (False, True), "x", 2.0)
    assert found.questions[1] == ("", ("a", "b", "c"), (True, False, False), "", None)
    assert not text_questions.recognises(tmp_path / "absent.jsonl")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "not UTF-8"),
        ("\n \n", "holds no question"),
        ("[" * 100_000, "line 1 is no JSON"),
        ("3", "expected {"),
        (SOUND.replace('["yes", "no"]', '["yes"]'), "different answers"),
        (SOUND.replace('["yes", "no"]', '["no", "no"]'), "different answers"),
        (SOUND.replace('["yes", "no"]', '["no", 3]'), "different answers"),
        (SOUND.replace("[1]", "[0, 1]"), r"has true=\[0, 1\]"),
        (SOUND.replace("[1]", "[]"), r"has true=\[\]"),
        (SOUND.replace("[1]", "[2]"), r"has true=\[2\]"),
        (SOUND.replace("[1]", "true"), "has true=True"),
        (SOUND.replace(": 2}", ": -1}"), "has repeated=-1"),
        (SOUND.replace(": 2}", ": NaN}"), "has repeated=nan"),
        (SOUND.replace("yes", "y" * 100_001), "more than 100,000 characters"),
    ],
)
def test_what_is_no_question_is_refused_in_a_line(content, words, tmp_path):
    with pytest.raises(InputError, match=words) as error:
        text_questions.read(write(tmp_path, content))
    assert "\n" not in str(error.value) and len(str(error.value)) < 400
