"""Widths and memories: one fixed grid in seconds, and a walk along it on validation.

Grids are in seconds so that a recording binned otherwise is smoothed alike. A width far under a bin
changes nothing and one beyond the trial leaves nothing, so that each recording uses the part of the
grid between them.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from neurojax.evals import on_threads
from neurojax.evals.baselines.folds import choose

TIMES_S = tuple(0.005 * 2.0**step for step in range(14))  # 5 ms to 41 s
LEAST_BINS = 0.4  # a Gaussian narrower than this leaves 96 % of its weight in one bin


def widths_s(bin_size_s: float, num_bins: int) -> list[float]:
    """Widths (sigma) of a Gaussian: 0 = none, then those between LEAST_BINS and half a trial."""
    return [0.0, *_between(bin_size_s, num_bins / 2)]


def memories_s(bin_size_s: float, num_bins: int) -> list[float]:
    """Time constants of a causal filter: 0, then those from LEAST_BINS to the trial."""
    return [0.0, *_between(bin_size_s, num_bins)]


def spans_bins(bin_size_s: float, num_bins: int) -> list[int]:
    """Lengths of a stretch of the past as whole bins, at least 1, each once."""
    spans = {round(time / bin_size_s) for time in TIMES_S}
    return sorted({1} | {span for span in spans if 1 <= span < num_bins})


def start_of(grid: Sequence[float], time_s: float) -> int:
    """The place in the grid that is nearest to a time."""
    return int(np.argmin(np.abs(np.asarray(grid) - time_s)))


def _between(bin_size_s, most_bins):
    return [
        time
        for time in TIMES_S
        if LEAST_BINS <= time / bin_size_s * (1 + 1e-9) <= max(most_bins, LEAST_BINS)
    ]


def climb(
    num_places: int, start: int, losses_at: Callable[[int], Mapping[str, float]]
) -> dict[int, Mapping[str, float]]:
    """Walks a grid downhill from `start` until each task's best place has both neighbours.

    Args:
        num_places: length of the grid.
        start: first place.
        losses_at: place -> task -> loss; called once a place. A loss that is not finite never wins.

    Returns:
        place -> task -> loss, for the places visited; one far from a first valley may be missed.
    """

    def visit(place):
        on_threads.check()
        return losses_at(place)

    visited = {start: visit(start)}
    while True:
        best = {best_place(visited, task) for task in visited[start]}
        # Only downhill of some task: a place that is nobody's neighbour is never fitted.
        wanted = {place + step for place in best for step in (-1, 1)} & set(
            range(num_places)
        ) - set(visited)
        if not wanted:
            return visited
        for place in sorted(wanted):
            visited[place] = visit(place)


def best_place(visited: Mapping[int, Mapping[str, float]], task: str) -> int:
    """The visited place with a task's lowest loss; the lower place of equals."""
    return choose(sorted(visited), lambda place: visited[place][task])
