"""The exported folder: weights without a pickle, and all that is needed to use them. Opened with
distrust.

model.safetensors     params/..., tables/..., float32
config.json           schema, config of the run, step, bins, digests, licence of the weights, membership
sessions.json         see data.store.roster; with the first row of each session
README.md             the model card
trained_trials.json   see data.store.trained_trials; absent where the run does not know, and from older exports
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax import __version__
from neurojax.data.store import roster, trained_trials
from neurojax.data.store.session_rules import check_bin_size
from neurojax.errors import InputError
from neurojax.facts import Facts, of_table
from neurojax.files import read_json, sha256_file, write_bytes, write_json
from neurojax.finetune.weights import Weights, read_run, rows_of
from neurojax.runs import state_io, workdir
from neurojax.train import settings, state

WEIGHTS_NAME, CONFIG_NAME, CARD_NAME = "model.safetensors", "config.json", "README.md"
FILES = (WEIGHTS_NAME, CONFIG_NAME, roster.ROSTER_NAME, CARD_NAME, trained_trials.NAME)
FORMAT, SCHEMA = "neurojax", 1
MAX_CONFIG_BYTES, MAX_HEADER_BYTES, MAX_SIZE = 16 << 20, 16 << 20, 1 << 20
MAX_LAYERS, MAX_BUCKET = 1024, 4096
_HEX = re.compile(r"[0-9a-f]{64}")


def is_release(folder: Path) -> bool:
    """Whether a folder looks like an exported model, from wherever."""
    return (folder / WEIGHTS_NAME).is_file()


def was_exported(folder: Path) -> bool:
    """Whether a folder's config.json says that it was written here, so that it may be replaced."""
    try:
        return read_json(folder / CONFIG_NAME).get("format") == FORMAT
    except InputError:
        return False


def write(
    folder: Path,
    weights: Weights,
    card: str,
    weights_licence: str | None,
    told_apart: Mapping[str, Any] | None = None,
) -> None:
    """Writes the files above; of the config only what the model needs, and no path of where it was
    trained.

    Args:
        folder: exists and is empty; the caller publishes it.
        weights: of a run; moments are left out.
        card: text of README.md.
        weights_licence: of the weights, None when none is stated.
        told_apart: see `membership.measure`; None when it was not measured.

    Raises:
        InputError: weights that are not finite float32, or safetensors is missing.
    """
    save = _safetensors().save
    released = {
        n: np.ascontiguousarray(a)
        for n, a in weights.arrays.items()
        if n.startswith(("params/", "tables/"))
    }
    for name, array in released.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise InputError(
                f"{name} is {array.dtype} or not finite, expected finite float32; export another "
                "run"
            )
    content = save(released, metadata={"format": FORMAT})
    write_bytes(folder / WEIGHTS_NAME, content)
    starts = np.cumsum([0, *(entry["num_units"] for entry in weights.entries)])
    entries = [
        dict(e) | {"first_row": int(row)} for e, row in zip(weights.entries, starts, strict=False)
    ]
    roster.write(folder / roster.ROSTER_NAME, entries)
    sessions_sha256 = sha256_file(folder / roster.ROSTER_NAME)
    config = {name: weights.config[name] for name in workdir.OF_WEIGHTS}
    config["data"] = dict(config["data"]) | {"root": ""}
    write_json(
        folder / CONFIG_NAME,
        {
            "format": FORMAT,
            "schema": SCHEMA,
            "neurojax": __version__,
            "config": config,
            "step": weights.step,
            "bin_size_s": weights.bin_size_s,
            "num_bins": weights.num_bins,
            "facts": weights.facts,
            "dataset_fingerprint": weights.dataset_fingerprint,
            "run_manifest_sha256": weights.digest,
            "weights_sha256": hashlib.sha256(content).hexdigest(),
            "sessions_sha256": sessions_sha256,
            "trained_trials_sha256": _write_trained(folder, weights.trained),
            "weights_licence": weights_licence,
            "membership": told_apart,
        },
    )
    write_bytes(folder / CARD_NAME, card.encode())


def read(folder: Path) -> Weights:
    """Reads an exported folder from anywhere.

    Nothing is executed; sizes are compared with the file before memory is taken; only the names
    above are opened.

    Raises:
        InputError: missing, damaged, forged, of another schema, or weights that do not fit their
            config.
    """
    facts = read_facts(folder)
    entries = _entries(folder, facts)
    path = folder / WEIGHTS_NAME
    stored = _header(path)
    sizes = [entry["num_units"] for entry in entries]
    if sum(sizes) * 4 > path.stat().st_size:
        raise InputError(
            f"{folder}: {sum(sizes):,} units cannot fit {WEIGHTS_NAME}; use another copy"
        )
    known = of_table(rows_of(entries), facts["num_bins"], facts["bin_size_s"], facts["facts"])
    try:
        params, tables = state.abstract_weights(
            settings.model_of(facts["config"]), known, settings.members_of(facts["config"])
        )
    except (TypeError, ValueError, OverflowError, ArithmeticError) as error:
        raise InputError(
            f"{folder / CONFIG_NAME}: no model has this config ({_short(error)})"
        ) from None
    leaves = state_io.named_leaves({"params": params, "tables": tables})
    wanted = {name: tuple(leaf.shape) for name, leaf in leaves.items()}
    differing = sorted(
        name for name in wanted.keys() | stored.keys() if wanted.get(name) != stored.get(name)
    )
    if differing:
        name = differing[0]
        raise InputError(
            f"{path} holds {name[:80]!r} as {stored.get(name, 'nothing')}, its config wants "
            f"{wanted.get(name, 'nothing')}; use another copy"
        )
    if sha256_file(path) != facts["weights_sha256"]:
        raise InputError(f"{path} differs from what was exported (sha256); use another copy")
    try:
        arrays = _safetensors().load_file(path)
    except Exception as error:  # whatever the library says of a file that is not one of its own
        raise InputError(f"{path} cannot be read ({_short(error)}); use another copy") from None
    if unsound := sorted(name for name, array in arrays.items() if not np.isfinite(array).all()):
        raise InputError(f"{path}: {unsound[0]} has values that are not finite; use another copy")
    return Weights(
        arrays=arrays,
        config=facts["config"],
        table=rows_of(entries),
        entries=entries,
        bin_size_s=facts["bin_size_s"],
        num_bins=facts["num_bins"],
        step=facts["step"],
        digest=facts["weights_sha256"],
        origin=None,
        dataset_fingerprint=facts["dataset_fingerprint"],
        trained=_trained(folder, facts),
        facts=facts["facts"],
    )


def read_trained(folder: Path) -> frozenset[bytes] | None:
    """Digests of the trials that a run or an export was trained on, None where not known; raises
    InputError."""
    return (
        _trained(folder, read_facts(folder)) if is_release(folder) else trained_trials.read(folder)
    )


def _write_trained(folder: Path, digests: frozenset[bytes] | None) -> str | None:
    """Writes the digests of the trained trials, where they are known; the file's sha256."""
    if digests is None:
        return None
    trained_trials.write(folder, (), digests)
    return sha256_file(folder / trained_trials.NAME)


def _trained(folder: Path, facts: Mapping[str, Any]) -> frozenset[bytes] | None:
    """Digests of the trained trials, None where the export does not know; the file is the one that
    was exported."""
    path, expected = folder / trained_trials.NAME, facts.get("trained_trials_sha256")
    if expected is None and not path.exists():
        return None
    if (
        not path.is_file()
        or path.stat().st_size > trained_trials.MAX_BYTES
        or sha256_file(path) != expected
    ):
        raise InputError(
            f"{path} is missing or differs from what was exported (sha256); use another copy"
        )
    return trained_trials.read(folder)


def read_any(folder: Path, log: Callable[[str], Any] = print) -> Weights:
    """Weights of an exported folder, or of a run: see `read` and `weights.read_run`."""
    return read(folder) if is_release(folder) else read_run(folder, log)


def read_facts(folder: Path) -> dict[str, Any]:
    """config.json of an exported folder, checked; raises InputError."""
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a folder of `neurojax export`")
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise InputError(
            f"{path} has {path.stat().st_size:,} bytes, expected at most {MAX_CONFIG_BYTES:,}"
        )
    facts = read_json(path)
    if facts.get("format") != FORMAT or facts.get("schema") != SCHEMA:
        found = f"format {str(facts.get('format'))[:40]!r}, schema {str(facts.get('schema'))[:40]}"
        raise InputError(
            f"{path} has {found}; expected a folder of `neurojax export` of this version"
        )
    check_bin_size(facts.get("bin_size_s"), str(path))
    whole = all(
        type(facts.get(name)) is int and 0 <= facts[name] < 2**31 for name in ("step", "num_bins")
    )
    digests = isinstance(facts.get("weights_sha256"), str) and _HEX.fullmatch(
        facts["weights_sha256"]
    )
    config = facts.get("config")
    nested = [name for name in workdir.OF_WEIGHTS if name not in workdir.PLAIN]
    blocks = isinstance(config, dict) and all(isinstance(config.get(name), dict) for name in nested)
    if not (whole and digests and blocks and 0 < facts["num_bins"] <= MAX_SIZE):
        raise InputError(
            f"{path} lacks step, num_bins, weights_sha256 or a block of the config; use another "
            "copy"
        )
    # Sources without units pad none; one of spikes that lacks the entry is refused where it is
    # opened.
    bucket, seed = config["data"].get("bucket_units", 1), config.get("seed")
    if (
        type(bucket) is not int
        or not 0 < bucket <= MAX_BUCKET
        or type(seed) is not int
        or not 0 <= seed < 2**32
    ):
        raise InputError(
            f"{path}: data.bucket_units={str(bucket)[:40]} or seed={str(seed)[:40]} is no size "
            "or seed"
        )
    facts["dataset_fingerprint"] = str(facts.get("dataset_fingerprint"))[:64]
    facts["facts"] = _sizes(facts.get("facts"), path)
    _check_parts(config, folder)
    return facts


def _sizes(record: Any, path: Path) -> dict[str, int] | None:
    """`Facts.to_record` of unknown origin: sizes and no more, or nothing."""
    if record is None:
        return None
    sizes = isinstance(record, dict) and all(
        type(n) is int and 0 <= n <= MAX_SIZE for n in record.values()
    )
    if not sizes or set(record) - set(Facts(1, 1.0).to_record()):
        raise InputError(f"{path}: facts={str(record)[:80]} are no sizes of data; use another copy")
    return record


def _check_parts(config: Mapping[str, Any], folder: Path) -> None:
    """Refuses a model or objective of unknown origin whose entries are of wrong type or too large
    to be sizes."""
    where = folder / CONFIG_NAME
    for name, value in config["model"].items():
        large = isinstance(value, int | float) and not (
            math.isfinite(value) and abs(value) <= MAX_SIZE
        )
        if not isinstance(value, int | float | str) or large:
            raise InputError(
                f"{where}: model.{str(name)[:40]}={str(value)[:40]} is no entry of a model"
            )
    try:
        settings.model_of(config)
        settings.objective_of(config)
    except InputError as error:
        raise InputError(f"{where}: {error}; update neurojax, or use another copy") from None
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise InputError(
            f"{where}: a block of the config cannot be used ({_short(error)}); use another copy"
        ) from None
    deep = [
        value
        for name in ("num_layers", "unroll")
        if isinstance(value := config["model"].get(name, 1), int)
    ]
    if max(deep, default=1) > MAX_LAYERS:
        raise InputError(
            f"{where}: model.num_layers or model.unroll is above {MAX_LAYERS:,}; use another copy"
        )


def _entries(folder: Path, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """sessions.json, in the order of the rows; older exports keep no digest of it, but each entry's
    first row."""
    path = folder / roster.ROSTER_NAME
    if not path.is_file():
        raise InputError(f"{path} does not exist; use another copy")
    entries = roster.read(path)
    starts = np.cumsum([0, *(entry["num_units"] for entry in entries)])
    for entry, start in zip(entries, starts, strict=False):
        if entry.get("first_row") != start:
            found = str(entry.get("first_row"))[:40]
            raise InputError(
                f"{path}: rows of {entry['session_id']} start at {found}, expected {start}; use "
                "another copy"
            )
    if "sessions_sha256" in facts and sha256_file(path) != facts["sessions_sha256"]:
        raise InputError(f"{path} differs from what was exported (sha256); use another copy")
    return entries


def _header(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every array of a safetensors file; the header's sizes must be those of the
    file.

    Raises:
        InputError: no such file, a header longer than the file, an array that is not float32, sizes
            that do not add up.
    """
    damaged = InputError(f"{path} is no sound safetensors file of float32 arrays; use another copy")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
                raise damaged
            header = json.loads(file.read(length))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected a folder of `neurojax export`") from None
    except (OSError, ValueError, RecursionError):
        raise damaged from None
    if not isinstance(header, dict):
        raise damaged
    shapes, spans = {}, []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if not isinstance(entry, dict) or entry.get("dtype") != "F32":
            raise damaged
        shape, span = entry.get("shape"), entry.get("data_offsets")
        for numbers in (shape, span):
            if (
                not isinstance(numbers, list)
                or len(numbers) > 8
                or not all(type(n) is int and n >= 0 for n in numbers)
            ):
                raise damaged
        if len(span) != 2 or span[1] - span[0] != 4 * math.prod(shape):
            raise damaged
        shapes[name] = tuple(shape)
        spans.append(span)
    ends = [0, *(span[1] for span in sorted(spans))]
    if [span[0] for span in sorted(spans)] != ends[:-1] or ends[-1] != size - 8 - length:
        raise damaged
    return shapes


def _safetensors():
    try:
        import safetensors.numpy
    except ImportError:
        raise InputError(
            'released weights need the package safetensors: pip install "neurojax[hub]"'
        ) from None
    return safetensors.numpy


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
