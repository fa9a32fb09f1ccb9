"""Which role an array of a file plays: its name or its shape says so, or it is refused."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError, require

_MAX_DIMS = 32  # columns of one trial array
_MAX_NOTE = 64  # values of a text array kept in info


@dataclasses.dataclass(frozen=True)
class Axes:
    """Lengths an array may have, as the file holds them (before bins are merged)."""

    num_trials: int
    total_bins: int
    num_units: int
    trial_bins: int | None  # bins of every trial, None when they differ


@dataclasses.dataclass
class Roles:
    """Arrays by role, untouched."""

    conditions: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    behaviour: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    behaviour_valid: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    unit_metadata: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)
    left_out: list[str] = dataclasses.field(default_factory=list)  # what fits nothing, and why


def assign_roles(arrays: Mapping[str, np.ndarray], axes: Axes, spec: ReadSpec, where: str) -> Roles:
    """Sorts arrays into trial columns, behaviour, unit metadata and notes.

    Raises:
        InputError: an array fits two roles, one that the options name does not fit or is not there,
            or, with `spec.strict`, one fits none.
    """
    for option, names in (("behavior", spec.behavior), ("trial_columns", spec.trial_columns)):
        if missing := [name for name in names if name not in arrays]:
            raise InputError(
                f"{where}: {option} names {missing[0]!r}, but the file's other arrays are "
                f"{sorted(arrays)}"
            )
    roles = Roles()
    masks = {name: array for name, array in arrays.items() if _is_mask(name, array, arrays, axes)}
    for name, array in arrays.items():
        if name in masks:
            continue
        if reason := _misfit(name, array, axes, spec):
            require(not spec.strict, f"{where}: {reason}")
            roles.left_out.append(reason.partition(";")[0])
            continue
        role = _role(name, array, axes, spec, where)
        if role == "trials":
            roles.conditions.update(_trial_columns(name, array, where))
        elif role == "bins":
            roles.behaviour[name] = array
        elif role == "unit":
            roles.unit_metadata[name.removeprefix("unit_")] = array
        else:
            roles.notes[name] = _note(array)
    for name, mask in masks.items():
        base = name.removesuffix("_valid")
        require(
            base in roles.behaviour,
            f"{where}: {name!r} is a mask, but {base!r} is no behaviour; rename or remove it",
        )
        roles.behaviour_valid[base] = mask.astype(bool)
    return roles


def _misfit(name: str, array: np.ndarray, axes: Axes, spec: ReadSpec) -> str:
    """Why an array that no option names fits no role; "" where it fits one or may fit several."""
    if name in (*spec.behavior, *spec.trial_columns) or array.size == 1:
        return ""
    shape, length = list(array.shape), len(array) if array.ndim else -1
    if name.startswith("unit_"):
        fits = array.shape == (axes.num_units,) and array.dtype.kind in "biuf"
        told = f"{name!r} is {array.dtype} {shape}, expected one number for each of "
        return "" if fits else f"{told}{axes.num_units} units; correct or remove it"
    known = {axes.num_trials, axes.total_bins} | ({axes.num_units} if array.ndim == 1 else set())
    is_note = array.dtype.kind == "U" and array.size <= _MAX_NOTE
    if length not in known and not is_note:
        told = f"array {name!r} of shape {shape} has no known meaning ({axes.num_trials} trials, "
        return (
            f"{told}{axes.total_bins} bins, {axes.num_units} units); correct it, give the times of "
            f"its samples as {name}_times_s, or remove it"
        )
    per_trial = length == axes.num_trials != axes.total_bins
    on_grid = array.ndim in (2, 3) and array.shape[:2] == (axes.num_trials, axes.trial_bins)
    too_wide = array.ndim > 2 or (array.ndim == 2 and not 1 <= array.shape[1] <= _MAX_DIMS)
    if per_trial and not on_grid and too_wide:
        return (
            f"trial column {name!r} has shape {shape}, expected [trials] or [trials, at most "
            f"{_MAX_DIMS}]; make columns of it, or remove it"
        )
    return ""


def _role(name: str, array: np.ndarray, axes: Axes, spec: ReadSpec, where: str) -> str:
    shape, length = list(array.shape), len(array) if array.ndim else -1
    on_grid = array.ndim in (2, 3) and array.shape[:2] == (axes.num_trials, axes.trial_bins)
    per_bin = length == axes.total_bins or on_grid
    per_trial = length == axes.num_trials and (length == axes.total_bins or not on_grid)
    if name in spec.behavior:
        require(
            per_bin,
            f"{where}: behavior {name!r} has shape {shape}, expected [{axes.total_bins} bins, "
            "dims]",
        )
        return "bins"
    if name in spec.trial_columns:
        require(
            length == axes.num_trials,
            f"{where}: trial column {name!r} has shape {shape}, expected [{axes.num_trials} "
            "trials]",
        )
        return "trials"
    if name.startswith("unit_"):
        require(
            array.shape == (axes.num_units,) and array.dtype.kind in "biuf",
            f"{where}: {name!r} is {array.dtype} {shape}, expected one number for each of "
            f"{axes.num_units} units",
        )
        return "unit"
    fits = ["bins"] * per_bin + ["trials"] * per_trial
    if array.ndim == 1 and length == axes.num_units:
        fits.append("units")
    if fits == ["bins"] or fits == ["trials"]:
        return fits[0]
    if array.size == 1 or (array.dtype.kind == "U" and array.size <= _MAX_NOTE and not fits):
        return "note"
    meaning = (
        f"could be one value each of {' or '.join(fits)}"
        if len(fits) > 1
        else "has no known meaning"
    )
    raise InputError(
        f"{where}: array {name!r} of shape {shape} {meaning} ({axes.num_trials} trials, "
        f"{axes.total_bins} bins, {axes.num_units} units); name it in trial_columns or behavior, "
        f"rename it unit_{name}, or remove it"
    )


def _is_mask(name: str, array: np.ndarray, arrays: Mapping[str, np.ndarray], axes: Axes) -> bool:
    """A behaviour's mask: `<name>_valid` beside `<name>`, True and False (or 1 and 0) for every
    bin."""
    return (
        name.endswith("_valid")
        and name.removesuffix("_valid") in arrays
        and array.size == axes.total_bins
        and (array.dtype == bool or np.isin(array, (0, 1)).all())
    )


def _trial_columns(name: str, array: np.ndarray, where: str) -> dict[str, np.ndarray]:
    """[trials] as it is; [trials, dims] as one column a dimension."""
    if array.ndim == 1:
        return {name: array}
    require(
        array.ndim <= 2 and 1 <= array.shape[1] <= _MAX_DIMS,
        f"{where}: trial column {name!r} has shape {list(array.shape)}, expected [trials] or "
        f"[trials, at most {_MAX_DIMS}]",
    )
    return {f"{name}_{dim}": array[:, dim] for dim in range(array.shape[1])}


def _note(array: np.ndarray) -> Any:
    """A small array as JSON can hold it; NaN becomes null."""
    if array.dtype.kind == "f":
        return array.item() if np.isfinite(array).all() else None
    return array.item() if array.size == 1 else array.ravel().tolist()
