"""`neurojax check-experiment ID`: observed numbers beside those that expected.json names."""

import difflib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from neurojax.commands import declarations
from neurojax.errors import InputError, require
from neurojax.files import read_json
from neurojax.report import expected


def check_experiment(
    experiment: str | None = None,
    *,
    every: bool = False,
    size: str = "local",
    results: str | Path | None = None,
) -> None:
    """Prints observed beside expected, number by number.

    Args:
        experiment: a folder's name below experiments/, or the path of such a folder.
        every: all experiments that have an expected.json; no name then.
        size: "smoke", "local" or "paper": entries of that size, results_<size>.json (local:
            results.json, or the lines of results.jsonl).
        results: file to read instead, of one experiment; or a folder, such as a workdir, that holds
            the files which the entries name.

    Raises:
        InputError: no such experiment, no results (the message names the command that makes
            them), a malformed file, or a number outside its tolerance.
    """
    require(size in expected.SIZES, f"--size={size}; expected {', '.join(expected.SIZES)}")
    require(
        (experiment is None) == every and not (every and results),
        "expected the name of one experiment, or --all without a name and without --results; "
        f"there are {', '.join(_names())}",
    )
    if experiment is not None:
        missed = _checked(_folder(experiment), size, None if results is None else Path(results))
        require(
            not missed,
            f"{experiment}: {len(missed)} of its numbers are outside their tolerance or not "
            f"measured: {', '.join(missed)}; its README says what is known of them",
        )
        return
    failed = [name for name in _names() if not _is_met(name, size)]
    require(
        not failed,
        f"not as expected, or without results: {', '.join(failed)}; see the lines above",
    )


def _is_met(name: str, size: str) -> bool:
    """Whether all numbers of one of several experiments are met; says why not."""
    try:
        return not _checked(_folder(name), size, None)
    except InputError as error:
        print(error)
        return False
    finally:
        print()


def _checked(folder: Path, size: str, results: Path | None) -> list[str]:
    """Prints the table of one experiment; names of the numbers that are not met."""
    path = folder / "expected.json"
    entries = read_json(path)
    expected.require_entries(entries, str(path))
    entries = {name: one for name, one in entries.items() if one.get("size", "local") == size}
    if not entries:
        print(f"{folder.name}: expected.json names no number of --size={size}")
        return []
    place = results if results is not None and results.is_dir() else None
    found = None if place else _read(results or _results_file(folder, size))
    print(f"{folder.name}{_origin(found)}")
    observed = _observed(folder, entries, found, place)
    judged = [expected.judge(name, observed[name], one) for name, one in entries.items()]
    print("\n".join(expected.table(judged)))
    missed = [one.name for one in judged if not one.met]
    for name in missed:
        print(f"{name}: expected of {entries[name]['source']}")
    return missed


def _observed(
    folder: Path, entries: dict[str, Any], results: Any, place: Path | None
) -> dict[str, Any]:
    """Name -> observed number: from a path into a file (of `place`, where one is given), or from
    `observed` of figure.py."""
    values = {}
    for name, entry in entries.items():
        if "observed" in entry:
            file, *steps = entry["observed"]
            path = _inside(folder, file) if place is None else _below(place, file, folder)
            content = results if place is None and file == "results.json" else _read(path)
            try:
                values[name] = expected.at(content, steps)
            except InputError as error:
                raise InputError(f"{path}: {error}") from None
    if len(values) < len(entries):
        require(
            place is None,
            f"{folder.name}: its figure.py reads one file; give that as --results, not a folder",
        )
        values |= _by_figure(folder, results, [name for name in entries if name not in values])
    return values


def _by_figure(folder: Path, results: Any, names: list[str]) -> dict[str, Any]:
    path = folder / "figure.py"
    require(
        path.is_file(),
        f"{folder / 'expected.json'}: {names[0]!r} does not say where the observed number is, and "
        "there is no figure.py; add `observed`",
    )
    try:
        found = dict(_loaded(path).observed(results))
    except InputError as refused:
        raise InputError(f"{folder.name}: {refused}") from None
    except Exception as error:  # whatever the experiment's own code raises is about its files
        raise InputError(
            f"{path}: observed(results) ended with {type(error).__name__}: {error}; "
            f"run `{_command(folder)}` again"
        ) from None
    missing = [name for name in names if name not in found]
    require(not missing, f"{path}: observed(results) has no {missing[:1]}; expected.json names it")
    return found


def _loaded(path: Path) -> ModuleType:
    """An experiment's figure.py as a module; its folder is importable while it loads."""
    spec = importlib.util.spec_from_file_location(f"figure_of_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    folder, before = str(path.parent.resolve()), set(sys.modules)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
        for name in set(sys.modules) - before:  # another experiment has a common.py, too
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
                del sys.modules[name]
    return module


def _results_file(folder: Path, size: str) -> Path:
    name = "results" if size == "local" else f"results_{size}"
    candidates = [folder / f"{name}.json", folder / f"{name}.jsonl"]
    found = [path for path in candidates if path.is_file()]
    command = _command(folder) + ("" if size == "local" else f" --size={size}")
    require(found, f"{folder.name}: {candidates[0]} is missing; `{command}` makes it")
    return found[0]


def _read(path: Path) -> Any:
    """The object of a JSON file, or the list of objects of a file with one a line."""
    if path.suffix != ".jsonl":
        return read_json(path)
    try:
        return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON lines ({error}); restore it") from None


def _inside(folder: Path, file: str) -> Path:
    require(
        Path(file).name == file and file not in ("", ".", ".."),
        f"{folder / 'expected.json'}: {file!r} is no file of this folder; name one beside it",
    )
    return folder / file


def _below(place: Path, file: str, folder: Path) -> Path:
    """A file of the folder that --results names, or of one inside it."""
    path = Path(file)
    require(
        not path.is_absolute() and ".." not in path.parts,
        f"{folder / 'expected.json'}: {file!r} leaves the folder of --results; name a file in it",
    )
    return place / path


def _origin(results: Any) -> str:
    """Commit, date and hardware, where the results name them."""
    if not isinstance(results, dict):
        return ""
    told = [results.get(name) for name in ("commit", "date", "hardware")]
    return "".join(f", {one}" for one in told if isinstance(one, str))


def _command(folder: Path) -> str:
    return f"python experiments/{folder.name}/run.py"


def _names() -> list[str]:
    """Experiments that have an expected.json, sorted."""
    return sorted(
        path.parent.name for path in declarations.folder("experiments").glob("*/expected.json")
    )


def _folder(experiment: str) -> Path:
    """The folder of a path, or of a name below experiments/."""
    if (Path(experiment) / "expected.json").is_file():
        return Path(experiment)
    name = Path(experiment).name
    folder = declarations.folder("experiments") / name
    if (folder / "expected.json").is_file() and name not in ("", ".", ".."):
        return folder
    require(
        not folder.is_dir() or not name,
        f"experiment {name} has no expected.json, so nothing can be checked; add one",
    )
    close = difflib.get_close_matches(name, _names(), 1)
    meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(_names())}"
    raise InputError(f"there is no experiment {experiment}; {meant}")
