"""Pairs of texts from CSV and JSON lines; what cannot be scored is refused in one line."""

import json

import pytest

from neurojax.data.readers import text_pairs
from neurojax.errors import InputError

HEAD = "doi,journal_section,original_abstract,incorrect_abstract\n"


def test_the_place_of_the_true_text_alternates_in_a_csv(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(HEAD + 'x,Systems,"Up, we\nfound.",Down we found.\ny,Cells,True.,False.\n', encoding="utf-8-sig")
    found = text_pairs.read(path)
    first, second = found.pairs
    assert (first.texts, first.label, first.group) == (("Up, we\nfound.", "Down we found."), 0, "Systems")
    assert (second.texts, second.label) == (("False.", "True."), 1)
    assert found.sessions == () and found.contents == "2 pairs of texts"


def test_two_equal_texts_are_a_tie_and_empty_cells_at_the_end_are_none(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(HEAD + "x,Systems,same,same,,\n")
    assert text_pairs.read(path).pairs == (text_pairs.TextPair(("same", "same"), 0, "Systems"),)


def test_json_lines_with_and_without_a_label(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"texts": ["a", "b"], "label": 1, "group": "g"}\n\n{"texts": ["c", "d"]}\n')
    assert text_pairs.read(path).pairs == (
        text_pairs.TextPair(("a", "b"), 1, "g"),
        text_pairs.TextPair(("c", "d"), None, ""),
    )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.txt", b"", "no .csv or .jsonl"),
        ("p.csv", b"", "no column"),
        ("p.csv", b"original_abstract,other\na,b\n", "no column"),
        ("p.csv", HEAD.encode(), "no pair"),
        ("p.csv", HEAD.encode() + b"x,y,only\n", "more or fewer cells"),
        ("p.csv", HEAD.encode() + b"x,y,up, and down,b\n", "more or fewer cells"),
        ("p.csv", b"original_abstract,incorrect_abstract,doi\na,b,c\nd,e cut sho", "more or fewer cells"),
        ("p.csv", b"original_abstract,incorrect_abstract,incorrect_abstract\na,b,c\n", "twice"),
        ("p.csv", HEAD.encode() + b"x,y, ,b\n", "a text of"),
        ("p.csv", HEAD.encode() + b"x,y,a\0,b\n", "zero byte"),
        ("p.csv", HEAD.encode() + b'x,y,"open,b\n', "no sound CSV|more or fewer"),
        ("p.csv", b"\xff\xfe\x00", "not UTF-8"),
        ("p.jsonl", b"[[[[", "no JSON"),
        ("p.jsonl", b'{"texts": ["a"]}', "no two texts"),
        ("p.jsonl", b'{"texts": ["a", "b"], "label": true}', "label"),
        ("p.jsonl", b'{"texts": ["a", "b"], "label": 2}', "label"),
        ("p.jsonl", json.dumps({"texts": ["a" * 1_000_001, "b"]}).encode(), "a text of 1,000,001"),
    ],
)
def test_what_cannot_be_scored_is_refused(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        text_pairs.read(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="gone.csv cannot be read"):
        text_pairs.read(tmp_path / "gone.csv")


def test_a_line_ends_at_a_line_feed_and_nowhere_else_and_blank_ones_are_counted(tmp_path):
    """JSON may hold U+2028, which some take for the end of a line, within a string."""
    path = tmp_path / "pairs.jsonl"
    path.write_text('\n{"texts": ["a\u2028b", "c"], "label": 0}\n', encoding="utf-8")
    assert text_pairs.read(path).pairs[0].texts == ("a\u2028b", "c")
    path.write_text('\n\n{"texts": ["a"]}\n')
    with pytest.raises(InputError, match="line 3 has no two texts"):
        text_pairs.read(path)
