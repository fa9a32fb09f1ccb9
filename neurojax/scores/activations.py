"""When a reader of gestures acts: on what it was sure of for a while, until it no longer is.

One window is 260 ms; an hour of rest has 72,000 of them, and whoever acts on each acts on noise.
A gate acts on the mean of the last windows, begins where that is sure of a gesture and ends where
it is not even half sure of it (a threshold with hysteresis). It costs the delay of its windows.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurojax.errors import require

NEUTRAL = ("neutral", "rest")  # names of the gesture that does nothing, in any case


class Gate(NamedTuple):
    """Attributes:
    windows: whose mean is taken; before there are so many, missing ones say nothing.
    begins: mean probability of a gesture from which on it acts.
    ends: mean probability of that gesture below which it no longer does.
    """

    windows: int
    begins: float
    ends: float


# The longest that half a second takes: of 20 such gates the one that acted least in rest among
# those that found 95 % of the gestures, of two made-up people whom their network was trained on and
# of 14 real people (experiments/gestures, README, "At rest").
USUAL = Gate(windows=10, begins=0.9, ends=0.5)


def least_windows(gate: Gate) -> int:
    """How many windows a gate that starts empty reads before it can act."""
    return max(1, math.ceil(round(gate.begins * gate.windows, 9)))


class Acting:
    """A gate that is told one window after another.

    Attributes:
        gesture: int, that it acts now; the neutral one where it does not act.
    """

    def __init__(self, num_classes: int, neutral: int, gate: Gate = USUAL):
        """Raises InputError for a gate that never ends, or takes no window."""
        require(
            gate.windows >= 1 and 0 <= gate.ends <= gate.begins <= 1,
            f"{gate}; expected a window or more, and 0 <= ends <= begins <= 1",
        )
        self._gate, self._neutral, self._number = gate, neutral, 0
        self._last = np.zeros((gate.windows, num_classes))
        self.gesture = neutral

    def read(self, probability: np.ndarray) -> int:
        """Takes the probabilities [K] of the next window; returns `gesture`."""
        self._last[self._number % self._gate.windows] = probability
        self._number += 1
        mean = self._last.mean(0)
        others = mean.copy()
        others[self._neutral] = -1.0
        surest = int(others.argmax())
        if mean[surest] >= self._gate.begins:
            self.gesture = surest
        elif self.gesture != self._neutral and mean[self.gesture] < self._gate.ends:
            self.gesture = self._neutral
        return self.gesture


def acted(probability: np.ndarray, neutral: int, gate: Gate = USUAL) -> np.ndarray:
    """The gesture that a gate acts after each window, int [windows].

    Args:
        probability: [windows, K] in order of time.
        neutral: the gesture that does nothing.
        gate: see `Gate`.
    """
    acting = Acting(probability.shape[1], neutral, gate)
    return np.array([acting.read(one) for one in probability], int)


def neutral_of(class_names: Sequence[str]) -> int | None:
    """The first gesture that does nothing; None where none is called so."""
    found = [k for k, name in enumerate(class_names) if name.strip().casefold() in NEUTRAL]
    return found[0] if found else None
