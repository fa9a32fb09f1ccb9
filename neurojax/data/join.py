"""Several parts of one recording (two probes, two arrays) as one session: the units of all, the
trials of each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.data.join_trials import JoinedTrials, joined_trials, num_lacking, rows_of
from neurojax.data.observed import entries_of, intervals_of
from neurojax.data.session import Session, SpikeTimes
from neurojax.data.splits import random_split
from neurojax.data.store.session_rules import validate_session
from neurojax.errors import require

# names in info["findings"]
NOT_EVERYWHERE = "trials that some of the joined parts lack"
DISAGREE = "columns on which joined parts disagree, kept under the part's name"
_SUMMED = ("units_dropped", "spikes_dropped", "findings")  # numbers by name


def join(sessions: Sequence[Session], names: Sequence[str]) -> Session:
    """One session of the units of all parts, named `part:unit`; parts share clock, trials and bins.

    A trial that one part lacks stays: the units of that part were not observed in it, and
    info["findings"] counts such trials. Conditions and behaviours of one name are one where the
    parts agree; where they do not, a later part keeps its own as `name_part`.

    Args:
        sessions: counts of one recording; trials of two parts are the same when they begin within
            half a bin of each other.
        names: of the parts, in the order of `sessions`: "imec0", "imec1".

    Returns:
        a session with the session_id of the first part.

    Raises:
        InputError: names are not one a part, or the parts differ in kind, bin size, subject, or in
            trials that share time.
    """
    where = f"join of {', '.join(map(str, names))}"
    check_parts(sessions, names, where)
    trials = joined_trials(sessions, names, where)
    num_trials, total_bins = len(trials.lengths), int(trials.lengths.sum())
    first_bin = np.cumsum(trials.lengths) - trials.lengths
    rows = [rows_of(first_bin[own], trials.lengths[own]) for own in trials.place]
    taken = [rows_of(s.trial_start_bin, s.trial_num_bins) for s in sessions]
    conditions, odd = _merged([s.conditions for s in sessions], trials.place, num_trials, names)
    signals, odd_signals = _merged(
        [_known(s, own) for s, own in zip(sessions, taken, strict=True)], rows, total_bins, names
    )
    units = [np.char.add(f"{name}:", s.unit_id) for name, s in zip(names, sessions, strict=True)]
    findings = {NOT_EVERYWHERE: num_lacking(trials), DISAGREE: odd + odd_signals}
    split, drawn = _split(sessions, trials, where)
    sides = {
        name: np.concatenate([getattr(s, name) for s in sessions])
        for name in ("region", "region_group", "region_source")
    }
    return validate_session(
        sessions[0].with_fields(
            counts=_stacked([s.counts for s in sessions], rows, taken, total_bins),
            unit_id=np.concatenate(units),
            **sides,
            trial_start_bin=first_bin,
            trial_num_bins=trials.lengths,
            trial_start_s=trials.starts,
            split=split,
            conditions=conditions,
            behaviour=signals,
            behaviour_valid={n: np.isfinite(v).any(axis=1) for n, v in signals.items()},
            unit_metadata=_unit_metadata(sessions),
            true_rates=_true_rates(sessions, rows, taken, total_bins),
            spikes=_spikes(sessions),
            validity=intervals_of(_observed(sessions, rows, taken, total_bins)),
            info=joined_info(sessions, names, findings, where) | drawn,
        )
    )


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


def _known(session: Session, taken: np.ndarray) -> dict[str, np.ndarray]:
    """Behaviours in the order of trials, float32 [bins, dims], NaN where they are not known."""
    return {
        name: np.where(session.behaviour_known(name), values, np.float32(np.nan))[taken]
        for name, values in session.behaviour.items()
    }


def _merged(
    columns: Sequence[Mapping[str, np.ndarray]],
    place: Sequence[np.ndarray],
    num_rows: int,
    names: Sequence[str],
) -> tuple[dict[str, np.ndarray], int]:
    """Columns of all parts at the rows of all, and how many could not be made one."""
    made: dict[str, np.ndarray] = {}
    filled: dict[str, np.ndarray] = {}  # rows that some part gave
    odd = 0
    for of_part, rows, part in zip(columns, place, names, strict=True):
        for name, values in of_part.items():
            known = np.zeros(num_rows, bool)
            known[rows] = True
            laid = _laid(values, rows, num_rows)
            if name not in made:
                made[name], filled[name] = laid, known
            elif _agree(made[name], laid, filled[name] & known):
                made[name], filled[name] = _one(made[name], laid, filled[name], known)
            else:
                odd += 1
                made[f"{name}_{part}"], filled[f"{name}_{part}"] = laid, known
    return {name: _gaps_told(values, filled[name]) for name, values in made.items()}, odd


def _laid(values: np.ndarray, rows: np.ndarray, num_rows: int) -> np.ndarray:
    laid = np.zeros((num_rows, *values.shape[1:]), values.dtype)
    laid[rows] = values
    return laid


def _agree(one: np.ndarray, other: np.ndarray, both: np.ndarray) -> bool:
    if one.shape != other.shape or (one.dtype.kind == "U") != (other.dtype.kind == "U"):
        return False
    if one.dtype.kind == "U":
        return bool((one[both] == other[both]).all())
    one, other = one[both].astype(np.float64), other[both].astype(np.float64)
    # one part may know where the other does not
    return bool((np.isnan(one) | np.isnan(other) | np.isclose(one, other, rtol=1e-6)).all())


def _one(
    one: np.ndarray, other: np.ndarray, has_one: np.ndarray, has_other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One column of two that agree; what the first does not know is the second's."""
    take = np.broadcast_to((has_other & ~has_one)[(..., *[None] * (one.ndim - 1))], one.shape)
    if one.dtype.kind == "f":
        both = (has_other & has_one)[(..., *[None] * (one.ndim - 1))]
        take = take | (both & np.isnan(one))
    return np.where(take, other, one), has_one | has_other


def _gaps_told(values: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """A column with NaN, or no text, in the rows that no part gave."""
    if filled.all() or values.dtype.kind == "U":
        return values
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    return np.where(filled[(..., *[None] * (values.ndim - 1))], values, values.dtype.type(np.nan))


def _stacked(
    parts: Sequence[np.ndarray],
    rows: Sequence[np.ndarray],
    taken: Sequence[np.ndarray],
    total_bins: int,
) -> np.ndarray:
    """The units of all parts side by side, zero where a part has no row."""
    num_units = [part.shape[1] for part in parts]
    made = np.zeros((total_bins, sum(num_units)), np.result_type(*[part.dtype for part in parts]))
    column = 0
    for part, own, source in zip(parts, rows, taken, strict=True):
        made[own, column : column + part.shape[1]] = part[source]
        column += part.shape[1]
    return made


def _observed(
    sessions: Sequence[Session],
    rows: Sequence[np.ndarray],
    taken: Sequence[np.ndarray],
    total_bins: int,
) -> np.ndarray | None:
    """Entries that were observed, bool [total_bins, N]; None where all were."""
    if all(
        s.validity is None and len(own) == total_bins for s, own in zip(sessions, rows, strict=True)
    ):
        return None
    entries = [
        np.ones(s.counts.shape, bool)
        if s.validity is None
        else entries_of(s.validity, len(s.counts), s.num_units)
        for s in sessions
    ]
    return _stacked(entries, rows, taken, total_bins)


def _true_rates(
    sessions: Sequence[Session],
    rows: Sequence[np.ndarray],
    taken: Sequence[np.ndarray],
    total_bins: int,
) -> np.ndarray | None:
    if any(s.true_rates is None for s in sessions):
        return None
    return _stacked([s.true_rates for s in sessions], rows, taken, total_bins)


def _spikes(sessions: Sequence[Session]) -> SpikeTimes | None:
    """Spike times of all parts in order of time; None where a part has none."""
    if any(s.spikes is None for s in sessions):
        return None
    before = np.cumsum([0, *[s.num_units for s in sessions]])
    times = np.concatenate([s.spikes.time_s for s in sessions])
    units = np.concatenate(
        [s.spikes.unit_index + n for s, n in zip(sessions, before[:-1], strict=True)]
    )
    order = np.argsort(times, kind="stable")
    return SpikeTimes(times[order], units[order].astype(np.int32))


def _unit_metadata(sessions: Sequence[Session]) -> dict[str, np.ndarray]:
    """Numbers of the units of all parts, NaN where a part has no such column."""
    names = dict.fromkeys(name for s in sessions for name in s.unit_metadata)
    return {
        name: np.concatenate(
            [s.unit_metadata.get(name, np.full(s.num_units, np.float32("nan"))) for s in sessions]
        )
        for name in names
    }


def _split(
    sessions: Sequence[Session], trials: JoinedTrials, where: str
) -> tuple[np.ndarray, dict[str, Any]]:
    """Split of the trials of all parts, and what `info` says of it."""
    same = not num_lacking(trials)
    sources = {s.info.get("split_source") for s in sessions}
    codes, agree = sessions[0].split, same
    if not same or any(not np.array_equal(s.split, codes) for s in sessions):
        codes = np.full(len(trials.lengths), -1, np.int8)
        agree = True
        for session, own in zip(sessions, trials.place, strict=True):
            agree &= bool(((codes[own] == -1) | (codes[own] == session.split)).all())
            codes[own] = session.split
    if sources == {"random"} and not (same and agree):
        seed = int(sessions[0].info.get("split_seed", 0))  # other trials: drawn anew
        return random_split(len(trials.lengths), seed, where), {}
    require(
        agree,
        f"{where}: the parts give the same trials to different splits; convert all with one "
        "--split",
    )
    return codes, {}


def joined_info(
    sessions: Sequence[Session], names: Sequence[str], findings: dict[str, int], where: str
) -> dict[str, Any]:
    """The first part's record, numbers summed, with what each part was made from."""
    made = {}
    for session in reversed(sessions):  # the first part that says something wins
        made |= {key: value for key, value in session.info.items() if value not in (None, "", {})}
    for key in _SUMMED:
        total = Counter()
        for session in sessions:
            total.update(session.info.get(key) or {})
        made[key] = dict(total)
    made["findings"] |= {name: number for name, number in findings.items() if number}
    dropped = [session.info.get("trials_dropped") or {} for session in sessions]
    made["trials_dropped"] = (
        dropped[0]
        if all(own == dropped[0] for own in dropped)
        else {
            f"{part}: {reason}": number
            for part, own in zip(names, dropped, strict=True)
            for reason, number in own.items()
        }
    )
    made["joined"] = {
        name: {
            "num_units": session.num_units,
            "num_trials": session.num_trials,
            "source": session.info.get("source"),
        }
        for name, session in zip(names, sessions, strict=True)
    }
    made["source"] = {"parts": list(names)}
    return {**sessions[0].info, **made}
