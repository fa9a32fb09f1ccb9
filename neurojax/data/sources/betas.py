"""Batches of fMRI with what was seen: people side by side, each voxel's response to a picture.

A session is a person: real values [trials, voxels] of one bin a trial (betas, or means of a window
after the picture), the behaviour `embedding` (the picture as a network for images sees it) and a
condition that names the picture. A voxel is centred and divided by its standard deviation over the
train trials, read a few at a time; values stay on disk, and a batch reads its own rows alone.

Which trials make a batch is drawn as for speech (`sources.speech`).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.batch import Batch
from neurojax.data import batching, splits
from neurojax.data.batching import Layout, Plan
from neurojax.data.pictures import EMBEDDING, known_pictures
from neurojax.data.robust_scale import Scale
from neurojax.data.session import TRAIN, Session
from neurojax.data.sources import made_up
from neurojax.data.sources.speech import SpeechSource
from neurojax.data.stages import Stages
from neurojax.data.store.dataset import Dataset
from neurojax.data.synthetic import nsd
from neurojax.errors import require
from neurojax.facts import Facts
from neurojax.ranges import check_ranges, positive

_ROWS = 256  # read at once, for mean and spread


@dataclasses.dataclass(frozen=True)
class Config(batching.BatchingConfig):
    """What a batch is: as of `batching.BatchingConfig`, and

    Attributes:
        item: name of the condition that says which picture was shown, such as "picture".
        clip_sd: standardised values are clipped to this many deviations.
    """

    item: str
    clip_sd: float

    def __post_init__(self):
        super().__post_init__()
        check_ranges(self, "data.", {"clip_sd": positive()})


class BetaSource(SpeechSource):
    """Batches of the train split.

    Attributes: as of `speech.SpeechSource`; items are pictures.
    """

    def __init__(self, sessions: Sequence[Session], config: Config, seed: int, table, new_until):
        _check(sessions, config)
        known = [known_pictures(session) for session in sessions]
        self.num_left_out = sum(int((~own).sum()) for own in known)
        self.sessions = tuple(
            one if own.all() else one.with_fields(split=np.where(own, one.split, splits.UNUSED))
            for one, own in zip(sessions, known, strict=True)
        )
        self._config, self._seed = config, seed
        self.table = batching.session_table(sessions) if table is None else table
        self.layout = Layout.of(sessions, self.table)
        self.trials_per_batch, self.item_name = config.trials_per_batch, config.item
        shown = [np.asarray(session.conditions[config.item]).astype(str) for session in sessions]
        names = np.unique(np.concatenate(shown))
        self.items = {name: number for number, name in enumerate(names.tolist())}
        self.item = [np.searchsorted(names, one).astype(np.int32) for one in shown]
        self.facts = Facts(
            num_bins=1,
            bin_size_s=sessions[0].bin_size_s,
            units_per_session=tuple(entry["num_units"] for entry in self.table),
            num_targets=sessions[0].behaviour[EMBEDDING].shape[1],
        )
        self._scales: dict[int, Scale] = {}
        self._stages = Stages(self.sessions, self.layout, config, seed, new_until)

    def contents(self) -> str:
        """`8 people, 512 to 880 voxels, embeddings of 64 numbers, 2,700 pictures`."""
        voxels = [session.num_units for session in self.sessions]
        told = f"{min(voxels):,} to {max(voxels):,}" if len(set(voxels)) > 1 else f"{voxels[0]:,}"
        without = f", {self.num_left_out:,} trials without it left out" if self.num_left_out else ""
        return (
            f"{len(self.sessions)} people, {told} voxels, embeddings of {self.facts.num_targets} "
            f"numbers{without}, {len(self.items):,} pictures"
        )

    def batch(self, index: int, rows: Callable[[int], slice] = slice) -> Batch:
        """Batch `index`; `rows` says which of the b trials of a group to gather, default all.

        Returns:
            trials: values float32 [G, b, 1, N], standardised, zero in padding; bin_valid bool
            [G, b, 1]; embedding float32 [G, b, E]; item int32 [G, b]; trial_id int32 [G, b].
            groups: unit_row int32 [G, N]; unit_valid bool [G, N]; region_id; session_row int32 [G].
        """
        plan = self.plan(index)
        return self.gather(plan._replace(trial=plan.trial[:, rows(plan.trial.shape[1])]))

    def padded(self, number: int, trials: np.ndarray, size: int) -> Batch:
        """Trials of one person as one group of `size`; padding has no valid bin and item -1."""
        width = batching.padded_width(self.sessions[number].num_units, self._config.bucket_units)
        filled = np.pad(np.asarray(trials, np.int32), (0, size - len(trials)), mode="edge")
        batch = self.gather(Plan(np.int32([number]), filled[None], width))
        for name, empty in (("bin_valid", False), ("item", -1), ("values", 0), (EMBEDDING, 0)):
            batch.trials[name][:, len(trials) :] = empty
        return batch

    def scale(self, number: int) -> Scale:
        """Mean and standard deviation of one person's voxels over the train trials, or over all
        where there are none; no picture is looked at."""
        if number not in self._scales:
            session = self.sessions[number]
            own = session.trials_of(TRAIN)
            self._scales[number] = moments(
                session, own if len(own) else np.arange(session.num_trials)
            )
        return self._scales[number]

    def raw(self, number: int, trials: np.ndarray, name: str = "values") -> np.ndarray:
        """Values [K, N] of one person's trials, or a behaviour, float32."""
        session = self.sessions[number]
        held = session.values if name == "values" else session.behaviour[name]
        return np.asarray(held)[session.trial_start_bin[trials]].astype(np.float32)

    def responses(self, number: int, trials: np.ndarray) -> np.ndarray:
        """Standardised values of one person's trials as batches have them, float32 [K, N]."""
        return self.standardised(number, self.raw(number, trials))

    def gather(self, plan: Plan, muscle_of: None = None) -> Batch:
        """The batch of a plan."""
        groups, trials = plan.trial.shape
        values = np.zeros((groups, trials, 1, plan.width), np.float32)
        embedding = np.zeros((groups, trials, self.facts.num_targets), np.float32)
        item = np.zeros((groups, trials), np.int32)
        for group, (number, own) in enumerate(zip(plan.session.tolist(), plan.trial, strict=True)):
            size = self.sessions[number].num_units
            values[group, :, 0, :size] = self.responses(number, own)
            embedding[group] = self.raw(number, own, EMBEDDING)
            item[group] = self.item[number][own]
        valid = np.ones((groups, trials, 1), bool)
        return batching.static_fields(self.layout, plan).with_trials(
            values=values, bin_valid=valid, embedding=embedding, item=item
        )


def moments(session: Session, trials: np.ndarray) -> Scale:
    """Mean and standard deviation of each voxel over trials, float32 [N] twice; a voxel that never
    changes is divided by 1. A few rows at a time: the values may be larger than memory."""
    rows, held = session.trial_start_bin[trials], np.asarray(session.values)
    mean = sum(part.sum(0, dtype=np.float64) for part in _parts(held, rows)) / len(rows)
    squares = sum(np.square(part - mean).sum(0) for part in _parts(held, rows))
    spread = np.sqrt(squares / len(rows))
    return Scale(mean.astype(np.float32), np.where(spread > 0, spread, 1).astype(np.float32))


def _parts(held: np.ndarray, rows: np.ndarray):
    for first in range(0, len(rows), _ROWS):
        yield held[rows[first : first + _ROWS]].astype(np.float64)


def open_source(
    sessions: Sequence[Session],
    config: Config,
    seed: int,
    table: list[dict[str, Any]] | None = None,
    new_until: tuple[int, int] | None = None,
) -> BetaSource:
    """The source of a run; arguments as of `sources.spikes.open_source`.

    Raises:
        InputError: counts, trials of several bins, voxels that were not observed throughout, no
            embedding, no such condition, or people whose embeddings have other sizes.
    """
    return BetaSource(sessions, config, seed, table, new_until)


def rows_of(sessions: Sequence[Session], table: Sequence[Mapping[str, Any]]) -> Layout:
    """Where people live in the tables of trained weights; InputError for one without rows."""
    return Layout.of(sessions, table)


def open_data(data: Mapping[str, Any], seed: int) -> Dataset:
    """The recordings that a config names, see `made_up.stored_or_made`."""
    return made_up.stored_or_made(data, seed, nsd.NsdSpec, nsd.sessions)


def _check(sessions: Sequence[Session], config: Config) -> None:
    require(sessions, "data.source=betas got no session; convert a recording first")
    width = None
    for session in sessions:
        where = f"session {session.session_id}"
        require(
            session.observation == "real",
            f"{where} holds counts of spikes, but data.source=betas reads real values; train it "
            "with configs/mtm.py",
        )
        require(
            (session.trial_num_bins == 1).all(),
            f"{where} has trials of up to {session.trial_num_bins.max()} bins; expected one value "
            "of each voxel a picture, as `neurojax convert fmri` makes them",
        )
        require(
            session.validity is None,
            f"{where} has voxels that were not observed in every trial, and their zeros would be "
            "taken as responses; leave out these voxels or trials",
        )
        require(
            EMBEDDING in session.behaviour,
            f"{where} has no behaviour {EMBEDDING!r} (the picture as a network for images sees "
            f"it), it has {sorted(session.behaviour)}; convert it with them",
        )
        require(
            config.item in session.conditions,
            f"{where} has no condition {config.item!r}, expected one of "
            f"{sorted(session.conditions)}; set data.item",
        )
        found = session.behaviour[EMBEDDING].shape[1]
        width = found if width is None else width
        require(
            found == width,
            f"{where} has embeddings of {found} numbers, {sessions[0].session_id} of {width}; use "
            "one network for the pictures of all",
        )
