"""Observed numbers beside those that an experiment's expected.json names.

expected.json is an object of name -> entry; an entry is
{"value": number, "tolerance": how far the observed number may be, "source": text,
"observed": where it stands (optional), "size": smoke, local or paper (optional)}.
A tolerance is a number (either side), "at least" or "at most" (the value is a bound), or a pair
[below, above] of which null is any distance.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from neurojax.errors import InputError, require

SIZES = ("smoke", "local", "paper")
_FIELDS = {"value", "tolerance", "source", "observed", "size"}
_SIDES = {"at least": (0.0, math.inf), "at most": (math.inf, 0.0)}
_ROUNDING = 1e-9  # a bound that is met on paper is met in binary


class Judged(NamedTuple):
    """One number: what was observed, what was expected in words, whether that is met."""

    name: str
    observed: float | None  # None: not measured
    wanted: str
    met: bool


def require_entries(content: Mapping[str, Any], path: str) -> None:
    """Raises InputError where the content of an expected.json is not what this module reads.

    Args:
        content: name -> entry, as parsed.
        path: of the file, for the message.
    """
    require(content, f"{path} names no number; expected NAME: {{value, tolerance, source}}")
    for name, entry in content.items():
        fault = f"{path}: {name!r}"
        require(isinstance(entry, dict), f"{fault} is no object; see experiments/README.md")
        unknown = sorted(set(entry) - _FIELDS)
        require(not unknown, f"{fault} has {unknown}; known are {', '.join(sorted(_FIELDS))}")
        require(_is_number(entry.get("value")), f"{fault} has no number as its value; give one")
        require(
            isinstance(entry.get("source"), str) and entry["source"].strip(),
            f"{fault} names no source; say where the value is from",
        )
        require(entry.get("size", "local") in SIZES, f"{fault}: size is one of {', '.join(SIZES)}")
        _distances(entry, fault)
        steps = entry.get("observed", ["file", "key"])
        require(
            isinstance(steps, list) and len(steps) >= 2 and all(map(_is_step, steps)),
            f"{fault}: observed is {steps!r}; expected a list: a file's name, then keys",
        )


def judge(name: str, observed: float | None, entry: Mapping[str, Any]) -> Judged:
    """Whether one observed number is as near to its entry as the tolerance asks.

    Args:
        name: of the number, with its unit.
        observed: None or a value that is not finite is not met.
        entry: of expected.json.
    """
    value = float(entry["value"])
    below, above = _distances(entry, repr(name))
    slack = _ROUNDING * max(1.0, abs(value))
    known = _is_number(observed)
    met = known and value - below - slack <= observed <= value + above + slack
    return Judged(name, float(observed) if known else None, _words(value, below, above), met)


def beside(observed: Mapping[str, Any], expected: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A table: name, observed number, expected one with its tolerance, whether it is met.

    Args:
        observed: name -> number, None where it was not measured; other names are left out.
        expected: content of expected.json.
    """
    return table([judge(name, observed.get(name), entry) for name, entry in expected.items()])


def table(judged: Sequence[Judged]) -> list[str]:
    """Lines of aligned columns: number, observed, expected, met or NOT met."""
    rows = [("number", "observed", "expected", "")]
    for one in judged:
        shown = "not measured" if one.observed is None else _shown(one.observed)
        rows.append((one.name, shown, one.wanted, "met" if one.met else "NOT met"))
    name, number, wanted = (max(len(row[column]) for row in rows) for column in range(3))
    return [
        f"{row[0]:{name}}  {row[1]:>{number}}  {row[2]:{wanted}}  {row[3]}".rstrip() for row in rows
    ]


def at(content: Any, steps: Sequence[str | int]) -> Any:
    """What stands in nested JSON under keys and positions, one after another.

    Raises:
        InputError: a key or a position is not there; the message names it.
    """
    for place, step in enumerate(steps):
        try:
            content = content[step]
        except (KeyError, IndexError, TypeError):
            walked = "/".join(map(str, steps[: place + 1]))
            raise InputError(f"there is no {walked}; run the experiment again") from None
    return content


def _distances(entry: Mapping[str, Any], fault: str) -> tuple[float, float]:
    """How far below and above its value a number may be."""
    given = entry.get("tolerance")
    if isinstance(given, str) and given in _SIDES:
        return _SIDES[given]
    pair = given if isinstance(given, list) else [given, given]
    sound = len(pair) == 2 and all(one is None or (_is_number(one) and one >= 0) for one in pair)
    require(
        sound and given is not None,
        f'{fault}: tolerance is {given!r}; expected a number, "at least", "at most" or a pair '
        "[below, above]",
    )
    below, above = (math.inf if one is None else float(one) for one in pair)
    return below, above


def _words(value: float, below: float, above: float) -> str:
    """`at least 0.8`, `0.8 +- 0.1`, `0.8 -0.1 +0.2`."""
    if math.isinf(below) and math.isinf(above):
        return f"{_shown(value)}, for information"
    if math.isinf(above):
        return f"at least {_shown(value - below)}" + (f" ({_shown(value)})" if below else "")
    if math.isinf(below):
        return f"at most {_shown(value + above)}" + (f" ({_shown(value)})" if above else "")
    if below == above:
        return _shown(value) if not below else f"{_shown(value)} +- {_shown(below)}"
    return f"{_shown(value)} -{_shown(below)} +{_shown(above)}"


def _shown(value: float) -> str:
    """Four digits, thousands with commas: 0.8123, 42,300,000."""
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_step(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)
