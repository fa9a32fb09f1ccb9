"""Spikes as sorters store them: Kilosort and phy folders, SpikeInterface sorting folders.

phy:                        spike_times.npy (samples), or spike_times_sec*.npy (seconds),
                            spike_clusters.npy, params.py (read, never executed), cluster_*.tsv
SpikeInterface, from 0.99:  spikes.npy (sample_index, unit_index, segment_index),
                            numpysorting_info.json, properties/
SpikeInterface, before:     sorting_cached.npz (spike_indexes_seg0, spike_labels_seg0, unit_ids)

Pickles (ops.npy, properties of objects) are never opened; a zarr sorting is named and refused.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.readers.cluster_tables import Clusters, clusters_of, files_of_clusters
from neurojax.data.readers.phy_params import num_samples_of, params_of
from neurojax.data.readers.text_tables import read_json
from neurojax.data.store.array_files import map_npy, map_records, read_npz
from neurojax.errors import InputError, require

TIMES = ("spike_times.npy", "spike_times_sec_adj.npy", "spike_times_sec.npy")
MARKERS = (*TIMES, "numpysorting_info.json", "sorting_cached.npz")
_ATTRIBUTES = "recording_info/recording_attributes.json"  # of a SortingAnalyzer, one folder above
# names in info["findings"]
ALIGNED = "spike times on another clock beside those that were read"
KEPT = "spikes that kept_spikes.npy does not fit, so that it was not used"


@dataclasses.dataclass(frozen=True)
class Sorting:
    """What a sorting folder holds.

    Attributes:
        times: [spikes], sample of each spike, or its time in seconds.
        in_seconds: which of the two.
        clusters: [spikes], number of each spike's unit.
        segment: whole numbers [spikes], of each spike; None where there is one.
        num_samples: of each segment, None where the folder does not say.
        sample_rate_hz: samples a second; None where the folder does not say.
        tables: columns of text of the clusters.
        unit_ids: name of each unit by its number; None where clusters are named by it.
        dropped: reason -> spikes left out.
        findings: name -> number; what is odd.
    """

    times: np.ndarray
    in_seconds: bool
    clusters: np.ndarray
    segment: np.ndarray | None
    num_samples: tuple[int | None, ...]
    sample_rate_hz: float | None
    tables: Clusters
    unit_ids: list[str] | None
    dropped: dict[str, int]
    findings: dict[str, int]


def is_sorting(folder: Path) -> bool:
    """Whether a folder is a sorting, of any kind that is known."""
    return any((folder / marker).is_file() for marker in MARKERS) or is_zarr(folder)


def is_phy(folder: Path) -> bool:
    """Whether a folder is one of phy or Kilosort."""
    return any((folder / name).exists() for name in TIMES)


def is_zarr(folder: Path) -> bool:
    """Whether a folder is a sorting that SpikeInterface saved as zarr."""
    described = any((folder / name).is_file() for name in (".zgroup", ".zattrs", "zarr.json"))
    return described and (folder / "spikes").is_dir() and (folder / "unit_ids").is_dir()


def read_sorting(folder: Path, times: str | None, strict: bool) -> Sorting:
    """Reads the sorting of a folder, whichever kind it is.

    Args:
        folder: of the sorting.
        times: file of phy's spike times; None: the first of TIMES that is there.
        strict: refuses bad optional parts.

    Raises:
        InputError: it is none, or its files are damaged or disagree.
    """
    if is_phy(folder):
        return _read_phy(folder, times, strict)
    require(times is None, f"{folder} is no phy folder, so times={times!r} names none of its files")
    if (folder / "numpysorting_info.json").exists():
        return _read_numpy_folder(folder, strict)
    if (folder / "sorting_cached.npz").exists():
        return _read_npz_folder(folder, strict)
    if is_zarr(folder):
        raise InputError(
            f"{folder} is a sorting in zarr, which is not read; in SpikeInterface save it again "
            'with sorting.save(folder=PATH, format="numpy_folder")'
        )
    raise InputError(f"{folder} is no sorting folder; expected one of {', '.join(MARKERS)} in it")


def files_of(folder: Path) -> list[Path]:
    """Every file of the folder whose bytes a reader may use, sorted."""
    names = [*MARKERS, "spike_clusters.npy", "spike_templates.npy", "spikes.npy", "params.py"]
    named = [folder / name for name in (*names, "kept_spikes.npy")]
    patterns = ("*.tsv", "*.csv", "spike_times*.npy", "trials*.npz", "behav*.npz")
    found = [path for pattern in patterns for path in folder.glob(pattern)]
    return sorted({path for path in (*named, *found, *files_of_clusters(folder)) if path.is_file()})


def raw_num_samples(folder: Path) -> tuple[int | None, ...]:
    """Samples of the recording that a sorting's folder points to, of each segment; reads no
    spikes."""
    if is_phy(folder):
        return (num_samples_of(params_of(folder / "params.py"), folder),)
    return _analyzer_num_samples(folder)


def _read_phy(folder: Path, wanted: str | None, strict: bool) -> Sorting:
    there = [name for name in TIMES if (folder / name).exists()]
    name = there[0] if wanted is None else wanted
    require(
        Path(name).name == name and name.startswith("spike_times") and name.endswith(".npy"),
        f"times={name!r}; expected the name of a file spike_times*.npy in {folder}",
    )
    times = map_npy(folder / name)
    ids = next(
        (n for n in ("spike_clusters.npy", "spike_templates.npy") if (folder / n).exists()), None
    )
    require(
        ids is not None, f"{folder} lacks spike_clusters.npy; expected the cluster of each spike"
    )
    clusters, dropped, findings = map_npy(folder / ids), {}, {}
    if wanted is None and (others := [other for other in there if other.endswith("_adj.npy")]):
        findings[ALIGNED] = len(set(others) - {name})
    if (folder / "kept_spikes.npy").exists():
        times, clusters, dropped, odd = _without_duplicates(folder, times, clusters, strict)
        findings |= odd
    params = params_of(folder / "params.py")
    return Sorting(
        times,
        "_sec" in name,
        clusters,
        None,
        (num_samples_of(params, folder),),
        params.sample_rate_hz,
        clusters_of(folder, None, strict),
        None,
        dropped,
        {name: number for name, number in findings.items() if number},
    )


def _without_duplicates(
    folder: Path, times: np.ndarray, clusters: np.ndarray, strict: bool
) -> tuple[np.ndarray, np.ndarray, dict[str, int], dict[str, int]]:
    """Spikes without those that Kilosort 4 found twice: it writes a mask of all spikes it found,
    as a rule beside the spikes that are left."""
    kept = map_npy(folder / "kept_spikes.npy", "bu").ravel().astype(bool)
    number = int(kept.sum())
    if times.size == number:  # they are gone already
        return times, clusters, {}, {}
    if kept.size != times.size or clusters.size != times.size:
        require(
            not strict,
            f"{folder}/kept_spikes.npy keeps {number} of {kept.size} spikes, but there are "
            f"{times.size}; it belongs to another sorting: remove it",
        )
        return times, clusters, {}, {KEPT: times.size}
    gone = {"found twice by the sorter (kept_spikes.npy)": kept.size - number}
    return times.ravel()[kept], clusters.ravel()[kept], gone, {}


def _read_numpy_folder(folder: Path, strict: bool) -> Sorting:
    path = folder / "numpysorting_info.json"
    info = _object(path)
    spikes = map_records(folder / "spikes.npy", ("sample_index", "unit_index", "segment_index"))
    unit_ids = info.get("unit_ids")
    require(
        isinstance(unit_ids, list)
        and unit_ids
        and all(isinstance(unit, str | int) for unit in unit_ids),
        f"{path} has no list unit_ids of names; save the sorting again",
    )
    index = np.asarray(spikes["unit_index"])
    if len(index) and (index.min() < 0 or index.max() >= len(unit_ids)):
        raise InputError(
            f"{folder}: spikes name unit {index.max()}, but there are {len(unit_ids)}; save it "
            "again"
        )
    unit_ids = [str(unit) for unit in unit_ids]
    num_segments = _num_segments(info.get("num_segments", 1), folder)
    segment = np.asarray(spikes["segment_index"])
    if len(segment) and (segment.min() < 0 or segment.max() >= num_segments):
        raise InputError(
            f"{folder}: spikes name segment {segment.max()}, but there are {num_segments}; save "
            "it again"
        )
    return Sorting(
        np.asarray(spikes["sample_index"]),
        False,
        index,
        segment if num_segments > 1 else None,
        _fitting(_analyzer_num_samples(folder), num_segments),
        _rate(info.get("sampling_frequency")),
        clusters_of(folder, unit_ids, strict),
        unit_ids,
        {},
        {},
    )


def _read_npz_folder(folder: Path, strict: bool) -> Sorting:
    path = folder / "sorting_cached.npz"
    arrays = read_npz(path)
    typed = arrays.get("num_segment", np.array([1])).ravel()
    num_segments = _num_segments(typed[0].item() if typed.size else 0, folder)
    named = [
        f"spike_{what}_seg{segment}"
        for segment in range(num_segments)
        for what in ("indexes", "labels")
    ]
    if missing := [name for name in ("unit_ids", *named) if name not in arrays]:
        raise InputError(f"{path} lacks {missing[0]}; save the sorting again")
    units = arrays["unit_ids"]
    samples, names = [arrays[n] for n in named[::2]], [arrays[n] for n in named[1::2]]
    require(
        units.ndim == 1 and len(units) and all(one.ndim == 1 for one in (*samples, *names)),
        f"{path}: unit_ids is {list(units.shape)}, or spikes have several axes; save the sorting "
        "again",
    )
    lengths = [len(one) for one in samples]
    require(
        lengths == [len(one) for one in names],
        f"{path} has {lengths} spikes and {[len(one) for one in names]} labels; save it again",
    )
    names = np.concatenate(names)
    order = np.argsort(units)
    place = np.minimum(np.searchsorted(units[order], names), len(units) - 1)
    index = order[place]
    require(
        not (units[index] != names).any(),
        f"{path}: spikes name units that unit_ids does not; save it again",
    )
    unit_ids = units.astype(str).tolist()
    rate = arrays.get("sampling_frequency", np.array([])).ravel()
    return Sorting(
        np.concatenate(samples),
        False,
        index,
        np.repeat(np.arange(num_segments), lengths) if num_segments > 1 else None,
        _fitting(_analyzer_num_samples(folder), num_segments),
        _rate(rate[0].item() if len(rate) else None),
        clusters_of(folder, unit_ids, strict),
        unit_ids,
        {},
        {},
    )


def _analyzer_num_samples(folder: Path) -> tuple[int | None, ...]:
    """Samples of each segment as a SortingAnalyzer keeps them; (None,) elsewhere."""
    for above in (folder, folder.parent):
        if (above / _ATTRIBUTES).is_file():
            number = _object(above / _ATTRIBUTES).get("num_samples")
            if isinstance(number, list) and all(type(n) is int and n > 0 for n in number):
                return tuple(number)
    return (None,)


def _fitting(num_samples: tuple[int | None, ...], num_segments: int) -> tuple[int | None, ...]:
    fits = len(num_samples) == num_segments
    return num_samples if fits else (None,) * num_segments


def _num_segments(number: Any, folder: Path) -> int:
    require(
        type(number) is int and 1 <= number <= 10**6,
        f"{folder} says it has {str(number)[:40]} segments, expected a whole number from 1; save "
        "the sorting again",
    )
    return number


def _rate(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    require(
        isinstance(content, dict),
        f"{path} holds a JSON {type(content).__name__}, expected an object; save the sorting again",
    )
    return content
