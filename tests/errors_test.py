"""What ends a command with a line and an exit code, and what is a defect."""

import math
import types

import pytest

from neurojax.errors import InputError, Interrupted, report, require_fields


def from_interrupt(error):
    error.__cause__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize(
    "error, code, line",
    [
        (InputError("two\n lines"), 2, "neurojax: two lines"),
        (Interrupted("stopped"), 3, "neurojax: stopped"),
        (OSError(28, "No space left on device", "f"), 2, "No space left on device (f); make room"),
        (KeyboardInterrupt(), 130, "neurojax: interrupted"),
        (from_interrupt(ImportError("while initializing the extension")), 130, "neurojax: interrupted"),
        (BrokenPipeError(), 141, ""),
        (ImportError("no module"), None, ""),
        (from_interrupt(ValueError("raised on the way out")), None, ""),
        (OSError(2, "No such file or directory"), None, ""),
    ],
)
def test_each_error_has_its_code_and_at_most_one_line(error, code, line, capsys):
    assert report(error) == code
    told = capsys.readouterr().err
    assert line in told and told.count("\n") == (1 if line else 0)


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"steps": 0, "rate": -1.0}, "train.steps=0; expected at least 1"),  # the first of two
        ({"every": -5}, "train.every=-5; expected at least 1"),  # the second name of a rule
        ({"rate": math.nan}, "train.rate=nan; expected a positive number"),
    ],
)
def test_the_first_field_that_breaks_its_rule_is_named(changes, line):
    rules = (
        ("steps every", lambda number: number >= 1, "expected at least 1"),
        ("rate", lambda number: number > 0, "expected a positive number"),
    )
    sound = {"steps": 1, "every": 2, "rate": 0.5}
    require_fields(types.SimpleNamespace(**sound), "train.", rules)
    with pytest.raises(InputError) as caught:
        require_fields(types.SimpleNamespace(**(sound | changes)), "train.", rules)
    assert str(caught.value) == line
