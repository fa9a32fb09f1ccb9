"""Parts of one recording that follow one another (blocks, runs) as one session: the trials of all,
units matched by name; and which of the two ways of joining some parts ask for."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from neurojax.data.join import DISAGREE, check_parts, join, joined_info
from neurojax.data.join_trials import rows_of
from neurojax.data.observed import entries_of, intervals_of
from neurojax.data.session import Session, SpikeTimes, names_a_region
from neurojax.data.store.session_rules import validate_session
from neurojax.errors import InputError, require

HOW = ("auto", "units", "time")
# names in info["findings"]
NOT_IN_ALL = "units that some of the joined blocks lack, not observed there"
SHIFTED = "blocks put one after another, as their clocks overlap"
_PROBE = re.compile(r"imec|probe|shank|array|tetrode|octrode|prb", re.IGNORECASE)
_SHARE = 0.5  # of the units of the smaller part, by name, that make two parts blocks of one


def joined(sessions: Sequence[Session], names: Sequence[str], how: str = "auto") -> Session:
    """Parts of one recording as one session.

    Args:
        sessions: counts of one recording.
        names: of the parts.
        how: "units" sets the units of all parts side by side (probes: the same trials), "time" the
            trials of all parts one after another (blocks: the same units); "auto" is what trials
            and names of units tell.

    Raises:
        InputError: the parts do not fit, or do not tell how.
    """
    require(how in HOW, f"join={how!r}; expected units or time")
    check_parts(sessions, names, f"join of {', '.join(names)}")
    how = how_to_join(sessions, names) if how == "auto" else how
    return (join if how == "units" else join_blocks)(sessions, names)


def how_to_join(sessions: Sequence[Session], names: Sequence[str]) -> str:
    """ "units" of parts with the same trials, "time" of parts with other trials of the same units.

    Raises:
        InputError: it cannot be told: the same names of units and the same times.
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
    if alike == 1 and len(set(map(len, ids))) == 1 and not probes:
        raise InputError(
            f"{where}: units have the same names and trials the same times in all of them, so "
            f"they may be probes or blocks with clocks of their own; {remedy}"
        )
    return "units"


def join_blocks(sessions: Sequence[Session], names: Sequence[str]) -> Session:
    """One session of the trials of all parts, in the order of their clocks; units are matched by
    name, and a unit that a part lacks was not observed in it.

    Parts whose clocks overlap (each from its own zero) are put one after another, in the order
    given. A condition `block` names the part of each trial. Columns that a part lacks are NaN, or
    no text, there; behaviours of other dimensions stay under `name_part`. Each part keeps its
    split.

    Args:
        sessions: counts of one recording, with units of different names.
        names: of the parts, in the order of `sessions`.

    Returns:
        a session with the session_id of the first part.

    Raises:
        InputError: the parts do not fit, or no unit is in two parts.
    """
    where = f"join of {', '.join(names)}"
    check_parts(sessions, names, where)
    unit_id = _all_units(sessions, where)
    shifts, order = _clock_shifts(sessions)
    sessions, names = [sessions[i] for i in order], [names[i] for i in order]
    shifts = [shifts[i] for i in order]
    place = {unit: row for row, unit in enumerate(unit_id.tolist())}
    columns = [np.array([place[u] for u in s.unit_id.tolist()]) for s in sessions]
    taken = [rows_of(s.trial_start_bin, s.trial_num_bins) for s in sessions]
    counts = _laid([s.counts for s in sessions], columns, taken, len(unit_id))
    seen = _laid([_entries(s) for s in sessions], columns, taken, len(unit_id))
    lengths = np.concatenate([s.trial_num_bins for s in sessions])
    conditions, odd = _stacked([s.conditions for s in sessions], names)
    conditions.setdefault("block", np.repeat(names, [s.num_trials for s in sessions]))
    signals, odd_signals = _stacked(
        [_known(s, own) for s, own in zip(sessions, taken, strict=True)], names
    )
    told = {
        NOT_IN_ALL: _lacking(sessions),
        SHIFTED: int(np.count_nonzero(shifts)),
        DISAGREE: odd + odd_signals,
    }
    info = joined_info(sessions, names, told, where)
    info["trials_dropped"] = _summed([s.info.get("trials_dropped") for s in sessions])
    for name, shift_s in zip(names, shifts, strict=True):
        info["joined"][name]["clock_shift_s"] = shift_s
    labels = {n: _labels(sessions, n, unit_id) for n in ("region", "region_group", "region_source")}
    return validate_session(
        sessions[0].with_fields(
            counts=counts,
            unit_id=unit_id,
            **labels,
            trial_start_bin=np.cumsum(lengths) - lengths,
            trial_num_bins=lengths,
            trial_start_s=np.concatenate(
                [s.trial_start_s + shift for s, shift in zip(sessions, shifts, strict=True)]
            ),
            split=np.concatenate([s.split for s in sessions]),
            conditions=conditions,
            behaviour=signals,
            behaviour_valid={n: np.isfinite(v).any(axis=1) for n, v in signals.items()},
            unit_metadata=_numbers(sessions, columns, len(unit_id)),
            true_rates=None,
            spikes=_spikes(sessions, columns, shifts),
            validity=intervals_of(seen),
            info=info,
        )
    )


def _all_units(sessions: Sequence[Session], where: str) -> np.ndarray:
    """Names of the units of all parts, text [N], in the order in which they come."""
    counted = Counter(unit for session in sessions for unit in session.unit_id.tolist())
    require(
        len(sessions) == 1 or max(counted.values()) > 1,
        f"{where}: no name of a unit is in two parts (such as {min(counted)!r}), so these are no "
        "blocks of the same units; join probes with --join=units",
    )
    return np.array(list(counted))


def _span_s(session: Session) -> tuple[float, float]:
    stops = session.trial_start_s + session.trial_num_bins * session.bin_size_s
    return float(session.trial_start_s.min()), float(stops.max())


def _share_time(sessions: Sequence[Session]) -> bool:
    spans = sorted(map(_span_s, sessions))
    return any(
        stop > start + sessions[0].bin_size_s / 2
        for (_, stop), (start, _) in zip(spans, spans[1:], strict=False)
    )


def _clock_shifts(sessions: Sequence[Session]) -> tuple[list[float], list[int]]:
    """Seconds to add to the clock of each part, and the order of the parts in time."""
    spans = [_span_s(session) for session in sessions]
    if not _share_time(sessions):
        return [0.0] * len(sessions), sorted(range(len(sessions)), key=lambda i: spans[i])
    shifts, end = [], None
    for start, stop in spans:
        # Whole seconds: bins keep their place on the clock.
        shift = 0.0 if end is None else float(np.ceil(max(end - start, 0.0) + 1.0))
        shift = 0.0 if end is not None and start >= end else shift
        shifts.append(shift)
        end = stop + shift
    return shifts, list(range(len(sessions)))


def _lacking(sessions: Sequence[Session]) -> int:
    """Units that are not in every part."""
    counted = Counter(unit for session in sessions for unit in session.unit_id.tolist())
    return sum(number < len(sessions) for number in counted.values())


def _entries(session: Session) -> np.ndarray:
    if session.validity is None:
        return np.ones(session.counts.shape, bool)
    return entries_of(session.validity, len(session.counts), session.num_units)


def _laid(
    parts: Sequence[np.ndarray],
    columns: Sequence[np.ndarray],
    taken: Sequence[np.ndarray],
    num_units: int,
) -> np.ndarray:
    """Parts end to end [total_bins, N], zero where one has no such unit."""
    total_bins = sum(map(len, taken))
    made = np.zeros((total_bins, num_units), np.result_type(*[part.dtype for part in parts]))
    first = 0
    for part, own, rows in zip(parts, columns, taken, strict=True):
        made[first : first + len(rows), own] = part[rows]
        first += len(rows)
    return made


def _known(session: Session, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Behaviours in the order of trials, NaN where unknown; a part without one still has rows."""
    made = {
        name: np.where(session.behaviour_known(name), values, np.float32(np.nan))[rows]
        for name, values in session.behaviour.items()
    }
    return made | {"": np.zeros(len(rows), bool)}


def _stacked(
    parts: Sequence[dict[str, np.ndarray]], names: Sequence[str]
) -> tuple[dict[str, np.ndarray], int]:
    """Columns of all parts end to end, and how many of them could not be made one."""
    parts, odd = [dict(part) for part in parts], 0
    lengths = [len(next(iter(part.values()), ())) for part in parts]
    for part in parts:
        part.pop("", None)
    for name in dict.fromkeys(name for part in parts for name in part):
        first = next(part[name] for part in parts if name in part)
        for part, label in zip(parts, names, strict=True):
            if name in part and part[name].shape[1:] != first.shape[1:]:
                part[f"{name}_{label}"] = part.pop(name)
                odd += 1
    made = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        given = [part[name] for part in parts if name in part]
        is_text = any(values.dtype.kind == "U" for values in given)
        pieces = []
        for part, length in zip(parts, lengths, strict=True):
            if name in part:
                pieces.append(part[name].astype(str) if is_text else part[name])
            else:
                shape = (length, *given[0].shape[1:])
                pieces.append(np.full(shape, "" if is_text else np.float32("nan")))
        made[name] = np.concatenate(pieces)
    return made, odd


def _summed(counts: Sequence[dict[str, int] | None]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count or {})
    return dict(total)


def _labels(sessions: Sequence[Session], name: str, unit_id: np.ndarray) -> np.ndarray:
    """A label of each unit: that of the first part in which its region is known."""
    found: dict[str, str] = {}
    for wanted in (True, False):
        for session in sessions:
            labels = zip(
                session.unit_id.tolist(),
                session.region.tolist(),
                getattr(session, name).tolist(),
                strict=True,
            )
            for unit, region, label in labels:
                if names_a_region(region) or not wanted:
                    found.setdefault(unit, label)
    return np.array([found[unit] for unit in unit_id.tolist()])


def _numbers(
    sessions: Sequence[Session], columns: Sequence[np.ndarray], num_units: int
) -> dict[str, np.ndarray]:
    """Numbers of the units, of the first part that has them."""
    made: dict[str, np.ndarray] = {}
    for session, own in zip(reversed(sessions), reversed(columns), strict=True):
        for name, values in session.unit_metadata.items():
            whole = len(own) == num_units
            column = made.get(name)
            if column is None:
                column = (
                    np.full(num_units, np.nan) if not whole else np.empty(num_units, values.dtype)
                )
            column = column.astype(np.result_type(column.dtype, values.dtype))
            column[own] = values
            made[name] = column
    return made


def _spikes(
    sessions: Sequence[Session], columns: Sequence[np.ndarray], shifts: Sequence[float]
) -> SpikeTimes | None:
    """Spike times of all parts in order of time; None where a part has none."""
    if any(session.spikes is None for session in sessions):
        return None
    times = np.concatenate([s.spikes.time_s + t for s, t in zip(sessions, shifts, strict=True)])
    units = np.concatenate(
        [own[s.spikes.unit_index] for s, own in zip(sessions, columns, strict=True)]
    )
    order = np.argsort(times, kind="stable")
    return SpikeTimes(times[order], units[order].astype(np.int32))
