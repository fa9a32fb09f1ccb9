"""Batches of real values with a label each: windows of any person of the train split, side by side.

A batch is one group, for nothing in it belongs to one recording: the people are told apart by no
row of a table, and a person whom training never saw is read like any other.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.batch import Batch
from neurojax.data import batching
from neurojax.data.checks.check_signals import channel_moments
from neurojax.data.session import SPLIT_NAMES, TRAIN, VALIDATION, Session
from neurojax.errors import InputError, require
from neurojax.facts import Facts
from neurojax.ranges import Range, check_ranges, one_of

NORMALISE = ("person", "none")


@dataclasses.dataclass(frozen=True)
class Config:
    """What a batch is.

    Attributes:
        trials_per_batch: b.
        label: name of the condition that is predicted, such as "gesture".
        normalise: "person" takes from each channel its mean over the person's whole recording and
            divides by its standard deviation there, without looking at a label, also for people
            who are tested; "none" leaves the values in their unit.
    """

    trials_per_batch: int
    label: str
    normalise: str

    def __post_init__(self):
        check_ranges(self, "data.", RANGES)


RANGES = {
    "trials_per_batch": Range(lambda number: 0 < number < 2**31, "expected 1 or more"),
    "normalise": one_of(*NORMALISE, expected="expected person or none"),
}


class Pass(NamedTuple):
    """One step through a split, padded to the shape of all the others.

    Attributes:
        batch: arrays of b trials; padding has no valid bin, and -1 for trial_id and label.
        label: int32 [b], class of each trial, -1 in padding.
        session: int32 [b], index of each trial's session in the dataset, -1 in padding.
    """

    batch: Batch
    label: np.ndarray
    session: np.ndarray


class SignalSource:
    """Batches of the train split.

    Attributes:
        facts: sizes; no units, no rows.
        sessions: the recordings, one a person.
        table: `batching.session_table`, for the record of a run.
        trials_per_batch: b.
        class_names: of the label, by class.
        features: what a batch has of each window in place of its samples; None of samples.
    """

    def __init__(self, sessions: Sequence[Session], config, seed: int, features=None):
        _check_alike(sessions)
        self.sessions = tuple(sessions)
        self.table = batching.session_table(sessions)
        self.trials_per_batch, self._label_name = config.trials_per_batch, config.label
        self.class_names, labels = classes_of(sessions, config.label)
        self._label = np.concatenate(labels)
        self._split = np.concatenate([session.split for session in sessions])
        sizes = [session.num_trials for session in sessions]
        self._session = np.repeat(np.arange(len(sessions), dtype=np.int32), sizes)
        self._start = np.concatenate([session.trial_start_bin for session in sessions])
        self._length = np.concatenate([session.trial_num_bins for session in sessions])
        self._first_trial = np.repeat(np.cumsum([0, *sizes[:-1]]), sizes)  # of its session
        self.features = features
        if features is None:
            scales = [_scale(session, config.normalise) for session in sessions]
            self._mean, self._sd = (np.stack(part) for part in zip(*scales, strict=True))  # [S, C]
        self._train = np.flatnonzero(self._split == TRAIN)
        self._seed = seed
        self.facts = Facts(
            num_bins=int(self._length.max()),
            bin_size_s=sessions[0].bin_size_s,
            num_channels=sessions[0].num_units,
            num_classes=len(self.class_names),
            class_names=self.class_names,
            **({} if features is None else features.facts()),
        )

    def shapes(self) -> list[tuple[int, int, int, int]]:
        """(G, b, T, C) of every kind of batch: what a run compiles; InputError where nothing is to
        train on."""
        require(
            len(self._train), "no session has a training trial; expected split 0; convert again"
        )
        facts = self.facts
        if self.features is not None:
            return [(1, self.trials_per_batch, 1, facts.num_features)]
        return [(1, self.trials_per_batch, facts.num_bins, facts.num_channels)]

    def largest_batch(self) -> Batch:
        """A batch of the shape with the most entries: they all have one."""
        return self.batch(0)

    def contents(self) -> str:
        """`8 channels, 7 classes of gesture`."""
        facts = self.facts
        return f"{facts.num_channels} channels, {facts.num_classes} classes of {self._label_name}"

    def plan(self, index: int) -> np.ndarray:
        """The trials of batch `index`, int64 [b], as `trial_id` counts them; each is drawn alike.

        A trial comes once in a batch; only where there are fewer than b may it come again.
        """
        rng = np.random.default_rng([self._seed, index])
        again = len(self._train) < self.trials_per_batch
        return self._train[rng.choice(len(self._train), self.trials_per_batch, replace=again)]

    def batch(self, index: int, rows: Callable[[int], slice] = slice) -> Batch:
        """Batch `index`; `rows` says which of the b trials to gather, default all.

        Returns:
            trials: values float32 [1, b, T, C], zero past a trial's end; bin_valid bool [1, b, T];
            trial_id int32 [1, b], place among the trials of all sessions; label int32 [1, b].
        """
        return self._gather(self.plan(index)[rows(self.trials_per_batch)])

    def session_names(self, index: int) -> list[str]:
        """Names of the sessions in batch `index`."""
        numbers = np.unique(self.session_of(self.plan(index)))
        return [self.sessions[number].session_id for number in numbers]

    def session_of(self, trial_id: np.ndarray) -> np.ndarray:
        """Index in the dataset of the session of each trial, int32, the shape of `trial_id`."""
        return self._session[trial_id]

    def validation_batches(self) -> list[Batch]:
        """One batch for each session with validation trials: b of them, evenly spread over it."""
        batches = []
        for number in range(len(self.sessions)):
            own = np.flatnonzero((self._split == VALIDATION) & (self._session == number))
            if len(own):
                places = np.linspace(0, len(own) - 1, self.trials_per_batch).astype(np.int64)
                batches.append(self._padded(own[np.unique(places)]).batch)
        return batches

    def passes(self, split: int) -> Iterator[Pass]:
        """Every trial of a split once, in the order of the sessions, in steps of one shape.

        Raises:
            InputError: the split has no trial.
        """
        own = np.flatnonzero(self._split == split)
        if not len(own):
            raise InputError(
                f"no session has a {SPLIT_NAMES[split]} trial; convert with more people"
            )
        for first in range(0, len(own), self.trials_per_batch):
            yield self._padded(own[first : first + self.trials_per_batch])

    def _padded(self, trials: np.ndarray) -> Pass:
        """A pass of up to b trials, int64 [at most b]."""
        missing = self.trials_per_batch - len(trials)
        batch = self._gather(np.append(trials, np.full(missing, trials[0])))
        real = np.arange(self.trials_per_batch) < len(trials)
        batch.trials["bin_valid"][:, ~real] = False
        batch.trials["values"][:, ~real] = 0
        for name in ("trial_id", "label"):
            batch.trials[name][:, ~real] = -1
        session = np.full(self.trials_per_batch, -1, np.int32)
        session[real] = self._session[trials]
        return Pass(batch, batch.trials["label"][0], session)

    def _gather(self, trials: np.ndarray) -> Batch:
        """The batch of trials [b]."""
        if self.features is None:
            values, bin_valid = self._samples(trials)
        else:
            own = trials - self._first_trial[trials]
            values = self.features.of(self._session[trials], own)[None, :, None]
            bin_valid = np.ones((len(trials), 1), bool)
        return Batch(
            trials={
                "values": values,
                "bin_valid": bin_valid[None],
                "trial_id": trials.astype(np.int32)[None],
                "label": self._label[trials][None],
            },
            groups={},
        )

    def _samples(self, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Windows [1, b, T, C] of trials [b], read from the (memory-mapped) recordings, and which
        bins are theirs, bool [b, T]."""
        num_bins = self.facts.num_bins
        values = np.zeros((1, len(trials), num_bins, self.facts.num_channels), np.float32)
        session, start, length = self._session[trials], self._start[trials], self._length[trials]
        recorded = [np.asarray(self.sessions[number].values) for number in session]  # plain views
        stops = (start + length).tolist()
        for window, own, first, stop in zip(
            values[0], recorded, start.tolist(), stops, strict=True
        ):
            window[: stop - first] = own[first:stop]
        bin_valid = np.arange(num_bins) < length[:, None]  # [b, T]
        values = (values - self._mean[session, None]) / self._sd[session, None]
        values[0][~bin_valid] = 0  # a mean was taken from the padding too
        for window, number, first, stop in zip(values[0], session, start, stops, strict=True):
            if self.sessions[number].validity is not None:  # what nobody saw stands at its mean
                self._hide(window, int(number), int(first), stop)
        return values, bin_valid

    def _hide(self, window: np.ndarray, number: int, first: int, stop: int) -> None:
        """Zeros in a standardised window [T, C] where a channel was not observed."""
        seen = self.sessions[number].entries(first, stop)
        window[: stop - first][~seen] = 0


def open_source(sessions: Sequence[Session], config: Config, seed: int) -> SignalSource:
    """The source of a run.

    Args:
        sessions: recordings of real values, one a person, that share channels, rate and unit.
        config: what a batch is.
        seed: of the draws.

    Raises:
        InputError: counts, recordings that differ, no such condition, or no training trial.
    """
    return SignalSource(sessions, config, seed)


def rows_of(sessions: Sequence[Session], table: list[dict[str, Any]]) -> None:
    """No row belongs to a person; raises InputError for recordings of counts, or that differ among
    themselves."""
    _check_alike(sessions)


def classes_of(sessions: Sequence[Session], label: str) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Names of the classes, and the class of every trial of each session, int32 [trials].

    Where the recordings name the values of a condition (`info["condition_names"]`), these are the
    classes, also those that no trial has: so they agree between datasets. Else they are the
    different values, in order.

    Raises:
        InputError: a session lacks the condition, or names its values otherwise.
    """
    for session in sessions:
        require(
            label in session.conditions,
            f"session {session.session_id} has no condition {label!r}, expected one of "
            f"{sorted(session.conditions)}; set data.label",
        )
    columns = [session.conditions[label] for session in sessions]
    named = [_names_of(session, label) for session in sessions]
    if any(found != named[0] for found in named):
        odd = next(s for s, found in zip(sessions, named, strict=True) if found != named[0])
        raise InputError(
            f"session {odd.session_id} names the values of {label!r} otherwise than "
            f"{sessions[0].session_id}; convert both with the same names"
        )
    if named[0] is None:
        values = np.unique(np.concatenate([np.asarray(column, str) for column in columns]))
        return tuple(values.tolist()), [
            np.searchsorted(values, np.asarray(column, str)).astype(np.int32) for column in columns
        ]
    for session, column in zip(sessions, columns, strict=True):
        whole = column.dtype.kind in "iu"
        if not whole or column.min() < 0 or column.max() >= len(named[0]):
            raise InputError(
                f"session {session.session_id}: {label!r} is {column.dtype} up to {column.max()}, "
                f"expected whole numbers below {len(named[0])}, its number of names"
            )
    return named[0], [column.astype(np.int32) for column in columns]


def _names_of(session: Session, label: str) -> tuple[str, ...] | None:
    """Names of a condition's values, as the converter left them; None where it did not."""
    known: Any = session.info.get("condition_names")
    found = known.get(label) if isinstance(known, dict) else None
    return tuple(map(str, found)) if isinstance(found, list) and found else None


def _check_alike(sessions: Sequence[Session]) -> None:
    require(sessions, "data.source=signals got no session; convert a recording first")
    first = sessions[0]
    for session in sessions:
        require(
            session.observation == "real",
            f"session {session.session_id} holds counts of spikes, but data.source=signals reads "
            "real values; train it with configs/mtm.py or lfads.py",
        )
        for name in ("num_units", "sampling_hz", "unit_of_values"):
            mine, other = getattr(session, name), getattr(first, name)
            if mine != other:
                word = "channels" if name == "num_units" else name
                raise InputError(
                    f"session {session.session_id} has {word} {mine}, but {first.session_id} has "
                    f"{other}; train on recordings that agree"
                )
        mine, other = session.unit_id.tolist(), first.unit_id.tolist()
        require(
            mine == other,
            f"session {session.session_id} has the channels {', '.join(mine)[:60]}, but "
            f"{first.session_id} has {', '.join(other)[:60]}; keep the same ones of everybody",
        )


def _scale(session: Session, normalise: str) -> tuple[np.ndarray, np.ndarray]:
    """What is taken from each channel and what it is divided by, float32 [C] twice."""
    mean, sd = channel_moments(session)
    require(
        np.isfinite(mean).all() and np.isfinite(sd).all(),
        f"session {session.session_id} holds NaN or infinity; leave these samples out and convert "
        "again",
    )
    if normalise == "none":
        mean, sd = np.zeros_like(mean), np.ones_like(sd)
    # A channel that never changes would divide by zero; it becomes zero throughout.
    return mean.astype(np.float32), np.where(sd > 0, sd, 1).astype(np.float32)
