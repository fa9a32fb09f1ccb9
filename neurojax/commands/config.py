"""`--config=FILE:ARG` and its overrides, through ml_collections; typos are errors.

A declaration is a Python file and is run: name only files you would run. config.json, which a run
leaves behind, is data; nothing in it is ever executed.
"""

import difflib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from neurojax.commands import declarations
from neurojax.errors import InputError, require
from neurojax.runs import workdir


def load(arguments: Sequence[str]) -> dict[str, Any]:
    """Reads a declaration and applies overrides.

    Args:
        arguments: `--config=FILE:ARG` once, then any number of `--config.BLOCK.KEY=VALUE`. FILE is
            a path, or else the name of a declaration that comes with neurojax: `mtm`.

    Returns:
        a plain nested dict.

    Raises:
        InputError: no declaration, a file that is not one, an unknown key or a value of the wrong
            type.
    """
    named = [argument for argument in arguments if argument.startswith("--config=")]
    require(
        len(named) == 1,
        f"{len(named)} declarations given with --config=FILE, expected one; try "
        "--config=mtm:size=tiny",
    )
    name, *argument = named[0].removeprefix("--config=").split(":", 1)
    config = _declared(_file_of(name), argument)
    for override in arguments:
        if override != named[0]:
            config = _override(config, override)
    plain = config.to_dict()
    workdir.require_blocks(plain, f"config {name}")
    return plain


def _file_of(name: str) -> Path:
    """The file of a path, or of a name in configs/; a path that is there wins."""
    path = Path(name)
    if path.is_file():
        return path
    try:
        known = {one.stem: one for one in sorted(declarations.folder("configs").glob("*.py"))}
    except InputError:
        known = {}
    stem = path.name.removesuffix(".py")
    if path.name == name and stem in known:
        return known[stem]
    there = f", or one of those that come with neurojax: {', '.join(known)}" if known else ""
    meant = f"; did you mean --config={stem}?" if stem in known else ""
    raise InputError(f"config {name} does not exist; name a file{there}{meant}")


def _declared(path: Path, argument: Sequence[str]) -> ConfigDict:
    """What get_config of a file returns for the text after the colon, if any."""
    spec = importlib.util.spec_from_file_location("declaration", path)
    require(
        spec is not None,
        f"config {path} is not a Python file; it must end in .py and define get_config",
    )
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        config = module.get_config(*argument)
    except Exception as error:  # whatever a user's file raises is about that file
        raise InputError(f"config {path}: {type(error).__name__}: {_plain(error)}") from None
    require(
        isinstance(config, ConfigDict),
        f"config {path}: get_config returned {type(config).__name__}, expected a ConfigDict",
    )
    return config


def path_of(name: str, arguments: Sequence[str]) -> str:
    """Where a declaration has an entry: `train.num_steps` of `num_steps`; "" where it has none.

    Args:
        name: of an entry, with or without its block.
        arguments: as `load` takes them; without a declaration that can be read, blocks alone are
            known.
    """
    try:
        config = load([argument for argument in arguments if argument.startswith("--config=")])
    except InputError:
        return name if name.split(".")[0] in workdir.BLOCKS else ""
    block, _, key = name.partition(".")
    if block in config and (not key or key in config[block]):
        return name
    blocks = [block for block, values in config.items() if isinstance(values, dict)]
    return next((f"{block}.{name}" for block in blocks if name in config[block]), "")


def _require_known(config: ConfigDict, argument: str) -> None:
    """Refuses an override of an entry that the declaration does not have, with the one that is
    near."""
    path = argument.partition("=")[0].removeprefix("--config.")
    node, walked = config, ""
    for part in path.split("."):
        if not isinstance(node, ConfigDict) or "[" in part:
            return  # a place in a list: for ml_collections to judge
        close = difflib.get_close_matches(part, sorted(node), 1)
        meant = f"did you mean {walked}{close[0]}?" if close else f"there are {', '.join(node)}"
        require(part in node, f"{argument}: the config has no {walked}{part}; {meant}")
        node, walked = node[part], f"{walked}{part}."


def _override(config: ConfigDict, argument: str) -> ConfigDict:
    """The config with one entry set by the text of `--config.BLOCK.KEY=VALUE`."""
    _require_known(config, argument)
    values, words = flags.FlagValues(), ["neurojax", argument]
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=words)
        values(words)
        return values["config"].value
    except (flags.Error, AttributeError, LookupError, TypeError, ValueError, SyntaxError) as error:
        raise InputError(
            f"{argument}: {_plain(error).removeprefix(f'flag {argument}: ')}"
        ) from None


def _plain(error: Exception) -> str:
    text = str(error.args[0] if error.args else error).replace("\\n", " ").replace("\\'", "'")
    return " ".join(text.split())[:300]
