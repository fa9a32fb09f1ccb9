"""Fitted baselines on disk: a JSON of scores and, beside it, what paired comparisons need of the
predictions; and, where the stack is mixed with a model, what the stack predicts.

The cache lies in <root>/.baselines (or <folder>/baselines for data without a root, or a root that
cannot be written), two or three files a session. An entry carries the name of what it is of (a
digest of the session's content, the protocol and the settings) and a digest of itself: what is not
whole, was edited or lies under another name is fitted again.
"""

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.errors import InputError, require
from neurojax.files import read_json, sha256_file, write_bytes, write_json

MAX_EXCESS_BYTES = 256 * 2**20  # uncompressed; larger ones are not kept
MAX_STACK_BYTES = 2**30  # of a session's log-rates, two bytes each; larger ones are not kept
_STACK = ".stack.npz"


# What reading an entry that is absent, cut short or forged may raise.
_NOT_WHOLE = (
    *(InputError, OSError, EOFError, KeyError, TypeError, ValueError, AttributeError),
    *(RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error),
)


class SessionBaselines(NamedTuple):
    """Attributes:
    scores: baseline -> task -> block.
    unit_scores: baseline -> float64 [N], co-smoothing bits/spike, NaN where not scored.
    excess: baseline -> task -> float32 [K, N], see scoring.excess_nll; NaN where a task has none.
    stack: what the stack predicts; None where it was not fitted, or is too large to keep.
    """

    scores: dict[str, Any]
    unit_scores: dict[str, np.ndarray]
    excess: dict[str, dict[str, np.ndarray]]
    stack: "StackRates | None" = None


class StackRates(NamedTuple):
    """Log-rates of the stack of one session, in two bytes each (a rate to 0.4 %), so that they are
    the same whether fitted now or read.

    Attributes:
        log_rates: "<task>_<split>" -> float16 [K, T, N], NaN where not scored; None where they lie
            on disk.
        path: the file they lie in, or None.
    """

    log_rates: Mapping[str, np.ndarray] | None
    path: Path | None = None

    @classmethod
    def of(cls, fits: Mapping[str, Any]) -> "StackRates":
        """Of task -> the stack's fit, with rates of all units."""
        with np.errstate(divide="ignore"):
            return cls(
                {
                    f"{task}_{split}": np.log(rates).astype(np.float16)
                    for task, fit in fits.items()
                    for split, rates in fit.rates.items()
                }
            )

    def read(self) -> dict[str, dict[int, np.ndarray]]:
        """task -> split -> float32 [K, T, N], expected spikes per bin, NaN where not scored."""
        kept = self.log_rates
        if kept is None:
            with np.load(self.path, allow_pickle=False) as file:
                kept = {name: file[name] for name in file.files}
        found: dict[str, dict[int, np.ndarray]] = {}
        for name, values in kept.items():
            task, _, split = name.rpartition("_")
            found.setdefault(task, {})[int(split)] = np.exp(values.astype(np.float32))
        return found


def folder_of(root: str, folder: Path | None) -> Path | None:
    """The first of the two places that can be a folder; None where neither can."""
    candidates = ([Path(root) / ".baselines"] if root else []) + (
        [Path(folder) / "baselines"] if folder else []
    )
    for candidate in candidates:
        try:
            candidate.mkdir(parents=True, exist_ok=True)
            return candidate
        except OSError:
            continue
    return None


def is_too_large(session: Session, tasks: Sequence[str], names: Sequence[str]) -> bool:
    """Whether an entry of these tasks and baselines would not be kept."""
    return math.prod(_shape(session, tasks, names)) * 4 > MAX_EXCESS_BYTES


def write(
    path: Path,
    session: Session,
    tasks: Sequence[str],
    found: SessionBaselines,
    log: Callable[[str], Any] = print,
) -> None:
    """Writes <path>.npz, then <path>.json, each atomically; says so where they cannot be
    written."""
    names = tuple(found.scores)
    if is_too_large(session, tasks, names):
        log(
            f"baselines of {session.session_id} are not kept: over {MAX_EXCESS_BYTES >> 20} MiB; "
            "fit fewer at once"
        )
        return
    excess = np.full(_shape(session, tasks, names), np.nan, "<f4")
    for row, name in enumerate(names):
        for column, task in enumerate(tasks):
            if task in found.excess[name]:
                excess[row, column] = found.excess[name][task]
    content = io.BytesIO()
    np.savez_compressed(content, excess=excess)
    units = {
        name: [value if np.isfinite(value) else None for value in values.tolist()]
        for name, values in found.unit_scores.items()
    }
    of_excess = hashlib.sha256(content.getvalue()).hexdigest()
    entry = {"of": path.name, "scores": found.scores, "unit_scores": units, "npz_sha256": of_excess}
    try:
        if found.stack is not None:
            log_rates = io.BytesIO()
            np.savez_compressed(log_rates, **found.stack.log_rates)
            write_bytes(path.with_suffix(_STACK), log_rates.getvalue())
            entry["stack_sha256"] = hashlib.sha256(log_rates.getvalue()).hexdigest()
        write_bytes(path.with_suffix(".npz"), content.getvalue())
        write_json(path.with_suffix(".json"), entry | {"sha256": _sha256(entry)})
    except OSError as error:
        log(
            f"the baselines' cache {path} was not written ({error.strerror}); they will be "
            "fitted again next time"
        )


def read(
    path: Path, session: Session, tasks: Sequence[str], names: Sequence[str]
) -> SessionBaselines | None:
    """A cached entry; None when it is absent, not whole, edited, or of something else."""
    if not path.with_suffix(".json").is_file():
        return None
    try:
        content = read_json(path.with_suffix(".json"))
        of_entry = content.pop("sha256")
        require(content["of"] == path.name and of_entry == _sha256(content), "another entry")
        of_excess = sha256_file(path.with_suffix(".npz"))
        require(content["npz_sha256"] == of_excess, "another array")
        units = {name: np.asarray(values, float) for name, values in content["unit_scores"].items()}
        scores = {name: dict(content["scores"][name]) for name in names}
        array = _read_excess(path.with_suffix(".npz"), _shape(session, tasks, names))
        stack = None
        if "stack_sha256" in content:
            kept = sha256_file(path.with_suffix(_STACK))
            require(content["stack_sha256"] == kept, "other log-rates")
            _require_log_rates(path.with_suffix(_STACK), session, tasks)
            stack = StackRates(None, path.with_suffix(_STACK))
    except _NOT_WHOLE:
        return None
    if set(units) != set(names) or any(
        values.shape != (session.num_units,) for values in units.values()
    ):
        return None
    excess = {name: dict(zip(tasks, array[row], strict=True)) for row, name in enumerate(names)}
    return SessionBaselines(scores, units, excess, stack)


def _sha256(entry: Mapping[str, Any]) -> str:
    """Digest of an entry, as JSON has it."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def _shape(session: Session, tasks: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    return len(names), len(tasks), len(session.trials_of(TEST)), session.num_units


def _require_log_rates(path: Path, session: Session, tasks: Sequence[str]) -> None:
    """Raises one of _NOT_WHOLE unless a file holds log-rates of these trials and units, by the
    headers of its arrays: what reads them takes the memory that these claim."""
    longest, size = int(session.trial_num_bins.max()), 0
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            task, _, split = member.removesuffix(".npy").rpartition("_")
            require(task in tasks and split in ("1", "2"), "rates of something else")
            with archive.open(member) as file:
                shape, is_fortran, dtype = _header(file)
            trials, num_bins, units = shape
            fits = (trials, units) == (len(session.trials_of(int(split))), session.num_units)
            require(fits and num_bins <= longest and not is_fortran, "rates of another session")
            require(dtype == np.dtype("<f2"), "another type")
            size += math.prod(shape) * dtype.itemsize
    require(size <= MAX_STACK_BYTES, "more than is ever kept")


def _header(file) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether columns come first, type) of an array in a file."""
    require(np.lib.format.read_magic(file) == (1, 0), "another version of the format")
    return np.lib.format.read_array_header_1_0(file)


def _read_excess(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The array of a file; raises one of _NOT_WHOLE unless it has the shape expected: the header is
    read before memory is taken."""
    size = math.prod(shape) * 4
    with zipfile.ZipFile(path) as archive, archive.open("excess.npy") as file:
        require(_header(file) == (shape, False, np.dtype("<f4")), "another array")
        content = file.read(size + 1)
    require(len(content) == size, "another length")
    return np.frombuffer(content, "<f4").reshape(shape) if size else np.zeros(shape, "<f4")
