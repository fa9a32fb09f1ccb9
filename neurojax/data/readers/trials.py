"""Where the trials of a recording lie: stored, cut around events, or cut into windows; which of
them can be used; and their split."""

from typing import Any

import numpy as np

from neurojax.data.readers.never_observed import without_unobserved
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, Session
from neurojax.data.splits import block_split, later_trials_within
from neurojax.data.store.kept_trials import kept_trials
from neurojax.data.store.session_fields import seconds, split_codes, trial_lengths
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError, require

_WHOLE = 1e-6  # tolerance when one length must hold another a whole number of times

Arrays = dict[str, np.ndarray]


def trials_in_bins(
    counts: np.ndarray, arrays: Arrays, spec: ReadSpec, final_bin_s: float, factor: int, where: str
) -> np.ndarray:
    """Bins of each trial or window, int64 [trials], in the file's own bins."""
    offsets = arrays.pop("trial_offsets", None)
    if counts.ndim == 3 or offsets is not None:
        _require_no_window(spec, where)
        return trial_lengths(counts, offsets, where)
    require(
        spec.window_s is not None,
        f"{where}: counts {list(counts.shape)} has no trials; add trial_offsets [trials + 1], or "
        "cut it with window_s (--window_s=2)",
    )
    window_bins = (
        whole_times(spec.window_s, final_bin_s, f"{where}: window_s={spec.window_s:g}") * factor
    )
    require(
        len(counts) >= window_bins,
        f"{where}: {len(counts)} bins are shorter than one window of {window_bins}; shorten "
        "window_s",
    )
    return np.full(len(counts) // window_bins, window_bins, np.int64)


def _require_no_window(spec: ReadSpec, where: str) -> None:
    if spec.window_s is not None:
        raise InputError(
            f"{where}: window_s={spec.window_s:g} cuts recordings without trials, but this one has "
            "trials"
        )


def trials_in_seconds(
    arrays: Arrays, times: np.ndarray, spec: ReadSpec, bin_size_s: float, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Start and stop of each trial or window, float64 [trials]."""
    if spec.align is not None:
        require(
            spec.align in arrays,
            f"{where}: align names {spec.align!r}, but the file's other arrays are "
            f"{sorted(arrays)}",
        )
        events = seconds(arrays[spec.align], spec.align, where)
        return events + spec.window[0], events + spec.window[1]
    if "trial_start_s" in arrays or "trial_stop_s" in arrays:
        _require_no_window(spec, where)
        if missing := [name for name in ("trial_start_s", "trial_stop_s") if name not in arrays]:
            raise InputError(
                f"{where} lacks {missing[0]}; expected trial_start_s and trial_stop_s, in seconds"
            )
        return tuple(
            seconds(arrays.pop(name), name, where) for name in ("trial_start_s", "trial_stop_s")
        )
    require(
        spec.window_s is not None,
        f"{where}: spike times without trials; add trial_start_s and trial_stop_s, or cut them "
        "with window_s (--window_s=2)",
    )
    whole_times(spec.window_s, bin_size_s, f"{where}: window_s={spec.window_s:g}")
    spikes = seconds(times, "spike_times_s", where)
    first, last = (spikes.min(), spikes.max()) if len(spikes) else (0.0, 0.0)
    first = min(np.floor(first / bin_size_s) * bin_size_s, first)
    if spec.window_from_s is not None:  # the first whole window of that grid
        place = np.ceil((first - spec.window_from_s) / spec.window_s - _WHOLE)
        first = spec.window_from_s + place * spec.window_s
    num_windows = int((last - first) / spec.window_s)
    require(
        1 <= num_windows <= 10**7,
        f"{where}: spikes span {last - first:g} s, {num_windows} windows of {spec.window_s:g} s; "
        "check both",
    )
    starts = first + np.arange(num_windows) * spec.window_s
    return starts, starts + spec.window_s


def session_of(
    counts: np.ndarray,
    lengths: np.ndarray,
    starts: np.ndarray,
    spec: ReadSpec,
    where: str,
    *,
    info: dict[str, Any],
    stored_split: np.ndarray | None = None,
    **fields: Any,
) -> Session:
    """The session of what was read, with the split that was asked for.

    Args:
        counts: whole numbers [total_bins, N], trials end to end.
        lengths: int64 [trials], bins of each.
        starts: float64 [trials], seconds.
        spec: its `split` decides.
        where: for messages.
        info: as in `from_counts`; where the split comes from is added.
        stored_split: [trials], of the recording.
        **fields: as in `from_counts`; trials and units of which nothing was `observed` leave.

    Raises:
        InputError: the fields do not fit, or a split would share time.
    """
    counts, lengths, starts, stored_split, info, fields = without_unobserved(
        counts, lengths, starts, stored_split, info, fields, where
    )
    split, source = choose_split(stored_split, starts, spec, where)
    session = from_counts(
        counts,
        trial_offsets=np.concatenate([[0], np.cumsum(lengths)]),
        trial_start_s=starts,
        split=split,
        info=info | {"split_source": source},
        **fields,
    )
    return without_shared_time(session, spec, where)


def choose_split(
    stored: np.ndarray | None, starts: np.ndarray, spec: ReadSpec, where: str
) -> tuple[np.ndarray | None, str]:
    """The split, int8 [trials] (None: to be drawn), and its source, as `ReadSpec.split` spells
    it."""
    block_s = spec.split_block_s()
    if block_s is not None:
        return block_split(starts, block_s, where), spec.split
    if spec.split == "random" or stored is None:
        return None, "random"
    require(
        stored.shape == starts.shape,
        f"{where}: split has {stored.size} value{'s' * (stored.size != 1)}, but there are "
        f"{len(starts)} trials; give 0, 1 or 2 for each, or draw one with split=random",
    )
    split = split_codes(stored, where)
    if missing := [SPLIT_NAMES[code] for code in (TRAIN, TEST) if code not in split]:
        raise InputError(
            f"{where}: split has no {' and no '.join(missing)} trial, expected at least one of "
            "each; correct it or draw one with split=random"
        )
    return split, "file"


def without_shared_time(session: Session, spec: ReadSpec, where: str) -> Session:
    """No spike in two splits: a drawn split needs trials apart, blocks lose those that reach into
    another split.

    Raises:
        InputError: a random split of trials that share time, or blocks too short to leave a trial
            of each split.
    """
    times = session.trial_start_s, session.trial_num_bins, session.bin_size_s
    source = session.info["split_source"]
    if source == "random":
        num_sharing = int((later_trials_within(*times) > 0).sum())
        remedy = "take a shorter --window" if spec.align else "correct the trials' starts and stops"
        require(
            not num_sharing,
            f"{where}: {num_sharing} of {session.num_trials} trials run into a later one, and a "
            "random split would put the same spikes in train and test; take --split=blocks:300s, "
            f"or {remedy}",
        )
        return session
    if source == "file":  # the user's own split is kept, and what is odd about it told
        number = int((later_trials_within(*times, session.split) > 0).sum())
        told = {"trials of different splits that share time": number}
        findings = {"findings": {**session.info.get("findings", {}), **told}}
        return session.with_fields(info={**session.info, **findings}) if number else session
    keep = later_trials_within(*times, session.split) == 0
    missing = [name for code, name in enumerate(SPLIT_NAMES) if code not in session.split[keep]]
    require(
        not missing,
        f"{where}: without the {int((~keep).sum())} trials that reach into another split, "
        f"{spec.split} leaves no trial for {' and '.join(missing)}; take longer blocks",
    )
    return session if keep.all() else kept_trials(session, keep, "reach into another split")


def whole_times(length: float, part: float, where: str) -> int:
    """How many times `part` fits `length`, which must be a whole number of times."""
    ratio = length / part
    require(
        0.5 < ratio < 10**9 and abs(ratio - round(ratio)) <= _WHOLE * ratio,
        f"{where} is {ratio:g} bins of {part * 1000:g} ms, expected a whole number of them",
    )
    return round(ratio)


def windows_within(
    intervals_s: np.ndarray, window_s: float, bin_size_s: float, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Windows laid end to end within intervals.

    Args:
        intervals_s: float64 [n, 2], seconds; those that are not finite hold none.
        window_s, bin_size_s: seconds; a window is whole bins.
        where: for messages.

    Returns:
        starts, float64 [windows], rising, and the row of the interval of each, int64 [windows].

    Raises:
        InputError: no window fits, or far too many.
    """
    whole_times(window_s, bin_size_s, f"{where}: window_s={window_s:g}")
    with np.errstate(invalid="ignore"):
        lasting_s = intervals_s[:, 1] - intervals_s[:, 0] + _WHOLE
    number = np.floor(np.where(np.isfinite(lasting_s), np.maximum(lasting_s, 0), 0) / window_s)
    require(
        1 <= number.sum() <= 10**7,
        f"{where}: {number.sum():.0f} windows of {window_s:g} s fit {len(number)} intervals; "
        "change window_s",
    )
    row = np.repeat(np.arange(len(number)), number.astype(np.int64))
    within = np.arange(len(row)) - (np.cumsum(number) - number)[row]
    starts = intervals_s[row, 0] + within * window_s
    order = np.argsort(starts, kind="stable")
    return starts[order], row[order]


def counted_drops(
    tests: dict[str, np.ndarray], what: str, where: str
) -> tuple[np.ndarray, dict[str, int]]:
    """Which units or trials stay and why the others go; each is counted at the first reason that
    names it.

    Args:
        tests: reason -> bool [n], True where it names one.
        what: "unit" or "trial", for the message.
        where: for the message.

    Returns:
        bool [n], True where it stays, and reason -> number.

    Raises:
        InputError: none stays.
    """
    dropped: dict[str, int] = {}
    gone = np.zeros(len(next(iter(tests.values()))), bool)
    for reason, names in tests.items():
        if number := int((names & ~gone).sum()):
            dropped[reason] = number
        gone |= names
    listed = (
        ", ".join(f"{reason}: {number}" for reason, number in dropped.items()) or "there were none"
    )
    require(
        not gone.all(),
        f"{where}: no {what} is left of {len(gone)} ({listed}); check them, or loosen the options",
    )
    return ~gone, dropped


def kept_windows(
    starts_s: np.ndarray,
    stops_s: np.ndarray,
    recorded_s: tuple[float, float],
    faults: dict[str, np.ndarray],
    spec: ReadSpec,
    bin_size_s: float,
    where: str,
) -> tuple[np.ndarray, dict[str, int]]:
    """Windows that are known, lie within the recording and, where the split is drawn at random,
    share no time.

    Args:
        starts_s, stops_s: float64 [trials], seconds; NaN where the event is missing.
        recorded_s: first and last time of the recording, seconds.
        faults: further reasons to leave trials out -> bool [trials].
        spec: its split decides whether windows may share time; blocks keep neighbours together.
        bin_size_s: half of it is tolerated, since clocks round.
        where: for messages.

    Returns:
        bool [trials], True for kept ones, and reason -> number of dropped ones.
    """
    with np.errstate(invalid="ignore"):
        outside = (starts_s < recorded_s[0]) | (stops_s > recorded_s[1])
    tests = {
        "no event": ~(np.isfinite(starts_s) & np.isfinite(stops_s)),
        "window leaves the recording": outside,
    }
    tests |= faults
    keep = ~np.any(list(tests.values()), axis=0)
    if spec.split_block_s() is None:
        tests["window begins within the one before"] = _shares_time(
            starts_s, stops_s, keep, bin_size_s / 2
        )
    return counted_drops(tests, "trial", where)


def _shares_time(
    starts_s: np.ndarray, stops_s: np.ndarray, keep: np.ndarray, tolerance_s: float
) -> np.ndarray:
    """Kept windows that begin before the kept window before them ends, bool [trials]."""
    shared, free_from_s = np.zeros(len(starts_s), bool), -np.inf
    for trial in np.argsort(np.where(keep, starts_s, np.inf), kind="stable")[: int(keep.sum())]:
        if starts_s[trial] < free_from_s - tolerance_s:
            shared[trial] = True
        else:
            free_from_s = stops_s[trial]
    return shared
