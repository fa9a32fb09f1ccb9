"""What a source is to the rest of the code: batch i is a pure function of (seed, i), made by NumPy.

A module of this folder has a `Config` (a frozen dataclass), `open_source(sessions, config, seed)`,
which gives a `Source`, and `rows_of(sessions, table)`: where recordings live in the tables of
trained weights (a `data.batching.Layout`), None where no row belongs to a recording.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from neurojax.batch import Batch
from neurojax.data.session import Session
from neurojax.facts import Facts


class Source(Protocol):
    """Batches of the train split.

    Attributes:
        facts: what a model may know of the data.
        sessions: the recordings.
        table: `batching.session_table`, who owns which rows.
        trials_per_batch: B.
    """

    facts: Facts
    sessions: Sequence[Session]
    table: list[dict[str, Any]]
    trials_per_batch: int

    def shapes(self) -> list[tuple[int, ...]]:
        """(G, b, T, units or channels) of every kind of batch: what a run compiles."""

    def batch(self, index: int, rows: Callable[[int], slice] = slice) -> Batch:
        """Batch `index`; `rows` says which of the b trials of a group to gather, default all."""

    def largest_batch(self) -> Batch:
        """A batch of the shape with the most entries, for estimates."""

    def validation_batches(self) -> list[Batch]:
        """Trials of the validation split, the same at every call."""

    def session_names(self, index: int) -> list[str]:
        """Names of the sessions in batch `index`, for messages."""

    def contents(self) -> str:
        """What the recordings hold, in words: `812 units, 9 regions`."""
