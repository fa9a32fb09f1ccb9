"""Which column of a table of units names their regions."""

from collections.abc import Mapping, Sequence

import numpy as np

from neurojax.data.session import names_a_region

# names that other packages give it, the likeliest first
REGION_COLUMNS = ("region", "brain_region", "brain_area", "location", "area", "acronym")


def telling_column(
    columns: Mapping[str, np.ndarray], names: Sequence[str] = REGION_COLUMNS
) -> str | None:
    """The first of the names whose column of text [n] names a region somewhere; None without
    one."""
    for name in names:
        column = columns.get(name)
        if column is not None and column.dtype.kind == "U":
            if any(map(names_a_region, column.tolist())):
                return name
    return None
