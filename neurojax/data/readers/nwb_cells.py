"""Traces of cells in an NWB file (calcium imaging): which series there are, their planes, and which
cells the file accepts.

Source: NWB 2 schema, RoiResponseSeries and PlaneSegmentation; suite2p and CaImAn as they write
them.
"""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.clock import TimeUnit
from neurojax.data.readers import hdf5, nwb_file
from neurojax.data.readers.nwb_series import is_series, path_of, sample_times, scale_of
from neurojax.data.readers.nwb_tables import num_rows, plain_columns
from neurojax.data.readers.signals import FILL_SAMPLES, without_fill
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import counted_drops
from neurojax.data.store.observation_rules import check_unit_of_values
from neurojax.errors import InputError, require

_MAX_VALUES = 2**29  # of all traces, float32
_BLOCK_VALUES = 2**22


class Plane(NamedTuple):
    """Traces of one plane, checked.

    Attributes:
        values: float32 [samples, C], in the unit of the file; NaN where it has none.
        times_s: float64 [samples], rising, seconds.
        unit: of the values.
        channel, region: str [C].
        accepted: bool [C], cells that count.
        dropped: reason -> number of ROIs left out.
        notes: name -> number; what was odd.
    """

    values: np.ndarray
    times_s: np.ndarray
    unit: str
    channel: np.ndarray
    region: np.ndarray
    accepted: np.ndarray
    dropped: dict[str, int]
    notes: dict[str, int]


def trace_series(file: Any) -> dict[str, Any]:
    """Series of traces of cells by path."""
    return {
        path: group
        for path, group in nwb_file.groups(file, "processing", "acquisition", "analysis")
        if is_series(group)
        and ("rois" in group or hdf5.text_attribute(group, "neurodata_type") == "RoiResponseSeries")
    }


def read_planes(file: Any, spec: ReadSpec, where: str) -> Plane:
    """All planes that were asked for, as one recording."""
    found, asked = trace_series(file), spec.option("traces")
    require(found, f"{where} holds no traces of cells (RoiResponseSeries); leave out traces")
    paths = [path_of(name, found, where, "traces") for name in asked.split("+")]
    require(
        len(set(paths)) == len(paths), f"{where}: traces={asked!r} names a series twice; once does"
    )
    planes = [_plane(file, path, found[path], spec, f"{where}, {path}") for path in paths]
    one = planes[0]
    for path, other in zip(paths[1:], planes[1:], strict=True):
        step = np.median(np.diff(one.times_s)) if len(one.times_s) > 1 else np.inf
        same = len(other.times_s) == len(one.times_s)
        if not same or np.abs(other.times_s - one.times_s).max(initial=0) > step * 1.01:
            raise InputError(
                f"{where}: {paths[0]} has {len(one.times_s)} frames and {path} "
                f"{len(other.times_s)}, or they are more than a frame apart; convert each as a "
                "session of its own"
            )
        require(
            other.unit == one.unit,
            f"{where}: {paths[0]} is in {one.unit} and {path} in {other.unit}; convert each as a "
            "session of its own",
        )
    channel = np.concatenate([plane.channel for plane in planes])
    if len(set(channel.tolist())) < len(channel):  # two series of one plane
        channel = np.concatenate(
            [
                np.char.add(f"{path.rpartition('/')[2]}-", plane.channel)
                for path, plane in zip(paths, planes, strict=True)
            ]
        )
    values = np.concatenate([plane.values for plane in planes], axis=1)
    reasons = {
        "not accepted as a cell": ~np.concatenate([plane.accepted for plane in planes]),
        "never a finite value": ~np.isfinite(values).any(axis=0),
    }
    keep, dropped = counted_drops(reasons, "cell", where)
    return one._replace(
        values=values[:, keep],
        channel=channel[keep],
        region=np.concatenate([plane.region for plane in planes])[keep],
        accepted=np.ones(int(keep.sum()), bool),
        dropped=dropped,
        notes=dict(sum((Counter(plane.notes) for plane in planes), Counter())),
    )


def _plane(file: Any, path: str, group: Any, spec: ReadSpec, where: str) -> Plane:
    data = nwb_file.check_dataset(nwb_file.entry(group, "data"), where)
    require(
        data.ndim in (1, 2) and data.dtype.kind in "iuf" and data.size <= _MAX_VALUES,
        f"{where} is {data.dtype} {list(data.shape)}, expected up to {_MAX_VALUES} numbers "
        "[frames, cells]",
    )
    rois = _rois(group, where)
    notes = {}
    turned = _is_turned(group, data, rois)
    if turned:
        notes["traces stored as [cells, frames], turned"] = 1
    num_samples, num_cells = (data.shape[::-1] if turned else (*data.shape, 1))[:2]
    times = sample_times(group, num_samples, TimeUnit.of(spec.time_unit).spikes, where)
    require(
        num_samples > 1 and np.isfinite(times).all(),
        f"{where} has {num_samples} frames, or times that are not finite; expected the time of "
        "each of several frames",
    )
    require(
        rois is None or len(rois) == num_cells,
        f"{where} has {num_cells} traces, but rois names {0 if rois is None else len(rois)} "
        "cells; it is damaged",
    )
    values, num_fill = without_fill(_read(data, turned))
    if num_fill:
        notes[FILL_SAMPLES] = num_fill
    if (np.diff(times) < 0).any():
        notes["frames out of order, sorted"] = int((np.diff(times) < 0).sum())
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
    name, ids, region, accepted = _cells(group, rois, num_cells, where)
    name = name or path.rpartition("/")[2]
    if accepted is None or spec.option("rois") == "all":
        accepted = np.ones(num_cells, bool)
    return Plane(
        values,
        times,
        _unit(data),
        np.array([f"{name}-{number}" for number in ids.tolist()], dtype=str),
        np.full(num_cells, region),
        accepted,
        {},
        notes,
    )


def _read(data: Any, turned: bool) -> np.ndarray:
    """float32 [frames, cells], scaled as the file says."""
    scale, offset = scale_of(data)
    rows = max(1, _BLOCK_VALUES // max(data.size // max(len(data), 1), 1))
    blocks = []
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(data), rows):
            block = data[first : first + rows].astype(np.float64) * scale + offset
            blocks.append(block.astype(np.float32))
    values = np.concatenate(blocks)
    values = values[:, None] if values.ndim == 1 else values
    return np.ascontiguousarray(values.T) if turned else values


def _rois(group: Any, where: str) -> np.ndarray | None:
    """Rows of the segmentation, int64 [cells]; None where the series names none."""
    rois = nwb_file.entry(group, "rois")
    if rois is None:
        return None
    named = nwb_file.values(rois, f"{where}/rois")
    require(
        named.ndim == 1 and named.dtype.kind in "iu",
        f"{where}/rois is {named.dtype} {list(named.shape)}, expected rows of cells",
    )
    return named.astype(np.int64)


def _is_turned(group: Any, data: Any, rois: np.ndarray | None) -> bool:
    """Whether data are [cells, frames]: some files are written so against the schema."""
    if data.ndim != 2 or rois is None or len(rois) != len(data) or len(rois) == data.shape[1]:
        return False
    stamps = nwb_file.entry(group, "timestamps")
    return stamps is None or stamps.shape == (data.shape[1],)


def _cells(
    group: Any, rois: np.ndarray | None, num_cells: int, where: str
) -> tuple[str, np.ndarray, str, np.ndarray | None]:
    """Name of the plane, id of each cell, region of the plane, and whether the file accepts each
    cell, bool [cells] (None where it does not say)."""
    table = nwb_file.referred(nwb_file.entry(group, "rois"), "table")  # its segmentation
    if not hasattr(table, "keys") or rois is None:
        return "", np.arange(num_cells), "unknown", None
    place = f"{where}, {table.name}"
    rows = num_rows(table, place)
    if len(rois) and (rois.min() < 0 or rois.max() >= rows):
        raise InputError(f"{place} has {rows} cells, but the traces name row {rois.max()}")
    columns, _ = plain_columns(table, rows, place)
    ids = columns.get("id", np.arange(rows))[rois]
    ids = ids if len(set(ids.tolist())) == num_cells else rois
    plane = nwb_file.entry(table, "imaging_plane")
    region = nwb_file.text(plane, "location") if hasattr(plane, "keys") else None
    accepted = _accepted(table, columns, rows, place)
    name = table.name.rpartition("/")[2]
    return name, ids, region or "unknown", None if accepted is None else accepted[rois]


def _accepted(
    table: Any, columns: dict[str, np.ndarray], rows: int, where: str
) -> np.ndarray | None:
    """bool [rows]; None where the table does not say. suite2p's `iscell` is a pair, the verdict and
    its probability."""
    plain = {name.lower().replace("_", ""): values for name, values in columns.items()}
    pair = nwb_file.entry(table, "iscell")
    if pair is not None and getattr(pair, "shape", None) == (rows, 2) and pair.dtype.kind in "biuf":
        plain["iscell"] = nwb_file.values(pair, f"{where}/iscell")[:, 0]
    for name, wanted in (("iscell", True), ("accepted", True), ("rejected", False)):
        values = plain.get(name)
        if values is None:
            continue
        if values.dtype.kind == "U":
            values = np.isin(np.char.lower(values), ("1", "true", "yes", "accepted", "cell"))
        verdict = np.nan_to_num(values).astype(bool) == wanted
        if verdict.any():  # CaImAn leaves the column empty where nobody judged
            return verdict
    return None


def _unit(data: Any) -> str:
    text = (hdf5.text_attribute(data, "unit") or "").strip()
    try:
        return check_unit_of_values("a.u." if text.lower() in ("n.a.", "na", "") else text, "")
    except InputError:
        return "a.u."
