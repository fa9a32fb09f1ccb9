"""Which probe (electrode group) each unit of an NWB file was recorded on, and what the file calls
it."""

from collections import Counter
from typing import Any

import numpy as np

from neurojax.data.readers import hdf5, nwb_file
from neurojax.data.readers.nwb_regions import groups_of, name_of

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
        sites, members: see `nwb_regions.electrodes_of`.
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
