"""Checksums of arrays: by content, so that memory and disk, padding and byte order agree."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.row_blocks import let_go, row_blocks

_SAMPLED_BLOCKS, _BLOCK_BYTES = 64, 4096


def combined_sha256(
    session_id: str,
    bin_size_s: float,
    records: Mapping[str, dict[str, Any]],
    unit_of_values: str | None = None,
) -> str:
    """Digest of a session: its name, its bin size, the records of all its arrays, its unit."""
    content = {"session_id": session_id, "bin_size_s": float(bin_size_s), "arrays": records}
    # Left out for counts, so that their digest is the one that schema 1 had.
    if unit_of_values is not None:
        content["unit"] = unit_of_values
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def array_record(array: np.ndarray) -> dict[str, Any]:
    """dtype, shape and sha256; text is hashed as JSON, so its padding in memory does not matter."""
    digest, is_text = hashlib.sha256(), array.dtype.kind == "U"
    # Little-endian and in C order on every machine: the digest is of values, not of memory.
    dtype = "text" if is_text else array.dtype.newbyteorder("<").str
    if is_text:
        digest.update(json.dumps(array.tolist()).encode())
    else:
        for _, block in row_blocks(array.reshape(1) if array.ndim == 0 else array):
            little = np.asarray(block, dtype=dtype, order="C")
            digest.update(memoryview(little.reshape(-1)).cast("B"))
    return {"dtype": dtype, "shape": list(array.shape), "sha256": digest.hexdigest()}


def sampled_sha256(array: np.ndarray) -> str:
    """Digest of 64 blocks of 4 KiB, evenly over an array's bytes (all bytes of a small one)."""
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    starts = np.linspace(0, max(0, len(content) - _BLOCK_BYTES), _SAMPLED_BLOCKS).astype(np.int64)
    # The blocks of a small array would overlap: all of it is hashed.
    if len(content) <= _SAMPLED_BLOCKS * _BLOCK_BYTES:
        return hashlib.sha256(content.tobytes()).hexdigest()
    digest = hashlib.sha256()
    for start in starts:
        digest.update(content[start : start + _BLOCK_BYTES].tobytes())
        let_go(array)  # around a byte of a mapped file the system maps megabytes
    return digest.hexdigest()
