"""The session of what a file's arrays say: bins merged, behaviour in bins, windows of one split."""

from typing import Any

import numpy as np

from neurojax.data.binning import merge_bins, merge_means, merge_valid
from neurojax.data.checks.findings import PART_LEFT_OUT
from neurojax.data.readers.array_bins import Binned
from neurojax.data.readers.never_observed import kept_of
from neurojax.data.readers.own_clock import Timed, in_bins
from neurojax.data.readers.roles import Roles
from neurojax.data.readers.signals import FILL_VALUES, bin_starts, without_fill
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.readers.trials import session_of
from neurojax.data.session import Session
from neurojax.data.store.session_fields import signal, split_codes
from neurojax.errors import InputError, require


def session_of_bins(
    binned: Binned,
    roles: Roles,
    timed: Timed,
    stored_split: np.ndarray | None,
    units: dict[str, Any],
    info: dict[str, Any],
    spec: ReadSpec,
    session_id: str,
    where: str,
) -> Session:
    """Builds the session.

    Args:
        binned: spikes per bin and where trials lie.
        roles: other arrays of the file, in its own bins.
        timed: behaviour with time stamps of its own.
        stored_split: [trials], or of every bin; None where the file has none.
        units: `region`, `unit_id` and their like, as in `from_counts`.
        info: what is known of the source.
        spec: options.
        session_id: name.
        where: for messages.

    Raises:
        InputError: the parts do not fit together.
    """
    info = {
        **info,
        "bins_merged": binned.factor,
        "trial_start_s_source": binned.starts_source,
    }
    of_behaviour: dict[str, int] = {}
    fields = _merged(binned, roles, info, of_behaviour, where)
    counts, lengths, starts = fields.pop("counts"), fields.pop("lengths"), binned.starts_s
    bins = bin_starts(starts, lengths, binned.bin_size_s)
    fields["behaviour"] |= in_bins(timed, bins, binned.bin_size_s, spec, of_behaviour, where)
    left = {f"{PART_LEFT_OUT} ({reason})": 1 for reason in roles.left_out}
    told = {
        "findings": binned.findings | left | of_behaviour,
        "spikes_dropped": binned.spikes_dropped,
    }
    for key, numbers in told.items():
        if some := {name: number for name, number in numbers.items() if number}:
            info[key] = {**info.get(key, {}), **some}
    fields |= {"conditions": roles.conditions, "unit_metadata": roles.unit_metadata, **units}
    stored_split, one_split = _split_of_trials(stored_split, binned, spec, where)
    known = np.ones(len(lengths), bool) if binned.keep is None else binned.keep
    short = np.zeros(len(lengths), bool) if binned.short is None else known & binned.short
    gone = {"no event": ~known, "shorter than one bin": short}
    known = known & ~short
    gone["reach into another split"] = known & ~one_split
    if not (known & one_split).all():
        told = {reason: int(which.sum()) for reason, which in gone.items() if which.any()}
        info["trials_dropped"] = {**info.get("trials_dropped", {}), **told}
        every = np.ones(counts.shape[1], bool)
        counts, lengths, starts, stored_split, fields = kept_of(
            counts, lengths, starts, stored_split, fields, known & one_split, every
        )
    return session_of(
        counts,
        lengths,
        starts,
        spec,
        where,
        info=info,
        stored_split=stored_split,
        session_id=session_id,
        bin_size_s=binned.bin_size_s,
        **fields,
    )


def _split_of_trials(
    stored: np.ndarray | None, binned: Binned, spec: ReadSpec, where: str
) -> tuple[np.ndarray | None, np.ndarray]:
    """The stored split of each trial, and which trials lie in one split, bool [trials]: a split of
    every bin (-1 or NaN: none) leaves out those that reach into another."""
    num_trials, axes = len(binned.lengths), binned.axes
    every = np.ones(num_trials, bool)
    per_bin = stored is not None and stored.size == axes.total_bins != num_trials
    if not per_bin or spec.split != "file" or stored.dtype.kind not in "iuf":
        return stored, every
    codes = np.where(np.isnan(flat := stored.ravel().astype(np.float64)), -1, flat)[binned.rows]
    split_codes(codes[codes != -1], where)
    first = np.cumsum(binned.lengths) - binned.lengths
    lowest, highest = np.minimum.reduceat(codes, first), np.maximum.reduceat(codes, first)
    one_split = (lowest == highest) & (lowest >= 0)
    require(one_split.any(), f"{where}: no trial or window lies in one split; cut shorter windows")
    return lowest.astype(np.int64), one_split


def _merged(
    binned: Binned, roles: Roles, info: dict[str, Any], odd: dict[str, int], where: str
) -> dict[str, Any]:
    """Counts, behaviour, bins of each trial and observed entries, in the final bins; `info` is told
    of bins left over, `odd` of fill values."""
    lengths, factor, axes, rows = binned.lengths, binned.factor, binned.axes, binned.rows
    shape = (axes.total_bins, axes.num_units)
    if axes.trial_bins is not None:
        shape = (axes.num_trials, axes.trial_bins, axes.num_units)
    grid = np.broadcast_to(np.uint8(0), shape)  # what the file's arrays are laid out as
    try:
        counts, merged_lengths = merge_bins(binned.counts, lengths, factor)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    info["bins_dropped"] = binned.bins_outside + len(binned.counts) - len(counts) * factor
    behaviour = {}
    for name, values in roles.behaviour.items():
        known, number = without_fill(signal(values, name, grid, where).copy())
        behaviour[name] = merge_means(known[rows], lengths, factor)
        odd[FILL_VALUES] = odd.get(FILL_VALUES, 0) + number
    valid = {
        name: merge_valid(mask.ravel()[rows], lengths, factor)
        & np.isfinite(behaviour[name]).any(axis=1)
        for name, mask in roles.behaviour_valid.items()
    }
    seen = binned.observed
    return {
        "counts": counts,
        "lengths": merged_lengths,
        "behaviour": behaviour,
        "behaviour_valid": valid,
        "observed": None if seen is None else merge_valid(seen, lengths, factor),
    }
