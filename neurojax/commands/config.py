"""`--config=FILE:ARG` and its overrides, through ml_collections; typos are errors.

A declaration is a Python file and is run: name only files you would run. config.json, which a run
leaves behind, is data; nothing in it is ever executed.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from neurojax.errors import InputError, require
from neurojax.runs import workdir


def load(arguments: Sequence[str]) -> dict[str, Any]:
    """Reads a declaration and applies overrides.

    Args:
        arguments: `--config=FILE:ARG` once, then any number of `--config.BLOCK.KEY=VALUE`.

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
        "--config=configs/mtm.py:size=tiny",
    )
    name, *argument = named[0].removeprefix("--config=").split(":", 1)
    config = _declared(Path(name), argument)
    for override in arguments:
        if override != named[0]:
            config = _override(config, override)
    plain = config.to_dict()
    workdir.require_blocks(plain, f"config {name}")
    return plain


def _declared(path: Path, argument: Sequence[str]) -> ConfigDict:
    """What get_config of a file returns for the text after the colon, if any."""
    require(
        path.is_file(),
        f"config {path} does not exist; configs are in the repository's configs/ folder",
    )
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


def _override(config: ConfigDict, argument: str) -> ConfigDict:
    """The config with one entry set by the text of `--config.BLOCK.KEY=VALUE`."""
    values, words = flags.FlagValues(), ["neurojax", argument]
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=words)
        values(words)
        return values["config"].value
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, SyntaxError) as error:
        raise InputError(
            f"{argument}: {_plain(error).removeprefix(f'flag {argument}: ')}"
        ) from None


def _plain(error: Exception) -> str:
    text = str(error.args[0] if error.args else error).replace("\\n", " ").replace("\\'", "'")
    return " ".join(text.split())[:300]
