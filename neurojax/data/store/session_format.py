"""The session folder, schema 2: written whole or not at all, opened with distrust.

<root>/<session_id>/
  counts.npy      uint8 or uint16 [total_bins, N], C order, memory-mapped; or, of real values,
  values.npy      float32 or float16 [total_bins, C], finite, C order, memory-mapped
  units.npz       unit_id, region, region_group, region_source and numeric metadata, [N]
  trials.npz      start_bin, num_bins, split, start_s and condition columns, [trials]
  behaviour.npz   name float32 [total_bins, dims], name + "_valid" bool [total_bins]
  true_rates.npy  float32 [total_bins, N]; synthetic recordings only
  spikes.npz      time_s float64, unit_index int32 [spikes], by time; where they were kept
  validity.npz    unit_index int32, start_bin, stop_bin int64 [intervals] in which a unit was
                  observed, by unit and bin, stop_bin the bin after the last; without it: always
  meta.json       schema, session_id, bin_size_s, observation ("counts" or "real"; the latter with
                  unit and sampling_hz), provenance, dtype, shape and sha256 of each array
  CARD.md         meta.json for people; nothing reads it

Schema 1 had counts alone, without `observation`, spikes.npz and validity.npz. Its folders are
read as they are, and the content hash of equal counts is the same in both.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.observed import ObservedIntervals
from neurojax.data.session import Session, SpikeTimes
from neurojax.data.store.array_files import open_npy, read_npz, write_npy, write_npz
from neurojax.data.store.cards import CARD_NAME, session_card
from neurojax.data.store.checksums import array_record, combined_sha256, sampled_sha256
from neurojax.data.store.meta import RECORDED, SCHEMA, observation_of, read_meta
from neurojax.data.store.observation_rules import VALUE_DTYPES, check_finite, check_unobserved
from neurojax.data.store.observed_share import observed_record
from neurojax.data.store.session_rules import (
    RESERVED_INFO,
    RESERVED_SINCE_2,
    TRIAL_COLUMNS,
    UNIT_COLUMNS,
    validate_session,
)
from neurojax.errors import InputError, require
from neurojax.files import (
    as_path,
    held,
    publish_folder,
    remove_leftovers,
    require_text,
    temporary_folder,
    told,
    write_bytes,
    write_json,
)

_SMALL_BYTES = 2**26  # of real values that are looked at for NaN whenever they are opened
_MAPPED = {
    "counts": (np.dtype(np.uint8), np.dtype(np.uint16)),
    "values": VALUE_DTYPES,
    "true_rates": (np.dtype(np.float32),),
}


class Digests(NamedTuple):
    """Hex digests that tell a session from another; all its bytes are read to make them.

    Attributes:
        content_sha256: of id, bin size and arrays, observed time among them, not of `info`.
        counts_sha256: of the counts (or values) alone: under another name they have the same.
    """

    content_sha256: str
    counts_sha256: str


def write_session(session: Session, root: str | Path) -> Path:
    """Writes `<root>/<session_id>` whole: readers see the old folder or the new one.

    Returns:
        The folder.

    Raises:
        InputError: the session is not valid, or `root` cannot be written.
    """
    validate_session(session)
    if session.values is not None:
        check_finite(session.values, f"session {session.session_id}")
    check_unobserved(session, f"session {session.session_id}")
    root = as_path(root, "root")
    require_text(root, "folder")
    folder = root / session.session_id
    final = folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        if folder.is_symlink():  # the link stays, and what it points to is replaced
            final = Path(os.path.realpath(folder))
            require(not final.is_symlink(), f"{folder} is a link to itself; remove it")
            final.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(final.parent, final.name)
        temporary = temporary_folder(final)
    except OSError as error:
        raise InputError(f"{folder} cannot be written {told(error)}") from None
    try:
        with held(temporary):
            _write_files(session, temporary)
            publish_folder(temporary, final)
    except OSError as error:
        raise InputError(
            f"session {session.session_id} cannot be written to {root} {told(error)}"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def open_session(folder: str | Path, verify: str = "sampled") -> Session:
    """Opens a session folder; counts, values and true rates stay on disk as read-only memory maps.

    Args:
        folder: `<root>/<session_id>`.
        verify: "full" compares every byte with the checksums of meta.json, "sampled" all bytes of
            the small arrays and 64 blocks of each mapped one, "none" none. Sizes, shapes, dtypes
            and the rules of a session are always checked. Real values are looked at for NaN by
            "full", and below 64 MiB by "sampled" too.

    Raises:
        InputError: anything missing, damaged, or at odds with meta.json.
    """
    return open_recorded(as_path(folder, "folder"), verify)[0]


def open_recorded(folder: Path, verify: str) -> tuple[Session, Digests]:
    """`open_session`, and the digests that meta.json records."""
    require(
        isinstance(verify, str) and verify in ("full", "sampled", "none"),
        f"verify={verify!r}; expected full, sampled or none",
    )
    meta = read_meta(folder)
    rates = ["true_rates"] if "true_rates" in meta["arrays"] else []
    names = [RECORDED[observation_of(meta)], *rates]
    mapped = {name: open_npy(folder / f"{name}.npy", _MAPPED[name], 2) for name in names}
    listed = {name.partition("/")[0] for name in meta["arrays"]} if meta["schema"] != 1 else ()
    kept = [group for group in ("spikes", "validity") if group in listed]  # need not be there
    groups = {}
    for group in ("units", "trials", "behaviour", *kept):
        path = folder / f"{group}.npz"
        # Stored uncompressed: the members can never be larger than the file.
        groups[group] = read_npz(path, max_bytes=path.stat().st_size if path.is_file() else 0)
    _check_arrays(_named(mapped, groups), meta, folder, verify)
    try:
        session = validate_session(_assemble(meta, mapped, groups))
        # Looking for NaN reads every byte, which a large recording is spared unless asked for.
        small = verify == "sampled" and session.recorded.nbytes <= _SMALL_BYTES
        if session.values is not None and (verify == "full" or small):
            check_finite(session.values, f"session {session.session_id}")
        recorded = meta["arrays"][RECORDED[session.observation]]["sha256"]
        return session, Digests(meta["content_sha256"], recorded)
    except KeyError as error:
        raise InputError(f"{folder} lacks the array {error}; convert the recording again") from None
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None


def digests_of(session: Session) -> Digests:
    """Digests of a session: the same in memory and on disk."""
    arrays = _named(_mapped_arrays(session), _grouped_arrays(session))
    records = {name: array_record(array) for name, array in arrays.items()}
    content = combined_sha256(
        session.session_id, session.bin_size_s, records, session.unit_of_values
    )
    return Digests(content, records[RECORDED[session.observation]]["sha256"])


def content_sha256(session: Session) -> str:
    """Hex digest of id, bin size and arrays, not of `info`: the same in memory and on disk."""
    return digests_of(session).content_sha256


def _grouped_arrays(session: Session) -> dict[str, dict[str, np.ndarray]]:
    trials = (session.trial_start_bin, session.trial_num_bins, session.split, session.trial_start_s)
    masks = {f"{name}_valid": mask for name, mask in session.behaviour_valid.items()}
    kept = {"spikes": session.spikes, "validity": session.validity}
    return {
        "units": {
            **{name: getattr(session, name) for name in UNIT_COLUMNS},
            **session.unit_metadata,
        },
        "trials": {**dict(zip(TRIAL_COLUMNS, trials, strict=True)), **session.conditions},
        "behaviour": {**session.behaviour, **masks},
        **{name: columns._asdict() for name, columns in kept.items() if columns is not None},
    }


def _mapped_arrays(session: Session) -> dict[str, np.ndarray]:
    rates = {} if session.true_rates is None else {"true_rates": session.true_rates}
    return {RECORDED[session.observation]: session.recorded, **rates}


def _named(
    mapped: Mapping[str, np.ndarray], groups: Mapping[str, Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """All arrays under the names of meta.json: "counts", "trials/split", ..."""
    flat = {
        f"{group}/{name}": array
        for group, arrays in groups.items()
        for name, array in arrays.items()
    }
    return {**mapped, **flat}


def _write_files(session: Session, folder: Path) -> None:
    mapped = _mapped_arrays(session)
    for name, array in mapped.items():
        write_npy(folder / f"{name}.npy", array)
    groups = _grouped_arrays(session)
    for group, arrays in groups.items():
        write_npz(folder / f"{group}.npz", arrays)
    records = {name: array_record(array) for name, array in _named(mapped, groups).items()}
    real = {}
    if session.values is not None:
        real = {"unit": session.unit_of_values, "sampling_hz": float(session.sampling_hz)}
    meta = {
        "schema": SCHEMA,
        "session_id": session.session_id,
        "bin_size_s": float(session.bin_size_s),
        "num_units": session.num_units,
        "num_trials": session.num_trials,
        "num_bins": len(session.recorded),
        "observation": session.observation,
        **real,
        **session.info,
        **({} if session.validity is None else {"observed_time": observed_record(session)}),
        "arrays": records,
        "sampled_sha256": {name: sampled_sha256(array) for name, array in mapped.items()},
        "content_sha256": combined_sha256(
            session.session_id, session.bin_size_s, records, session.unit_of_values
        ),
    }
    write_json(folder / "meta.json", meta)
    write_bytes(folder / CARD_NAME, session_card(meta).encode())


def _check_arrays(
    arrays: Mapping[str, np.ndarray], meta: dict[str, Any], folder: Path, verify: str
) -> None:
    differing = sorted(arrays.keys() ^ meta["arrays"].keys())
    require(
        not differing,
        f"{folder}: arrays {differing[:5]} are only in the files or only in meta.json; convert "
        "again",
    )
    for name, array in arrays.items():
        expected = meta["arrays"][name]
        dtype = "text" if array.dtype.kind == "U" else array.dtype.newbyteorder("<").str
        came = {"dtype": dtype, "shape": list(array.shape)}
        require(
            not any(expected[key] != value for key, value in came.items()),
            f"{folder}: {name} is {dtype} {came['shape']}, meta.json says {str(expected)[:100]}; "
            "convert again",
        )
        if verify == "none":
            continue
        # A recording of many GB opens at once: of it a few blocks are read, of small arrays all.
        if verify == "sampled" and name in _MAPPED:
            intact = sampled_sha256(array) == meta["sampled_sha256"].get(name)
        else:
            intact = array_record(array)["sha256"] == expected["sha256"]
        file = f"{name}.npy" if name in _MAPPED else f"{name.partition('/')[0]}.npz"
        require(
            intact,
            f"{folder / file}: {name} does not match its checksum; the file is damaged, restore it "
            "or convert the recording again",
        )


def _assemble(
    meta: dict[str, Any],
    mapped: Mapping[str, np.ndarray],
    groups: Mapping[str, dict[str, np.ndarray]],
) -> Session:
    units, trials, signals = groups["units"], groups["trials"], groups["behaviour"]
    is_real = observation_of(meta) == "real"
    reserved = RESERVED_INFO if meta["schema"] != 1 else RESERVED_INFO - RESERVED_SINCE_2
    info = {key: value for key, value in meta.items() if key not in reserved}
    # What a schema 1 folder happened to say under a name that is reserved since.
    for key in RESERVED_SINCE_2 & info.keys():
        info[f"{key}_of_schema_1"] = info.pop(key)
    return Session(
        session_id=meta["session_id"],
        counts=mapped.get("counts"),
        bin_size_s=meta["bin_size_s"],
        **{name: units[name] for name in UNIT_COLUMNS},
        trial_start_bin=trials["start_bin"],
        trial_num_bins=trials["num_bins"],
        split=trials["split"],
        trial_start_s=trials["start_s"],
        conditions={name: values for name, values in trials.items() if name not in TRIAL_COLUMNS},
        behaviour={name: values for name, values in signals.items() if not name.endswith("_valid")},
        behaviour_valid={
            name.removesuffix("_valid"): mask
            for name, mask in signals.items()
            if name.endswith("_valid")
        },
        unit_metadata={name: values for name, values in units.items() if name not in UNIT_COLUMNS},
        true_rates=mapped.get("true_rates"),
        info=info,
        values=mapped.get("values"),
        sampling_hz=meta["sampling_hz"] if is_real else None,
        unit_of_values=meta["unit"] if is_real else None,
        spikes=_columns(groups.get("spikes"), SpikeTimes),
        validity=_columns(groups.get("validity"), ObservedIntervals),
    )


def _columns(arrays: Mapping[str, np.ndarray] | None, kind: type) -> Any:
    """The arrays of an optional file as its record; None without the file."""
    if arrays is None:
        return None
    if extra := sorted(arrays.keys() - set(kind._fields)):
        raise InputError(
            f"the array {extra[0]!r} is unknown beside {', '.join(kind._fields)}; convert again"
        )
    return kind(*(arrays[name] for name in kind._fields))
