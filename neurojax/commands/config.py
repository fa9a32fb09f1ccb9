"""`--config=FILE:ARG` and its overrides, through ml_collections; typos are errors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from neurojax.errors import InputError


def load(arguments: Sequence[str]) -> dict[str, Any]:
    """Reads a declaration and applies overrides.

    Args:
        arguments: `--config=FILE:ARG` once, then any number of `--config.BLOCK.KEY=VALUE`.

    Returns:
        a plain nested dict.

    Raises:
        InputError: no declaration, a file that is not one, an unknown key or a value of the wrong type.
    """
    named = [argument for argument in arguments if argument.startswith("--config=")]
    if len(named) != 1:
        raise InputError(
            f"{len(named)} declarations given with --config=FILE, expected one; try --config=configs/mtm.py:size=tiny"
        )
    path = Path(named[0].removeprefix("--config=").split(":")[0])
    if not path.is_file():
        raise InputError(f"config {path} does not exist; configs are in the repository's configs/ folder")
    values = flags.FlagValues()
    words = ["neurojax", *arguments]
    config_flags.DEFINE_config_file("config", None, "declaration", flag_values=values, sys_argv=words)
    try:
        values(words)
        config = values["config"].value
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, SyntaxError, ImportError) as error:
        raise InputError(f"config {' '.join(arguments)}: {_plain(error)}") from None
    if not isinstance(config, ConfigDict):
        raise InputError(f"config {path}: get_config returned {type(config).__name__}, expected a ConfigDict")
    return config.to_dict()


def _plain(error: Exception) -> str:
    return " ".join(str(error.args[0] if error.args else error).split())[:400]
