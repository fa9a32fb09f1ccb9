"""A state as a table of named arrays, and orbax's part in writing and reading that table.

A leaf is known by its path ("params/read_in/kernel"); orbax sees plain nested dictionaries of
arrays and nothing of the classes of the tree. No other module knows orbax.
"""

import logging
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

# Orbax measures this by the wall clock: short, and a clock set forward would fail a sound save.
WRITE_TIMEOUT_S = 365 * 24 * 3600


def _not_from_orbax(record: logging.LogRecord) -> bool:
    """False for what orbax logs and for what asyncio logs of a task or an error of orbax."""
    places = [record.pathname]
    if record.name == "asyncio":
        places.append(record.getMessage())
        if record.exc_info and record.exc_info[2]:
            places += [
                frame.f_code.co_filename for frame, _ in traceback.walk_tb(record.exc_info[2])
            ]
    return not any(f"{os.sep}orbax{os.sep}" in place for place in places)


# Orbax logs pages of tracebacks through absl and asyncio for one failed write; the error itself is
# raised too.
for _name in ("absl", "asyncio"):
    logging.getLogger(_name).addFilter(_not_from_orbax)


def _quiet_after_failed_write(previous):
    """Silences the parts of a failed write that report to an event loop that is gone."""

    def hook(unraisable) -> None:
        if not (unraisable.object is None and str(unraisable.exc_value) == "Event loop is closed"):
            previous(unraisable)

    return hook


sys.unraisablehook = _quiet_after_failed_write(sys.unraisablehook)


def named_leaves(tree: Any) -> dict[str, Any]:
    """Leaves of a pytree (arrays, numbers, ShapeDtypeStructs) by path, in the tree's order.

    Raises ValueError on a typed random key and on paths that are empty or not unique.
    """
    named, spellings = {}, set()
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        # Scalars as arrays without axes, so that every leaf has a shape and a dtype.
        if isinstance(leaf, np.generic) or not hasattr(leaf, "dtype"):
            leaf = np.asarray(leaf)
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise ValueError(
                f"{name} is a typed random key; derive keys from the seed and the step instead"
            )
        spelling = name.replace("/", ".")  # orbax's own name of the array
        if "" in name.split("/") or spelling in spellings:
            raise ValueError(
                f"the path {name!r} is empty or not unique; rename that entry of the state"
            )
        spellings.add(spelling)
        named[name] = leaf
    return named


def describe(named: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """name -> {"shape": [...], "dtype": "float32"}, ready for JSON."""
    return {
        name: {"shape": list(leaf.shape), "dtype": str(leaf.dtype)} for name, leaf in named.items()
    }


def new_writer() -> ocp.StandardCheckpointer:
    """A writer with `wait_until_finished` and `close`; one that failed is not used again."""
    # Folders made in the background are waited for by the wall clock, too, and with a time-out of
    # their own.
    options = ocp.options.AsyncOptions(
        timeout_secs=WRITE_TIMEOUT_S, create_directories_asynchronously=False
    )
    return ocp.StandardCheckpointer(async_options=options)


def start_writing(writer: ocp.StandardCheckpointer, folder: Path, named: Mapping[str, Any]) -> None:
    """Copies arrays to the host and writes on in the background; `folder` appears whole."""
    writer.save(folder, nested({n: _one_copy(leaf) for n, leaf in _without_empty(named).items()}))


def _one_copy(leaf: Any) -> Any:
    """Of an array that every device of this process holds whole, one device's: orbax would compile
    a program for each device and shape, to fetch a slice from each."""
    if not isinstance(leaf, jax.Array) or not leaf.is_fully_addressable:
        return leaf
    return leaf.addressable_data(0) if leaf.is_fully_replicated else leaf


def read_arrays(folder: Path, targets: Mapping[str, Any]) -> dict[str, Any]:
    """Reads arrays by name.

    Args:
        folder: what `start_writing` made.
        targets: name -> jax.ShapeDtypeStruct with a sharding (gives a jax.Array on it) or a numpy
            array (gives a numpy array; only its shape and dtype count, so a broadcast zero will
            do).
    """
    with ocp.StandardCheckpointer() as reader:
        found = named_leaves(reader.restore(folder, nested(_without_empty(targets))))
    for name, target in targets.items():
        if name not in found:
            # Left out by the writer, see `_without_empty`: of these the shape is all there is.
            zeros = np.zeros(target.shape, target.dtype)
            found[name] = (
                zeros if isinstance(target, np.ndarray) else jax.device_put(zeros, target.sharding)
            )
    return found


def stored_arrays(folder: Path) -> dict[str, tuple[tuple[int, ...], str, tuple[int, ...]]]:
    """name -> (shape, dtype, shape of a chunk), as the files say; reads no array."""
    with ocp.StandardCheckpointer() as reader:
        found = reader.metadata(folder)
    # without the step around it before orbax 0.12
    tree = getattr(found, "item_metadata", found).tree
    leaves = jax.tree_util.tree_flatten_with_path(
        tree, is_leaf=lambda node: not isinstance(node, Mapping)
    )[0]
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (
            tuple(leaf.shape),
            str(np.dtype(leaf.dtype)),
            tuple(leaf.storage.chunk_shape),
        )
        for path, leaf in leaves
    }


def from_process_0(value: int) -> int:
    """The same int32 on every process: what process 0 decided about files that all share."""
    if jax.process_count() == 1:
        return value
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(value)))


def one_line(error: BaseException, limit: int = 300) -> str:
    """The message of an error from orbax on one line; of a long one, the beginning and the end."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else f"{text[: limit // 3]} ... {text[-2 * limit // 3 :]}"


def nested(named: Mapping[str, Any]) -> dict[str, Any]:
    """{"a/b": x} -> {"a": {"b": x}}."""
    tree: dict[str, Any] = {}
    for name, leaf in named.items():
        *folders, last = name.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[last] = leaf
    return tree


def _without_empty(named: Mapping[str, Any]) -> dict[str, Any]:
    """Orbax refuses arrays of size zero; their shapes are known without it."""
    return {name: leaf for name, leaf in named.items() if np.prod(leaf.shape, dtype=np.int64) > 0}
