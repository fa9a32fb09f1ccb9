"""Kinds of task: what each hides of a trial, and what a model is asked as.

Whoever treats kinds differently reads the field that says why, never a kind's name.
"""

from typing import NamedTuple

from neurojax.schemes import CAUSAL, INTER_REGION, INTRA_REGION, NEURON


class Kind(NamedTuple):
    """What a kind of task hides.

    Attributes:
        scheme: id of the masking scheme that resembles it.
        in_turn: units are asked one at a time, each hidden alone from those shown; otherwise all
            that is asked is hidden at once.
        by_region: one question for each region.
        last_bins: of each trial the last bins alone are hidden and scored.
        held_out: asks about the held-out units.
    """

    scheme: int
    in_turn: bool = False
    by_region: bool = False
    last_bins: bool = False
    held_out: bool = False

    @property
    def within_region(self) -> bool:
        """Whether nothing is shown but the region of the unit asked for."""
        return self.by_region and self.in_turn


KINDS = {
    # one unit, from all others; every unit in turn
    "co_smoothing": Kind(NEURON, in_turn=True),
    # the last bins of every unit, from all bins before
    "forward": Kind(CAUSAL, last_bins=True),
    # a region, from all others; every region in turn
    "inter_region": Kind(INTER_REGION, by_region=True),
    # one unit, from the others of its region alone
    "intra_region": Kind(INTRA_REGION, by_region=True, in_turn=True),
    # the held-out units, from the held-in ones
    "held_out": Kind(NEURON, held_out=True),
}
