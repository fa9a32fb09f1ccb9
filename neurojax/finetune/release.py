"""The exported folder: weights without a pickle, and all that is needed to use them. Opened with
distrust.

model.safetensors     params/..., tables/..., buffers/..., float32
config.json           schema, config of the run, step, bins, digests, licence, membership,
                      reidentification; of weights that forgot a subject, what was removed
sessions.json         see data.store.roster; with the first row of each session
README.md             the model card
trained_trials.json   see data.store.trained_trials; absent where the run does not know, and from
                      older exports
"""

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax import __version__
from neurojax.data.store import roster, trained_trials
from neurojax.data.store.session_rules import check_bin_size
from neurojax.errors import InputError, require
from neurojax.facts import Facts, of_table
from neurojax.files import read_json, sha256_file, write_bytes, write_json
from neurojax.finetune import safetensors_file
from neurojax.finetune.weights import Weights, read_run, rows_of
from neurojax.runs import state_io, workdir
from neurojax.train import settings, state

WEIGHTS_NAME, CONFIG_NAME, CARD_NAME = workdir.EXPORT_NAME, "config.json", "README.md"
FILES = (WEIGHTS_NAME, CONFIG_NAME, roster.ROSTER_NAME, CARD_NAME, trained_trials.NAME)
FORMAT, SCHEMA = "neurojax", 1
MAX_CONFIG_BYTES, MAX_SIZE = 16 << 20, 1 << 20
MAX_LAYERS, MAX_BUCKET = 1024, 4096
MAX_NAME = 200  # letters of a class
KEPT = ("params", "tables", "buffers")  # of a state: what a prediction needs
_KNOWN_SIZES = set(Facts(1, 1.0, num_features=1, num_targets=1).to_record())
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
    attacks: Mapping[str, Any] | None = None,
) -> None:
    """Writes the files above; of the config only what the model needs, and no path of where it was
    trained.

    Args:
        folder: exists and is empty; the caller publishes it.
        weights: of a run; moments are left out.
        card: text of README.md.
        weights_licence: of the weights, None when none is stated.
        attacks: "membership" and "reidentification", see `api`, and "forgotten", see
            `finetune.forget`, for config.json; None when nothing was measured.

    Raises:
        InputError: weights that are not finite float32, or safetensors is missing.
    """
    save = safetensors_file.library().save
    released = {
        n: np.ascontiguousarray(a) for n, a in weights.arrays.items() if n.split("/")[0] in KEPT
    }
    for name, array in released.items():
        require(
            array.dtype == np.float32 and np.isfinite(array).all(),
            f"{name} is {array.dtype} or not finite, expected finite float32; export another run",
        )
    content = save(released, metadata={"format": FORMAT})
    write_bytes(folder / WEIGHTS_NAME, content)
    starts = np.cumsum([0, *(entry["num_units"] for entry in weights.entries)])
    entries = [
        dict(e) | {"first_row": int(row)} for e, row in zip(weights.entries, starts, strict=False)
    ]
    roster.write(folder / roster.ROSTER_NAME, entries)
    sessions_sha256 = sha256_file(folder / roster.ROSTER_NAME)
    if weights.trained is not None:
        trained_trials.write(folder, (), weights.trained)
    config = {name: weights.config[name] for name in workdir.OF_WEIGHTS}
    # Where things lie on this computer is of no use elsewhere, and nobody's business.
    places = {name: "" for name in ("root", "answers") if name in config["data"]}
    config["data"] = dict(config["data"]) | places
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
            "trained_trials_sha256": None
            if weights.trained is None
            else sha256_file(folder / trained_trials.NAME),
            "weights_licence": weights_licence,
            "membership": None,
            **(attacks or {}),
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
    stored = safetensors_file.shapes(path)
    sizes = [entry["num_units"] for entry in entries]
    require(
        sum(sizes) * 4 <= path.stat().st_size,
        f"{folder}: {sum(sizes):,} units cannot fit {WEIGHTS_NAME}; use another copy",
    )
    known = of_table(rows_of(entries), facts["num_bins"], facts["bin_size_s"], facts["facts"])
    try:
        shapes = state.abstract_trained(
            settings.model_of(facts["config"]), known, settings.members_of(facts["config"])
        )
    except (TypeError, ValueError, OverflowError, ArithmeticError, MemoryError) as error:
        raise InputError(
            f"{folder / CONFIG_NAME}: no model has this config ({_short(error)})"
        ) from None
    leaves = state_io.named_leaves(shapes)
    wanted = {name: tuple(leaf.shape) for name, leaf in leaves.items()}
    for name in sorted(wanted.keys() | stored.keys()):
        there, here = stored.get(name, "nothing"), wanted.get(name, "nothing")
        require(
            there == here,
            f"{path} holds {name[:80]!r} as {there}, its config wants {here}; use another copy",
        )
    require(
        sha256_file(path) == facts["weights_sha256"],
        f"{path} differs from what was exported (sha256); use another copy",
    )
    try:
        arrays = safetensors_file.library().load_file(path)
    except Exception as error:  # whatever the library says of a file that is not one of its own
        raise InputError(f"{path} cannot be read ({_short(error)}); use another copy") from None
    for name, array in sorted(arrays.items()):
        require(
            np.isfinite(array).all(),
            f"{path}: {name} has values that are not finite; use another copy",
        )
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


def read_trained(folder: Path) -> trained_trials.Trained | None:
    """What a run or an export was trained on, None where not known; raises InputError."""
    return (
        _trained(folder, read_facts(folder)) if is_release(folder) else trained_trials.read(folder)
    )


def _trained(folder: Path, facts: Mapping[str, Any]) -> trained_trials.Trained | None:
    """What it was trained on, None where the export does not know; the file is the one that was
    exported."""
    path, expected = folder / trained_trials.NAME, facts.get("trained_trials_sha256")
    if expected is None and not path.exists():
        return None
    require(
        path.is_file()
        and path.stat().st_size <= trained_trials.MAX_BYTES
        and sha256_file(path) == expected,
        f"{path} is missing or differs from what was exported (sha256); use another copy",
    )
    return trained_trials.read(folder)


def read_any(folder: Path, log: Callable[[str], Any] = print) -> Weights:
    """Weights of an exported folder, or of a run: see `read` and `weights.read_run`."""
    return read(folder) if is_release(folder) else read_run(folder, log)


def read_facts(folder: Path) -> dict[str, Any]:
    """config.json of an exported folder, checked; raises InputError."""
    path = folder / CONFIG_NAME
    require(path.is_file(), f"{path} does not exist; expected a folder of `neurojax export`")
    require(
        path.stat().st_size <= MAX_CONFIG_BYTES,
        f"{path} has {path.stat().st_size:,} bytes, expected at most {MAX_CONFIG_BYTES:,}",
    )
    facts = read_json(path)
    found = [str(facts.get(name))[:40] for name in ("format", "schema")]
    require(
        facts.get("format") == FORMAT and facts.get("schema") == SCHEMA,
        f"{path} has format {found[0]!r}, schema {found[1]}; expected a folder of `neurojax "
        "export` of this version",
    )
    check_bin_size(facts.get("bin_size_s"), str(path))
    step, num_bins, digest = (facts.get(n) for n in ("step", "num_bins", "weights_sha256"))
    whole = type(step) is int and 0 <= step < 2**31 and _is_size(num_bins) and num_bins > 0
    digests = isinstance(digest, str) and _HEX.fullmatch(digest)
    config = facts.get("config")
    nested = [name for name in workdir.OF_WEIGHTS if name not in workdir.PLAIN]
    blocks = isinstance(config, dict) and all(isinstance(config.get(name), dict) for name in nested)
    require(
        whole and digests and blocks,
        f"{path} lacks step, num_bins, weights_sha256 or a block of the config; use another copy",
    )
    # Sources without units pad none; one of spikes that lacks the entry is refused where it is
    # opened.
    bucket, seed = config["data"].get("bucket_units", 1), config.get("seed")
    require(
        type(bucket) is int
        and 0 < bucket <= MAX_BUCKET
        and type(seed) is int
        and 0 <= seed < 2**32,
        f"{path}: data.bucket_units={str(bucket)[:40]} or seed={str(seed)[:40]} is no size or seed",
    )
    facts["dataset_fingerprint"] = str(facts.get("dataset_fingerprint"))[:64]
    facts["facts"] = _sizes(facts.get("facts"), path)
    _check_parts(config, folder)
    return facts


def _is_size(number: Any) -> bool:
    return type(number) is int and 0 <= number <= MAX_SIZE


def _sizes(record: Any, path: Path) -> dict[str, Any] | None:
    """`Facts.to_record` of unknown origin: sizes, names of classes and no more, or nothing."""
    if record is None:
        return None
    refused = f"{path}: facts={str(record)[:80]} are no sizes of data; use another copy"
    require(isinstance(record, dict) and set(record) <= _KNOWN_SIZES, refused)
    names = record.get("class_names", [])
    require(all(_is_size(n) for key, n in record.items() if key != "class_names"), refused)
    require(
        isinstance(names, list)
        and all(isinstance(name, str) and len(name) <= MAX_NAME for name in names)
        and len(names) in (0, record.get("num_classes")),
        refused,
    )
    return record


def _is_entry(value: Any) -> bool:
    """Whether a model may have it: a word, or a number that is no too large size."""
    if isinstance(value, int | float):
        return math.isfinite(value) and abs(value) <= MAX_SIZE
    return isinstance(value, str)


def _check_parts(config: Mapping[str, Any], folder: Path) -> None:
    """Refuses a model or objective of unknown origin whose entries are of wrong type or too large
    to be sizes."""
    where = folder / CONFIG_NAME
    for name, value in config["model"].items():
        require(
            all(map(_is_entry, value if isinstance(value, list) else [value])),
            f"{where}: model.{str(name)[:40]}={str(value)[:40]} is no entry of a model",
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
    deep = [config["model"].get(name, 1) for name in ("num_layers", "unroll")]
    require(
        all(number <= MAX_LAYERS for number in deep if isinstance(number, int)),
        f"{where}: model.num_layers or model.unroll is above {MAX_LAYERS:,}; use another copy",
    )


def _entries(folder: Path, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """sessions.json, in the order of the rows; older exports keep no digest of it, but each entry's
    first row."""
    path = folder / roster.ROSTER_NAME
    require(path.is_file(), f"{path} does not exist; use another copy")
    entries = roster.read(path)
    starts = np.cumsum([0, *(entry["num_units"] for entry in entries)])
    for entry, start in zip(entries, starts, strict=False):
        found = entry.get("first_row")
        require(
            found == start,
            f"{path}: rows of {entry['session_id']} start at {str(found)[:40]}, expected {start}; "
            "use another copy",
        )
    require(
        "sessions_sha256" not in facts or sha256_file(path) == facts["sessions_sha256"],
        f"{path} differs from what was exported (sha256); use another copy",
    )
    return entries


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
