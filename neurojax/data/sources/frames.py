"""Batches of signals with a target at every frame: pulses of events, or a velocity.

A session holds real values and a behaviour that is the target, at the rate of the samples; a frame
has the target of the last sample that it reads. Windows of any person of the train split lie side
by side, standardised as in `sources.signals`; nothing belongs to one person.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.batch import Batch
from neurojax.data.session import Session
from neurojax.data.sources import made_up, signals
from neurojax.data.store.dataset import Dataset
from neurojax.data.synthetic import ring_moves
from neurojax.errors import require
from neurojax.facts import Facts
from neurojax.ranges import at_least, check_ranges, one_of

UNKNOWN = {"pulses": -1.0, "velocity": np.nan}  # what the objectives do not ask for
_EVERY = "every_window"  # one label for all: `sources.signals` asks for one


@dataclasses.dataclass(frozen=True)
class Config:
    """What a batch is.

    Attributes:
        trials_per_batch: b.
        target: the behaviour that is predicted: `pulses` for the objective `events`, `velocity`.
        hop_bins: samples from one frame to the next, those of the model.
        normalise: as of `sources.signals`.
    """

    trials_per_batch: int
    target: str
    hop_bins: int
    normalise: str

    def __post_init__(self):
        check_ranges(self, "data.", RANGES)


RANGES = {
    "trials_per_batch hop_bins": at_least(1),
    "target": one_of(*UNKNOWN),
    "normalise": one_of(*signals.NORMALISE),
}


class Pass(NamedTuple):
    """One step through a split.

    Attributes:
        batch: arrays of b windows; padding has no known target.
        session: int32 [b], index of each window's session in the dataset, -1 in padding.
    """

    batch: Batch
    session: np.ndarray


class FrameSource:
    """Batches of the train split; attributes as of `sources.interface.Source`."""

    def __init__(self, sessions: Sequence[Session], config: Config, seed: int):
        self.sessions, self._config = tuple(sessions), config
        self._widths = [_width(session, config.target) for session in sessions]
        require(
            len(set(self._widths)) == 1,
            f"sessions have {sorted(set(self._widths))} columns of {config.target!r}; expected "
            "the same number of each",
        )
        labelled = [
            one.with_fields(conditions={**one.conditions, _EVERY: np.zeros(one.num_trials, int)})
            for one in sessions
        ]
        own = signals.Config(config.trials_per_batch, _EVERY, config.normalise)
        self._signals = signals.SignalSource(labelled, own, seed)
        self.table, self.trials_per_batch = self._signals.table, config.trials_per_batch
        self.facts: Facts = dataclasses.replace(
            self._signals.facts, num_classes=0, class_names=(), num_targets=self._widths[0]
        )
        require(
            self.num_frames >= 1,
            f"data.hop_bins={config.hop_bins}, but windows have {self.facts.num_bins} samples; "
            "expected no more",
        )
        starts = [session.trial_start_bin for session in sessions]
        lengths = [session.trial_num_bins for session in sessions]
        self._start, self._length = np.concatenate(starts), np.concatenate(lengths)

    @property
    def num_frames(self) -> int:
        """S, of the longest window."""
        return self.facts.num_bins // self._config.hop_bins

    def shapes(self) -> list[tuple[int, ...]]:
        """(G, b, T, C) of every kind of batch."""
        return self._signals.shapes()

    def contents(self) -> str:
        """`8 channels, 3 columns of pulses`."""
        return (
            f"{self.facts.num_channels} channels, {self.facts.num_targets} columns of "
            f"{self._config.target}"
        )

    def batch(self, index: int, rows: Callable[[int], slice] = slice) -> Batch:
        """Batch `index`: of `sources.signals`, and the target float32 [1, b, S, K]."""
        return self._with_targets(self._signals.batch(index, rows))

    def largest_batch(self) -> Batch:
        """A batch of the shape with the most entries: they all have one."""
        return self.batch(0)

    def session_names(self, index: int) -> list[str]:
        """Names of the sessions in batch `index`."""
        return self._signals.session_names(index)

    def validation_batches(self) -> list[Batch]:
        """One batch for each session with validation windows, see `sources.signals`."""
        return [self._with_targets(batch) for batch in self._signals.validation_batches()]

    def passes(self, split: int) -> Iterator[Pass]:
        """Every window of a split once, in the order of the sessions, in steps of one shape."""
        for step in self._signals.passes(split):
            yield Pass(self._with_targets(step.batch), step.session)

    def _with_targets(self, batch: Batch) -> Batch:
        trial_id, hop = batch.trials["trial_id"][0], self._config.hop_bins
        targets = np.full(
            (1, len(trial_id), self.num_frames, self.facts.num_targets),
            UNKNOWN[self._config.target],
            np.float32,
        )
        for place, trial in enumerate(trial_id.tolist()):
            if trial < 0:
                continue
            session = self.sessions[int(self._signals.session_of(np.int64(trial)))]
            first = int(self._start[trial])
            last = np.arange(first + hop - 1, first + int(self._length[trial]), hop)
            values = session.behaviour[self._config.target][last]
            known = session.behaviour_valid[self._config.target][last, None] & np.isfinite(values)
            unknown = np.float32(UNKNOWN[self._config.target])
            targets[0, place, : len(last)] = np.where(known, values, unknown)
        kept = {name: array for name, array in batch.trials.items() if name != "label"}
        return Batch({**kept, self._config.target: targets}, batch.groups)


def open_source(sessions: Sequence[Session], config: Config, seed: int) -> FrameSource:
    """The source of a run; InputError for recordings that differ, or lack the target."""
    return FrameSource(sessions, config, seed)


def rows_of(sessions: Sequence[Session], table: list[dict[str, Any]]) -> None:
    """No row belongs to a person; InputError for recordings of counts, or that differ."""
    signals.rows_of(sessions, table)


def open_data(data: Mapping[str, Any], seed: int) -> Dataset:
    """The recordings that a config names, see `made_up.stored_or_made`."""
    return made_up.stored_or_made(data, seed, ring_moves.MovesSpec, ring_moves.sessions)


def _width(session: Session, target: str) -> int:
    """Columns of the target of a session."""
    require(
        target in session.behaviour,
        f"session {session.session_id} has no behaviour {target!r}, expected one of "
        f"{sorted(session.behaviour)}; set data.target, or store it under that name",
    )
    values = session.behaviour[target]
    low, high = (np.nanmin(values), np.nanmax(values)) if np.size(values) else (0, 0)
    require(
        target != "pulses" or (low >= 0 and high <= 1),
        f"session {session.session_id}: pulses go from {low:g} to {high:g}; expected 0 to 1",
    )
    return values.shape[1]
