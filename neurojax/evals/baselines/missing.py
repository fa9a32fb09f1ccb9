"""Targets that were not always observed: each is fitted on the rows in which it was.

Units with the same rows share one matrix, so that the gap of a probe costs one more solve. Where
patterns are so many that a matrix for each would take too long (scattered gaps of many units), all
share the matrix of every row, and the products with a target are weighted up to what all rows would
have: right where a unit is missing by chance.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

MOST_WORK = 1e11  # multiplications for the matrices of all patterns and their inverses
MOST_NUMBERS = 2**26  # in these matrices, 512 MB

ALL = slice(None)


class System(NamedTuple):
    """The normal equations of targets that were observed in the same rows.

    Attributes:
        targets: int64 [m], rising; ALL where there is one system.
        gram: [p, p], X'X over these rows.
    """

    targets: np.ndarray | slice
    gram: np.ndarray

    def of(self, targets: np.ndarray) -> np.ndarray:
        """Those of some targets (rising) that are of this system."""
        return targets if self.targets is ALL else np.intersect1d(targets, self.targets)

    def places(self, targets: np.ndarray) -> np.ndarray:
        """Where targets of this system stand in it."""
        return targets if self.targets is ALL else np.searchsorted(self.targets, targets)


class Equations(NamedTuple):
    """What several targets are regressed on.

    Attributes:
        gram: [p, p], X'X over all rows.
        cross: [p, m], X'Y over the rows in which each target was observed.
        systems: a partition of the targets.
    """

    gram: np.ndarray
    cross: np.ndarray
    systems: tuple[System, ...]

    def solved(self, penalty: float, solve: Callable[..., np.ndarray]) -> np.ndarray:
        """Ridge weights [p, m], each target's from its own rows.

        Args:
            solve: (gram, cross, penalty) -> weights.
        """
        if len(self.systems) == 1:
            return solve(self.systems[0].gram, self.cross, penalty)
        weights = np.empty(self.cross.shape)
        for targets, gram in self.systems:
            weights[:, targets] = solve(gram, self.cross[:, targets], penalty)
        return weights

    def completed(self, penalty: float, solve: Callable[..., np.ndarray]) -> np.ndarray:
        """[p, m], products over all rows from which ridge has the weights of `solved`."""
        if len(self.systems) == 1 and self.systems[0].gram is self.gram:
            return self.cross
        weights = self.solved(penalty, solve)
        return self.gram @ weights + penalty * weights

    def part(self, features: np.ndarray, targets: np.ndarray) -> "Equations":
        """Those of some features and targets (rising), numbered by their places among these."""
        across = np.ix_(features, features)
        gram, systems = self.gram[across], []
        for system in self.systems:
            mine = system.of(targets)
            if not len(mine):
                continue
            own = gram if system.gram is self.gram else system.gram[across]
            whole = len(mine) == len(targets)
            systems.append(System(ALL if whole else np.searchsorted(targets, mine), own))
        return Equations(gram, self.cross[np.ix_(features, targets)], tuple(systems))


def equations(
    gram: np.ndarray,
    cross: np.ndarray,
    observed: np.ndarray | None,
    rows_of: Callable[[np.ndarray], np.ndarray] | None,
) -> Equations:
    """The systems of all targets.

    Args:
        gram: X'X over all rows, [p, p]; or XX', [rows, rows], where `rows_of` is None.
        cross: X'Y, [p, m], with Y zero where it was not observed; or Y.
        observed: bool [rows, m]; None where all is.
        rows_of: places of rows -> X there, [rows, p].
    """
    if observed is None or observed.all():
        return Equations(gram, cross, (System(ALL, gram),))
    patterns = _patterns(observed)
    missing = sum(min((~rows).sum(), rows.sum()) for _, rows in patterns) * (rows_of is not None)
    work = len(gram) ** 2 * (missing + len(gram) * len(patterns))
    if work > MOST_WORK or len(patterns) * gram.size > MOST_NUMBERS:
        share = np.maximum(observed.mean(0), 1 / len(observed))
        return Equations(gram, cross / share, (System(ALL, gram),))
    systems = [System(targets, _gram_of(gram, rows, rows_of)) for targets, rows in patterns]
    if len(systems) == 1:
        systems = [System(ALL, systems[0].gram)]
    return Equations(gram, cross, tuple(systems))


def _patterns(observed):
    """[(targets, rows bool)] of targets that were observed in the same rows."""
    packed = np.packbits(observed, axis=0).T
    _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    which = which.ravel()
    return [(np.flatnonzero(which == number), observed[:, at]) for number, at in enumerate(first)]


def _gram_of(gram, rows, rows_of):
    if rows.all():
        return gram
    if rows_of is None:  # of rows: one that is left out gets the weight zero
        return gram * rows[:, None] * rows
    # Of the fewer rows, and subtracted where these are the missing ones.
    few = rows_of(np.flatnonzero(rows if 2 * rows.sum() <= len(rows) else ~rows))
    own = (few.T @ few).astype(np.float64)
    return own if 2 * rows.sum() <= len(rows) else gram - own
