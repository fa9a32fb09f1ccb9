"""Parts of one recording as one session: probes, which share trials, have their units side by side;
blocks, which share units, have their trials one after another."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.data.join_plan import (
    HOW,
    JoinPlan,
    check_parts,
    clock_shifts,
    end_to_end,
    how_to_join,
    rows_of,
    side_by_side,
)
from neurojax.data.observed import entries_of, intervals_of
from neurojax.data.session import Session, SpikeTimes, names_a_region
from neurojax.data.store.session_rules import validate_session
from neurojax.errors import require

# names in info["findings"]
DISAGREE = "columns on which joined parts disagree, kept under the part's name"


def joined(sessions: Sequence[Session], names: Sequence[str], how: str = "auto") -> Session:
    """Parts of one recording as one session.

    "units" takes trials that begin within half a bin of each other as one, and calls units
    `part:unit`. "time" takes units of one name as one, adds a condition `block` (the part of each
    trial), and puts parts whose clocks overlap one after another, in the order given. What a part
    lacks was not observed there, and is counted. Columns of one name are one where the parts agree;
    else a later part keeps its own as `name_part`.

    Args:
        sessions: counts of one recording, in bins of one size.
        names: of the parts, in the order of `sessions`: "imec0", "imec1".
        how: "units" (probes), "time" (blocks), or "auto", what trials and names of units tell.

    Returns:
        a session with the session_id of the first part, of blocks the first in time.

    Raises:
        InputError: the parts do not fit, or do not tell how.
    """
    require(how in HOW, f"join={how!r}; expected units or time")
    where = f"join of {', '.join(map(str, names))}"
    check_parts(sessions, names, where)
    how = how_to_join(sessions, names) if how == "auto" else how
    if how == "time":
        order, shift_s = clock_shifts(sessions)
        sessions, names = [sessions[i] for i in order], [names[i] for i in order]
        plan = end_to_end(sessions, order, shift_s, where)
    else:
        plan = side_by_side(sessions, names, where)
    first_bin = np.cumsum(plan.lengths) - plan.lengths
    rows = [rows_of(first_bin[own], plan.lengths[own]) for own in plan.place]
    taken = [rows_of(s.trial_start_bin, s.trial_num_bins) for s in sessions]
    shape = int(plan.lengths.sum()), len(plan.unit_id)
    everything = sum(len(r) * len(c) for r, c in zip(rows, plan.columns, strict=True))
    gapless = everything == shape[0] * shape[1] and all(s.validity is None for s in sessions)

    def laid(parts: Sequence[np.ndarray]) -> np.ndarray:
        """[bins, units] of each part -> those of all, zero where there is none."""
        made = np.zeros(shape, np.result_type(*[part.dtype for part in parts]))
        for part, own, source, units in zip(parts, rows, taken, plan.columns, strict=True):
            made[own[:, None], units] = part[source]
        return made

    conditions, odd = _merged([s.conditions for s in sessions], plan.place, names)
    if how == "time":
        conditions.setdefault("block", np.repeat(names, [s.num_trials for s in sessions]))
    known = [_known(s, own) for s, own in zip(sessions, taken, strict=True)]
    signals, odd_signals = _merged(known, rows, names)
    findings = plan.findings | {DISAGREE: odd + odd_signals}
    rates = [s.true_rates for s in sessions]
    return validate_session(
        sessions[0].with_fields(
            counts=laid([s.counts for s in sessions]),
            unit_id=plan.unit_id,
            **_labels(sessions, plan),
            trial_start_bin=first_bin,
            trial_num_bins=plan.lengths,
            trial_start_s=plan.starts_s,
            split=plan.split,
            conditions=conditions,
            behaviour=signals,
            behaviour_valid={n: np.isfinite(v).any(axis=1) for n, v in signals.items()},
            unit_metadata=_unit_metadata(sessions, plan),
            true_rates=None if any(r is None for r in rates) else laid(rates),
            spikes=_spikes(sessions, plan),
            validity=None if gapless else intervals_of(laid([_entries(s) for s in sessions])),
            info=_info(sessions, names, plan, findings, how),
        )
    )


def _known(session: Session, taken: np.ndarray) -> dict[str, np.ndarray]:
    """Behaviours in the order of trials, float32 [bins, dims], NaN where they are not known."""
    return {
        name: np.where(session.behaviour_known(name), values, np.float32(np.nan))[taken]
        for name, values in session.behaviour.items()
    }


def _merged(
    columns: Sequence[Mapping[str, np.ndarray]], place: Sequence[np.ndarray], names: Sequence[str]
) -> tuple[dict[str, np.ndarray], int]:
    """Columns of all parts at the rows of all, NaN or no text where none knows, and how many could
    not be made one."""
    num_rows = 1 + max(int(own.max()) for own in place)
    made: dict[str, np.ndarray] = {}
    given: dict[str, np.ndarray] = {}  # bool [rows], of some part
    odd = 0
    for of_part, rows, part in zip(columns, place, names, strict=True):
        here = np.bincount(rows, minlength=num_rows) > 0
        for name, values in of_part.items():
            laid = np.zeros((num_rows, *values.shape[1:]), values.dtype)
            laid[rows] = values
            if name in made and not _agree(made[name], laid, given[name] & here):
                name, odd = f"{name}_{part}", odd + 1
            if name in made:
                made[name] = np.where(_takes(made[name], given[name], here), laid, made[name])
            given[name] = given.get(name, False) | here
            made.setdefault(name, laid)
    for name, values in made.items():
        if not given[name].all():
            values = values if values.dtype.kind in "fU" else values.astype(np.float64)
            none = "" if values.dtype.kind == "U" else values.dtype.type(np.nan)
            made[name] = np.where(_as_wide(given[name], values), values, none)
    return made, odd


def _agree(one: np.ndarray, other: np.ndarray, both: np.ndarray) -> bool:
    """Whether two columns are one: alike in the rows, bool [rows], that both have."""
    if one.shape[1:] != other.shape[1:]:
        return False
    one, other = one[both], other[both]
    if "U" in (one.dtype.kind, other.dtype.kind):
        return one.dtype.kind == other.dtype.kind and bool((one == other).all()) or not both.any()
    one, other = one.astype(np.float64), other.astype(np.float64)
    # one part may know where the other does not
    return bool((np.isnan(one) | np.isnan(other) | np.isclose(one, other, rtol=1e-6)).all())


def _as_wide(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.broadcast_to(rows.reshape(-1, *[1] * (values.ndim - 1)), values.shape)


def _takes(one: np.ndarray, given: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Where a column takes what another part has: what it lacks itself."""
    unknown = np.isnan(one) if one.dtype.kind == "f" else False
    return _as_wide(here, one) & (~_as_wide(given, one) | unknown)


def _entries(session: Session) -> np.ndarray:
    if session.validity is None:
        return np.ones(session.counts.shape, bool)
    return entries_of(session.validity, len(session.counts), session.num_units)


def _labels(sessions: Sequence[Session], plan: JoinPlan) -> dict[str, np.ndarray]:
    """Region and its like of each unit: of the first part in which its region is known."""
    made = {}
    for name in ("region", "region_group", "region_source"):
        columns = [getattr(s, name) for s in sessions]
        made[name] = np.zeros(len(plan.unit_id), np.result_type(*[c.dtype for c in columns]))
        for known in (False, True):  # the later wins
            for session, own, labels in reversed(
                [*zip(sessions, plan.columns, columns, strict=True)]
            ):
                rows = [names_a_region(region) == known for region in session.region.tolist()]
                made[name][own[rows]] = labels[rows]
    return made


def _unit_metadata(sessions: Sequence[Session], plan: JoinPlan) -> dict[str, np.ndarray]:
    """Numbers of units, of the first part that has them, NaN where none has."""
    made = {}
    for name in dict.fromkeys(name for s in sessions for name in s.unit_metadata):
        having = [
            (s.unit_metadata[name], own)
            for s, own in zip(sessions, plan.columns, strict=True)
            if name in s.unit_metadata
        ]
        whole = len(np.unique(np.concatenate([own for _, own in having]))) == len(plan.unit_id)
        dtype = np.result_type(*[values.dtype for values, _ in having], *[] if whole else ["f4"])
        made[name] = np.full(len(plan.unit_id), 0 if whole else np.nan, dtype)
        for values, own in reversed(having):
            made[name][own] = values
    return made


def _spikes(sessions: Sequence[Session], plan: JoinPlan) -> SpikeTimes | None:
    """Spike times of all parts in order of time; None where a part has none."""
    if any(s.spikes is None for s in sessions):
        return None
    times = [s.spikes.time_s + shift for s, shift in zip(sessions, plan.shift_s, strict=True)]
    units = [own[s.spikes.unit_index] for s, own in zip(sessions, plan.columns, strict=True)]
    times, units = np.concatenate(times), np.concatenate(units)
    order = np.argsort(times, kind="stable")
    return SpikeTimes(times[order], units[order].astype(np.int32))


def _info(
    sessions: Sequence[Session],
    names: Sequence[str],
    plan: JoinPlan,
    findings: dict[str, int],
    how: str,
) -> dict[str, Any]:
    """The first part's record, numbers summed, with what each part was made from."""
    made = {}
    for session in reversed(sessions):  # the first part that says something wins
        made |= {key: value for key, value in session.info.items() if value not in (None, "", {})}
    for key in ("units_dropped", "spikes_dropped", "findings", "trials_dropped"):
        made[key] = dict(sum((Counter(s.info.get(key) or {}) for s in sessions), Counter()))
    made["findings"] |= {name: number for name, number in findings.items() if number}
    dropped = [s.info.get("trials_dropped") or {} for s in sessions]
    if how == "units":  # the same trials, left out by each part
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
        name: {"num_units": s.num_units, "num_trials": s.num_trials, "source": s.info.get("source")}
        | ({"clock_shift_s": shift} if how == "time" else {})
        for name, s, shift in zip(names, sessions, plan.shift_s, strict=True)
    }
    made["joined_as"] = "blocks" if how == "time" else "probes"
    return {**sessions[0].info, **made, "source": {"parts": list(names)}}
