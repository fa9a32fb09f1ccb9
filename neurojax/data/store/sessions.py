"""Counts in memory become a validated `Session`; `spike_trains` bins spike times first."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.checks.findings import REGION_SPELLINGS
from neurojax.data.clocked_behaviour import behaviour_in_bins
from neurojax.data.observed import intervals_of
from neurojax.data.region_names import one_spelling
from neurojax.data.session import Session
from neurojax.data.splits import random_split
from neurojax.data.store.kept_trials import kept_trials
from neurojax.data.store.object_columns import end_to_end
from neurojax.data.store.session_fields import (
    columns,
    counts_and_observed,
    expected_rates,
    labels,
    plain_array,
    require_fine_starts,
    seconds,
    signal,
    split_codes,
    trial_lengths,
    without_padding,
)
from neurojax.data.store.session_rules import (
    check_bin_size,
    check_info,
    check_session_id,
    validate_session,
)
from neurojax.errors import require, whole_number

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
    observed: np.ndarray | None = None,
    max_gap_s: float | None = None,
) -> Session:
    """Builds a session from binned spikes.

    Args:
        counts: [trials, bins, N], a list of [bins, N], or [total_bins, N] with `trial_offsets`:
            whole numbers 0 to 65535; floats are taken when all are whole, else refused.
            NaN and masked entries were not observed; where all units of [trials, bins, N] are, to
            the end of a trial, they pad a shorter trial. A trial that is NaN throughout is left
            out with all that belongs to it, and counted in info["trials_dropped"].
        bin_size_s, session_id: seconds; letters, digits, `.`, `_`, `-`.
        trial_offsets: integers [trials + 1]; trial k is counts[offsets[k]:offsets[k + 1]].
        trial_start_s: [trials], seconds on the session clock; by default without gaps.
        region, region_group, region_source, unit_id: text [N]; see `Session`.
        split: [trials], 0 train, 1 validation, 2 test; by default 70/10/20 by `split_seed`.
        behaviour: name -> numbers [total_bins (, dims)], or [trials, bins, dims] of equal trials;
            or a tuple (times [samples], values [samples (, dims)]) in seconds on the session clock.
        behaviour_valid: name -> bool [total_bins]; by default where a dimension is finite.
        conditions, unit_metadata: name -> [trials], name -> numeric [N].
        true_rates: expected spikes per bin, the shape of counts; synthetic alone.
        info: JSON-ready record: subject_id, species, source, licence, revision, ...
        observed: bool, the shape of counts, or of its bins alone for all units together; False
            where a zero is not silence. By default all but NaN.
        max_gap_s: samples of behaviour further apart leave the bins between them unknown; see
            `readers.signals.usual_gap_s`.

    Columns may be those of pandas or polars; a missing region is "unknown", a missing number NaN, a
    missing text "". Labels of regions are brought to one spelling, see `data.region_names`.

    Raises:
        InputError: anything that breaks these rules, with what came in and what was expected.
    """
    where = f"session {check_session_id(session_id)}"
    size_s = check_bin_size(bin_size_s, where)
    given, rows, num_bins, seen, there = _laid_out(counts, trial_offsets, observed, where)
    flat = np.ascontiguousarray(given.reshape(-1, given.shape[-1])[rows])
    record = {**_INFO_DEFAULTS, **check_info({} if info is None else info, where)}
    flat = flat if seen is None else _without_unseen(flat, seen, record)
    trials = _trials(num_bins, there, size_s, trial_start_s, split, split_seed, record, where)
    signals = _in_bins(behaviour, trials, size_s, where, max_gap_s, record)
    signals = {name: signal(v, name, given, where, rows) for name, v in signals.items()}
    finite = {name: np.isfinite(values).any(axis=1) for name, values in signals.items()}
    session = Session(
        session_id=session_id,
        counts=flat,
        bin_size_s=size_s,
        **_units(flat.shape[1], unit_id, (region, region_group, region_source), record, where),
        **trials,
        conditions=columns(conditions, "conditions", where),
        behaviour=signals,
        behaviour_valid=finite | columns(behaviour_valid, "behaviour_valid", where),
        unit_metadata=columns(unit_metadata, "unit_metadata", where),
        true_rates=None if true_rates is None else expected_rates(true_rates, given, where)[rows],
        info=record,
        validity=intervals_of(seen),
    )
    session = validate_session(session)
    return session if there.all() else kept_trials(session, there, "never observed")


def _trials(
    num_bins: np.ndarray,
    there: np.ndarray,
    size_s: float,
    trial_start_s: Any,
    split: Any,
    split_seed: Any,
    record: dict[str, Any],
    where: str,
) -> dict[str, np.ndarray]:
    """Where trials lie, and their split; tells the record of one that is drawn, among the trials
    that are `there`, bool [trials]."""
    if split is None:
        seed = whole_number(split_seed, f"{where}: split_seed", 0)
        split = np.zeros(len(num_bins), np.int8)
        split[there] = random_split(int(there.sum()), seed, where)
        record.update(split_source="random", split_seed=seed)
    start_bin = np.cumsum(num_bins) - num_bins
    starts_s = start_bin * size_s
    if trial_start_s is not None:
        starts_s = seconds(trial_start_s, "trial_start_s", where)
        require_fine_starts(trial_start_s, size_s, where)
    return {
        "trial_start_bin": start_bin,
        "trial_num_bins": num_bins,
        "trial_start_s": starts_s,
        "split": split_codes(split, where),
    }


def _units(
    num_units: int,
    unit_id: Any,
    region_columns: tuple[Any, Any, Any],
    record: dict[str, Any],
    where: str,
) -> dict[str, np.ndarray]:
    """Names of units, and what is known of their regions."""
    region, group, given_source = region_columns
    unknown = np.full(num_units, "unknown")
    regions = spelled_regions(region, "region", where, unknown, record)
    source = unknown if region is None else np.full(num_units, "file")
    return {
        "unit_id": labels(unit_id, "unit_id", where, np.arange(num_units).astype(str)),
        "region": regions,
        "region_group": spelled_regions(group, "region_group", where, regions, record),
        "region_source": labels(given_source, "region_source", where, source),
    }


def spelled_regions(
    values: Any, name: str, where: str, default: np.ndarray, record: dict[str, Any]
) -> np.ndarray:
    """Labels of regions in one spelling; tells the record which were spelled otherwise."""
    if values is None:
        return default
    given = labels(values, name, where, default)
    if given.ndim != 1:
        return given  # refused by the rules of a session
    regions, mapping = one_spelling(given, atlas=True)
    if mapping:
        record["region_spellings"] = {**record.get("region_spellings", {}), **mapping}
        _add_finding(record, REGION_SPELLINGS, int((regions != given).sum()))
    return regions


def _in_bins(
    behaviour: Any,
    trials: dict[str, np.ndarray],
    size_s: float,
    where: str,
    max_gap_s: float | None,
    record: dict[str, Any],
) -> dict[str, Any]:
    """Behaviour by name, that on its own clock in bins; tells the record what was odd."""
    odd: dict[str, int] = {}
    starts_s, num_bins = trials["trial_start_s"], trials["trial_num_bins"]
    made = behaviour_in_bins(
        behaviour, starts_s, num_bins, size_s, where, max_gap_s=max_gap_s, findings=odd
    )
    for name, number in odd.items():
        _add_finding(record, name, number)
    return made


def _add_finding(record: dict[str, Any], name: str, number: int) -> None:
    known = record.get("findings")
    known = known if isinstance(known, dict) else {}
    record["findings"] = {**known, name: known.get(name, 0) + number}


def _laid_out(counts: Any, trial_offsets: Any, observed: Any, where: str):
    """(counts as given, bool [bins given] without those that pad a trial, bins of each trial,
    entries that were observed, bool [total_bins, N], or None, and trials that have a count, bool
    [trials])."""
    if trial_offsets is None and (listed := end_to_end(counts)) is not None:
        counts, lengths = listed
        trial_offsets = np.concatenate([[0], np.cumsum(lengths)])
        observed = observed if (seen := end_to_end(observed)) is None else seen[0]
    given, not_nan = counts_and_observed(counts, where)
    num_bins = trial_lengths(given, trial_offsets, where)
    seen = _observed(observed, given, not_nan, where)
    there = np.ones(len(num_bins), bool)
    if not_nan is None:
        return given, slice(None), num_bins, seen, there
    if given.ndim == 2:
        there = np.add.reduceat(not_nan.any(1), np.cumsum(num_bins) - num_bins) > 0
        return given, slice(None), num_bins, seen, there
    rows, num_bins = without_padding(not_nan)
    there = num_bins > 0
    rows[~there] = True  # such trials leave with all that belongs to them
    return given, rows.ravel(), rows.sum(1), seen[rows.ravel()], there


def _without_unseen(counts: np.ndarray, seen: np.ndarray, record: dict[str, Any]) -> np.ndarray:
    """Counts [total_bins, N] with zeros where `seen` is False; tells the record."""
    if number := int(counts[~seen].sum(dtype=np.int64)):
        dropped = {"outside of the observed time": number}
        record["spikes_dropped"] = {**record.get("spikes_dropped", {}), **dropped}
    return np.where(seen, counts, 0).astype(counts.dtype)


def _observed(
    observed: Any, counts: np.ndarray, not_nan: np.ndarray | None, where: str
) -> np.ndarray | None:
    """Entries that were observed, bool [total_bins, N]; None where all were."""
    given = None
    if observed is not None:
        given = plain_array(observed, "observed", where)
        fits = given.shape in (counts.shape, counts.shape[:-1])
        require(
            given.dtype.kind in "biu" and fits and np.isin(given, (0, 1)).all(),
            f"{where}: observed is {given.dtype} {list(given.shape)}, expected true or false of "
            f"the shape of counts {list(counts.shape)}, or of its bins {list(counts.shape[:-1])}",
        )
        given = given.astype(bool)
        given = given if given.ndim == counts.ndim else given[..., None]
        given = np.broadcast_to(given, counts.shape)
        require(given.any(), f"{where}: observed is false throughout; nothing was observed")
    masks = [mask for mask in (given, not_nan) if mask is not None]
    if not masks:
        return None
    return np.logical_and.reduce(masks).reshape(-1, counts.shape[-1])
