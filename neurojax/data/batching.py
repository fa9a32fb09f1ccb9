"""From a dataset to batches of static shape: batch i is a function of (seed, i) and nothing else.

Layout      where every unit and session lives in the flat tables, fixed by the dataset
plan(i)     which sessions and trials make batch i
gather      the plan's counts, padded: on the host here, on the device in `train.placement`
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurojax.errors import InputError
from neurojax.types import TRAIN, UNKNOWN_REGIONS, Batch, Session


@dataclasses.dataclass(frozen=True)
class BatchingConfig:
    """Attributes:
    sessions_per_batch: G; a bucket with fewer sessions uses the largest divisor of the batch it has.
    trials_per_batch: B = G * b.
    bucket_units: sessions are padded to the next multiple; those of equal padded size mix.
    session_temperature: a session is drawn with probability ~ (its trials) ** (1 / temperature).
    """

    sessions_per_batch: int = 1
    trials_per_batch: int = 16
    bucket_units: int = 128
    session_temperature: float = 1.0

    def __post_init__(self):
        for name in ("sessions_per_batch", "trials_per_batch", "bucket_units", "session_temperature"):
            if getattr(self, name) <= 0:
                raise InputError(f"data.{name}={getattr(self, name)}; expected a positive number")


@dataclasses.dataclass(frozen=True)
class Layout:
    """Rows of the flat tables: units of session s are rows first_row[s] .. first_row[s] + units[s].

    Attributes:
        session_ids: names in table order.
        first_row: int64 [S].
        num_units: int64 [S].
        num_bins: longest trial of the dataset, the padded T.
        regions: labels in id order; unknown labels have no id.
        region_id: per session int32 [N], -1 for unknown.
        counts_dtype: smallest dtype that holds every session's counts.
    """

    session_ids: tuple[str, ...]
    first_row: np.ndarray
    num_units: np.ndarray
    num_bins: int
    regions: tuple[str, ...]
    region_id: tuple[np.ndarray, ...]
    counts_dtype: np.dtype

    @property
    def total_units(self) -> int:
        return int(self.num_units.sum())

    @classmethod
    def of(cls, sessions: Sequence[Session]) -> "Layout":
        """Lays out sessions in the order given."""
        num_units = np.asarray([session.num_units for session in sessions])
        labels = sorted({str(label) for session in sessions for label in session.region} - UNKNOWN_REGIONS)
        ids = {label: index for index, label in enumerate(labels)}
        return cls(
            session_ids=tuple(session.session_id for session in sessions),
            first_row=np.concatenate([[0], np.cumsum(num_units)[:-1]]),
            num_units=num_units,
            num_bins=int(max(session.trial_num_bins.max() for session in sessions)),
            regions=tuple(labels),
            region_id=tuple(
                np.asarray([ids.get(str(label), -1) for label in session.region], np.int32)
                for session in sessions
            ),
            counts_dtype=np.result_type(*(session.counts.dtype for session in sessions)),
        )


class Plan(NamedTuple):
    """Indices of one batch."""

    session: np.ndarray  # int32 [G], index in the dataset
    trial: np.ndarray  # int32 [G, b], index in the session
    width: int  # padded units N


class Planner:
    """Draws plans over one split. Stateless: `plan(i)` may be asked in any order, by any process."""

    def __init__(self, sessions: Sequence[Session], config: BatchingConfig, seed: int, split: int = TRAIN):
        self._seed = seed
        self._config = config
        self._trials = [session.trials_of(split) for session in sessions]
        sizes = np.asarray([len(trials) for trials in self._trials], float)
        weight = np.where(sizes > 0, np.maximum(sizes, 1) ** (1 / config.session_temperature), 0)
        if not weight.sum():
            raise InputError(
                "no session has a training trial; expected split 0 somewhere; convert with a split"
            )
        widths = np.asarray([padded_width(session.num_units, config.bucket_units) for session in sessions])
        self._buckets = []  # (width, session indices, their probabilities)
        for width in np.unique(widths[weight > 0]):
            members = np.flatnonzero((widths == width) & (weight > 0))
            self._buckets.append((int(width), members, weight[members]))
        total = np.asarray([bucket[2].sum() for bucket in self._buckets])
        self._bucket_probability = total / total.sum()

    def shapes(self) -> list[tuple[int, int, int]]:
        """(G, b, N) of every bucket: what a run compiles."""
        shapes = []
        for width, members, _ in self._buckets:
            groups = self._groups(len(members))
            shapes.append((groups, self._config.trials_per_batch // groups, width))
        return shapes

    def _groups(self, num_members: int) -> int:
        limit = min(self._config.sessions_per_batch, num_members)
        return max(g for g in range(1, limit + 1) if self._config.trials_per_batch % g == 0)

    def plan(self, index: int) -> Plan:
        """Sessions and trials of batch `index`.

        Distinct sessions within a batch; trials are drawn without replacement within a session's
        share (with replacement only when the session has fewer trials than the share).
        """
        rng = np.random.Generator(np.random.Philox(key=[self._seed, index]))
        width, members, weight = self._buckets[rng.choice(len(self._buckets), p=self._bucket_probability)]
        groups = self._groups(len(members))
        chosen = rng.choice(members, groups, replace=False, p=weight / weight.sum())
        share = self._config.trials_per_batch // groups
        trials = [
            rng.choice(self._trials[session], share, replace=len(self._trials[session]) < share)
            for session in chosen
        ]
        return Plan(chosen.astype(np.int32), np.stack(trials).astype(np.int32), width)


def padded_width(num_units: int, bucket_units: int) -> int:
    """`num_units` rounded up to a multiple of `bucket_units`."""
    return -(-num_units // bucket_units) * bucket_units


def static_fields(layout: Layout, plan: Plan) -> Batch:
    """A batch without counts and bin_valid (None): everything that needs no trial data."""
    groups = len(plan.session)
    unit_row = np.full((groups, plan.width), layout.total_units, np.int32)
    region_id = np.full((groups, plan.width), -1, np.int32)
    for group, session in enumerate(plan.session):
        size = layout.num_units[session]
        unit_row[group, :size] = layout.first_row[session] + np.arange(size)
        region_id[group, :size] = layout.region_id[session]
    return Batch(
        counts=None,
        bin_valid=None,
        unit_valid=unit_row < layout.total_units,
        region_id=region_id,
        unit_row=unit_row,
        session_id=plan.session,
        trial_id=plan.trial,
    )


def gather(sessions: Sequence[Session], layout: Layout, plan: Plan) -> Batch:
    """The batch of a plan, gathered from the (memory-mapped) sessions.

    Returns:
        Batch of numpy arrays: counts [G, b, T, N] zero-padded to the dataset's longest trial and
        the bucket's width.
    """
    shape = (*plan.trial.shape, layout.num_bins, plan.width)
    counts = np.zeros(shape, layout.counts_dtype)
    bin_valid = np.zeros(shape[:3], bool)
    for group, (session, trials) in enumerate(zip(plan.session, plan.trial, strict=True)):
        recording = sessions[session]
        for place, trial in enumerate(trials):
            start, length = recording.trial_start_bin[trial], recording.trial_num_bins[trial]
            counts[group, place, :length, : recording.num_units] = recording.counts[start : start + length]
            bin_valid[group, place, :length] = True
    return static_fields(layout, plan)._replace(counts=counts, bin_valid=bin_valid)
