"""Ranges of options: a table beside each dataclass says what its fields may hold, one function
checks it.

    RANGES = {"width num_layers": at_least(1), "dropout": share("[0, 1)")}

What ties several fields together is a `require` of its own.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from neurojax.errors import require


class Range(NamedTuple):
    """Attributes:
    holds: whether a value is inside.
    expected: for the message, such as "expected at least 1".
    """

    holds: Callable[[Any], bool]
    expected: str


def check_ranges(values: Any, prefix: str, ranges: Mapping[str, Range]) -> None:
    """Raises InputError for the first field that is out of its range.

    Args:
        values: a dataclass of options.
        prefix: of a field's name in the message, such as "optimizer." or "--".
        ranges: names of fields, with blanks between, to their range.
    """
    for names, (holds, expected) in ranges.items():
        for name in names.split():
            found = getattr(values, name)
            require(holds(found), f"{prefix}{name}={found!r}; {expected}")


def at_least(least: int, expected: str = "") -> Range:
    """Whole numbers from `least` on; `expected` where 0 has a meaning of its own."""
    usual = f"expected at least {least}" if least else "expected 0 or more"
    return Range(lambda value: value >= least, expected or usual)


def from_to(least: int, most: int) -> Range:
    """Whole numbers from `least` to `most`."""
    return Range(lambda value: least <= value <= most, f"expected {least} to {most}")


def positive(what: str = "number") -> Range:
    """Finite numbers above 0."""
    return Range(lambda value: 0 < value < math.inf, f"expected a positive {what}")


def positive_or_off(what: str = "number") -> Range:
    """Finite numbers from 0 on, where 0 switches something off."""
    return Range(lambda value: 0 <= value < math.inf, f"expected 0 (off) or a positive {what}")


def share(interval: str) -> Range:
    """Numbers in "[0, 1]", "[0, 1)", "(0, 1]" or "(0, 1)"."""
    ends = [end for end, bracket in ((0, interval[0]), (1, interval[-1])) if bracket in "[]"]
    return Range(lambda value: 0 < value < 1 or value in ends, f"expected a share in {interval}")


def one_of(*words: str | None, expected: str = "") -> Range:
    """One of a few words; None where an option may be left out."""
    usual = f"choose from {', '.join(word for word in words if word is not None)}"
    return Range(lambda value: value in words, expected or usual)
