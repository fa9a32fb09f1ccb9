"""What weights of NDT1-stitch do not say of themselves: heads, bins, and whose read-in is whose.

config.json, which may be left out, as may each of its entries:

    {"num_heads": 8, "bin_size_s": 0.02, "sessions": [
        {"session_id": "...", "num_units": 676, "embed_session_row": 0,
         "unit_ids": ["0", "1", ...], "regions": ["CA1", "VISp", ...]}, ...]}
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neurojax.data.session import SPLIT_NAMES
from neurojax.data.store.session_rules import check_bin_size, check_session_id
from neurojax.errors import InputError, require
from neurojax.files import read_json

NAME = "config.json"
MAX_BYTES = 64 << 20
NUM_HEADS, BIN_SIZE_S = 8, 0.02  # of the released model
_ENTRIES = ("num_heads", "bin_size_s", "sessions")
_OF_SESSION = ("session_id", "num_units", "embed_session_row", "unit_ids", "regions")
UNKNOWN_REGION = "unknown"


class Described(NamedTuple):
    """Attributes:
    num_heads: of attention.
    bin_size_s: seconds.
    entries: of a roster (`data.store.roster`), in the order of the read-ins, each with the
        "embed_session_row" that was given, or None.
    assumed: those of "num_heads" and "bin_size_s" that are the released model's, for nothing says.
    """

    num_heads: int
    bin_size_s: float
    entries: list[dict[str, Any]]
    assumed: tuple[str, ...]


def described(folder: Path | None, units: Sequence[int], num_session_rows: int) -> Described:
    """What config.json says of weights, or what holds of the released model.

    Args:
        folder: where config.json may be; None where a file was named.
        units: number of units of each read-in.
        num_session_rows: of embed_session.

    Raises:
        InputError: entries that are not known, or that do not fit the weights.
    """
    path = (folder or Path()) / NAME
    content = read_json(path, MAX_BYTES) if folder and path.exists() else {}
    _require_known(content, _ENTRIES, str(path))
    heads = content.get("num_heads", NUM_HEADS)
    require(type(heads) is int and heads > 0, f"{path}: num_heads={str(heads)[:40]} is no number")
    bin_size_s = check_bin_size(content.get("bin_size_s", BIN_SIZE_S), str(path))
    listed = content.get("sessions", [])
    require(
        isinstance(listed, list) and all(isinstance(one, dict) for one in listed),
        f"{path}: sessions is no list of objects; see docs/importing.md",
    )
    by_units: dict[int, dict[str, Any]] = {}
    for number, session in enumerate(listed):
        where = f"{path}, session {number}"
        _check(session, where, num_session_rows)
        require(
            session["num_units"] in units and session["num_units"] not in by_units,
            f"{where} has {session['num_units']} units; the weights have one read-in each for "
            f"{', '.join(map(str, units[:8]))}{', ...' if len(units) > 8 else ''} units",
        )
        by_units[session["num_units"]] = session
    entries = [_entry(by_units.get(number, {}), number, bin_size_s) for number in units]
    names = {entry["session_id"] for entry in entries}
    require(len(names) == len(entries), f"{path} names a session twice")
    assumed = tuple(name for name in ("num_heads", "bin_size_s") if name not in content)
    return Described(heads, bin_size_s, entries, assumed)


def _require_known(content: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    odd = [str(name)[:40] for name in content if name not in known]
    require(
        not odd,
        f"{where} has {odd[:1]}, expected no other entries than {', '.join(known)}; remove it, or "
        "name the file of weights itself",
    )


def _check(session: Mapping[str, Any], where: str, num_session_rows: int) -> None:
    """Raises InputError for an entry that cannot be used."""
    _require_known(session, _OF_SESSION, where)
    try:
        check_session_id(session.get("session_id"))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    number, row = session.get("num_units"), session.get("embed_session_row")
    require(type(number) is int, f"{where}: num_units={str(number)[:40]} is no number")
    require(
        row is None or (type(row) is int and 0 <= row < num_session_rows),
        f"{where}: embed_session_row={str(row)[:40]}, but embed_session has {num_session_rows} "
        "rows, the first one 0",
    )
    for name in ("unit_ids", "regions"):
        labels = session.get(name)
        plain = isinstance(labels, list) and all(isinstance(one, str) for one in labels)
        require(
            labels is None or (plain and len(labels) == number),
            f"{where}: {name} is no list of {number} texts, one a unit",
        )


def _entry(session: Mapping[str, Any], num_units: int, bin_size_s: float) -> dict[str, Any]:
    """Of the roster; a session of which nothing is known is named after its number of units."""
    names = session.get("unit_ids")
    known = "" if names is None else "\n".join(names)
    digest = hashlib.sha256(known.encode(errors="replace")).hexdigest()[:16]
    return {
        "session_id": session.get("session_id", f"units_{num_units}"),
        "num_units": num_units,
        # as `batching.units_digest` of a session of these units; of unknown ones, no session's
        "units_sha256": "" if names is None else digest,
        "region": session.get("regions") or [UNKNOWN_REGION] * num_units,
        "bin_size_s": bin_size_s,
        "subject_id": None,
        "species": None,
        "licence": None,
        "source": "weights of NDT1-stitch under their public names",
        "num_trials": dict.fromkeys(SPLIT_NAMES, 0),
        "content_sha256": "",
        "counts_sha256": "",
        "embed_session_row": session.get("embed_session_row"),
    }


def content_of(
    num_heads: int,
    bin_size_s: float,
    entries: Sequence[Mapping[str, Any]],
    rows: Sequence[int | None],
) -> dict[str, Any]:
    """config.json of weights that are exported; the names of units are not known any more.

    Args:
        num_heads, bin_size_s: of the model.
        entries: of the roster, in row order.
        rows: of `public_mtm.published`.
    """
    sessions = [
        {"session_id": entry["session_id"], "num_units": entry["num_units"]}
        | ({} if row is None else {"embed_session_row": row})
        | {"regions": list(entry["region"])}
        for entry, row in zip(entries, rows, strict=True)
    ]
    return {"num_heads": num_heads, "bin_size_s": bin_size_s, "sessions": sessions}
