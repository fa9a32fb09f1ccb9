"""What is to be decoded: a class or a number of each trial, or a signal of each bin.

A target that cannot be decoded honestly is refused here: constant, missing, with fewer trials than
folds, or a function of what the features or the split hold by construction.
"""

import dataclasses
import difflib

import numpy as np

from neurojax.data.session import Session
from neurojax.errors import InputError, require
from neurojax.scores.known import known_together

CATEGORICAL, PER_TRIAL, PER_BIN = "categorical", "per_trial", "per_bin"
KINDS = (CATEGORICAL, PER_TRIAL, PER_BIN)
CONTRAST_SIDE = "contrast_side"
MAX_CLASSES = 20  # a column of whole numbers with more distinct values is a number, not a label
_CLOSE = 1e-6  # relative residual under which a target is a function of something else
_TELLING_ROWS = 30  # with fewer, one of many units may agree with a label by chance


class LeakError(InputError):
    """The recording holds the target by construction."""


@dataclasses.dataclass(frozen=True)
class Target:
    """One target of one session, on the trials that have it.

    Attributes:
        name: condition column, behaviour, or "contrast_side".
        kind: CATEGORICAL, PER_TRIAL or PER_BIN.
        trial_ids: int64 [K], trials of the session with a value.
        values: CATEGORICAL: int64 [K], index in `classes`. PER_TRIAL: float64 [K, dims].
            PER_BIN: float64 [K, T, dims], NaN where there is no value.
        classes: labels of a categorical target, sorted.
        num_missing: trials left out for want of a value.
        num_unobserved: trials with a value that are left out because no unit was observed in them.
        dims_left_out: dimensions of a behaviour that are known in no bin; `values` has the others.
    """

    name: str
    kind: str
    trial_ids: np.ndarray
    values: np.ndarray
    classes: tuple[str, ...] = ()
    num_missing: int = 0
    num_unobserved: int = 0
    dims_left_out: tuple[int, ...] = ()


def available(session: Session) -> list[str]:
    """Names that `read_target` knows for this session."""
    derived = (
        [CONTRAST_SIDE] if {"contrast_left", "contrast_right"} <= set(session.conditions) else []
    )
    return sorted({*session.conditions, *session.behaviour, *derived})


def read_target(session: Session, name: str, kind: str | None = None) -> Target:
    """The target of that name.

    Args:
        session: the recording.
        name: a condition column, a behaviour, or "contrast_side": the side of the higher contrast,
            on the trials whose contrasts differ.
        kind: one of KINDS; by default labels, truth values and whole numbers of at most MAX_CLASSES
            distinct values are categorical, other columns per trial, behaviour per bin.

    Raises:
        InputError: unknown name or kind, constant, no value at all, or a function of the
            recording's own counts, trial lengths, order or split.
    """
    where = f"session {session.session_id}, target {name!r}"
    require(kind is None or kind in KINDS, f"kind={kind!r}; choose from {', '.join(KINDS)}")
    known = available(session)
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    listed = f"choose from {', '.join(known) or '(it has none)'}"
    require(name in known, f"{where} is not there; {hint}{listed}")
    one, other = ("bin", "trial") if name in session.behaviour else ("trial", "bin")
    require(
        kind is None or (kind == PER_BIN) == (one == "bin"),
        f"{where} has one value a {one}; kind={kind} needs one a {other}",
    )
    target = _signal(session, name, where) if one == "bin" else _column(session, name, kind, where)
    _refuse_leaks(session, target, where)
    return target


def require_folds(target: Target, num_folds: int, where: str) -> None:
    """Raises InputError unless every one of `num_folds` folds can hold trials of each class."""
    require(
        len(target.trial_ids) >= 2 * num_folds,
        f"{where} has {len(target.trial_ids)} trials with a value, fewer than two for each "
        f"of {num_folds} folds;"
        " take fewer folds",
    )
    if target.kind == CATEGORICAL:
        sizes = np.bincount(target.values, minlength=len(target.classes))
        smallest = int(sizes.argmin())
        require(
            sizes[smallest] >= num_folds,
            f"{where}: class {target.classes[smallest]!r} has {sizes[smallest]} trials, "
            "fewer than the"
            f" {num_folds} folds that must each hold one; take fewer folds",
        )


def _column(session: Session, name: str, kind: str | None, where: str) -> Target:
    if name in session.conditions:
        column = np.asarray(session.conditions[name])
        present = _present(column)
    else:
        left, right = (
            np.asarray(session.conditions[f"contrast_{side}"], np.float64)
            for side in ("left", "right")
        )
        # Equal contrasts have no side; such trials are missing, not a third class.
        present = np.isfinite(left) & np.isfinite(right) & (left != right)
        column = np.where(right > left, "right", "left")
    require(present.any(), f"{where} is missing in every trial; nothing to decode")
    num_missing, watched = int((~present).sum()), _watched(session, where)
    num_unobserved = int((present & ~watched).sum())
    present = present & watched
    require(present.any(), f"{where}: no unit was observed in a trial with a value")
    values = column[present]
    if kind is None:
        kind = CATEGORICAL if _is_label(values) else PER_TRIAL
    require(
        len(np.unique(values)) >= 2,
        f"{where} is {values[0]} in all of its {len(values)} trials; a constant cannot be decoded",
    )
    trial_ids, left_out = np.flatnonzero(present), (num_missing, num_unobserved)
    if kind == CATEGORICAL:
        # Sorted by label, so that codes do not depend on which trial comes first.
        classes, codes = np.unique(values, return_inverse=True)
        written = tuple(map(_written, classes))
        return Target(name, kind, trial_ids, codes.ravel(), written, *left_out)
    require(
        values.dtype.kind in "biuf",
        f"{where} holds text such as {values[0]!r}; a number a trial is needed for kind={kind}",
    )
    return Target(name, kind, trial_ids, values.astype(np.float64)[:, None], (), *left_out)


def _watched(session: Session, where: str) -> np.ndarray:
    """Trials in which some unit was observed in some bin, bool [trials]."""
    if session.validity is None:
        return np.ones(session.num_trials, bool)
    # A few trials at a time: the entries of all would be a second copy of the recording.
    parts = np.array_split(np.arange(session.num_trials), -(-session.num_trials // 64))
    watched = np.concatenate([session.entry_valid(part).any((1, 2)) for part in parts])
    require(watched.any(), f"{where}: no unit was observed in any trial")
    return watched


def behaviour_of_trials(
    session: Session, name: str, trial_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A behaviour [K, T, dims], float64, NaN where a dimension is not known; and bin_valid [K,
    T]."""
    lengths = session.trial_num_bins[trial_ids]
    bins = np.arange(int(lengths.max(initial=0)))
    bin_valid, starts = bins < lengths[:, None], session.trial_start_bin[trial_ids][:, None]
    rows = np.where(bin_valid, starts + bins, 0)
    values = np.asarray(session.behaviour[name], np.float64)[rows].reshape(*rows.shape, -1)
    known = session.behaviour_valid.get(name)
    valid = bin_valid if known is None else bin_valid & np.asarray(known, bool)[rows]
    known = valid[..., None] & np.isfinite(values)
    return np.where(known, values, np.nan), bin_valid


def centre_and_scale(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of the known values of each dimension of [rows, dims]; NaN and 1 where none
    is known."""
    known = np.isfinite(rows).any(0)
    centre, scale = np.full(rows.shape[1], np.nan), np.ones(rows.shape[1])
    centre[known] = np.nanmean(rows[:, known], axis=0)
    scale[known] = np.nanstd(rows[:, known], axis=0) + 1e-9
    return centre, scale


def _signal(session: Session, name: str, where: str) -> Target:
    values, _ = behaviour_of_trials(session, name, np.arange(session.num_trials))
    present = np.isfinite(values).any((1, 2))
    require(present.any(), f"{where} has no valid bin in any trial; nothing to decode")
    num_missing, num_unobserved = int((~present).sum()), 0
    if session.validity is not None:
        watched = session.entry_valid(np.arange(session.num_trials)).any(-1)  # [trials, T]
        values[~watched] = np.nan
        num_unobserved, present = int(present.sum()), np.isfinite(values).any((1, 2))
        num_unobserved -= int(present.sum())
        require(present.any(), f"{where}: no unit was observed in a bin with a value")
    kept = values[present][:, : int(session.trial_num_bins[present].max())]
    # A keypoint that was never seen is left out; the others are decoded all the same.
    known = np.isfinite(kept).any((0, 1))
    kept = kept[..., known]
    spread = np.nanmax(kept, axis=(0, 1)) - np.nanmin(kept, axis=(0, 1))
    dimension = int(np.flatnonzero(known)[spread.argmin()])
    require(
        (spread > 0).all(),
        f"{where} is constant in dimension {dimension}; a constant cannot be decoded",
    )
    return Target(
        name,
        PER_BIN,
        np.flatnonzero(present),
        kept,
        num_missing=num_missing,
        num_unobserved=num_unobserved,
        dims_left_out=tuple(np.flatnonzero(~known).tolist()),
    )


def _present(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind == "f":
        return np.isfinite(column)
    if column.dtype.kind in "US":
        return ~np.isin(np.char.strip(column.astype(str)), ("", "nan", "None"))
    return np.ones(len(column), bool)


def _written(label: np.generic) -> str:
    """1.0 as "1": a missing value makes a column of whole numbers one of floats."""
    return str(int(label)) if label.dtype.kind == "f" and label == np.round(label) else str(label)


def _is_label(values: np.ndarray) -> bool:
    if values.dtype.kind in "USb":
        return True
    whole = values.dtype.kind in "iu" or bool(np.all(values == np.round(values)))
    return whole and len(np.unique(values)) <= MAX_CLASSES


def _refuse_leaks(session: Session, target: Target, where: str) -> None:
    """A target that the recording itself holds by construction says nothing about decoding."""
    known: dict[str, np.ndarray] = {}
    if target.kind == PER_BIN:
        flat = target.values.reshape(-1, target.values.shape[-1])
        counts, _ = session.gather_trials(target.trial_ids, target.values.shape[1])
        counts = counts.reshape(len(flat), -1)
        for dims, rows in known_together(flat):
            spikes = counts[rows].astype(np.float64)
            _refuse_linear(flat[rows][:, dims], _of_spikes(spikes), where)
    else:
        counts, _ = session.gather_trials(target.trial_ids)
        spikes = counts.sum(1, dtype=np.float64)  # [K, N]
        wanted = target.values.reshape(len(target.values), -1).astype(np.float64)
        known = _of_spikes(spikes)
        known["the lengths of the trials"] = session.trial_num_bins[target.trial_ids]
        known["the split"] = session.split[target.trial_ids]
        if target.kind != CATEGORICAL:  # blocks of trials are a fair target
            start_s = session.trial_start_s[target.trial_ids]
            known["the order of the trials"] = np.argsort(np.argsort(start_s))
        _refuse_linear(wanted, known, where)


def _of_spikes(spikes: np.ndarray) -> dict[str, np.ndarray]:
    return {"the spikes of a unit": spikes, "the spikes of all units": spikes.sum(1)}


def _refuse_linear(wanted: np.ndarray, known: dict[str, np.ndarray], where: str) -> None:
    """What the features or the split hold already would be decoded perfectly, from itself."""
    for what, columns in known.items():
        if _is_linear_in(wanted, columns.reshape(len(wanted), -1).astype(np.float64)):
            raise LeakError(
                f"{where} is {what} in other words; it cannot be decoded from this recording "
                "honestly"
            )


def _is_linear_in(wanted: np.ndarray, columns: np.ndarray) -> bool:
    """Whether a dimension of `wanted` [rows, dims] is linear in one of `columns` [rows, n]."""
    if len(wanted) < _TELLING_ROWS:
        return False
    # |correlation| of 1 but for rounding, without dividing by spreads that may be zero.
    centred, others = wanted - wanted.mean(0), columns - columns.mean(0)
    sizes = np.sqrt((centred**2).sum(0))[:, None] * np.sqrt((others**2).sum(0))[None]
    cross = np.abs(centred.T @ others)
    return bool(((sizes > 0) & (cross >= (1 - _CLOSE) * np.maximum(sizes, 1e-300))).any())
