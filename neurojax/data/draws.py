"""Draws with given probabilities, as numpy's `Generator.choice` makes them, in less time.

`choice` checks its probabilities and adds them up anew in every call; here that is done once.
"""

from typing import NamedTuple

import numpy as np

from neurojax.errors import require


class Chances(NamedTuple):
    """Probabilities of n places."""

    probability: np.ndarray  # float64 [n]
    cumulated: np.ndarray  # float64 [n], the last is 1

    @classmethod
    def of(cls, probability: np.ndarray) -> "Chances":
        """Of probabilities float64 [n] that sum to 1."""
        added = np.cumsum(probability)
        return cls(probability, added / added[-1])

    @classmethod
    def by(cls, weights: np.ndarray, number: int, told: str) -> "Chances":
        """By weights float64 [n], of which `number` places are to be drawn apart.

        Raises:
            InputError: begins with `told`; weights overflow, or too few are left by rounding.
        """
        with np.errstate(all="ignore"):
            probability = weights / weights.sum()
        require(
            np.isfinite(weights.sum()) and np.count_nonzero(probability) >= number,
            f"{told} gives chances beyond floating point; expected about 0.1 to 10",
        )
        return cls.of(probability)

    def draw(self, rng: np.random.Generator) -> int:
        """`rng.choice(n, p=...)`, to the bit."""
        return int(self.cumulated.searchsorted(rng.random(), side="right"))

    def draw_distinct(self, rng: np.random.Generator, number: int) -> list[int]:
        """`rng.choice(n, number, replace=False, p=...)`, to the bit; `number` places must have a
        chance."""
        found, cumulated = [], self.cumulated
        while len(found) < number:
            uniform = rng.random(number - len(found))
            if found:  # the same place came twice: once more, from what is left
                left = self.probability.copy()
                left[found] = 0
                cumulated = Chances.of(left).cumulated
            found += dict.fromkeys(cumulated.searchsorted(uniform, side="right").tolist())
        return found
