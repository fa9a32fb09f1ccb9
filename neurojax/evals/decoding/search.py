"""A search over a few settings, one at a time: width, lags or windows, roots; twice."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from neurojax.evals.decoding.features import LEAST_SIGMA_BINS

WIDTHS_S = (0.0, 0.02, 0.04, 0.08, 0.16, 0.32)  # sigma of the Gaussian; the first is none
# square roots: before or after smoothing and averaging
NO_ROOTS, OF_COUNTS, OF_RATES = None, "counts", "rates"
ROOTS = (NO_ROOTS, OF_COUNTS, OF_RATES)
ROUNDS = 2

Settings = Mapping[str, Any]


def widths(bin_size_s: float, grid_s: Sequence[float] = WIDTHS_S) -> list[float]:
    """Those of a grid of widths, seconds, that do something in such bins, and none."""
    return [width for width in grid_s if width == 0 or width >= LEAST_SIGMA_BINS * bin_size_s]


def by_coordinate(
    axes: Mapping[str, Sequence], start: Settings, loss: Callable[[Settings], float]
) -> dict[str, Any]:
    """The settings of lowest loss that changing one at a time finds.

    Args:
        axes: name -> values, from simple to elaborate; the first of equals wins.
        start: a value of each axis; one that the axis lacks is its first.
        loss: of settings; not finite where they cannot be tried.
    """

    @functools.cache
    def cost(*values: Any) -> float:
        found = loss(dict(zip(axes, values, strict=True)))
        return found if math.isfinite(found) else math.inf

    best = {
        name: start[name] if start[name] in values else values[0] for name, values in axes.items()
    }
    # Twice: the best width may be another one once lags and roots are chosen.
    for _ in range(ROUNDS):
        before = dict(best)
        for name, values in axes.items():
            best = min(({**best, name: value} for value in values), key=lambda s: cost(*s.values()))
        if best == before:
            break
    return best


def hollow(error: Callable[[int], float], num_places: int, start: int) -> tuple[int, float]:
    """The place whose neighbours have no lower error, walked to from `start`, and its error."""
    # Neighbours are asked about again on the way: each is fitted once.
    cost = functools.cache(error)
    place = start
    while True:
        around = (place, place - 1, place + 1)
        best = min((other for other in around if 0 <= other < num_places), key=cost)
        if best == place:
            return place, cost(place)
        place = best
