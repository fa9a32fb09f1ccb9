"""Modules of a folder below experiments/, which is no package."""

import contextlib
import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


@contextlib.contextmanager
def imported(experiment: str, names: Sequence[str], besides: Sequence[str]) -> Iterator[SimpleNamespace]:
    """Modules by name; the paths that they add are taken away again.

    Args:
        experiment: name of the folder.
        names: of its modules.
        besides: modules of other folders that these import.
    """
    before = list(sys.path)
    sys.path.insert(0, str(EXPERIMENTS / experiment))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path[:] = before
        for name in (*names, *besides):
            sys.modules.pop(name, None)
