"""Where each unit of an NWB file lies: its electrodes; its region, of a column of its own, else of
most electrodes, else of its electrode group; its probe, with all that the file calls it."""

from collections import Counter
from typing import Any

import numpy as np

from neurojax.data.readers import hdf5, nwb_file
from neurojax.data.readers.nwb_tables import not_among, num_rows, plain_columns, ragged_ends
from neurojax.data.session import names_a_region
from neurojax.errors import InputError, require

_NAMES = (
    "region",
    "brain_region",
    "brain_area",
    "area",
    "location",
    "anatomical_location",
    "structure_acronym",
    "acronym",
    "structure",
    "ecephys_structure_acronym",
    "beryl_location",
    "cosmos_location",
    "allen_location",
)
_SAYS_NOTHING = frozenset({"none", "n/a", "na", "null", "unk", "?", "-", "other"})
# Columns of units, electrodes or bad times that name a probe.
PROBE_COLUMNS = (
    "electrode_group",
    "group_name",
    "probe",
    "probe_name",
    "probe_id",
    "device",
    "device_name",
    "shank",
)
_OF_GROUPS = ("probe_id", "name")  # attributes that extensions add
_PEAK = ("peak_channel_id", "max_channel", "peak_channel")


def unit_regions(
    table: Any,
    columns: dict[str, np.ndarray],
    sites: dict[str, np.ndarray],
    members: list[np.ndarray],
    asked: str | None,
    where: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Region and its source, str [rows]: "file" from a column of regions, "target" from a name of
    an electrode group.

    Args:
        table, columns: of the units.
        sites, members: see `electrodes_of`.
        asked: the column of regions, None for the usual ones.
        where: for messages.

    Raises:
        InputError: `asked` names a column that neither the units nor the electrodes have.
    """
    rows = num_rows(table, where)
    of_units = _labels(columns, asked)
    of_sites = _labels(sites, asked) if members else {}
    if asked is not None:
        names = sorted({*of_units, *of_sites})
        require(
            asked in of_units or asked in of_sites,
            f"{where}: regions={asked!r} is no column of text or whole numbers; "
            f"{not_among(asked, names)}",
        )
        of_units = {asked: of_units[asked]} if asked in of_units else {}
        of_sites = {asked: of_sites[asked]} if asked in of_sites and not of_units else {}
    names = (asked,) if asked else _NAMES
    candidates = [(_cleaned(labels), "file") for labels in _named(names, of_units)]
    candidates += [(_majority(labels, members), "file") for labels in _named(names, of_sites)]
    if asked is None:
        groups = groups_of(table, "electrode_group", rows)
        locations = np.array([hdf5.text_attribute(g, "location") or "unknown" for g in groups])
        group_names = np.array([name_of(group) or "unknown" for group in groups])
        candidates += [(_cleaned(locations), "file"), (_cleaned(group_names), "target")]
        if "group_name" in of_sites:
            candidates.append((_majority(of_sites["group_name"], members), "target"))
    # One column for all units: labels of two kinds are not mixed.
    telling = [found for found in candidates if any(label != "unknown" for label in found[0])]
    labels, kind = telling[0] if telling else (["unknown"] * rows, "unknown")
    region = np.array(labels, dtype=str)
    return region, np.where(region == "unknown", "unknown", kind)


def _labels(columns: dict[str, np.ndarray], asked: str | None) -> dict[str, np.ndarray]:
    """Columns of text; whole numbers are regions where that column is asked for by name."""
    return {
        name: values.astype(str)
        for name, values in columns.items()
        if values.dtype.kind == "U" or (values.dtype.kind in "iu" and name == asked)
    }


def _named(names: tuple[str, ...], columns: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The columns of these names, in the order of the names; `BrainArea` is `brain_area`."""
    plain = {name.lower().replace("_", ""): values for name, values in columns.items()}
    wanted = [name.lower().replace("_", "") for name in names]
    return [plain[name] for name in wanted if name in plain]


def _cleaned(labels: np.ndarray) -> list[str]:
    """Labels, "unknown" where they name nothing."""
    stripped = [label.strip() for label in labels.tolist()]
    return [
        label if names_a_region(label) and label.lower() not in _SAYS_NOTHING else "unknown"
        for label in stripped
    ]


def _majority(labels: np.ndarray, members: list[np.ndarray]) -> list[str]:
    """The label of most of each unit's electrodes that have one; of equals the first."""
    cleaned = _cleaned(labels)
    made = []
    for rows in members:
        named = Counter(cleaned[row] for row in rows.tolist() if cleaned[row] != "unknown")
        made.append(named.most_common(1)[0][0] if named else "unknown")
    return made


def _members(
    table: Any,
    columns: dict[str, np.ndarray],
    sites: dict[str, np.ndarray],
    rows: int,
    num_sites: int,
    where: str,
) -> list[np.ndarray]:
    """Rows of the electrodes table of each unit; empty when nothing tells."""
    ends = ragged_ends(table, "electrodes", rows, where)
    dataset = nwb_file.entry(table, "electrodes")
    if dataset is not None:
        named = nwb_file.values(dataset, f"{where}/electrodes")
        require(
            named.ndim == 1
            and named.dtype.kind in "iu"
            and (ends is not None or len(named) == rows),
            f"{where}/electrodes is {named.dtype} {list(named.shape)}, expected rows of electrodes",
        )
        bounds = np.arange(rows + 1) if ends is None else ends
        used = named[: bounds[-1]]
        if len(used) and (used.min() < 0 or used.max() >= num_sites):
            raise InputError(
                f"{where}/electrodes names row {used.max()} of {num_sites} electrodes; it is "
                "damaged"
            )
        return [
            named[first:last].astype(np.int64)
            for first, last in zip(bounds[:-1], bounds[1:], strict=True)
        ]
    peak = next(
        (columns[name] for name in _PEAK if name in columns and columns[name].dtype.kind in "iuf"),
        None,
    )
    if peak is None:
        return []
    row_of = (
        {float(site): row for row, site in enumerate(sites["id"].tolist())} if "id" in sites else {}
    )
    return [
        np.array([row_of[site]] if site in row_of else [], np.int64)
        for site in peak.astype(float).tolist()
    ]


def groups_of(table: Any, name: str, rows: int) -> list[Any | None]:
    """The groups of the file that a column of references names, one a row; None where it names
    none."""
    import h5py

    references = nwb_file.entry(table, name)
    if (
        not isinstance(references, h5py.Dataset)
        or references.shape != (rows,)
        or h5py.check_ref_dtype(references.dtype) is not h5py.Reference
    ):
        return [None] * rows
    return [nwb_file.at_reference(table.file, one) for one in references[()].tolist()]


def name_of(group: Any | None) -> str:
    """The last part of a group's name, "" without one."""
    name = "" if group is None else (group.name or "").rpartition("/")[2]
    return name[: nwb_file.MAX_TEXT]


def electrodes_of(
    file: Any, table: Any, columns: dict[str, np.ndarray], rows: int, where: str
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """Columns of the electrodes table, and its rows that belong to each unit; empty when nothing
    tells."""
    electrodes = nwb_file.entry(file, "general/extracellular_ephys/electrodes")
    if not hasattr(electrodes, "keys"):
        return {}, []
    num_sites = num_rows(electrodes, f"{where}, electrodes")
    sites, _ = plain_columns(electrodes, num_sites, f"{where}, electrodes")
    return sites, _members(table, columns, sites, rows, num_sites, where)


def unit_probes(
    table: Any,
    columns: dict[str, np.ndarray],
    sites: dict[str, np.ndarray],
    members: list[np.ndarray],
    rows: int,
) -> tuple[np.ndarray, list[frozenset[str]]]:
    """Probe of each unit, str [rows], "" where the file does not say; and all names that stand for
    it in the file, in lower case: the electrode group's, its device's, probe ids.

    Args:
        table, columns: of the units.
        sites, members: see `electrodes_of`.
        rows: of the table.
    """
    group_name = sites.get("group_name")
    probe, names = [], []
    for unit, group in enumerate(groups_of(table, "electrode_group", rows)):
        own = members[unit] if members else np.empty(0, np.int64)
        found = [name_of(group)] if group is not None else []
        if group_name is not None and len(own):
            found += [name for name, _ in Counter(group_name[own].tolist()).most_common()]
        told = [
            str(values[place])
            for table_columns, places in ((columns, [unit]), (sites, own.tolist()))
            for name in PROBE_COLUMNS
            if (values := table_columns.get(name)) is not None
            for place in places
        ]
        probe.append(next((name for name in (*found, *told[:1]) if name), ""))
        names.append((tuple(dict.fromkeys(found)), tuple(dict.fromkeys(told))))
    known = {group: _names_of_group(table.file, group) for own, _ in names for group in own}
    made = [
        frozenset(_plain(word) for word in (*own, *told, *(n for g in own for n in known[g])))
        for own, told in names
    ]
    return np.array(probe, dtype=str), [words - {""} for words in made]


def bad_of(
    table: Any, columns: dict[str, np.ndarray], rows: int, of_units: list[frozenset[str]]
) -> list[frozenset[str] | None]:
    """The probes that each row of a table of bad times is about, in lower case; None: all.

    A row names them by an electrode group, by a column such as `probe`, or among its tags.
    """
    known = frozenset().union(*of_units)
    groups = [name_of(group) for group in groups_of(table, "electrode_group", rows)]
    made = []
    for row in range(rows):
        words = {groups[row]}
        for name, values in columns.items():
            if values.dtype.kind == "U":
                words |= {str(values[row]), *str(values[row]).split(",")}
            elif name in PROBE_COLUMNS:
                words.add(f"{values[row]:g}" if values.dtype.kind == "f" else str(values[row]))
        named = {_plain(word) for word in words} & known
        made.append(frozenset(named) or None)
    return made


def _names_of_group(file: Any, name: str) -> list[str]:
    """What else an electrode group is called: its device, ids."""
    place = f"general/extracellular_ephys/{name}"
    group = nwb_file.entry(file, place) if "/" not in name else None
    device = None if group is None else nwb_file.entry(file, f"{place}/device")
    told = [hdf5.text_attribute(group, attribute) or "" for attribute in _OF_GROUPS]
    return [name_of(device), *told]


def _plain(word: str) -> str:
    return word.strip().lower()
