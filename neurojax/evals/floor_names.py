"""Which floors an evaluation is asked for: `eval.floors`, names with commas between."""

from collections.abc import Collection, Mapping
from typing import Any

from neurojax.errors import require


def chosen(settings: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """The names in `eval.floors`; none where it is empty.

    Args:
        settings: the `eval` block.
        known: floors that there are.

    Raises:
        InputError: no text, or a name that is not known.
    """
    listed = settings.get("floors")
    require(
        isinstance(listed, str),
        f"eval.floors={listed!r}; expected names with commas between, of {', '.join(known)}",
    )
    names = [name for name in listed.split(",") if name]
    for name in names:
        require(
            name in known,
            f"eval.floors names {name!r}; choose from {', '.join(known)}; write "
            "--config.eval.floors=a,b (no brackets)",
        )
    return names
