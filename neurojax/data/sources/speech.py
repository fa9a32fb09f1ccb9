"""Batches of EEG with the speech that was heard or said: people side by side, each a group.

A session is a person: real values, the behaviour `speech` (features of what was said, at the rate
of the signal), a condition that names what was said, and the place of every channel (`head_x`,
`head_y`). A channel is centred by its median and divided by its spread over the train trials
(interquartile range, as a standard deviation), then clipped: no label is looked at.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.batch import Batch
from neurojax.data import batching, robust_scale, splits
from neurojax.data.batching import Layout, Plan
from neurojax.data.session import TRAIN, VALIDATION, Session
from neurojax.data.sources import made_up
from neurojax.data.stages import Stages
from neurojax.data.store.dataset import Dataset
from neurojax.data.synthetic import speech_eeg
from neurojax.errors import require
from neurojax.facts import Facts
from neurojax.ranges import check_ranges, positive, share

SPEECH, MUSCLE = "speech", "muscle_part"  # behaviours
PLACES = ("head_x", "head_y")  # of each channel, in head radii


@dataclasses.dataclass(frozen=True)
class Config(batching.BatchingConfig):
    """What a batch is: as of `batching.BatchingConfig`, and

    Attributes:
        item: name of the condition that says what was said, such as "sentence".
        clip_sd: standardised samples are clipped to this many deviations.
        swap_muscle: share of a batch's trials whose muscle part is that of another trial, so that
            it tells nothing of what was said; needs the behaviour `muscle_part`.
    """

    item: str
    clip_sd: float
    swap_muscle: float

    def __post_init__(self):
        super().__post_init__()
        check_ranges(self, "data.", {"clip_sd": positive(), "swap_muscle": share("[0, 1]")})


class SpeechSource:
    """Batches of the train split.

    Attributes:
        facts: sizes; a row a person.
        sessions, table, layout: the recordings, and who owns which rows.
        trials_per_batch: B.
        item_name: the condition that says what was said.
        items: name -> number of all that was said, over all sessions.
        num_left_out: trials of no split here, for their speech is not known throughout.
    """

    def __init__(self, sessions: Sequence[Session], config: Config, seed: int, table, new_until):
        _check(sessions, config)
        known = [known_throughout(session) for session in sessions]
        self.num_left_out = sum(int((~own).sum()) for own in known)
        self.sessions = tuple(
            one if own.all() else one.with_fields(split=np.where(own, one.split, splits.UNUSED))
            for one, own in zip(sessions, known, strict=True)
        )
        self._config, self._seed = config, seed
        self.table = batching.session_table(sessions) if table is None else table
        self.layout = Layout.of(sessions, self.table)
        self.trials_per_batch, self.item_name = config.trials_per_batch, config.item
        said = [np.asarray(session.conditions[config.item]).astype(str) for session in sessions]
        names = np.unique(np.concatenate(said))
        self.items = {name: number for number, name in enumerate(names.tolist())}
        self.item = [np.searchsorted(names, one).astype(np.int32) for one in said]
        self.facts = Facts(
            num_bins=self.layout.num_bins,
            bin_size_s=sessions[0].bin_size_s,
            units_per_session=tuple(entry["num_units"] for entry in self.table),
            num_targets=sessions[0].behaviour[SPEECH].shape[1],
        )
        self._scales: dict[int, robust_scale.Scale] = {}
        self._stages = Stages(self.sessions, self.layout, config, seed, new_until)

    def shapes(self) -> list[tuple[int, int, int, int]]:
        """(G, b, T, C) of every kind of batch; InputError where nothing is to train on."""
        return self._stages.shapes()

    def largest_batch(self) -> Batch:
        """A batch of the shape with the most entries."""
        return self.gather(self._stages.largest())

    def contents(self) -> str:
        """`4 people, 18 channels, 8 speech features, 2,688 sentences`."""
        channels = sorted({session.num_units for session in self.sessions})
        told = " or ".join(map(str, channels))
        without = f", {self.num_left_out:,} trials without all of it left out"
        return (
            f"{len(self.sessions)} people, {told} channels, {self.facts.num_targets} speech "
            f"features{without if self.num_left_out else ''}, {len(self.items):,} of "
            f"{self._config.item}"
        )

    def plan(self, index: int) -> Plan:
        """Which trials of which people batch `index` holds."""
        return self._stages.plan(index)

    def session_names(self, index: int) -> list[str]:
        """Names of the people in batch `index`."""
        return self._stages.session_names(index)

    def batch(self, index: int, rows: Callable[[int], slice] = slice) -> Batch:
        """Batch `index`; `rows` says which of the b trials of a group to gather, default all.

        Returns:
            trials: values float32 [G, b, T, C], standardised, zero past a window's end and where
            nobody looked; bin_valid bool [G, b, T]; speech float32 [G, b, T, F]; item int32 [G, b];
            trial_id int32 [G, b]. groups: position float32 [G, C, 2]; channel_valid bool [G, C];
            session_row int32 [G].
        """
        plan = self.plan(index)
        other = None
        if self._config.swap_muscle:
            rng = np.random.Generator(np.random.Philox(key=[self._seed, index], counter=1 << 64))
            other = np.stack([self._others(*pair, rng) for pair in zip(*plan[:2], strict=True)])
        kept = rows(plan.trial.shape[1])
        other = None if other is None else other[:, kept]
        return self.gather(plan._replace(trial=plan.trial[:, kept]), other)

    def _others(self, number: int, trial: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Whose muscle part each trial gets: another train trial's for a share of them."""
        train = self.sessions[number].trials_of(TRAIN)
        swapped = rng.random(len(trial)) < self._config.swap_muscle
        return np.where(swapped, train[rng.integers(len(train), size=len(trial))], trial)

    def validation_batches(self) -> list[Batch]:
        """One batch a person with validation trials, padded to one shape."""
        size = self.trials_per_batch
        listed = [(n, s.trials_of(VALIDATION)[:size]) for n, s in enumerate(self.sessions)]
        return [self.padded(number, trials, size) for number, trials in listed if len(trials)]

    def passes(self, number: int, trials: np.ndarray) -> Iterator[tuple[np.ndarray, Batch]]:
        """Trials of one person in steps of one shape: (trials of the step, batch)."""
        for first in range(0, len(trials), self.trials_per_batch):
            part = trials[first : first + self.trials_per_batch]
            yield part, self.padded(number, part, self.trials_per_batch)

    def padded(self, number: int, trials: np.ndarray, size: int) -> Batch:
        """Trials of one person as one group of `size`; padding has no valid bin and item -1."""
        width = batching.padded_width(self.sessions[number].num_units, self._config.bucket_units)
        filled = np.pad(np.asarray(trials, np.int32), (0, size - len(trials)), mode="edge")
        batch = self.gather(Plan(np.int32([number]), filled[None], width))
        for name, empty in (("bin_valid", False), ("item", -1), ("values", 0), ("speech", 0)):
            batch.trials[name][:, len(trials) :] = empty
        return batch

    def scale(self, number: int) -> robust_scale.Scale:
        """Of one person."""
        if number not in self._scales:
            self._scales[number] = robust_scale.of_session(self.sessions[number])
        return self._scales[number]

    def standardised(self, number: int, values: np.ndarray) -> np.ndarray:
        """Samples [..., C] of one person as batches have them, float32."""
        centre, spread = self.scale(number)
        return np.clip((values - centre) / spread, -self._config.clip_sd, self._config.clip_sd)

    def raw(self, number: int, trials: np.ndarray, name: str = "values") -> np.ndarray:
        """Windows of one person, float32 [K, T, ...]: `values` or a behaviour, zero past an end."""
        session, num_bins = self.sessions[number], self.facts.num_bins
        samples = session.values if name == "values" else session.behaviour[name]
        found = np.zeros((len(trials), num_bins, samples.shape[1]), np.float32)
        first, length = session.trial_start_bin[trials], session.trial_num_bins[trials]
        plain = np.asarray(samples)
        for window, start, size in zip(found, first.tolist(), length.tolist(), strict=True):
            window[:size] = plain[start : start + size]
        return found

    def gather(self, plan: Plan, muscle_of: np.ndarray | None = None) -> Batch:
        """The batch of a plan.

        Args:
            plan: which trials of whom.
            muscle_of: int [G, b], trials of the same people whose muscle part stands in place of
                each trial's own; None keeps their own.
        """
        groups, trials = plan.trial.shape
        num_bins, width = self.facts.num_bins, plan.width
        values = np.zeros((groups, trials, num_bins, width), np.float32)
        speech = np.zeros((groups, trials, num_bins, self.facts.num_targets), np.float32)
        position = np.zeros((groups, width, 2), np.float32)
        item = np.zeros((groups, trials), np.int32)
        length = np.zeros((groups, trials), np.int64)
        for group, (number, own) in enumerate(zip(plan.session.tolist(), plan.trial, strict=True)):
            session = self.sessions[number]
            window = self.raw(number, own)
            if muscle_of is not None:
                window += self.raw(number, muscle_of[group], MUSCLE) - self.raw(number, own, MUSCLE)
            values[group, ..., : session.num_units] = self.standardised(number, window)
            speech[group] = self.raw(number, own, SPEECH)
            position[group, : session.num_units] = places_of(session)
            item[group], length[group] = self.item[number][own], session.trial_num_bins[own]
            if session.validity is not None:
                values[group, ..., : session.num_units] *= session.entry_valid(own, num_bins)
        bin_valid = np.arange(num_bins) < length[..., None]  # [G, b, T]
        values *= bin_valid[..., None]
        channels = np.asarray([self.sessions[number].num_units for number in plan.session])
        return Batch(
            trials={
                "values": values,
                "bin_valid": bin_valid,
                "speech": speech,
                "item": item,
                "trial_id": plan.trial.astype(np.int32),
            },
            groups={
                "position": position,
                "channel_valid": np.arange(width) < channels[:, None],
                "session_row": self.layout.session_row[plan.session],
            },
        )


def open_source(
    sessions: Sequence[Session],
    config: Config,
    seed: int,
    table: list[dict[str, Any]] | None = None,
    new_until: tuple[int, int] | None = None,
) -> SpeechSource:
    """The source of a run; arguments as of `sources.spikes.open_source`.

    Raises:
        InputError: counts, no speech, no such condition, a channel without a place, or people whose
            speech has other features.
    """
    return SpeechSource(sessions, config, seed, table, new_until)


def rows_of(sessions: Sequence[Session], table: Sequence[Mapping[str, Any]]) -> Layout:
    """Where people live in the tables of trained weights; InputError for one without rows."""
    return Layout.of(sessions, table)


def open_data(data: Mapping[str, Any], seed: int) -> Dataset:
    """The recordings that a config names, see `made_up.stored_or_made`."""
    return made_up.stored_or_made(data, seed, speech_eeg.SpeechSpec, speech_eeg.sessions)


def places_of(session: Session) -> np.ndarray:
    """Where the channels lie, float32 [C, 2], head radii."""
    return np.stack([session.unit_metadata[name] for name in PLACES], 1).astype(np.float32)


def known_throughout(session: Session) -> np.ndarray:
    """Trials in which speech (and the muscle part, where there is one) is known at every sample,
    bool [trials]: one NaN would spoil the loss of a whole batch."""
    known = np.ones(session.num_trials, bool)
    first = session.trial_start_bin
    for name in {SPEECH, MUSCLE} & session.behaviour.keys():
        bad = ~(session.behaviour_valid[name] & np.isfinite(session.behaviour[name]).all(1))
        before = np.append(0, np.cumsum(bad))
        known &= before[first + session.trial_num_bins] == before[first]
    return known


def _check(sessions: Sequence[Session], config: Config) -> None:
    require(sessions, "data.source=speech got no session; convert a recording first")
    width = None
    for session in sessions:
        where = f"session {session.session_id}"
        require(
            session.observation == "real",
            f"{where} holds counts of spikes, but data.source=speech reads real values; train it "
            "with configs/mtm.py",
        )
        require(
            SPEECH in session.behaviour,
            f"{where} has no behaviour {SPEECH!r} (features of what was said, at the rate of the "
            f"signal), it has {sorted(session.behaviour)}; convert it with them",
        )
        require(
            config.item in session.conditions,
            f"{where} has no condition {config.item!r}, expected one of "
            f"{sorted(session.conditions)}; set data.item",
        )
        placed = all(name in session.unit_metadata for name in PLACES)
        require(
            placed and np.isfinite(places_of(session)).all(),
            f"{where} has channels without a place (head_x, head_y in head radii); convert it with "
            "the positions of its electrodes",
        )
        require(
            not config.swap_muscle or MUSCLE in session.behaviour,
            f"{where} has no behaviour {MUSCLE!r}, which data.swap_muscle={config.swap_muscle:g} "
            "exchanges; set it to 0",
        )
        found = session.behaviour[SPEECH].shape[1]
        width = found if width is None else width
        require(
            found == width,
            f"{where} has {found} speech features, {sessions[0].session_id} has {width}; convert "
            "them with the same ones",
        )
