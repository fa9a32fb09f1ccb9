"""How the command line reads its options: names, numbers, pairs, paths."""

import argparse
from pathlib import Path
from typing import Any

from neurojax.errors import InputError
from neurojax.files import require_text


def names(text: str) -> tuple[str, ...]:
    """NAME,NAME,..."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def numbers(text: str) -> tuple[float, ...]:
    """Numbers with commas between."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected numbers with commas between, such as -0.5,1.5"
        ) from None


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """NAME=VALUE,NAME=VALUE,..."""
    found = [part.partition("=") for part in text.split(",") if part]
    if wrong := [name for name, equals, _ in found if not equals or not name.strip()]:
        raise argparse.ArgumentTypeError(
            f"{wrong[0]!r}; expected NAME=VALUE, several with commas between"
        )
    return tuple((name.strip(), value) for name, _, value in found)


def seed(text: str) -> int:
    """A whole number that every generator takes as its seed."""
    try:
        found = int(text)
    except ValueError:
        found = -1
    if not 0 <= found < 2**32:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected a number from 0 to 2**32 - 1")
    return found


def option(*names: str, **facts: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """One option of a verb, as `add_argument` takes it."""
    return names, facts


def path(text: str) -> Path:
    """A path; text that no file system takes is refused."""
    try:
        require_text(text, "the path")
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Path(text)


def file(name: str, metavar: str, **facts: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """An option that is a path."""
    return option(name, type=path, metavar=metavar, **facts)
