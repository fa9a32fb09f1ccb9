"""Bring your own signals: real values in memory (EMG, EEG, fMRI) become a validated `Session`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.binning import whole_numbers
from neurojax.data.observed import intervals_of
from neurojax.data.row_blocks import CheckedMap
from neurojax.data.session import Session
from neurojax.data.store.observation_rules import check_finite
from neurojax.data.store.session_fields import columns, labels, plain_array, seconds, split_codes
from neurojax.data.store.session_rules import (
    check_info,
    check_session_id,
    one_number,
    validate_session,
)
from neurojax.data.store.sessions import spelled_regions
from neurojax.errors import require


def from_values(
    values: np.ndarray,
    *,
    sampling_hz: float,
    unit: str,
    session_id: str,
    trial_start_bin: np.ndarray,
    trial_num_bins: np.ndarray | int,
    split: np.ndarray | int,
    trial_start_s: np.ndarray | None = None,
    channel: np.ndarray | None = None,
    region: np.ndarray | None = None,
    conditions: Mapping[str, np.ndarray] | None = None,
    info: Mapping[str, Any] | None = None,
) -> Session:
    """Builds a session from samples of several channels; each sample is stored once.

    Args:
        values: numbers [samples, C], NaN or masked where a channel was not observed; kept as
            float16 where that holds every one of them exactly (an 8-bit converter), else float32.
        sampling_hz: samples per second.
        unit: of the values, "uV", or "a.u." where it is not known.
        session_id: letters, digits, `.`, `_`, `-`.
        trial_start_bin: whole numbers [trials], first sample of each window, rising; windows may
            overlap.
        trial_num_bins: samples of each window, [trials] or one number for all.
        split: 0 train, 1 validation, 2 test; one for the recording (a person), or [trials]. It is
            never drawn: windows that overlap must not be divided at random.
        trial_start_s: [trials], seconds; by default the place of the first sample.
        channel: names [C]; by default "0", "1", ...
        region: text [C], where each channel lies.
        conditions: name -> [trials].
        info: JSON-ready record: subject_id, species, source, licence, ...

    Raises:
        InputError: anything that breaks these rules, with what came in and what was expected.
    """
    where = f"session {check_session_id(session_id)}"
    recorded, seen = _values(values, where)
    rate_hz, shown = one_number(sampling_hz), " ".join(str(sampling_hz).split())[:60]
    require(0 < rate_hz < np.inf, f"{where}: sampling_hz is {shown}, expected a number above 0")
    starts = _whole(trial_start_bin, "trial_start_bin", where)
    lengths = _whole(trial_num_bins, "trial_num_bins", where)
    codes = split_codes(split, where)
    num_channels = recorded.shape[1]
    unknown = np.full(num_channels, "unknown")
    record = check_info({} if info is None else info, where)
    regions = spelled_regions(region, "region", where, unknown, record)
    session = Session(
        session_id=session_id,
        counts=None,
        bin_size_s=1 / rate_hz,
        unit_id=labels(channel, "channel", where, np.arange(num_channels).astype(str)),
        region=regions,
        region_group=regions,
        region_source=unknown if region is None else np.full(num_channels, "file"),
        trial_start_bin=starts,
        trial_num_bins=np.full(len(starts), lengths) if lengths.ndim == 0 else lengths,
        trial_start_s=(
            starts / rate_hz
            if trial_start_s is None
            else seconds(trial_start_s, "trial_start_s", where)
        ),
        split=np.full(len(starts), codes) if codes.ndim == 0 else codes,
        conditions=columns(conditions, "conditions", where),
        info=record,
        values=recorded,
        sampling_hz=rate_hz,
        unit_of_values=unit,
        validity=intervals_of(seen),
    )
    return validate_session(session)


def _values(values: Any, where: str) -> tuple[np.ndarray, np.ndarray | None]:
    """(float16 or float32 [samples, C], C order: the smaller one that loses nothing, 0 where NaN;
    what was observed, bool of that shape, None where all was)."""
    # Of a reader, which knows them already. Any other map may hold NaN, and may be written to.
    if isinstance(values, CheckedMap):
        check_finite(values, where)
        return values, None
    given = plain_array(values, "values", where)
    require(
        given.ndim == 2 and given.size != 0 and given.dtype.kind in "iuf",
        f"{where}: values is {given.dtype} {list(given.shape)}, expected numbers [samples, "
        "channels] with at least one of each",
    )
    seen = None
    if given.dtype.kind == "f" and (missing := np.isnan(given)).any():
        require(not missing.all(), f"{where}: values is NaN throughout; nothing was observed")
        given, seen = np.where(missing, given.dtype.type(0), given), ~missing
    check_finite(given, where)
    with np.errstate(over="ignore"):
        half = given.astype(np.float16)
        if np.array_equal(half, given):
            return np.ascontiguousarray(half), seen
        single = given.astype(np.float32)
    check_finite(single, f"{where}, as float32")
    return np.ascontiguousarray(single), seen


def _whole(numbers: Any, name: str, where: str) -> np.ndarray:
    """Whole numbers [n], or one, as int64."""
    given = plain_array(numbers, name, where)
    expected = "whole numbers, one a window"
    require(
        given.ndim <= 1 and (name != "trial_start_bin" or given.ndim == 1),
        f"{where}: {name} is {given.dtype} {list(given.shape)}, expected {expected}",
    )
    return whole_numbers(given, f"{where}: {name}", expected).astype(np.int64)
