"""Packages that not every user has: imported when they are needed, missed in one sentence."""

import importlib
from typing import Any

from neurojax.errors import InputError


def needed(module: str, otherwise: str) -> Any:
    """Imports a module of an optional package; raises InputError(`otherwise`) without it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(otherwise) from None
