"""Layouts of .mat files that are known by their names: which paths hold the spikes, and what goes
with them."""

from typing import Any

import numpy as np

from neurojax.data.readers.matlab_values import Cell, described, shown
from neurojax.errors import InputError

# Times and clusters that lie beside each other in one struct (or at the top of the file).
_PAIRS = (
    ("st", "clu"),  # cortex-lab's loadKSdir
    ("times", "clusters"),  # ALF in a struct
    ("spiketimes", "clusterids"),
    ("spike_times", "spike_clusters"),  # Kilosort
    ("spiketimes", "spikeclusters"),
    ("spike_times", "clusters"),
)
CLUSTER_CLASS = "cluster_class"  # wave_clus: class and milliseconds of each spike
# Buzcode and CellExplorer: beside the cell of times, or one struct further up.
_UNIT_IDS, _REGIONS = ("UID",), ("region", "brainRegion")


def found_options(root: dict[str, Any], where: str) -> dict[str, str]:
    """The options that name the spikes of a file, found where its names leave no doubt.

    Raises:
        InputError: there are none or several; what the file has is listed, spikes first.
    """
    found = _candidates(root, "", root)
    if len(found) == 1:
        return found[0]
    listed = shown(described(root))
    if not found:
        raise InputError(
            f"{where}: name what holds the spikes with --options=spikes=PATH (a cell), "
            "--options=times=PATH,clusters=PATH (spike_times_s and spike_units of other files) or "
            f"--options=counts=PATH,axes=units:bins,bin_size_s=SECONDS; it has {listed}"
        )
    ways = " or ".join(_typed(options) for options in found[:4])
    raise InputError(f"{where} has several sets of spikes; take one of {ways}; it has {listed}")


def _typed(options: dict[str, str]) -> str:
    return "--options=" + ",".join(f"{name}={path}" for name, path in options.items())


def _candidates(value: Any, path: str, above: Any) -> list[dict[str, str]]:
    if not isinstance(value, dict):
        return []
    prefix = f"{path}." if path else ""
    by_lower = {name.lower(): name for name in value}
    found = []
    if is_cluster_class(value.get(CLUSTER_CLASS)):
        found.append({"cluster_class": prefix + CLUSTER_CLASS})
    for names in _PAIRS:
        own = [by_lower.get(name) for name in names]
        if None not in own and _are_spikes(*(value[name] for name in own)):
            found.append({"times": prefix + own[0], "clusters": prefix + own[1]})
            break
    if _is_fieldtrip(value):
        named = {"spikes": "time", "spike_trial": "trial", "trial_times": "trialtime"}
        named |= (
            {"unit_id": "label"} if _length(value.get("label")) == _length(value["time"]) else {}
        )
        found.append({option: prefix + name for option, name in named.items()})
    times = value.get("times")
    units = _ids_beside(value, path, above)
    if isinstance(times, Cell) and is_trains(times) and units:
        found.append({"spikes": f"{prefix}times", **units})
    for name, inner in value.items():
        found += _candidates(inner, prefix + name, value)
    return found


def _ids_beside(value: dict[str, Any], path: str, above: Any) -> dict[str, str]:
    """Paths of unit_id and region of a cell of times: in its struct, or in the one above."""
    size = len(value["times"].values) if isinstance(value.get("times"), Cell) else -1
    outer = path.rpartition(".")[0]
    for struct, prefix in ((value, path), (above, outer)):
        start = f"{prefix}." if prefix else ""
        if not isinstance(struct, dict):
            continue
        ids = [name for name in _UNIT_IDS if _length(struct.get(name)) == size]
        if ids:
            regions = [name for name in _REGIONS if _length(struct.get(name)) == size]
            made = {"unit_id": start + ids[0]}
            return made | ({"region": start + regions[0]} if regions else {})
    return {}


def _is_fieldtrip(value: dict[str, Any]) -> bool:
    """FieldTrip's spike structure with trials: time and trial of each spike, a cell a unit each."""
    times, trials, spans = (value.get(name) for name in ("time", "trial", "trialtime"))
    return (
        is_trains(times)
        and is_trains(trials)
        and len(times.values) == len(trials.values)
        and isinstance(spans, np.ndarray)
        and spans.ndim == 2
        and spans.shape[1] == 2
    )


def _length(value: Any) -> int:
    if isinstance(value, Cell):
        return len(value.values)
    return value.size if isinstance(value, np.ndarray) else -2


def is_trains(value: Any) -> bool:
    """Whether a value is a cell with one vector of numbers each."""
    return (
        isinstance(value, Cell)
        and bool(value.values)
        and all(
            isinstance(part, np.ndarray)
            and part.dtype.kind in "iuf"
            and (part.size <= 1 or max(part.shape) == part.size)
            for part in value.values
        )
    )


def is_cluster_class(value: Any) -> bool:
    """Whether a value is wave_clus's [spikes, 2] of class and time."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype.kind in "iuf"
        and value.ndim == 2
        and value.shape[1] == 2
        and bool((value[:, 0] == np.floor(value[:, 0])).all())
    )


def _are_spikes(times: Any, clusters: Any) -> bool:
    return (
        all(
            isinstance(part, np.ndarray)
            and part.dtype.kind in "iuf"
            and max(part.shape, default=0) == part.size > 1
            for part in (times, clusters)
        )
        and times.size == clusters.size
        and bool((clusters == np.floor(clusters)).all())
    )
