"""A table of ranges names the first field outside of it; the ends of every range."""

import math
import types

import pytest

from neurojax.errors import InputError
from neurojax.ranges import at_least, check_ranges, from_to, one_of, positive, positive_or_off, share

BELOW_ONE, ABOVE_ZERO = math.nextafter(1, 0), math.nextafter(0, 1)


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"steps": 0, "rate": -1.0}, "train.steps=0; expected at least 1"),  # the first of two
        ({"every": -5}, "train.every=-5; expected at least 1"),  # the second name of a range
        ({"rate": math.nan}, "train.rate=nan; expected a positive number"),
        ({"kind": "b"}, "train.kind='b'; choose from a, c"),
    ],
)
def test_the_first_field_out_of_its_range_is_named(changes, line):
    ranges = {"steps every": at_least(1), "rate": positive(), "kind": one_of("a", "c", None)}
    sound = {"steps": 1, "every": 2, "rate": 0.5, "kind": None}
    check_ranges(types.SimpleNamespace(**sound), "train.", ranges)
    with pytest.raises(InputError) as caught:
        check_ranges(types.SimpleNamespace(**(sound | changes)), "train.", ranges)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    "range_, inside, outside",
    [
        (at_least(1), (1, 2), (0, -1)),
        (at_least(0), (0,), (-1,)),
        (from_to(2, 4), (2, 4), (1, 5)),
        (positive(), (ABOVE_ZERO, 1e300), (0, -1.0, math.inf, math.nan)),
        (positive_or_off(), (0, 1.0), (-ABOVE_ZERO, math.inf, math.nan)),
        (share("[0, 1]"), (0, 0.5, 1), (-ABOVE_ZERO, 1 + 1e-9, math.nan)),
        (share("[0, 1)"), (0.0, BELOW_ONE), (1, 1.0, -0.5, math.nan)),
        (share("(0, 1]"), (ABOVE_ZERO, 1.0), (0, 0.0, 1.5)),
        (share("(0, 1)"), (ABOVE_ZERO, BELOW_ONE), (0, 1)),
        (one_of("a", "c"), ("a", "c"), ("ac", "", None)),
    ],
    ids=lambda value: getattr(value, "expected", None),
)
def test_ends_of_a_range(range_, inside, outside):
    assert all(range_.holds(value) for value in inside) and not any(range_.holds(value) for value in outside)
