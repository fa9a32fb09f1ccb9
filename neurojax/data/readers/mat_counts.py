"""Spikes per bin of a .mat file as the arrays that `array_bins.bin_counts` reads: matrices, cubes,
cells of trials, cells of trials and units."""

from typing import Any

import numpy as np

from neurojax.data.readers.mat_values import grid_of, numbers, order_of, vector
from neurojax.data.readers.matlab_values import Cell, value_at
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.errors import InputError, require

_FLAT = ("bins:units", "units:bins")
_FAR_MORE = 10  # a matrix with so many times more of one axis has bins there


def bin_size_s(root: Any, spec: ReadSpec, where: str) -> Any:
    """Seconds of a bin, as the option says or names; InputError without it."""
    text = spec.option("bin_size_s")
    require(
        text is not None,
        f"{where}: counts need bin_size_s, seconds of a bin: a number, or the path of one",
    )
    typed = as_number(text)
    return numbers(value_at(root, text, where), "bin_size_s", where) if np.isnan(typed) else typed


def of_counts(
    value: Any, spec: ReadSpec, num_units: int | None, where: str
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Counts as [trials, bins, N], or [total_bins, N] with trial_offsets where there are trials;
    bins of each trial as the file has them, for arrays of one row a bin.

    Args:
        value: of the option `counts`.
        spec: its option axes.
        num_units: where region or unit_id says it.
        where: for messages.
    """
    typed = spec.option("axes")
    require(
        typed is None
        or sorted(typed.split(":"))
        in (["bins", "units"], ["bins", "trials", "units"], ["trials", "units"]),
        f"axes={typed!r}; expected bins and units, and trials if there are, such as units:bins; or "
        "trials:units for a cell with one vector of bins each",
    )
    if isinstance(value, Cell):
        return _of_trials(value, typed, num_units, where)
    require(
        typed is None or "bins" in typed, f"{where}: counts is no cell, but axes={typed!r} has none"
    )
    axes = ["bins", "units"] if typed is None else typed.split(":")
    matrix = numbers(value, "counts", where, len(axes))
    if "trials" in axes:
        cube = np.transpose(matrix, [axes.index(name) for name in ("trials", "bins", "units")])
        return {"counts": cube}, np.full(len(cube), cube.shape[1])
    order = typed or _likely_order([matrix], num_units, where)
    return {"counts": matrix if order == _FLAT[0] else matrix.T}, None


def _of_trials(
    value: Cell, typed: str | None, num_units: int | None, where: str
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    if all(isinstance(part, Cell) for part in value.values) or len(value.grid()) == 2:
        matrices = _of_trials_and_units(value, typed, num_units, where)
    else:
        require(
            typed in (None, *_FLAT),
            f"{where}: counts is a cell, one matrix a trial; expected axes=units:bins or "
            "bins:units",
        )
        found = [
            numbers(part, "counts", f"{where}, trial {number}", 2)
            for number, part in enumerate(value.values)
        ]
        order = typed or _likely_order(found, num_units, where)
        matrices = [part if order == _FLAT[0] else part.T for part in found]
    require(matrices, f"{where}: the cell of counts is empty")
    lengths = np.array([len(part) for part in matrices])
    widths = sorted({part.shape[1] for part in matrices if part.size} or {0})
    require(
        len(widths) == 1 and widths[0],
        f"{where}: trials have {widths[:5]} units, expected one number of units; check axes",
    )
    # An empty matrix is a trial of which nothing was recorded: one bin that was not observed.
    missing = np.full((1, widths[0]), np.nan)
    flat = np.concatenate([part if part.size else missing for part in matrices])
    offsets = np.concatenate([[0], np.cumsum(np.maximum(lengths * (lengths > 0), 1))])
    return {"counts": flat, "trial_offsets": offsets}, lengths


def _of_trials_and_units(
    value: Cell, typed: str | None, num_units: int | None, where: str
) -> list[np.ndarray]:
    """[bins, N] of each trial, of cells with one vector of bins each."""
    grid = grid_of(value, "counts", where)
    order = order_of(grid.shape, typed, num_units)
    require(
        order is not None,
        f"{where}: counts is a cell {list(grid.shape)} of vectors; say which axis is which with "
        "--options=axes=trials:units or axes=units:trials",
    )
    grid = grid.T if order == "units:trials" else grid
    made = []
    for number, units in enumerate(grid):
        vectors = [vector(part, "counts", f"{where}, trial {number}") for part in units]
        lengths = sorted({len(part) for part in vectors})
        require(
            len(lengths) == 1,
            f"{where}: trial {number} has {lengths[:5]} bins in its units, expected one number",
        )
        made.append(np.stack(vectors, axis=1))
    return made


def _likely_order(matrices: list[np.ndarray], num_units: int | None, where: str) -> str:
    """bins:units or units:bins where shapes leave no doubt; else it is asked."""
    shapes = np.array([part.shape for part in matrices if part.size])
    require(len(shapes), f"{where}: counts is empty")
    fits = [order for k, order in enumerate(_FLAT) if (shapes[:, 1 - k] == num_units).all()]
    if num_units is not None and len(fits) == 1:
        return fits[0]
    varies = (shapes != shapes[0]).any(axis=0)
    if varies.sum() == 1:
        return _FLAT[0] if varies[0] else _FLAT[1]
    rows, cols = int(shapes[0, 0]), int(shapes[0, 1])
    if len(shapes) == 1 and max(rows, cols) >= _FAR_MORE * min(rows, cols):
        return _FLAT[0] if rows > cols else _FLAT[1]
    each = " in each trial" if len(shapes) > 1 else ""
    raise InputError(
        f"{where}: counts is {[rows, cols]}{each}; say which axis is which with "
        "--options=axes=units:bins or axes=bins:units"
    )
