"""Which dimensions of a signal are known in the same rows: these are fitted together."""

import numpy as np


def known_together(values: np.ndarray) -> list[tuple[np.ndarray | slice, np.ndarray]]:
    """Dimensions of [rows, dims] that are known (not NaN) in the same rows: [(dims, rows)], int64
    [n] and bool [rows]; all dimensions as one slice where there is one such set."""
    finite = np.isfinite(values)
    if not values.size or (finite == finite[:, :1]).all():
        return [(slice(None), finite.all(1))]
    packed = np.packbits(finite, axis=0).T
    _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    which = which.ravel()
    return [(np.flatnonzero(which == number), finite[:, at]) for number, at in enumerate(first)]
