"""Batches of stimulus, activity and behaviour: three nodes of one loop, bin by bin.

Activity is what a session recorded, counts or real values. Stimulus and behaviour are columns of
the session by name: behaviours (a value a bin), or conditions that are numbers (a value a trial,
the same in all its bins). Every channel of every node is centred and divided by its standard
deviation over the train trials of its session. Counts are taken as they are before that.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.batch import Batch
from neurojax.data import batching
from neurojax.data.batching import Layout, Plan
from neurojax.data.robust_scale import Scale
from neurojax.data.session import TRAIN, VALIDATION, Session
from neurojax.data.sources import made_up
from neurojax.data.stages import Stages
from neurojax.data.store.dataset import Dataset
from neurojax.data.synthetic import loops
from neurojax.errors import require
from neurojax.facts import Facts
from neurojax.ranges import check_ranges, positive

NODES = ("stimulus", "activity", "behaviour")  # in the order of `objectives.joint`


@dataclasses.dataclass(frozen=True)
class Config(batching.BatchingConfig):
    """What a batch is: as of `batching.BatchingConfig`, and

    Attributes:
        stimulus, behaviour: names of behaviours or of conditions that are numbers.
        clip_sd: standardised values are clipped to this many deviations.
    """

    stimulus: tuple[str, ...]
    behaviour: tuple[str, ...]
    clip_sd: float

    def __post_init__(self):
        super().__post_init__()
        check_ranges(self, "data.", {"clip_sd": positive()})
        for name in ("stimulus", "behaviour"):
            require(
                any(getattr(self, name)),
                f"data.{name} is empty; name a behaviour or a condition of the sessions",
            )
        names = (*self.stimulus, *self.behaviour)
        twice = sorted({name for name in names if names.count(name) > 1})
        require(
            not twice,
            f"data.stimulus={','.join(self.stimulus)} and data.behaviour="
            f"{','.join(self.behaviour)} name {', '.join(twice)} twice, so that what is asked "
            "would be given; name each once",
        )


class Columns(NamedTuple):
    """One node of a session.

    Attributes:
        values: float32 [bins, C], standardised and clipped.
        valid: bool [bins].
        scale: what values were centred by and divided by.
    """

    values: np.ndarray
    valid: np.ndarray
    scale: Scale


class JointSource:
    """Batches of the train split.

    Attributes:
        facts: sizes; num_features is S, of the stimulus, num_targets F, of the behaviour.
        sessions, table, layout: the recordings, and who owns which rows.
        trials_per_batch: B.
        nodes: of each session, node -> `Columns`.
        names: node -> columns of the sessions it is made of; of stimulus and behaviour.
    """

    def __init__(self, sessions: Sequence[Session], config: Config, seed: int, table, new_until):
        _check(sessions, config)
        self.sessions, self._config, self._seed = tuple(sessions), config, seed
        self.table = batching.session_table(sessions) if table is None else table
        self.layout = Layout.of(sessions, self.table)
        self.trials_per_batch = config.trials_per_batch
        self.nodes = [_nodes_of(session, config) for session in sessions]
        self.names = {node: getattr(config, node) for node in NODES[::2]}
        sizes = {node: [own[node].values.shape[1] for own in self.nodes] for node in NODES[::2]}
        for node, found in sizes.items():
            require(
                len(set(found)) == 1,
                f"data.{node} has {found[0]} numbers in session {sessions[0].session_id} and "
                f"{max(found)} or {min(found)} in others; name what all sessions have alike",
            )
        self.facts = Facts(
            num_bins=self.layout.num_bins,
            bin_size_s=sessions[0].bin_size_s,
            units_per_session=tuple(entry["num_units"] for entry in self.table),
            num_features=sizes["stimulus"][0],
            num_targets=sizes["behaviour"][0],
        )
        self._stages = Stages(self.sessions, self.layout, config, seed, new_until)

    def shapes(self) -> list[tuple[int, int, int, int]]:
        """(G, b, T, N) of every kind of batch."""
        return self._stages.shapes()

    def largest_batch(self) -> Batch:
        """A batch of the shape with the most entries."""
        return self.gather(self._stages.largest())

    def contents(self) -> str:
        """`32 units, a stimulus of 2 numbers, behaviour of 2`."""
        units = sum(session.num_units for session in self.sessions)
        seen, done = self.facts.num_features, self.facts.num_targets
        return f"{units:,} units, a stimulus of {seen} numbers, behaviour of {done}"

    def plan(self, index: int) -> Plan:
        """Which trials of which sessions batch `index` holds."""
        return self._stages.plan(index)

    def session_names(self, index: int) -> list[str]:
        """Names of the sessions in batch `index`."""
        return self._stages.session_names(index)

    def batch(self, index: int, rows: Callable[[int], slice] = slice) -> Batch:
        """Batch `index`; `rows` says which of the b trials of a group to gather, default all.

        Returns:
            trials: stimulus float32 [G, b, T, S], activity [G, b, T, N], behaviour [G, b, T, F],
            standardised, zero where nothing is known; node_valid bool [G, b, 3, T], where it is, by
            node; bin_valid bool [G, b, T]; trial_id int32 [G, b]. groups: unit_row int32 [G, N];
            unit_valid bool [G, N]; region_id; session_row int32 [G].
        """
        plan = self.plan(index)
        return self.gather(plan._replace(trial=plan.trial[:, rows(plan.trial.shape[1])]))

    def validation_batches(self) -> list[Batch]:
        """One batch a session with validation trials, padded to one shape."""
        size = self.trials_per_batch
        listed = [(n, s.trials_of(VALIDATION)[:size]) for n, s in enumerate(self.sessions)]
        return [self.padded(number, trials, size) for number, trials in listed if len(trials)]

    def passes(self, number: int, trials: np.ndarray) -> Iterator[tuple[np.ndarray, Batch]]:
        """Trials of one session in steps of one shape: (trials of the step, batch)."""
        for first in range(0, len(trials), self.trials_per_batch):
            part = trials[first : first + self.trials_per_batch]
            yield part, self.padded(number, part, self.trials_per_batch)

    def padded(self, number: int, trials: np.ndarray, size: int) -> Batch:
        """Trials of one session as one group of `size`; nothing is valid in padding."""
        width = batching.padded_width(self.sessions[number].num_units, self._config.bucket_units)
        filled = np.pad(np.asarray(trials, np.int32), (0, size - len(trials)), mode="edge")
        batch = self.gather(Plan(np.int32([number]), filled[None], width))
        for name in ("bin_valid", "node_valid", *NODES):
            batch.trials[name][:, len(trials) :] = 0
        return batch

    def gather(self, plan: Plan) -> Batch:
        """The batch of a plan."""
        groups, trials = plan.trial.shape
        num_bins = self.facts.num_bins
        sizes = (self.facts.num_features, plan.width, self.facts.num_targets)
        arrays = {
            node: np.zeros((groups, trials, num_bins, size), np.float32)
            for node, size in zip(NODES, sizes, strict=True)
        }
        node_valid = np.zeros((groups, trials, len(NODES), num_bins), bool)
        length = np.zeros((groups, trials), np.int64)
        for group, (number, own) in enumerate(zip(plan.session.tolist(), plan.trial, strict=True)):
            session = self.sessions[number]
            length[group] = session.trial_num_bins[own]
            bins = np.arange(num_bins) < length[group][:, None]  # [b, T]
            # Past a trial's end any row will do: it is zeroed.
            rows = np.where(bins, session.trial_start_bin[own][:, None] + np.arange(num_bins), 0)
            for place, node in enumerate(NODES):
                held = self.nodes[number][node]
                valid = node_valid[group, :, place] = bins & held.valid[rows]
                shown = held.values[rows] * valid[..., None]
                arrays[node][group, ..., : shown.shape[-1]] = shown
        bin_valid = np.arange(num_bins) < length[..., None]
        return batching.static_fields(self.layout, plan).with_trials(
            **arrays, node_valid=node_valid, bin_valid=bin_valid
        )


def open_source(
    sessions: Sequence[Session],
    config: Config,
    seed: int,
    table: list[dict[str, Any]] | None = None,
    new_until: tuple[int, int] | None = None,
) -> JointSource:
    """The source of a run; arguments as of `sources.spikes.open_source`.

    Raises:
        InputError: no stimulus or behaviour of such a name, one that is no number, or units that
            were not observed throughout.
    """
    return JointSource(sessions, config, seed, table, new_until)


def rows_of(sessions: Sequence[Session], table: Sequence[Mapping[str, Any]]) -> Layout:
    """Where sessions live in the tables of trained weights; InputError for one without rows."""
    return Layout.of(sessions, table)


def open_data(data: Mapping[str, Any], seed: int) -> Dataset:
    """The recordings that a config names, see `made_up.stored_or_made`."""
    return made_up.stored_or_made(data, seed, loops.LoopSpec, loops.sessions)


def _nodes_of(session: Session, config: Config) -> dict[str, Columns]:
    """node -> its columns."""
    held = session.values if session.observation == "real" else session.counts
    everything = np.ones(len(held), bool)
    found = {"activity": (np.asarray(held, np.float32), everything)}
    for node in NODES[::2]:
        parts = [_column(session, name, node) for name in getattr(config, node)]
        values, valid = zip(*parts, strict=True)
        found[node] = np.concatenate(values, 1), np.logical_and.reduce(valid)
    return {node: _standardised(session, *found[node], config.clip_sd) for node in NODES}


def _column(session: Session, name: str, node: str) -> tuple[np.ndarray, np.ndarray]:
    """(values float32 [bins, C], valid bool [bins]) of a behaviour, or of a condition by trial."""
    where = f"session {session.session_id}"
    if name in session.behaviour:
        held = _as_float32(session.behaviour[name])
        held = held.reshape(len(held), -1)
        valid = np.asarray(session.behaviour_valid[name]) & np.isfinite(held).all(1)
        return np.where(valid[:, None], held, 0), valid
    require(
        name in session.conditions,
        f"{where} has no behaviour and no condition {name!r}, which is to be its {node}; it has "
        f"{sorted(session.behaviour)} and {sorted(session.conditions)}: set data.{node}",
    )
    told = np.asarray(session.conditions[name])
    require(
        told.dtype.kind in "iufb",
        f"{where} has condition {name!r} in words, and the {node} is to be a number; convert it "
        f"with numbers, or set data.{node}",
    )
    num_bins = len(session.values if session.observation == "real" else session.counts)
    values, valid = np.zeros((num_bins, 1), np.float32), np.zeros(num_bins, bool)
    spans = (session.trial_start_bin.tolist(), session.trial_num_bins.tolist())
    for start, size, value in zip(*spans, _as_float32(told).tolist(), strict=True):
        if np.isfinite(value):
            values[start : start + size], valid[start : start + size] = value, True
    return values, valid


def _as_float32(values: np.ndarray) -> np.ndarray:
    """Infinite where a number is too large for it, and by that unknown."""
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(np.float32)


def _standardised(session: Session, values, valid, clip_sd: float) -> Columns:
    """By mean and standard deviation over the train trials, over all of them where there are
    none."""
    trials = session.trials_of(TRAIN)
    trials = trials if len(trials) else np.arange(session.num_trials)
    within = np.zeros(len(values), bool)
    for start, size in zip(
        session.trial_start_bin[trials].tolist(),
        session.trial_num_bins[trials].tolist(),
        strict=True,
    ):
        within[start : start + size] = True
    known = values[within & valid].astype(np.float64)
    require(
        len(known),
        f"session {session.session_id} has no bin in which the stimulus or the behaviour is known",
    )
    mean, spread = known.mean(0).astype(np.float32), known.std(0).astype(np.float32)
    spread = np.where(spread > 0, spread, np.float32(1))
    return Columns(np.clip((values - mean) / spread, -clip_sd, clip_sd), valid, Scale(mean, spread))


def _check(sessions: Sequence[Session], config: Config) -> None:
    require(sessions, "data.source=joint got no session; convert a recording first")
    for session in sessions:
        require(
            session.validity is None,
            f"session {session.session_id} has units that were not observed throughout, and their "
            "zeros would be taken as activity; leave out these units or bins",
        )
