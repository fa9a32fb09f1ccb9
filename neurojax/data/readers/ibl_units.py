"""Units of ALF probes: sorting, quality, channel, depth, brain region, and time recorded."""

import dataclasses

import numpy as np

from neurojax.data.binning import whole_numbers
from neurojax.data.clock import TimeUnit, in_seconds, require_seconds
from neurojax.data.observed import EVERYTHING, heard_by_probe
from neurojax.data.readers.alf_files import (
    NUMBERS_OR_TEXT,
    AlfFile,
    read_objects,
    read_table,
)
from neurojax.data.readers.alf_text import read_text_table
from neurojax.data.readers.ibl_sites import (
    ACRONYMS,
    CHANNEL_COLUMNS,
    IDS,
    SITES,
    Sites,
    nowhere,
    sites,
)
from neurojax.data.readers.parts import PART, leave_out
from neurojax.data.readers.sorted_spikes import SortedSpikes, keep_units, sorted_spikes
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.readers.trials import counted_drops
from neurojax.errors import InputError, require

SORTERS = ("iblsorter", "pykilosort", "ks2_matlab", "")  # where several are there, the first
SPIKE_CLOCKS = ("times", "samples")
UNITS = ("all", "good")
# What a curator said of each unit; phy's numbers, or its words.
_ANNOTATIONS = ("_phy_annotation", "phy_annotation", "annotation", "group", "groups")
_WORDS = {"noise": 0.0, "mua": 1.0, "good": 2.0, "unsorted": 3.0}
_NOISE, _GOOD = 0.0, 2.0
_NUMBERS = (*CHANNEL_COLUMNS, "depths", "probes", IDS)
_TEXT = (*_ANNOTATIONS, *ACRONYMS)


_READ = {
    "spikes": (*SPIKE_CLOCKS, "clusters"),
    "clusters": (*_NUMBERS, *_TEXT, "metrics"),
    "channels": SITES,
    "electrodeSites": SITES,
}


def is_read(file: AlfFile) -> bool:
    """Whether something of a file of a probe may be read."""
    is_table = file.path.suffix != ".npy"
    return file.object in _READ and (is_table or file.attribute in _READ[file.object])


@dataclasses.dataclass(frozen=True)
class Probe:
    """One folder of spikes and its units; mostly one probe.

    Attributes:
        name: "probe00", or "" for a folder without probes.
        collection: the folder the spikes come from.
        spikes: kept units only.
        unit_id: str [N], "probe00/17": the probe and the sorter's cluster.
        sites: where the units lie.
        metadata: name -> float32 [N].
        units_dropped: reason -> number.
        within: int64 [N], probe within the folder, 0 where it holds one.
        heard_s: of each unit, float64 [n, 2], seconds in which its probe was recorded.
    """

    name: str
    collection: str
    spikes: SortedSpikes
    unit_id: np.ndarray
    sites: Sites
    metadata: dict[str, np.ndarray]
    units_dropped: dict[str, int]
    within: np.ndarray
    heard_s: list[np.ndarray]


def collections(files: list[AlfFile], spec: ReadSpec, where: str) -> dict[str, str]:
    """Probe -> the collection of the sorting to read.

    Raises:
        InputError: no spikes, or the options name a probe or a sorter that is not there.
    """
    found: dict[str, dict[str, str]] = {}
    for file in files:
        if file.object == "spikes" and file.attribute in SPIKE_CLOCKS:
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
    files: list[AlfFile],
    name: str,
    collection: str,
    spec: ReadSpec,
    where: str,
    findings: dict[str, int],
) -> Probe:
    """Spikes and units of one probe; clusters without spikes stay units.

    Args:
        files: of the session.
        name: of the probe.
        collection: its folder of spikes.
        spec: options.
        where: for messages.
        findings: parts that are left out are added to it.

    Raises:
        InputError: damaged or inconsistent spikes, or the options leave no unit.
    """
    here = [file for file in files if file.collection == collection]
    label = f"{where}, {collection}"
    times, clusters = _spikes(here, label, spec)
    least_rows = int(clusters.max()) + 1 if len(clusters) else 0
    bad: dict[str, InputError] = {}
    columns = _columns(here, least_rows, label, bad)
    num_clusters = len(next(iter(columns.values()))) if columns else None
    unit_s = TimeUnit.of(spec.time_unit).spikes
    sorting = sorted_spikes(in_seconds(times, unit_s), clusters, label, num_clusters)
    num_units = len(sorting.cluster_id)
    if unit_s is None:
        firing = np.bincount(sorting.rows, minlength=num_units) > 0
        require_seconds(times.ravel(), int(firing.sum()), spec.bin_size_s(where), label)
    try:
        columns |= _metrics(here, sorting.cluster_id, label)
    except InputError as error:
        bad["clusters.metrics"] = error
    try:
        probe_files = [file for file in files if file.collection == f"alf/{name}"]
        lie = sites(here, probe_files, columns, num_units, spec, label, bad)
    except InputError as error:
        bad["sites and regions"], lie = error, nowhere(num_units)
    for key, error in bad.items():
        leave_out(findings, PART, f"{collection}, {key}", error, spec, where)
    columns |= _annotation(columns)
    ours = {"depths": "depth_um"} | {key: key for key in ("label", "presence_ratio", "annotation")}
    metadata = {ours[key]: columns[key] for key in ours if key in columns} | lie.metadata
    within = np.nan_to_num(columns.get("probes", np.zeros(num_units))).astype(np.int64)
    keep, dropped = _selection(sorting, columns, lie, spec, label)
    intervals = [EVERYTHING] * num_units
    if spec.silence != "keep":  # the spikes of all its units tell, also of those left out
        intervals = heard_by_probe(sorting.times_s, sorting.rows, within)
    prefix = f"{name}/" if name else ""
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite
        columns_kept = {key: values[keep].astype(np.float32) for key, values in metadata.items()}
    return Probe(
        name,
        collection,
        keep_units(sorting, keep),
        np.array([f"{prefix}{cluster}" for cluster in sorting.cluster_id[keep]]),
        lie._replace(atlas_id=lie.atlas_id[keep], acronym=lie.acronym[keep], metadata={}),
        columns_kept,
        dropped,
        within[keep],
        [own for own, stays in zip(intervals, keep.tolist(), strict=True) if stays],
    )


def _spikes(here: list[AlfFile], label: str, spec: ReadSpec) -> tuple[np.ndarray, np.ndarray]:
    """Times, in the file's own unit and dtype, and clusters of the spikes, [spikes] each."""
    have = {file.attribute for file in here if file.object == "spikes"}
    clock = "samples" if "samples" in have and "times" not in have else "times"
    spikes = read_objects(here, "spikes", (clock, "clusters"))
    if missing := [key for key in (clock, "clusters") if key not in spikes]:
        raise InputError(f"{label} lacks spikes.{missing[0]}.npy")
    require(
        clock == "times" or TimeUnit.of(spec.time_unit).spikes is not None,
        f"{label} has spikes.samples and no spikes.times; give the rate of the samples, as in "
        "--time_unit=spikes=samples:30000,trials=s,behavior=s",
    )
    clusters = whole_numbers(
        np.ravel(spikes["clusters"]),
        f"{label}: the spikes' clusters",
        "whole numbers: the cluster of each spike",
    )
    return spikes[clock], clusters


def _columns(
    here: list[AlfFile], least_rows: int, label: str, bad: dict[str, InputError]
) -> dict[str, np.ndarray]:
    """Attributes of the clusters, one value each, [clusters]; those that are not go to `bad`."""
    files = [file for file in here if file.attribute != "metrics"]
    table = read_objects(
        files, "clusters", (*_NUMBERS, *_TEXT), (), bad, least_rows, NUMBERS_OR_TEXT
    )
    columns = {}
    for key, values in table.items():
        single = values.ndim == 1 or values.shape[1:] == (1,)
        if single and (values.dtype.kind in "biuf" or key in _TEXT):
            plain = values.ravel()
            columns[key] = plain if values.dtype.kind in "US" else plain.astype(np.float64)
        else:
            bad[f"clusters.{key}"] = InputError(
                f"{label}: clusters.{key} is {values.dtype} {list(values.shape)}, expected one "
                "number a cluster"
            )
    return columns


def _annotation(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`annotation` of each unit: 0 noise, 1 multi-unit, 2 good, 3 unsorted; NaN without one."""
    given = next((columns[name] for name in _ANNOTATIONS if name in columns), None)
    if given is None:
        return {}
    if given.dtype.kind in "US":
        words = np.char.lower(np.char.strip(given.astype(str)))
        given = np.array([_WORDS.get(word, np.nan) for word in words.tolist()])
    return {"annotation": given}


def _metrics(here: list[AlfFile], cluster_id: np.ndarray, label: str) -> dict[str, np.ndarray]:
    """Quality columns in the order of the units, NaN where the table leaves a cluster out."""
    of_metrics = [f for f in here if (f.object, f.attribute) == ("clusters", "metrics")]
    path = next((file.path for file in of_metrics if file.path.suffix != ".npy"), None)
    if path is None:
        return {}
    table = read_table(path) if path.suffix == ".pqt" else read_text_table(path, "metrics")
    ids = table.get("cluster_id", cluster_id)
    require(
        "cluster_id" in table or all(len(values) == len(ids) for values in table.values()),
        f"{label}: clusters.metrics has no cluster_id, and other rows than the clusters; fetch it "
        "again",
    )
    columns = {}
    said = f"{label}: cluster_id of clusters.metrics"
    ids = whole_numbers(np.asarray(ids), said, "cluster numbers")
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids[order], cluster_id), max(len(ids) - 1, 0))
    for key in ("label", "presence_ratio"):
        if key in table and len(ids):
            require(
                table[key].dtype.kind in "biuf",
                f"{label}: clusters.metrics, {key} is text, expected one number a cluster",
            )
            values = np.asarray(table[key], np.float64)[order][place]
            columns[key] = np.where(ids[order][place] == cluster_id, values, np.nan)
    return columns


def _selection(
    sorting: SortedSpikes,
    columns: dict[str, np.ndarray],
    lie: Sites,
    spec: ReadSpec,
    label: str,
) -> tuple[np.ndarray, dict[str, int]]:
    wanted = spec.option("units", "all")
    require(wanted in UNITS, f"units={wanted!r}; expected {' or '.join(UNITS)}")
    num_units = len(sorting.cluster_id)
    tests = {"kept": np.zeros(num_units, bool)}
    annotation = columns.get("annotation")
    if annotation is not None:
        tests["annotated as noise"] = annotation == _NOISE
    if wanted == "good":
        require(
            "label" in columns or annotation is not None,
            f"{label}: units=good needs the column label of clusters.metrics, or "
            "clusters._phy_annotation; leave it out",
        )
        if "label" in columns:
            tests["not a good unit (label below 1)"] = ~(columns["label"] >= 1)
        else:
            tests["not annotated as good"] = annotation != _GOOD
    if (least := spec.option("min_rate_hz")) is not None:
        span_s = max(float(sorting.times_s[-1] - sorting.times_s[0]), 1e-3)
        rates_hz = np.bincount(sorting.rows, minlength=num_units) / span_s
        least_hz = as_number(least)
        require(0 <= least_hz < np.inf, f"min_rate_hz={least!r}; expected a number of 0 or more")
        tests[f"rate below {least} Hz"] = rates_hz < least_hz
    if spec.option("units_without_region", "keep") == "drop":
        tests["no brain region"] = (lie.atlas_id == 0) & (lie.acronym == "")
    return counted_drops(tests, "unit", label)
