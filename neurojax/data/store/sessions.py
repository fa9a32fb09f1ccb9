"""Counts in memory become a validated `Session`; `spike_trains` bins spike times first."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.session import Session
from neurojax.data.splits import random_split
from neurojax.data.store.session_fields import (
    columns,
    expected_rates,
    labels,
    seconds,
    signal,
    split_codes,
    trial_lengths,
    whole_counts,
)
from neurojax.data.store.session_rules import (
    check_bin_size,
    check_info,
    check_session_id,
    validate_session,
)

_INFO_DEFAULTS = {
    "subject_id": None,
    "species": None,
    "source": None,
    "licence": None,
    "revision": None,
    "units_dropped": {},
}


def from_counts(
    counts: np.ndarray,
    *,
    bin_size_s: float,
    session_id: str,
    trial_offsets: np.ndarray | None = None,
    trial_start_s: np.ndarray | None = None,
    region: np.ndarray | None = None,
    region_group: np.ndarray | None = None,
    region_source: np.ndarray | None = None,
    unit_id: np.ndarray | None = None,
    split: np.ndarray | None = None,
    split_seed: int = 0,
    conditions: Mapping[str, np.ndarray] | None = None,
    behaviour: Mapping[str, np.ndarray] | None = None,
    behaviour_valid: Mapping[str, np.ndarray] | None = None,
    unit_metadata: Mapping[str, np.ndarray] | None = None,
    true_rates: np.ndarray | None = None,
    info: Mapping[str, Any] | None = None,
) -> Session:
    """Builds a session from binned spikes.

    Args:
        counts: [trials, bins, N], or [total_bins, N] with `trial_offsets`. Whole numbers 0 to
            65535; floats are taken when every one is whole and refused otherwise, never rounded.
        bin_size_s: seconds.
        session_id: letters, digits, `.`, `_`, `-`.
        trial_offsets: integers [trials + 1]; trial k is counts[offsets[k]:offsets[k + 1]].
        trial_start_s: [trials], seconds on the session clock; by default without gaps.
        region, region_group, region_source, unit_id: text [N]; see `Session`.
        split: [trials], 0 train, 1 validation, 2 test; by default 70/10/20 by `split_seed`.
        conditions: name -> [trials].
        behaviour: name -> numbers [total_bins (, dims)], or [trials, bins, dims] of equal trials.
        behaviour_valid: name -> bool [total_bins]; by default where every dimension is finite.
        unit_metadata: name -> numeric [N].
        true_rates: expected spikes per bin, the shape of counts; synthetic recordings only.
        info: JSON-ready record: subject_id, species, source, licence, revision, ...

    Raises:
        InputError: anything that breaks these rules, with what came in and what was expected.
    """
    where = f"session {check_session_id(session_id)}"
    size_s = check_bin_size(bin_size_s, where)
    given = whole_counts(counts, where)
    num_bins = trial_lengths(given, trial_offsets, where)
    flat = np.ascontiguousarray(given.reshape(-1, given.shape[-1]))
    num_units, num_trials = flat.shape[1], len(num_bins)
    start_bin = np.cumsum(num_bins) - num_bins
    record = {**_INFO_DEFAULTS, **check_info(info or {}, where)}
    if split is None:
        split = random_split(num_trials, split_seed, where)
        record.update(split_source="random", split_seed=int(split_seed))
    unknown = np.full(num_units, "unknown")
    source = unknown if region is None else np.full(num_units, "file")
    regions = labels(region, "region", where, unknown)
    if trial_start_s is None:
        trial_start_s = start_bin * size_s
    signals = {name: signal(v, name, given, where) for name, v in (behaviour or {}).items()}
    valid = {name: np.isfinite(values).all(axis=1) for name, values in signals.items()}
    valid.update(columns(behaviour_valid, where))
    session = Session(
        session_id=session_id,
        counts=flat,
        bin_size_s=size_s,
        unit_id=labels(unit_id, "unit_id", where, np.arange(num_units).astype(str)),
        region=regions,
        region_group=labels(region_group, "region_group", where, regions),
        region_source=labels(region_source, "region_source", where, source),
        trial_start_bin=start_bin,
        trial_num_bins=num_bins,
        trial_start_s=seconds(trial_start_s, "trial_start_s", where),
        split=split_codes(split, where),
        conditions=columns(conditions, where),
        behaviour=signals,
        behaviour_valid=valid,
        unit_metadata=columns(unit_metadata, where),
        true_rates=None if true_rates is None else expected_rates(true_rates, given, where),
        info=record,
    )
    return validate_session(session)
