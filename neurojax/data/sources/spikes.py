"""Batches of spike counts: sessions of similar size side by side, some trials of each."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from neurojax.batch import Batch
from neurojax.data import batching
from neurojax.data.batching import BatchingConfig as Config
from neurojax.data.batching import Layout, Plan
from neurojax.data.buffers import Buffers
from neurojax.data.session import TRAIN, VALIDATION, Session
from neurojax.data.stages import Stages
from neurojax.facts import Facts


class SpikeSource:
    """Batches of the train split.

    Attributes:
        facts: sizes and mean counts of all rows.
        table: `batching.session_table`, who owns which rows.
        sessions, layout: the recordings, and where they live in the tables.
        trials_per_batch: B.
    """

    def __init__(
        self,
        sessions: Sequence[Session],
        config: Config,
        seed: int,
        table: list[dict[str, Any]] | None,
        new_until=None,
    ):
        self.sessions = sessions
        self.table = batching.session_table(sessions) if table is None else table
        self.layout = Layout.of(sessions, self.table)
        self.trials_per_batch = config.trials_per_batch
        self.facts = Facts(
            num_bins=self.layout.num_bins,
            bin_size_s=sessions[0].bin_size_s,
            units_per_session=tuple(entry["num_units"] for entry in self.table),
            mean_counts=self.first_means(),
        )
        self._config, self._memory = config, Buffers()
        self._stages = Stages(sessions, self.layout, config, seed, new_until)
        self._stages.shapes()  # refuses sessions that nothing can be drawn from

    def first_means(self) -> np.ndarray:
        """Mean counts of all rows, float32 [U], that read-outs start from."""
        return mean_counts_by_row(self.sessions, self.layout)

    def shapes(self) -> list[tuple[int, int, int, int]]:
        """(G, b, T, N) of every kind of batch: what a run compiles."""
        return self._stages.shapes()

    def plan(self, index: int) -> Plan:
        """Which trials of which sessions batch `index` holds."""
        return self._stages.plan(index)

    def batch(self, index: int, rows: Callable[[int], slice] = slice) -> Batch:
        """Batch `index`; `rows` says which of the b trials of a group to gather, default all."""
        plan = self.plan(index)
        plan = plan._replace(trial=plan.trial[:, rows(plan.trial.shape[1])])
        return batching.gather(self.sessions, self.layout, plan, self._memory.empty)

    def session_names(self, index: int) -> list[str]:
        """Names of the sessions in batch `index`."""
        return self._stages.session_names(index)

    def largest_batch(self) -> Batch:
        """A batch of the shape with the most entries."""
        return batching.gather(self.sessions, self.layout, self._stages.largest())

    def contents(self) -> str:
        """`812 units, 9 regions`."""
        num_units = sum(session.num_units for session in self.sessions)
        return f"{num_units:,} units, {len(self.layout.regions)} regions"

    def validation_batches(self) -> list[Batch]:
        """One batch of a session's validation trials, padded to equal shapes by trials with no
        valid bin."""
        size, bucket_units = self.trials_per_batch, self._config.bucket_units
        chosen = [(session, session.trials_of(VALIDATION)[:size]) for session in self.sessions]
        return [
            batching.session_batch(session, self.layout, trials, bucket_units, size)
            for session, trials in chosen
            if len(trials)
        ]


def open_source(
    sessions: Sequence[Session],
    config: Config,
    seed: int,
    table: list[dict[str, Any]] | None = None,
    new_until: tuple[int, int] | None = None,
) -> SpikeSource:
    """The source of a run.

    Args:
        sessions: with a train split.
        config: what a batch is.
        seed: of the draws.
        table: rows of all sessions, where a run has more than these; default: of these.
        new_until: (known sessions, step): before that step only later sessions are drawn.
    """
    return SpikeSource(sessions, config, seed, table, new_until)


def rows_of(sessions: Sequence[Session], table: list[dict[str, Any]]) -> Layout:
    """Where sessions live in the tables of trained weights; raises InputError for one that has no
    rows."""
    return Layout.of(sessions, table)


def mean_counts(session: Session) -> np.ndarray:
    """Mean spikes per bin of every unit over its observed bins of the train split, float32 [N].

    One pseudo-spike a unit keeps logarithms finite for units that never fire in the train split.
    """
    total, num_bins = session.totals(TRAIN)
    mean = total / np.maximum(num_bins, 1)
    return ((mean * num_bins + 1) / (num_bins + 1)).astype(np.float32)


def mean_counts_by_row(sessions: Sequence[Session], layout: Layout) -> np.ndarray:
    """`mean_counts` in row order, float32 [U]; one spike per bin for units whose session is not at
    hand."""
    rows = np.ones(layout.total_units, np.float32)
    for session, first in zip(sessions, layout.first_row, strict=True):
        rows[first : first + session.num_units] = mean_counts(session)
    return rows
