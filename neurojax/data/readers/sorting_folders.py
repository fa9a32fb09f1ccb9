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
from neurojax.data.readers.spec import ReadSpec
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
    dropped: dict[str, int] = dataclasses.field(default_factory=dict)
    findings: dict[str, int] = dataclasses.field(default_factory=dict)


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


def read_sorting(folder: Path, spec: ReadSpec) -> Sorting:
    """Reads the sorting of a folder, whichever kind it is.

    Args:
        folder: of the sorting.
        spec: its option `times` (a file of phy's spike times; else the first of TIMES that is
            there), and `strict`.

    Raises:
        InputError: it is none, or its files are damaged or disagree.
    """
    times = spec.option("times")
    if is_phy(folder):
        return _read_phy(folder, times, spec)
    require(times is None, f"{folder} is no phy folder, so times={times!r} names none of its files")
    if (folder / "numpysorting_info.json").exists():
        return _read_numpy_folder(folder, spec)
    if (folder / "sorting_cached.npz").exists():
        return _read_npz_folder(folder, spec)
    require(
        not is_zarr(folder),
        f"{folder} is a sorting in zarr, which is not read; in SpikeInterface save it again "
        'with sorting.save(folder=PATH, format="numpy_folder")',
    )
    raise InputError(f"{folder} is no sorting folder; expected one of {', '.join(MARKERS)} in it")


def files_of(folder: Path) -> list[Path]:
    """Every file of the folder whose bytes a reader may use, sorted."""
    names = [*MARKERS, "spike_clusters.npy", "spike_templates.npy", "spikes.npy", "params.py"]
    named = [folder / name for name in (*names, "kept_spikes.npy")]
    patterns = ("*.tsv", "*.csv", "spike_times*.npy", "trials*.npz", "behav*.npz")
    found = [path for pattern in patterns for path in folder.glob(pattern)]
    return sorted({path for path in (*named, *found, *files_of_clusters(folder)) if path.is_file()})


def _read_phy(folder: Path, wanted: str | None, spec: ReadSpec) -> Sorting:
    there = [name for name in TIMES if (folder / name).exists()]
    name = there[0] if wanted is None else wanted
    require(
        Path(name).name == name and name.startswith("spike_times") and name.endswith(".npy"),
        f"times={name!r}; expected the name of a file spike_times*.npy in {folder}",
    )
    ids = [folder / n for n in ("spike_clusters.npy", "spike_templates.npy")]
    ids = [path for path in ids if path.exists()]
    require(ids, f"{folder} lacks spike_clusters.npy; expected the cluster of each spike")
    spikes = map_npy(folder / name), map_npy(ids[0])
    dropped, odd = {}, {}
    if (folder / "kept_spikes.npy").exists():
        *spikes, dropped, odd = _without_duplicates(folder, *spikes, spec.strict)
    if wanted is None and TIMES[1] in there and name != TIMES[1]:
        odd[ALIGNED] = 1
    params = params_of(folder / "params.py")
    return Sorting(
        spikes[0],
        "_sec" in name,
        spikes[1],
        None,
        (num_samples_of(params, folder),),
        params.sample_rate_hz,
        clusters_of(folder, None, spec),
        None,
        dropped,
        odd,
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


def _read_numpy_folder(folder: Path, spec: ReadSpec) -> Sorting:
    path = folder / "numpysorting_info.json"
    info = _object(path)
    columns = ("sample_index", "unit_index", "segment_index")
    spikes = map_records(folder / "spikes.npy", columns)
    unit_ids = info.get("unit_ids")
    require(
        isinstance(unit_ids, list)
        and unit_ids
        and all(isinstance(unit, str | int) for unit in unit_ids),
        f"{path} has no list unit_ids of names; save the sorting again",
    )
    spikes = [np.asarray(spikes[name]) for name in columns]
    number, rate_hz = info.get("num_segments", 1), info.get("sampling_frequency")
    return _of_units(folder, spikes, list(map(str, unit_ids)), number, rate_hz, spec)


def _read_npz_folder(folder: Path, spec: ReadSpec) -> Sorting:
    path = folder / "sorting_cached.npz"
    arrays = read_npz(path)
    number, rate_hz = (
        next(iter(arrays[name].ravel().tolist()), None) if name in arrays else default
        for name, default in (("num_segment", 1), ("sampling_frequency", None))
    )
    segments = range(_num_segments(number, folder))
    named = [f"spike_{what}_seg{n}" for what in ("indexes", "labels") for n in segments]
    if missing := [name for name in ("unit_ids", *named) if name not in arrays]:
        raise InputError(f"{path} lacks {missing[0]}; save the sorting again")
    units, parts = arrays["unit_ids"], [arrays[name] for name in named]
    require(
        units.ndim == 1 and len(units) and all(one.ndim == 1 for one in parts),
        f"{path}: unit_ids is {list(units.shape)}, or spikes have several axes; save the sorting "
        "again",
    )
    lengths, labels = np.reshape(list(map(len, parts)), (2, -1)).tolist()
    require(lengths == labels, f"{path} has {lengths} spikes and {labels} labels; save it again")
    names = np.concatenate(parts[len(segments) :])
    order = np.argsort(units)
    index = order[np.minimum(np.searchsorted(units[order], names), len(units) - 1)]
    require(
        not (units[index] != names).any(),
        f"{path}: spikes name units that unit_ids does not; save it again",
    )
    spikes = [np.concatenate(parts[: len(segments)]), index, np.repeat(segments, lengths)]
    return _of_units(folder, spikes, units.astype(str).tolist(), number, rate_hz, spec)


def _of_units(
    folder: Path,
    spikes: list[np.ndarray],
    unit_ids: list[str],
    number: Any,
    rate_hz: Any,
    spec: ReadSpec,
) -> Sorting:
    """A sorting whose units have names; `spikes` are samples, places of units and segments."""
    samples, index, segment = spikes
    number = _num_segments(number, folder)
    for what, named, known in (("unit", index, len(unit_ids)), ("segment", segment, number)):
        if len(named) and (named.min() < 0 or named.max() >= known):
            raise InputError(
                f"{folder}: spikes name {what} {named.max()}, but there are {known}; save it again"
            )
    num_samples = _analyzer_num_samples(folder)
    return Sorting(
        samples,
        False,
        index,
        segment if number > 1 else None,
        num_samples if len(num_samples) == number else (None,) * number,
        float(rate_hz) if isinstance(rate_hz, int | float) else None,
        clusters_of(folder, unit_ids, spec),
        unit_ids,
    )


def _analyzer_num_samples(folder: Path) -> tuple[int | None, ...]:
    """Samples of each segment as a SortingAnalyzer keeps them; (None,) elsewhere."""
    for above in (folder, folder.parent):
        if (above / _ATTRIBUTES).is_file():
            number = _object(above / _ATTRIBUTES).get("num_samples")
            if isinstance(number, list) and all(type(n) is int and n > 0 for n in number):
                return tuple(number)
    return (None,)


def _num_segments(number: Any, folder: Path) -> int:
    require(
        type(number) is int and 1 <= number <= 10**6,
        f"{folder} says it has {str(number)[:40]} segments, expected a whole number from 1; save "
        "the sorting again",
    )
    return number


def _object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    require(
        isinstance(content, dict),
        f"{path} holds a JSON {type(content).__name__}, expected an object; save the sorting again",
    )
    return content
