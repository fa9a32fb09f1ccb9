"""Batches of surface EMG: each window as features, standardised over its own person.

Nothing of a person but the unlabelled recording is used to standardise it. People to train on who
wear the armband otherwise than the others (turned, or the other way round) are read in the order of
channels in which their labels agree with the others' (`data.ring_orders`); the order of people who
are tested is found without labels when they are read (`evals.ring_order`).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data import emg_features, ring_orders, splits
from neurojax.data.checks.check_signals import channel_moments
from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.sources.signals import SignalSource, classes_of, rows_of
from neurojax.data.store.dataset import Dataset, dataset_of, open_dataset
from neurojax.errors import require
from neurojax.ranges import Range, at_least, check_ranges, positive

__all__ = [
    "Config",
    "Features",
    "open_data",
    "open_other",
    "open_source",
    "require_ring",
    "require_spread",
    "rows_of",
]

ORDERS = ("ring", "as_worn")
AS_CONVERTED = -1
_CHUNK_WINDOWS = 4096
_LEAST_SD = 1e-6  # a feature that never changes would divide by zero


@dataclasses.dataclass(frozen=True)
class Config:
    """What a batch is.

    Attributes:
        trials_per_batch: b.
        label: name of the condition that is predicted, such as "gesture".
        order: "ring" reads people in the order of channels that makes them alike, "as_worn" in that
            of the recording; "NAME=K,..." reads these people in order K of `ring_orders.orders` and
            others to train on as worn: `neurojax adapt` finds K. People who are tested are read in
            an order found without labels all the same (`evals.ring_order`).
        min_step: least step between two samples that counts, in the unit of the recordings; less is
            noise.
        fold: of the folds that the conversion kept: this one is tested, all others train;
            -1: the split of the conversion.
    """

    trials_per_batch: int
    label: str
    order: str
    min_step: float
    fold: int

    def __post_init__(self):
        check_ranges(self, "data.", RANGES)

    @property
    def in_order(self) -> bool:
        """Whether people are read in the order that makes them alike."""
        return self.order != "as_worn"


def given_orders(order: str) -> dict[str, int] | None:
    """{name: order} of "NAME=K,..."; None of anything else."""
    pairs = [one.rpartition("=") for one in order.split(",")]
    if not all(name and number.isdecimal() for name, _, number in pairs):
        return None
    return {name: int(number) for name, _, number in pairs}


RANGES = {
    "trials_per_batch": Range(lambda number: 0 < number < 2**31, "expected 1 or more"),
    "order": Range(
        lambda order: order in ORDERS or given_orders(order) is not None,
        f"choose from {', '.join(ORDERS)}, or give NAME=K of people",
    ),
    "min_step": positive(),
    "fold": at_least(-1, "expected a fold of people.csv, or -1 for the split of the conversion"),
}


class Features:
    """Features of the windows of people, computed when they are first asked for and kept.

    Attributes:
        order: int [people], the order in which each is read, see `ring_orders.orders`.
    """

    def __init__(self, sessions: Sequence[Session], min_step: float):
        self._sessions, self._min_step = sessions, min_step
        channels = sessions[0].num_units
        orders = ring_orders.orders(channels)
        self.columns = np.stack([emg_features.reordered(order) for order in orders])  # [2 C, F]
        self.order = np.zeros(len(sessions), np.int64)
        self._kept: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self._scale: tuple[tuple[float, ...], ...] = ()

    def facts(self) -> dict[str, Any]:
        """What `Facts` says of them."""
        return {"num_features": self.columns.shape[1], "feature_scale": self._scale}

    def raw(self, number: int) -> np.ndarray:
        """Features of all windows of a person as worn, float32 [trials, F]."""
        values, mean, sd = self._person(number)
        return values * sd + mean

    def standardised(self, number: int) -> np.ndarray:
        """`raw` with mean 0 and standard deviation 1 over the whole recording."""
        return self._person(number)[0]

    def of(self, session: np.ndarray, trial: np.ndarray) -> np.ndarray:
        """Features of windows, standardised and in each person's order, float32 [b, F].

        Args:
            session, trial: int [b], the person, and the window among the person's.
        """
        found = np.empty((len(session), self.columns.shape[1]), np.float32)
        for number in np.unique(session).tolist():
            own = session == number
            rows = self.standardised(number)[trial[own]]
            found[own] = rows[:, self.columns[self.order[number]]]
        return found

    def align(self, labels: Sequence[np.ndarray], num_classes: int, order: str) -> None:
        """Finds the order of the people with training windows from these, and what is typical.

        Args:
            labels: a person each, int [trials].
            num_classes: K.
            order: as of a config.

        Raises:
            InputError: an order is given that there is not.
        """
        trained = {k: s.trials_of(TRAIN) for k, s in enumerate(self._sessions)}
        trained = {k: trials for k, trials in trained.items() if len(trials)}
        given = given_orders(order) or {}
        for k in trained:
            own = given.get(self._sessions[k].session_id, 0)
            require(
                own < len(self.columns),
                f"data.order={order}: {self._sessions[k].session_id} has {len(self.columns)} orders"
                ", counted from 0",
            )
            self.order[k] = own
        if order == "ring" and len(trained) > 2:
            features = [self.standardised(k)[trials] for k, trials in trained.items()]
            own = [labels[k][trials] for k, trials in trained.items()]
            channels = self._sessions[0].num_units
            found = ring_orders.fitted_orders(features, own, num_classes, channels)
            self.order[list(trained)] = found
        scales = []
        for k in trained:
            columns = self.columns[self.order[k]]
            scales.append([part[columns] for part in self._person(k)[1:]])
        if scales:
            self._scale = tuple(map(tuple, np.mean(scales, axis=0).tolist()))  # [2, F]

    def _person(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(standardised features [trials, F], mean [F], standard deviation [F])."""
        if number not in self._kept:
            session = self._sessions[number]
            require(
                len(set(session.trial_num_bins.tolist())) == 1,
                f"session {session.session_id}: EMG features need windows of one length; convert "
                "with neurojax convert emg, or set data.source=signals",
            )
            require(
                session.trial_num_bins[0] >= 2,
                f"session {session.session_id} has windows of one sample, expected two or more; "
                "convert again with a longer --options=window_ms",
            )
            trials = np.arange(session.num_trials)
            centre = channel_moments(session)[0]
            values = np.concatenate(
                [
                    emg_features.all_features(
                        emg_features.observed_windows(session, piece, centre), self._min_step
                    )
                    for piece in np.split(trials, trials[_CHUNK_WINDOWS::_CHUNK_WINDOWS])
                ]
            )
            require(
                np.isfinite(values).all(),
                f"session {session.session_id} holds NaN or infinity; leave these samples out and "
                "convert again",
            )
            mean, sd = values.mean(0), values.std(0)
            require_spread(session, sd, self._min_step)
            sd += np.float32(_LEAST_SD)
            self._kept[number] = ((values - mean) / sd, mean, sd)
        return self._kept[number]


def open_source(sessions: Sequence[Session], config: Config, seed: int) -> SignalSource:
    """The source of a run; arguments and errors as of `signals.open_source`."""
    rows_of(sessions, [])  # the same channels, before any is read
    names, labels = classes_of(sessions, config.label)
    if config.in_order:
        require_ring(sessions)
    features = Features(sessions, config.min_step)
    features.align(labels, len(names), config.order)
    return SignalSource(sessions, config, seed, features)


def require_ring(sessions: Sequence[Session]) -> None:
    """Raises InputError where a channel is missing: the others are no ring any more."""
    for session in sessions:
        ids = session.unit_id.tolist()
        gap = all(one.isdecimal() for one in ids) and np.any(
            np.diff([int(one) for one in ids]) != 1
        )
        require(
            not gap and not session.info.get("units_dropped"),
            f"session {session.session_id} has the channels {', '.join(ids)[:60]}, a channel is "
            "missing; data.order=ring needs all around the arm, set data.order=as_worn",
        )


def require_spread(session: Session, sd: np.ndarray, min_step: float, where="data") -> None:
    """Raises InputError where `min_step` is of another unit: most features are constant, or all
    zero crossings and slope sign changes, for no step reaches it.

    Args:
        sd: standard deviation of each feature of the person, [F], the hand-made ones first.
        where: block of the config that holds min_step.
    """
    counted = sd[2 * session.num_units : 4 * session.num_units]
    if np.mean(sd <= _LEAST_SD) <= 0.5 and np.any(counted > _LEAST_SD):
        return
    steps = np.abs(np.diff(np.asarray(session.values[:_CHUNK_WINDOWS], np.float64), axis=0))
    # Channels that never change have no spread either, whatever the unit.
    typical = np.median(steps[steps > 0]) if np.any(steps > 0) else np.inf
    require(
        typical >= min_step,
        f"session {session.session_id}: {np.mean(sd <= _LEAST_SD):.0%} of the features have no "
        f"spread with {where}.min_step={min_step:g}, half of the steps between samples are below "
        f"{typical:.2g} {session.unit_of_values}; set {where}.min_step in the unit of the "
        f"recordings, such as {typical / 2:.1g}",
    )


def open_data(data: Mapping[str, Any], seed: int) -> Dataset:
    """The people that a config's `data` block names, split by data.fold.

    Raises:
        InputError: no root, a dataset that cannot be read, people without folds, or no such fold.
    """
    require(data["root"], "data.root is empty; give --config.data.root=ROOT of convert emg")
    dataset = open_dataset(Path(data["root"]), verify="full")
    fold, fraction = data["fold"], data["train_fraction"]
    if fold == AS_CONVERTED and fraction == 1:
        return dataset
    sessions = dataset.sessions
    if fold != AS_CONVERTED:
        sessions = _by_fold(sessions, fold)
    return dataset_of(splits.with_train_fraction(one, fraction, seed) for one in sessions)


def open_other(root: Path) -> Dataset:
    """Other people, in the split of their conversion."""
    return open_dataset(root, verify="full")


def _by_fold(sessions: Sequence[Session], fold: int) -> list[Session]:
    """Sessions of which one fold is tested, and all others train."""
    folds = {session.session_id: session.info.get("fold") for session in sessions}
    without = [name for name, own in folds.items() if type(own) is not int]
    require(
        not without,
        f"data.fold={fold}, but {without[:1]} has no fold; convert with people.csv beside the "
        "files, or leave data.fold=-1",
    )
    known = sorted(set(folds.values()))
    require(fold in known, f"data.fold={fold}; expected one of {known[:20]}")
    return [
        session.with_fields(
            split=np.full_like(session.split, TEST if folds[session.session_id] == fold else TRAIN)
        )
        for session in sessions
    ]
