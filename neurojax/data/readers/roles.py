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
        role, misfit = _role(name, array, axes, spec, where)
        if misfit:
            require(not spec.strict, f"{where}: {misfit}")
            roles.left_out.append(misfit.partition(";")[0])
        elif role == "trials":
            roles.conditions.update(_trial_columns(name, array))
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


def _role(name: str, array: np.ndarray, axes: Axes, spec: ReadSpec, where: str) -> tuple[str, str]:
    """`bins`, `trials`, `unit` or `note`, and why the array cannot be that; "" where it can."""
    shape, length = list(array.shape), len(array) if array.ndim else -1
    on_grid = array.ndim in (2, 3) and array.shape[:2] == (axes.num_trials, axes.trial_bins)
    per_bin = length == axes.total_bins or on_grid
    per_trial = length == axes.num_trials and (length == axes.total_bins or not on_grid)
    is_wide = array.ndim > 2 or (array.ndim == 2 and not 1 <= array.shape[1] <= _MAX_DIMS)
    wide = (
        f"trial column {name!r} has shape {shape}, expected [trials] or [trials, at most "
        f"{_MAX_DIMS}]; make columns of it, or remove it"
    )
    if name in spec.behavior:
        expected = f"[{axes.total_bins} bins, dims]"
        require(per_bin, f"{where}: behavior {name!r} has shape {shape}, expected {expected}")
        return "bins", ""
    if name in spec.trial_columns:
        expected = f"[{axes.num_trials} trials]"
        fits = length == axes.num_trials
        require(fits, f"{where}: trial column {name!r} has shape {shape}, expected {expected}")
        require(not is_wide, f"{where}: {wide}")
        return "trials", ""
    if name.startswith("unit_"):
        fits = array.shape == (axes.num_units,) and array.dtype.kind in "biuf"
        told = f"{name!r} is {array.dtype} {shape}, expected one number for each of "
        return "unit", "" if fits else f"{told}{axes.num_units} units; correct or remove it"
    per_unit = array.ndim == 1 and length == axes.num_units
    roles = ["bins"] * per_bin + ["trials"] * per_trial + ["units"] * per_unit
    if roles in (["bins"], ["trials"]):
        return roles[0], wide if roles == ["trials"] and is_wide else ""
    told = f"{axes.num_trials} trials, {axes.total_bins} bins, {axes.num_units} units"
    if array.size == 1 or not roles:
        is_note = array.size == 1 or (array.dtype.kind == "U" and array.size <= _MAX_NOTE)
        return "note", "" if is_note else (
            f"array {name!r} of shape {shape} has no known meaning ({told}); correct it, give the "
            f"times of its samples as {name}_times_s, or remove it"
        )
    could_be = f"could be one value each of {' or '.join(roles)}"
    raise InputError(
        f"{where}: array {name!r} of shape {shape} "
        f"{could_be if len(roles) > 1 else 'has no known meaning'} ({told}); name it in "
        f"trial_columns or behavior, rename it unit_{name}, or remove it"
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


def _trial_columns(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """[trials] as it is; [trials, dims] as one column a dimension."""
    if array.ndim == 1:
        return {name: array}
    return {f"{name}_{dim}": array[:, dim] for dim in range(array.shape[1])}


def _note(array: np.ndarray) -> Any:
    """A small array as JSON can hold it; NaN becomes null."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return None
    return array.item() if array.size == 1 else array.ravel().tolist()
