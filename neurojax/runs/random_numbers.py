"""How random numbers are made: kept in every manifest, so that a run never goes on with others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from neurojax.errors import require

# What decides which numbers a key gives, under the names of jax's settings.
SETTINGS = ("jax_default_prng_impl", "jax_threefry_partitionable")


def settings() -> dict[str, Any]:
    """The settings of this process that decide random numbers."""
    return {name: getattr(jax.config, name) for name in SETTINGS if hasattr(jax.config, name)}


def require_same(place: Path, manifest: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Raises InputError where a checkpoint was made with other random numbers than a run goes on
    with; older checkpoints do not say, and are taken.

    Args:
        place: of the checkpoint, for the message.
        manifest: of the checkpoint.
        record: what the run would write into its own.
    """
    before, now = (one.get("random_numbers") for one in (manifest, record))
    for name in SETTINGS if isinstance(before, dict) and isinstance(now, dict) else ():
        if name in before and name in now:
            require(
                before[name] == now[name],
                f"{place} was made with {name}={before[name]!s:.40}, now it is {now[name]}: masks "
                f"and dropout would be others; go on with {name.upper()}={before[name]!s:.40} in "
                "the environment, or use a new workdir",
            )
