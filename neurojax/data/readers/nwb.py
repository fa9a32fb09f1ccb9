"""Neurodata Without Borders: `.nwb` files (HDF5), local or remote, those of the Neural Latents
Benchmark too.

Spikes come from the units table, trials from `intervals/trials` or another table of intervals,
behaviour from any time series that `--behavior` names. Raw signals are never read. What was not
observed (`obs_intervals`, `intervals/invalid_times`, a probe that falls silent) is marked as such,
unit by unit and bin by bin. A column `split` of the trials (train, val, test) is kept, and the
benchmark's held-out units are marked by `heldout` in units.npz. Traces of cells (ophys) become a
recording of real values with the option `traces`.
Source: NWB 2 schema; Pei et al. 2021, Neural Latents Benchmark.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from neurojax.data.clock import TimeUnit, require_seconds
from neurojax.data.readers import hdf5, nwb_file, nwb_observed, nwb_remote, nwb_traces
from neurojax.data.readers.nwb_series import read_behaviour, series_of
from neurojax.data.readers.nwb_spikes import Survey, count_spikes, survey_spikes
from neurojax.data.readers.nwb_tables import interval_tables
from neurojax.data.readers.nwb_trials import Laid, kept, lay_windows
from neurojax.data.readers.nwb_units import Units, read_units, select
from neurojax.data.readers.signals import bin_starts
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import counted_drops, session_of
from neurojax.data.session import Session
from neurojax.data.store.session_fields import trial_bins
from neurojax.data.store.session_rules import check_session_id
from neurojax.errors import require

VERSION = "nwb/2"
OPTIONS = {
    "table": "table of intervals whose rows are trials, epochs for one; default: trials. With "
    "--window_s its rows are cut into windows",
    "regions": "column of units or electrodes that names regions; default: region, location, ...",
    "keep": "COLUMN:VALUE of units that stay, quality:good; several values as good+mua",
    "as_test": "val: a split without test trials, or whose test trials hide all held-out units, "
    "tests on its validation trials",
    "validate": "share of the train trials that validate where the file's split leaves none, 0.1",
    "hidden": "trials in which held-out units were not observed: drop leaves them out, keep keeps "
    "test trials beside as_test=val; default: they stay, these units' entries marked unobserved",
    "min_observed": "share of the trials' time in which a unit must have been observed, else it is "
    "left out; default: 0, any time at all",
    "invalid": "table of bad times, several as bad+worse; keep: none; default: invalid_times",
    "units": "path of the table of units, where there are several; default: units",
    "traces": "path of traces of cells (DfOverF/plane0, several planes as A+B): real values, not "
    "spikes",
    "rois": "all: cells stay that the file does not accept (iscell, accepted, rejected)",
    "licence": "licence of the data, which NWB files do not state",
    "consent": "consent, for recordings of people",
}
_CHOICES = {"as_test": ("val",), "hidden": ("keep", "drop"), "rois": ("all",)}
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
    with nwb_file.open_nwb(source) as file:
        info = _info(file, source, spec)
        read = nwb_traces.read_traces if spec.option("traces") is not None else _read_spikes
        session = read(file, spec, info, session_id, where)
    if not nwb_remote.is_url(source) or (version := nwb_remote.version_sha256(source)) is None:
        return session
    # The digest that was taken before may be of a file that has been replaced since.
    described = session.info["source"] | {"sha256": version}
    return session.with_fields(info={**session.info, "source": described})


def _read_spikes(
    file: Any, spec: ReadSpec, info: dict[str, Any], session_id: str, where: str
) -> Session:
    """A session of counts, with what was observed."""
    bin_size_s = spec.bin_size_s(where)
    smallest = spec.share("min_observed")
    units = read_units(file, spec, where)
    survey = survey_spikes(units, where)
    laid = lay_windows(file, _span(units, survey, bin_size_s), spec, bin_size_s, where)
    if TimeUnit.of(spec.time_unit).spikes is None:
        known = laid.is_whole() & (spec.window_s is None)
        edges = laid.starts[known], laid.stops[known]
        sample = survey.sample, survey.num_firing, bin_size_s, f"{where}, units/spike_times"
        require_seconds(*sample, *edges, survey.num_spikes)
    time = nwb_observed.watched(file, units, survey, spec, where)
    edges_s = np.concatenate([laid.starts, laid.stops])
    lost = nwb_observed.bad_elsewhere(time, (survey.first_s, survey.last_s), edges_s)
    faults, hidden = _unobserved(time, units, laid, bin_size_s)
    windows = kept(laid, faults, hidden, (-np.inf, np.inf), spec, bin_size_s)
    lengths = trial_bins(windows.starts, windows.stops, bin_size_s, where)
    seen, unseen = nwb_observed.entries(time, windows.starts, lengths, bin_size_s)
    if seen is not None and smallest:
        reason = f"observed in less than {smallest:g} of the trials' time"
        keep, dropped = counted_drops({reason: seen.mean(axis=0) < smallest}, "unit", where)
        units, seen = select(units, keep, dropped), seen[:, keep]
        time = time.of_units(keep)
    series = series_of(file)
    behaviour, odd_behaviour = read_behaviour(
        series, spec, bin_starts(windows.starts, lengths, bin_size_s), bin_size_s, where
    )
    counts, spikes_dropped, odd = count_spikes(
        units, time.intervals(), survey[:2], windows.starts, lengths, bin_size_s, where
    )
    info |= {
        "units_dropped": units.dropped,
        "trials_dropped": windows.dropped,
        "spikes_dropped": spikes_dropped,
        "findings": odd | units.notes | time.notes | lost | unseen | windows.notes | odd_behaviour,
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
        observed=seen,
    )


def _span(units: Units, survey: Survey, bin_size_s: float) -> tuple[float, float]:
    """First and last time of the recording, seconds: as it was observed, else of its spikes."""
    said = [own for own in units.observed or () if len(own) and np.isfinite(own).all()]
    if said:
        return min(own[0, 0] for own in said), max(own[-1, 1] for own in said)
    first = np.floor(survey.first_s / bin_size_s) * bin_size_s
    return min(first, survey.first_s), survey.last_s


def _unobserved(
    time: nwb_observed.Watched, units: Units, laid: Laid, bin_size_s: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Windows in which not a bin of any unit was observed, and those in which held-out units were
    not for half of it, bool [windows] each."""
    intervals, starts, stops = time.intervals(), laid.starts, laid.stops
    if intervals is None:
        return {}, np.zeros(len(starts), bool)
    seen_s = nwb_observed.most_seen_s(intervals, starts, stops)
    held_out = [own for own, is_out in zip(intervals, units.heldout, strict=True) if is_out]
    hidden = np.zeros(len(starts), bool)
    if held_out:
        with np.errstate(invalid="ignore"):
            hidden = nwb_observed.most_seen_s(held_out, starts, stops) < (stops - starts) / 2
    return {"never observed": np.isfinite(starts) & (seen_s < 0.9 * bin_size_s)}, hidden


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
