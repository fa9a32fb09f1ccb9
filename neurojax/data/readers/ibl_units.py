"""Units of the International Brain Laboratory's probes: sorting, quality, channel, depth, brain
region."""

import dataclasses
import functools

import numpy as np

from neurojax.data.binning import whole_numbers
from neurojax.data.optional import needed
from neurojax.data.readers.alf_files import AlfFile, read_objects, read_table
from neurojax.data.readers.sorted_spikes import SortedSpikes, keep_units, sorted_spikes
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.readers.trials import counted_drops
from neurojax.errors import InputError, require

SORTERS = ("iblsorter", "pykilosort", "ks2_matlab", "")  # where several are there, the first
MAPPINGS = {
    "allen": ("Allen", "Beryl"),
    "beryl": ("Beryl", "Cosmos"),
    "cosmos": ("Cosmos", "Cosmos"),
}
UNITS = ("all", "good")
_SITES = ("brainLocationIds_ccf_2017", "mlapdv", "localCoordinates")


@dataclasses.dataclass(frozen=True)
class Probe:
    """One probe's spikes and units.

    Attributes:
        name: "probe00", or "" for a folder without probes.
        collection: the folder the spikes come from.
        spikes: kept units only.
        unit_id: str [N], "probe00/17": the probe and the sorter's cluster.
        atlas_id: int64 [N], Allen structure without its side; 0 where unknown.
        metadata: name -> float32 [N].
        units_dropped: reason -> number.
    """

    name: str
    collection: str
    spikes: SortedSpikes
    unit_id: np.ndarray
    atlas_id: np.ndarray
    metadata: dict[str, np.ndarray]
    units_dropped: dict[str, int]


def collections(files: list[AlfFile], spec: ReadSpec, where: str) -> dict[str, str]:
    """Probe -> the collection of the sorting to read.

    Raises:
        InputError: no spikes, or the options name a probe or a sorter that is not there.
    """
    found: dict[str, dict[str, str]] = {}
    for file in files:
        if (file.object, file.attribute) == ("spikes", "times"):
            parts = file.collection.split("/")[1:]
            found.setdefault(parts[0] if parts else "", {})["/".join(parts[1:])] = file.collection
    require(
        found,
        f"{where} holds no spikes.times.npy; expected alf/probe00/pykilosort/spikes.times.npy or "
        "alike",
    )
    wanted = spec.option("probes")
    names = sorted(found) if wanted is None else wanted.split("+")
    if missing := [name for name in names if name not in found]:
        raise InputError(
            f"{where}: probes names {missing[0]!r}, but the recording has "
            f"{', '.join(sorted(found))}"
        )
    sorter = spec.option("sorter")
    chosen = {}
    for name in names:
        known = sorted(found[name], key=lambda key: SORTERS.index(key) if key in SORTERS else -1)
        require(
            sorter is None or sorter in known,
            f"{where}: sorter={sorter!r}, but {name or 'the folder'} has {', '.join(known)}",
        )
        chosen[name] = found[name][known[0] if sorter is None else sorter]
    return chosen


def read_probe(
    files: list[AlfFile], name: str, collection: str, spec: ReadSpec, where: str
) -> Probe:
    """Spikes and units of one probe; clusters without spikes stay units.

    Raises:
        InputError: damaged or inconsistent files, or the options leave no unit.
    """
    here = [file for file in files if file.collection == collection]
    label = f"{where}, {collection}"
    spikes = read_objects(here, "spikes", ("times", "clusters"))
    if missing := [key for key in ("times", "clusters") if key not in spikes]:
        raise InputError(f"{label} lacks spikes.{missing[0]}.npy")
    clusters = [file for file in here if file.object == "clusters"]
    table = read_objects(
        [file for file in clusters if file.path.suffix == ".npy"],
        "clusters",
        ("channels", "depths"),
    )
    num_clusters = len(next(iter(table.values()))) if table else None
    sorting = sorted_spikes(spikes["times"], spikes["clusters"], label, num_clusters)
    columns = {
        key: _one_column(values, f"{label}: clusters.{key}") for key, values in table.items()
    }
    if metrics := [
        file for file in clusters if (file.attribute, file.path.suffix) == ("metrics", ".pqt")
    ]:
        columns |= _metrics(read_table(metrics[0].path), sorting.cluster_id, label)
    atlas_id, sites = _sites(
        here, [f for f in files if f.collection == f"alf/{name}"], columns, sorting, label
    )
    metadata = {"depth_um": columns["depths"]} if "depths" in columns else {}
    metadata |= {key: columns[key] for key in ("label", "presence_ratio") if key in columns} | sites
    keep, dropped = _selection(sorting, columns, atlas_id, spec, label)
    return Probe(
        name,
        collection,
        keep_units(sorting, keep),
        np.array(
            [f"{name}/{cluster}" if name else str(cluster) for cluster in sorting.cluster_id[keep]]
        ),
        atlas_id[keep],
        {key: values[keep].astype(np.float32) for key, values in metadata.items()},
        dropped,
    )


def _one_column(values: np.ndarray, where: str) -> np.ndarray:
    require(
        values.ndim == 1 or values.shape[1:] == (1,),
        f"{where} is {list(values.shape)}, expected one number a cluster",
    )
    return np.asarray(values, np.float64).ravel()


def _metrics(
    table: dict[str, np.ndarray], cluster_id: np.ndarray, label: str
) -> dict[str, np.ndarray]:
    """Quality columns in the order of the units, NaN where the table leaves a cluster out."""
    ids = table.get("cluster_id")
    if ids is None:
        require(
            not any(len(values) != len(cluster_id) for values in table.values()),
            f"{label}: clusters.metrics has no cluster_id, and other rows than the clusters; "
            "fetch it again",
        )
        ids = cluster_id
    columns = {}
    ids = whole_numbers(
        np.asarray(ids), f"{label}: cluster_id of clusters.metrics", "cluster numbers"
    )
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids[order], cluster_id), max(len(ids) - 1, 0))
    for key in ("label", "presence_ratio"):
        if key in table and len(ids):
            values = np.asarray(table[key], np.float64)[order][place]
            columns[key] = np.where(ids[order][place] == cluster_id, values, np.nan)
    return columns


def _sites(
    here: list[AlfFile],
    probe_files: list[AlfFile],
    columns: dict[str, np.ndarray],
    sorting: SortedSpikes,
    label: str,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Atlas ids int64 [N], 0 without histology, and positions of the units' channels."""
    num_units = len(sorting.cluster_id)
    sites = read_objects(here, "channels", _SITES) or read_objects(
        probe_files, "electrodeSites", _SITES
    )
    if "channels" not in columns or not sites:
        return np.zeros(num_units, np.int64), {}
    num_channels = len(next(iter(sites.values())))
    channel = whole_numbers(
        columns["channels"], f"{label}: clusters.channels", "channel numbers"
    ).astype(np.int64)
    if channel.min(initial=0) < 0 or channel.max(initial=0) >= num_channels:
        raise InputError(
            f"{label}: clusters.channels runs from {channel.min()} to {channel.max()}, but there "
            f"are {num_channels} channels; the files belong to different revisions or are damaged"
        )
    ids = whole_numbers(
        np.ravel(sites.get("brainLocationIds_ccf_2017", np.zeros(num_channels, np.int64))),
        f"{label}: channels.brainLocationIds",
        "Allen atlas ids",
    )
    atlas_id = np.abs(ids.astype(np.int64))[channel]  # negative on the left side
    positions = {}
    if "mlapdv" in sites and sites["mlapdv"].ndim == 2 and sites["mlapdv"].shape[1] == 3:
        of_units = np.asarray(sites["mlapdv"], np.float64)[channel].T
        positions = dict(zip(("ml_um", "ap_um", "dv_um"), of_units, strict=True))
    if "localCoordinates" in sites and sites["localCoordinates"].ndim == 2:
        positions["lateral_um"] = np.asarray(sites["localCoordinates"], np.float64)[channel, 0]
    return atlas_id, positions


def _selection(
    sorting: SortedSpikes,
    columns: dict[str, np.ndarray],
    atlas_id: np.ndarray,
    spec: ReadSpec,
    label: str,
) -> tuple[np.ndarray, dict[str, int]]:
    wanted = spec.option("units", "all")
    require(wanted in UNITS, f"units={wanted!r}; expected {' or '.join(UNITS)}")
    num_units = len(sorting.cluster_id)
    tests = {"kept": np.zeros(num_units, bool)}
    if wanted == "good":
        require(
            "label" in columns,
            f"{label}: units=good needs the column label of clusters.metrics; leave it out",
        )
        tests["not a good unit (label below 1)"] = ~(columns["label"] >= 1)
    if (least := spec.option("min_rate_hz")) is not None:
        span_s = max(float(sorting.times_s[-1] - sorting.times_s[0]), 1e-3)
        rates_hz = np.bincount(sorting.rows, minlength=num_units) / span_s
        least_hz = as_number(least)
        require(0 <= least_hz < np.inf, f"min_rate_hz={least!r}; expected a number of 0 or more")
        tests[f"rate below {least} Hz"] = rates_hz < least_hz
    if spec.option("units_without_region", "keep") == "drop":
        tests["no brain region"] = atlas_id == 0
    return counted_drops(tests, "unit", label)


@functools.cache
def _atlas():
    package = needed(
        "iblatlas.regions",
        "brain regions of IBL recordings need iblatlas; install it with `pip install "
        '"neurojax[ibl]"`',
    )
    return package.BrainRegions()


def regions(atlas_id: np.ndarray, level: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Acronyms of Allen structures at a level and at the next coarser one.

    Args:
        atlas_id: int64 [N], without side; 0 where unknown.
        level: "allen", "beryl" or "cosmos".

    Returns:
        region and region_group, str [N], "unknown" where the atlas does not know the id, and how
        many ids that are not 0 it does not know. No download: the tables come with iblatlas.
    """
    require(level in MAPPINGS, f"regions={level!r}; expected {', '.join(MAPPINGS)}")
    if not atlas_id.any():
        unknown = np.full(len(atlas_id), "unknown")
        return unknown, unknown.copy(), 0
    atlas = _atlas()
    order = np.argsort(atlas.id, kind="stable")
    place = np.minimum(np.searchsorted(atlas.id[order], atlas_id), len(order) - 1)
    row = order[place]
    known = (atlas.id[row] == atlas_id) & (atlas_id != 0)
    fine, coarse = (
        np.where(known, atlas.acronym[atlas.mappings[mapping][row]].astype(str), "unknown")
        for mapping in MAPPINGS[level]
    )
    return fine, coarse, int((~known & (atlas_id != 0)).sum())
