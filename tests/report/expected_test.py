"""Bounds hold on the side they name, tolerances on both, and malformed entries are told in a line."""

import pytest

from neurojax.errors import InputError
from neurojax.report import expected


def entry(tolerance, value=2, **others):
    return {"value": value, "tolerance": tolerance, "source": "somebody", **others}


@pytest.mark.parametrize(
    "tolerance, value, met",
    [
        ("at least", 2.0, True),
        ("at least", 1.9, False),
        ("at least", 1e9, True),
        ("at most", 2.0, True),
        ("at most", 2.1, False),
        ("at most", -1e9, True),
        (0.1, 2.1, True),
        (0.1, 1.9, True),
        (0.1, 2.11, False),
        (0.1, 1.89, False),
        (0, 2, True),
        (0, 2.001, False),
        ([0.1, None], 1.9, True),
        ([0.1, None], 1.89, False),
        ([0.1, None], 50.0, True),
        ([None, 0.5], 2.6, False),
        ([None, 0.5], -2.6, True),
        ("at most", None, False),
        ("at most", float("nan"), False),
        ("at most", float("-inf"), False),
    ],
)
def test_a_number_is_met_on_the_sides_of_its_tolerance(tolerance, value, met):
    (_, line) = expected.beside({"ratio": value}, {"ratio": entry(tolerance)})
    assert line.endswith("  met") is met and line.startswith("ratio")
    assert line.endswith("NOT met") is not met


def test_a_number_on_the_edge_of_its_tolerance_is_met():
    assert 0.7 + 0.1 < 0.8  # in binary
    assert expected.judge("ratio", 0.8, entry(0.1, value=0.7)).met
    assert not expected.judge("ratio", 0.80001, entry(0.1, value=0.7)).met


@pytest.mark.parametrize(
    "tolerance, words",
    [
        ("at least", "at least 2"),
        ("at most", "at most 2"),
        (0.25, "2 +- 0.25"),
        (0, "2"),
        ([0.5, None], "at least 1.5 (2)"),
        ([None, 0.5], "at most 2.5 (2)"),
        ([0.5, 1], "2 -0.5 +1"),
    ],
)
def test_what_was_expected_is_said_in_words(tolerance, words):
    assert expected.judge("ratio", 2.0, entry(tolerance)).wanted == words


def test_a_table_keeps_the_order_of_what_was_expected_and_names_what_is_missing():
    lines = expected.beside({"b": 1, "other": 3}, {"a": entry(0), "b": entry("at most")})
    assert [line.split("  ")[0].strip() for line in lines] == ["number", "a", "b"]
    assert "not measured" in lines[1] and lines[1].endswith("NOT met")


@pytest.mark.parametrize(
    "content, fault",
    [
        ({}, "names no number"),
        ({"a": 3}, "no object"),
        ({"a": {**entry(0), "tolerence": 1}}, "tolerence"),
        ({"a": entry(0, value="2")}, "no number as its value"),
        ({"a": entry(0, value=True)}, "no number as its value"),
        ({"a": entry(0, value=float("inf"))}, "no number as its value"),
        ({"a": {"value": 1, "tolerance": 0}}, "names no source"),
        ({"a": entry(None)}, "tolerance is None"),
        ({"a": entry(-0.1)}, "tolerance is -0.1"),
        ({"a": entry("about")}, "tolerance is 'about'"),
        ({"a": entry([0.1])}, "tolerance is"),
        ({"a": entry(0, observed="results.json")}, "expected a list"),
        ({"a": entry(0, observed=["results.json"])}, "expected a list"),
        ({"a": entry(0, size="huge")}, "size is one of"),
    ],
)
def test_a_malformed_entry_is_one_line(content, fault):
    with pytest.raises(InputError, match="expected.json") as caught:
        expected.require_entries(content, "expected.json")
    assert fault in str(caught.value)


def test_a_path_walks_keys_and_positions_and_names_the_step_that_fails():
    assert expected.at({"a": [{"b": 5}]}, ["a", 0, "b"]) == 5
    with pytest.raises(InputError, match="there is no a/1"):
        expected.at({"a": [{"b": 5}]}, ["a", 1, "b"])
    with pytest.raises(InputError, match="there is no a/b"):
        expected.at({"a": 3}, ["a", "b"])
