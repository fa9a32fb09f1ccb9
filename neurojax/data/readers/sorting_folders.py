"""Spikes and unit tables as sorters store them: Kilosort and phy folders, SpikeInterface sorting
folders.

phy:                        spike_times.npy (samples), spike_clusters.npy, params.py (read, never
                            executed), cluster_info.tsv, cluster_group.tsv, cluster_KSLabel.tsv
SpikeInterface, from 0.99:  spikes.npy (sample_index, unit_index, segment_index),
                            numpysorting_info.json, properties/
SpikeInterface, before:     sorting_cached.npz (spike_indexes_seg0, spike_labels_seg0, unit_ids)
"""

import ast
import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.readers.spec import as_number
from neurojax.data.store.array_files import (
    MAX_FILE_BYTES,
    map_npy,
    map_records,
    open_input,
    read_npz,
)
from neurojax.errors import InputError, require

MARKERS = ("spike_times.npy", "numpysorting_info.json", "sorting_cached.npz")
TABLES = ("cluster_info.tsv", "cluster_group.tsv", "cluster_KSLabel.tsv")
_MAX_TEXT_BYTES = 2**26
_EMPTY = ("", "nan", "None")


@dataclasses.dataclass(frozen=True)
class Sorting:
    """What a sorting folder holds.

    Attributes:
        samples: [spikes], sample of each spike.
        clusters: [spikes], name of each spike's unit, whole numbers.
        sample_rate_hz: samples a second; None where the folder does not say.
        table: column -> text of each cluster by its number; may lack clusters.
    """

    samples: np.ndarray
    clusters: np.ndarray
    sample_rate_hz: float | None
    table: dict[str, dict[int, str]]


def read_sorting(folder: Path, segment: int) -> Sorting:
    """Reads the sorting of a folder, whichever kind it is.

    Raises:
        InputError: it is none, or its files are damaged or disagree.
    """
    if (folder / "spike_times.npy").exists():
        return _read_phy(folder)
    if (folder / "numpysorting_info.json").exists():
        return _read_numpy_folder(folder, segment)
    if (folder / "sorting_cached.npz").exists():
        return _read_npz_folder(folder, segment)
    raise InputError(f"{folder} is no sorting folder; expected one of {', '.join(MARKERS)} in it")


def files_of(folder: Path) -> list[Path]:
    """Every file of the folder that a reader may use, sorted."""
    names = [*MARKERS, "spike_clusters.npy", "spike_templates.npy", "spikes.npy", "params.py"]
    named = [folder / name for name in names]
    patterns = ("*.tsv", "*.csv", "properties/*.npy")
    found = [path for pattern in patterns for path in folder.glob(pattern)]
    return sorted({path for path in (*named, *found) if path.is_file()})


def _read_phy(folder: Path) -> Sorting:
    samples = map_npy(folder / "spike_times.npy")
    name = next(
        (n for n in ("spike_clusters.npy", "spike_templates.npy") if (folder / n).exists()), None
    )
    require(
        name is not None, f"{folder} lacks spike_clusters.npy; expected the cluster of each spike"
    )
    table: dict[str, dict[int, str]] = {}
    # what phy wrote last wins where it says something
    for file in (TABLES[2], TABLES[1], TABLES[0]):
        if (folder / file).exists():
            for column, values in _read_cluster_table(folder / file).items():
                table.setdefault(column, {}).update(values)
    return Sorting(
        samples, map_npy(folder / name), _params_sample_rate(folder / "params.py"), table
    )


def _params_sample_rate(path: Path) -> float | None:
    """`sample_rate` of phy's params.py, which is Python: parsed for constants, not run."""
    if not path.exists():
        return None
    try:
        tree = ast.parse(_text(path))
        found = {
            target.id: ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id == "sample_rate"
        }
        return float(found["sample_rate"])
    except KeyError:
        return None
    except (
        SyntaxError,
        ValueError,
        TypeError,
        OverflowError,
        MemoryError,
        RecursionError,
    ) as error:
        told = " ".join(str(error).split()).partition(": <ast")[0][:80]
        raise InputError(
            f"{path} does not say sample_rate = NUMBER ({told}); correct it, or give "
            "--options=sample_rate_hz=30000"
        ) from None


def _read_cluster_table(path: Path) -> dict[str, dict[int, str]]:
    """Columns of a table with one row a cluster -> cluster -> text; blank cells are left out."""
    rows = read_rows(path)
    key = next((name for name in ("cluster_id", "id") if rows and name in rows[0]), None)
    require(key is not None, f"{path} has no column cluster_id; export it from phy again")
    table: dict[str, dict[int, str]] = {}
    for number, row in enumerate(rows, 2):
        named = as_number(row[key])
        if not abs(named) < 2**53 or named % 1:
            raise InputError(
                f"{path}, line {number}: cluster_id is {row[key][:60]!r}, expected a whole number"
            )
        cluster = int(named)
        for column, value in row.items():
            if column != key and value not in _EMPTY:
                table.setdefault(column, {})[cluster] = value
    return table


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a .tsv or .csv file with a header, blanks around cells removed.

    Raises:
        InputError: not text, too large, or rows with more or fewer cells than the header.
    """
    try:
        lines = list(
            csv.reader(
                _text(path).splitlines(),
                delimiter="\t" if path.suffix == ".tsv" else ",",
                strict=True,
            )
        )
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as a table ({error}); write it again") from None
    rows = [[cell.strip() for cell in line] for line in lines if line]
    require(rows, f"{path} is empty; expected a line of names and one line a row")
    header = rows[0]
    require(len(set(header)) == len(header), f"{path} names a column twice; rename one")
    if wrong := [number for number, row in enumerate(rows[1:], 2) if len(row) != len(header)]:
        raise InputError(
            f"{path}, line {wrong[0]}: other cells than the {len(header)} names of the first line"
        )
    return [dict(zip(header, row, strict=True)) for row in rows[1:]]


def _read_numpy_folder(folder: Path, segment: int) -> Sorting:
    info = _json_object(folder / "numpysorting_info.json")
    spikes = map_records(folder / "spikes.npy", ("sample_index", "unit_index", "segment_index"))
    _check_segment(info.get("num_segments", 1), segment, folder)
    chosen = spikes["segment_index"] == segment
    index = np.asarray(spikes["unit_index"])[chosen]
    unit_ids = info.get("unit_ids")
    require(
        isinstance(unit_ids, list)
        and unit_ids
        and all(isinstance(unit, str | int) for unit in unit_ids),
        f"{folder}/numpysorting_info.json has no list unit_ids of names; save the sorting again",
    )
    if len(index) and (index.min() < 0 or index.max() >= len(unit_ids)):
        raise InputError(
            f"{folder}: spikes name unit {index.max()}, but there are {len(unit_ids)}; save it "
            "again"
        )
    table = _properties(folder / "properties", len(unit_ids))
    table["unit_id"] = dict(enumerate(str(unit) for unit in unit_ids))
    return Sorting(
        np.asarray(spikes["sample_index"])[chosen],
        index,
        _rate(info.get("sampling_frequency")),
        table,
    )


def _read_npz_folder(folder: Path, segment: int) -> Sorting:
    arrays = read_npz(folder / "sorting_cached.npz")
    wanted = ("unit_ids", f"spike_indexes_seg{segment}", f"spike_labels_seg{segment}")
    num_segments = arrays.get("num_segment", np.array([1]))
    _check_segment(num_segments.ravel()[0].item() if num_segments.size else 0, segment, folder)
    if missing := [name for name in wanted if name not in arrays]:
        raise InputError(f"{folder}/sorting_cached.npz lacks {missing[0]}; save the sorting again")
    units, samples, names = (arrays[name] for name in wanted)
    require(
        units.ndim == 1 and names.ndim == 1 and len(units),
        f"{folder}/sorting_cached.npz: unit_ids is {list(units.shape)}; save the sorting again",
    )
    order = np.argsort(units)
    place = np.minimum(np.searchsorted(units[order], names), len(units) - 1)
    index = order[place]
    require(
        not (units[index] != names).any(),
        f"{folder}/sorting_cached.npz: spikes name units that unit_ids does not; save it again",
    )
    table = _properties(folder / "properties", len(units))
    table["unit_id"] = dict(enumerate(units.astype(str).tolist()))
    rate = arrays.get("sampling_frequency", np.array([])).ravel()
    return Sorting(samples, index, _rate(rate[0].item() if len(rate) else None), table)


def _properties(folder: Path, num_units: int) -> dict[str, dict[int, str]]:
    """Columns of numbers or text, one value a unit; what is pickled or of another length is left
    aside."""
    table: dict[str, dict[int, str]] = {}
    for path in sorted(folder.glob("*.npy")):
        try:
            values = map_npy(path, "biufUS")
        except InputError:  # SpikeInterface stores some properties as pickles
            continue
        if values.shape == (num_units,):
            table[path.stem] = dict(enumerate(values.astype(str).tolist()))
    return table


def _check_segment(num_segments: Any, segment: int, folder: Path) -> None:
    require(
        isinstance(num_segments, int) and 0 <= segment < num_segments,
        f"{folder} has {num_segments} segments, but segment {segment} was asked for",
    )


def _rate(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _json_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} cannot be read as JSON ({str(error)[:80]}); save the sorting again"
        ) from None
    require(
        isinstance(content, dict),
        f"{path} holds a JSON {type(content).__name__}, expected an object; save the sorting again",
    )
    return content


def _text(path: Path) -> str:
    with open_input(path) as file:
        require(
            path.stat().st_size <= min(_MAX_TEXT_BYTES, MAX_FILE_BYTES),
            f"{path} has {path.stat().st_size} bytes, more than such a file holds; check it",
        )
        try:
            return file.read().decode("utf-8-sig")
        except (UnicodeDecodeError, OSError):
            raise InputError(f"{path} is not text; write it again") from None
