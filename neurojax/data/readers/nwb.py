"""Neurodata Without Borders: `.nwb` files (HDF5), local or remote, those of the Neural Latents
Benchmark too.

Spikes come from the units table, trials from `intervals/trials` or another table of intervals,
behaviour from any time series that `--behavior` names. Raw signals are never read. Where the table
of units says in which time they were observed, trials outside are left out. A column `split` of the
trials (train, val, test) is kept, and the benchmark's held-out units are marked by `heldout` in
units.npz.
Source: NWB 2 schema; Pei et al. 2021, Neural Latents Benchmark.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from neurojax.data.readers import hdf5, nwb_file, nwb_remote
from neurojax.data.readers.nwb_series import read_behaviour, series_of
from neurojax.data.readers.nwb_tables import interval_tables
from neurojax.data.readers.nwb_trials import read_windows
from neurojax.data.readers.nwb_units import count_spikes, read_units
from neurojax.data.readers.signals import bin_starts
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import session_of
from neurojax.data.session import Session
from neurojax.data.store.session_fields import trial_bins
from neurojax.data.store.session_rules import check_session_id
from neurojax.errors import require

VERSION = "nwb/1"
OPTIONS = {
    "table": "table of intervals whose rows are trials, epochs for one; default: trials. With "
    "--window_s its rows are cut into windows",
    "regions": "column of units or electrodes that names regions; default: region, location, ...",
    "keep": "COLUMN:VALUE of units that stay, quality:good; several values as good+mua",
    "as_test": "val: a split without test trials tests on its validation trials",
    "hidden": "keep: trials in which held-out units were not observed stay (their counts are zero)",
    "min_observed": "share of the trials in which a unit must have been observed, else it is left "
    "out; default: 0",
    "licence": "licence of the data, which NWB files do not state",
    "consent": "consent, for recordings of people",
}
_CHOICES = {"as_test": ("val",), "hidden": ("keep",)}
_NOT_NAMES = ("download", "content", "")  # ends of addresses
_MAX_LISTED = 64


def find(path: str) -> list[str]:
    """A file or an address stands for itself, a folder for the .nwb files below it."""
    root = Path(path)
    require(
        not re.match("dandi:", path, re.IGNORECASE) or root.exists(),
        f"{path} is a dandiset; `dandi download {path}` first, or give the https address of one "
        "asset",
    )
    if nwb_remote.is_url(path) or not root.is_dir() or nwb_file.is_zarr(root):
        return [path]
    # Links to nothing stay, so that data which was never fetched is reported.
    found = sorted(
        str(entry) for entry in root.rglob("*.nwb") if not entry.is_dir() or nwb_file.is_zarr(entry)
    )
    require(found, f"{path} holds no .nwb file; check the path")
    return found


def session_name(source: str) -> str:
    """The stem of the file's name, or of an address the last part that is a name; other signs
    become `_`."""
    parts = (
        [urlsplit(source).netloc, *urlsplit(source).path.split("/")]
        if nwb_remote.is_url(source)
        else [source]
    )
    named = [part for part in parts if part not in _NOT_NAMES] or [source]
    stem = re.sub(
        r"[^A-Za-z0-9._-]", "_", Path(named[-1]).name.removesuffix(".zarr").removesuffix(".nwb")
    )
    return check_session_id(stem.lstrip("._-")[:128] or stem)


def source_sha256(source: str) -> str:
    """Digest of all that may be read; of a remote file, of its size and the version tag that its
    server gives."""
    if nwb_remote.is_url(source) and (version := nwb_remote.version_sha256(source)) is not None:
        return version
    with nwb_file.open_nwb(source) as file:
        return nwb_file.digest(file)


def read_session(source: str, spec: ReadSpec) -> Session:
    """Reads the recording in a file.

    Raises:
        InputError: damaged, out of reach, without sorted spikes or trials, or nothing is left.
    """
    where = nwb_remote.shown_url(source) if nwb_remote.is_url(source) else source
    session_id = session_name(source)
    for option, choices in _CHOICES.items():
        require(
            spec.option(option, choices[0]) in choices,
            f"{option}={spec.option(option)!r}; expected {' or '.join(choices)}",
        )
    bin_size_s = spec.bin_size_s(where)
    with nwb_file.open_nwb(source) as file:
        units = read_units(file, spec, where)
        windows, units = read_windows(file, units, spec, bin_size_s, where)
        lengths = trial_bins(windows.starts, windows.stops, bin_size_s, where)
        series = series_of(file)
        behaviour = read_behaviour(
            series, spec, bin_starts(windows.starts, lengths, bin_size_s), bin_size_s, where
        )
        counts, spikes_dropped, odd = count_spikes(
            units, windows.starts, lengths, bin_size_s, where
        )
        info = _info(file, source, spec) | {
            "units_dropped": units.dropped,
            "trials_dropped": windows.dropped,
            "spikes_dropped": spikes_dropped,
            "findings": odd | units.notes | windows.notes,
            "trial_columns_skipped": windows.skipped,
            "interval_tables": list(interval_tables(file))[:_MAX_LISTED],
            "time_series": list(series)[:_MAX_LISTED],
        }
    return session_of(
        counts,
        lengths,
        windows.starts,
        spec,
        where,
        info=info,
        stored_split=windows.split,
        session_id=session_id,
        bin_size_s=bin_size_s,
        unit_id=units.unit_id,
        region=units.region,
        region_source=units.region_source,
        conditions=windows.conditions,
        behaviour=behaviour,
        unit_metadata=units.metadata,
    )


def _info(file: Any, source: str, spec: ReadSpec) -> dict[str, Any]:
    """What the file says of its subject and origin."""
    remote = nwb_remote.is_url(source)
    place = {"url": nwb_remote.shown_url(source)} if remote else {"file": Path(source).name}
    general = {
        name: nwb_file.text(file, f"general/{name}")
        for name in (
            "session_id",
            "experimenter",
            "institution",
            "lab",
            "related_publications",
            "keywords",
        )
    }
    subject = {
        name: nwb_file.text(file, f"general/subject/{name}")
        for name in ("subject_id", "species", "sex", "age", "genotype", "strain")
    }
    return {
        "source": place
        | {
            "identifier": nwb_file.text(file, "identifier"),
            "nwb_version": hdf5.text_attribute(file, "nwb_version"),
        },
        "subject_id": subject.pop("subject_id"),
        "species": subject.pop("species"),
        "subject": {name: value for name, value in subject.items() if value},
        "date": nwb_file.text(file, "session_start_time"),
        "description": nwb_file.text(file, "session_description"),
        "citation": general.pop("related_publications"),
        "licence": spec.option("licence"),
        "consent": spec.option("consent"),
        "recorded_by": {name: value for name, value in general.items() if value},
    }
