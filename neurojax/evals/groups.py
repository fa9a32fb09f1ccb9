"""Populations whose units a task leaves out, alone or many at a time."""

from typing import NamedTuple

import numpy as np

from neurojax.evals.protocols import Question


class Group(NamedTuple):
    """A population whose units are left out one at a time."""

    members: np.ndarray  # bool [N], visible units; all others are hidden
    scheme: int

    def parts(self, number: int, region: np.ndarray, seed: int) -> list[Question]:
        """The members dealt at random into `number` parts, each asked about from all the others.

        Every part takes its share of each region, so that none loses a whole one. Of no more
        members than parts, each is alone: this is leave-one-out.

        Args:
            number: of parts, at least 2.
            region: [N], labels.
            seed: of the deal.
        """
        dealt = np.random.default_rng(seed).permutation(np.flatnonzero(self.members))
        dealt = dealt[np.argsort(region[dealt], kind="stable")]
        found = []
        for part in range(min(number, len(dealt))):
            asked = np.zeros_like(self.members)
            asked[dealt[part::number]] = True
            found.append(Question(self.members & ~asked, asked))
        return found
