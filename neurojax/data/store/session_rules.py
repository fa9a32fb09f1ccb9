"""What every session must fulfil, whoever built it: a reader, a notebook, a folder on disk."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.session import SPLIT_NAMES, Session
from neurojax.data.store.array_files import check_array_name
from neurojax.data.store.observation_rules import (
    check_recorded,
    check_spikes,
    check_validity,
    check_windows,
)
from neurojax.errors import InputError, require

MAX_BIN_SIZE_S = 5.0  # a larger number is milliseconds
UNIT_COLUMNS = ("unit_id", "region", "region_group", "region_source")
TRIAL_COLUMNS = ("start_bin", "num_bins", "split", "start_s")
# Keys of meta.json that the format writes itself.
_RESERVED_SINCE_1 = (
    *("schema", "session_id", "bin_size_s", "num_units", "num_trials", "num_bins"),
    *("arrays", "sampled_sha256", "content_sha256"),
)
RESERVED_SINCE_2 = frozenset(("observation", "sampling_hz", "unit", "observed_time"))
RESERVED_INFO = RESERVED_SINCE_2.union(_RESERVED_SINCE_1)
# It becomes a folder's name: no separators, and no dot or dash in front.
_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MAX_TEXT = 256
# Control characters reach terminals, halves of surrogate pairs end every encoder; blanks may stay.
_CONTROLS = ((0x01, 0x08), (0x0B, 0x0C), (0x0E, 0x1F), (0x7F, 0x9F), (0xD800, 0xDFFF))


def check_session_id(session_id: Any) -> str:
    """Returns the name; raises InputError unless it is safe as a folder name."""
    require(
        isinstance(session_id, str) and _SESSION_ID.fullmatch(session_id),
        f"session id {str(session_id)[:150]!r}; expected 1 to 128 letters, digits, '.', '_' or "
        "'-', the first one a letter or digit; rename it",
    )
    return session_id


def one_number(value: Any) -> float:
    """A single number of whatever type as float; NaN for anything else."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return math.nan
    is_number = array.size == 1 and array.dtype.kind in "iuf"
    return float(array.reshape(())) if is_number else math.nan


def check_bin_size(bin_size_s: Any, where: str) -> float:
    """Returns seconds as float; raises InputError unless 0 < bin_size_s <= 5."""
    size = one_number(bin_size_s)
    shown = " ".join(str(bin_size_s).split())[:60]
    require(
        0 < size <= MAX_BIN_SIZE_S,
        f"{where}: bin_size_s is {shown}, expected seconds above 0 and at most {MAX_BIN_SIZE_S:g} "
        "(milliseconds / 1000)",
    )
    return size


def check_info(info: Any, where: str) -> dict[str, Any]:
    """Returns `info` as JSON gives it back; raises InputError if it cannot, or a key is taken."""
    try:
        # There and back: what is kept in memory is what a reader of meta.json will get.
        text = json.dumps(dict(info), allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{where}: info holds half of a surrogate pair, which is no text; decode it again from "
            "its bytes, with errors='replace'"
        ) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{where}: info is not JSON ({error}); keep text, numbers (no NaN), lists and dicts"
        ) from None
    plain = json.loads(text)
    if taken := RESERVED_INFO & plain.keys():
        raise InputError(f"{where}: info uses the reserved keys {sorted(taken)}; rename them")
    return plain


def validate_session(session: Session) -> Session:
    """Returns the session unchanged.

    Raises:
        InputError: a shape, dtype or value breaks the description in `data.session.Session`.
    """
    require(
        isinstance(session, Session),
        f"{type(session).__name__} is no Session; build one with Session.from_counts, "
        "from_spike_times or from_values",
    )
    where = f"session {check_session_id(session.session_id)}"
    for name in ("conditions", "behaviour", "behaviour_valid", "unit_metadata", "info"):
        came = type(getattr(session, name)).__name__
        require(
            isinstance(getattr(session, name), Mapping),
            f"{where}: {name} is {came}, expected name -> values",
        )
    require(
        isinstance(session.trial_num_bins, np.ndarray) and session.trial_num_bins.ndim == 1,
        f"{where}: trial_num_bins is {type(session.trial_num_bins).__name__}, expected one whole "
        "number a trial",
    )
    check_bin_size(session.bin_size_s, where)
    # First: the checks below size everything by what was recorded.
    check_recorded(session, where)
    _check_units(session, where)
    _check_trials(session, where)
    check_spikes(session, where)
    check_validity(session, where)
    _check_behaviour(session, where)
    check_info(session.info, where)
    return session


def _check_units(session: Session, where: str) -> None:
    num_units = session.num_units
    for name in UNIT_COLUMNS:
        _expect_array(getattr(session, name), name, "U", (num_units,), "one label a unit", where)
    # A unit is known by its name: weights of one would otherwise go to another.
    num_names = len(set(session.unit_id.tolist()))
    require(
        num_names == num_units,
        f"{where}: unit_id holds {num_names} names for {num_units} units; make them unique",
    )
    for name, values in session.unit_metadata.items():
        _check_column_name(name, UNIT_COLUMNS, where)
        _expect_array(values, name, "biuf", (num_units,), "one number a unit", where)


def _check_trials(session: Session, where: str) -> None:
    num_trials, total_bins = session.num_trials, len(session.recorded)
    require(num_trials != 0, f"{where}: no trials; expected at least one")
    for name in ("trial_start_bin", "trial_num_bins"):
        _expect_array(
            getattr(session, name), name, "i", (num_trials,), "one whole number a trial", where
        )
    start, length = session.trial_start_bin, session.trial_num_bins
    # Compared without sums: start + length of a damaged file may overflow.
    require(
        not np.any(length < 1)
        and not np.any(length > total_bins)
        and not np.any(start < 0)
        and not np.any(start > total_bins - length),
        f"{where}: a trial is empty or leaves the {total_bins} bins of the recording; check the "
        "trial offsets",
    )
    _expect_array(
        session.trial_start_s, "trial_start_s", "f", (num_trials,), "seconds, one a trial", where
    )
    require(
        np.isfinite(session.trial_start_s).all(),
        f"{where}: trial_start_s holds NaN or infinity; give every trial a start in seconds",
    )
    _expect_array(session.split, "split", "i", (num_trials,), "0, 1 or 2 for every trial", where)
    if unknown := sorted(set(session.split.tolist()) - set(range(len(SPLIT_NAMES)))):
        raise InputError(
            f"{where}: split holds {unknown[:5]}, expected 0 train, 1 validation, 2 test"
        )
    check_windows(session, where)
    for name, values in session.conditions.items():
        _check_column_name(name, TRIAL_COLUMNS, where)
        _expect_array(values, name, "biufU", (num_trials,), "one value a trial", where)


def _check_behaviour(session: Session, where: str) -> None:
    total_bins = len(session.recorded)
    require(
        session.behaviour.keys() == session.behaviour_valid.keys(),
        f"{where}: behaviour has {sorted(session.behaviour)} but behaviour_valid "
        f"{sorted(session.behaviour_valid)}; expected the same names",
    )
    for name, values in session.behaviour.items():
        _check_column_name(name, (), where)
        require(
            not name.endswith("_valid"),
            f"{where}: behaviour {name!r} ends in '_valid', which marks masks; rename it",
        )
        require(
            values.ndim == 2
            and len(values) == total_bins
            and values.shape[1] != 0
            and values.dtype == np.float32,
            f"{where}: behaviour {name!r} is {values.dtype} {list(values.shape)}, expected "
            f"float32 [{total_bins}, dims]",
        )
        _expect_array(
            session.behaviour_valid[name],
            f"{name}_valid",
            "b",
            (total_bins,),
            "True or False for every bin",
            where,
        )
    rates = session.true_rates
    if rates is None:
        return
    shape = session.recorded.shape
    _expect_array(rates, "true_rates", "f", shape, "expected spikes per bin", where)
    require(
        rates.dtype == np.float32,
        f"{where}: true_rates is {rates.dtype} {list(rates.shape)}, expected float32 {list(shape)}",
    )


def _check_column_name(name: str, taken: tuple[str, ...], where: str) -> None:
    check_array_name(name, where)
    require(
        name not in taken,
        f"{where}: the name {name!r} is used by the format itself; rename the column",
    )


def _expect_array(
    values: Any, name: str, kinds: str, shape: tuple[int, ...], meaning: str, where: str
) -> None:
    came = (
        f"{values.dtype} {list(values.shape)}"
        if isinstance(values, np.ndarray)
        else type(values).__name__
    )
    require(
        isinstance(values, np.ndarray) and values.shape == shape and values.dtype.kind in kinds,
        f"{where}: {name} is {came}, expected {list(shape)}: {meaning}",
    )
    require(
        # Every label takes the room of the longest, 4 bytes a character: one could fill memory.
        values.dtype.kind != "U" or values.dtype.itemsize <= 4 * _MAX_TEXT,
        f"{where}: {name} holds text of {values.dtype.itemsize // 4} characters, expected at most "
        f"{_MAX_TEXT}",
    )
    if values.dtype.kind == "U":
        _require_printable(values, name, where)


def _require_printable(texts: np.ndarray, name: str, where: str) -> None:
    """Raises InputError for text [n] with control characters or halves of surrogate pairs."""
    if not texts.size or not texts.dtype.itemsize:
        return
    native = np.ascontiguousarray(texts.astype(texts.dtype.newbyteorder("="), copy=False))
    codes = native.view(np.uint32).reshape(len(texts), -1)  # [n, characters], 0 past the end
    bad = np.zeros(len(texts), bool)
    for first, last in _CONTROLS:
        bad |= ((codes >= first) & (codes <= last)).any(axis=1)
    if bad.any():
        raise InputError(
            f"{where}: {name} holds {str(native[bad][0])[:40]!r}, with characters that are no text "
            f"({int(bad.sum())} of {len(bad)}); clean these labels before converting"
        )
