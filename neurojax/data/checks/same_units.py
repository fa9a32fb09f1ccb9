"""Do two sessions hold the same neurons at the same time? Found also when they are binned or cut
differently."""

import collections
import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from neurojax.data.checks.sums import sums_of_rows, watched_bins
from neurojax.data.session import Session

_MIN_PIECES, _MAX_PIECES = 20, 500  # stretches of time compared
_MIN_SPIKES = 20  # of a unit in them
_POPULATION_CORRELATION = 0.5  # below it units are not looked at
# two recordings of one unit reach 0.7 and more, neighbours of one brain rarely do
_UNIT_CORRELATION = 0.6
_LOOKED_AT, _LOOKS_ALIKE = 64, 0.4  # trials, and the likeness of populations, in a quick look
_SHARE = 0.5  # of the active units that must be found again
_WATCHED = 0.5  # of a stretch that a unit must be observed in, for its spikes there to tell


@dataclasses.dataclass(frozen=True)
class Outline:
    """What is needed of a session: cumulative population counts, so that any stretch costs two
    look-ups.

    Attributes:
        session: the session.
        cumulative: int64 [total_bins + 1], spikes of all units before each bin.
        watched: float64 [total_bins + 1], bins before each, of the share of units observed in them.
    """

    session: Session
    cumulative: np.ndarray
    watched: np.ndarray

    @classmethod
    def of(cls, session: Session) -> "Outline":
        sums = np.concatenate([session.counts[row : row + 65536].sum(1, dtype=np.int64)
                               for row in range(0, len(session.counts), 65536)])  # fmt: skip
        return cls(session, np.concatenate([[0], np.cumsum(sums)]), _watched_before(session))

    def rates(self, rows: np.ndarray) -> np.ndarray:
        """Spikes of all units a bin in stretches of rows [P, 2], float64 [P], over what was
        observed; NaN where less than half was."""
        spikes, bins = (values[rows[:, 1]] - values[rows[:, 0]]
                        for values in (self.cumulative, self.watched))  # fmt: skip
        enough = bins >= np.maximum(_WATCHED * (rows[:, 1] - rows[:, 0]), 1e-9)
        return np.where(enough, spikes / np.where(enough, bins, 1.0), np.nan)


def _watched_before(session: Session) -> np.ndarray:
    if session.validity is None:
        return np.arange(len(session.counts) + 1, dtype=np.float64)
    steps = np.zeros(len(session.counts) + 1)
    np.add.at(steps, session.validity.start_bin, 1.0)
    np.add.at(steps, session.validity.stop_bin, -1.0)
    return np.concatenate([[0.0], np.cumsum(np.cumsum(steps)[:-1]) / session.num_units])


@dataclasses.dataclass(frozen=True)
class Population:
    """Spikes of all units on the session clock, so that any stretch of it costs two look-ups.

    Attributes:
        edge_s: float64 [edges], edges of bins, rising.
        spikes: float64 [edges], spikes of all units before an edge.
        recorded_s: float64 [edges], seconds of trials before an edge, of the share of units that
            was observed in them.
    """

    edge_s: np.ndarray
    spikes: np.ndarray
    recorded_s: np.ndarray

    @classmethod
    def of(cls, outline: Outline) -> "Population | None":
        """None where trials share time or have no clock: then a moment has no one place."""
        session = outline.session
        order = np.argsort(session.trial_start_s, kind="stable")
        starts, lengths = session.trial_start_s[order], session.trial_num_bins[order]
        size, first_bin = session.bin_size_s, session.trial_start_bin[order]
        if len(order) < 2 or (np.diff(starts) < (lengths[:-1] - 0.5) * size).any():
            return None
        ends = np.cumsum(lengths + 1)  # a trial has an edge more than bins
        within = np.arange(ends[-1]) - np.repeat(ends - lengths - 1, lengths + 1)
        rows = np.repeat(first_bin, lengths + 1) + within
        spikes, watched = (
            _in_order(sums, rows, first_bin, lengths)
            for sums in (outline.cumulative, outline.watched)
        )
        edge_s = np.maximum.accumulate(np.repeat(starts, lengths + 1) + within * size)
        return cls(edge_s, spikes.astype(np.float64), watched * size)

    def rates_hz(self, stretch_s: np.ndarray, least: float = 0.5) -> np.ndarray:
        """Spikes per second of all units in stretches [P, 2] of the clock, float64 [P]; NaN where
        nothing was recorded, or less than a share `least`."""
        spikes, recorded = (np.interp(stretch_s, self.edge_s, values)
                            for values in (self.spikes, self.recorded_s))  # fmt: skip
        spikes, recorded = spikes[:, 1] - spikes[:, 0], recorded[:, 1] - recorded[:, 0]
        enough = recorded > max(least, 1e-3) * (stretch_s[:, 1] - stretch_s[:, 0]) * (1 - 1e-9)
        return np.where(enough, spikes / np.where(enough, recorded, 1.0), np.nan)


def _in_order(
    sums: np.ndarray, rows: np.ndarray, first_bin: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Sums before each row of a recording as sums over its trials alone, in the order of time."""
    own = sums[first_bin + lengths] - sums[first_bin]
    before = np.concatenate([np.zeros(1, own.dtype), np.cumsum(own[:-1])])
    return sums[rows] - np.repeat(sums[first_bin] - before, lengths + 1)


def pairs_alike(outlines: Sequence[Outline]) -> set[tuple[int, int]]:
    """Pairs (earlier, later) that `repeated_units` may find to be one recording: those whose
    populations look alike over time or over trials. A quick look, so that hundreds of sessions are
    compared in a second."""
    pairs = _alike_by_order(outlines) | _alike_by_clock(outlines)
    return {(min(pair), max(pair)) for pair in pairs}


def _alike_by_order(outlines: Sequence[Outline]) -> set[tuple[int, int]]:
    groups = collections.defaultdict(list)
    for index, outline in enumerate(outlines):
        if outline.session.num_trials >= _MIN_PIECES:
            groups[outline.session.num_trials].append(index)
    pairs = set()
    for members in groups.values():
        rates = []
        for outline in (outlines[index] for index in members):
            start, length = outline.session.trial_start_bin, outline.session.trial_num_bins
            rates.append(outline.rates(np.stack([start, start + length], axis=1)))
        known = np.isfinite(np.stack(rates, axis=1))
        values = np.nan_to_num(np.stack(rates, axis=1))
        found = correlation_where(values, values, known, known, _MIN_PIECES // 2)[0] >= _LOOKS_ALIKE
        pairs |= {(members[i], members[j]) for i, j in np.argwhere(np.triu(found, 1)).tolist()}
    return pairs


def _alike_by_clock(outlines: Sequence[Outline]) -> set[tuple[int, int]]:
    clocked = [i for i, o in enumerate(outlines) if np.ptp(o.session.trial_start_s) > 0]
    populations = {index: Population.of(outlines[index]) for index in clocked}
    # Where trials share time, a moment has no one place in the recording: these are all compared.
    pairs = {(i, j) for i in clocked for j in clocked if i != j and populations[i] is None}
    known = [index for index in clocked if populations[index] is not None]
    stretches = [_some_trials_s(outlines[index].session) for index in known]
    if len(known) < 2:
        return pairs
    joined, ends = np.concatenate(stretches), np.cumsum([len(own) for own in stretches])
    places = np.split(np.arange(len(joined)), ends[:-1])
    rates = np.stack([populations[index].rates_hz(joined, least=0.0) for index in known])
    for place, (own, columns) in enumerate(zip(known, places, strict=True)):
        found = rates[:, columns]  # [sessions, stretches of one of them]
        held = np.isfinite(found)
        mine = np.where(held, found[place], np.nan)
        with np.errstate(invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a session that holds none of them
            pair = [np.nan_to_num(v - np.nanmean(v, axis=1, keepdims=True)) for v in (found, mine)]
        norm = np.sqrt((pair[0] ** 2).sum(1) * (pair[1] ** 2).sum(1))
        likeness = (pair[0] * pair[1]).sum(1) / np.where(norm > 0, norm, 1)
        likely = (likeness >= _LOOKS_ALIKE) & (held.sum(1) >= _MIN_PIECES // 2)
        pairs |= {(own, known[other]) for other in np.flatnonzero(likely) if other != place}
    return pairs


def _some_trials_s(session: Session) -> np.ndarray:
    """Start and stop of trials, at most 64, float64 [P, 2]."""
    chosen = np.unique(np.linspace(0, session.num_trials - 1, _LOOKED_AT).astype(np.int64))
    start = session.trial_start_s[chosen]
    return np.stack([start, start + session.trial_num_bins[chosen] * session.bin_size_s], axis=1)


def repeated_units(first: Outline, second: Outline) -> int:
    """How many units of one session are found again in the other; 0 unless it is most of those that
    fire.

    Stretches of time that both hold are matched by the session clock and, when the sessions have
    equally many trials, by the trials' order. Over these, a unit's spike counts follow those of the
    same unit in the other session more closely than those of any other, whatever the bins are.
    """
    best = 0
    for rows in (
        _by_clock(first.session, second.session),
        _by_order(first.session, second.session),
    ):
        if rows is None:
            continue
        rates = [o.rates(r)[:, None] for o, r in zip((first, second), rows, strict=True)]
        known = [np.isfinite(r) for r in rates]
        alike, _ = correlation_where(*map(np.nan_to_num, rates), *known, _MIN_PIECES // 2)
        if alike[0, 0] >= _POPULATION_CORRELATION:
            best = max(best, _matched(first.session, second.session, rows))
    return best


def _matched(first: Session, second: Session, rows: tuple[np.ndarray, np.ndarray]) -> int:
    rates, known = [], []  # each [pieces, N]
    for session, r in zip((first, second), rows, strict=True):
        counts = sums_of_rows(session.counts, *r.T)
        active = counts.sum(0) >= _MIN_SPIKES
        bins = watched_bins(session, *r.T)[:, active]
        rates.append(counts[:, active] / np.maximum(bins, 1))
        known.append(bins >= np.maximum(_WATCHED * np.diff(r, axis=1), 1))
    num_active = min(r.shape[1] for r in rates)
    if num_active < 2:
        return 0
    # Two units are compared where both were observed; a gap that they share says nothing.
    agreement, _ = correlation_where(*rates, *known, _MIN_PIECES)  # [N of first, N of second]
    _, likeness, mutual = matches(agreement)
    matched = int((mutual & (likeness >= _UNIT_CORRELATION)).sum())
    return matched if matched >= max(2, _SHARE * num_active) else 0


def _by_order(first: Session, second: Session) -> tuple[np.ndarray, np.ndarray] | None:
    if first.num_trials != second.num_trials or first.num_trials < _MIN_PIECES:
        return None
    chosen = np.unique(np.linspace(0, first.num_trials - 1, _MAX_PIECES).astype(np.int64))
    return tuple(
        np.stack([s.trial_start_bin, s.trial_start_bin + s.trial_num_bins], 1)[chosen]
        for s in (first, second)
    )


def _by_clock(first: Session, second: Session) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows [pieces, 2], begin and end, of what trials of both cover, in each of the two."""
    if any(np.ptp(session.trial_start_s) == 0 for session in (first, second)):
        return None
    order = np.argsort(second.trial_start_s, kind="stable")
    starts = second.trial_start_s[order]
    stops = starts + second.trial_num_bins[order] * second.bin_size_s
    pieces = []
    for trial in range(first.num_trials):
        start = first.trial_start_s[trial]
        stop = start + first.trial_num_bins[trial] * first.bin_size_s
        for place in range(max(0, int(np.searchsorted(starts, start, "right")) - 1), len(starts)):
            if starts[place] >= stop:
                break
            low, high = max(start, starts[place]), min(stop, stops[place])
            if high - low >= 4 * max(first.bin_size_s, second.bin_size_s):
                pieces.append((trial, order[place], low, high))
    if len(pieces) < _MIN_PIECES:
        return None
    chosen = np.unique(np.linspace(0, len(pieces) - 1, _MAX_PIECES).astype(np.int64))
    trial, other, low, high = (np.array(column)[chosen] for column in zip(*pieces, strict=True))
    return _rows(first, trial, low, high), _rows(second, other, low, high)


def _rows(session: Session, trial: np.ndarray, low_s: np.ndarray, high_s: np.ndarray) -> np.ndarray:
    within = (
        np.stack([low_s, high_s], 1) - session.trial_start_s[trial][:, None]
    ) / session.bin_size_s
    bins = np.clip(np.rint(within).astype(np.int64), 0, session.trial_num_bins[trial][:, None])
    return session.trial_start_bin[trial][:, None] + bins


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation of all pairs of columns; 0 for columns that do not vary."""
    scaled = []
    for values in (first, second):
        centred = values - values.mean(0)
        norm = np.sqrt((centred**2).sum(0))
        scaled.append(centred / np.where(norm > 0, norm, 1))
    return scaled[0].T @ scaled[1]


def correlation_where(
    first: np.ndarray,
    second: np.ndarray,
    first_known: np.ndarray,
    second_known: np.ndarray,
    least: int,
) -> tuple[np.ndarray, np.ndarray]:
    """`correlation` of values [P, N] and [P, M], of each pair over the rows in which both are known
    (bool [P, N] and [P, M]; the values elsewhere are finite).

    Returns:
        the correlation [N, M], 0 for pairs with fewer than `least` such rows, and their number.
    """
    if first_known.all() and second_known.all():
        found = correlation(first, second)
        number = np.full(found.shape, float(len(first)))
        return np.where(number >= least, found, 0.0), number
    known = [k.astype(np.float64) for k in (first_known, second_known)]
    # Centred beforehand, so that sums of squares keep their digits.
    means = [(v * k).sum(0) / np.maximum(k.sum(0), 1)
             for v, k in zip((first, second), known, strict=True)]  # fmt: skip
    values = [(v - mean) * k for v, mean, k in zip((first, second), means, known, strict=True)]
    number = known[0].T @ known[1]
    size = np.maximum(number, 1)
    sums = values[0].T @ known[1], known[0].T @ values[1]
    squares = (values[0] ** 2).T @ known[1], known[0].T @ values[1] ** 2
    varied = [s2 - s**2 / size for s2, s in zip(squares, sums, strict=True)]
    # What rounding leaves of values that do not vary over the shared rows is no variance.
    told = (number >= least) & (varied[0] > 1e-9 * squares[0]) & (varied[1] > 1e-9 * squares[1])
    norm = np.sqrt(np.where(told, varied[0] * varied[1], 1.0))
    return np.where(told, (values[0].T @ values[1] - sums[0] * sums[1] / size) / norm, 0.0), number


def agreement_of_bits(
    bits: tuple[np.ndarray, np.ndarray],
    told: tuple[np.ndarray, np.ndarray],
    least: int,
    least_varied: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of bits, bool [P, N] and [P, M], over the rows in which both are told (bool of
    the same shapes).

    Returns:
        the correlation [N, M], 0 where fewer than `least` rows are shared or fewer than
        `least_varied` bits (of few rows a fourth) differ from the rest; number of rows [N, M].
    """
    first, second = (np.where(t, b, False).astype(np.float64)
                     for b, t in zip(bits, told, strict=True))  # fmt: skip
    agreement, number = correlation_where(first, second, *told, least)
    fewest = np.minimum(least_varied, number // 4)
    for ones in (first.T @ told[1], told[0].T @ second):
        agreement = np.where(np.minimum(ones, number - ones) >= fewest, agreement, 0.0)
    return agreement, number


def matches(agreement: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row of an agreement [N, M]: the column that agrees best, how well, and whether the
    row is that column's best too."""
    best, rows = agreement.argmax(1), np.arange(len(agreement))
    return best, agreement[rows, best], agreement.argmax(0)[best] == rows
