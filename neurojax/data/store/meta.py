"""meta.json of a session folder: read with distrust, without the arrays it describes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.store.checksums import combined_sha256
from neurojax.data.store.observation_rules import check_unit_of_values
from neurojax.data.store.session_rules import check_bin_size, check_session_id
from neurojax.errors import InputError, require
from neurojax.files import read_json

SCHEMA = 2
READS = (1, SCHEMA)
RECORDED = {"counts": "counts", "real": "values"}  # observation -> file of the recording
_MAX_BYTES = 2**24
_REQUIRED = ("schema", "session_id", "bin_size_s", "arrays", "content_sha256", "sampled_sha256")


def read_meta(folder: Path) -> dict[str, Any]:
    """Reads and checks meta.json of a session folder, without its arrays.

    Raises:
        InputError: missing, damaged, another schema, or inconsistent in itself.
    """
    path = folder / "meta.json"
    meta = read_json(path, _MAX_BYTES)
    require(
        meta.get("schema") in READS and not isinstance(meta["schema"], bool | float),
        f"{path} has schema {str(meta.get('schema'))[:60]!r}, expected 1 or {SCHEMA}; convert the "
        "recording again, or update neurojax",
    )
    if missing := [key for key in _REQUIRED if key not in meta]:
        raise InputError(f"{path} lacks {', '.join(missing)}; convert the recording again")
    require(
        meta["session_id"] == folder.absolute().name,
        f"{path} names session {meta['session_id']!r}, but its folder is "
        f"{folder.absolute().name!r}; rename the folder back",
    )
    check_session_id(meta["session_id"])
    require(
        isinstance(meta["bin_size_s"], float),
        f"{path}: bin_size_s is {str(meta['bin_size_s'])[:60]}, expected seconds; convert again",
    )
    check_bin_size(meta["bin_size_s"], str(path))
    for key in ("num_units", "num_trials", "num_bins"):  # for people; nothing is sized by them
        # `type`, since isinstance takes True for a whole number.
        if type(meta.get(key, 0)) is not int:
            raise InputError(
                f"{path}: {key} is {str(meta[key])[:60]}, expected a whole number; convert again"
            )
    records, sampled = meta["arrays"], meta["sampled_sha256"]
    require(
        isinstance(records, dict)
        and all(map(_is_record, records.values()))
        and isinstance(sampled, dict),
        f"{path} has damaged checksums; convert the recording again",
    )
    _check_observation(meta, path)
    # The unit is in the digest: microvolts that become millivolts are other data.
    unit = meta["unit"] if observation_of(meta) == "real" else None
    require(
        combined_sha256(meta["session_id"], meta["bin_size_s"], records, unit)
        == meta["content_sha256"],
        f"{path}: the checksums do not add up to content_sha256; convert the recording again",
    )
    return meta


def observation_of(meta: Mapping[str, Any]) -> str:
    """What a meta.json that was checked is about: "counts" or "real"; schema 1 had counts alone."""
    return "counts" if meta["schema"] == 1 else meta["observation"]


def _check_observation(meta: Mapping[str, Any], path: Path) -> None:
    """Raises InputError unless meta.json says which kind of recording it is about."""
    if meta["schema"] == 1:
        return
    found = meta.get("observation")
    require(
        isinstance(found, str) and found in RECORDED,
        f"{path}: observation is {str(found)[:60]!r}, expected counts or real; convert again",
    )
    if found == "real":
        check_unit_of_values(meta.get("unit"), str(path))
        rate_hz = meta.get("sampling_hz")
        require(
            isinstance(rate_hz, float) and 0 < rate_hz < np.inf,
            f"{path}: sampling_hz is {str(rate_hz)[:60]}, expected hertz; convert again",
        )


def _is_record(record: Any) -> bool:
    """Whether an entry of meta["arrays"] has the form of `array_record`."""
    return (
        isinstance(record, dict)
        and record.keys() == {"dtype", "shape", "sha256"}
        and isinstance(record["shape"], list)
        and all(isinstance(size, int) for size in record["shape"])
    )
