"""Files of an ALF folder (the International Brain Laboratory's naming): which there are, and what
they hold.

A name reads `_namespace_object.attribute_timescale.extension`, for example
`_ibl_trials.goCue_times.npy`; the folder around it is its collection, and a folder `#2024-05-06#`
within it holds a revision. An identifier before the extension, as public buckets add, is no part of
the name. Other labs leave out the folder alf/, the namespace or both, name the probe before the
extension, keep tables as text, and store objects that IBL does not have.
Source: https://int-brain-lab.github.io/ONE/alf_intro.html
"""

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.data.optional import needed
from neurojax.data.readers.alf_text import SEPARATORS, read_text_table
from neurojax.data.readers.parts import usual_rows
from neurojax.data.store.array_files import MAX_FILE_BYTES, map_npy, open_input
from neurojax.errors import InputError, require
from neurojax.files import sha256_file

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NAME = re.compile(
    r"(?:_[A-Za-z0-9]+_)?(?P<object>[A-Za-z0-9]+)\.(?P<attribute>[A-Za-z0-9_]+)"
    rf"(?:\.(?P<probe>(?:probe|imec)[A-Za-z0-9_-]*))?(?:\.{_UUID})?"
    rf"\.(?P<extension>npy|pqt|{'|'.join(SEPARATORS)})"
)
_REVISION = re.compile(r"#([^#/]+)#")
NUMBERS, NUMBERS_OR_TEXT = "biuf", "biufUS"
_MAX_DEPTH = 6  # folders below a session
# Folders of a session without alf/ that belong to it.
_PROBE_FOLDER = re.compile(r"(?:probe|imec|ephys)[\w.-]*", re.IGNORECASE)


class AlfFile(NamedTuple):
    """One file and what its place and name say."""

    collection: str  # "alf/probe00/pykilosort"
    revision: str  # "" for the original
    object: str
    attribute: str
    path: Path


def list_alf(session: Path) -> list[AlfFile]:
    """All ALF files below `session/alf`; without such a folder, those in `session` itself and in
    its folders of probes."""
    has_alf = (session / "alf").is_dir()
    root = session / "alf" if has_alf else session
    found = []
    for folder, folders, names in os.walk(root):
        relative = Path(folder).relative_to(root).parts
        within = len(relative) < _MAX_DEPTH
        folders[:] = sorted(
            name
            for name in folders
            if within
            and (has_alf or relative or _REVISION.fullmatch(name) or _PROBE_FOLDER.fullmatch(name))
        )
        parsed = ((name, parse_alf("/".join(("alf", *relative, name)))) for name in sorted(names))
        found += [file._replace(path=Path(folder) / name) for name, file in parsed if file]
    return found


def sessions_below(root: Path, has_spikes: Callable[[Path], bool]) -> list[str]:
    """Session folders below a folder, in order; none lies within another."""
    found = []
    for folder, folders, _ in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        if has_spikes(Path(folder)):
            found.append(folder)
            folders.clear()
        folders[:] = [name for name in folders if name != "alf" and depth < _MAX_DEPTH]
    return sorted(found)


def parse_alf(name: str) -> AlfFile | None:
    """The parts of a dataset's name relative to its session; None for what is no ALF file (.npy,
    .pqt, .tsv, .htsv, .csv)."""
    *folders, file = name.split("/")
    parts = _NAME.fullmatch(file)
    if not parts or ".." in folders:
        return None
    match = _REVISION.fullmatch(folders[-1]) if folders else None
    collection = "/".join(folders[:-1] if match else folders)
    if parts["probe"]:  # spikes.times.probe_00.npy: as if in a folder of its own
        collection = f"{collection}/{parts['probe']}"
    return AlfFile(
        collection, match[1] if match else "", parts["object"], parts["attribute"], Path(name)
    )


def newest(files: Iterable[AlfFile], last_revision: str | None = None) -> list[AlfFile]:
    """Of each dataset the newest revision, or the newest that is not after `last_revision`."""
    kept: dict[tuple[str, ...], AlfFile] = {}
    for file in files:
        if last_revision is not None and file.revision > last_revision:
            continue
        key = (file.collection, file.object, file.attribute, file.path.suffix)
        if key not in kept or file.revision > kept[key].revision:
            kept[key] = file
    return sorted(kept.values(), key=lambda file: (file.collection, file.object, file.attribute))


def read_objects(
    files: Iterable[AlfFile],
    name: str,
    wanted: Iterable[str] | None = None,
    needed_ones: Collection[str] = (),
    bad: dict[str, InputError] | None = None,
    least_rows: int = 0,
    kinds: str = NUMBERS,
) -> dict[str, np.ndarray]:
    """Attributes of one ALF object: its .npy files, and the columns of its tables where no .npy has
    that name.

    Args:
        files: the files of one collection.
        name: the object, "trials".
        wanted: attributes to read; None reads all.
        needed_ones: attributes that must be sound where they are there.
        bad: files and columns that cannot be read are added to it, name -> error; None: they are
            refused.
        least_rows: of attributes that differ in rows, those with fewer are not right.
        kinds: letters of `np.dtype.kind` that are welcome, NUMBERS or NUMBERS_OR_TEXT.

    Returns:
        attribute -> array, rows first; columns of other kinds in tables are left out.

    Raises:
        InputError: damaged, pickled or too large a file, or rows that differ in number between the
            files; with `bad` only where a needed attribute is.
    """
    wanted = None if wanted is None else set(wanted)
    arrays: dict[str, np.ndarray] = {}
    chosen = [file for file in files if file.object == name]
    for file in sorted(chosen, key=lambda file: file.path.suffix == ".npy"):  # .npy last: it wins
        try:
            arrays |= _attributes(file, wanted, kinds)
        except InputError as error:
            if bad is None or file.attribute in needed_ones:
                raise
            bad[f"{name}.{file.attribute}"] = error
    lengths = {attribute: len(array) if array.ndim else -1 for attribute, array in arrays.items()}
    usual = usual_rows(lengths, needed_ones, least_rows)
    for attribute, length in lengths.items():
        if length == usual and length >= 0:
            continue
        error = InputError(
            f"{chosen[0].path.parent}: the files of {name!r} have different numbers of rows, "
            f"{attribute} {_rows_said(length)} and the others {_rows_said(usual)}; they belong to "
            "different revisions or are damaged, fetch them again"
        )
        if bad is None or attribute in needed_ones:
            raise error
        bad[f"{name}.{attribute}"] = error
        del arrays[attribute]
    return arrays


def _rows_said(length: int) -> str:
    return "one number" if length < 0 else str(length)


def _attributes(file: AlfFile, wanted: set[str] | None, kinds: str) -> dict[str, np.ndarray]:
    """Attributes that one file holds."""
    suffix = file.path.suffix.lower()
    if suffix == ".pqt":
        return read_table(file.path, wanted)
    if suffix == ".npy":
        if wanted is not None and file.attribute not in wanted:
            return {}
        return {file.attribute: map_npy(file.path, kinds)}
    columns = read_text_table(file.path, file.attribute)
    return {
        name: values
        for name, values in columns.items()
        if (wanted is None or name in wanted) and values.dtype.kind in kinds
    }


def read_table(path: Path, wanted: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Numeric columns of a parquet table.

    Raises:
        InputError: pyarrow is not installed, or the file is damaged or too large.
    """
    words = (
        f"{path} is a parquet table, which needs pyarrow; install it with `pip install "
        '"neurojax[ibl]"`, or put its columns beside it as .npy files'
    )
    pyarrow, parquet = needed("pyarrow", words), needed("pyarrow.parquet", words)
    with open_input(path) as stream:
        try:
            file = parquet.ParquetFile(stream)
            require(
                file.metadata.num_rows * file.metadata.num_columns * 8 <= MAX_FILE_BYTES,
                f"{path} claims {file.metadata.num_rows} rows, more than {MAX_FILE_BYTES} bytes "
                "hold",
            )
            types = {field.name: field.type for field in file.schema_arrow}
            kinds = (pyarrow.types.is_integer, pyarrow.types.is_floating, pyarrow.types.is_boolean)
            names = [
                name
                for name, kind in types.items()
                if (wanted is None or name in wanted) and any(check(kind) for check in kinds)
            ]
            table = file.read(columns=names)
            return {
                name: table.column(name).to_numpy() for name in names if not name.startswith("__")
            }
        except InputError:
            raise
        except (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path} cannot be read as parquet ({str(error)[:120]}); fetch it again"
            ) from None


def digest(files: Iterable[AlfFile]) -> str:
    """One digest of the bytes and names of files, in sorted order."""
    total = hashlib.sha256()
    for file in sorted(files):
        name = "/".join((file.collection, file.revision, file.path.name))
        with open_input(file.path):  # says what is wrong with it
            total.update(f"{name}\0{sha256_file(file.path)}\n".encode())
    return total.hexdigest()
