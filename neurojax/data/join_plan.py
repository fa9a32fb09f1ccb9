"""Where the parts of one recording go in the session of all: which trials, and which units, are
the same."""

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurojax.data.session import Session
from neurojax.data.splits import random_split
from neurojax.errors import InputError, require

HOW = ("auto", "units", "time")
# names in info["findings"]
NOT_EVERYWHERE = "trials that some of the joined parts lack"
NOT_IN_ALL = "units that some of the joined blocks lack, not observed there"
SHIFTED = "blocks put one after another, as their clocks overlap"
_PROBE = re.compile(r"imec|probe|shank|array|tetrode|octrode|prb", re.IGNORECASE)
_SHARE = 0.5  # of the units of the smaller part, by name, that make two parts blocks of one


class JoinPlan(NamedTuple):
    """Where the parts go in the joined session.

    Attributes:
        unit_id: text [N].
        columns: of each part, int64 [its units]: which of the N they are.
        starts_s, lengths: float64 and int64 [trials], seconds and bins.
        place: of each part, int64 [its trials]: which of these trials they are.
        split: int8 [trials].
        shift_s: of each part, seconds to add to its clock.
        findings: name -> number.
    """

    unit_id: np.ndarray
    columns: list[np.ndarray]
    starts_s: np.ndarray
    lengths: np.ndarray
    place: list[np.ndarray]
    split: np.ndarray
    shift_s: list[float]
    findings: dict[str, int]


def how_to_join(sessions: Sequence[Session], names: Sequence[str]) -> str:
    """ "units" of parts with the same trials, "time" of parts with other trials of the same units.

    Raises:
        InputError: it cannot be told: names of units that agree, and the same times.
    """
    where = f"join of {', '.join(names)}"
    ids = [set(session.unit_id.tolist()) for session in sessions]
    pairs = [(one, other) for place, one in enumerate(ids) for other in ids[:place]]
    alike = min((len(a & b) / min(len(a), len(b)) for a, b in pairs), default=1.0)
    remedy = "give --join=units (probes) or --join=time (blocks)"
    if not _share_time(sessions):
        require(
            alike >= _SHARE,
            f"{where}: neither trials nor names of units are the same, so they may be probes or "
            f"blocks; {remedy}",
        )
        return "time"
    probes = len(set(names)) > 1 and all(_PROBE.search(name) for name in names)
    require(
        alike < 1 or len(set(map(len, ids))) > 1 or probes,
        f"{where}: units have the same names and trials the same times in all of them, so they may "
        f"be probes or blocks with clocks of their own; {remedy}",
    )
    agree = max(
        (len(a & b) / min(len(a), len(b)) for a, b in pairs if not _counted_up(a, b)), default=0.0
    )
    require(
        agree < _SHARE or probes,
        f"{where}: the parts name {agree:.0%} of their units alike and share time, so they may be "
        f"blocks of the same units with clocks of their own, or probes; {remedy}",
    )
    return "units"


def _counted_up(*ids: set[str]) -> bool:
    """Whether names are those of units that nobody named: 0 to N - 1."""
    return all(own == set(map(str, range(len(own)))) for own in ids)


def check_parts(sessions: Sequence[Session], names: Sequence[str], where: str) -> None:
    """Raises InputError unless the parts are counts of one subject in bins of one size."""
    require(
        len(sessions) == len(names) > 0,
        f"{where}: {len(names)} names for {len(sessions)} sessions, expected one a part",
    )
    require(
        all(isinstance(name, str) and name.strip() for name in names)
        and len(set(names)) == len(names),
        f"{where}: parts need names of their own, such as imec0 and imec1",
    )
    for session, name in zip(sessions, names, strict=True):
        require(
            session.observation == "counts",
            f"{where}: {name} holds real values, and counts alone are joined; leave it out",
        )
        require(
            np.isclose(session.bin_size_s, sessions[0].bin_size_s, rtol=1e-9, atol=0),
            f"{where}: {name} has bins of {session.bin_size_s * 1000:g} ms, {names[0]} of "
            f"{sessions[0].bin_size_s * 1000:g} ms; convert both with one --bin_ms",
        )
    subjects = {s.info["subject_id"] for s in sessions if s.info.get("subject_id")}
    require(
        len(subjects) <= 1,
        f"{where}: the parts are of subjects {', '.join(sorted(map(str, subjects)))}; join parts "
        "of one recording alone",
    )


def side_by_side(sessions: Sequence[Session], names: Sequence[str], where: str) -> JoinPlan:
    """Probes: the units of all, trials that begin together are one."""
    starts_s, lengths, place = joined_trials(sessions, names, where)
    unit_id = [np.char.add(f"{name}:", s.unit_id) for name, s in zip(names, sessions, strict=True)]
    columns = _numbered([s.num_units for s in sessions])
    lacking = _lacking(place)
    split = _split(sessions, place, lacking > 0, where)
    none = [0.0] * len(sessions)
    findings = {NOT_EVERYWHERE: lacking}
    return JoinPlan(
        np.concatenate(unit_id), columns, starts_s, lengths, place, split, none, findings
    )


def end_to_end(
    sessions: Sequence[Session], order: Sequence[int], shift_s: list[float], where: str
) -> JoinPlan:
    """Blocks: the trials of all, units of one name are one; `order` and `shift_s` of
    `clock_shifts`, `sessions` in that order."""
    as_given = [sessions[i] for i in np.argsort(order)]
    unit_id = list(dict.fromkeys(unit for s in as_given for unit in s.unit_id.tolist()))
    row = {unit: number for number, unit in enumerate(unit_id)}
    columns = [np.array([row[unit] for unit in s.unit_id.tolist()]) for s in sessions]
    require(
        len(sessions) == 1 or len(unit_id) < sum(map(len, columns)),
        f"{where}: no name of a unit is in two parts (such as {unit_id[0]!r}), so these are no "
        "blocks of the same units; join probes with --join=units",
    )
    starts_s = [s.trial_start_s + shift for s, shift in zip(sessions, shift_s, strict=True)]
    return JoinPlan(
        np.array(unit_id),
        columns,
        np.concatenate(starts_s),
        np.concatenate([s.trial_num_bins for s in sessions]),
        _numbered([s.num_trials for s in sessions]),
        np.concatenate([s.split for s in sessions]),
        shift_s,
        {NOT_IN_ALL: _lacking(columns), SHIFTED: int(np.count_nonzero(shift_s))},
    )


def _numbered(lengths: Sequence[int]) -> list[np.ndarray]:
    """Numbers from 0 on, so many for each part."""
    return np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])


def _lacking(place: Sequence[np.ndarray]) -> int:
    """Trials (or units) that not every part has."""
    return int((np.bincount(np.concatenate(place)) < len(place)).sum())


def _span_s(session: Session) -> tuple[float, float]:
    stops = session.trial_start_s + session.trial_num_bins * session.bin_size_s
    return float(session.trial_start_s.min()), float(stops.max())


def _share_time(sessions: Sequence[Session]) -> bool:
    spans, slack_s = sorted(map(_span_s, sessions)), sessions[0].bin_size_s / 2
    return any(one[1] > other[0] + slack_s for one, other in zip(spans, spans[1:], strict=False))


def clock_shifts(sessions: Sequence[Session]) -> tuple[list[int], list[float]]:
    """Order of blocks in time, and the seconds to add to the clock of each in that order."""
    spans = [_span_s(session) for session in sessions]
    order = list(range(len(sessions)))
    if not _share_time(sessions):
        return sorted(order, key=lambda i: spans[i]), [0.0] * len(sessions)
    shifts, end = [], -np.inf
    for start, stop in spans:
        # Whole seconds: bins keep their place on the clock.
        shifts.append(0.0 if start >= end else float(np.ceil(end - start + 1.0)))
        end = stop + shifts[-1]
    return order, shifts


def _split(
    sessions: Sequence[Session], place: Sequence[np.ndarray], lacking: bool, where: str
) -> np.ndarray:
    """Split of the trials of all probes, int8 [trials]; one that was drawn is drawn anew where
    trials or draws differ."""
    num_trials = 1 + max(int(own.max()) for own in place)
    codes, agree = np.full(num_trials, -1, np.int8), True
    for session, own in zip(sessions, place, strict=True):
        agree &= bool(((codes[own] == -1) | (codes[own] == session.split)).all())
        codes[own] = session.split
    if {s.info.get("split_source") for s in sessions} == {"random"} and (lacking or not agree):
        return random_split(num_trials, int(sessions[0].info.get("split_seed", 0)), where)
    require(
        agree,
        f"{where}: the parts give the same trials to different splits; convert all with one "
        "--split",
    )
    return codes


def joined_trials(
    sessions: Sequence[Session], names: Sequence[str], where: str
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Starts and lengths of the trials of all probes, and which of these each probe's are; one that
    several have is one trial."""
    first, half = sessions[0], sessions[0].bin_size_s / 2
    if all(
        np.array_equal(s.trial_num_bins, first.trial_num_bins)
        and (np.abs(s.trial_start_s - first.trial_start_s) <= half).all()
        for s in sessions
    ):  # as they come: trials of one start, of recordings without a clock, stay apart
        same = np.arange(first.num_trials)
        return first.trial_start_s, first.trial_num_bins, [same] * len(sessions)
    starts = np.concatenate([s.trial_start_s for s in sessions])
    lengths = np.concatenate([s.trial_num_bins for s in sessions])
    part = np.repeat(np.arange(len(sessions)), [s.num_trials for s in sessions])
    order = np.argsort(starts, kind="stable")
    trial = np.empty(len(starts), np.int64)
    trial[order] = np.cumsum(np.diff(starts[order], prepend=starts[order[0]]) > half)
    require(
        len({*zip(trial.tolist(), part.tolist(), strict=True)}) == len(trial),
        f"{where}: the parts differ in their trials, and trials of one part begin together, so "
        "none can be told from another; convert the parts with the same trials",
    )
    _, leader = np.unique(trial, return_index=True)  # the first part that has it
    for one in np.flatnonzero(lengths != lengths[leader[trial]])[:1]:
        other = leader[trial[one]]
        raise InputError(
            f"{where}: the trial at {starts[one]:,.6g} s has {lengths[one]} bins in "
            f"{names[part[one]]} and {lengths[other]} in {names[part[other]]}; convert the parts "
            "with the same trials"
        )
    require(
        len(leader) < len(trial),
        f"{where}: no trial is in two of the parts; convert them with the same trials, on one "
        "clock",
    )
    has = np.zeros((len(sessions), len(leader)), bool)
    has[part, trial] = True
    starts, lengths = starts[leader], lengths[leader]
    _check_overlaps(has, starts, starts + (lengths - 0.5) * first.bin_size_s, names, where)
    return starts, lengths, [trial[part == number] for number in range(len(sessions))]


def _check_overlaps(
    has: np.ndarray, starts: np.ndarray, stops: np.ndarray, names: Sequence[str], where: str
) -> None:
    """Trials of different parts that share time must be the same; `has` bool [parts, trials]."""
    for one, other in itertools.combinations(range(len(has)), 2):
        mine = np.flatnonzero(has[one] & ~has[other])
        theirs = np.flatnonzero(has[other] & ~has[one])
        begun = np.searchsorted(starts[theirs], stops[mine])
        latest = np.maximum.accumulate(np.append(-np.inf, stops[theirs]))
        for shared in mine[latest[begun] > starts[mine]][:1]:
            raise InputError(
                f"{where}: the trial of {names[one]} at {starts[shared]:,.6g} s shares time with "
                f"another trial of {names[other]}; convert the parts with the same trials"
            )


def rows_of(first_bin: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Rows of trials that begin at rows `first_bin`, int64 [bins of all]."""
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(first_bin, lengths) + within
