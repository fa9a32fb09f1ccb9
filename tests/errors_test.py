"""What ends a command with a line and an exit code, and what is a defect."""

import pytest

from neurojax.errors import InputError, Interrupted, report


def from_interrupt(error):
    error.__cause__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize(
    "error, code, line",
    [
        (InputError("two\n lines"), 2, "neurojax: two lines"),
        (InputError("a \x1b[31mred\x9b label \ud800"), 2, r"neurojax: a \x1b[31mred\x9b label \ud800"),
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


def test_a_message_is_one_line_wherever_it_is_read():
    assert str(InputError("a  b\n\n  c\r\x85d\u2028e")) == "a  b c d e"
    long = str(InputError("begin " + "x" * 10**6 + " do this"))
    assert len(long) < 2100 and long.startswith("begin") and long.endswith("do this")
