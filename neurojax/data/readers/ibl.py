"""Recordings of the International Brain Laboratory: ALF folders on disk, or sessions through ONE.

A PATH is a session folder (with `alf/` in it), a folder of such folders, a session id (eid), a text
file of ids, or `repeated_site`: the sessions that the rule in `ibl_repeated_site.json` selects. By
default each trial is 2 s around the stimulus (-0.5 to 1.5 s) in bins of 20 ms and every sorted
cluster of every probe is a unit, as in Zhang et al. 2024, section 4. What is left out is counted in
`info`.

`region` is the Beryl acronym and `region_group` Cosmos: at the finest level (`regions=allen`, as
the released MtM code has it) the layers of one area count as regions of their own, so that hiding
"a region" leaves its other layers in sight, and fibre tracts count as regions, which Beryl calls
root. The Allen id stays in `allen_id`.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.readers import ibl_one
from neurojax.data.readers.alf_files import AlfFile, digest, list_alf, newest, read_objects
from neurojax.data.readers.ibl_trials import (
    ALIGN,
    WINDOW,
    column,
    conditions,
    decoding_faults,
)
from neurojax.data.readers.ibl_units import Probe, collections, read_probe, regions
from neurojax.data.readers.signals import bin_starts, clean_signal, mean_in_bins, slope_in_bins
from neurojax.data.readers.sorted_spikes import add_counts
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import kept_windows, session_of, trials_in_seconds
from neurojax.data.session import Session
from neurojax.data.store.session_fields import spike_counts
from neurojax.data.store.session_rules import check_session_id
from neurojax.errors import require

VERSION = "ibl/1"
OPTIONS = {
    "regions": "allen, beryl (default) or cosmos: what `region` holds; `region_group` is the next "
    "coarser level",
    "units": "all (default) or good: clusters whose label is 1",
    "units_without_region": "keep (default) or drop",
    "min_rate_hz": "least mean rate of a unit over the recording; default: none",
    "trials": "all (default) or decoding: reaction 0.08 to 2 s, at most 10 s, no missing event, a "
    "choice",
    "probes": "probes to read, such as probe00+probe01; default: all, merged",
    "sorter": "iblsorter, pykilosort, ...; default: the newest that is there",
    "revision": "newest revision to take, such as 2024-05-06; default: the newest there is",
}
_SESSION = re.compile(r"([^/]+)/(\d{4}-\d{2}-\d{2})/(\d{1,3})")
_OBJECTS = (
    "spikes",
    "clusters",
    "channels",
    "electrodeSites",
    "trials",
    "wheel",
    "leftCamera",
    "rightCamera",
)
_CITATION = (
    "International Brain Laboratory; see https://www.internationalbrainlab.com/data for the "
    "release's paper"
)


def find(path: str) -> list[str]:
    """A session folder or id stands for itself; a folder, a list of ids or `repeated_site` for the
    sessions in it."""
    if ibl_one.is_eid(path):
        return [path.lower()]
    if path == ibl_one.REPEATED_SITE:
        return ibl_one.repeated_site_sessions()
    root = Path(path)
    if root.is_file():
        return ibl_one.read_eids(root)
    require(
        root.is_dir(),
        f"{path} is neither a folder nor a session id nor {ibl_one.REPEATED_SITE}; expected a "
        "folder with alf/",
    )
    root = root.parent if root.name == "alf" else root
    if _has_spikes(root):
        return [str(root)]
    sessions = sorted({folder.parent for folder in root.rglob("alf") if folder.is_dir()})
    found = [str(session) for session in sessions if _has_spikes(session)]
    require(found, f"{path} holds no folder alf with spikes.times.npy; check the path")
    return found


def session_name(source: str) -> str:
    """`subject_date_number` where the folders say so, else the folder's name; an eid is its own
    name."""
    if ibl_one.is_eid(source):
        return source.lower()
    path = Path(source).absolute()
    match = _SESSION.fullmatch("/".join(path.parts[-3:]))
    return check_session_id("_".join(match.groups()) if match else path.name)


def source_sha256(source: str) -> str:
    """Digest of all ALF files of the objects that are read, of every revision."""
    return digest(_files(_folder(source)))


def read_session(source: str, spec: ReadSpec) -> Session:
    """Reads the recording with all its probes.

    Args:
        source: a session folder or a session id.
        spec: options; `align` names a column of event times of the trials (default stimOn_times).

    Raises:
        InputError: files are missing, damaged or disagree, or the options leave nothing.
    """
    where, session_id = str(source), session_name(source)
    folder = _folder(source)
    files = newest(_files(folder), spec.option("revision"))
    bin_size_s = spec.bin_size_s(where)
    probes = [
        read_probe(files, *item, spec, where) for item in collections(files, spec, where).items()
    ]
    times, rows = _merged(probes)
    trials = read_objects(_of_session(files, "trials"), "trials")
    starts, stops, keep, trials_dropped = _windows(trials, times, probes, spec, bin_size_s, where)
    starts, stops = starts[keep], stops[keep]
    counts, lengths = spike_counts(
        times, rows, sum(len(p.unit_id) for p in probes), starts, stops, bin_size_s, where
    )
    behaviour, odd = _behaviour(files, bin_starts(starts, lengths, bin_size_s), bin_size_s, where)
    atlas_id = _joined(probes, "atlas_id")
    region, region_group, num_unknown = regions(atlas_id, spec.option("regions", "beryl"))
    columns = {} if spec.window_s else conditions(trials, where)
    info = _info(source, folder, files, probes, spec) | {
        "findings": add_counts(*(probe.spikes.findings for probe in probes)) | odd,
        "trials_dropped": trials_dropped,
        "units_with_unknown_atlas_id": num_unknown,
    }
    return session_of(
        counts,
        lengths,
        starts,
        spec,
        where,
        info=info,
        session_id=session_id,
        bin_size_s=bin_size_s,
        region=region,
        region_group=region_group,
        region_source=np.where(atlas_id != 0, "histology", "unknown"),
        unit_id=_joined(probes, "unit_id"),
        conditions={name: values[keep] for name, values in columns.items()},
        behaviour=behaviour,
        unit_metadata=_unit_metadata(probes),
    )


def _has_spikes(session: Path) -> bool:
    return any((file.object, file.attribute) == ("spikes", "times") for file in list_alf(session))


def _folder(source: str) -> Path:
    return ibl_one.fetch(source, _OBJECTS) if ibl_one.is_eid(source) else Path(source)


def _files(folder: Path) -> list[AlfFile]:
    files = [file for file in list_alf(folder) if file.object in _OBJECTS]
    require(files, f"{folder} holds no ALF files; expected a session folder with alf/ in it")
    return files


def _of_session(files: list[AlfFile], name: str) -> list[AlfFile]:
    """An object's files that belong to no probe; where tasks have folders of their own, those of
    the first."""
    of_object = [file for file in files if file.object == name and "/probe" not in file.collection]
    first = min((file.collection for file in of_object), default="")
    return [file for file in of_object if file.collection == first]


def _merged(probes: list[Probe]) -> tuple[np.ndarray, np.ndarray]:
    """Spikes of all probes, rising; the units of each probe follow those of the probe before."""
    first_row = np.cumsum([0, *(len(probe.unit_id) for probe in probes)])
    times = np.concatenate([probe.spikes.times_s for probe in probes])
    rows = np.concatenate(
        [probe.spikes.rows + first for probe, first in zip(probes, first_row, strict=False)]
    )
    order = np.argsort(times, kind="stable")
    return times[order], rows[order]


def _joined(probes: list[Probe], name: str) -> np.ndarray:
    return np.concatenate([getattr(probe, name) for probe in probes])


def _unit_metadata(probes: list[Probe]) -> dict[str, np.ndarray]:
    """Columns that any probe has, NaN for the others; `probe` counts the probes, `allen_id` is the
    finest region."""
    names = sorted({name for probe in probes for name in probe.metadata})
    blank = [np.full(len(probe.unit_id), np.nan, np.float32) for probe in probes]
    made = {
        name: np.concatenate(
            [probe.metadata.get(name, nans) for probe, nans in zip(probes, blank, strict=True)]
        )
        for name in names
    }
    number = np.repeat(np.arange(len(probes)), [len(probe.unit_id) for probe in probes])
    return made | {"probe": number.astype(np.int16), "allen_id": _joined(probes, "atlas_id")}


def _windows(
    trials: dict[str, np.ndarray],
    times: np.ndarray,
    probes: list[Probe],
    spec: ReadSpec,
    bin_size_s: float,
    where: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, int]]:
    """Start and stop of every trial, float64 [trials], which are kept, bool [trials], and why
    others are not."""
    if spec.window_s is not None:
        starts, stops = trials_in_seconds({}, times, spec, bin_size_s, where)
        return starts, stops, np.ones(len(starts), bool), {}
    align, window = spec.align or ALIGN, spec.window or WINDOW
    came = f"have {', '.join(sorted(trials))}" if trials else "are not there"
    require(
        align in trials,
        f"{where}: trials.{align} is not there, the trials {came}; give --align, or --window_s=2",
    )
    events = column(trials[align], align)
    starts, stops = events + window[0], events + window[1]
    recorded = [probe.spikes.times_s for probe in probes if len(probe.spikes.times_s)]
    span_s = (
        max(float(spikes[0]) for spikes in recorded),
        min(float(spikes[-1]) for spikes in recorded),
    )
    wanted = spec.option("trials", "all")
    require(wanted in ("all", "decoding"), f"trials={wanted!r}; expected all or decoding")
    faults = decoding_faults(trials, where) if wanted == "decoding" else {}
    return starts, stops, *kept_windows(starts, stops, span_s, faults, spec, bin_size_s, where)


def _behaviour(
    files: list[AlfFile], starts: np.ndarray, bin_size_s: float, where: str
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Wheel velocity and speed (rad/s) and whisker motion energy (left camera, else right), and
    what is odd there."""
    made, odd = {}, {}
    wheel = read_objects(_of_session(files, "wheel"), "wheel", ("timestamps", "position"))
    if {"timestamps", "position"} <= wheel.keys():
        times, position = clean_signal(
            wheel["timestamps"], wheel["position"], f"{where}: the wheel", odd
        )
        velocity = slope_in_bins(times, position, starts, bin_size_s)
        made |= {"wheel_velocity": velocity, "wheel_speed": np.abs(velocity)}
    for camera in ("leftCamera", "rightCamera"):
        video = read_objects(_of_session(files, camera), camera, ("times", "ROIMotionEnergy"))
        if {"times", "ROIMotionEnergy"} <= video.keys():
            times, energy = clean_signal(
                video["times"], video["ROIMotionEnergy"], f"{where}: {camera}", odd
            )
            made["whisker_motion_energy"] = mean_in_bins(times, energy, starts, bin_size_s)
            break
    return made, odd


def _info(
    source: str, folder: Path, files: list[AlfFile], probes: list[Probe], spec: ReadSpec
) -> dict[str, Any]:
    parts = folder.absolute().parts
    match = _SESSION.fullmatch("/".join(parts[-3:]))
    return {
        "source": {
            "folder": "/".join(parts[-3:] if match else parts[-1:]),
            **({"eid": source} if ibl_one.is_eid(source) else {}),
            "collections": [probe.collection for probe in probes],
        },
        "species": "Mus musculus",
        "citation": _CITATION,
        "revision": max((file.revision for file in files if file.revision), default=None),
        "units_dropped": add_counts(*(probe.units_dropped for probe in probes)),
        "spikes_dropped": add_counts(*(probe.spikes.dropped for probe in probes)),
        "region_level": spec.option("regions", "beryl"),
        **({"subject_id": match[1], "date": match[2]} if match else {}),
    }
