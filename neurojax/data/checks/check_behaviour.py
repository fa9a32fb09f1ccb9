"""How much of a behaviour is known, why not more, and what to do about it."""

from typing import NamedTuple

import numpy as np

from neurojax.data.checks.findings import Finding
from neurojax.data.session import Session

_ENOUGH = 0.9  # share of bins; below it the cause is told
_SHORT_S = 3.0  # from here on a distance between samples is a gap, not their usual step
_LISTED = 6
_CLOCK = "check that its times and the trials share one clock, or say their unit with --time_unit"


class _Lack(NamedTuple):
    """Where one dimension of a behaviour is not known.

    Attributes:
        share: of bins in which it is known.
        steps: int64 [n], bins from a known one to the next of its trial, where others lie between.
        empty: bool [trials], without a known bin.
    """

    share: float
    steps: np.ndarray
    empty: np.ndarray


def behaviour_findings(session: Session, errors_only: bool = False) -> list[Finding]:
    """Warnings about behaviours that are not known in every bin, errors about masks that are
    wrong, of any kind of recording."""
    found = []
    for name, values in session.behaviour.items():
        valid = session.behaviour_valid[name]
        finite = np.isfinite(values)
        if not finite[valid].any(axis=1).all():
            sentence = f"behaviour {name!r} has NaN or infinity in bins marked valid"
            remedy = f"correct {name}_valid, or leave it out"
            found.append(Finding("error", "behaviour_marked_valid", sentence, remedy))
        if not errors_only:
            found += _of_one(session, name, finite & valid[:, None])
    return found


def _of_one(session: Session, name: str, known: np.ndarray) -> list[Finding]:
    """About one behaviour; `known` bool [total_bins, dims]."""
    number, dims = len(known), known.shape[1]
    shares = known.mean(axis=0)
    never, some = np.flatnonzero(shares == 0), np.flatnonzero(shares > 0)
    if not len(some):
        sentence = f"behaviour {name!r} is unknown in every bin, as if no sample lay in a trial"
        return [_warning("behaviour_never_known", sentence, _CLOCK)]
    found = []
    if len(never):
        listed = ", ".join(map(str, never[:_LISTED])) + (" ..." if len(never) > _LISTED else "")
        sentence = (
            f"behaviour {name!r}: {len(never)} of {dims} dimensions are unknown in every bin "
            f"(column {listed}); the others are known in {_percent(shares[some].min())} % of bins"
        )
        remedy = "leave these columns out before converting, or give values for them"
        found.append(_warning("behaviour_dimension_never_known", sentence, remedy))
    worst = int(some[np.argmin(shares[some])])
    lack = _lack(session, known[:, worst])
    if lack.share < _ENOUGH:
        of = f" (column {worst} of {dims})" if dims > 1 else ""
        why, remedy = _cause(session, known[:, worst], lack)
        sentence = f"behaviour {name!r}{of} is known in {_percent(lack.share)} % of bins: {why}"
        found.append(_warning("behaviour_partly_known", sentence, remedy))
    elif lack.share < 1:
        unknown = int((~known[:, some]).any(axis=1).sum())
        sentence = f"behaviour {name!r} has {unknown} bins with NaN or infinity, of {number}"
        remedy = "they are left out where it is decoded; give values for them if there are any"
        found.append(_warning("behaviour_not_finite", sentence, remedy))
    return found


def _warning(code: str, sentence: str, remedy: str) -> Finding:
    return Finding("warning", code, sentence, remedy)


def _percent(share: float) -> str:
    """In whole percent; what is not all or nothing is not rounded to it."""
    return f"{min(max(round(100 * share), 1), 99) if 0 < share < 1 else round(100 * share)}"


def _lack(session: Session, known: np.ndarray) -> _Lack:
    steps, empty = [np.empty(0, np.int64)], []
    for start, length in zip(session.trial_start_bin, session.trial_num_bins, strict=True):
        distance = np.diff(places := np.flatnonzero(known[start : start + length]))
        steps.append(distance[distance > 1])
        empty.append(not len(places))
    return _Lack(float(known.mean()), np.concatenate(steps), np.array(empty))


def _cause(session: Session, known: np.ndarray, lack: _Lack) -> tuple[str, str]:
    """Why a behaviour is not known in most bins, and what to do."""
    bin_s = session.bin_size_s
    between = int((lack.steps - 1).sum())
    in_empty = int(session.trial_num_bins[lack.empty].sum())
    edges = int((~known).sum()) - between - in_empty
    if in_empty >= max(between, edges):
        return _empty_trials(session, lack.empty)
    if not len(lack.steps) or between < edges and edges > known.sum():
        return (
            "its samples cover only a part of most trials, with gaps at their ends",
            f"{_CLOCK}; or record it throughout, or take shorter windows",
        )
    step_s = float(np.median(lack.steps)) * bin_s
    longest_s = float(lack.steps.max()) * bin_s
    if step_s <= _SHORT_S:
        gap_s = float(f"{1.5 * max(step_s, float(np.quantile(lack.steps, 0.9)) * bin_s):.2g}")
        return (
            f"its samples lie {step_s:.3g} s apart where they are missed (up to {longest_s:.3g} "
            f"s), bins are {bin_s:.3g} s wide",
            f"bridge them with --max_gap_s={gap_s:g}, or take bins of --bin_ms="
            f"{1000 * step_s:.0f} or more",
        )
    return (
        f"{len(lack.steps)} gaps without a sample, usually {step_s:.3g} s, up to {longest_s:.3g} s",
        "give the samples that are missing, or leave the trials in which they are out; "
        f"--max_gap_s={1.1 * step_s:.2g} would bridge most of them",
    )


def _empty_trials(session: Session, empty: np.ndarray) -> tuple[str, str]:
    """Trials without any sample: another clock, or a recording that began later."""
    starts, has = session.trial_start_s, ~empty
    stops = starts + session.trial_num_bins * session.bin_size_s
    return (
        f"{empty.sum()} of {session.num_trials} trials have no sample; those that have one "
        f"lie at {starts[has].min():,.6g} to {stops[has].max():,.6g} s, all trials at "
        f"{starts.min():,.6g} to {stops.max():,.6g} s",
        _CLOCK,
    )
