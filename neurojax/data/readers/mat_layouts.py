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
_BESIDE = {"unit_id": ("UID",), "region": ("region", "brainRegion")}


def found_options(root: dict[str, Any], where: str) -> dict[str, str]:
    """The options that name the spikes of a file, found where its names leave no doubt.

    Raises:
        InputError: there are none or several; what the file has is listed, spikes first.
    """
    found = _candidates(root, "")
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


def _candidates(
    struct: Any, prefix: str, above: tuple[tuple[dict[str, Any], str], ...] = ()
) -> list[dict[str, str]]:
    """Options for each set of spikes in a struct and those within; `prefix` begins the paths of its
    values, `above` holds the struct around it and its prefix."""
    if not isinstance(struct, dict):
        return []
    by_lower = {name.lower(): name for name in struct}
    found = []
    if is_cluster_class(struct.get(CLUSTER_CLASS)):
        found.append({"cluster_class": prefix + CLUSTER_CLASS})
    pairs = [[by_lower.get(name) for name in names] for names in _PAIRS]
    pairs = [own for own in pairs if None not in own and _are_spikes(*map(struct.get, own))]
    if pairs:
        found.append({"times": prefix + pairs[0][0], "clusters": prefix + pairs[0][1]})
    if _is_fieldtrip(struct):
        named = {"spikes": "time", "spike_trial": "trial", "trial_times": "trialtime"}
        if _length(struct.get("label")) == _length(struct["time"]):
            named["unit_id"] = "label"
        found.append({option: prefix + name for option, name in named.items()})
    times, own = struct.get("times"), (struct, prefix)
    if is_trains(times) and (units := _beside(len(times.values), (own, *above))):
        found.append({"spikes": f"{prefix}times", **units})
    for name, inner in struct.items():
        found += _candidates(inner, f"{prefix}{name}.", (own,))
    return found


def _beside(num_units: int, structs: tuple[tuple[dict[str, Any], str], ...]) -> dict[str, str]:
    """Paths of unit_id and region of a cell of times, in the first struct that has units' ids."""
    for struct, prefix in structs:
        fitting = {
            option: prefix + name
            for option, names in _BESIDE.items()
            for name in reversed(names)
            if _length(struct.get(name)) == num_units
        }
        if "unit_id" in fitting:
            return fitting
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
