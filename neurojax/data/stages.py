"""Which sessions batches are drawn from: where a run adapts, new ones alone at first."""

import math
from collections.abc import Sequence

import numpy as np

from neurojax.data.batching import BatchingConfig, Layout, Plan, Planner
from neurojax.data.session import Session


class Stages:
    """Plans of batches: before a step those of new sessions alone, then of all.

    A planner is made when it is asked for: sessions that are only tested have no train trial.
    """

    def __init__(
        self,
        sessions: Sequence[Session],
        layout: Layout,
        config: BatchingConfig,
        seed: int,
        new_until: tuple[int, int] | None,
    ):
        """Arguments as of `sources.spikes.open_source`; `layout`: where the sessions live."""
        self._given, self._layout = (sessions, config, seed), layout
        self._planners: dict[bool, Planner] = {}
        known_sessions, self._new_until = (0, -math.inf) if new_until is None else new_until
        self._is_new = layout.session_row >= known_sessions

    def _planner(self, new_alone: bool) -> Planner:
        if new_alone not in self._planners:
            only = self._is_new if new_alone else None
            self._planners[new_alone] = Planner(*self._given, only=only)
        return self._planners[new_alone]

    def plan(self, index: int) -> Plan:
        """Which trials of which sessions batch `index` holds."""
        return self._planner(index < self._new_until).plan(index)

    def session_names(self, index: int) -> list[str]:
        """Names of the sessions in batch `index`."""
        return [self._layout.session_ids[number] for number in self.plan(index).session]

    def shapes(self) -> list[tuple[int, int, int, int]]:
        """(G, b, T, N) of every kind of batch: what a run compiles; InputError where nothing is to
        train on."""
        kinds = (True, False) if self._new_until > -math.inf else (False,)
        found = [
            (groups, trials, self._layout.num_bins, units)
            for kind in kinds
            for groups, trials, units in self._planner(kind).shapes()
        ]
        return list(dict.fromkeys(found))

    def largest(self) -> Plan:
        """Of the shape with the most entries: the smallest session's first trial, again and
        again."""
        groups, trials, _, width = max(self.shapes(), key=np.prod)
        smallest = np.full(groups, np.argmin(self._layout.num_units), np.int32)
        return Plan(smallest, np.zeros((groups, trials), np.int32), width)
