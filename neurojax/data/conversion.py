"""One recording to one session folder: a function of the source and the options, repeated at no
cost."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.join import joined
from neurojax.data.readers.registry import check_options, reader_of
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import Session
from neurojax.data.store.array_files import map_npy
from neurojax.data.store.dataset import session_folders
from neurojax.data.store.meta import observation_of, read_meta
from neurojax.data.store.session_format import open_recorded, write_session
from neurojax.data.store.session_rules import check_session_id
from neurojax.errors import InputError, require
from neurojax.files import (
    as_path,
    held,
    remove_leftovers,
    require_text,
    temporary_folder,
    told,
)


def convert_session(
    source: str | Path,
    spec: ReadSpec | None = None,
    *,
    out: str | Path,
    kind: str = "arrays",
    overwrite: bool = False,
    session_id: str | None = None,
) -> Path:
    """Reads one recording and writes `<out>/<session_id>`; left alone when it is there, whole and
    from the same bytes.

    The folder's content depends on the source's bytes and on `spec` alone, so any engine may map
    this over sessions; `write_dataset_index(out)` then makes the folders a dataset.

    Args:
        source: a file, folder or address that `kind` reads; one of its `find(path)`.
        spec: options.
        out: the dataset's folder.
        kind: see `readers.registry`.
        overwrite: replaces a session that was made from another source or with other options.
        session_id: what to call it; default: what the kind calls it.

    Returns:
        The session's folder.

    Raises:
        InputError: the recording cannot be read, or `out` holds another session of that name.
    """
    spec, out = ReadSpec() if spec is None else spec, as_path(out, "out")
    if "://" not in str(source):  # an address is none
        as_path(source, "source")
    require(
        isinstance(spec, ReadSpec),
        f"spec is {type(spec).__name__}, expected a ReadSpec (neurojax.data.readers.spec)",
    )
    check_options(kind, spec)
    require_text(out, "out")
    name = reader_of(kind).session_name(str(source)) if session_id is None else session_id
    converted_session(kind, str(source), spec, Path(out), overwrite, session_id=name)
    return Path(out) / name


def converted_session(
    kind: str,
    source: str,
    spec: ReadSpec,
    out: Path,
    overwrite: bool,
    bin_size_s: float | None = None,
    session_id: str | None = None,
) -> Session | None:
    """`convert_session`; returns the session that was written, or None when it was up to date.

    Args:
        kind, source, spec, out, overwrite, session_id: see `convert_session`.
        bin_size_s: what the other sessions of `out` have, if known; another bin is refused.
    """
    reader = reader_of(kind)
    name = reader.session_name(source) if session_id is None else session_id
    record = {
        "kind": kind,
        "reader": reader.VERSION,
        "sha256": reader.source_sha256(source),
        "spec_sha256": spec.digest(reader.VERSION),
    }
    in_blocks = getattr(reader, "read_in_blocks", None)
    asked = (record, name, spec, out, overwrite, bin_size_s)
    if in_blocks is None:
        return _converted(functools.partial(reader.read_session, source, spec), *asked)
    return _converted(functools.partial(in_blocks, source, spec), *asked, in_blocks=True)


def joined_session(
    kind: str,
    parts: Sequence[tuple[str, str]],
    how: str,
    spec: ReadSpec,
    out: Path,
    overwrite: bool,
    session_id: str,
    bin_size_s: float | None = None,
) -> Session | None:
    """Several recordings as one session, as `converted_session` makes one of one.

    Args:
        kind, spec, out, overwrite: see `convert_session`.
        parts: (name, source) of each part.
        how: "units", "time" or "auto", see `data.join.joined`.
        session_id: of the session of all parts.
        bin_size_s: see `converted_session`.
    """
    reader = reader_of(kind)
    if spec.window_s is not None:  # windows of all parts begin on one grid
        spec = dataclasses.replace(spec, window_from_s=0.0)
    digests = [[name, reader.source_sha256(source)] for name, source in parts]
    asked = [spec.digest(reader.VERSION), "join", how]
    record = {
        "kind": kind,
        "reader": reader.VERSION,
        "sha256": _sha256(digests),
        "spec_sha256": _sha256(asked),
    }

    def read() -> Session:
        sessions = [reader.read_session(source, spec) for _, source in parts]
        return joined(sessions, [name for name, _ in parts], how)

    return _converted(read, record, session_id, spec, out, overwrite, bin_size_s)


def _sha256(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _converted(
    read: Callable[..., Session],
    record: dict[str, str],
    name: str,
    spec: ReadSpec,
    out: Path,
    overwrite: bool,
    bin_size_s: float | None,
    in_blocks: bool = False,
) -> Session | None:
    """Writes what `read` gives under a name, unless that is there already; with `in_blocks` it is
    given a folder for values, which is gone afterwards."""
    folder = out / check_session_id(name)
    remove_leftovers(out, folder.name)
    if _is_up_to_date(folder, record, overwrite):
        return None
    with _scratch(folder) if in_blocks else contextlib.nullcontext() as scratch:
        session = read(scratch) if in_blocks else read()
        return _read_and_written(session, record, name, spec, out, overwrite, bin_size_s)


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder beside a session's, for what is larger than memory; a killed process leaves it to
    `remove_leftovers`."""
    is_new = not folder.parent.exists()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_folder(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be written {told(error)}") from None
    try:
        with held(temporary):
            yield temporary
    except OSError as error:
        raise InputError(
            f"session {folder.name} cannot be written to {folder.parent} {told(error)}"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if is_new:  # of a recording that is refused nothing stays
            with contextlib.suppress(OSError):
                folder.parent.rmdir()


def _read_and_written(
    session: Session,
    record: dict[str, str],
    name: str,
    spec: ReadSpec,
    out: Path,
    overwrite: bool,
    bin_size_s: float | None,
) -> Session:
    """Writes a session that was read under a name."""
    described = session.info.get("source")
    described = (
        described if isinstance(described, dict) else {"name": described} if described else {}
    )
    require(
        described.get("sha256", record["sha256"]) == record["sha256"],
        f"session {name}: the recording was replaced while it was read; convert it again",
    )
    # no bin of them has a meaning of its own
    windows = {} if spec.window_s is None else {"window_s": spec.window_s}
    session = session.with_fields(
        session_id=name, info={**session.info, **windows, "source": {**described, **record}}
    )
    check_bin_size(session, bin_size_s, out)
    if not overwrite:  # what is there stays
        check_kind(session, out)
    folder = write_session(session, out)
    if isinstance(session.values, np.memmap):  # of the scratch folder, which goes
        session = session.with_fields(values=map_npy(folder / "values.npy"))
    return session


def _is_up_to_date(folder: Path, record: dict[str, str], overwrite: bool) -> bool:
    """Whether the session is there with the same source and options; raises when it is there with
    others."""
    if not folder.exists():
        return False
    try:
        source = open_recorded(folder, verify="full")[0].info.get("source")
    except InputError:
        return False  # damaged: converted again
    source = source if isinstance(source, dict) else {}
    same = {key: source.get(key) == record[key] for key in ("sha256", "spec_sha256")}
    change = "with other options" if same["sha256"] else "from another file"
    require(
        overwrite or all(same.values()),
        f"{folder} was made {change}; replace it with --overwrite, or give another --session_id or "
        "--out",
    )
    return all(same.values())


def root_bin_size_s(out: Path, replaced: set[str]) -> float | None:
    """The bin size of the sessions in `out` that will stay; None without any."""
    for name in session_folders(out):
        if name not in replaced:
            try:
                return read_meta(out / name)["bin_size_s"]
            except InputError:
                continue  # damaged: converted again, or reported with the index
    return None


def check_bin_size(session: Session, bin_size_s: float | None, out: Path) -> None:
    """Raises InputError when a session's bins are not `bin_size_s`."""
    if bin_size_s is not None and not np.isclose(session.bin_size_s, bin_size_s, rtol=1e-9, atol=0):
        raise InputError(
            f"session {session.session_id} has bins of {session.bin_size_s * 1000:g} ms, but "
            f"{out} holds bins of {bin_size_s * 1000:g} ms; convert all with one --bin_ms, or "
            "give another --out"
        )


def check_kind(session: Session, out: Path) -> None:
    """Raises InputError where a session holds counts and those of `out` real values, or the other
    way round: no dataset has both."""
    words = {"counts": "counts of spikes", "real": "real values"}
    for name in session_folders(out):
        try:
            held = observation_of(read_meta(out / name))
        except InputError:
            continue  # damaged: converted again, or reported with the index
        require(
            name == session.session_id or held == session.observation,
            f"session {session.session_id} holds {words[session.observation]}, but {out} holds "
            f"{words[held]} ({name}); give each kind of recording its own --out",
        )
