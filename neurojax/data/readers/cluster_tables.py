"""Tables of the clusters of a sorting: phy's .tsv and .csv files and SpikeInterface's properties as
columns of text, where two of them disagree the newest.

phy 2 writes cluster_group.tsv, cluster_KSLabel.tsv, ..., and cluster_info.tsv of all of them; phy 1
cluster_groups.csv, or cluster_group.csv, with tabs. SpikeInterface keeps properties/NAME.npy, those
of Python objects as pickles, which are never opened: NAME.csv or NAME.json beside it is taken.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.data.readers.parts import PART, leave_out
from neurojax.data.readers.spec import ReadSpec, as_number
from neurojax.data.readers.text_tables import read_json, read_rows
from neurojax.data.store.array_files import map_npy
from neurojax.errors import InputError, require

# One of these that cannot be read is refused: without it noise would stay. The later counts as
# newer where two were written at one moment.
_RANKED = (
    "cluster_KSLabel.tsv",
    "cluster_info.tsv",
    "cluster_group.csv",
    "cluster_groups.csv",
    "cluster_group.tsv",
)
LABELS = ("group", "KSLabel", "quality")  # the curator's word before the sorter's
REGIONS = ("region", "brain_region", "brain_area", "acronym", "location")
_KEYS = ("cluster_id", "id", "unit_id", "cluster")
_NEVER_OPENED = (
    "Python objects (a pickle), which are never opened; save them as text: "
    "sorting.set_property(NAME, values.astype(str))"
)
# names in info["findings"]
ODD_ROWS = "rows of the tables of clusters that name none or are cut short, skipped"
DISAGREE = "units on whose label or region tables disagree, the newest taken"


class ClusterTable(NamedTuple):
    """One file: `columns` maps a column to the text of each cluster by its number."""

    name: str
    written_ns: int
    columns: dict[str, dict[int, str]]


class Clusters(NamedTuple):
    """What all tables say.

    Attributes:
        columns: column -> text of each cluster by its number; may lack clusters.
        tables: the files, from the oldest to the newest.
        findings: name -> number, for `info["findings"]`.
    """

    columns: dict[str, dict[int, str]]
    tables: tuple[ClusterTable, ...]
    findings: dict[str, int]

    @property
    def order(self) -> list[str]:
        """Names of the files, the newest first, where their order decides; else none."""
        decided = DISAGREE in self.findings
        return [table.name for table in reversed(self.tables)] if decided else []


def files_of_clusters(folder: Path) -> list[Path]:
    """The files that `clusters_of` may read."""
    patterns = ("cluster_*.tsv", "cluster_*.csv", "properties.*")
    patterns += tuple(f"properties/*.{ending}" for ending in ("npy", "csv", "tsv", "json"))
    return sorted({path for pattern in patterns for path in folder.glob(pattern)})


def clusters_of(folder: Path, unit_ids: list[str] | None, spec: ReadSpec) -> Clusters:
    """Reads every table of clusters in a folder.

    Args:
        folder: of the sorting.
        unit_ids: SpikeInterface's name of each unit, whose place is the cluster's number; None
            where clusters are numbers themselves (phy).
        spec: its `strict` refuses rows and files that would be left out.

    Raises:
        InputError: a table that holds labels is damaged.
    """
    places = None if unit_ids is None else {unit: row for row, unit in enumerate(unit_ids)}
    tables: list[ClusterTable] = []
    findings, pickled = Counter(), []
    for path in files_of_clusters(folder):
        try:
            columns, odd = _columns_of(path, places, pickled)
            require(
                not (odd and spec.strict), f"{path}: {odd} rows name no cluster or are cut short"
            )
            findings[ODD_ROWS] += odd
        except InputError as error:
            if path.name in _RANKED:
                raise
            leave_out(findings, PART, path.name, error, spec, str(folder))
            continue
        tables.append(ClusterTable(path.name, path.stat().st_mtime_ns, columns))
    tables.sort(key=_age)
    columns, findings[DISAGREE] = _newest(tables)
    for name in pickled:
        if name not in columns:  # no other file says it
            require(not spec.strict, f"{folder}/properties/{name}.npy: {_NEVER_OPENED}")
            findings[lost_property(name)] = len(places or ())
    return Clusters(columns, tuple(tables), dict(+findings))


def lost_property(name: str) -> str:
    """The finding of a property that is a pickle and stands nowhere else."""
    return f"units whose property is a pickle of Python objects, never opened ({name})"


def label_column(clusters: Clusters, wanted: str | None, where: str) -> list[dict[int, str]]:
    """Labels of the clusters, from the column that comes first to the one that comes last.

    Args:
        clusters: of the folder.
        wanted: a file or a column that alone counts; None: every column of LABELS that is text.
        where: for messages.
    """
    if wanted is None:
        named = [clusters.columns[name] for name in LABELS if name in clusters.columns]
        return [column for column in named if not _all_numbers(column)]
    for table in reversed(clusters.tables):
        if wanted in (table.name, Path(table.name).stem):
            own = {name: values for name, values in table.columns.items() if values}
            said = [own[name] for name in LABELS if name in own]
            said += [values for values in own.values() if not _all_numbers(values)]
            require(said, f"{where}: {table.name} has no column of labels; take another table")
            return said[:1]
    require(
        wanted in clusters.columns,
        f"{where}: labels={wanted!r}; expected one of the files "
        f"{', '.join(table.name for table in clusters.tables) or '(there are none)'}, or a column "
        "of theirs",
    )
    return [clusters.columns[wanted]]


def probe_column(clusters: Clusters) -> dict[int, str]:
    """The probe of each cluster, where a sorting of several says so."""
    for name in ("probe", "aggregation_key", "group"):
        column = clusters.columns.get(name, {})
        if column and (name != "group" or _all_numbers(column)):
            return column
    return {}


def _all_numbers(column: Mapping[int, str]) -> bool:
    return bool(column) and not any(np.isnan(as_number(text)) for text in column.values())


def plain_label(text: str) -> str:
    """A label in one spelling: lower case, single blanks."""
    return " ".join(text.split()).lower()


def _age(table: ClusterTable) -> tuple[int, int, str]:
    rank = _RANKED.index(table.name) if table.name in _RANKED else -1
    return table.written_ns, rank, table.name


def _newest(tables: list[ClusterTable]) -> tuple[dict[str, dict[int, str]], int]:
    """Columns of all tables, of each cluster what the newest says, and the clusters on whose label
    or region they disagree."""
    columns: dict[str, dict[int, str]] = {}
    disagreeing = set()
    for table in tables:
        for name, values in table.columns.items():
            known = columns.setdefault(name, {})
            if name in LABELS + REGIONS:
                disagreeing |= {
                    cluster
                    for cluster, text in values.items()
                    if plain_label(known.get(cluster, text)) != plain_label(text)
                }
            known.update(values)
    return columns, len(disagreeing)


def _columns_of(
    path: Path, places: dict[str, int] | None, pickled: list[str]
) -> tuple[dict[str, dict[int, str]], int]:
    """Columns of a file, blank cells left out, and its odd rows; a property that is a pickle is
    added to `pickled`."""
    named, odd, num_units = {}, 0, len(places or ())
    if path.suffix == ".npy":
        named = {path.stem: _property(path, pickled)}
    elif path.suffix == ".json":
        content = read_json(path)
        named = content if path.stem == "properties" else {path.stem: content}
        require(isinstance(named, dict), f"{path} holds no names; expected NAME: values")
    else:
        named, odd = _table(path, places)
    columns = {}
    for name, said in named.items():
        if isinstance(said, list):  # in the order of units
            require(
                len(said) == num_units,
                f"{path} has {len(said)} values for {num_units} units; save the sorting again",
            )
        else:
            require(isinstance(said, dict), f"{path}: expected a list, or unit: value")
            said = {_cluster(str(unit), places): value for unit, value in said.items()}
        of_cluster = {
            cluster: str(value)
            for cluster, value in (enumerate(said) if isinstance(said, list) else said.items())
            if cluster is not None and isinstance(value, str | int | float) and not _blank(value)
        }
        columns |= {name: of_cluster} if of_cluster else {}
    return columns, odd


def _blank(value: object) -> bool:
    return str(value).strip().lower() in ("", "nan", "none", "null")


def _table(
    path: Path, places: dict[str, int] | None
) -> tuple[dict[str, list[str] | dict[str, str]], int]:
    """Cells of a table by the text that names a cluster (a list where rows are in the order of
    units), and odd rows."""
    rows, odd = read_rows(path)
    if not rows and not odd:
        return {}, 0
    require(rows, f"{path}: no row has as many cells as the first line; export it from phy again")
    key = next((name for name in _KEYS if name in rows[0]), None)
    names = [name for name in rows[0] if name and name != key]
    if key is None and places is not None and len(rows) == len(places) and not odd:
        return {name: [row[name] for row in rows] for name in names}, 0
    require(key is not None, f"{path} has no column cluster_id; export it from phy again")
    lost = [_cluster(row[key], places) for row in rows].count(None)
    require(
        lost < len(rows) or places is not None,
        f"{path}: cluster_id is {rows[0][key][:60]!r} in its first line, expected whole numbers",
    )
    cells = {n: {row[key]: row[n] for row in rows if not _blank(row[n])} for n in names}
    return cells, odd + lost


def _cluster(text: str, places: dict[str, int] | None) -> int | None:
    """The number of a cluster; None where the text names none."""
    if places is not None and text in places:
        return places[text]
    number = as_number(text)
    if not abs(number) < 2**53 or number % 1:
        return None
    return int(number) if places is None else places.get(str(int(number)))


def _property(path: Path, pickled: list[str]) -> list | dict:
    """Values of a property of SpikeInterface, in the order of units; none of one that is pickled or
    a vector."""
    try:
        values = map_npy(path, "biufUS")
    except InputError as error:
        if "pickled" not in str(error):
            raise
        pickled.append(path.stem)
        return {}
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    return values.astype(str).tolist() if values.ndim == 1 else {}
