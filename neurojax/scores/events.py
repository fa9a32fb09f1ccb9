"""Events that a reader says, held against those that were: which, and when."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurojax.errors import require


class Event(NamedTuple):
    """Attributes:
    time_s: seconds from the beginning.
    kind: int, of a few.
    """

    time_s: float
    kind: int


def found(probability: np.ndarray, frame_s: float, threshold: float, apart_s: float) -> list[Event]:
    """Events where the probability of a kind comes over a threshold, in order of time.

    Args:
        probability: [S, K], of each kind at each frame.
        frame_s: from one frame to the next.
        threshold: over 0, below 1.
        apart_s: time in which a kind does not begin again.
    """
    require(0 < threshold < 1, f"threshold={threshold}; expected a number over 0 and below 1")
    events = []
    for kind, own in enumerate(np.asarray(probability).T):
        last = -np.inf
        over = own >= threshold
        for frame in np.flatnonzero(over & ~np.append(False, over[:-1])):
            if frame * frame_s - last >= apart_s:
                last = frame * frame_s
                events.append(Event(float(last), kind))
    return sorted(events)


def error(
    said: Sequence[Sequence[Event]], true: Sequence[Sequence[Event]], tolerance_s: float
) -> float:
    """Event error: `mistakes` over the true events. As for words, it may pass 1.

    Args:
        said, true: events of each of a few windows, in the same order.
        tolerance_s: see `mistakes`.

    Raises:
        InputError: no event was there.
    """
    number = sum(map(len, true))
    require(number > 0, "no event was there to be found; expected one or more")
    return sum(mistakes(*own, tolerance_s) for own in zip(said, true, strict=True)) / number


def mistakes(said: Sequence[Event], true: Sequence[Event], tolerance_s: float) -> int:
    """Missed, invented and mistaken events of one window, as few as explain what was said.

    A said event can stand for a true one within the tolerance of its time, and in their order: it
    is right where the kinds agree, and one mistake where they do not; what stands for nothing is
    one mistake each. Takes as many steps as there are pairs of a said and a true event.
    """
    said, true = sorted(said), sorted(true)
    costs = np.arange(len(said) + 1, dtype=float)  # of the first said events, no true one
    for one in true:
        before, costs = costs, np.empty_like(costs)
        costs[0] = before[0] + 1
        for place, other in enumerate(said):
            near = abs(other.time_s - one.time_s) <= tolerance_s
            paired = before[place] + (other.kind != one.kind) if near else np.inf
            costs[place + 1] = min(paired, before[place + 1] + 1, costs[place] + 1)
    return int(costs[-1])
