"""From a dataset to batches of static shape: batch i is a function of (seed, i) and nothing else.

Layout      where every unit and session lives in the flat tables, fixed by the dataset
plan(i)     which sessions and trials make batch i
gather      the plan's counts, padded: on the host here, on the device in `train.placement`
"""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.batch import Batch
from neurojax.data.draws import Chances
from neurojax.data.observed import pattern_bins, worth_sorting
from neurojax.data.region_names import one_spelling
from neurojax.data.session import TRAIN, Session, names_a_region
from neurojax.errors import require
from neurojax.ranges import check_ranges, positive


@dataclasses.dataclass(frozen=True)
class BatchingConfig:
    """Attributes:
    sessions_per_batch: G; a bucket with fewer sessions uses the largest divisor of the batch it
        has.
    trials_per_batch: B = G * b.
    bucket_units: sessions are padded to the next multiple; those of equal padded size mix.
    session_temperature: a session is drawn with probability ~ (its trials) ** (1 / temperature).
    """

    sessions_per_batch: int
    trials_per_batch: int
    bucket_units: int
    session_temperature: float

    def __post_init__(self):
        check_ranges(self, "data.", RANGES)


RANGES = {
    "sessions_per_batch trials_per_batch bucket_units session_temperature": positive(),
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where sessions live in the flat tables: session s owns num_units[s] rows from first_row[s].

    Attributes:
        session_ids: names, in the order of the sessions laid out.
        session_row: int32 [S], row in the tables of sessions.
        first_row: int64 [S], first row in the tables of units.
        num_units: int64 [S].
        total_units: rows of the unit tables; the index that padding holds.
        num_bins: longest trial of the dataset, the padded T.
        regions: labels in id order, in one spelling; unknown labels have no id.
        region_id: per session int32 [N], -1 for unknown.
        counts_dtype: smallest dtype that holds every session's counts.
        all_observed: whether every unit was watched in every bin of every session.
        num_patterns: of watched units that a trial has at most, see `observed.worth_sorting`.
    """

    session_ids: tuple[str, ...]
    session_row: np.ndarray
    first_row: np.ndarray
    num_units: np.ndarray
    total_units: int
    num_bins: int
    regions: tuple[str, ...]
    region_id: tuple[np.ndarray, ...]
    counts_dtype: np.dtype
    all_observed: bool = True
    num_patterns: int | None = None
    _padded: dict[tuple[int, int], np.ndarray] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )

    def padded_units(self, session: int, width: int) -> np.ndarray:
        """Table row and region id of a session's units, padded: int32 [2, width], read only."""
        found = self._padded.get((session, width))
        if found is None:
            size = self.num_units[session]
            found = np.repeat(np.int32([[self.total_units], [-1]]), width, axis=1)
            found[0, :size] = self.first_row[session] + np.arange(size)
            found[1, :size] = self.region_id[session]
            self._padded[session, width] = found
        return found

    @classmethod
    def of(
        cls, sessions: Sequence[Session], table: Sequence[Mapping[str, Any]] | None = None
    ) -> "Layout":
        """Lays out sessions: in the order given, or where a run's `session_table` has them.

        Raises:
            InputError: a session is not in the table, or has other units there.
        """
        table = session_table(sessions) if table is None else table
        rows = {entry["session_id"]: (number, entry) for number, entry in enumerate(table)}
        starts = np.concatenate([[0], np.cumsum([entry["num_units"] for entry in table])])
        for session in sessions:
            require(
                session.session_id in rows,
                f"session {session.session_id} is not among the {len(table)} the run was trained "
                "on; evaluate those, or fine-tune on it first",
            )
            require(
                rows[session.session_id][1]["units_sha256"] == units_digest(session),
                f"session {session.session_id} has other units than the one of that name in the "
                "run; convert it as it was, or fine-tune on it under another name",
            )
        # Sessions of different labs meet here: "ca1" of one is "CA1" of another.
        spelled, _ = one_spelling(np.concatenate([session.region for session in sessions]))
        labels = sorted({label for label in spelled.tolist() if names_a_region(label)})
        ids = {label: index for index, label in enumerate(labels)}
        ends = np.cumsum([session.num_units for session in sessions])
        places = np.asarray([rows[session.session_id][0] for session in sessions], np.int32)
        num_bins = int(max(session.trial_num_bins.max() for session in sessions))
        return cls(
            session_ids=tuple(session.session_id for session in sessions),
            session_row=places,
            first_row=starts[places],
            num_units=np.asarray([session.num_units for session in sessions]),
            total_units=int(starts[-1]),
            num_bins=num_bins,
            regions=tuple(labels),
            region_id=tuple(
                np.asarray([ids.get(label, -1) for label in own.tolist()], np.int32)
                for own in np.split(spelled, ends[:-1])
            ),
            counts_dtype=np.result_type(*(session.recorded.dtype for session in sessions)),
            all_observed=all(session.validity is None for session in sessions),
            num_patterns=worth_sorting([session.most_patterns for session in sessions], num_bins),
        )


def units_digest(session: Session) -> str:
    """Hex digest of a session's unit names in order: who owns its rows."""
    names = "\n".join(str(name) for name in session.unit_id)
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def session_table(sessions: Sequence[Session]) -> list[dict[str, Any]]:
    """Who owns which rows, in row order, as a checkpoint keeps it."""
    return [
        {
            "session_id": session.session_id,
            "num_units": session.num_units,
            "units_sha256": units_digest(session),
        }
        for session in sessions
    ]


class Plan(NamedTuple):
    """Indices of one batch."""

    session: np.ndarray  # int32 [G], index in the dataset
    trial: np.ndarray  # int32 [G, b], index in the session
    width: int  # padded units N


class Planner:
    """Draws plans over one split; stateless: `plan(i)` in any order, by any process."""

    def __init__(
        self,
        sessions: Sequence[Session],
        config: BatchingConfig,
        seed: int,
        split: int = TRAIN,
        only: np.ndarray | None = None,
    ):
        """`only` bool [S]: the sessions to draw from; default all."""
        self._seed = seed
        self._trials = [session.trials_of(split) for session in sessions]
        sizes = np.asarray([len(trials) for trials in self._trials], float)
        with np.errstate(over="ignore"):  # refused below
            powers = sizes ** (1 / config.session_temperature)
        weight = np.where((sizes > 0) & (True if only is None else only), powers, 0)
        require(
            weight.sum(),
            "no session has a training trial; expected split 0 somewhere; convert with a split",
        )
        widths = np.asarray(
            [padded_width(session.num_units, config.bucket_units) for session in sessions]
        )
        self._buckets, total = [], []
        for width in np.unique(widths[weight > 0]):
            members = np.flatnonzero((widths == width) & (weight > 0))
            total.append(weight[members].sum())
            limit = min(config.sessions_per_batch, len(members))
            groups = max(g for g in range(1, limit + 1) if config.trials_per_batch % g == 0)
            share = config.trials_per_batch // groups
            told = f"data.session_temperature={config.session_temperature:g}"
            chances = Chances.by(weight[members], groups, told)
            self._buckets.append(_Bucket(int(width), members, chances, groups, share))
        self._chances = Chances.of(np.asarray(total) / np.sum(total))

    def shapes(self) -> list[tuple[int, int, int]]:
        """(G, b, N) of every bucket: what a run compiles."""
        return [(bucket.groups, bucket.share, bucket.width) for bucket in self._buckets]

    def plan(self, index: int) -> Plan:
        """Sessions of batch `index`, all different, and their trials, different where possible."""
        # A counter-based generator keyed by (seed, index): batch i needs none of those before it.
        rng = np.random.Generator(np.random.Philox(key=[self._seed, index]))
        bucket = self._buckets[self._chances.draw(rng)]
        # Distinct sessions: of a row twice in one batch, only one of two updates would be kept.
        chosen = bucket.members[bucket.chances.draw_distinct(rng, bucket.groups)]
        trial = np.empty((bucket.groups, bucket.share), np.int32)
        for group, session in enumerate(chosen):
            trials = self._trials[session]
            # Too few trials for the share: some come twice, which keeps the shape that is compiled.
            trial[group] = trials[
                rng.choice(len(trials), bucket.share, replace=len(trials) < bucket.share)
            ]
        return Plan(chosen.astype(np.int32), trial, bucket.width)


class _Bucket(NamedTuple):
    """The sessions of one padded size, and how a batch of them is divided."""

    width: int
    members: np.ndarray  # indices in the dataset
    chances: Chances  # of the members
    groups: int
    share: int  # trials of each group


def padded_width(num_units: int, bucket_units: int) -> int:
    """`num_units` rounded up to a multiple of `bucket_units`."""
    return -(-num_units // bucket_units) * bucket_units


def static_fields(layout: Layout, plan: Plan) -> Batch:
    """A batch without counts and bin_valid: everything that needs no trial data."""
    fields = np.empty((2, len(plan.session), plan.width), np.int32)
    for group, session in enumerate(plan.session.tolist()):
        fields[:, group] = layout.padded_units(session, plan.width)
    unit_row, region_id = fields
    groups = {
        "unit_valid": unit_row < layout.total_units,
        "region_id": region_id,
        "unit_row": unit_row,
        "session_row": layout.session_row[plan.session],
    }
    return Batch({"trial_id": plan.trial}, groups)


def gather(
    sessions: Sequence[Session] | Mapping[int, Session],
    layout: Layout,
    plan: Plan,
    empty: Callable[..., np.ndarray] = np.empty,
) -> Batch:
    """The batch of a plan, gathered from the (memory-mapped) sessions.

    Args:
        sessions, layout, plan: what to gather.
        empty: makes the array of the counts, as `numpy.empty`; see `Buffers`.

    Returns:
        Batch of numpy arrays: counts [G, b, T, N] zero-padded to the dataset's longest trial and
        the bucket's width; with `entry_valid` where the layout has unobserved entries.
    """
    shape = (*plan.trial.shape, layout.num_bins, plan.width)
    # Every entry below is written once: half the memory traffic of zeros first.
    counts = empty(shape, layout.counts_dtype)
    bin_valid = np.ones(shape[:3], bool)
    for group, (session, trials) in enumerate(zip(plan.session, plan.trial, strict=True)):
        recording = sessions[session]
        # A plain array: every slice of a memory map would make another memory map, in Python.
        recorded, size = np.asarray(recording.counts), recording.num_units
        starts, lengths = (
            recording.trial_start_bin[trials].tolist(),
            recording.trial_num_bins[trials].tolist(),
        )
        source, target = recorded, counts[group, :, :, :size]
        # The trick of `_as_entries` moves bytes, so that dtypes must agree; else numpy casts.
        if recorded.dtype == counts.dtype and recorded.flags.c_contiguous:
            source, target = _as_entries(recorded, 0, size), _as_entries(counts[group], 0, size)
        for place, (trial, start, length) in enumerate(zip(target, starts, lengths, strict=True)):
            if length == layout.num_bins:
                trial[...] = source[start : start + length]
            else:
                trial[:length] = source[start : start + length]
                counts[group, place, length:] = 0
                bin_valid[group, place, length:] = False
        # np.empty left whatever was there; padding has to read as zero.
        if size < plan.width:
            padding = _as_entries(counts[group], size, plan.width)
            padding[...] = np.zeros((), padding.dtype)
    batch = static_fields(layout, plan).with_trials(counts=counts, bin_valid=bin_valid)
    if layout.all_observed:
        return batch
    masks = observed_entries(sessions, layout, plan)
    np.multiply(counts, masks["entry_valid"], out=counts)
    return batch.with_trials(**masks)


def observed_entries(
    sessions: Sequence[Session] | Mapping[int, Session], layout: Layout, plan: Plan
) -> dict[str, np.ndarray]:
    """`entry_valid` and, where it is worth it, `pattern_bin` of a plan: see `batch.Batch`."""
    observed = np.zeros((*plan.trial.shape, layout.num_bins, plan.width), bool)
    for group, (session, trials) in enumerate(zip(plan.session, plan.trial, strict=True)):
        recording = sessions[session]
        observed[group, ..., : recording.num_units] = recording.entry_valid(trials, layout.num_bins)
    number = layout.num_patterns
    shown = {} if number is None else {"pattern_bin": pattern_bins(observed, number)}
    return {"entry_valid": observed} | shown


def session_batch(
    session: Session, layout: Layout, trials: np.ndarray, bucket_units: int, size: int | None = None
) -> Batch:
    """Trials of one session as a batch of one group.

    Args:
        session: one of the layout.
        layout: where its rows are.
        trials: int [K], indices in the session.
        bucket_units: padding of the unit axis.
        size: b, at least K; the trials beyond repeat the last one and have no valid bin. Default K.
    """
    number = layout.session_ids.index(session.session_id)
    size = len(trials) if size is None else size
    padded = np.pad(np.asarray(trials, np.int32), (0, size - len(trials)), mode="edge")
    plan = Plan(
        np.asarray([number], np.int32), padded[None], padded_width(session.num_units, bucket_units)
    )
    batch = gather({number: session}, layout, plan)
    for name in ("bin_valid", "entry_valid"):
        if name in batch.trials:
            batch.trials[name][:, len(trials) :] = False
    return batch


def _as_entries(counts: np.ndarray, first: int, stop: int) -> np.ndarray:
    """A view of units first..stop of each bin as one opaque entry: [..., N] -> [...]."""
    # An entry of np.void is one memcpy, a row of small integers numpy's loop over elements.
    # Hazard: the view trusts that the units of a bin lie next to each other.
    entry = np.dtype((np.void, (stop - first) * counts.itemsize))
    return np.ndarray(
        counts.shape[:-1], entry, counts, first * counts.itemsize, counts.strides[:-1]
    )
