"""How a session says it was made up, checked: a folder from elsewhere may say anything."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple

from neurojax.data.session import Session
from neurojax.errors import InputError


class Recipe(NamedTuple):
    """What a generator makes a session of.

    Attributes:
        spec: what it is like, a dataclass of the generator.
        seed: of the whole set.
        number: which person or session of the set.
    """

    spec: Any
    seed: int
    number: int


def recipe_of(session: Session, generator: str, kind: type, number: str) -> Recipe | None:
    """The recipe in `info`; None of a session that was not made so, or does not soundly say how.

    Args:
        generator: its name in `info["source"]["generator"]`, under which `info` has the spec.
        kind: dataclass of the spec.
        number: "person" or "session", in `info["source"]`.
    """
    origin = session.info.get("source")
    if not (isinstance(origin, Mapping) and origin.get("generator") == generator):
        return None
    spec = spec_told(session.info.get(generator), kind)
    numbers = (origin.get("seed"), origin.get(number))
    return Recipe(spec, *numbers) if spec is not None and all(map(is_count, numbers)) else None


def spec_told(told: Any, kind: type) -> Any:
    """A `kind`, a dataclass, from its entries as JSON has them; None where one is missing, unknown,
    of another type, or refused by `kind`."""
    fields = {field.name: field.type for field in dataclasses.fields(kind)}
    if not (isinstance(told, Mapping) and told.keys() == fields.keys()):
        return None
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}
    if not all(_is_of(value, fields[name]) for name, value in plain.items()):
        return None
    try:
        return kind(**plain)
    except InputError:
        return None


def is_count(value: Any) -> bool:
    """Whether it is a whole number that a random generator takes."""
    return type(value) is int and 0 <= value < 2**63


def _is_of(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        members = typing.get_args(kind)
        number = None if ... in members else len(members)
        return (
            isinstance(value, tuple)
            and number in (None, len(value))
            and all(_is_of(one, members[0]) for one in value)
        )
    if type(value) is int:
        return kind in (int, float) and abs(value) < 2**63
    return type(value) is kind and (kind is not float or math.isfinite(value))
