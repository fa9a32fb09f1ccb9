"""Finds the module that a config names: a source, model, objective or evaluator is a file."""

import importlib
import pkgutil
import re
from types import ModuleType

from neurojax.errors import InputError


def module_named(package: str, name: str, needs: tuple[str, ...]) -> ModuleType:
    """The module `neurojax.<package>.<name>`.

    Args:
        package: a package below neurojax, such as "models".
        name: of a file there, as a config spells it.
        needs: what a module must define to be chosen; other files there are none of them.

    Raises:
        InputError: there is no such module; the message lists those there are.
    """
    if isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_]*", name):
        found = _import(package, name)
        if found is not None and all(hasattr(found, entry) for entry in needs):
            return found
    raise InputError(f"{package} has no {name!r}; choose from {', '.join(names(package, needs))}")


def names(package: str, needs: tuple[str, ...]) -> list[str]:
    """Names of all modules of a package that define what is needed, sorted."""
    folders = importlib.import_module(f"neurojax.{package}").__path__
    listed = [entry.name for entry in pkgutil.iter_modules(folders)]
    return sorted(n for n in listed if all(hasattr(_import(package, n), entry) for entry in needs))


def _import(package: str, name: str) -> ModuleType | None:
    full = f"neurojax.{package}.{name}"
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as error:
        if error.name == full:
            return None
        raise
