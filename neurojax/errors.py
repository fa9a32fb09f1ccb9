"""The errors that are not defects: bad input, and a stop that was asked for."""

import errno
import operator
import re
import sys
from typing import Any

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # what a disk may say to any write, at any moment

_BREAKS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_LONGEST = 2000  # characters of a message


class InputError(ValueError):
    """Bad input from outside: a file, an option, a recording.

    The message is one line that says what came in, what was expected and what to do; what came in
    is shown without its line breaks and not at length.
    The command line prints it and exits with code 2; any other exception is a defect (code 1).
    """

    def __init__(self, message: str = ""):
        line = _BREAKS.sub(" ", str(message))
        if len(line) > _LONGEST:  # the end says what to do
            half = _LONGEST // 2
            line = f"{line[:half]} ... {line[-half:]}"
        super().__init__(line)


class Interrupted(Exception):
    """A signal asked a run to stop; its state was saved. The command line exits with code 3."""


class Terminated(KeyboardInterrupt):
    """SIGTERM where no run was there to save its state."""


def require(holds: Any, otherwise: str) -> None:
    """Raises InputError with the line `otherwise` unless something `holds`."""
    if not holds:
        raise InputError(otherwise)


def whole_number(value: Any, name: str, least: int, expected: str = "a whole number") -> int:
    """An integer of any library as an int; a truth value or a fraction is none.

    Args:
        value: what came in.
        name: of the argument, for the message.
        least: smallest that is taken.
        expected: what it should be, for the message.

    Raises:
        InputError: no integer, or one under `least`.
    """
    try:
        found = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        found = None
    if found is None or found < least:
        raise InputError(f"{name}={value!r}; expected {expected}, at least {least}")
    return found


def printable(text: str) -> str:
    """A text on one line, with what a terminal would act on (control codes, halves of surrogate
    pairs) written out, as the four characters `\\x1b`."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def report(error: BaseException) -> int | None:
    """Prints the line of an error that is no defect and returns its exit code; None for a
    defect."""
    if isinstance(error, InputError):
        print(f"neurojax: {printable(str(error))}", file=sys.stderr)
        return 2
    if isinstance(error, Interrupted):
        print(f"neurojax: {printable(str(error))}", file=sys.stderr)
        return 3
    if isinstance(error, OSError) and error.errno in _DISK:
        place = f" ({printable(str(error.filename))})" if error.filename else ""
        remedy = "make it writable" if error.errno == errno.EROFS else "make room"
        print(
            f"neurojax: the disk cannot be written: {error.strerror}{place}; {remedy} and repeat",
            file=sys.stderr,
        )
        return 2
    if _is_interrupt(error):
        by_term = isinstance(error, Terminated) or isinstance(error.__cause__, Terminated)
        print(f"neurojax: {'stopped by SIGTERM' if by_term else 'interrupted'}", file=sys.stderr)
        return 143 if by_term else 130
    return 141 if isinstance(error, BrokenPipeError) else None


def _is_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C is behind an error: a compiled module that was loading raises ImportError from
    it."""
    if isinstance(error, ImportError) and error.__cause__ is not None:
        error = error.__cause__
    return isinstance(error, KeyboardInterrupt)
