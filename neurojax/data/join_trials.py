"""The trials of several parts of one recording: which of them are the same trial."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurojax.data.session import Session
from neurojax.errors import InputError, require


class JoinedTrials(NamedTuple):
    """The trials of all parts together.

    Attributes:
        starts: float64 [trials], seconds.
        lengths: int64 [trials], bins.
        place: of each part, int64 [its trials]: which of these its trials are.
    """

    starts: np.ndarray
    lengths: np.ndarray
    place: list[np.ndarray]


def joined_trials(sessions: Sequence[Session], names: Sequence[str], where: str) -> JoinedTrials:
    """The trials of all parts; one that several parts have is one trial."""
    first, half = sessions[0], sessions[0].bin_size_s / 2
    if all(
        s.num_trials == first.num_trials
        and np.array_equal(s.trial_num_bins, first.trial_num_bins)
        and (np.abs(s.trial_start_s - first.trial_start_s) <= half).all()
        for s in sessions
    ):  # as they come: trials of one start, of recordings without a clock, stay apart
        same = np.arange(first.num_trials)
        return JoinedTrials(first.trial_start_s, first.trial_num_bins, [same] * len(sessions))
    starts = np.concatenate([s.trial_start_s for s in sessions])
    lengths = np.concatenate([s.trial_num_bins for s in sessions])
    part = np.repeat(np.arange(len(sessions)), [s.num_trials for s in sessions])
    order = np.argsort(starts, kind="stable")
    group = np.cumsum(np.diff(starts[order], prepend=starts[order[0]]) > half)
    union = np.empty(len(starts), np.int64)
    union[order] = group
    num = int(group[-1]) + 1
    if len({*zip(union.tolist(), part.tolist(), strict=True)}) != len(union):
        raise InputError(
            f"{where}: the parts differ in their trials, and trials of one part begin together, "
            "so none can be told from another; convert the parts with the same trials"
        )
    leader = np.full(num, len(starts))
    np.minimum.at(leader, union, np.arange(len(starts)))  # the first part that has it
    if (wrong := np.flatnonzero(lengths != lengths[leader[union]])).size:
        one = wrong[0]
        raise InputError(
            f"{where}: the trial at {starts[one]:,.6g} s has {lengths[one]} bins in "
            f"{names[part[one]]} and {lengths[leader[union[one]]]} in "
            f"{names[part[leader[union[one]]]]}; convert the parts with the same trials"
        )
    place = [union[part == number] for number in range(len(sessions))]
    made = JoinedTrials(starts[leader], lengths[leader], place)
    require(
        (_presence(made) > 1).any(),
        f"{where}: no trial is in two of the parts; convert them with the same trials, on one "
        "clock",
    )
    _check_overlaps(made, sessions[0].bin_size_s, names, where)
    return made


def _check_overlaps(
    trials: JoinedTrials, bin_size_s: float, names: Sequence[str], where: str
) -> None:
    """Trials of different parts that share time must be the same trials."""
    stops = trials.starts + (trials.lengths - 0.5) * bin_size_s
    has = np.zeros((len(trials.place), len(trials.lengths)), bool)
    for number, own in enumerate(trials.place):
        has[number, own] = True
    for one in range(len(has)):
        for other in range(one):
            mine, theirs = (
                np.flatnonzero(has[one] & ~has[other]),
                np.flatnonzero(has[other] & ~has[one]),
            )
            begun = np.searchsorted(trials.starts[theirs], stops[mine])
            latest = np.maximum.accumulate(np.append(-np.inf, stops[theirs]))
            if (shared := np.flatnonzero(latest[begun] > trials.starts[mine])).size:
                raise InputError(
                    f"{where}: the trial of {names[one]} at "
                    f"{trials.starts[mine[shared[0]]]:,.6g} s shares time with another trial of "
                    f"{names[other]}; convert the parts with the same trials"
                )


def _presence(trials: JoinedTrials) -> np.ndarray:
    """Parts that have each trial, int64 [trials]."""
    return sum(np.bincount(own, minlength=len(trials.lengths)) for own in trials.place)


def num_lacking(trials: JoinedTrials) -> int:
    """Trials that not every part has."""
    return int((_presence(trials) < len(trials.place)).sum())


def rows_of(first_bin: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Rows of trials that begin at rows `first_bin`, int64 [bins of all]."""
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(first_bin, lengths) + within
