"""Files of an ALF folder (the International Brain Laboratory's naming): which there are, and what
they hold.

A name reads `_namespace_object.attribute_timescale.extension`, for example
`_ibl_trials.goCue_times.npy`; the folder around it is its collection, and a folder `#2024-05-06#`
within it holds a revision. An identifier before the extension, as public buckets add, is no part of
the name.
Source: https://int-brain-lab.github.io/ONE/alf_intro.html
"""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.data.optional import needed
from neurojax.data.store.array_files import MAX_FILE_BYTES, map_npy, open_input
from neurojax.errors import InputError, require
from neurojax.files import sha256_file

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NAME = re.compile(
    r"(?:_[A-Za-z0-9]+_)?(?P<object>[A-Za-z0-9]+)\.(?P<attribute>[A-Za-z0-9_]+)"
    rf"(?:\.{_UUID})?\.(?P<extension>npy|pqt)"
)
_REVISION = re.compile(r"#([^#/]+)#")
_MAX_DEPTH = 6  # folders below a session


class AlfFile(NamedTuple):
    """One file and what its place and name say."""

    collection: str  # "alf/probe00/pykilosort"
    revision: str  # "" for the original
    object: str
    attribute: str
    path: Path


def list_alf(session: Path) -> list[AlfFile]:
    """All ALF files (.npy, .pqt) below `session/alf`; without such a folder, those in `session`
    itself."""
    has_alf = (session / "alf").is_dir()
    root = session / "alf" if has_alf else session
    found = []
    for folder, folders, names in os.walk(root):
        relative = Path(folder).relative_to(root).parts
        within = len(relative) < _MAX_DEPTH
        folders[:] = sorted(
            name for name in folders if within and (has_alf or _REVISION.fullmatch(name))
        )
        parsed = ((name, parse_alf("/".join(("alf", *relative, name)))) for name in sorted(names))
        found += [file._replace(path=Path(folder) / name) for name, file in parsed if file]
    return found


def parse_alf(name: str) -> AlfFile | None:
    """The parts of a dataset's name relative to its session; None for what is no ALF file (.npy,
    .pqt)."""
    *folders, file = name.split("/")
    parts = _NAME.fullmatch(file)
    if not parts or ".." in folders:
        return None
    match = _REVISION.fullmatch(folders[-1]) if folders else None
    collection = "/".join(folders[:-1] if match else folders)
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
    files: Iterable[AlfFile], name: str, wanted: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """Attributes of one ALF object: its .npy files, and the columns of its tables where no .npy has
    that name.

    Args:
        files: the files of one collection.
        name: the object, "trials".
        wanted: attributes to read; None reads all.

    Returns:
        attribute -> array; numbers only, columns of text or objects in tables are left out.

    Raises:
        InputError: damaged, pickled or too large a file, or rows that differ in number between the
            files.
    """
    arrays: dict[str, np.ndarray] = {}
    chosen = [file for file in files if file.object == name]
    for file in sorted(chosen, key=lambda file: file.path.suffix != ".pqt"):  # .npy last: it wins
        if file.path.suffix == ".pqt":
            arrays |= read_table(file.path, wanted)
        elif wanted is None or file.attribute in wanted:
            arrays[file.attribute] = map_npy(file.path)
    lengths = {attribute: len(array) if array.ndim else -1 for attribute, array in arrays.items()}
    if len(set(lengths.values())) > 1 or -1 in lengths.values():
        raise InputError(
            f"{chosen[0].path.parent}: the files of {name!r} have different numbers of rows, "
            f"{lengths}; they belong to different revisions or are damaged, fetch them again"
        )
    return arrays


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
