"""Where the units of an ALF probe lie: the channel of each, its position, and its brain region as
an atlas id, an acronym, or both."""

import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from neurojax.data.binning import whole_numbers
from neurojax.data.optional import needed
from neurojax.data.readers.alf_files import NUMBERS_OR_TEXT, AlfFile, read_objects
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError, require

MAPPINGS = {
    "allen": ("Allen", "Beryl"),
    "beryl": ("Beryl", "Cosmos"),
    "cosmos": ("Cosmos", "Cosmos"),
}
CHANNEL_COLUMNS = ("channels", "peakChannel")
IDS = "brainLocationIds_ccf_2017"
ACRONYMS = (
    "brainLocationAcronyms_ccf_2017",
    "brainLocationAcronyms",
    "allen_ontology",
    "brainLocation",
    "acronym",
    "brain_region",
    "region",
)
_MOST_BEYOND = 0.1  # share of units on no channel; beyond it none is believed
_PLACES = ("ccf_ap", "ccf_dv", "ccf_lr")  # as other labs' channels.brainLocation has them
SITES = (IDS, "mlapdv", "localCoordinates", "sitePositions", "probe", *_PLACES, *ACRONYMS)


class Sites(NamedTuple):
    """Of N units.

    Attributes:
        atlas_id: int64 [N], Allen structure without its side; 0 where unknown.
        acronym: str [N], region as the files spell it; "" where they do not say.
        metadata: name -> float64 [N], positions.
        counted_from_1: whether channels are numbered so.
    """

    atlas_id: np.ndarray
    acronym: np.ndarray
    metadata: dict[str, np.ndarray]
    counted_from_1: bool


def nowhere(num_units: int) -> Sites:
    """The sites of units without histology."""
    return Sites(np.zeros(num_units, np.int64), np.full(num_units, ""), {}, False)


def sites(
    here: list[AlfFile],
    probe_files: list[AlfFile],
    clusters: Mapping[str, np.ndarray],
    num_units: int,
    spec: ReadSpec,
    label: str,
    bad: dict[str, InputError],
) -> Sites:
    """Sites of the units of one folder of spikes.

    Args:
        here: files of the folder.
        probe_files: files of the probe's folder, which may hold electrodeSites.
        clusters: attributes of the units, [N]: the channel of each, or its region.
        num_units: N.
        spec: `channels_from` says from what channels are numbered.
        label: for messages.
        bad: files and columns that cannot be read are added to it, name -> error.

    Raises:
        InputError: what can be read disagrees.
    """
    found = nowhere(num_units)
    table = read_objects(here, "channels", SITES, (), bad, kinds=NUMBERS_OR_TEXT) or read_objects(
        probe_files, "electrodeSites", SITES, (), bad, kinds=NUMBERS_OR_TEXT
    )
    if table and any(name in clusters for name in CHANNEL_COLUMNS):
        row, from_1 = _channel_rows(clusters, table, spec, label, bad)
        found = _of_channels(table, row, label)._replace(counted_from_1=from_1)
    if IDS in clusters or any(name in clusters for name in ACRONYMS):
        own = _of_channels(clusters, np.arange(num_units), label)
        found = found._replace(
            atlas_id=np.where(own.atlas_id != 0, own.atlas_id, found.atlas_id),
            acronym=np.where(own.acronym != "", own.acronym, found.acronym),
        )
    return found


def _channel_rows(
    clusters: Mapping[str, np.ndarray],
    table: Mapping[str, np.ndarray],
    spec: ReadSpec,
    label: str,
    bad: dict[str, InputError],
) -> tuple[np.ndarray, bool]:
    """Row of each unit's channel in the table of channels, int64 [N], -1 where not known, and
    whether channels count from 1; a few units on no channel are told in `bad`."""
    name = next(name for name in CHANNEL_COLUMNS if name in clusters)
    num_channels = len(next(iter(table.values())))
    given = np.asarray(clusters[name])
    blank = np.isnan(given) if given.dtype.kind == "f" else np.zeros(len(given), bool)
    channel = np.full(len(given), -1)
    said = f"{label}: clusters.{name}"
    channel[~blank] = whole_numbers(given[~blank], said, "channel numbers")
    given_ones = channel[~blank] if not blank.all() else np.zeros(1, np.int64)
    first, last = given_ones.min(), given_ones.max()
    asked = spec.option("channels_from")
    require(asked in (None, "0", "1"), f"channels_from={asked!r}; expected 0 or 1")
    # IBL counts from 0. The files of other labs come from MATLAB, unless they know a channel 0.
    from_1 = first >= 1 and (name == "peakChannel" or last == num_channels)
    from_1 = from_1 if asked is None else asked == "1"
    row = np.where(blank, -1, channel - from_1)
    beyond = ~blank & ((row < 0) | (row >= num_channels))
    error = InputError(
        f"{said} runs from {first} to {last}, but there are {num_channels} channels; "
        f"{int(beyond.sum())} of {len(row)} units lie on none, the files belong to different "
        "revisions or are damaged"
    )
    if beyond.mean() > _MOST_BEYOND:
        raise error
    if beyond.any():
        bad[f"clusters.{name}"] = error
    row[beyond] = -1
    return _across_probes(row, clusters, table, said), bool(from_1)


def _across_probes(
    row: np.ndarray, clusters: Mapping[str, np.ndarray], table: Mapping[str, np.ndarray], said: str
) -> np.ndarray:
    """Rows of channels where several probes share a folder: as they are if they lie on the probes
    that the units name, else counted within each probe."""
    if not ("probes" in clusters and "probe" in table and np.ndim(table["probe"]) in (1, 2)):
        return row
    of_unit, of_channel = np.asarray(clusters["probes"]), np.ravel(table["probe"])
    known = row >= 0
    if (of_channel[row[known]] == of_unit[known]).all():
        return row
    within = np.full(len(row), -1)
    for probe in np.unique(of_unit[known]):
        rows = np.flatnonzero(of_channel == probe)
        own = known & (of_unit == probe)
        require(
            len(rows) and row[own].max() < len(rows),
            f"{said} and clusters.probes disagree with channels.probe (probe {probe:g}); the files "
            "belong to different revisions or are damaged",
        )
        within[own] = rows[row[own]]
    return within


def _of_channels(table: Mapping[str, np.ndarray], row: np.ndarray, label: str) -> Sites:
    """Sites of units at rows [N] of a table of channels; row -1 is nowhere."""
    known = row >= 0
    num_rows = len(next(iter(table.values())))
    ids = whole_numbers(
        np.ravel(table.get(IDS, np.zeros(num_rows, np.int64))),
        f"{label}: channels.brainLocationIds",
        "Allen atlas ids",
    )
    atlas_id = np.abs(ids.astype(np.int64))[row]  # negative on the left side
    name = next((name for name in ACRONYMS if name in table and table[name].dtype.kind in "US"), "")
    names = np.ravel(table[name]) if name else np.full(num_rows, "")
    names = np.char.decode(names, "utf-8", "replace") if names.dtype.kind == "S" else names
    positions = {}
    if "mlapdv" in table and table["mlapdv"].ndim == 2 and table["mlapdv"].shape[1] == 3:
        of_units = np.asarray(table["mlapdv"], np.float64)[row].T
        positions = dict(zip(("ml_um", "ap_um", "dv_um"), of_units, strict=True))
    for place in ("localCoordinates", "sitePositions"):
        if place in table and table[place].ndim == 2:
            positions["lateral_um"] = np.asarray(table[place], np.float64)[row, 0]
            break
    plain = [place for place in _PLACES if place in table and table[place].dtype.kind in "iuf"]
    positions |= {place: np.asarray(table[place], np.float64)[row].ravel() for place in plain}
    return Sites(
        np.where(known, atlas_id, 0),
        np.where(known, np.char.strip(names.astype(str))[row], ""),
        {place: np.where(known, values, np.nan) for place, values in positions.items()},
        False,
    )


@functools.cache
def _atlas():
    package = needed(
        "iblatlas.regions",
        "brain regions of IBL recordings need iblatlas; install it with `pip install "
        '"neurojax[ibl]"`',
    )
    return package.BrainRegions()


def named_regions(
    atlas_id: np.ndarray, acronym: np.ndarray, level: str | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Region and region_group of units, from ids of the Allen atlas, else from acronyms.

    Acronyms stay as the files spell them, unless a level is asked for; their group is Cosmos where
    iblatlas is installed, else the region itself.

    Args:
        atlas_id: int64 [N], 0 where unknown.
        acronym: str [N], "" where unknown.
        level: see `regions`; None: beryl for ids.

    Returns:
        region and region_group, str [N], and how many ids the atlas does not know.
    """
    spelled = acronym != ""
    try:
        spelled_id = _ids_of(acronym) if spelled.any() else np.zeros_like(atlas_id)
    except InputError:  # no iblatlas, but the files may say it in words
        if level is not None or not spelled[atlas_id != 0].all():
            raise
        words = np.where(spelled, acronym, "unknown")
        return words, words.copy(), 0
    if level is not None:
        atlas_id = np.where(atlas_id != 0, atlas_id, spelled_id)
    region, group, num_unknown = regions(atlas_id, level or "beryl")
    as_spelled = spelled & (region == "unknown")
    coarse = np.where(spelled_id != 0, regions(spelled_id, "cosmos")[0], acronym)
    return np.where(as_spelled, acronym, region), np.where(as_spelled, coarse, group), num_unknown


def _ids_of(acronym: np.ndarray) -> np.ndarray:
    """Allen ids of acronyms, int64 [N], 0 for those that the atlas does not have."""
    atlas = _atlas()
    ids = dict(zip(map(str, atlas.acronym), np.abs(atlas.id).tolist(), strict=True))
    return np.array([ids.get(name, 0) for name in acronym.tolist()], np.int64)


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
