"""Observed values beside those that an experiment's expected.json names."""

from collections.abc import Mapping
from typing import Any


def beside(observed: Mapping[str, float], expected: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line a value: name, observed, bound, whether it is met.

    Args:
        observed: name -> value, in the unit that its name says.
        expected: name -> {"value": bound, "tolerance": "at least" or "at most"}.
    """
    width = max(map(len, observed), default=0)
    lines = []
    for name, value in observed.items():
        bound, sense = expected[name]["value"], expected[name]["tolerance"]
        met = value >= bound if sense == "at least" else value <= bound
        lines.append(
            f"{name:{width}} {value:>14,.4g}   {sense} {bound:,}   {'met' if met else 'NOT met'}"
        )
    return lines
