"""Recordings in ALF: the International Brain Laboratory's, on disk or through ONE, and other labs'.

A PATH is a session folder (with `alf/` in it, or with the files themselves), a folder of such
folders, a session id (eid), a text file of ids, or `repeated_site`: the sessions that the rule in
`ibl_repeated_site.json` selects. By default each trial is 2 s around the stimulus (-0.5 to 1.5 s)
in bins of 20 ms and every sorted cluster of every probe is a unit, as in Zhang et al. 2024, section
4. What is left out is counted in `info`. Where a whole probe fell silent, or ended before the
others, its units were not observed.

`region` is the Beryl acronym and `region_group` Cosmos: at the finest level (`regions=allen`, as
the released MtM code has it) the layers of one area count as regions of their own, so that hiding
"a region" leaves its other layers in sight, and fibre tracts count as regions, which Beryl calls
root. The Allen id stays in `allen_id`. Acronyms without ids stay as the files spell them.
Source: https://int-brain-lab.github.io/ONE/alf_intro.html; Steinmetz et al. 2019 (Cortex-lab).
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.checks.findings import FELL_SILENT
from neurojax.data.observed import entries_inside
from neurojax.data.readers import ibl_behaviour, ibl_one
from neurojax.data.readers.alf_files import AlfFile, digest, list_alf, newest, sessions_below
from neurojax.data.readers.ibl_behaviour import read_behaviour
from neurojax.data.readers.ibl_sites import named_regions
from neurojax.data.readers.ibl_trials import conditions
from neurojax.data.readers.ibl_units import SPIKE_CLOCKS, Probe, collections, is_read, read_probe
from neurojax.data.readers.ibl_windows import TRIALS, read_trials, windows_of
from neurojax.data.readers.parts import PART, leave_out
from neurojax.data.readers.signals import bin_starts
from neurojax.data.readers.sorted_spikes import add_counts
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import session_of
from neurojax.data.session import Session
from neurojax.data.store.session_fields import spike_counts
from neurojax.data.store.session_rules import check_session_id
from neurojax.errors import InputError, require

VERSION = "ibl/2"
OPTIONS = {
    "regions": "allen, beryl (default) or cosmos: what `region` holds; `region_group` is the next "
    "coarser level. Default of acronyms without ids: as the files spell them",
    "units": "all (default) but those annotated as noise, or good: clusters whose label is 1, or "
    "annotated as good",
    "channels_from": "0 or 1: the first number of clusters.channels or clusters.peakChannel; "
    "default: as the numbers tell",
    "table": "object whose rows are trials, such as passiveVisual; default: trials. With "
    "--window_s its intervals are cut into windows (spontaneous)",
    "units_without_region": "keep (default) or drop",
    "min_rate_hz": "least mean rate of a unit over the recording; default: none",
    "trials": "all (default) or decoding: reaction 0.08 to 2 s, at most 10 s, no missing event, a "
    "choice; included: those that trials.included marks",
    "probes": "probes to read, such as probe00+probe01; default: all, merged",
    "sorter": "iblsorter, pykilosort, ...; default: the newest that is there",
    "revision": "newest revision to take, such as 2024-05-06; default: the newest there is",
}
_SESSION = re.compile(r"([^/]+)/(\d{4}-\d{2}-\d{2})/(\d{1,3})")
# What is fetched of a session of the archive.
_OBJECTS = ("spikes", "clusters", "channels", "electrodeSites", TRIALS, *ibl_behaviour.OBJECTS)
_NOT_USED = ("templates", "waveforms")  # objects, large ones
_MAX_LISTED = 64
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
    found = sessions_below(root, _has_spikes)
    require(
        found,
        f"{path} holds no folder alf with spikes.times.npy, nor spikes.times.npy itself; check the "
        "path",
    )
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
    bin_size_s, odd = spec.bin_size_s(where), {}
    probes = _probes(files, spec, where, odd)
    times, rows = _merged(probes)
    trials, skipped = read_trials(files, spec, where, odd)
    starts, stops, keep, trials_dropped = windows_of(trials, times, probes, spec, bin_size_s, where)
    starts, stops = starts[keep], stops[keep]
    num_units = sum(len(p.unit_id) for p in probes)
    counts, lengths = spike_counts(times, rows, num_units, starts, stops, bin_size_s, where)
    heard_s = [own for probe in probes for own in probe.heard_s]
    observed = entries_inside(heard_s, starts, lengths, bin_size_s)
    if observed is not None:
        odd[FELL_SILENT] = int((~observed.all(axis=1)).sum())
    of_session = [file for file in files if "/probe" not in file.collection]
    behaviour, of_behaviour = read_behaviour(
        of_session, bin_starts(starts, lengths, bin_size_s), bin_size_s, spec, where
    )
    atlas_id = np.concatenate([probe.sites.atlas_id for probe in probes])
    acronym = np.concatenate([probe.sites.acronym for probe in probes])
    region, region_group, num_unknown = named_regions(atlas_id, acronym, spec.option("regions"))
    columns = {} if spec.window_s else conditions(trials, where)
    unread = sorted(_not_read(list_alf(folder), spec))
    odd |= {
        name: number
        for name, number in {
            "channels counted from 1": sum(probe.sites.counted_from_1 for probe in probes),
            "files that are not read": len(unread),
            "columns of the trials that are not one value each": len(skipped),
        }.items()
        if number
    }
    info = _info(source, folder, files, probes, spec) | {
        "findings": add_counts(*(probe.spikes.findings for probe in probes)) | odd | of_behaviour,
        "trials_dropped": trials_dropped,
        "units_with_unknown_atlas_id": num_unknown,
        "files_not_read": unread[:_MAX_LISTED],
        "trial_columns_skipped": skipped,
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
        region_source=np.select([atlas_id != 0, acronym != ""], ["histology", "file"], "unknown"),
        unit_id=np.concatenate([probe.unit_id for probe in probes]),
        conditions={name: values[keep] for name, values in columns.items()},
        behaviour=behaviour,
        unit_metadata=_unit_metadata(probes, atlas_id),
        observed=observed,
    )


def _has_spikes(session: Path) -> bool:
    return any(
        file.object == "spikes" and file.attribute in SPIKE_CLOCKS for file in list_alf(session)
    )


def _folder(source: str) -> Path:
    return ibl_one.fetch(source, _OBJECTS) if ibl_one.is_eid(source) else Path(source)


def _files(folder: Path) -> list[AlfFile]:
    """The files that may be read; of spikes alone times and clusters, for others are large."""
    found = [file for file in list_alf(folder) if file.object not in _NOT_USED]
    require(found, f"{folder} holds no ALF files; expected a session folder with alf/ in it")
    used = (*SPIKE_CLOCKS, "clusters")
    return [file for file in found if file.object != "spikes" or file.attribute in used]


def _not_read(files: list[AlfFile], spec: ReadSpec) -> set[str]:
    """Names of what lies there and is not read, "eye.blink"."""
    table = spec.option("table", TRIALS)
    names = {f"{file.object}.{file.attribute}" for file in files if not is_read(file)}
    read = {name for name in names if name.partition(".")[0] == table or name in spec.behavior}
    return names - read - ibl_behaviour.READ


def _probes(files: list[AlfFile], spec: ReadSpec, where: str, odd: dict[str, int]) -> list[Probe]:
    """All probes, or those asked for; of several a bad one is left out."""
    probes, errors = [], []
    for name, collection in collections(files, spec, where).items():
        try:
            probes.append(read_probe(files, name, collection, spec, where, odd))
        except InputError as error:
            if spec.option("probes") is not None:
                raise
            errors.append((name or "the folder itself", error))
    if not probes:
        raise errors[0][1]
    for what, error in errors:
        leave_out(odd, PART, what, error, spec, where)
    return probes


def _merged(probes: list[Probe]) -> tuple[np.ndarray, np.ndarray]:
    """Spikes of all probes, rising; the units of each probe follow those of the probe before."""
    first_row = np.cumsum([0, *(len(probe.unit_id) for probe in probes)])
    times = np.concatenate([probe.spikes.times_s for probe in probes])
    rows = np.concatenate(
        [probe.spikes.rows + first for probe, first in zip(probes, first_row, strict=False)]
    )
    order = np.argsort(times, kind="stable")
    return times[order], rows[order]


def _unit_metadata(probes: list[Probe], atlas_id: np.ndarray) -> dict[str, np.ndarray]:
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
    pairs = [(k, part) for k, probe in enumerate(probes) for part in probe.within.tolist()]
    number = np.unique(np.array(pairs), axis=0, return_inverse=True)[1].ravel()
    return made | {"probe": number.astype(np.int16), "allen_id": atlas_id}


def _info(
    source: str, folder: Path, files: list[AlfFile], probes: list[Probe], spec: ReadSpec
) -> dict[str, Any]:
    parts = folder.absolute().parts
    match = _SESSION.fullmatch("/".join(parts[-3:]))
    with_ids = any(probe.sites.atlas_id.any() for probe in probes)
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
        "region_level": spec.option("regions", "beryl" if with_ids else "as in the files"),
        **({"subject_id": match[1], "date": match[2]} if match else {}),
    }
